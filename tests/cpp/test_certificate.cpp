#include "best_response.hpp"
#include "finite.hpp"

using namespace memoa;
using namespace memoa::tests;
using problems::random_game;

namespace {

Certificate certified(const Game& game, const Policy& policy, Index n_agents, const Start& start,
                      MeanField known = MeanField::empirical) {
  return certify(game, policy, n_agents, start.mean, start.cov, known);
}

/// A policy that is no equilibrium of anything.
Policy other_policy(const Game& game) {
  Policy policy = solve_mean_field(game);
  problems::Random random(6);
  for (std::vector<double>* values : {&policy.gain, &policy.mean_gain, &policy.offset})
    for (double& v : *values) v += 0.2 * random.uniform();
  return policy;
}

}  // namespace

TEST_CASE("nobody can gain in the exact Nash equilibrium") {
  for (const Size& size : kSizes)
    for (const Index n : {1, 2, 30, 1'000'000'000}) {
      CAPTURE(size.d);
      CAPTURE(n);
      const Game game(random_game(300 + size.d, size.T, size.d, size.p));
      const Certificate found = certified(game, solve_nash(game, n), n, random_start(1, size.d));
      CHECK(found.exploitability >= 0.0);
      CHECK(found.exploitability <= 1e-22 * found.cost);
    }
}

TEST_CASE("the exploitability (5.3) is the difference of two costs, never below 0") {
  for (const Size& size : kSizes)
    for (const Index n : {1, 2, 30, 100'000})
      for (const MeanField known : {MeanField::empirical, MeanField::limit}) {
        const Game game(random_game(310 + size.d, size.T, size.d, size.p));
        for (const Policy& policy : {other_policy(game), solve_nash(game, n), solve_myopic(game)}) {
          const Certificate found = certified(game, policy, n, random_start(2, size.d), known);
          const double difference = found.cost - found.best_response_cost;
          CHECK(difference >= -1e-13 * found.cost);
          CHECK(std::abs(difference - found.exploitability) <= 1e-13 * found.cost);
        }
      }
}

TEST_CASE("the mean-field policy loses 1/N^2 on the empirical mean, 1/N on the flow") {
  const Game game(random_game(320, 4, 2, 3));
  const Policy policy = solve_mean_field(game);
  const Start start = random_start(3, 2);
  const auto scaled = [&](MeanField known, double power, Index n) {
    return std::pow(static_cast<double>(n), power) *
           certified(game, policy, n, start, known).exploitability;
  };
  for (const auto& [known, power] :
       {std::pair(MeanField::empirical, 2.0), std::pair(MeanField::limit, 1.0)}) {
    CHECK(scaled(known, power, 1'000'000) > 0.0);
    CHECK(scaled(known, power, 1'000'000'000) ==
          doctest::Approx(scaled(known, power, 1'000'000)).epsilon(1e-3));
  }
}

TEST_CASE("with a billion agents the costs are those of one agent along the flow") {
  for (const Size& size : kSizes) {
    CAPTURE(size.d);
    const Game game(random_game(330 + size.d, size.T, size.d, size.p));
    const Start start = random_start(4, size.d);
    Policy policy = other_policy(game);
    for (Index t = 0; t < size.T; ++t) {  // its own flow, by (1.1)
      const RowMatrix closed =
          map(game.transition(t)) + map(game.mean_transition(t)) +
          map(game.feature_mean(t)) * (map(policy.gain_at(t)) + map(policy.mean_gain_at(t)));
      const Eigen::VectorXd shift =
          map(game.drift(t)) + map(game.feature_mean(t)) * map(policy.offset_at(t));
      std::copy_n(closed.data(), closed.size(), policy.mean_map.begin() + t * closed.size());
      std::copy_n(shift.data(), shift.size(), policy.mean_shift.begin() + t * shift.size());
    }
    const std::vector<double> path = policy.mean_path(start.mean.data());
    const AgentProblem problem(game, path);
    const auto expected = [&](const AgentPolicy& played) {
      const Value value = problem.evaluate(played);
      const VectorMap mean(start.mean.data(), size.d);
      return value(mean) + (value.P * MatrixMap(start.cov.data(), size.d, size.d)).trace();
    };
    for (const MeanField known : {MeanField::empirical, MeanField::limit}) {
      const Certificate found = certified(game, policy, 1'000'000'000, start, known);
      CHECK(found.cost == doctest::Approx(expected(along(policy, path))).epsilon(1e-7));
      CHECK(found.best_response_cost == doctest::Approx(expected(problem.optimum())).epsilon(1e-7));
    }
  }
}

TEST_CASE("what does not fit the game is refused") {
  const Game game(random_game(340, 3, 2, 2)), wider(random_game(341, 3, 2, 4));
  const Policy policy = solve_mean_field(game);
  const Start start = random_start(5, 2);
  const auto refused = [&](const Policy& wrong, Index n, const std::vector<double>& mean,
                           const std::vector<double>& cov) {
    return refusal([&] { certify(game, wrong, n, mean, cov); });
  };
  CHECK(names(refused(policy, 0, start.mean, start.cov), "n_agents"));
  CHECK(names(refused(solve_mean_field(wider), 5, start.mean, start.cov), "policy"));
  const std::vector<Policy> of_types = solve_mean_field({game, game}, {0.5, 0.5});
  CHECK(names(refused(of_types[0], 5, start.mean, start.cov), "policy"));
  CHECK(names(refused(policy, 5, {0.0}, start.cov), "mean"));
  CHECK(names(refused(policy, 5, {0.0, NAN}, start.cov), "mean"));
  CHECK(names(refused(policy, 5, start.mean, {1.0, 0.0, 0.0}), "cov"));
  CHECK(names(refused(policy, 5, start.mean, {1.0, 0.5, 0.0, 1.0}), "cov is not symmetric"));
  CHECK(names(refused(policy, 5, start.mean, {1.0, 0.0, 0.0, -1.0}), "cov has a negative"));
  Policy huge = policy;
  for (double& v : huge.gain) v = 1e200;
  const auto certify_huge = [&] { certified(game, huge, 5, start); };
  CHECK(contains(message_of<NumericalError>(certify_huge), "overflowed"));
}
