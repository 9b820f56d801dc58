#include "memoa/equilibrium.hpp"

#include "detail/stage.hpp"
#include "detail/validate.hpp"

namespace memoa {
namespace {

using detail::fail;
using Eigen::Dynamic;

/// D: the outputs, KD: the stacked means of all types, where known at compile time.
template <int D, int KD>
struct Recursion {
  using Square = Eigen::Matrix<double, D, D>;
  using Vector = Eigen::Matrix<double, D, 1>;
  using OnMean = Eigen::Matrix<double, D, KD, D == 1 && KD != 1 ? Eigen::RowMajor : 0>;
  using MeanSquare = Eigen::Matrix<double, KD, KD>;
  using MeanVector = Eigen::Matrix<double, KD, 1>;
  using Features = Eigen::Matrix<double, D, Dynamic, Eigen::RowMajor>;  // d x p
  template <class M>
  using RowMap = Eigen::Map<Eigen::Matrix<double, M::RowsAtCompileTime, M::ColsAtCompileTime,
                                          M::ColsAtCompileTime == 1 ? 0 : Eigen::RowMajor>>;

  /// One type's part of a stage, between the backward steps.
  struct Type {
    const Game& game;
    Policy& policy;
    Square l1;
    OnMean l2;
    Vector s;
    // of the current stage
    Square K, W;  // (3.1) and I - K F
    OnMean L;
    Vector k;
    Features gain_factor;  // (R^-1 M')' = W' M D^-1, d x p
    Square F;
  };

  const Index d, kd;
  const std::vector<double>& shares;
  std::vector<Type> types;
  MeanSquare joint, mean_map;
  MeanVector mean_shift;
  double rcond = 1.0;

  Recursion(const std::vector<const Game*>& games, const std::vector<double>& type_shares,
            std::vector<Policy>& policies)
      : d(games.front()->n_outputs()),
        kd(d * static_cast<Index>(games.size())),
        shares(type_shares) {
    for (std::size_t k = 0; k < games.size(); ++k) {
      Square zero = Square::Zero(d, d);
      types.push_back({*games[k], policies[k], zero, OnMean::Zero(d, kd), Vector::Zero(d), zero,
                       zero, OnMean::Zero(d, kd), Vector::Zero(d),
                       Features::Zero(d, games[k]->n_features()), zero});
    }
    joint.resize(kd, kd);
    mean_map.resize(kd, kd);
    mean_shift.resize(kd);
  }

  /// block (d x d) applied to the average over types: block Pi, added to `to`.
  template <class Block, class To>
  void add_on_average(const Block& block, To&& to) const {
    for (std::size_t j = 0; j < shares.size(); ++j)
      to.template middleCols<D>(static_cast<Index>(j) * d, d) += shares[j] * block;
  }

  /// (3.1) and, by (1.6), F = S (I + K S)^-1 with S = M D^-1 M', D = diag_k(tr(K C[k]) + w g).
  void prepare(Type& type, Index t) const {
    const Game& game = type.game;
    const double w = game.discount(t);
    type.K = type.l1 + w * game.tracking();
    type.L = type.l2;
    add_on_average((-w * game.tracking() * game.coupling()).eval(), type.L);
    type.k = type.s - w * (game.tracking() * game.target(t));

    const Eigen::Map<const Features> mean(game.feature_mean(t).data(), d, game.n_features());
    type.gain_factor = mean;
    for (Index column = 0; column < game.n_features(); ++column) {
      const double noise = type.K.cwiseProduct(game.feature_cov(t, column)).sum();
      type.gain_factor.col(column) /= noise + w * game.effort();
    }
    const Square S = type.gain_factor * mean.transpose();
    const Square system = Square::Identity(d, d) + type.K * S;
    type.W = system.partialPivLu().inverse();  // d x d, and wanted itself: I - K F
    type.F = S * type.W;
    type.gain_factor = (type.W.transpose() * type.gain_factor).eval();
    if (!type.W.allFinite() || !type.gain_factor.allFinite())
      fail(t, "the value recursion overflowed");
  }

  /// (3.2): the joint linear system of the types' next means.
  void step_mean(Index t) {
    joint.setIdentity(kd, kd);
    mean_map.setZero();
    for (std::size_t j = 0; j < types.size(); ++j) {
      const Type& type = types[j];
      const Index row = static_cast<Index>(j) * d;
      const Square closed = type.W.transpose();  // I - F K
      joint.template middleRows<D>(row, d) += type.F * type.L;
      mean_map.template block<D, D>(row, row, d, d) += closed * type.game.transition(t);
      add_on_average((closed * type.game.mean_transition(t)).eval(),
                     mean_map.template middleRows<D>(row, d));
      mean_shift.template segment<D>(row, d) = closed * type.game.drift(t) - type.F * type.k;
    }
    const Eigen::PartialPivLU<MeanSquare> lu(joint);
    rcond = std::min(rcond, detail::require_regular(joint, lu, t, "the mean field's linear system",
                                                    "mean-field equilibrium"));
    mean_map = lu.solve(mean_map).eval();
    mean_shift = lu.solve(mean_shift).eval();
  }

