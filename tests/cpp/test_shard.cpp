#include "memoa/shard.hpp"

#include "memoa/run.hpp"
#include "populations.hpp"
#include "ranks.hpp"

using namespace memoa;
using problems::random_stream;
using problems::Stream;
using tests::contains;
using tests::message_of;
using tests::Ranks;
using tests::refusal;
using tests::settings_of;

namespace {

// 512 is no multiple of their number
const Encoders kMix = {RandomFeatures{5, Activation::wave, 1.0, 2, 2}, EchoState{3}, Linear{},
                       RandomFeatures{2}, RandomFeatures{3}};

constexpr Index kN = 4 * kShardUnit + 37, kBefore = 5, kT = 40;

/// All that can be seen of both engines; what is of agents, from agent `first` on.
struct Seen {
  std::vector<double> forecasts, predictions, mean_field, worst, recorded, rows;  // of all
  std::vector<double> costs, weights, shown;                                      // of those here
  double worst_cost = 0.0;
};

/// Single steps, whole runs, looks ahead, and single steps again, on the agents of a shard.
template <class Real>
Seen follow(PopulationSettings s, const Stream& stream, const Mixture& mixing,
            const std::vector<double>& features = {}) {
  const Index d = s.n_outputs, p = n_features(s);
  BasicPopulation<Real> population(s);
  BasicServerMixture<Real> server(s.n_agents, d, mixing, 1, s.shard);
  const std::vector<double> zero(static_cast<std::size_t>(d), 0.0);
  population.observe(zero.data());
  std::vector<double> own;  // features of the agents here
  const Index total = s.total();
  for (Index t = 0; t < stream.n_steps && !features.empty(); ++t)
    own.insert(own.end(), features.begin() + (t * total + s.shard.first) * p,
               features.begin() + (t * total + s.shard.first + s.n_agents) * p);
  const Index width = own.empty() ? s.n_inputs : s.n_agents * p;
  const double* inputs = own.empty() ? stream.inputs.data() : own.data();
  Seen seen;
  const auto step = [&](Index t) {
    std::vector<double> forecast(static_cast<std::size_t>(d));
    predict(population, server, inputs + t * width, forecast.data());
    learn(population, server, stream.y(t));
    seen.forecasts.insert(seen.forecasts.end(), forecast.begin(), forecast.end());
  };
  for (Index t = 0; t < kBefore; ++t) step(t);
  const Index T = kT - 2 * kBefore;
  seen.predictions.resize(T * d), seen.mean_field.resize(T * d), seen.worst.resize(T);
  const std::vector<Index> record = {total - 1, 0, total / 2};
  seen.recorded.resize(T * 3 * d);
  RunOutput output;
  output.predictions = seen.predictions.data();
  output.mean_field = seen.mean_field.data();
  output.worst_cost = seen.worst.data();
  output.recorded = seen.recorded.data();
  output.record = record.data();
  output.n_record = 3;
  Index paused = s.shard.first / kShardUnit;  // every process takes its own time
  run(population, server, inputs + kBefore * width, stream.y(kBefore), T, output, nullptr,
      [&](Index) { return ++paused % 7; });
  seen.rows.resize(3 * d);
  predict_rows(population, server, inputs + (kT - kBefore) * width, 3, seen.rows.data());
  for (Index t = kT - kBefore; t < kT; ++t) step(t);
  seen.costs.resize(s.n_agents), seen.weights.resize(s.n_agents);
  seen.shown.resize(s.n_agents * d);
  population.costs(seen.costs.data());
  population.predictions(seen.shown.data());
  server.weights(seen.weights.data());
  seen.worst_cost = population.worst_cost();
  return seen;
}

void check_part(const std::vector<double>& part, const std::vector<double>& whole, Index first) {
  CHECK(std::equal(part.begin(), part.end(), whole.begin() + first));
}

template <class Real>
void check_ranks(int n_ranks, PopulationSettings s, const Stream& stream, const Mixture& mixing,
                 const std::vector<double>& features = {}) {
  CAPTURE(n_ranks);
  const Seen whole = follow<Real>(s, stream, mixing, features);
  std::vector<Seen> parts(static_cast<std::size_t>(n_ranks));
  std::vector<Index> firsts(parts.size());
  Ranks ranks(n_ranks);
  ranks.run(s.n_agents, [&](int rank, Index n_agents, const Shard& shard) {
    PopulationSettings here = s;
    here.n_agents = n_agents, here.shard = shard, here.n_threads = 1 + rank % 2;
    firsts[rank] = shard.first;
    parts[rank] = follow<Real>(here, stream, mixing, features);
  });
  for (int rank = 0; rank < n_ranks; ++rank) {
    const Seen& part = parts[rank];
    CHECK(part.forecasts == whole.forecasts);
    CHECK(part.predictions == whole.predictions);
    CHECK(part.mean_field == whole.mean_field);
    CHECK(part.worst == whole.worst);
    CHECK(part.recorded == whole.recorded);
    CHECK(part.rows == whole.rows);
    CHECK(part.worst_cost == whole.worst_cost);
    check_part(part.costs, whole.costs, firsts[rank]);
    check_part(part.weights, whole.weights, firsts[rank]);
    check_part(part.shown, whole.shown, firsts[rank] * s.n_outputs);
  }
}

PopulationSettings types(const Stream& stream, Aggregate aggregate, PolicyKind policy,
                         const Encoders& encoder = RandomFeatures{4}) {
  PopulationSettings s = settings_of(kN, stream, encoder, policy);
  s.forgetting = {0.9, 0.97, 0.99};  // 512 is no multiple of three
  s.aggregate = aggregate;
  s.n_threads = 1;
  return s;
}

}  // namespace

