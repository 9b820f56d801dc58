#include "detail/stage.hpp"

namespace memoa::detail {

void fail(Index stage, const std::string& what) {
  throw NumericalError("stage " + std::to_string(stage) + ": " + what);
}

double require_regular(double norm, double norm_of_inverse, Index rows, Index stage,
                       const char* what, const char* kind) {
  const double epsilon = std::numeric_limits<double>::epsilon();
  const double distance = 1.0 / (std::max(1.0, norm) * norm_of_inverse);
  if (!(distance > 10.0 * static_cast<double>(rows) * epsilon))
    fail(stage, std::string(what) + " is singular to working precision (relative distance from a " +
                    "singular one: " + to_text(std::isfinite(distance) ? distance : 0.0, 3) +
                    "); the game has no unique " + kind);
  return 1.0 / (norm * norm_of_inverse);
}

Policy allocate_policy(const Game& game, Index mean_size) {
  Policy policy;
  const Index T = game.horizon(), d = game.n_outputs(), p = game.n_features();
  const double per_stage = static_cast<double>(p + mean_size) * static_cast<double>(mean_size + 1) +
                           static_cast<double>(p) * static_cast<double>(d);
  require_memory("a policy with horizon = " + std::to_string(T) +
                     ", n_outputs = " + std::to_string(d) + ", n_features = " + std::to_string(p),
                 8.0 * static_cast<double>(T) * per_stage);
  policy.horizon = T;
  policy.n_outputs = d;
  policy.n_features = p;
  policy.mean_size = mean_size;
  policy.gain.resize(T * p * d);
  policy.mean_gain.resize(T * p * mean_size);
  policy.offset.resize(T * p);
  policy.mean_map.resize(T * mean_size * mean_size);
  policy.mean_shift.resize(T * mean_size);
  return policy;
}

template <int D>
void ControlResponse<D>::compute(const Stage<D>& stage, const Matrix<D, D>& K,
                                 const Column<kDynamic>& price) {
  for (Index i = 0; i < stage.d; ++i)
    for (Index k = 0; k < stage.p; ++k) priced_(i, k) = stage.M(i, k) / price[k];
  const Matrix<D, D> S = times_transposed(priced_, stage.M);
  W = Lu<D>(Matrix<D, D>::identity(stage.d) + K * S).inverse();  // d x d, and wanted itself
  F = S * W;
  multiply<false>(transposed(W), priced_, factor.view());
  if (!all_finite(F) || !all_finite(factor)) fail(stage.t, "the value recursion overflowed");
}

template struct ControlResponse<1>;
template struct ControlResponse<2>;
template struct ControlResponse<3>;
template struct ControlResponse<4>;
template struct ControlResponse<kDynamic>;

}  // namespace memoa::detail
