#include "memoa/certificate.hpp"

#include <cmath>

#include "detail/symmetric_value.hpp"

namespace memoa {
namespace {

using namespace detail;

constexpr double kRounding = 1e-14;  // of a cost, theory section 5

/// Three values are computed backward together: that of the policy, that of the best response, and
/// the loss of the first against the second. Completing the square, the policy loses at every stage
///
///     (b_policy - b_best)' R (b_policy - b_best)
///
/// more than the best response. So the exploitability is the expected sum of these along the
/// policy's own path (theory (5.3)). No two large costs are subtracted: it keeps its digits for any
/// N. The costs are computed separately, so their difference (5.2) checks it.
template <int D>
class CertificateRecursion {
 public:
  CertificateRecursion(const Game& game, const Policy& policy, Index n_agents)
      : game_(game),
        policy_(policy),
        played_(game, n_agents),
        best_(game, n_agents),
        loss_(game, n_agents),
        response_(game.n_outputs(), game.n_features()),
        stage_policy_(game.n_features(), game.n_outputs()),
        reply_(game.n_features(), 2 * game.n_outputs() + 1) {}

  Certificate run(const View<D, 1>& mean, const View<D, D>& cov, MeanField mean_field) {
    std::vector<double> path;
    if (mean_field == MeanField::limit) path = policy_.mean_path(mean.data);
    for (Index t = game_.horizon() - 1; t >= 0; --t) {
      const Stage<D> stage(game_, t);
      stage.listen();
      set_policy(stage, path);
      played_.add_stage_cost(stage);
      played_.price_noise(stage, stage.effort);
      played_.step_back(stage, stage_policy_.own, stage_policy_.gain, stage_policy_.shared);
      best_.add_stage_cost(stage);
      best_.price_noise(stage, stage.effort);
      respond(stage);
      loss_.price_noise(stage, 0.0);
      loss_.step_back(stage, stage_policy_.own, stage_policy_.gain, stage_policy_.shared);
      add_stage_loss(stage);
      best_.step_back(stage, reply_, stage_policy_.gain, stage_policy_.shared);
    }
    const double cost = played_.expectation(mean, cov);
    double loss = loss_.expectation(mean, cov);
    // a sum of squares is below 0 only by rounding; anything larger must stay visible
    if (loss < 0.0 && -loss <= kRounding * std::abs(cost)) loss = 0.0;
    const Certificate found{cost, best_.expectation(mean, cov), loss};
    if (!std::isfinite(found.cost) || !std::isfinite(found.best_response_cost) ||
        !std::isfinite(found.exploitability))
      throw NumericalError("the expected cost overflowed");
    return found;
  }

 private:
  using Value = SymmetricValue<D>;

  void set_policy(const Stage<D>& stage, const std::vector<double>& path) {
    const View<kDynamic, D> gain(policy_.gain_at(stage.t)),
        mean_gain(policy_.mean_gain_at(stage.t));
    const View<kDynamic, 1> offset(policy_.offset_at(stage.t));
    if (path.empty()) {
      stage_policy_.set(gain, mean_gain, offset, best_.N);
      return;
    }
    const View<D, 1> flow(path.data() + stage.t * stage.d, stage.d, 1);
    stage_policy_.set(gain, Matrix<kDynamic, D>(stage.p, stage.d), offset + mean_gain * flow,
                      best_.N);
  }

  /// The best response to the others' policy: b = -R^-1 M' (K1 x + K2 S+ + k1), theory section 5.
  void respond(const Stage<D>& stage) {
    response_.compute(stage, best_.P1(), best_.own_price);
    typename Value::OnState pull =
        best_.P1() * best_.free_motion(stage) +
        best_.P2() * best_.motion_of_sum(stage, stage_policy_.gain, stage_policy_.shared);
    pull.template block<D, 1>(0, 2 * stage.d, stage.d, 1) += best_.s1();
    multiply<false>(transposed(response_.factor), -1.0 * pull, reply_.view());
  }

  void add_stage_loss(const Stage<D>& stage) {
    const typename Value::Control apart = stage_policy_.own - reply_;
    const typename Value::OnState moved = stage.M * apart;
    loss_.form += transposed(moved) * (best_.P1() * moved);
    loss_.add_control_cost(apart, best_.own_price);
  }

  const Game& game_;
  const Policy& policy_;
  Value played_, best_, loss_;
  ControlResponse<D> response_;
  SymmetricPolicy<D> stage_policy_;
  typename Value::Control reply_;
};

}  // namespace

Certificate certify(const Game& game, const Policy& policy, Index n_agents,
                    const std::vector<double>& mean, const std::vector<double>& cov,
                    MeanField mean_field) {
  const Index d = game.n_outputs();
  require_agents(n_agents, 1);
  require_policy("policy", policy, game, d);
  require_moments("mean", mean, "cov", cov, d);
  return with_fixed_size(d, [&](auto size) {
    constexpr int D = decltype(size)::value;
    return CertificateRecursion<D>(game, policy, n_agents)
        .run({mean.data(), d, 1}, {cov.data(), d, d}, mean_field);
  });
}

}  // namespace memoa
