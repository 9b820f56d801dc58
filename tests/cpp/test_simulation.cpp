#include "finite.hpp"

using namespace memoa;
using namespace memoa::tests;
using problems::random_game;

namespace {

Simulation rolled(const Game& game, const Policy& policy, const Start& start,
                  const SimulationSettings& settings) {
  return simulate({game}, {policy}, {1.0}, start.mean, start.cov, settings);
}

}  // namespace

TEST_CASE("the same bits for any number of threads, others for another seed") {
  const std::vector<Game> games{Game(random_game(500, 3, 2, 3)), Game(random_game(501, 3, 2, 2))};
  const std::vector<double> shares{0.3, 0.7};
  const std::vector<Policy> policies = solve_mean_field(games, shares);
  Start start = random_start(1, 2);
  start.mean.insert(start.mean.end(), {0.5, -0.5});
  start.cov.insert(start.cov.end(), {1.0, 0.2, 0.2, 0.5});
  for (const MeanField known : {MeanField::empirical, MeanField::limit}) {
    const auto run = [&](std::uint64_t seed, int threads) {
      return simulate(games, policies, shares, start.mean, start.cov, {3001, seed, known, threads});
    };
    const Simulation one = run(9, 1);
    CHECK(one.type_sizes == std::vector<Index>{900, 2101});
    CHECK(one.cost[one.worst_agent] == one.worst_cost);
    CHECK(*std::max_element(one.cost.begin(), one.cost.end()) == one.worst_cost);
    for (const int threads : {2, 3, 8}) {
      const Simulation many = run(9, threads);
      CHECK(many.cost == one.cost);
      CHECK(many.mean_path == one.mean_path);
      CHECK(many.mean_cost == one.mean_cost);
      CHECK(many.worst_agent == one.worst_agent);
    }
    CHECK(run(10, 1).cost[0] != one.cost[0]);
  }
}

TEST_CASE("where nothing is random every agent pays the certified cost along the flow") {
  GameData data = random_game(510, 4, 2, 3);
  data.feature_cov.assign(12, 0.0);
  const Game game(data);
  const Policy policy = solve_mean_field(game);
  const Start start{{0.4, -1.0}, {0.0, 0.0, 0.0, 0.0}};
  const Simulation found = rolled(game, policy, start, {50, 0});
  const double cost = certify(game, policy, 50, start.mean, start.cov).cost;
  for (const double of_agent : found.cost) CHECK(of_agent == doctest::Approx(cost).epsilon(1e-12));
  CHECK(distance(found.mean_path, policy.mean_path(start.mean.data())) < 1e-12);
}

TEST_CASE("mean costs are the certified ones within their standard error") {
  const Game game(random_game(520, 3, 2, 3));
  const Policy policy = solve_nash(game, 20);
  const Start start = random_start(2, 2);
  constexpr int kRuns = 400;
  double sum = 0.0, squares = 0.0;
  for (std::uint64_t seed = 0; seed < kRuns; ++seed) {  // runs are independent, agents are not
    const double cost = rolled(game, policy, start, {20, seed}).mean_cost;
    sum += cost;
    squares += cost * cost;
  }
  const double mean = sum / kRuns, error = std::sqrt((squares / kRuns - mean * mean) / kRuns);
  CHECK(std::abs(mean - certify(game, policy, 20, start.mean, start.cov).cost) < 4.0 * error);
}

TEST_CASE("what does not fit is refused") {
  const Game game(random_game(530, 2, 2, 2)), longer(random_game(531, 3, 2, 2));
  const Policy policy = solve_mean_field(game);
  const Start start = random_start(3, 2);
  const auto refused = [&](const std::vector<Game>& games, const std::vector<Policy>& policies,
                           const std::vector<double>& shares, const Start& from, Index n) {
    return refusal([&] { simulate(games, policies, shares, from.mean, from.cov, {n}); });
  };
  CHECK(names(refused({game}, {policy}, {1.0}, start, 0), "n_agents"));
  CHECK(names(refused({game}, {policy}, {0.9}, start, 5), "shares sum to 0.9;"));
  CHECK(names(refused({game}, {}, {1.0}, start, 5), "policies"));
  CHECK(names(refused({game, longer}, {policy, policy}, {0.5, 0.5}, start, 5), "games[1]"));
  CHECK(names(refused({longer}, {policy}, {1.0}, start, 5), "policy"));
  CHECK(names(refused({game}, {policy}, {1.0}, {{0.0}, start.cov}, 5), "mean"));
  CHECK(names(refused({game}, {policy}, {1.0}, {start.mean, {1.0, 0.0, 0.5, 1.0}}, 5), "cov"));
  const std::vector<Policy> of_types = solve_mean_field({game, game}, {0.01, 0.99});
  const Start both{{0.0, 0.0, 0.0, 0.0}, {1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0}};
  CHECK(contains(refused({game, game}, of_types, {0.01, 0.99}, both, 5), "type 0"));
}
