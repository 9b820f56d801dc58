#include <cmath>

#include "detail/stage.hpp"

namespace memoa {
namespace {

using namespace detail;

/// Theory section 7: deviations from the mean and the mean itself are two control problems that
/// share the price of noise.
template <int D>
class SocialRecursion {
 public:
  SocialRecursion(const Game& game, double n_agents)
      : game_(game),
        share_(1.0 / n_agents),
        Pd_(game.n_outputs(), game.n_outputs()),
        Pm_(Pd_),
        sm_(game.n_outputs(), 1),
        price_(game.n_features(), 1),
        deviation_(game.n_outputs(), game.n_features()),
        mean_(deviation_),
        policy_(allocate_policy(game, game.n_outputs())) {}

  Policy run() {
    policy_.rcond = 1.0;  // no linear system of the mean field: the optimum always exists
    for (Index t = game_.horizon() - 1; t >= 0; --t) step({game_, t});
    return std::move(policy_);
  }

 private:
  using Square = Matrix<D, D>;
  using Vector = Matrix<D, 1>;

  void step(const Stage<D>& stage) {
    stage.listen();
    const Square keep = Square::identity(stage.d) - stage.G;
    const Square weighted = stage.w * (transposed(keep) * stage.Q);
    const Square Kd = Pd_ + stage.w * stage.Q;  // (7.2)
    const Square Km = Pm_ + weighted * keep;
    const Vector km = sm_ - weighted * stage.e;

    stage.price_noise((1.0 - share_) * Kd + share_ * Km, stage.effort, price_);  // (7.3)
    deviation_.compute(stage, Kd, price_);
    mean_.compute(stage, Km, price_);

    const Square both = stage.A + stage.Abar;
    const Square pull_d = Kd * stage.A, pull_m = Km * both;
    const Vector pull = Km * stage.f + km;
    const PolicyStage<D, D> out(policy_, stage.t);
    out.answer(mean_, pull_d, pull_m, pull);
    multiply<false>(transposed(deviation_.factor), -1.0 * pull_d, out.gain);  // (7.4)
    out.mean_gain -= out.gain;
    const Square own_map = stage.A - deviation_.F * pull_d, map = both - mean_.F * pull_m;
    out.mean_map.set(map);
    out.mean_shift.set(stage.f - mean_.F * pull);
    out.require_finite(stage.t);

    Pd_ = symmetric_part(transposed(own_map) * pull_d);  // A' Wd Kd A
    Pm_ = symmetric_part(transposed(map) * pull_m);
    sm_ = transposed(map) * pull;
    if (!all_finite(Pd_) || !all_finite(Pm_) || !all_finite(sm_))
      fail(stage.t, "the value recursion overflowed");
  }

  const Game& game_;
  const double share_;
  Square Pd_, Pm_;
  Vector sm_;
  Column<kDynamic> price_;
  ControlResponse<D> deviation_, mean_;
  Policy policy_;
};

/// One stage's best response that ignores later stages and the others, theory (7.8).
template <int D>
Policy myopic(const Game& game) {
  Policy policy = allocate_policy(game, game.n_outputs());
  policy.rcond = 1.0;
  ControlResponse<D> response(game.n_outputs(), game.n_features());
  Column<kDynamic> price(game.n_features(), 1);
  for (Index t = 0; t < game.horizon(); ++t) {
    const Stage<D> stage(game, t);
    stage.listen();
    const Matrix<D, D> K = stage.w * stage.Q;
    stage.price_noise(K, stage.effort, price);
    response.compute(stage, K, price);
    const Matrix<D, D> on_own = K * stage.A, on_mean = K * stage.Abar;
    const Matrix<D, 1> affine = K * (stage.f - stage.e);
    const PolicyStage<D, D> out(policy, t);
    out.answer(response, on_own, on_mean, affine);
    out.mean_map.set(stage.A + stage.Abar - response.F * (on_own + on_mean));
    out.mean_shift.set(stage.f - response.F * affine);
    out.require_finite(t);
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
