#include "detail/symmetric_value.hpp"
#include "detail/validate.hpp"

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
        law_(game.n_features(), game.n_outputs()),
        policy_(allocate_policy(game, game.n_outputs())) {}

  Policy run() {
    policy_.rcond = 1.0;
    for (Index t = game_.horizon() - 1; t >= 0; --t) {
      value_.add_stage_cost(t);
      value_.price_noise(t, game_.discount(t) * game_.effort());
      response_.compute(game_, t, value_.P1(), value_.own_price);
      solve_stage(t);
      law_.set(policy_.gain_at(t), policy_.mean_gain_at(t), policy_.offset_at(t), value_.N);
      value_.step_back(t, law_.own, law_.gain, law_.shared);
    }
    return std::move(policy_);
  }

 private:
  using Square = Eigen::Matrix<double, D, D>;
  using Vector = Eigen::Matrix<double, D, 1>;
  using Out = Eigen::Map<RowMatrix>;
  using OutVector = Eigen::Map<Eigen::VectorXd>;

  /// (4.1), (4.2) and (4.3). With sum_j a^j = U sum_j y^j + N u, the pull of agent i is
  /// a^i = on_own y^i + on_mean m + affine.
  void solve_stage(Index t) {
    const Index d = game_.n_outputs(), p = game_.n_features();
    const double N = value_.N, n = value_.n;
    const Square K1 = value_.P1(), K2 = value_.P2();
    const Square A = game_.transition(t), both = A + game_.mean_transition(t);
    const Vector f = game_.drift(t), k1 = value_.s1();
    const Square K2F = K2 * response_.F;

    const Square sum_system = Square::Identity(d, d) + n * K2F;
    const Square one_system = Square::Identity(d, d) - K2F;
    const Eigen::PartialPivLU<Square> sum_lu(sum_system), one_lu(one_system);
    constexpr const char *what = "the linear system of the agents' controls",
                         *kind = "Nash equilibrium";
    policy_.rcond = std::min({policy_.rcond, require_regular(sum_system, sum_lu, t, what, kind),
                              require_regular(one_system, one_lu, t, what, kind)});

    const Square K1nK2 = K1 + n * K2;
    const Square U = sum_lu.solve(K1nK2 * both);  // (4.2)
    const Vector u = sum_lu.solve(K1nK2 * f + k1);
    const Square on_own = one_lu.solve((K1 - K2) * A);  // (4.1)
    const Square on_mean =
        one_lu.solve((K1 - K2) * game_.mean_transition(t) + N * (K2 * both - K2F * U));
    const Vector affine = one_lu.solve((K1 - K2) * f + N * (K2 * f - K2F * u) + k1);

    const auto minus_factor = -response_.factor.transpose();
    Out(policy_.gain.data() + t * p * d, p, d).noalias() = minus_factor * on_own;
    Out(policy_.mean_gain.data() + t * p * d, p, d).noalias() = minus_factor * on_mean;
    OutVector(policy_.offset.data() + t * p, p).noalias() = minus_factor * affine;
    Out(policy_.mean_map.data() + t * d * d, d, d) = both - response_.F * (on_own + on_mean);
    OutVector(policy_.mean_shift.data() + t * d, d) = f - response_.F * affine;
  }

  const Game& game_;
  SymmetricValue<D> value_;
  Response<D> response_;
  SymmetricLaw<D> law_;
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
