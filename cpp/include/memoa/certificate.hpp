#pragma once

#include "memoa/equilibrium.hpp"

namespace memoa {

/// What agents know of the mean field when they act.
enum class MeanField {
  empirical,  ///< the mean of all agents, own one included
  limit,      ///< the policy's flow from the expected initial mean: nobody communicates
};

/// Expected costs of one of N identical agents, theory section 5.
struct Certificate {
  double cost = 0.0;                ///< when everybody plays the policy, (5.1)
  double best_response_cost = 0.0;  ///< when this agent alone answers the others optimally
  /// Their difference (5.2), computed by itself as (5.3): it has digits where `cost` minus
  /// `best_response_cost` is rounding. A negative one within 1e-14 of the cost is reported as 0.
  double exploitability = 0.0;
};

/// Exact for every N, in O(T p d^2). Initial states are i.i.d. with `mean` (d) and `cov` (d, d).
/// The best response knows the others' law and every state, also where they act on the limit.
/// Throws std::invalid_argument for data that do not fit, NumericalError where values overflow.
MEMOA_API Certificate certify(const Game& game, const Policy& policy, Index n_agents,
                              const std::vector<double>& mean, const std::vector<double>& cov,
                              MeanField mean_field = MeanField::empirical);

}  // namespace memoa
