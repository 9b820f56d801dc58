#pragma once

#include "memoa/equilibrium.hpp"

namespace memoa {

/// What agents know about the mean field when they act.
enum class MeanField {
  empirical,  ///< the mean of all agents, own one included
  limit,      ///< the policy's flow from the expected initial mean: no communication
};

/// Expected costs of one of N identical agents, theory section 5.
struct Certificate {
  double cost = 0.0;                ///< if all agents play the policy, (5.1)
  double best_response_cost = 0.0;  ///< if this agent alone plays its best response
  /// Their difference (5.2), computed separately as (5.3), so that it is exact even if `cost` minus
  /// `best_response_cost` is only rounding. Negative values within 1e-14 of the cost become 0.
  double exploitability = 0.0;
};

/// Exact for every N, in O(T p d^2). Initial states are i.i.d. with `mean` (d) and `cov` (d, d).
/// The best response knows the others' policy and every state, also if they act on the limit.
/// Throws std::invalid_argument for data that do not fit, NumericalError if values overflow.
MEMOA_API Certificate certify(const Game& game, const Policy& policy, Index n_agents,
                              const std::vector<double>& mean, const std::vector<double>& cov,
                              MeanField mean_field = MeanField::empirical);

}  // namespace memoa
