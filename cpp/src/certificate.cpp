#include "memoa/certificate.hpp"

#include <cmath>

#include "detail/symmetric_value.hpp"
#include "detail/validate.hpp"

namespace memoa {
namespace {

using namespace detail;

constexpr double kRounding = 1e-14;  // of a cost, theory section 5

/// Three values run backward side by side: that of playing the law, that of the best response, and
/// the loss of the one against the other. By completing the square the law loses, at every stage,
///
///     (b_law - b_best)' R (b_law - b_best)
///
/// more than the best response, so the exploitability is the expected sum of these along the law's
/// own path (theory (5.3)). No two large costs are subtracted: it keeps its digits for any N. The
/// costs share nothing with it, so that their difference (5.2) checks it.
class CertificateRecursion {
 public:
  CertificateRecursion(const Game& game, const Policy& policy, Index n_agents)
      : game_(game),
        policy_(policy),
        played_(game, n_agents),
        best_(game, n_agents),
        loss_(game, n_agents),
        law_(game.n_features(), game.n_outputs()),
        reply_(game.n_features(), 2 * game.n_outputs() + 1) {}

  Certificate run(const VectorMap& mean, const MatrixMap& cov, MeanField mean_field) {
    std::vector<double> path;
    if (mean_field == MeanField::limit) path = policy_.mean_path(mean.data());
    for (Index t = game_.horizon() - 1; t >= 0; --t) {
      set_law(t, path);
      played_.add_stage_cost(t);
      played_.price_noise(t, game_.discount(t) * game_.effort());
      played_.step_back(t, law_.own, law_.gain, law_.shared);
      best_.add_stage_cost(t);
      best_.price_noise(t, game_.discount(t) * game_.effort());
      respond(t);
      loss_.price_noise(t, 0.0);
      loss_.step_back(t, law_.own, law_.gain, law_.shared);
      add_stage_loss(t);
      best_.step_back(t, reply_, law_.gain, law_.shared);
    }
    const double cost = played_.expectation(mean, cov);
    double loss = loss_.expectation(mean, cov);
    // a sum of squares is below 0 by its rounding alone; what is more than that must be seen
    if (loss < 0.0 && -loss <= kRounding * std::abs(cost)) loss = 0.0;
    return {cost, best_.expectation(mean, cov), loss};
  }

 private:
  using Value = SymmetricValue<Eigen::Dynamic>;

  void set_law(Index t, const std::vector<double>& path) {
    const Index p = game_.n_features(), d = game_.n_outputs();
    if (path.empty()) {
      law_.set(policy_.gain_at(t), policy_.mean_gain_at(t), policy_.offset_at(t), best_.N);
      return;
    }
    const VectorMap flow(path.data() + t * d, d);
    law_.set(policy_.gain_at(t), RowMatrix::Zero(p, d),
             policy_.offset_at(t) + policy_.mean_gain_at(t) * flow, best_.N);
  }

  /// The best response to the others' law: b = -R^-1 M' (K1 x + K2 S+ + k1), theory section 5.
  void respond(Index t) {
    response_.compute(game_, t, best_.P1(), best_.own_price);
    Value::OnState pull = best_.P1() * best_.free_motion(t) +
                          best_.P2() * best_.motion_of_sum(t, law_.gain, law_.shared);
    pull.col(2 * game_.n_outputs()) += best_.s1();
    reply_.noalias() = -response_.factor.transpose() * pull;
  }

  void add_stage_loss(Index t) {
    const Value::Control apart = law_.own - reply_;
    const Value::OnState moved = game_.feature_mean(t) * apart;
    loss_.form += moved.transpose() * (best_.P1() * moved) +
                  apart.transpose() * (best_.own_price.asDiagonal() * apart).eval();
  }

  const Game& game_;
  const Policy& policy_;
  Value played_, best_, loss_;
  Response<Eigen::Dynamic> response_;
  SymmetricLaw<Eigen::Dynamic> law_;
  Value::Control reply_;
};

}  // namespace

Certificate certify(const Game& game, const Policy& policy, Index n_agents,
                    const std::vector<double>& mean, const std::vector<double>& cov,
                    MeanField mean_field) {
  const Index d = game.n_outputs();
  require_agents(n_agents, 1);
  require_policy("policy", policy, game, d);
  require_law("mean", mean, "cov", cov, d);
  return CertificateRecursion(game, policy, n_agents)
      .run(VectorMap(mean.data(), d), MatrixMap(cov.data(), d, d), mean_field);
}

}  // namespace memoa
