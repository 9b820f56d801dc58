#pragma once

#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "detail/validate.hpp"

// What the backward recursions of hidden features share: one stage's response and its errors.
namespace memoa::detail {

[[noreturn]] inline void fail(Index stage, const std::string& what) {
  throw NumericalError("stage " + std::to_string(stage) + ": " + what);
}

/// A policy of the game's size whose mean field has `mean_size` numbers; nothing is filled in.
inline Policy allocate_policy(const Game& game, Index mean_size) {
  Policy policy;
  const Index T = game.horizon(), d = game.n_outputs(), p = game.n_features();
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

/// Calls body with d as a compile-time number where it is 1 or 2, which spares the heap and the
/// loops of dynamic sizes. For 3 and 4 that gains a factor of two or three, milliseconds in a
/// thousand stages, and is not worth compiling every file for twice as long.
template <class Body>
auto with_fixed_size(Index d, const Body& body) {
  switch (d) {
    case 1:
      return body(std::integral_constant<int, 1>{});
    case 2:
      return body(std::integral_constant<int, 2>{});
    default:
      return body(std::integral_constant<int, Eigen::Dynamic>{});
  }
}

template <class Matrix>
double one_norm(const Matrix& matrix) {
  return matrix.cwiseAbs().colwise().sum().maxCoeff();
}

/// Reciprocal condition number in the 1-norm, exact, of a stage's `matrix` J, the identity plus a
/// product. It is an error that names the stage, `what` is singular and which `kind` of equilibrium
/// the game lacks, where
///
///     1 / (max(1, |J|) |J^-1|),
///
/// the relative distance from a singular matrix, is as small as the rounding of J's own entries
/// (theory section 3). The condition number alone is blind to that: it is 1 for every scalar.
template <class Matrix>
double require_regular(const Matrix& matrix, const Eigen::PartialPivLU<Matrix>& lu, Index stage,
                       const char* what, const char* kind) {
  const double epsilon = std::numeric_limits<double>::epsilon();
  const double norm = one_norm(matrix), of_inverse = one_norm(Matrix(lu.inverse()));
  const double distance = 1.0 / (std::max(1.0, norm) * of_inverse);
  if (!(distance > 10.0 * static_cast<double>(matrix.rows()) * epsilon))
    fail(stage, std::string(what) + " is singular to working precision (relative distance from a " +
                    "singular one: " + to_text(std::isfinite(distance) ? distance : 0.0, 3) +
                    "); the game has no unique " + kind);
  return 1.0 / (norm * of_inverse);
}

/// tr(K C[k]) of every column k of the features, theory (1.4).
template <class Square>
void noise_price(const Game& game, Index t, const Square& K, Eigen::VectorXd& price) {
  for (Index k = 0; k < game.n_features(); ++k)
    price[k] = K.cwiseProduct(game.feature_cov(t, k)).sum();
}

/// How a hidden-feature control answers a pull a: b = -R^-1 M' a with R = M'KM + diag(price).
template <int D>
struct Response {
  using Square = Eigen::Matrix<double, D, D>;
  using Features = Eigen::Matrix<double, D, Eigen::Dynamic, Eigen::RowMajor>;

  Features factor;  ///< (R^-1 M')', d x p
  Square F;         ///< M R^-1 M'

  /// Theory (1.6): F = S (I + K S)^-1 with S = M diag(price)^-1 M'.
  void compute(const Game& game, Index t, const Square& K, const Eigen::VectorXd& price) {
    const Index d = game.n_outputs();
    const Eigen::Map<const Features> mean(game.feature_mean(t).data(), d, game.n_features());
    factor = mean;
    for (Index k = 0; k < game.n_features(); ++k) factor.col(k) /= price[k];
    const Square S = factor * mean.transpose();
    const Square system = Square::Identity(d, d) + K * S;
    const Square W = system.partialPivLu().inverse();  // d x d, and wanted itself: I - K F
    F = S * W;
    factor = (W.transpose() * factor).eval();
    if (!F.allFinite() || !factor.allFinite()) fail(t, "the value recursion overflowed");
  }
};

}  // namespace memoa::detail
