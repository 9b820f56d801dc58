#pragma once

#include "memoa/game.hpp"

namespace memoa {

/// N players who see every prediction and may all be different (theory section 2).
///
/// Player i has the dynamics and the cost of its own Game, in which m is the mean of all N
/// predictions. With server weights u_t it also pays, after every stage,
///
///     w^i_t server_tracking |server_target_t - sum_j u_tj y^j_{t+1}|^2
///
/// which is the cost of arXiv:2505.00216.
struct NPlayerData {
  std::vector<Game> players;           ///< one horizon, n_outputs and n_features
  std::vector<double> server_weights;  ///< u, (T, N); empty: no server
  double server_tracking = 0.0;        ///< sigma >= 0
  std::vector<double> server_target;   ///< (T, d)
};

/// A validated, immutable game of N players. Throws std::invalid_argument that names the field.
class MEMOA_API NPlayerGame {
 public:
  explicit NPlayerGame(NPlayerData data);

  Index n_players() const { return static_cast<Index>(data_.players.size()); }
  Index horizon() const { return data_.players[0].horizon(); }
  Index n_outputs() const { return data_.players[0].n_outputs(); }
  Index n_features() const { return data_.players[0].n_features(); }
  const Game& player(Index i) const { return data_.players[i]; }
  bool has_server() const { return !data_.server_weights.empty(); }
  VectorView server_weights(Index t) const {
    return {data_.server_weights.data() + t * n_players(), n_players()};
  }
  VectorView server_target(Index t) const {
    return {data_.server_target.data() + t * n_outputs(), n_outputs()};
  }
  const NPlayerData& data() const { return data_; }

 private:
  NPlayerData data_;
};

/// Every player's control as a function of all predictions: b^i = gain^i Y + offset^i with
/// Y = (y^1, ..., y^N), row-major.
struct MEMOA_API CentralizedPolicy {
  Index horizon = 0, n_players = 0, n_features = 0, n_outputs = 0;
  std::vector<double> gain;    ///< (T, N, p, N d)
  std::vector<double> offset;  ///< (T, N, p)
  /// Smallest reciprocal condition number (1-norm, estimated) of the stages' linear systems.
  double rcond = 0.0;
};

/// The Nash policy of N players by the stacked solve, which the cheaper solvers are compared with.
/// N d unknowns per stage for any width of the features; O(T N^4 d^3) time, O(N^2 d^2) memory per
/// player. `n_threads` 0 means all that the process may use; the result is the same for any number.
/// Throws NumericalError that names the stage where the equilibrium does not exist or overflows.
MEMOA_API CentralizedPolicy solve_centralized_nash(const NPlayerGame& game, int n_threads = 0);

}  // namespace memoa
