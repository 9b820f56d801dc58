// Memory that runs out in the middle of a call: the call throws, and nothing was learnt.

#include <doctest/doctest.h>

#include <limits>

#include "allocations.hpp"
#include "memoa/panel.hpp"
#include "memoa/run.hpp"
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

Pair fresh(const Stream& stream, const Encoders& encoder) {
  PopulationSettings settings = settings_of(21, stream, encoder);
  settings.n_threads = 1;  // OpenMP ends the process where it finds no memory
  return {Population(settings),
          ServerMixture(21, stream.n_outputs, tests::mixture_of(settings), 1)};
}

/// Everything that was learnt, as numbers.
template <class Engine>
void add_all(const Engine& engine, std::vector<double>& numbers) {
  const auto memory = engine.memory();
  visit_fields(memory, engine, [&](const char*, const auto& field, const Shape&) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(field)>>)
      numbers.push_back(static_cast<double>(field));
    else
      numbers.insert(numbers.end(), field.begin(), field.end());
  });
}
std::vector<double> all_of(const Pair& pair) {
  std::vector<double> numbers;
  add_all(pair.population, numbers), add_all(pair.mixture, numbers);
  return numbers;
}
std::vector<double> all_of(const Panel& panel) {
  std::vector<double> numbers;
  add_all(panel, numbers);
  return numbers;
}

/// Calls with memory that ends after 0, 1, 2, ... allocations, until it is enough; the number of
/// failures. Between failures everything is as it was before.
template <class Engines, class Call>
int fail_every_allocation(const Engines& engines, const Call& call) {
  const std::vector<double> before = all_of(engines);
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
    REQUIRE(all_of(engines) == before);
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
  for (const Encoders& encoder : tests::kEncoders) {
    Pair pair = fresh(stream, encoder);
    failures += fail_every_allocation(pair, [&] {
      run(pair.population, pair.mixture, stream.x(0), stream.y(0), 40, output, stream.y(59));
    });
    Pair stepped = fresh(stream, encoder);
    stepped.population.observe(stream.y(0));
    failures += fail_every_allocation(stepped, [&] {
      predict_rows(stepped.population, stepped.mixture, stream.x(1), 2, forecasts.data());
    });
    for (Index t = 1; t < 30; ++t) {
      failures += fail_every_allocation(stepped, [&] {
        predict(stepped.population, stepped.mixture, stream.x(t), forecast.data());
      });
      failures += fail_every_allocation(
          stepped, [&] { learn(stepped.population, stepped.mixture, stream.y(t)); });
    }
    const auto population = pair.population.memory();
    const auto mixture = pair.mixture.memory();
    failures += fail_every_allocation(stepped, [&] { stepped.population.restore(population); });
    failures += fail_every_allocation(stepped, [&] { stepped.mixture.restore(mixture); });
    CHECK(all_of(stepped) == all_of(pair));
    std::vector<unsigned char> awake(15 * 21, 1);
    for (std::size_t k = 0; k < awake.size(); k += 4) awake[k] = 0;
    failures += fail_every_allocation(pair, [&] {
      run(pair.population, pair.mixture, stream.x(40), stream.y(40), 15, output, nullptr, {}, 1,
          Labels::own, awake.data());
    });
    for (Index t = 40; t < 55; ++t) {
      failures += fail_every_allocation(stepped, [&] {
        predict(stepped.population, stepped.mixture, stream.x(t), forecast.data(),
                awake.data() + (t - 40) * 21);
      });
      learn(stepped.population, stepped.mixture, stream.y(t));
    }
    CHECK(all_of(stepped) == all_of(pair));
    const auto asleep = pair.population.memory();
    stepped.population.restore(population);
    failures += fail_every_allocation(stepped, [&] { stepped.population.restore(asleep); });
    CHECK(all_of(stepped) == all_of(pair));
  }
  MESSAGE("allocations that failed: " << failures);
  CHECK(failures > 20);
}

TEST_CASE("memory that runs out anywhere changes nothing of a panel") {
  if (!tests::can_refuse_memory()) return;
  PanelSettings settings;
  settings.n_clients = 6, settings.n_inputs = 2, settings.n_threads = 1;
  Panel panel(settings);
  const Stream stream = random_stream(8, 60, 12, 6);  // each client has two inputs and one output
  std::vector<double> forecasts(60 * 6);
  std::vector<unsigned char> awake(20 * 6, 1);
  awake[3] = 0;
  int failures = fail_every_allocation(panel, [&] { panel.observe(stream.y(0)); });
  failures += fail_every_allocation(
      panel, [&] { panel.run(stream.x(1), stream.y(1), nullptr, 19, forecasts.data()); });
  failures += fail_every_allocation(
      panel, [&] { panel.run(stream.x(20), stream.y(20), awake.data(), 20, forecasts.data()); });
  failures += fail_every_allocation(panel, [&] { panel.predict(stream.x(40), forecasts.data()); });
  failures += fail_every_allocation(panel, [&] { panel.learn(stream.y(40), awake.data()); });
  const PanelMemory memory = panel.memory();
  Panel restored(settings);
  failures += fail_every_allocation(restored, [&] { restored.restore(memory); });
  CHECK(all_of(restored) == all_of(panel));
  failures += fail_every_allocation(panel, [&] { panel.add_clients(3); });
  CHECK(panel.settings().n_clients == 9);

  settings.delay = 3;
  Panel late(settings);
  failures += fail_every_allocation(
      late, [&] { late.run(stream.x(0), stream.y(0), awake.data(), 20, forecasts.data()); });
  failures += fail_every_allocation(late, [&] { late.predict(stream.x(20), forecasts.data()); });
  failures += fail_every_allocation(
      late, [&] { late.learn_late(stream.x(20), stream.y(20), awake.data()); });
  failures += fail_every_allocation(late, [&] { late.add_clients(3); });
  CHECK(late.n_waiting() == 0);
  MESSAGE("allocations that failed: " << failures);
  CHECK(failures > 20);
}

TEST_CASE("sizes that no machine has are told before the work") {
  const auto refuses = [](const auto& call, const std::string& part) {
    const std::string message = tests::message_of<MemoryError>(call);
    CHECK_MESSAGE(tests::contains(message, part), message);
    CHECK_MESSAGE(tests::contains(message, "bytes of memory"), message);
  };
  constexpr Index kHuge = std::numeric_limits<Index>::max();
  PopulationSettings settings;
  const auto make = [&] { Population{settings}; };
  settings.encoder = RandomFeatures{kHuge};
  refuses(make, "n_features = 9223372036854775807");
  settings.encoder = EchoState{10'000'000};
  refuses(make, "n_features = 10000000");
  settings.encoder = RandomFeatures{};
  settings.n_agents = Index{1} << 50;
  refuses(make, "n_agents = 1125899906842624");
  settings.n_agents = 10;
  settings.n_inputs = kHuge;
  refuses(make, "n_inputs = 9223372036854775807");
  settings.n_inputs = 1;
  settings.n_outputs = kHuge;
  refuses(make, "n_outputs = 9223372036854775807");
  Mixture mixture;
  mixture.window = Index{1} << 58;
  refuses([&] { ServerMixture(5, 1, mixture); }, "window = 288230376151711744");
  refuses([&] { draw_weights(RandomFeatures{kHuge}, 1, 0, 3); },
          "n_features = 9223372036854775807");
  GameData game;
  game.horizon = 100'000'000'000;
  game.n_outputs = game.n_features = 1;
  game.feature_mean = {1.0};
  game.feature_cov = {0.0};
  refuses([&] { Game{game}; }, "horizon = 100000000000");
}
