#include "memoa/saved.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "detail/saved.hpp"
#include "populations.hpp"

using namespace memoa;
using problems::random_stream;
using problems::Stream;
using tests::contains;
using tests::kEncoders;
using tests::refusal;
using tests::see;
using tests::settings_of;
namespace fs = std::filesystem;

namespace {

struct TemporaryFile {
  std::string path = (fs::temp_directory_path() /
                      ("memoa-saved-" + std::to_string(std::random_device{}()) + ".npz"))
                         .string();
  ~TemporaryFile() { fs::remove(path); }
};

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The server's forecasts of the steps [first, last), learnt.
template <class Real>
std::vector<double> go_on(SavedEngines<Real>& e, const Stream& stream, Index first, Index last) {
  std::vector<double> forecasts(static_cast<std::size_t>((last - first) * stream.n_outputs));
  RunOutput output;
  output.predictions = forecasts.data();
  run(e.population, e.mixture, stream.x(first), stream.y(first), last - first, output);
  return forecasts;
}

template <class Real>
SavedEngines<Real> learnt(const Stream& stream, const Encoders& encoder, Index steps) {
  const PopulationSettings settings = settings_of(21, stream, encoder);
  Mixture mixture = tests::mixture_of(settings);
  mixture.window = 10;
  SavedEngines<Real> engines{BasicPopulation<Real>(settings),
                             BasicServerMixture<Real>(21, stream.n_outputs, mixture)};
  go_on(engines, stream, 0, steps);
  return engines;
}

}  // namespace

TEST_CASE_TEMPLATE("what is loaded goes on with the same bits", Real, double, float) {
  const Stream stream = random_stream(3, 40, 3, 2);
  for (const Encoders& encoder : kEncoders)
    for (const Index steps : {1, 7, 25}) {
      const TemporaryFile file;
      SavedEngines<Real> engines = learnt<Real>(stream, encoder, steps);
      save(file.path, engines.population, engines.mixture);
      Saved saved = load(file.path);
      auto& loaded = std::get<SavedEngines<Real>>(saved.engines);
      engines.population.mark_costs();  // as loading does
      CHECK(see(loaded.population) == see(engines.population));
      CHECK(loaded.population.steps() == engines.population.steps());
      CHECK(go_on(loaded, stream, steps, 40) == go_on(engines, stream, steps, 40));
      CHECK(see(loaded.population) == see(engines.population));
    }
}

TEST_CASE("a forecast that waits for its y is there again, and a file holds the same bytes") {
  const Stream stream = random_stream(4, 30, 3, 2);
  const TemporaryFile file, again;
  SavedEngines<double> engines = learnt<double>(stream, RandomFeatures{6}, 20);
  std::vector<double> forecast(2);
  predict(engines.population, engines.mixture, stream.x(20), forecast.data());
  const std::vector<double> pending(stream.x(20), stream.x(20) + 3);
  save(file.path, engines.population, engines.mixture, pending, "{\"a\": 1}");
  Saved saved = load(file.path, 1);
  auto& loaded = std::get<SavedEngines<double>>(saved.engines);
  CHECK(saved.pending == pending);
  CHECK(contains(saved.header, "\"note\": {\"a\": 1}"));
  engines.population.mark_costs();  // as loading does
  CHECK(see(loaded.population) == see(engines.population));
  save(again.path, loaded.population, loaded.mixture, pending, "{\"a\": 1}");
  const std::string first = contents(file.path), second = contents(again.path);
  CHECK(first.size() == second.size());  // the number of threads differs
  learn(engines.population, engines.mixture, stream.y(20));
  learn(loaded.population, loaded.mixture, stream.y(20));
  CHECK(go_on(loaded, stream, 21, 30) == go_on(engines, stream, 21, 30));
}

TEST_CASE("a note that is no JSON is refused, and nothing is written") {
  const Stream stream = random_stream(4, 5, 1, 1);
  const TemporaryFile file;
  const SavedEngines<double> engines = learnt<double>(stream, RandomFeatures{3}, 5);
  CHECK_FALSE(
      refusal([&] { save(file.path, engines.population, engines.mixture, {}, "{"); }).empty());
  CHECK_FALSE(fs::exists(file.path));
}

TEST_CASE("every flipped bit of a file is refused, or no file at all is read") {
  const Stream stream = random_stream(5, 12, 2, 1);
  const TemporaryFile file, other;
  const SavedEngines<double> engines = learnt<double>(stream, EchoState{3}, 12);
  save(file.path, engines.population, engines.mixture);
  const std::string good = contents(file.path);
  std::mt19937 random(1);
  for (int trial = 0; trial < 3000; ++trial) {
    std::string bad = good;
    const std::size_t at = random() % bad.size();
    if (trial % 3 == 2)
      bad.resize(at);
    else
      bad[at] = static_cast<char>(bad[at] ^ (1 << random() % 8));
    std::ofstream(other.path, std::ios::binary) << bad;
    CHECK(tests::names(refusal([&] { load(other.path); }), other.path + ": "));
  }
}

TEST_CASE("counters beyond what can be counted are refused") {
  const Stream stream = random_stream(6, 12, 2, 1);
  SavedEngines<double> e = learnt<double>(stream, RandomFeatures{3}, 12);
  for (const Index steps : {Index{-1}, std::numeric_limits<Index>::max()}) {
    auto population = e.population.memory();
    population.steps = steps;
    CHECK(contains(refusal([&] { e.population.restore(population); }), "memory.steps is"));
    auto mixture = e.mixture.memory();
    mixture.steps = steps;
    CHECK(contains(refusal([&] { e.mixture.restore(mixture); }), "memory.steps is"));
  }
  for (const Index newest : {Index{-100}, Index{-1}, Index{1}, Index{10}}) {
    auto mixture = e.mixture.memory();
    mixture.newest = newest;
    CHECK(contains(refusal([&] { e.mixture.restore(mixture); }), "memory.newest is"));
  }
  for (const double counted : {-1.0, 0.5, 1e300, std::nan("")}) {
    auto population = e.population.memory();
    population.standardiser[0] = counted;
    CHECK(contains(refusal([&] { e.population.restore(population); }), "memory.standardiser"));
  }
  auto single = learnt<float>(stream, RandomFeatures{3}, 12);
  auto memory = single.population.memory();
  memory.gram[0] = 1e300;
  CHECK(contains(refusal([&] { single.population.restore(memory); }), "precision"));
}
