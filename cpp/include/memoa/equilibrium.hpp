#pragma once

#include <limits>

#include "memoa/game.hpp"

namespace memoa {

/// A linear policy of one type of agents, row-major, and the flow of the mean field under it.
///
///     b = gain y + mean_gain m + offset        theory (3.4)
///     m+ = mean_map m + mean_shift             theory (3.2)
///
/// With K types the mean field m stacks the types' means: `mean_size` is K d.
struct MEMOA_API Policy {
  Index horizon = 0, n_outputs = 0, n_features = 0, mean_size = 0;
  std::vector<double> gain;        ///< (T, p, d)
  std::vector<double> mean_gain;   ///< (T, p, K d)
  std::vector<double> offset;      ///< (T, p)
  std::vector<double> mean_map;    ///< (T, K d, K d)
  std::vector<double> mean_shift;  ///< (T, K d)
  /// Smallest reciprocal condition number (1-norm) of the stages' linear systems.
  double rcond = 0.0;

  MatrixView gain_at(Index t) const {
    return {at(gain, t, n_features * n_outputs), n_features, n_outputs};
  }
  MatrixView mean_gain_at(Index t) const {
    return {at(mean_gain, t, n_features * mean_size), n_features, mean_size};
  }
  VectorView offset_at(Index t) const { return {at(offset, t, n_features), n_features}; }
  MatrixView mean_map_at(Index t) const {
    return {at(mean_map, t, mean_size * mean_size), mean_size, mean_size};
  }
  VectorView mean_shift_at(Index t) const { return {at(mean_shift, t, mean_size), mean_size}; }

  /// The mean field's path from m0 (K d): (T+1, K d) row-major.
  std::vector<double> mean_path(const double* m0) const;

  /// Controls (N, p) of N agents with predictions (N, d) at stage t, given the mean field (K d).
  void act(Index t, const double* prediction, Index n_agents, const double* mean,
           double* control) const;

  /// Throws std::invalid_argument unless every array has its size and holds finite numbers.
  void validate() const;

 private:
  static const double* at(const std::vector<double>& values, Index t, Index stage_size) {
    return values.data() + t * stage_size;
  }
};

/// The decentralized mean-field Nash policy of identical agents (theory section 3), O(T p d^2).
/// Throws NumericalError that names the stage where the equilibrium does not exist or overflows.
MEMOA_API Policy solve_mean_field(const Game& game);

/// The same for K types of agents with positive shares that sum to one. The types have one horizon
/// and one n_outputs; everything else may differ. Returns one policy per type.
MEMOA_API std::vector<Policy> solve_mean_field(const std::vector<Game>& games,
                                               const std::vector<double>& shares);

/// The exact Nash policy of `n_agents` identical agents. Each agent knows that its own move shifts
/// the mean (theory section 4). O(T p d^2) for any number of agents; a single agent gets its
/// linear-quadratic optimum. The mean field of the policy is the empirical mean, own
/// agent included; the flow is that of its expectation.
/// Throws NumericalError that names the stage where the equilibrium does not exist or overflows.
MEMOA_API Policy solve_nash(const Game& game, Index n_agents);

/// The policy with the least average cost of `n_agents` identical agents (theory section 7); the
/// default is the limit of infinitely many. It exists for every coupling.
MEMOA_API Policy solve_social_optimum(const Game& game,
                                      double n_agents = std::numeric_limits<double>::infinity());

/// The myopic baseline, which ignores later stages and the others: the b that minimises
/// E|y+ - e|_Q^2 + g |b|^2 (theory (7.8)).
MEMOA_API Policy solve_myopic(const Game& game);

}  // namespace memoa
