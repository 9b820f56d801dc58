#include "allocations.hpp"
#include "checks.hpp"
#include "problems.hpp"

using namespace memoa;
using problems::Random;
using tests::contains;
using tests::distance;
using tests::names;
using tests::refusal;

namespace {

/// Predictions (W, N, d) scattered around targets (W, d).
struct Window {
  Index W, N, d;
  std::vector<double> targets, predictions;
  Window(std::uint64_t seed, Index steps, Index n_agents, Index n_outputs, double level = 0.0)
      : W(steps), N(n_agents), d(n_outputs) {
    Random random(seed);
    targets = random.uniforms(W * d, level - 1.0, level + 1.0);
    for (Index t = 0; t < W; ++t)
      for (Index i = 0; i < N; ++i)
        for (Index o = 0; o < d; ++o) {
          const double bias = 0.1 * static_cast<double>(i % 5);
          predictions.push_back(y(t)[o] + bias + random.uniform());
        }
  }
  const double* yhat(Index t) const { return predictions.data() + t * N * d; }
  const double* y(Index t) const { return targets.data() + t * d; }
  std::vector<double> weights(const Mixture& mixture) const {
    return mixture_weights(predictions.data(), targets.data(), W, N, d, mixture);
  }
};

/// The gradient (N,) of the objective (6.3), from its definition.
Eigen::VectorXd gradient(const Window& window, const Mixture& mixture,
                         const std::vector<double>& weights) {
  const VectorMap u(weights.data(), window.N);
  Eigen::VectorXd sum = Eigen::VectorXd::Zero(window.N);
  double squares = 0.0;
  for (Index t = 0; t < window.W; ++t) {
    const MatrixMap yhat(window.yhat(t), window.N, window.d);
    const VectorMap y(window.y(t), window.d);
    squares += (yhat.rowwise() - y.transpose()).squaredNorm();
    const double weight = std::pow(mixture.decay, static_cast<double>(window.W - 1 - t));
    sum += 2.0 * weight * (yhat * (yhat.transpose() * u - y));
  }
  const double kappa = mixture.absolute
                           ? mixture.ridge
                           : mixture.ridge * squares / static_cast<double>(window.W * window.d);
  return sum + 2.0 * kappa * u;
}

std::vector<double> weights_of(ServerMixture& server) {
  std::vector<double> weights(static_cast<std::size_t>(server.n_agents()));
  server.weights(weights.data());
  return weights;
}

/// Server forecasts (W, d) of learning the window step by step.
std::vector<double> follow(ServerMixture& server, const Window& window) {
  std::vector<double> mixed(static_cast<std::size_t>(window.W * window.d));
  for (Index t = 0; t < window.W; ++t) {
    server.predict(window.yhat(t), mixed.data() + t * window.d);
    server.update(window.yhat(t), window.y(t));
  }
  return mixed;
}

const Mixture kMixtures[] = {Mixture{}, Mixture{32, 0.9, 0.01}, Mixture{32, 1.0, 1.0, 0.5},
                             Mixture{32, 0.95, 0.3, 2.0, true}, Mixture{32, 0.95, 5.0, 0.0}};

}  // namespace

TEST_CASE("the weights meet the conditions of the constrained minimum") {
  for (const Mixture& mixture : kMixtures)
    for (const Index N : {1, 3, 100})
      for (const Index d : {1, 3}) {
        const Window window(N + d, 6, N, d);
        const std::vector<double> weights = window.weights(mixture);
        const Eigen::VectorXd slope = gradient(window, mixture, weights);
        // along sum u = total the objective is flat: all slopes are one multiplier
        const double spread = slope.maxCoeff() - slope.minCoeff();
        CHECK(spread < 1e-9 * (1.0 + slope.cwiseAbs().maxCoeff()));
        CHECK(VectorMap(weights.data(), N).sum() == doctest::Approx(mixture.total).epsilon(1e-12));
      }
}

TEST_CASE("levels far above the errors change no weight") {
  const Window near(4, 8, 20, 2);
  Window far = near;
  for (double& v : far.targets) v += 1e6;
  for (double& v : far.predictions) v += 1e6;
  CHECK(distance(near.weights({}), far.weights({})) < 1e-8);
}

