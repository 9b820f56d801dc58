#pragma once

#include <cstdint>

#include "memoa/certificate.hpp"
#include "memoa/shard.hpp"

namespace memoa {

struct SimulationSettings {
  Index n_agents = 0;  ///< in this process; `shard` has the total
  std::uint64_t seed = 0;
  MeanField mean_field = MeanField::empirical;
  int n_threads = 0;  ///< 0: all that the process may use; results do not depend on it
  Shard shard = {};   ///< by default this process has all agents
};

/// The result of a simulation; `cost` has only this process's agents. With K types, agents of one
/// type are adjacent, in the order of the types.
struct Simulation {
  Index stages = 0;               ///< T + 1, points of the mean's path
  std::vector<double> cost;       ///< (N,): (1.2) of every agent, without the expectation
  std::vector<double> mean_path;  ///< (T+1, K d): the types' empirical means
  std::vector<Index> type_sizes;  ///< (K,)
  double mean_cost = 0.0, worst_cost = 0.0;
  Index worst_agent = 0;
};

/// Simulates K types of agents in their games, with Gaussian initial states and features.
///
/// A control is chosen before its features are seen. So, given the past, Z b is Gaussian with mean
/// M b and covariance sum_k b_k^2 C[k]. Drawing it takes d normals per agent and stage instead of
/// the p d of Z, and all results have the same distribution.
///
/// `mean` (K, d) and `cov` (K, d, d) are those of the types' initial states. There is one policy
/// per type. Shares are positive, sum to one, and are rounded to agents by largest remainder.
/// Memory is O(N d). Random numbers depend only on (seed, agent, stage).
MEMOA_API Simulation simulate(const std::vector<Game>& games, const std::vector<Policy>& policies,
                              const std::vector<double>& shares, const std::vector<double>& mean,
                              const std::vector<double>& cov, const SimulationSettings& settings);

}  // namespace memoa
