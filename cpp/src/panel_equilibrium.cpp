#include <cmath>
#include <limits>

#include "detail/matrix.hpp"
#include "detail/validate.hpp"
#include "memoa/panel.hpp"

namespace memoa {
namespace {

using namespace detail;
using Large = Matrix<kDynamic, kDynamic>;
using Rows = View<kDynamic, kDynamic>;

Large plus_diagonal(const Rows& gram, double term) {
  Large sum(gram);
  for (Index k = 0; k < sum.rows(); ++k) sum(k, k) += term;
  return sum;
}

/// Solves a system; throws unless its reciprocal condition number exceeds `least`.
Large solve(const Large& system, const Large& right, double least, const std::string& refusal) {
  Large x(right);
  if (!(solve_large(system, x.data(), x.cols()) > least)) throw NumericalError(refusal);
  return x;
}

}  // namespace

PanelEquilibrium solve_panel_equilibrium(const double* gram, const double* cross, Index N, Index p,
                                         Index d, double ridge, double pooling) {
  require(N >= 1, "n_clients", N, "at least 1");
  require(ridge >= 0.0 && std::isfinite(ridge), "ridge", ridge, "a finite number >= 0");
  require(pooling >= 0.0 && std::isfinite(pooling), "pooling", pooling, "a finite number >= 0");
  require_finite("gram", gram, {N, p, p});
  require_finite("cross", cross, {N, p, d});
  for (Index i = 0; i < N; ++i)
    require_psd("gram[" + std::to_string(i) + "]", {gram + i * p * p, p, p});
  const auto gram_of = [&](Index i) { return Rows(gram + i * p * p, p, p); };
  const auto cross_of = [&](Index i) { return Rows(cross + i * p * d, p, d); };
  const auto answer = [&](Index i, const Large& right) {
    return solve(
        plus_diagonal(gram_of(i), ridge + pooling), right, 0.0,
        "client " + std::to_string(i) + ": gram + (ridge + pooling) I is not positive definite");
  };
  // I - pooling avg A = avg A (H + ridge I). The right-hand form avoids the difference of nearly
  // equal matrices if the pooling is large.
  Large pull(p, p), own(p, d);
  for (Index i = 0; i < N; ++i) {
    pull += answer(i, plus_diagonal(gram_of(i), ridge));
    own += answer(i, cross_of(i));
  }
  const Large mean =
      solve(pull, own, std::numeric_limits<double>::epsilon(),
            "the clients' data do not determine the mean readout; expected a ridge > 0, or a gram "
            "of full rank");
  PanelEquilibrium found;
  found.mean_readout.assign(mean.data(), mean.data() + p * d);
  found.readouts.resize(static_cast<std::size_t>(N * p * d));
  for (Index i = 0; i < N; ++i) {
    const Large readout = answer(i, cross_of(i) + pooling * mean);
    if (!all_finite(readout))
      throw NumericalError("the readout of client " + std::to_string(i) + " overflowed");
    View<kDynamic, kDynamic, double>(found.readouts.data() + i * p * d, p, d).set(readout);
  }
  return found;
}

}  // namespace memoa
