#include "finite.hpp"

using namespace memoa;
using namespace memoa::tests;
using problems::random_game;

TEST_CASE("the exact Nash policy tends to the mean-field policy as 1/N") {
  for (const Size& size : kSizes) {
    CAPTURE(size.d);
    const Game game(random_game(100 + size.d, size.T, size.d, size.p));
    const Policy limit = solve_mean_field(game);
    const auto gap = [&](Index n) {
      const Policy policy = solve_nash(game, n);
      return static_cast<double>(n) * std::max({distance(policy.gain, limit.gain),
                                                distance(policy.mean_gain, limit.mean_gain),
                                                distance(policy.offset, limit.offset)});
    };
    CHECK(gap(100'000) == doctest::Approx(gap(10'000)).epsilon(2e-3));
    CHECK(gap(10'000'000) == doctest::Approx(gap(100'000)).epsilon(2e-3));
  }
}

TEST_CASE("its flow is the mean of the agents that play it") {
  for (const Size& size : kSizes)
    for (const Index n : {1, 2, 50}) {
      CAPTURE(size.d);
      const Game game(random_game(110 + size.d, size.T, size.d, size.p));
      const Policy policy = solve_nash(game, n);
      policy.validate();
      CHECK(policy.rcond > 0.0);
      CHECK(policy.rcond <= 1.0);
      CHECK(distance_from_own_flow(game, policy) < 1e-12);
    }
}

TEST_CASE("one agent has nobody to play against: its optimum is the social one") {
  for (const Size& size : kSizes) {
    CAPTURE(size.d);
    const Game game(random_game(120 + size.d, size.T, size.d, size.p));
    const Policy alone = solve_nash(game, 1), optimum = solve_social_optimum(game, 1.0);
    for (Index t = 0; t < size.T; ++t) {  // its own prediction is the mean
      const RowMatrix one = map(alone.gain_at(t)) + map(alone.mean_gain_at(t));
      CHECK((one - map(optimum.gain_at(t)) - map(optimum.mean_gain_at(t))).cwiseAbs().maxCoeff() <
            1e-12);
    }
    CHECK(distance(alone.offset, optimum.offset) < 1e-12);
  }
}

TEST_CASE("a game without an equilibrium names its stage") {
  for (const double coupling : {2.0, 3.0}) {  // both systems of section 4, N = 4
    const auto solve = [&] { solve_nash(Game(one_stage(coupling)), 4); };
    CHECK(contains(message_of<NumericalError>(solve), "stage 0: the linear system of the agents"));
  }
  for (double share = 0.35; share < 0.9; share += 0.05) {  // N = 3: 0 but for rounding, (3.6)
    GameData data = one_stage(3.0 * share);
    data.effort = (1.0 - share) * (3.0 * share - 1.0);
    const std::string message = message_of<NumericalError>([&] { solve_nash(Game(data), 3); });
    CHECK(contains(message, "stage 0"));
    CHECK_FALSE(contains(message, "0.000"));
  }
  GameData growing = random_game(130, 4, 1, 2);
  growing.transition = {1e200};
  growing.effort = 1e300;
  CHECK(contains(message_of<NumericalError>([&] { solve_nash(Game(growing), 5); }), "overflowed"));
  CHECK(names(refusal([] { solve_nash(Game(one_stage(0.5)), 0); }), "n_agents"));
}
