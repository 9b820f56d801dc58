#pragma once

#include <Eigen/Cholesky>

#include "problems.hpp"

/// One agent's control problem against a fixed flow of the mean field, by plain p x p algebra: none
/// of the identities (1.6), (3.1) to (3.3) that the solver uses.
namespace memoa::tests {

/// The policy of one agent along a path: b = gain y + shift at every stage.
struct AgentPolicy {
  std::vector<RowMatrix> gain;         // (p, d)
  std::vector<Eigen::VectorXd> shift;  // (p)
};

/// y'P y + 2 s'y + r
struct Value {
  RowMatrix P;
  Eigen::VectorXd s;
  double r = 0.0;
  double operator()(const Eigen::VectorXd& y) const { return y.dot(P * y) + 2.0 * s.dot(y) + r; }
};

class AgentProblem {
 public:
  /// `path` (T+1, K d) is the types' means; their average by `shares` is the mean field.
  AgentProblem(const Game& game, const std::vector<double>& path,
               const std::vector<double>& shares = {1.0})
      : game_(game) {
    const Index d = game.n_outputs(), K = static_cast<Index>(shares.size());
    for (Index t = 0; t <= game.horizon(); ++t) {
      Eigen::VectorXd mean = Eigen::VectorXd::Zero(d);
      for (Index k = 0; k < K; ++k) mean += shares[k] * VectorMap(&path[(t * K + k) * d], d);
      mean_.push_back(mean);
    }
  }

  /// Cost-to-go from stage 0 of playing the policy.
  Value evaluate(const AgentPolicy& policy) const {
    Value value = terminal();
    for (Index t = game_.horizon() - 1; t >= 0; --t)
      value = back(t, value, policy.gain[t], policy.shift[t]);
    return value;
  }

  /// The optimal policy, stage by stage from the first-order condition R b = -M'(K x + k).
  AgentPolicy optimum() const {
    const Index T = game_.horizon();
    AgentPolicy best{std::vector<RowMatrix>(T), std::vector<Eigen::VectorXd>(T)};
    Value value = terminal();
    for (Index t = T - 1; t >= 0; --t) {
      const Stage stage = make_stage(t, value);
      const Eigen::LDLT<Eigen::MatrixXd> R(stage.R);
      const auto M = map(game_.feature_mean(t));
      best.gain[t] = -R.solve(M.transpose() * stage.K * map(game_.transition(t)));
      best.shift[t] = -R.solve(M.transpose() * (stage.K * stage.common + stage.k));
      value = back(t, value, best.gain[t], best.shift[t]);
    }
    return best;
  }

 private:
  struct Stage {
    RowMatrix K, R;             // of y+, and of b: E[Z'KZ] + w g I
    Eigen::VectorXd k, common;  // common: what moves y+ besides A y and Z b
    double r;
  };

  Value terminal() const {
    const Index d = game_.n_outputs();
    return {RowMatrix::Zero(d, d), Eigen::VectorXd::Zero(d)};
  }

  Stage make_stage(Index t, const Value& next) const {
    const double w = game_.discount(t);
    const Eigen::VectorXd aim = map(game_.coupling()) * mean_[t + 1] + map(game_.target(t));
    const RowMatrix Q = map(game_.tracking());
    Stage stage;
    stage.K = next.P + w * Q;
    stage.k = next.s - w * Q * aim;
    stage.r = next.r + w * aim.dot(Q * aim);
    stage.common = map(game_.mean_transition(t)) * mean_[t] + map(game_.drift(t));
    const auto M = map(game_.feature_mean(t));
    stage.R = M.transpose() * stage.K * M;
    for (Index column = 0; column < game_.n_features(); ++column)
      stage.R(column, column) +=
          (stage.K * map(game_.feature_cov(t, column))).trace() + w * game_.effort();
    return stage;
  }

  /// E of the stage's cost and the next value, as a quadratic of y. With b = G y + h:
  /// x'Kx + 2 x'K M b + b'R b + 2 k'(x + M b) + r,  x = A y + common.
  Value back(Index t, const Value& next, const RowMatrix& G, const Eigen::VectorXd& h) const {
    const Stage s = make_stage(t, next);
    const RowMatrix A = map(game_.transition(t)), M = map(game_.feature_mean(t));
    const RowMatrix cross = A.transpose() * s.K * M * G;
    const Eigen::VectorXd& a = s.common;
    const Eigen::VectorXd Ka = s.K * a + s.k;
    Value value;
    value.P = A.transpose() * s.K * A + cross + cross.transpose() + G.transpose() * s.R * G;
    value.s = A.transpose() * (Ka + s.K * M * h) + G.transpose() * (M.transpose() * Ka + s.R * h);
    value.r =
        s.r + a.dot(s.K * a) + 2.0 * s.k.dot(a) + 2.0 * h.dot(M.transpose() * Ka) + h.dot(s.R * h);
    return value;
  }

  const Game& game_;
  std::vector<Eigen::VectorXd> mean_;
};

/// The policy of one agent when the mean follows `path` (T+1, K d).
inline AgentPolicy along(const Policy& policy, const std::vector<double>& path) {
  AgentPolicy own;
  for (Index t = 0; t < policy.horizon; ++t) {
    const VectorMap mean(path.data() + t * policy.mean_size, policy.mean_size);
    own.gain.push_back(map(policy.gain_at(t)));
    own.shift.push_back(map(policy.mean_gain_at(t)) * mean + map(policy.offset_at(t)));
  }
  return own;
}

}  // namespace memoa::tests
