#include "finite.hpp"

using namespace memoa;
using namespace memoa::tests;
using problems::Random;
using problems::random_game;

namespace {

NPlayerData unlike_players(Index n_players, Index T, Index d, Index p) {
  NPlayerData data;
  for (Index i = 0; i < n_players; ++i)
    data.players.emplace_back(random_game(400 + static_cast<std::uint64_t>(i), T, d, p));
  Random random(7);
  data.server_weights = random.uniforms(T * n_players);
  data.server_target = random.uniforms(T * d);
  data.server_tracking = 0.7;
  return data;
}

}  // namespace

TEST_CASE("players who are alike play the exact Nash policy") {
  for (const Size& size : kSizes)
    for (const Index n : {1, 2, 5}) {
      CAPTURE(size.d);
      CAPTURE(n);
      const Game game(random_game(410 + size.d, size.T, size.d, size.p));
      NPlayerData data;
      data.players.assign(static_cast<std::size_t>(n), game);
      const CentralizedPolicy stacked = solve_centralized_nash(NPlayerGame(data));
      const Policy exact = solve_nash(game, n);
      const Index p = size.p, d = size.d;
      for (Index t = 0; t < size.T; ++t)
        for (Index i = 0; i < n; ++i) {
          const Index row = t * n + i;
          const MatrixMap gain(&stacked.gain[row * p * n * d], p, n * d);
          const RowMatrix other = map(exact.mean_gain_at(t)) / static_cast<double>(n);
          for (Index j = 0; j < n; ++j) {
            RowMatrix expected = other;
            if (j == i) expected += map(exact.gain_at(t));
            CHECK((gain.middleCols(j * d, d) - expected).cwiseAbs().maxCoeff() < 1e-12);
          }
          const VectorMap offset(&stacked.offset[row * p], p);
          CHECK((offset - map(exact.offset_at(t))).cwiseAbs().maxCoeff() < 1e-12);
        }
    }
}

TEST_CASE("one player with the server's cost tracks the server's target") {
  const Index T = 4, d = 2, p = 3;
  GameData alone = random_game(420, T, d, p);
  alone.tracking.assign(4, 0.0);
  alone.coupling.assign(4, 0.0);
  NPlayerData data;
  data.players.emplace_back(alone);
  data.server_weights.assign(static_cast<std::size_t>(T), 1.0);
  data.server_tracking = 0.7;
  data.server_target = Random(8).uniforms(T * d);
  const CentralizedPolicy found = solve_centralized_nash(NPlayerGame(data));

  alone.tracking = {0.7, 0.0, 0.0, 0.7};
  alone.target = data.server_target;
  const Policy same = solve_nash(Game(alone), 1);
  std::vector<double> gain;
  for (Index t = 0; t < T; ++t)
    problems::append(gain,
                     map(same.gain_at(t)) + map(same.mean_gain_at(t)));  // the mean is its own
  CHECK(distance(found.gain, gain) < 1e-12);
  CHECK(distance(found.offset, same.offset) < 1e-12);
}

TEST_CASE("the order of the players is but their names") {
  const Index N = 4, T = 3, d = 2, p = 3;
  NPlayerData data = unlike_players(N, T, d, p), turned = data;
  std::reverse(turned.players.begin(), turned.players.end());
  for (Index t = 0; t < T; ++t)
    std::reverse(turned.server_weights.begin() + t * N,
                 turned.server_weights.begin() + (t + 1) * N);
  const CentralizedPolicy a = solve_centralized_nash(NPlayerGame(data)),
                          b = solve_centralized_nash(NPlayerGame(turned));
  for (Index t = 0; t < T; ++t)
    for (Index i = 0; i < N; ++i)
      for (Index j = 0; j < N; ++j) {
        const MatrixMap of_a(&a.gain[(t * N + i) * p * N * d], p, N * d),
            of_b(&b.gain[(t * N + N - 1 - i) * p * N * d], p, N * d);
        const RowMatrix gap = of_a.middleCols(j * d, d) - of_b.middleCols((N - 1 - j) * d, d);
        CHECK(gap.cwiseAbs().maxCoeff() < 1e-12);
      }
}

TEST_CASE("the same bits for any number of threads") {
  const NPlayerGame game(unlike_players(17, 3, 2, 3));
  const CentralizedPolicy one = solve_centralized_nash(game, 1);
  for (const int threads : {2, 3, 5}) {
    const CentralizedPolicy many = solve_centralized_nash(game, threads);
    CHECK(many.gain == one.gain);
    CHECK(many.offset == one.offset);
    CHECK(many.rcond == one.rcond);
  }
}

TEST_CASE("players who do not go together are refused, a singular stage is named") {
  const auto refused = [](const auto& change) {
    NPlayerData data = unlike_players(3, 2, 2, 2);
    change(data);
    return refusal([&] { NPlayerGame{data}; });
  };
  CHECK(names(refused([](NPlayerData& g) { g.players.clear(); }), "players"));
  CHECK(names(refused([](NPlayerData& g) { g.players[2] = Game(random_game(1, 3, 2, 2)); }),
              "player 2"));
  CHECK(names(refused([](NPlayerData& g) { g.server_tracking = -1.0; }), "server_tracking is -1"));
  CHECK(names(refused([](NPlayerData& g) { g.server_weights.pop_back(); }), "server_weights"));
  CHECK(names(refused([](NPlayerData& g) { g.server_weights[3] = NAN; }), "server_weights"));
  CHECK(names(refused([](NPlayerData& g) { g.server_target.pop_back(); }), "server_target"));
  CHECK(names(refusal([] { solve_centralized_nash(NPlayerGame(unlike_players(2, 1, 1, 1)), -1); }),
              "n_threads"));

  for (const double coupling : {2.0, 3.0}) {
    NPlayerData data;
    data.players.assign(4, Game(one_stage(coupling)));
    const auto solve = [&] { solve_centralized_nash(NPlayerGame(data)); };
    CHECK(contains(message_of<NumericalError>(solve), "stage 0"));
  }
  GameData growing = random_game(430, 5, 1, 1);
  growing.transition = {1e150};
  growing.effort = 1e300;
  NPlayerData data;
  data.players.assign(3, Game(growing));
  const auto solve = [&] { solve_centralized_nash(NPlayerGame(data), 2); };
  CHECK(contains(message_of<NumericalError>(solve), "overflowed"));
}