  /// (3.4) into the policy and (3.3) into the value.
  void finish(Type& type, Index t) {
    const Game& game = type.game;
    const Index p = game.n_features();
    const auto A = game.transition(t);
    const Square on_own = type.K * A;
    OnMean on_mean = type.L * mean_map;
    add_on_average((type.K * game.mean_transition(t)).eval(), on_mean);
    const Vector affine = type.K * game.drift(t) + type.L * mean_shift + type.k;

    Policy& policy = type.policy;
    const auto minus_factor = -type.gain_factor.transpose();
    using Out = Eigen::Map<RowMatrix>;
    Out(policy.gain.data() + t * p * d, p, d).noalias() = minus_factor * on_own;
    Out(policy.mean_gain.data() + t * p * kd, p, kd).noalias() = minus_factor * on_mean;
    Eigen::Map<Eigen::VectorXd>(policy.offset.data() + t * p, p).noalias() = minus_factor * affine;
    Out(policy.mean_map.data() + t * kd * kd, kd, kd) = mean_map;
    Eigen::Map<Eigen::VectorXd>(policy.mean_shift.data() + t * kd, kd) = mean_shift;

    const Square back = A.transpose() * type.W;
    type.l1 = back * on_own;
    type.l1 = (0.5 * (type.l1 + type.l1.transpose())).eval();
    type.l2 = back * on_mean;
    type.s = back * affine;
    if (!type.l1.allFinite() || !type.l2.allFinite() || !type.s.allFinite())
      fail(t, "the value recursion overflowed");
  }

  void run() {
    for (Index t = types.front().game.horizon() - 1; t >= 0; --t) {
      for (Type& type : types) prepare(type, t);
      step_mean(t);
      for (Type& type : types) finish(type, t);
    }
    for (Type& type : types) type.policy.rcond = rcond;
  }
};

template <int D, int KD>
void run(const std::vector<const Game*>& games, const std::vector<double>& shares,
         std::vector<Policy>& policies) {
  Recursion<D, KD>(games, shares, policies).run();
}

std::vector<Policy> solve(const std::vector<const Game*>& games,
                          const std::vector<double>& shares) {
  const Index d = games.front()->n_outputs();
  std::vector<Policy> policies;
  for (const Game* game : games)
    policies.push_back(detail::allocate_policy(*game, d * static_cast<Index>(games.size())));
  // small fixed sizes spare the heap and the loops of dynamic ones
  const bool single = games.size() == 1;
  if (single && d == 1)
    run<1, 1>(games, shares, policies);
  else if (single && d == 2)
    run<2, 2>(games, shares, policies);
  else if (single && d == 3)
    run<3, 3>(games, shares, policies);
  else if (single && d == 4)
    run<4, 4>(games, shares, policies);
  else
    run<Dynamic, Dynamic>(games, shares, policies);
  return policies;
}

}  // namespace

Policy solve_mean_field(const Game& game) { return std::move(solve({&game}, {1.0}).front()); }

std::vector<Policy> solve_mean_field(const std::vector<Game>& games,
                                     const std::vector<double>& shares) {
  detail::require_types(games, shares);
  std::vector<const Game*> pointers;
  for (const Game& game : games) pointers.push_back(&game);
  return solve(pointers, shares);
}

std::vector<double> Policy::mean_path(const double* m0) const {
  std::vector<double> path(static_cast<std::size_t>((horizon + 1) * mean_size));
  std::copy(m0, m0 + mean_size, path.begin());
  for (Index t = 0; t < horizon; ++t) {
    const VectorMap now(path.data() + t * mean_size, mean_size);
    Eigen::Map<Eigen::VectorXd>(path.data() + (t + 1) * mean_size, mean_size) =
        mean_map_at(t) * now + mean_shift_at(t);
  }
  return path;
}

void Policy::act(Index t, const double* prediction, Index n_agents, const double* mean,
                 double* control) const {
  const Eigen::VectorXd common = mean_gain_at(t) * VectorMap(mean, mean_size) + offset_at(t);
  Eigen::Map<RowMatrix> out(control, n_agents, n_features);
  out.noalias() = MatrixMap(prediction, n_agents, n_outputs) * gain_at(t).transpose();
  out.rowwise() += common.transpose();
}

void Policy::validate() const {
  const Index T = horizon, d = n_outputs, p = n_features, m = mean_size;
  detail::require_size("gain", gain.size(), T * p * d);
  detail::require_size("mean_gain", mean_gain.size(), T * p * m);
  detail::require_size("offset", offset.size(), T * p);
  detail::require_size("mean_map", mean_map.size(), T * m * m);
  detail::require_size("mean_shift", mean_shift.size(), T * m);
  require_finite("gain", gain.data(), {T, p, d});
  require_finite("mean_gain", mean_gain.data(), {T, p, m});
  require_finite("offset", offset.data(), {T, p});
  require_finite("mean_map", mean_map.data(), {T, m, m});
  require_finite("mean_shift", mean_shift.data(), {T, m});
}

}  // namespace memoa
