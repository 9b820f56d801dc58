#include <Eigen/Cholesky>

#include "populations.hpp"

using namespace memoa;
using problems::random_stream;
using problems::Stream;
using tests::contains;
using tests::distance;
using tests::follow;
using tests::kEncoders;
using tests::names;
using tests::refusal;
using tests::see;
using tests::Seen;
using tests::settings_of;
using tests::started;

namespace {

double activate(Activation activation, double a) {
  if (activation == Activation::relu) return std::max(a, 0.0);
  if (activation == Activation::tanh) return std::tanh(a);
  if (activation == Activation::cos) return std::cos(a);
  const double turns = a / (2.0 * 3.14159265358979323846) + 0.25;
  const double u = turns - std::floor(turns + 0.5);
  return 16.0 * u * (0.5 - std::abs(u));
}

/// Every agent's features along the stream, from the drawn weights: (T, N, p).
std::vector<double> encode(const Encoder& encoder, const Stream& stream, Index n_agents,
                           std::uint64_t seed) {
  const Index p = n_features(encoder, stream.n_inputs), dx = stream.n_inputs;
  const double energy = std::holds_alternative<Linear>(encoder) ? 1.0 : 2.0;
  std::vector<double> features(static_cast<std::size_t>(stream.n_steps * n_agents * p));
  for (Index i = 0; i < n_agents; ++i) {
    const EncoderWeights drawn = draw_weights(encoder, seed, static_cast<std::uint64_t>(i), dx);
    const Index q = static_cast<Index>(drawn.bias.size());
    RowMatrix V = RowMatrix::Zero(q, dx);
    for (Index k = 0; k < static_cast<Index>(drawn.input.size()); ++k) {
      const Index row = k * q / static_cast<Index>(drawn.input.size());
      V(row, drawn.columns.empty() ? k % dx : drawn.columns[k]) += drawn.input[k];
    }
    const VectorMap v(drawn.bias.data(), q);
    Eigen::VectorXd x(dx), z(p), r = Eigen::VectorXd::Zero(p);
    Standardiser standardiser(dx);
    for (Index t = 0; t < stream.n_steps; ++t) {
      standardiser.count(stream.x(t));
      standardiser.apply(stream.x(t), x.data());
      if (const auto* e = std::get_if<RandomFeatures>(&encoder)) {
        Eigen::VectorXd random = e->scale * V * x + v;
        for (double& a : random) a = activate(e->activation, a);
        z.tail(q) = random;
        for (Index k = 0; k < p - q; ++k) z[k] = k == 0 ? 1.0 : x[drawn.raw[k - 1]];
      } else if (std::holds_alternative<Linear>(encoder)) {
        z << 1.0, x;
      } else {
        const double leak = std::get<EchoState>(encoder).leak;
        const MatrixMap W(drawn.reservoir.data(), p, p);
        r = ((1.0 - leak) * r + leak * (W * r + V * x + v).array().tanh().matrix()).eval();
        z = r;
      }
      Eigen::Map<Eigen::VectorXd>(&features[(t * n_agents + i) * p], p) =
          std::sqrt(energy / static_cast<double>(p)) * z;
    }
  }
  return features;
}

}  // namespace

TEST_CASE("the encoders encode what their documentation says") {
  const Index N = 11;
  const Stream stream = random_stream(1, 25, 3, 2);
  for (const Encoders& encoders : kEncoders) {
    if (encoders.size() > 1) continue;
    const Encoder& encoder = encoders.front();
    PopulationSettings settings = settings_of(N, stream, encoder);
    settings.past = {};
    settings.bounded = false;
    Population inside = started(settings);
    const Index p = n_features(encoder, stream.n_inputs);
    settings.encoder = Precomputed{p};
    Population outside = started(settings);
    const std::vector<double> features = encode(encoder, stream, N, settings.seed);
    for (Index t = 0; t < stream.n_steps; ++t) {
      inside.predict(stream.x(t));
      outside.predict(features.data() + t * N * p);
      CHECK(distance(see(inside).predictions, see(outside).predictions) < 1e-9);
      inside.learn(stream.y(t));
      outside.learn(stream.y(t));
    }
  }
}

