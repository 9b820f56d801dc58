#include "finite.hpp"

using namespace memoa;
using namespace memoa::tests;
using problems::Random;
using problems::random_game;

namespace {

double average_cost(const Game& game, const Policy& policy, Index n_agents, const Start& start) {
  return certify(game, policy, n_agents, start.mean, start.cov).cost;
}

std::vector<double> moved(const std::vector<double>& values, Index first,
                          const std::vector<double>& by, double step) {
  std::vector<double> out = values;
  for (std::size_t k = 0; k < by.size(); ++k) out[first + static_cast<Index>(k)] += step * by[k];
  return out;
}

}  // namespace

TEST_CASE("no other symmetric policy costs less on average than the social optimum") {
  for (const Size& size : kSizes)
    for (const Index n : {1, 3, 40}) {
      CAPTURE(size.d);
      CAPTURE(n);
      const Game game(random_game(200 + size.d, size.T, size.d, size.p));
      const Start start = random_start(3, size.d);
      const Policy best = solve_social_optimum(game, static_cast<double>(n));
      const double least = average_cost(game, best, n, start);
      Random random(4);
      for (Index t = 0; t < size.T; ++t) {
        const std::vector<double> of_gain = random.uniforms(size.p * size.d),
                                  of_mean = random.uniforms(size.p * size.d),
                                  of_offset = random.uniforms(size.p);
        const auto rise = [&](double step) {
          Policy other = best;
          other.gain = moved(best.gain, t * size.p * size.d, of_gain, step);
          other.mean_gain = moved(best.mean_gain, t * size.p * size.d, of_mean, step);
          other.offset = moved(best.offset, t * size.p, of_offset, step);
          return average_cost(game, other, n, start) - least;
        };
        const double up = rise(0.01), down = rise(-0.01);
        CHECK(up > 0.0);
        // quadratic in one stage's policy: stationary exactly where both rises are equal
        CHECK(up == doctest::Approx(down).epsilon(1e-7));
      }
    }
}

TEST_CASE("equilibrium costs no less than the social optimum") {
  for (const Size& size : kSizes) {
    const Game game(random_game(210 + size.d, size.T, size.d, size.p));
    const Start start = random_start(5, size.d);
    const double optimum = average_cost(game, solve_social_optimum(game, 20.0), 20, start);
    CHECK(average_cost(game, solve_nash(game, 20), 20, start) >= optimum);
    CHECK(average_cost(game, solve_myopic(game), 20, start) >= optimum);
  }
}

TEST_CASE("the optimum of many agents tends to that of infinitely many") {
  const Game game(random_game(220, 4, 2, 3));
  const Policy limit = solve_social_optimum(game), many = solve_social_optimum(game, 1e9);
  CHECK(distance(many.gain, limit.gain) < 1e-8);
  CHECK(distance(many.mean_gain, limit.mean_gain) < 1e-8);
  CHECK(distance(many.offset, limit.offset) < 1e-8);
  CHECK(distance_from_own_flow(game, limit) < 1e-12);
  CHECK(limit.rcond == 1.0);
}

TEST_CASE("the myopic policy is optimal where one stage is all there is and nobody else counts") {
  for (const Size& size : kSizes) {
    GameData data = random_game(230 + size.d, 1, size.d, size.p);
    data.coupling.assign(static_cast<std::size_t>(size.d * size.d), 0.0);
    const Game game(data);
    const Policy greedy = solve_myopic(game), best = solve_mean_field(game);
    CHECK(distance(greedy.gain, best.gain) < 1e-13);
    CHECK(distance(greedy.mean_gain, best.mean_gain) < 1e-13);
    CHECK(distance(greedy.offset, best.offset) < 1e-13);
    CHECK(distance_from_own_flow(game, greedy) < 1e-12);
  }
}

TEST_CASE("fewer agents than one are refused, values that overflow are told") {
  const Game game(one_stage(0.5));
  for (const double n : {0.5, -1.0, std::nan("")})
    CHECK(names(refusal([&] { solve_social_optimum(game, n); }), "n_agents"));
  GameData growing = random_game(240, 4, 1, 2);
  growing.transition = {1e200};
  growing.effort = 1e300;
  const auto solve = [&] { solve_social_optimum(Game(growing)); };
  CHECK(contains(message_of<NumericalError>(solve), "overflowed"));
}
