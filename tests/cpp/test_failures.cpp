// Memory that runs out in the middle of a call: the call throws, and nothing was learnt.

#include "allocations.hpp"
#include "memoa/run.hpp"
#include "memoa/saved.hpp"
#include "populations.hpp"

using namespace memoa;
using problems::random_stream;
using problems::Stream;
using tests::settings_of;

namespace {

struct Pair {
  Population population;
  ServerMixture mixture;
};

Pair fresh(const Stream& stream, const Encoder& encoder) {
  PopulationSettings settings = settings_of(21, stream, encoder);
  settings.n_threads = 1;  // OpenMP ends the process where it finds no memory
  return {Population(settings), ServerMixture(21, stream.n_outputs, {}, 1)};
}

/// Everything that was learnt, as numbers.
std::vector<double> all_of(const Pair& pair) {
  std::vector<double> numbers;
  const auto add = [&](const char*, const auto& field, const Shape&) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(field)>>)
      numbers.push_back(static_cast<double>(field));
    else
      numbers.insert(numbers.end(), field.begin(), field.end());
  };
  const auto population = pair.population.memory();
  const auto mixture = pair.mixture.memory();
  visit_fields(population, pair.population, add);
  visit_fields(mixture, pair.mixture, add);
  return numbers;
}

/// Calls with memory that ends after 0, 1, 2, ... allocations, until it is enough; the number of
/// failures. Between failures everything is as it was before.
template <class Call>
int fail_every_allocation(Pair& pair, const Call& call) {
  const std::vector<double> before = all_of(pair);
  for (int failures = 0;; ++failures) {
    tests::refuse_memory_after(static_cast<std::size_t>(failures));
    bool failed = false;
    try {
      call();
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    tests::give_memory();
    if (!failed) return failures;
    REQUIRE(failures < 10000);
    REQUIRE(all_of(pair) == before);
  }
}

}  // namespace

TEST_CASE("memory that runs out anywhere changes nothing") {
  if (!tests::can_refuse_memory()) return;
  const Stream stream = random_stream(8, 60, 3, 2);
  std::vector<double> forecast(2), forecasts(120);
  RunOutput output;
  output.predictions = forecasts.data();
  int failures = 0;
  for (const Encoder& encoder : tests::kEncoders) {
    Pair pair = fresh(stream, encoder);
    failures += fail_every_allocation(
        pair, [&] { run(pair.population, pair.mixture, stream.x(0), stream.y(0), 40, output); });
    Pair stepped = fresh(stream, encoder);
    stepped.population.observe(stream.y(0));
    for (Index t = 1; t < 6; ++t) {
      // what a forecast shows may change, what was learnt may not
      tests::refuse_memory_after(0);
      predict(stepped.population, stepped.mixture, stream.x(t), forecast.data());
      learn(stepped.population, stepped.mixture, stream.y(t));
      tests::give_memory();
    }
    const auto population = pair.population.memory();
    const auto mixture = pair.mixture.memory();
    failures += fail_every_allocation(stepped, [&] { stepped.population.restore(population); });
    failures += fail_every_allocation(stepped, [&] { stepped.mixture.restore(mixture); });
    CHECK(all_of(stepped) == all_of(pair));
  }
  MESSAGE("allocations that failed: " << failures);
  CHECK(failures > 20);
}

TEST_CASE("engines that find no memory when they are made leave nothing behind") {
  if (!tests::can_refuse_memory()) return;
  const Stream stream = random_stream(8, 10, 3, 2);
  for (const Encoder& encoder : tests::kEncoders)
    for (std::size_t granted = 0;; ++granted) {
      tests::refuse_memory_after(granted);
      bool failed = false;
      try {
        fresh(stream, encoder);
      } catch (const std::bad_alloc&) {
        failed = true;
      }
      tests::give_memory();
      if (!failed) break;
      REQUIRE(granted < 10000);
    }
}

TEST_CASE("sizes that no machine has are told before the work") {
  const auto message = [](const auto& call) { return tests::message_of<MemoryError>(call); };
  PopulationSettings settings;
  settings.encoder = RandomFeatures{std::numeric_limits<Index>::max()};
  CHECK(
      tests::contains(message([&] { Population{settings}; }), "n_features = 9223372036854775807"));
  settings.encoder = EchoState{10'000'000};
  CHECK(tests::contains(message([&] { Population{settings}; }), "bytes of memory"));
  settings.encoder = RandomFeatures{};
  settings.n_agents = Index{1} << 50;
  CHECK(tests::contains(message([&] { Population{settings}; }), "n_agents = 1125899906842624"));
  settings.n_agents = 10;
  settings.horizon = std::numeric_limits<Index>::max();
  CHECK(tests::contains(message([&] { Population{settings}; }), "horizon = 9223372036854775807"));
  Mixture mixture;
  mixture.window = Index{1} << 58;
  CHECK(tests::contains(message([&] { ServerMixture(5, 1, mixture); }),
                        "window = 288230376151711744"));
}
