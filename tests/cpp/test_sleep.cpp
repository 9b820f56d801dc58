#include <cstdlib>
#include <filesystem>
#include <random>

#include "allocations.hpp"
#include "memoa/ensemble.hpp"
#include "populations.hpp"

// Agents that are away, theory (10.10).

using namespace memoa;
using problems::random_stream;
using problems::Stream;
using tests::contains;
using tests::kEncoders;
using tests::mixture_of;
using tests::refusal;
using tests::see;
using tests::settings_of;

namespace {

using Flags = std::vector<unsigned char>;

/// Some now and then, agent 1 never, and nobody for three steps.
Flags absences(Index n_steps, Index n_agents) {
  std::mt19937 random(3);
  Flags awake(static_cast<std::size_t>(n_steps * n_agents));
  for (Index t = 0; t < n_steps; ++t)
    for (Index i = 0; i < n_agents; ++i)
      awake[t * n_agents + i] = i != 1 && random() % 10 < 7 && (t < 30 || t > 32) ? 1 : 0;
  return awake;
}

template <class Real>
struct Pair {
  explicit Pair(const PopulationSettings& settings)
      : population(settings),
        server(settings.n_agents, settings.n_outputs, mixture_of(settings), settings.n_threads) {
    const std::vector<double> zero(static_cast<std::size_t>(settings.n_outputs), 0.0);
    population.observe(zero.data());
  }
  BasicPopulation<Real> population;
  BasicServerMixture<Real> server;
};

template <class Real>
std::vector<double> run_all(Pair<Real>& pair, const Stream& stream, const unsigned char* awake) {
  std::vector<double> predictions(stream.targets.size());
  RunOutput output;
  output.predictions = predictions.data();
  run(pair.population, pair.server, stream.inputs.data(), stream.targets.data(), stream.n_steps,
      output, nullptr, {}, 1, Labels::own, awake);
  return predictions;
}

template <class Real>
std::vector<double> missed_by(const BasicPopulation<Real>& population) {
  std::vector<double> missed(static_cast<std::size_t>(population.settings().n_agents));
  population.missed(missed.data());
  return missed;
}

}  // namespace

TEST_CASE_TEMPLATE("a run of some agents is its steps, bit for bit, on every level", Real, double,
                   float) {
  const Index T = 60;
  for (const char* level : {"baseline", ""}) {
    *level ? setenv("MEMOA_INSTRUCTION_SET", level, 1) : unsetenv("MEMOA_INSTRUCTION_SET");
    for (const Index N : {Index(9), Index(37), Index(600)})
      for (const Encoders& encoder : kEncoders)
        for (const Aggregate aggregate : {Aggregate::mean, Aggregate::trimmed, Aggregate::clip}) {
          if (N == 600 && &encoder != &kEncoders[5] && &encoder != &kEncoders[8]) continue;
          const Stream stream = random_stream(7, T, 2, 2);
          PopulationSettings settings = settings_of(N, stream, encoder);
          settings.aggregate = aggregate;
          Pair<Real> whole(settings), stepped(settings);
          const Flags awake = absences(T, N);
          const std::vector<double> predictions = run_all(whole, stream, awake.data());
          bool same = true;
          std::vector<double> one(2), missed(static_cast<std::size_t>(N));
          for (Index t = 0; t < T; ++t) {
            const unsigned char* here = awake.data() + t * N;
            predict(stepped.population, stepped.server, stream.x(t), one.data(), here);
            for (Index o = 0; o < 2; ++o) same = same && one[o] == predictions[t * 2 + o];
            learn(stepped.population, stepped.server, stream.y(t));
            for (Index i = 0; i < N; ++i) missed[i] += here[i] ? 0.0 : 2.0;
          }
          CHECK(same);
          for (const double prediction : predictions) CHECK(std::isfinite(prediction));
          CHECK(see(whole.population) == see(stepped.population));
          CHECK(missed_by(whole.population) == missed);
          CHECK(missed_by(stepped.population) == missed);
          CHECK(see(whole.population).costs[1] == 0.0);
        }
  }
  unsetenv("MEMOA_INSTRUCTION_SET");
}

TEST_CASE_TEMPLATE("what an agent learns is what it learns awake", Real, double, float) {
  const Index N = 37, T = 50;
  const Stream stream = random_stream(4, T, 3, 2);
  for (const Encoders& encoder : kEncoders) {
    const PopulationSettings settings = settings_of(N, stream, encoder);
    Pair<Real> asleep(settings), never(settings);
    const Flags awake = absences(T, N), all(awake.size(), 1);
    run_all(asleep, stream, awake.data()), run_all(never, stream, all.data());
    const PopulationMemory one = asleep.population.memory(), other = never.population.memory();
    CHECK(one.gram == other.gram);
    CHECK(one.cross == other.cross);
    CHECK(one.reservoir == other.reservoir);
    CHECK(one.mean_field != other.mean_field);
    CHECK(other.sleep.empty());  // all were there
    Pair<Real> unmasked(settings);
    run_all(unmasked, stream, nullptr);
    CHECK(see(unmasked.population) == see(never.population));
  }
}

