#include <algorithm>

#include "detail/symmetric_value.hpp"

namespace memoa {
namespace {

using namespace detail;

/// Theory section 4: the stage's equilibrium from the value that follows it.
template <int D>
class NashRecursion {
 public:
  NashRecursion(const Game& game, Index n_agents)
      : game_(game),
        value_(game, n_agents),
        response_(game.n_outputs(), game.n_features()),
        stage_policy_(game.n_features(), game.n_outputs()),
        policy_(allocate_policy(game, game.n_outputs())) {}

  Policy run() {
    policy_.rcond = 1.0;
    for (Index t = game_.horizon() - 1; t >= 0; --t) {
      const Stage<D> stage(game_, t);
      stage.listen();
      value_.add_stage_cost(stage);
      value_.price_noise(stage, stage.effort);
      response_.compute(stage, value_.P1(), value_.own_price);
      const PolicyStage<D, D> out(policy_, t);
      solve_stage(stage, out);
      out.require_finite(t);
      stage_policy_.set(out.gain, out.mean_gain, out.offset, value_.N);
      value_.step_back(stage, stage_policy_.own, stage_policy_.gain, stage_policy_.shared);
    }
    return std::move(policy_);
  }

 private:
  using Square = Matrix<D, D>;
  using Vector = Matrix<D, 1>;

  /// (4.1), (4.2) and (4.3). With sum_j a^j = U sum_j y^j + N u, the pull of agent i is
  /// a^i = on_own y^i + on_mean m + affine.
  void solve_stage(const Stage<D>& stage, const PolicyStage<D, D>& out) {
    const double N = value_.N, n = value_.n;
    const Square K1 = value_.P1(), K2 = value_.P2();
    const Square both = stage.A + stage.Abar;
    const Vector f = stage.f, k1 = value_.s1();
    const Square K2F = K2 * response_.F;

    const Square one = Square::identity(stage.d);
    const Square sum_system = one + n * K2F, one_system = one - K2F;
    const Lu<D> sum_lu(sum_system), one_lu(one_system);
    constexpr const char *what = "the linear system of the agents' controls",
                         *kind = "Nash equilibrium";
    policy_.rcond =
        std::min({policy_.rcond, require_regular(sum_system, sum_lu, stage.t, what, kind),
                  require_regular(one_system, one_lu, stage.t, what, kind)});

    const Square K1nK2 = K1 + n * K2, apart = K1 - K2;
    const Square U = sum_lu.solve(K1nK2 * both);  // (4.2)
    const Vector u = sum_lu.solve(K1nK2 * f + k1);
    const Square on_own = one_lu.solve(apart * stage.A);  // (4.1)
    const Square on_mean = one_lu.solve(apart * stage.Abar + N * (K2 * both - K2F * U));
    const Vector affine = one_lu.solve(apart * f + N * (K2 * f - K2F * u) + k1);

    out.answer(response_, on_own, on_mean, affine);
    out.mean_map.set(both - response_.F * (on_own + on_mean));
    out.mean_shift.set(f - response_.F * affine);
  }

  const Game& game_;
  SymmetricValue<D> value_;
  ControlResponse<D> response_;
  SymmetricPolicy<D> stage_policy_;
  Policy policy_;
};

}  // namespace

Policy solve_nash(const Game& game, Index n_agents) {
  require_agents(n_agents, 1);
  return with_fixed_size(game.n_outputs(), [&](auto size) {
    return NashRecursion<decltype(size)::value>(game, n_agents).run();
  });
}

}  // namespace memoa