TEST_CASE("a greedy forecast is the weighted ridge solution") {
  const Index N = 3, p = 4, d = 2, T = 12;
  const Stream stream = random_stream(2, T, N * p, d);  // its inputs serve as features
  PopulationSettings settings = settings_of(N, stream, Precomputed{p}, PolicyKind::greedy);
  Population population(settings);
  const std::vector<double> start{3.0, -1.0};
  population.observe(start.data());
  std::vector<double> changes(start.size());
  RowMatrix history(0, d);
  for (Index t = 0; t < T; ++t) {
    population.predict(stream.x(t));
    const Seen seen = see(population);
    const VectorMap base(t == 0 ? start.data() : stream.y(t - 1), d);
    for (Index i = 0; i < N; ++i) {
      RowMatrix H = settings.ridge[0] * RowMatrix::Identity(p, p), q = RowMatrix::Zero(p, d);
      for (Index s = 0; s < t; ++s) {
        const VectorMap z(stream.x(s) + i * p, p), y(stream.y(s), d);
        const VectorMap before(s == 0 ? start.data() : stream.y(s - 1), d);
        const double lambda = settings.forgetting[i % settings.forgetting.size()];
        const double weight = std::pow(lambda, static_cast<double>(t - 1 - s));
        H += weight * z * z.transpose();
        q += weight * z * (y - before).transpose();
      }
      const Eigen::VectorXd solved =
          Eigen::LDLT<Eigen::MatrixXd>(H).solve(VectorMap(stream.x(t) + i * p, p));
      const Eigen::VectorXd expected = base + q.transpose() * solved;
      for (Index o = 0; o < d; ++o)
        CHECK(seen.predictions[i * d + o] == doctest::Approx(expected[o]).epsilon(1e-10));
    }
    population.learn(stream.y(t));
  }
}

TEST_CASE("an agent of a type forecasts as in a population of that type alone") {
  const Index N = 61;  // eight blocks of lanes, the last of them ragged
  const Stream stream = random_stream(4, 20, 3, 2);
  const std::vector<double> forgetting{0.9, 0.98, 1.0}, ridge{5.0, 0.1, 1.0};
  PopulationSettings settings = settings_of(N, stream, RandomFeatures{}, PolicyKind::greedy);
  settings.forgetting = forgetting;
  settings.ridge = ridge;
  Population mixed = started(settings);
  follow(mixed, stream, 0, stream.n_steps);
  const Seen seen = see(mixed);
  for (Index k = 0; k < 3; ++k) {
    settings.forgetting = {forgetting[k]};
    settings.ridge = {ridge[k]};
    Population pure = started(settings);
    follow(pure, stream, 0, stream.n_steps);
    const Seen alone = see(pure);
    for (Index i = k; i < N; i += 3) {
      CHECK(seen.costs[i] == alone.costs[i]);
      for (Index o = 0; o < 2; ++o)
        CHECK(seen.predictions[i * 2 + o] == alone.predictions[i * 2 + o]);
    }
  }
}

TEST_CASE_TEMPLATE("an agent of a mix forecasts as in a population of its encoder alone", Real,
                   double, float) {
  const Index N = 2000;  // several chunks of each encoder
  const Stream stream = random_stream(4, 20, 3, 2);
  const Encoders mix{RandomFeatures{7, Activation::wave, 1.0, 2, 2}, EchoState{4}, Linear{}};
  PopulationSettings settings = settings_of(N, stream, mix, PolicyKind::greedy);
  settings.forgetting = {0.9, 0.98, 1.0, 0.95, 0.99};  // counted apart from the encoders
  settings.ridge = {5.0, 0.1, 1.0, 2.0, 0.5};
  BasicPopulation<Real> mixed = started<Real>(settings);
  follow(mixed, stream, 0, stream.n_steps);
  const Seen seen = see(mixed);
  bool same = true;
  for (Index k = 0; k < 3; ++k) {
    settings.encoder = mix[static_cast<std::size_t>(k)];
    BasicPopulation<Real> pure = started<Real>(settings);
    follow(pure, stream, 0, stream.n_steps);
    const Seen alone = see(pure);
    for (Index i = k; i < N; i += 3) {
      same = same && seen.costs[i] == alone.costs[i];
      for (Index o = 0; o < 2; ++o)
        same = same && seen.predictions[i * 2 + o] == alone.predictions[i * 2 + o];
    }
  }
  CHECK(same);
  std::vector<double> energies(N);
  mixed.energies(energies.data());
  CHECK(*std::min_element(energies.begin(), energies.end()) > 0.0);
}