TEST_CASE("a memory tells who was away") {
  const Index N = 21;
  const Stream stream = random_stream(5, 40, 2, 2);
  const PopulationSettings settings = settings_of(N, stream);
  Pair<double> pair(settings), other(settings);
  const PopulationMemory before = pair.population.memory();
  CHECK(before.sleep.empty());
  const Flags awake = absences(40, N);
  run_all(pair, stream, awake.data());
  const PopulationMemory memory = pair.population.memory();
  REQUIRE(memory.sleep.size() == static_cast<std::size_t>(2 * N));
  other.population.restore(memory);
  CHECK(missed_by(other.population) == missed_by(pair.population));
  std::vector<double> forecast(2);
  predict(pair.population, pair.server, stream.x(0), forecast.data(), awake.data());
  Flags waits(static_cast<std::size_t>(N));
  CHECK(pair.population.awake(waits.data()));
  CHECK(waits == Flags(awake.begin(), awake.begin() + N));
  CHECK(pair.population.memory().sleep != memory.sleep);
  predict(pair.population, pair.server, stream.x(0), forecast.data());
  CHECK_FALSE(pair.population.awake(waits.data()));
  CHECK(pair.population.memory().sleep == memory.sleep);
  pair.population.restore(before);
  CHECK(missed_by(pair.population) == std::vector<double>(N, 0.0));
  CHECK(pair.population.memory().sleep.empty());
  PopulationMemory torn = memory;
  torn.sleep.pop_back();
  CHECK(contains(refusal([&] { pair.population.restore(torn); }), "memory.sleep"));
}

TEST_CASE_TEMPLATE("an ensemble whose agents sleep is saved with its forecast", Real, double,
                   float) {
  const Index N = 21, T = 40;
  const Stream stream = random_stream(6, T, 3, 2);
  const PopulationSettings settings = settings_of(N, stream, kEncoders[5]);
  using Ensemble = BasicOnlineEnsemble<Real>;
  Ensemble whole(settings, mixture_of(settings), {0.8}),
      steps(settings, mixture_of(settings), {0.8});
  const Flags awake = absences(T, N);
  const auto row = [&](Index t) { return Flags(&awake[t * N], &awake[t * N] + N); };
  const std::vector<double> forecasts = whole.run({stream.x(0), T, 3}, {stream.y(0), T, 2}, awake);
  const std::string path = (std::filesystem::temp_directory_path() /
                            ("memoa-sleep-" + std::to_string(std::random_device{}()) + ".npz"))
                               .string();
  for (Index t = 0; t < T; ++t) {
    const VectorView x(stream.x(t), 3);
    const std::vector<double> shown = steps.predict(x, row(t));
    for (Index o = 0; o < 2; ++o) CHECK(shown[o] == forecasts[t * 2 + o]);
    if (t % 7 == 3) {
      steps.save(path);
      steps = Ensemble::load(path);
    }
    steps.learn(x, VectorView(stream.y(t), 2));
  }
  std::filesystem::remove(path);
  CHECK(steps.agent_costs() == whole.agent_costs());
  CHECK(missed_by(steps.population()) == missed_by(whole.population()));
  const VectorView x(stream.x(0), 3);
  CHECK(contains(refusal([&] { steps.predict(x, Flags(3, 1)); }), "awake has 3"));
  CHECK(contains(refusal([&] {
                   steps.run({stream.x(0), T, 3}, {stream.y(0), T, 2}, row(0));
                 }),
                 "awake has 21"));
}

TEST_CASE("all are awake where y comes late") {
  const Stream stream = random_stream(6, 10, 2, 1);
  PopulationSettings settings = settings_of(4, stream);
  settings.past.delay = 2;
  Mixture mixture;
  mixture.delay = 2;
  Population population(settings);
  ServerMixture server(4, 1, mixture);
  const Flags awake(40, 1);
  double forecast = 0.0;
  CHECK(
      contains(refusal([&] { predict(population, server, stream.x(0), &forecast, awake.data()); }),
               "awake was given, but delay is 2"));
}

TEST_CASE_TEMPLATE("a warm step of some agents allocates nothing", Real, double, float) {
  const Index N = 600, T = 60;
  const Stream stream = random_stream(7, T, 2, 2);
  for (const Aggregate aggregate : {Aggregate::mean, Aggregate::trimmed}) {
    PopulationSettings settings = settings_of(N, stream, kEncoders[5]);
    settings.aggregate = aggregate;
    settings.n_threads = 1;
    Pair<Real> pair(settings);
    const Flags awake = absences(T, N);
    std::vector<double> forecast(2);
    std::size_t before = 0;
    for (Index t = 0; t < T; ++t) {
      if (t == 40) before = tests::allocations();
      predict(pair.population, pair.server, stream.x(t), forecast.data(), awake.data() + t * N);
      learn(pair.population, pair.server, stream.y(t));
    }
    CHECK(tests::allocations() - before == 0);
  }
}
