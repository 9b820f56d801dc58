#include "memoa/eigen.hpp"

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <cmath>
#include <limits>

#include "detail/validate.hpp"
#include "memoa/panel.hpp"

namespace memoa {

PanelEquilibrium solve_panel_equilibrium(const double* gram, const double* cross, Index N, Index p,
                                         Index d, double ridge, double pooling) {
  detail::require(N >= 1, "n_clients", N, "at least 1");
  detail::require(ridge >= 0.0 && std::isfinite(ridge), "ridge", ridge, "a finite number >= 0");
  detail::require(pooling >= 0.0 && std::isfinite(pooling), "pooling", pooling,
                  "a finite number >= 0");
  require_finite("gram", gram, {N, p, p});
  require_finite("cross", cross, {N, p, d});
  for (Index i = 0; i < N; ++i)
    detail::require_psd("gram[" + std::to_string(i) + "]", {gram + i * p * p, p, p});
  const auto client = [&](Index i) {
    RowMatrix system = MatrixMap(gram + i * p * p, p, p);
    system.diagonal().array() += ridge + pooling;
    return Eigen::LDLT<RowMatrix>(system);
  };
  // I - pooling avg A = avg A (H + ridge I): the mean of what pulls, without a difference of
  // nearly equal matrices where the pooling is large
  RowMatrix pull = RowMatrix::Zero(p, p), own = RowMatrix::Zero(p, d);
  for (Index i = 0; i < N; ++i) {
    const auto factors = client(i);
    if (factors.info() != Eigen::Success || !(factors.vectorD().minCoeff() > 0.0))
      throw NumericalError("client " + std::to_string(i) +
                           ": gram + (ridge + pooling) I is not positive definite");
    RowMatrix held = MatrixMap(gram + i * p * p, p, p);
    held.diagonal().array() += ridge;
    pull += factors.solve(held);
    own += factors.solve(MatrixMap(cross + i * p * d, p, d));
  }
  const Eigen::PartialPivLU<RowMatrix> crowd(pull);
  if (!(crowd.rcond() > std::numeric_limits<double>::epsilon()))
    throw NumericalError(
        "the clients' data leave the mean readout undetermined; expected a ridge > 0, or a gram of "
        "full rank");
  const RowMatrix mean = crowd.solve(own);
  PanelEquilibrium found;
  found.mean_readout.assign(mean.data(), mean.data() + p * d);
  found.readouts.resize(static_cast<std::size_t>(N * p * d));
  for (Index i = 0; i < N; ++i) {
    const RowMatrix right = MatrixMap(cross + i * p * d, p, d) + pooling * mean;
    Eigen::Map<RowMatrix> readout(found.readouts.data() + i * p * d, p, d);
    readout = client(i).solve(right);
    if (!readout.allFinite())
      throw NumericalError("the readout of client " + std::to_string(i) + " overflowed");
  }
  return found;
}

}  // namespace memoa
