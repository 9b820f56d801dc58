// Nanoseconds per agent and step of the population without Python, and the fraction of this
// machine's in-place update bandwidth that its bytes make.
//
//     cmake -S . -B build -DMEMOA_BUILD_BENCH=ON && cmake --build build --target bench_population
//     build/bench/cpp/bench_population --benchmark_filter=N:1000000/p:8/
//
// The limit is measured by `update` over an array as large as the agents' state, just before the
// steps of that size; a filter that leaves it out leaves out the fraction too. The benchmark that
// interleaves is bench/bench_population.py.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "memoa/memoa.hpp"

extern "C" {
void memoa_bench_update(double* a, double s, std::ptrdiff_t n, int repeats, int threads);
}

namespace {

using memoa::Index;

/// The engine by the type of its numbers.
template <class Real>
struct Engine {
  using Population = memoa::BasicPopulation<Real>;
  using ServerMixture = memoa::BasicServerMixture<Real>;
};

constexpr Index kInputs = 4, kSteps = 64;
constexpr Index kTile = 16;       // steps of one `run`
constexpr double kLargest = 1e9;  // bytes of the arrays that stand for all larger ones
constexpr Index kCost = 8;        // bytes, whatever the type of the other numbers

/// The arguments of every benchmark, in their order.
struct Case {
  Index number, n_agents, p, d;  // number: its size in bytes
  int threads;
  Case(const benchmark::State& state, Index size)
      : number(size),
        n_agents(state.range(0)),
        p(state.range(1)),
        d(state.range(2)),
        threads(static_cast<int>(state.range(3))) {}

  /// Bytes per agent and step, and per agent, as in bench/step_bytes.py.
  double step_bytes() const {
    const Index numbers = p * (p + 1) + 2 * p * d + p * (kInputs + 1) + 5 * d + 3;
    return static_cast<double>(numbers * number + 2 * kCost);
  }
  double agent_bytes() const {
    const Index numbers = p * (p + 1) / 2 + p * d + p * (kInputs + 1) + d + 1;
    return static_cast<double>(numbers * number + kCost);
  }
  double set_bytes() const {
    return std::min(kLargest, agent_bytes() * static_cast<double>(n_agents));
  }
};

/// A slowly wandering input and noisy targets.
struct Stream {
  std::vector<double> inputs, targets;
  explicit Stream(Index d) : inputs(kSteps * kInputs), targets(kSteps * d) {
    std::mt19937_64 random(0);
    std::normal_distribution<double> normal;
    for (std::size_t k = 0; k < inputs.size(); ++k)
      inputs[k] = 0.3 * normal(random) + (k < kInputs ? 0.0 : inputs[k - kInputs]);
    for (double& y : targets) y = normal(random);
  }
};

memoa::PopulationSettings settings_of(const Case& c) {
  memoa::PopulationSettings settings;
  settings.n_agents = c.n_agents;
  settings.n_inputs = kInputs;
  settings.n_outputs = c.d;
  settings.encoder = memoa::RandomFeatures{c.p};
  settings.n_threads = c.threads;
  return settings;
}

/// Bytes per second of `a = s a`, by the size of the array and the threads.
std::map<std::pair<double, int>, double>& limits() {
  static std::map<std::pair<double, int>, double> found;
  return found;
}

double seconds_since(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

/// Plain numbers: google-benchmark would print its own rates per second.
void report(benchmark::State& state, const Case& c, Index steps, double seconds, bool moves_all) {
  const double work = static_cast<double>(state.iterations() * steps * c.n_agents);
  state.counters["ns/agent-step"] = 1e9 * seconds / work;
  if (!moves_all) return;  // a tiled run moves less than its steps would one by one
  state.counters["bytes"] = c.step_bytes();
  const auto limit = limits().find({c.set_bytes(), c.threads});
  if (limit != limits().end())
    state.counters["fraction"] = work * c.step_bytes() / seconds / limit->second;
}

template <class Real>
void update(benchmark::State& state) {
  const Case c(state, sizeof(Real));
  std::vector<double> a(static_cast<std::size_t>(c.set_bytes() / 8.0), 1.0);
  const auto n = static_cast<std::ptrdiff_t>(a.size());
  const double bytes = 16.0 * static_cast<double>(n);
  const int passes = std::max(1, static_cast<int>(1.6e7 / bytes));
  memoa_bench_update(a.data(), 1.0, n, 1, c.threads);
  double total = 0.0;
  for (auto _ : state) {
    const auto began = std::chrono::steady_clock::now();
    memoa_bench_update(a.data(), 1.0, n, passes, c.threads);
    const double seconds = seconds_since(began);
    state.SetIterationTime(seconds);
    total += seconds;
  }
  const double rate = bytes * passes * static_cast<double>(state.iterations()) / total;
  state.counters["GB/s"] = 1e-9 * rate;
  limits()[{c.set_bytes(), c.threads}] = rate;
}

template <class Real>
void step(benchmark::State& state) {
  const Case c(state, sizeof(Real));
  const Stream stream(c.d);
  typename Engine<Real>::Population population(settings_of(c));
  Index t = 0;
  const auto one = [&] {
    population.predict(stream.inputs.data() + t * kInputs);
    population.learn(stream.targets.data() + t * c.d);
    t = (t + 1) % kSteps;
  };
  for (int k = 0; k < 3; ++k) one();
  const auto began = std::chrono::steady_clock::now();
  for (auto _ : state) one();
  report(state, c, 1, seconds_since(began), true);
}

template <class Real>
void run(benchmark::State& state) {
  const Case c(state, sizeof(Real));
  const Stream stream(c.d);
  typename Engine<Real>::Population population(settings_of(c));
  typename Engine<Real>::ServerMixture mixture(c.n_agents, c.d, {0}, c.threads);
  std::vector<double> predictions(static_cast<std::size_t>(kTile * c.d));
  memoa::RunOutput output;
  output.predictions = predictions.data();
  const auto tile = [&] {
    memoa::run(population, mixture, stream.inputs.data(), stream.targets.data(), kTile, output);
  };
  tile();
  const auto began = std::chrono::steady_clock::now();
  for (auto _ : state) tile();
  report(state, c, kTile, seconds_since(began), false);
}

using Function = void (*)(benchmark::State&);

void add(const std::string& name, Function function, const std::vector<std::int64_t>& arguments) {
  auto* made = benchmark::RegisterBenchmark(name.c_str(), function);
  made->ArgNames({"N", "p", "d", "threads"})->Args(arguments);
  made->MinTime(0.1)->Unit(benchmark::kMicrosecond);
  if (name.rfind("update", 0) == 0)
    made->UseManualTime();
  else
    made->UseRealTime();
}

/// A limit and what is held against it stand beside each other.
template <class Real>
void add_all(const std::string& dtype) {
  for (const std::int64_t n : {1'000, 10'000, 100'000, 1'000'000})
    for (const std::int64_t p : {8, 16})
      for (const std::int64_t d : {1, 4})
        for (const std::int64_t threads : {1, 2}) {
          const std::vector<std::int64_t> arguments{n, p, d, threads};
          add("update/" + dtype, update<Real>, arguments);
          add("step/" + dtype, step<Real>, arguments);
          add("run/" + dtype, run<Real>, arguments);
        }
}

}  // namespace

int main(int argc, char** argv) {
  add_all<double>("float64");
  add_all<float>("float32");
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
