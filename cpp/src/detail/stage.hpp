#pragma once

#include <Eigen/LU>
#include <cmath>
#include <limits>
#include <type_traits>

#include "memoa/equilibrium.hpp"

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

/// Calls body with d as a compile-time number where it is small, which spares the heap and the
/// loops of dynamic sizes.
template <class Body>
auto with_fixed_size(Index d, const Body& body) {
  switch (d) {
    case 1:
      return body(std::integral_constant<int, 1>{});
    case 2:
      return body(std::integral_constant<int, 2>{});
    case 3:
      return body(std::integral_constant<int, 3>{});
    case 4:
      return body(std::integral_constant<int, 4>{});
    default:
      return body(std::integral_constant<int, Eigen::Dynamic>{});
  }
}

template <class Matrix>
double one_norm(const Matrix& matrix) {
  return matrix.cwiseAbs().colwise().sum().maxCoeff();
}

/// Reciprocal condition number of `matrix` in the 1-norm, exact. Below d times machine epsilon it
/// is an error that names the stage and says `what` is singular.
template <class Matrix>
double require_regular(const Matrix& matrix, const Eigen::PartialPivLU<Matrix>& lu, Index stage,
                       const char* what) {
  const Matrix inverse = lu.inverse();
  const double rcond = 1.0 / (one_norm(matrix) * one_norm(inverse));
  if (!(rcond >= static_cast<double>(matrix.rows()) * std::numeric_limits<double>::epsilon()))
    fail(stage, std::string(what) + " is singular (reciprocal condition number " +
                    std::to_string(std::isfinite(rcond) ? rcond : 0.0) + ")");
  return rcond;
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
