#include <cmath>

#include "detail/stage.hpp"
#include "detail/validate.hpp"

namespace memoa {
namespace {

using namespace detail;
using Out = Eigen::Map<RowMatrix>;
using OutVector = Eigen::Map<Eigen::VectorXd>;

/// Theory section 7: deviations from the mean and the mean itself are two control problems that
/// share the price of noise.
template <int D>
class SocialRecursion {
 public:
  SocialRecursion(const Game& game, double n_agents)
      : game_(game),
        share_(1.0 / n_agents),
        Pd_(Square::Zero(game.n_outputs(), game.n_outputs())),
        Pm_(Pd_),
        sm_(Vector::Zero(game.n_outputs())),
        price_(game.n_features()),
        policy_(allocate_policy(game, game.n_outputs())) {}

  Policy run() {
    policy_.rcond = 1.0;  // no linear system of the mean field: the optimum always exists
    for (Index t = game_.horizon() - 1; t >= 0; --t) step(t);
    return std::move(policy_);
  }

 private:
  using Square = Eigen::Matrix<double, D, D>;
  using Vector = Eigen::Matrix<double, D, 1>;

  void step(Index t) {
    const Index d = game_.n_outputs(), p = game_.n_features();
    const double w = game_.discount(t);
    const Square keep = Square::Identity(d, d) - game_.coupling();
    const Square weighted = w * (keep.transpose() * game_.tracking());
    const Square Kd = Pd_ + w * game_.tracking();  // (7.2)
    const Square Km = Pm_ + weighted * keep;
    const Vector km = sm_ - weighted * game_.target(t);

    noise_price(game_, t, Square((1.0 - share_) * Kd + share_ * Km), price_);  // (7.3)
    price_.array() += w * game_.effort();
    deviation_.compute(game_, t, Kd, price_);
    mean_.compute(game_, t, Km, price_);

    const Square A = game_.transition(t), both = A + game_.mean_transition(t);
    const Square pull_d = Kd * A, pull_m = Km * both;
    const Vector pull = Km * game_.drift(t) + km;
    Out gain(policy_.gain.data() + t * p * d, p, d);
    gain.noalias() = -deviation_.factor.transpose() * pull_d;  // (7.4)
    Out mean_gain(policy_.mean_gain.data() + t * p * d, p, d);
    mean_gain.noalias() = -mean_.factor.transpose() * pull_m;
    mean_gain -= gain;
    OutVector(policy_.offset.data() + t * p, p).noalias() = -mean_.factor.transpose() * pull;
    Out(policy_.mean_map.data() + t * d * d, d, d) = both - mean_.F * pull_m;
    OutVector(policy_.mean_shift.data() + t * d, d) = game_.drift(t) - mean_.F * pull;

    Pd_ = (A - deviation_.F * pull_d).transpose() * pull_d;  // A' Wd Kd A
    Pm_ = (both - mean_.F * pull_m).transpose() * pull_m;
    sm_ = (both - mean_.F * pull_m).transpose() * pull;
    Pd_ = (0.5 * (Pd_ + Pd_.transpose())).eval();
    Pm_ = (0.5 * (Pm_ + Pm_.transpose())).eval();
    if (!Pd_.allFinite() || !Pm_.allFinite() || !sm_.allFinite())
      fail(t, "the value recursion overflowed");
  }

  const Game& game_;
  const double share_;
  Square Pd_, Pm_;
  Vector sm_;
  Eigen::VectorXd price_;
  Response<D> deviation_, mean_;
  Policy policy_;
};

/// One stage's best response where neither the future nor the others count, theory (7.8).
template <int D>
Policy myopic(const Game& game) {
  using Square = Eigen::Matrix<double, D, D>;
  using Vector = Eigen::Matrix<double, D, 1>;
  const Index d = game.n_outputs(), p = game.n_features();
  Policy policy = allocate_policy(game, d);
  policy.rcond = 1.0;
  Response<D> response;
  Eigen::VectorXd price(p);
  for (Index t = 0; t < game.horizon(); ++t) {
    const Square K = game.discount(t) * game.tracking();
    noise_price(game, t, K, price);
    price.array() += game.discount(t) * game.effort();
    response.compute(game, t, K, price);
    const Square on_own = K * game.transition(t), on_mean = K * game.mean_transition(t);
    const Vector affine = K * (game.drift(t) - game.target(t));
    const auto minus_factor = -response.factor.transpose();
    Out(policy.gain.data() + t * p * d, p, d).noalias() = minus_factor * on_own;
    Out(policy.mean_gain.data() + t * p * d, p, d).noalias() = minus_factor * on_mean;
    OutVector(policy.offset.data() + t * p, p).noalias() = minus_factor * affine;
    Out(policy.mean_map.data() + t * d * d, d, d) =
        game.transition(t) + game.mean_transition(t) - response.F * (on_own + on_mean);
    OutVector(policy.mean_shift.data() + t * d, d) = game.drift(t) - response.F * affine;
  }
  return policy;
}

}  // namespace

Policy solve_social_optimum(const Game& game, double n_agents) {
  require(n_agents >= 1.0, "n_agents", n_agents, "at least one agent, or infinity for the limit");
  return with_fixed_size(game.n_outputs(), [&](auto size) {
    return SocialRecursion<decltype(size)::value>(game, n_agents).run();
  });
}

Policy solve_myopic(const Game& game) {
  return with_fixed_size(game.n_outputs(),
                         [&](auto size) { return myopic<decltype(size)::value>(game); });
}

}  // namespace memoa