TEST_CASE("equal weights where there is nothing to choose by") {
  const std::vector<double> equal(5, 0.2);
  Window exact(1, 4, 5, 1);
  for (Index t = 0; t < 4; ++t) std::fill_n(exact.predictions.begin() + t * 5, 5, exact.targets[t]);
  CHECK(exact.weights({}) == equal);
  const Window window(2, 4, 5, 1);
  ServerMixture none(5, 1, Mixture{0});
  follow(none, window);
  CHECK(weights_of(none) == equal);
  ServerMixture server(5, 1);
  for (Index t = 0; t < 3; ++t) {
    CHECK(weights_of(server) == equal);  // fewer than three steps
    server.update(window.yhat(t), window.y(t));
  }
  CHECK(weights_of(server) != equal);
}

TEST_CASE("the server's window is the last steps, through every turn of the ring") {
  for (Mixture mixture : kMixtures) {
    mixture.window = 4;
    const Window all(3, 11, 10, 2);
    ServerMixture server(10, 2, mixture);
    for (Index t = 0; t < all.W; ++t) {
      server.update(all.yhat(t), all.y(t));
      CHECK(server.steps() == t + 1);
      if (t < 3) continue;
      const std::vector<double> expected =
          mixture_weights(all.yhat(t - 3), all.y(t - 3), 4, 10, 2, mixture);
      CHECK(distance(weights_of(server), expected) < 1e-10);
    }
  }
}

TEST_CASE("the forecast averages the weighted sum of the predictions with the last target") {
  const Window window(5, 9, 30, 2, 100.0);
  for (Mixture mixture : kMixtures) {
    mixture.fallback = mixture.decay > 0.9, mixture.rivals = false, mixture.start = 0;
    ServerMixture server(30, 2, mixture);
    std::vector<double> mixed(2), share(2);
    for (Index t = 0; t < window.W; ++t) {
      const std::vector<double> u = weights_of(server);
      server.predict(window.yhat(t), mixed.data());
      server.mixture_weight(share.data());
      const Eigen::VectorXd sum =
          MatrixMap(window.yhat(t), 30, 2).transpose() * VectorMap(u.data(), 30);
      for (Index o = 0; o < 2; ++o) {
        const double last = t > 0 ? window.y(t - 1)[o] : 0.0;
        CHECK(std::abs(mixed[o] - (last + share[o] * (sum[o] - last))) < 1e-9);
        CHECK((mixture.fallback || share[o] == 1.0));
      }
      server.update(window.yhat(t), window.y(t));
    }
  }
}

TEST_CASE("the mixture's weight follows the losses, and may come back") {
  const Index N = 4, T = 400;
  Mixture mixture;
  mixture.rivals = false, mixture.start = 0;
  ServerMixture server(N, 1, mixture);
  const auto share = [&] {
    double weight = NAN;
    server.mixture_weight(&weight);
    return weight;
  };
  Random random(12);
  double y = 0.0, lowest = 1.0;
  CHECK(share() == 1.0);  // no last target yet
  for (Index t = 0; t < T; ++t) {
    const bool useful = t >= T / 2;
    const double next = y + random.uniform() - 0.5;
    const std::vector<double> yhat(N, useful ? next + 0.01 : y + 1.0);
    server.update(yhat.data(), &next);
    y = next;
    lowest = std::min(lowest, share());
    // never below 1 / (1 + sqrt(count + 1)) of the t steps compared
    CHECK(share() >= 1.0 / (1.0 + std::sqrt(static_cast<double>(t) + 1.0)) - 1e-12);
  }
  CHECK(lowest < 0.1);
  CHECK(share() > 0.99);
}

TEST_CASE("predicting or not, and on how many threads, changes no bit") {
  const Window window(6, 8, 5000, 2);
  ServerMixture one(5000, 2, {}, 1), two(5000, 2, {}, 2), three(5000, 2, {}, 3), silent(5000, 2);
  const std::vector<double> mixed = follow(one, window);
  CHECK(follow(two, window) == mixed);
  CHECK(follow(three, window) == mixed);
  for (Index t = 0; t < window.W; ++t) silent.update(window.yhat(t), window.y(t));
  const std::vector<double> weights = weights_of(one);
  CHECK(weights_of(two) == weights);
  CHECK(weights_of(three) == weights);
  CHECK(weights_of(silent) == weights);
}