TEST_CASE_TEMPLATE("a mix of equal encoders is one encoder", Real, double, float) {
  const Index N = 700;
  const Stream stream = random_stream(5, 20, 3, 2);
  const Encoder one = RandomFeatures{5, Activation::wave};
  for (const PolicyKind policy : {PolicyKind::memoa, PolicyKind::greedy}) {
    auto alone = started<Real>(settings_of(N, stream, one, policy));
    auto mixed = started<Real>(settings_of(N, stream, {one, one, one}, policy));
    follow(alone, stream, 0, stream.n_steps);
    follow(mixed, stream, 0, stream.n_steps);
    CHECK(see(mixed) == see(alone));
    CHECK(mixed.memory().gram == alone.memory().gram);
    CHECK(mixed.memory().cross == alone.memory().cross);
  }
}

TEST_CASE("over one stage an agent's prediction is stationary for its cost") {
  // d/du of (u - c)^2 + l (u - m)^2 + g |b|^2, where u = z'b costs |b|^2 = u^2 / |z|^2
  const Index N = 9, p = 3;
  const Stream stream = random_stream(3, 15, N * p, 1);
  PopulationSettings settings = settings_of(N, stream, Precomputed{p});
  settings.horizon = 1;
  settings.consensus = 0.7;
  settings.effort = 0.2;
  Population nash = started(settings);
  settings.policy = PolicyKind::greedy;
  Population greedy = started(settings);  // learns the same, and shows the forecasts c
  for (Index t = 0; t < stream.n_steps; ++t) {
    nash.predict(stream.x(t));
    greedy.predict(stream.x(t));
    const double base = *nash.base(), m = *nash.mean_field() - base;
    std::vector<double> energies(N);
    nash.energies(energies.data());
    for (Index i = 0; i < N; ++i) {
      const double u = nash.increments()[i], c = greedy.increments()[i];
      const double energy = VectorMap(stream.x(t) + i * p, p).squaredNorm();
      CHECK(std::abs(energies[i] - energy) < 1e-12 * (1.0 + energy));
      CHECK(std::abs((u - c) + 0.7 * (u - m) + 0.2 * u / energy) < 1e-12);
    }
    nash.learn(stream.y(t));
    greedy.learn(stream.y(t));
  }
}

TEST_CASE("the mean field is the mean of the predictions") {
  const Stream stream = random_stream(4, 20, 2, 2);
  for (const PolicyKind policy : {PolicyKind::memoa, PolicyKind::greedy})
    for (const Encoders& encoder : kEncoders) {
      PopulationSettings settings = settings_of(21, stream, encoder, policy);
      settings.aggregate = Aggregate::mean;
      Population population(settings);
      for (Index t = 0; t < stream.n_steps; ++t) {
        population.predict(stream.x(t));
        const Seen seen = see(population);
        const Eigen::VectorXd mean = MatrixMap(seen.predictions.data(), 21, 2).colwise().mean();
        for (Index o = 0; o < 2; ++o) CHECK(std::abs(mean[o] - seen.mean_field[o]) < 1e-12);
        population.learn(stream.y(t));
      }
    }
}

TEST_CASE("without consensus and effort the policy is greedy") {
  const Stream stream = random_stream(5, 20, 2, 2);
  PopulationSettings settings = settings_of(10, stream, RandomFeatures{8, Activation::cos});
  settings.consensus = 0.0;
  settings.effort = 1e-13;
  Population nash(settings);
  settings.policy = PolicyKind::greedy;
  Population greedy(settings);
  follow(nash, stream, 0, 20);
  follow(greedy, stream, 0, 20);
  CHECK(distance(see(nash).predictions, see(greedy).predictions) < 1e-8);
}

