#include "best_response.hpp"
#include "checks.hpp"

using namespace memoa;
using problems::Random;
using problems::random_game;
using tests::AgentPolicy;
using tests::AgentProblem;
using tests::along;
using tests::contains;
using tests::distance;
using tests::message_of;
using tests::names;
using tests::refusal;

namespace {

struct Size {
  Index T, d, p;
};

// every fixed size of the solver and the dynamic one; features fewer and more than outputs
const Size kSizes[] = {{1, 1, 1}, {6, 1, 5}, {5, 2, 3}, {4, 3, 2}, {3, 4, 6}, {4, 5, 3}};

/// A scalar game of one feature that is surely 1: y+ = y + b.
GameData scalar_game(Index horizon) {
  GameData data;
  data.horizon = horizon;
  data.n_outputs = data.n_features = 1;
  data.feature_mean = {1.0};
  data.feature_cov = {0.0};
  data.target = {1.0};
  return data;
}

double cost(const AgentProblem& problem, const AgentPolicy& policy, const Eigen::VectorXd& y) {
  return problem.evaluate(policy)(y);
}

}  // namespace

TEST_CASE("the policy (3.4) is the agent's best response to its own flow") {
  for (const Size& size : kSizes) {
    CAPTURE(size.d);
    const Game game(random_game(10 + size.d, size.T, size.d, size.p));
    const Policy policy = solve_mean_field(game);
    Random random(7);
    const std::vector<double> path = policy.mean_path(random.uniforms(size.d).data());
    const AgentProblem problem(game, path);
    const AgentPolicy played = along(policy, path), best = problem.optimum();
    for (Index t = 0; t < size.T; ++t) {
      CHECK((played.gain[t] - best.gain[t]).cwiseAbs().maxCoeff() < 1e-11);
      CHECK((played.shift[t] - best.shift[t]).cwiseAbs().maxCoeff() < 1e-11);
    }
  }
}

TEST_CASE("leaving the policy raises an agent's exact cost") {
  for (const Size& size : kSizes) {
    CAPTURE(size.d);
    const Game game(random_game(20 + size.d, size.T, size.d, size.p));
    const Policy policy = solve_mean_field(game);
    Random random(8);
    const std::vector<double> path = policy.mean_path(random.uniforms(size.d).data());
    const AgentProblem problem(game, path);
    const AgentPolicy played = along(policy, path);
    const Eigen::VectorXd y = random.vector(size.d);
    const double least = cost(problem, played, y);
    for (Index t = 0; t < size.T; ++t) {
      AgentPolicy up = played, down = played;
      const RowMatrix of_gain = 0.01 * random.matrix(size.p, size.d);
      const Eigen::VectorXd of_shift = 0.01 * random.vector(size.p);
      up.gain[t] += of_gain;
      up.shift[t] += of_shift;
      down.gain[t] -= of_gain;
      down.shift[t] -= of_shift;
      const double rise_up = cost(problem, up, y) - least;
      const double rise_down = cost(problem, down, y) - least;
      CHECK(rise_up > 0.0);
      // quadratic in one stage's control: stationary exactly where both rises are equal
      CHECK(rise_up == doctest::Approx(rise_down).epsilon(1e-8));
    }
  }
}

TEST_CASE("the mean field's flow is the mean of the agents that play the policy") {
  for (const Size& size : kSizes) {
    CAPTURE(size.d);
    const Game game(random_game(30 + size.d, size.T, size.d, size.p));
    const Policy policy = solve_mean_field(game);
    policy.validate();
    CHECK(policy.rcond > 0.0);
    CHECK(policy.rcond <= 1.0);
    Random random(9);
    for (Index t = 0; t < size.T; ++t) {
      const Eigen::VectorXd m = random.vector(size.d);
      const Eigen::VectorXd b = (map(policy.gain_at(t)) + map(policy.mean_gain_at(t))) * m;
      const Eigen::VectorXd next = (map(game.transition(t)) + map(game.mean_transition(t))) * m +
                                   map(game.drift(t)) +
                                   map(game.feature_mean(t)) * (b + map(policy.offset_at(t)));
      const Eigen::VectorXd flow = map(policy.mean_map_at(t)) * m + map(policy.mean_shift_at(t));
      CHECK((next - flow).cwiseAbs().maxCoeff() < 1e-12);
    }
  }
}

TEST_CASE("act is gain y + mean_gain m + offset for every agent") {
  const Game game(random_game(40, 3, 2, 4));
  const Policy policy = solve_mean_field(game);
  Random random(1);
  const RowMatrix y = random.matrix(5, 2);
  const Eigen::VectorXd m = random.vector(2);
  RowMatrix control(5, 4);
  policy.act(1, y.data(), 5, m.data(), control.data());
  for (Index i = 0; i < 5; ++i) {
    const Eigen::VectorXd expected = map(policy.gain_at(1)) * y.row(i).transpose() +
                                     map(policy.mean_gain_at(1)) * m + map(policy.offset_at(1));
    CHECK((control.row(i).transpose() - expected).cwiseAbs().maxCoeff() < 1e-14);
  }
}

