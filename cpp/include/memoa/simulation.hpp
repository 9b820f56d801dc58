#pragma once

#include <cstdint>

#include "memoa/certificate.hpp"
#include "memoa/shard.hpp"

namespace memoa {

struct SimulationSettings {
  Index n_agents = 0;  ///< here, of those that `shard` tells of
  std::uint64_t seed = 0;
  MeanField mean_field = MeanField::empirical;
  int n_threads = 0;  ///< 0: all that the process may use; no result depends on it
  Shard shard = {};   ///< by default all agents are here
};

/// What a roll-out saw of all agents; `cost` is of those here. With K types, agents of one type are
/// neighbours, in the types' order.
struct Simulation {
  Index stages = 0;               ///< T + 1, points of the mean's path
  std::vector<double> cost;       ///< (N,): (1.2) of every agent, without the expectation
  std::vector<double> mean_path;  ///< (T+1, K d): the types' empirical means
  std::vector<Index> type_sizes;  ///< (K,)
  double mean_cost = 0.0, worst_cost = 0.0;
  Index worst_agent = 0;
};

/// Rolls K types of agents out over their games, with Gaussian initial states and features.
///
/// A control is chosen before its features are seen, so that given the past Z b is Gaussian with
/// mean M b and covariance sum_k b_k^2 C[k]: d normals per agent and stage stand for the p d of Z,
/// with the same law of everything that is reported.
///
/// `mean` (K, d) and `cov` (K, d, d) are those of the types' initial states. With one policy per
/// type; shares are positive, sum to one and are rounded to whole agents by largest remainder.
/// Memory is O(N d), random numbers depend on (seed, agent, stage) alone.
MEMOA_API Simulation simulate(const std::vector<Game>& games, const std::vector<Policy>& policies,
                              const std::vector<double>& shares, const std::vector<double>& mean,
                              const std::vector<double>& cov, const SimulationSettings& settings);

}  // namespace memoa