TEST_CASE("costs are sums of squared errors, and the worst one counts from the mark") {
  const Stream stream = random_stream(6, 12, 2, 2);
  Population population = started(settings_of(10, stream));
  std::vector<double> costs(10, 0.0), at_mark(10, 0.0);
  for (Index t = 0; t < stream.n_steps; ++t) {
    if (t == 6) {
      population.mark_costs();
      at_mark = costs;
      CHECK(population.worst_cost() == 0.0);
    }
    population.predict(stream.x(t));
    const std::vector<double> shown = see(population).predictions;
    for (Index i = 0; i < 10; ++i)
      for (Index o = 0; o < 2; ++o) costs[i] += std::pow(stream.y(t)[o] - shown[i * 2 + o], 2);
    population.learn(stream.y(t));
    double worst = 0.0;
    for (Index i = 0; i < 10; ++i) worst = std::max(worst, costs[i] - at_mark[i]);
    CHECK(population.worst_cost() == doctest::Approx(worst));
    std::vector<double> since(10);
    population.costs_since_mark(since.data());
    for (Index i = 0; i < 10; ++i) CHECK(std::abs(since[i] - (costs[i] - at_mark[i])) < 1e-10);
  }
  CHECK(distance(see(population).costs, costs) < 1e-10);
}

TEST_CASE("a population begins with the agents of a smaller one") {
  const Stream stream = random_stream(7, 15, 2, 2);
  for (const Encoders& encoder : kEncoders) {
    Population few(settings_of(11, stream, encoder, PolicyKind::greedy));
    Population many(settings_of(700, stream, encoder, PolicyKind::greedy));
    follow(few, stream, 0, 15);
    follow(many, stream, 0, 15);
    const std::vector<double> a = see(few).predictions, b = see(many).predictions;
    CHECK(std::equal(a.begin(), a.end(), b.begin()));
  }
}

TEST_CASE("a prediction leaves no trace until it is learnt") {
  const Stream stream = random_stream(8, 10, 2, 1);
  for (const Encoders& encoder : kEncoders) {
    Population a(settings_of(10, stream, encoder)), b(settings_of(10, stream, encoder));
    for (Index t = 0; t + 1 < stream.n_steps; ++t) {
      b.predict(stream.x(t + 1));
      CHECK(b.is_pending());
      follow(a, stream, t, t + 1);
      follow(b, stream, t, t + 1);
    }
    CHECK(see(a) == see(b));
    CHECK(a.steps() == 8);  // the first y was observed
  }
}

TEST_CASE("refused input changes nothing") {
  const Stream stream = random_stream(9, 10, 2, 2);
  Population a(settings_of(10, stream)), b(settings_of(10, stream));
  const std::vector<double> bad{0.0, INFINITY}, large{0.0, -2e150};
  for (Index t = 0; t < stream.n_steps; ++t) {
    CHECK(names(refusal([&] { b.learn(stream.y(t)); }), "x was not predicted"));
    CHECK(names(refusal([&] { b.observe(bad.data()); }), "y holds inf at [1]"));
    CHECK(names(refusal([&] { b.predict(bad.data()); }), "x holds inf at [1]"));
    for (const std::string& message :
         {refusal([&] { b.observe(large.data()); }), refusal([&] { b.predict(large.data()); })})
      CHECK(contains(message, " holds -2e+150 at [1]; expected numbers of at most 1e+150"));
    b.predict(stream.x(t));
    CHECK(names(refusal([&] { b.predict(bad.data()); }), "x"));
    CHECK(names(refusal([&] { b.learn(bad.data()); }), "y"));
    CHECK(names(refusal([&] { b.learn(large.data()); }), "y holds -2e+150"));
    CHECK(b.is_pending());
    b.learn(stream.y(t));
    follow(a, stream, t, t + 1);
    CHECK(see(a) == see(b));
  }
}

TEST_CASE("observe replaces the base and drops what was predicted") {
  const Stream stream = random_stream(10, 5, 2, 1);
  Population population(settings_of(4, stream));
  CHECK(*population.base() == 0.0);
  population.predict(stream.x(0));
  const double y = 7.0;
  population.observe(&y);
  CHECK(*population.base() == 7.0);
  CHECK_FALSE(population.is_pending());
  population.predict(stream.x(0));
  CHECK(see(population).predictions == std::vector<double>(4, 7.0));  // nothing learnt yet
}

TEST_CASE("float32 refuses what it cannot square, features of any size are taken") {
  PopulationSettings settings;
  settings.n_agents = 2;
  PopulationF32 narrow(settings);
  const double y = 2e15, x = 1e149, far = 1e300;
  CHECK(names(refusal([&] { narrow.observe(&y); }), "y holds 2e+15 at [0]; expected numbers of"));
  CHECK(refusal([&] { narrow.predict(&x); }).empty());  // standardised in double
  CHECK(names(refusal([&] { narrow.predict(&far); }), "x holds 1e+300"));
  settings.encoder = Precomputed{1};
  PopulationF32 given(settings);
  const double features[] = {1e300, 1.0};
  CHECK(refusal([&] { given.predict(features); }).empty());
}