TEST_CASE("types that are alike are one type") {
  const Index d = 2, K = 3;
  const Game game(random_game(50, 4, d, 3));
  const Policy one = solve_mean_field(game);
  const std::vector<double> shares{0.5, 0.3, 0.2};
  for (const Policy& of_type : solve_mean_field(std::vector<Game>(K, game), shares)) {
    CHECK(of_type.mean_size == K * d);
    CHECK(distance(of_type.gain, one.gain) < 1e-13);
    CHECK(distance(of_type.offset, one.offset) < 1e-13);
    for (Index t = 0; t < 4; ++t) {
      RowMatrix on_mean = RowMatrix::Zero(3, d), closed = RowMatrix::Zero(d, d);
      for (Index j = 0; j < K; ++j) {
        on_mean += map(of_type.mean_gain_at(t)).middleCols(j * d, d);
        closed += map(of_type.mean_map_at(t)).block(d, j * d, d, d);
      }
      CHECK((on_mean - map(one.mean_gain_at(t))).cwiseAbs().maxCoeff() < 1e-13);
      CHECK((closed - map(one.mean_map_at(t))).cwiseAbs().maxCoeff() < 1e-13);
      CHECK((map(of_type.mean_shift_at(t)).tail(d) - map(one.mean_shift_at(t)))
                .cwiseAbs()
                .maxCoeff() < 1e-13);
    }
  }
}

TEST_CASE("every type's policy is its best response to the joint flow") {
  for (const Index d : {1, 2}) {
    const std::vector<Game> games{Game(random_game(60, 4, d, 3)), Game(random_game(61, 4, d, 2)),
                                  Game(random_game(62, 4, d, 5))};
    const std::vector<double> shares{0.2, 0.5, 0.3};
    const std::vector<Policy> policies = solve_mean_field(games, shares);
    Random random(2);
    const std::vector<double> path = policies[0].mean_path(random.uniforms(3 * d).data());
    for (std::size_t k = 0; k < games.size(); ++k) {
      const AgentProblem problem(games[k], path, shares);
      const AgentPolicy played = along(policies[k], path), best = problem.optimum();
      Eigen::VectorXd mean = VectorMap(path.data() + static_cast<Index>(k) * d, d);
      for (Index t = 0; t < 4; ++t) {
        CHECK((played.gain[t] - best.gain[t]).cwiseAbs().maxCoeff() < 1e-11);
        CHECK((played.shift[t] - best.shift[t]).cwiseAbs().maxCoeff() < 1e-11);
        Eigen::VectorXd average = Eigen::VectorXd::Zero(d);
        for (Index j = 0; j < 3; ++j) average += shares[j] * VectorMap(&path[(t * 3 + j) * d], d);
        mean = (map(games[k].transition(t)) * mean + map(games[k].mean_transition(t)) * average +
                map(games[k].drift(t)) +
                map(games[k].feature_mean(t)) * (played.gain[t] * mean + played.shift[t]))
                   .eval();
        const VectorMap flow(&path[((t + 1) * 3 + static_cast<Index>(k)) * d], d);
        CHECK((mean - flow).cwiseAbs().maxCoeff() < 1e-12);
      }
    }
  }
}

TEST_CASE("the stationary scalar gain is the golden ratio") {
  const double golden = 0.5 * (1.0 + std::sqrt(5.0));  // K = K/(K+1) + 1
  const Policy policy = solve_mean_field(Game(scalar_game(60)));
  CHECK(policy.gain[0] == doctest::Approx(-1.0 / golden).epsilon(1e-14));
}

TEST_CASE("without coupling an agent does not look at the others") {
  GameData data = random_game(70, 3, 2, 3);
  data.coupling.assign(4, 0.0);
  data.mean_transition.assign(4, 0.0);
  for (const double v : solve_mean_field(Game(data)).mean_gain) CHECK(v == 0.0);
}

TEST_CASE("an equilibrium that does not exist names its stage") {
  GameData scalar = scalar_game(3);
  scalar.coupling = {2.0};  // 1 + F L = 1 - Q G / 2 = 0 at the last stage
  CHECK(contains(message_of<NumericalError>([&] { solve_mean_field(Game(scalar)); }), "stage 2"));

  GameData rounding = scalar_game(1);  // 1 + F L = 1 - (1 + g) / (1 + g), an epsilon for us: (3.6)
  rounding.effort = 0.09;
  rounding.coupling = {1.09};
  CHECK(contains(message_of<NumericalError>([&] { solve_mean_field(Game(rounding)); }), "stage 0"));

  GameData pair = random_game(80, 2, 2, 2);
  pair.feature_mean = {1.0, 0.0, 0.0, 1.0};
  pair.feature_cov.assign(8, 0.0);
  pair.tracking = {1.0, 0.0, 0.0, 1.0};
  pair.coupling = {1.1, 0.0, 0.0, 0.0};
  pair.effort = 0.1;  // 1 + F L = 1 - 1.1 / 1.1 in one direction, up to rounding
  pair.discount = {1.0};
  CHECK(contains(message_of<NumericalError>([&] { solve_mean_field(Game(pair)); }), "stage 1"));

  GameData growing = scalar_game(4);
  growing.transition = {1e200};
  growing.effort = 1e300;
  CHECK(contains(message_of<NumericalError>([&] { solve_mean_field(Game(growing)); }), "stage"));
}

TEST_CASE("games that do not go together are refused") {
  const Game a(random_game(90, 3, 2, 2)), longer(random_game(91, 4, 2, 2));
  const auto refused = [](const std::vector<Game>& games, const std::vector<double>& shares) {
    return refusal([&] { solve_mean_field(games, shares); });
  };
  CHECK(names(refused({}, {}), "games"));
  CHECK(names(refused({a}, {0.5, 0.5}), "shares"));
  CHECK(names(refused({a, a}, {1.5, -0.5}), "shares"));
  CHECK(names(refused({a, a}, {0.5, 0.6}), "shares"));
  CHECK(names(refused({a, longer}, {0.5, 0.5}), "games[1]"));

  Policy policy = solve_mean_field(a);
  policy.offset.pop_back();
  CHECK(names(refusal([&] { policy.validate(); }), "offset"));
  policy = solve_mean_field(a);
  policy.mean_gain[0] = NAN;
  CHECK(names(refusal([&] { policy.validate(); }), "mean_gain"));
}