TEST_CASE_TEMPLATE("any number of processes computes the bits of one", Real, double, float) {
  const Stream stream = random_stream(3, kT, 2, 1);
  const Mixture mixing{8, 0.9};
  for (const Aggregate aggregate : {Aggregate::clip, Aggregate::mean, Aggregate::trimmed})
    for (const PolicyKind policy : {PolicyKind::memoa, PolicyKind::greedy})
      check_ranks<Real>(policy == PolicyKind::memoa ? 4 : 2, types(stream, aggregate, policy),
                        stream, mixing);
  check_ranks<Real>(1, types(stream, Aggregate::clip, PolicyKind::memoa), stream, mixing);
  check_ranks<Real>(3, types(stream, Aggregate::clip, PolicyKind::memoa), stream, mixing);
}

TEST_CASE("with several outputs, other encoders and other mixtures too") {
  const Stream stream = random_stream(4, kT, 3, 2);
  check_ranks<double>(3, types(stream, Aggregate::clip, PolicyKind::memoa, EchoState{3}), stream,
                      {5, 0.8});
  check_ranks<double>(4, types(stream, Aggregate::trimmed, PolicyKind::memoa, kMix), stream,
                      {5, 0.8});
  check_ranks<float>(2, types(stream, Aggregate::mean, PolicyKind::greedy, kMix), stream, {5, 0.8});
  Mixture none;
  none.window = 0;
  check_ranks<double>(2, types(stream, Aggregate::mean, PolicyKind::memoa, Linear{}), stream, none);
  Mixture plain{1, 1.0, 0.5, 0.7, true, false};
  check_ranks<double>(2, types(stream, Aggregate::trimmed, PolicyKind::memoa), stream, plain);
}

TEST_CASE("features may be the caller's, and of chunks that the jury must bound") {
  const Stream stream = random_stream(5, kT, 2, 1);
  const Index p = 3;
  for (const double energetic : {1.0, 1e3}) {
    std::vector<double> features(kT * kN * p);
    double next = 0.3;
    for (std::size_t k = 0; k < features.size(); ++k) {
      next = 3.99 * next * (1.0 - next);
      const bool third = k / p % kN / 256 == 3;  // a chunk of its own kind
      features[k] = (next - 0.4) * (third ? energetic : 1.0);
    }
    check_ranks<double>(3, types(stream, Aggregate::clip, PolicyKind::memoa, Precomputed{p}),
                        stream, {4, 0.9}, features);
  }
}

TEST_CASE("a step takes three exchanges, and so do sixteen of a run without rivals") {
  const Stream stream = random_stream(6, 64, 2, 1);
  const std::pair<Aggregate, bool> cases[] = {{Aggregate::clip, false},
                                              {Aggregate::mean, false},
                                              {Aggregate::trimmed, false},
                                              {Aggregate::trimmed, true}};
  for (const auto& one : cases) {
    const Aggregate aggregate = one.first;
    const bool rivals = one.second;
    Mixture mixing;
    mixing.rivals = rivals;
    PopulationSettings s = types(stream, aggregate, PolicyKind::memoa);
    Ranks ranks(2);
    ranks.run(kN, [&](int rank, Index n_agents, const Shard& shard) {
      PopulationSettings here = s;
      here.n_agents = n_agents, here.shard = shard;
      Population population(here);
      ServerMixture server(n_agents, 1, mixing, 1, shard);
      population.observe(stream.y(0));
      double forecast;
      for (Index t = 1; t <= 3; ++t) {
        predict(population, server, stream.x(t), &forecast);
        learn(population, server, stream.y(t));
      }
      if (rank == 0) CHECK(ranks.exchanges() == 9 + (rivals ? 2 * 2 : 0));  // not at the first step
      std::vector<double> predictions(32);
      RunOutput output;
      output.predictions = predictions.data();
      run(population, server, stream.x(4), stream.y(4), 32, output);
    });
    // and one for the length of the run
    CHECK(ranks.exchanges() == (rivals ? 13 + 1 + 2 * 2 + 32 * 3 : 9 + 1 + 2 * 3));
  }
}

