#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "detail/interrupt.hpp"
#include "detail/matrix.hpp"
#include "detail/validate.hpp"

// Common parts of the backward recursions with hidden features: a stage's data, response, errors.
namespace memoa::detail {

[[noreturn]] void fail(Index stage, const std::string& what);

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
      return body(std::integral_constant<int, kDynamic>{});
  }
}

/// One stage of a game in the letters of the theory.
template <int D>
struct Stage {
  View<D, D> A, Abar, Q, G;
  View<D, 1> f, e;
  View<D, kDynamic> M;
  const double* C;  ///< (p, d, d)
  double w, effort;
  Index t, d, p;

  Stage(const Game& game, Index stage)
      : A(game.transition(stage)),
        Abar(game.mean_transition(stage)),
        Q(game.tracking()),
        G(game.coupling()),
        f(game.drift(stage)),
        e(game.target(stage)),
        M(game.feature_mean(stage)),
        C(game.feature_cov(stage, 0).data),
        w(game.discount(stage)),
        effort(w * game.effort()),
        t(stage),
        d(game.n_outputs()),
        p(game.n_features()) {}

  /// Checks for an interrupt: backward recursions do so once per stage.
  void listen() const { poll(static_cast<double>(d * d) * static_cast<double>(d + p)); }

  /// tr(K C[k]) + effort of every column k of the features, theory (1.4).
  void price_noise(const Matrix<D, D>& K, double with_effort, Column<kDynamic>& price) const {
    if constexpr (D == kDynamic)
      for (Index k = 0; k < p; ++k) price[k] = dot(K.data(), C + k * d * d, d * d) + with_effort;
    else
      for (Index k = 0; k < p; ++k)
        price[k] = inner(K, View<D, D>(C + k * D * D, D, D)) + with_effort;
  }
};

/// Exact reciprocal condition number in the 1-norm of a stage's `matrix` J, the identity plus a
/// product. Throws an error that names the stage, `what` is singular, and the missing `kind` of
/// equilibrium, if
///
///     1 / (max(1, |J|) |J^-1|),
///
/// the relative distance from a singular matrix, is as small as the rounding of J's own entries
/// (theory section 3). The condition number alone cannot show that: it is 1 for every scalar.
double require_regular(double norm, double norm_of_inverse, Index rows, Index stage,
                       const char* what, const char* kind);
template <int N>
double require_regular(const Matrix<N, N>& matrix, const Lu<N>& lu, Index stage, const char* what,
                       const char* kind) {
  return require_regular(one_norm(matrix), one_norm(lu.inverse()), matrix.rows(), stage, what,
                         kind);
}

/// How a hidden-feature control answers a pull a: b = -R^-1 M' a with R = M'KM + diag(price).
template <int D>
struct ControlResponse {
  Matrix<D, kDynamic> factor;  ///< (R^-1 M')', d x p
  Matrix<D, D> F;              ///< M R^-1 M'
  Matrix<D, D> W;              ///< I - K F

  ControlResponse(Index d, Index p) : factor(d, p), F(d, d), W(d, d), priced_(d, p) {}

  /// Theory (1.6): F = S (I + K S)^-1 with S = M diag(price)^-1 M'.
  void compute(const Stage<D>& stage, const Matrix<D, D>& K, const Column<kDynamic>& price);

 private:
  Matrix<D, kDynamic> priced_;
};

/// An empty policy of the game's size whose mean field has `mean_size` numbers.
Policy allocate_policy(const Game& game, Index mean_size);

/// One stage of a policy, to be written. M: the numbers of the mean field.
template <int D, int M>
struct PolicyStage {
  View<kDynamic, D, double> gain;
  View<kDynamic, M, double> mean_gain;
  View<kDynamic, 1, double> offset;
  View<M, M, double> mean_map;
  View<M, 1, double> mean_shift;

  PolicyStage(Policy& policy, Index t)
      : PolicyStage(policy, t, policy.n_outputs, policy.n_features, policy.mean_size) {}

  /// (3.4): the response to the pull on_own y + on_mean m + affine.
  void answer(const ControlResponse<D>& response, const Matrix<D, D>& on_own,
              const Matrix<D, M>& on_mean, const Matrix<D, 1>& affine) const {
    const auto factor = transposed(response.factor);
    multiply<false>(factor, -1.0 * on_own, gain);
    multiply<false>(factor, -1.0 * on_mean, mean_gain);
    multiply<false>(factor, -1.0 * affine, offset);
  }

  void require_finite(Index t) const {
    if (!all_finite(gain) || !all_finite(mean_gain) || !all_finite(offset) ||
        !all_finite(mean_map) || !all_finite(mean_shift))
      fail(t, "the policy overflowed");
  }

 private:
  PolicyStage(Policy& policy, Index t, Index d, Index p, Index m)
      : gain(policy.gain.data() + t * p * d, p, d),
        mean_gain(policy.mean_gain.data() + t * p * m, p, m),
        offset(policy.offset.data() + t * p, p, 1),
        mean_map(policy.mean_map.data() + t * m * m, m, m),
        mean_shift(policy.mean_shift.data() + t * m, m, 1) {}
};

}  // namespace memoa::detail