TEST_CASE("the first y ever seen is observed, not learnt") {
  const Stream stream = random_stream(11, 8, 2, 2);
  for (const Encoders& encoder : kEncoders) {
    Population learning(settings_of(10, stream, encoder)),
        observing(settings_of(10, stream, encoder));
    CHECK_FALSE(learning.has_seen());
    learning.predict(stream.x(0));
    CHECK(see(learning).predictions == std::vector<double>(20, 0.0));
    CHECK(see(learning).mean_field == std::vector<double>(2, 0.0));
    learning.learn(stream.y(0));
    observing.observe(stream.y(0));
    CHECK(learning.has_seen());
    CHECK(learning.steps() == 0);
    CHECK(see(learning).costs == std::vector<double>(10, 0.0));
    follow(learning, stream, 1, 8);
    follow(observing, stream, 1, 8);
    CHECK(see(learning) == see(observing));
    CHECK(learning.memory().gram == observing.memory().gram);
    CHECK(learning.memory().reservoir == observing.memory().reservoir);
    CHECK(learning.memory().standardiser == observing.memory().standardiser);
  }
}

TEST_CASE("an agent without features repeats the base, at any discount") {
  PopulationSettings settings;
  settings.n_agents = 3;
  settings.encoder = Precomputed{1};
  settings.discount = 200.0;  // the first stages' weights underflow to zero
  Population population(settings);
  const std::vector<double> features{0.0, 1.0, 1e200};  // and one whose energy overflows
  for (const double y : {1.0, 3.0, 4.0, 6.0}) {
    population.predict(features.data());
    const Seen seen = see(population);
    CHECK(seen.predictions[0] == *population.base());
    CHECK(std::isfinite(seen.predictions[1]));
    CHECK(seen.predictions[2] == *population.base());
    population.learn(&y);
  }
}

TEST_CASE("a setting out of range is named") {
  const auto with = [](auto change) {
    PopulationSettings settings;
    change(settings);
    return refusal([&] { Population{settings}; });
  };
  using S = PopulationSettings;
  CHECK(with([](S&) {}).empty());
  CHECK(names(with([](S& s) { s.n_agents = 0; }), "n_agents"));
  CHECK(names(with([](S& s) { s.n_inputs = 0; }), "n_inputs"));
  CHECK(names(with([](S& s) { s.n_outputs = 0; }), "n_outputs"));
  CHECK(names(with([](S& s) { s.encoder = EchoState{0}; }), "n_features"));
  CHECK(names(with([](S& s) { s.encoder = {Linear{}, EchoState{0}}; }), "n_features"));
  CHECK(names(with([](S& s) { s.encoder.clear(); }), "encoder is empty"));
  CHECK(names(with([](S& s) {
                s.encoder = {Linear{}, Precomputed{2}};
              }),
              "encoder[1] is Precomputed; expected it for all agents or for none"));
  CHECK(names(with([](S& s) {
                s.n_agents = 1, s.encoder = {Linear{}, EchoState{2}};
              }),
              "n_agents is 1; expected at least 2, one for each encoder"));
  CHECK(names(with([](S& s) { s.consensus = -1.0; }), "consensus"));
  CHECK(names(with([](S& s) { s.effort = 0.0; }), "effort"));
  CHECK(names(with([](S& s) { s.horizon = 0; }), "horizon"));
  CHECK(names(with([](S& s) { s.discount = NAN; }), "discount"));
  CHECK(names(with([](S& s) { s.forgetting = {1.5}; }), "forgetting"));
  CHECK(names(with([](S& s) { s.ridge = {0.0}; }), "ridge"));
  CHECK(names(with([](S& s) { s.forgetting = {}; }), "forgetting"));
  CHECK(names(with([](S& s) { s.ridge = {1.0, NAN}; }), "ridge[1]"));
  CHECK(names(with([](S& s) { s.forgetting = {0.9, 1.0}, s.ridge = {1, 2, 3}; }), "ridge"));
  CHECK(names(with([](S& s) { s.n_threads = -2; }), "n_threads"));
}