TEST_CASE("processes that part are told in what") {
  const Stream stream = random_stream(7, 20, 2, 1);
  const auto parted = [&](const char* what) {
    std::vector<std::string> said(2);
    Ranks ranks(2);
    ranks.run(kN, [&](int rank, Index n_agents, const Shard& shard) {
      PopulationSettings s = types(stream, Aggregate::clip, PolicyKind::memoa);
      s.n_agents = n_agents, s.shard = shard;
      Population population(s);
      ServerMixture server(n_agents, 1, {}, 1, shard);
      population.observe(stream.y(0));
      double forecast;
      predict(population, server, stream.x(1), &forecast);
      learn(population, server, stream.y(1));
      const std::string text = what;
      Stream other = stream;
      if (text == "x" && rank == 1) other.inputs[4] += 1e-9;
      if (text == "X" && rank == 1) other.inputs[2 * 9] += 1e-9;
      if (text == "Y" && rank == 1) other.targets[9] += 1e-9;
      const auto step = [&] {
        if (text == "x") return predict(population, server, other.x(2), &forecast);
        std::vector<double> predictions(16);
        RunOutput output;
        output.predictions = predictions.data();
        const Index T = text == "steps" && rank == 1 ? 9 : 10;
        const double initial = text == "initial" && rank == 1 ? 2.0 : 1.0;
        run(population, server, other.x(2), other.y(2), T, output, &initial);
      };
      said[rank] = message_of<std::invalid_argument>(step);
      CHECK(contains(message_of<std::runtime_error>([&] { population.predict(stream.x(3)); }),
                     "broken"));
      std::vector<double> weights(n_agents);
      CHECK(contains(message_of<std::runtime_error>([&] { server.weights(weights.data()); }),
                     "broken"));
    });
    CHECK(said[0] == said[1]);
    return said[0];
  };
  CHECK(parted("x").rfind("x is not the same in all 2 processes", 0) == 0);
  CHECK(parted("X").rfind("X is not the same", 0) == 0);
  CHECK(parted("Y").rfind("Y is not the same", 0) == 0);
  CHECK(parted("initial").rfind("initial, or a y", 0) == 0);
  CHECK(parted("steps").rfind("the number of steps in X and Y is not", 0) == 0);
}

TEST_CASE("an exchange that fails breaks the engines, and they say so") {
  const Stream stream = random_stream(8, 20, 2, 1);
  for (int fails_at = 0; fails_at < 7; ++fails_at) {
    Ranks ranks(2);
    ranks.fails_at = fails_at;
    ranks.run(kN, [&](int, Index n_agents, const Shard& shard) {
      PopulationSettings s = types(stream, Aggregate::clip, PolicyKind::memoa);
      s.n_agents = n_agents, s.shard = shard;
      Population population(s);
      ServerMixture server(n_agents, 1, {}, 1, shard);
      population.observe(stream.y(0));
      const std::string error = message_of<std::runtime_error>([&] {
        double forecast;
        for (Index t = 1; t < 4; ++t) {
          predict(population, server, stream.x(t), &forecast);
          learn(population, server, stream.y(t));
        }
      });
      CHECK(error == "the wire was cut");
      std::vector<double> costs(n_agents);
      for (const std::string& later :
           {message_of<std::runtime_error>([&] { population.costs(costs.data()); }),
            message_of<std::runtime_error>([&] { population.memory(); }),
            message_of<std::runtime_error>([&] { population.observe(stream.y(0)); }),
            message_of<std::runtime_error>([&] { learn(population, server, stream.y(0)); }),
            message_of<std::runtime_error>([&] { server.memory(); })})
        CHECK(contains(later, "broken since an exchange"));
    });
  }
}

TEST_CASE("all agents are awake where processes share them") {
  Ranks(2).run(1024, [&](int, Index n_agents, const Shard& shard) {
    PopulationSettings s;
    s.n_agents = n_agents, s.shard = shard;
    Population population(s);
    const std::vector<unsigned char> awake(static_cast<std::size_t>(n_agents), 1);
    const double x = 1.0;
    CHECK(contains(refusal([&] { population.predict(&x, awake.data()); }),
                   "several processes share the agents"));
  });
}

TEST_CASE("a shard that cannot be is refused") {
  const auto of = [](Index n_agents, Index first, Index total) {
    PopulationSettings s;
    s.n_agents = n_agents, s.shard = {first, total, nullptr};
    return refusal([&] { validate(s); });
  };
  CHECK(of(512, 512, 1024).empty());
  CHECK(of(100, 512, 612).empty());
  CHECK(contains(of(512, 100, 612), "shard.first is 100; expected a multiple of 512"));
  CHECK(contains(of(512, -512, 612), "shard.first"));
  CHECK(contains(of(512, 512, 1000), "shard.total is 1000"));
  CHECK(contains(of(500, 512, 2000), "n_agents is 500; expected a multiple of 512"));
}
