#pragma once

#include "checks.hpp"
#include "problems.hpp"

/// What the tests of games with finitely many agents share.
namespace memoa::tests {

struct Size {
  Index T, d, p;
};

// every fixed size of the solvers and the dynamic one; features fewer and more than outputs
inline const Size kSizes[] = {{1, 1, 1}, {5, 1, 4}, {4, 2, 3}, {3, 3, 2}, {3, 4, 5}, {3, 5, 3}};

/// Mean and covariance of the initial predictions.
struct Start {
  std::vector<double> mean, cov;
};

inline Start random_start(std::uint64_t seed, Index d) {
  problems::Random random(seed);
  Start start{random.uniforms(d), {}};
  problems::append(start.cov, random.psd(d));
  return start;
}

/// One stage of y+ = y + b towards 1, with half an effort: K, F and what is singular by hand.
inline GameData one_stage(double coupling) {
  GameData data;
  data.horizon = data.n_outputs = data.n_features = 1;
  data.feature_mean = {1.0};
  data.feature_cov = {0.0};
  data.target = {1.0};
  data.effort = 0.5;
  data.coupling = {coupling};
  return data;
}

/// The difference between the flow of the mean and the mean of agents that all play the policy.
inline double distance_from_own_flow(const Game& game, const Policy& policy) {
  double largest = 0.0;
  for (Index t = 0; t < game.horizon(); ++t) {
    const RowMatrix closed =
        map(game.transition(t)) + map(game.mean_transition(t)) +
        map(game.feature_mean(t)) * (map(policy.gain_at(t)) + map(policy.mean_gain_at(t)));
    const Eigen::VectorXd shift =
        map(game.drift(t)) + map(game.feature_mean(t)) * map(policy.offset_at(t));
    largest = std::max({largest, (closed - map(policy.mean_map_at(t))).cwiseAbs().maxCoeff(),
                        (shift - map(policy.mean_shift_at(t))).cwiseAbs().maxCoeff()});
  }
  return largest;
}

}  // namespace memoa::tests