TEST_CASE("a restored server goes on with the same bits") {
  const Window before(7, 6, 40, 2), after(8, 5, 40, 2);
  for (const Index window : {0, 4}) {
    const Mixture mixture{window};
    ServerMixture one(40, 2, mixture), restored(40, 2, mixture);
    follow(one, before);
    restored.restore(one.memory());
    CHECK(restored.steps() == 6);
    CHECK(follow(restored, after) == follow(one, after));
    CHECK(weights_of(restored) == weights_of(one));
  }

  ServerMixture server(40, 2, Mixture{4});
  follow(server, before);
  ServerMixture other(40, 2, Mixture{5});
  CHECK(names(refusal([&] { other.restore(server.memory()); }), "memory.errors has 320 numbers"));
  const auto refused = [&](auto change) {
    MixtureMemory memory = server.memory();
    change(memory);
    return refusal([&] { server.restore(memory); });
  };
  const std::vector<double> weights = weights_of(server);
  using M = MixtureMemory;
  CHECK(names(refused([](M& m) { m.newest = 4; }), "memory.newest is 4"));
  CHECK(names(refused([](M& m) { m.newest = -1; }), "memory.newest is -1"));
  CHECK(names(refused([](M& m) { m.steps = -1; }), "memory.steps is -1"));
  CHECK(names(refused([](M& m) { m.losses.pop_back(); }), "memory.losses has 13 numbers"));
  CHECK(names(refused([](M& m) { m.gram[9] = NAN; }), "memory.gram holds nan at [1, 1]"));
  CHECK(weights_of(server) == weights);
}

TEST_CASE("bad input is named and changes nothing") {
  const Window window(9, 5, 6, 1);
  ServerMixture server(6, 1);
  follow(server, window);
  const std::vector<double> weights = weights_of(server);
  std::vector<double> bad(6, 0.0);
  bad[4] = NAN;
  const double y = 0.0, infinite = INFINITY, large = -2e150, for_float = 2e15;
  double mixed = 0.0;
  CHECK(names(refusal([&] { server.predict(bad.data(), &mixed); }), "predictions"));
  CHECK(contains(refusal([&] { server.update(bad.data(), &y); }), "[4, 0]"));
  CHECK(names(refusal([&] { server.update(window.yhat(0), &infinite); }), "target"));
  CHECK(names(refusal([&] { server.update(window.yhat(0), &large); }), "target holds -2e+150"));
  bad[4] = large;
  CHECK(names(refusal([&] { server.predict(bad.data(), &mixed); }), "predictions holds -2e+150"));
  ServerMixtureF32 narrow(6, 1);
  CHECK(names(refusal([&] { narrow.update(window.yhat(0), &for_float); }), "target holds 2e+15"));
  CHECK(server.steps() == 5);
  CHECK(weights_of(server) == weights);
  CHECK_THROWS_AS(server.settle(&y), std::logic_error);
}

TEST_CASE("an option out of range is named") {
  const auto refused = [](const Mixture& mixture) { return refusal([&] { validate(mixture); }); };
  CHECK(refused({}).empty());
  CHECK(names(refused({-1}), "window"));
  CHECK(names(refused({8, 0.0}), "decay"));
  CHECK(names(refused({8, 1.1}), "decay"));
  CHECK(names(refused({8, 1.0, 0.0}), "ridge"));
  CHECK(names(refused({8, 1.0, 1.0, NAN}), "total"));
  CHECK(names(refusal([] { ServerMixture(0, 1); }), "n_agents"));
  CHECK(names(refusal([] { ServerMixture(1, 0); }), "n_outputs"));
  CHECK(names(refusal([] { ServerMixture(1, 1, {}, -1); }), "n_threads"));
}

TEST_CASE("a warm step allocates nothing") {
  for (const Index d : {1, 4}) {  // 4: the dual is factorised in blocks
    const Window window(11, 48, 50, d);
    ServerMixture server(50, d, {}, 1);
    std::vector<double> mixed(static_cast<std::size_t>(d));
    std::size_t before = 0;
    for (Index t = 0; t < window.W; ++t) {
      if (t == 40) before = tests::allocations();
      server.predict(window.yhat(t), mixed.data());
      server.update(window.yhat(t), window.y(t));
    }
    CHECK(before > 0);  // the counter counts
    CHECK(tests::allocations() - before == 0);
  }
}
