#pragma once

#include <cmath>
#include <limits>

#include "detail/lanes.hpp"

// Kernels on a chunk of agents: every output is a plane, an array over the chunk's agents that
// stays in the first-level cache.
namespace memoa::detail {

using Plane = Eigen::Map<Eigen::ArrayXd>;
constexpr Index kPlane = 256;  // agents of a chunk, whatever the threads

/// Adds at an agent with state y the form (y, 1)' q (y, 1); q is symmetric, (d+1, d+1).
/// y and out are planes `stride` and one apart.
inline void add_quadratic(const Eigen::MatrixXd& q, const double* y, Index stride, Index n,
                          double* out) {
  const Index d = q.rows() - 1;
  for (Index i = 0; i < n; ++i) out[i] += q(d, d);
  for (Index j = 0; j < d; ++j) {
    const double* yj = y + j * stride;
    const double linear = 2.0 * q(j, d), square = q(j, j);
    for (Index i = 0; i < n; ++i) out[i] += yj[i] * (linear + square * yj[i]);
    for (Index k = j + 1; k < d; ++k) {
      const double cross = 2.0 * q(j, k);
      const double* yk = y + k * stride;
      for (Index i = 0; i < n; ++i) out[i] += cross * yj[i] * yk[i];
    }
  }
}

/// Cholesky factors of the agents' d x d covariances in place; `lower` holds packed planes. A
/// direction without variance, up to rounding, moves no other output.
inline void factorise_planes(double* lower, Index d, Index n) {
  const auto plane = [&](Index a, Index b) { return Plane(lower + packed(a, b) * kPlane, n); };
  const double tiny = 4.0 * static_cast<double>(d) * std::numeric_limits<double>::epsilon();
  double storage[kPlane];
  Plane reciprocal(storage, n);  // first the floor of the pivot
  for (Index b = 0; b < d; ++b) {
    Plane pivot = plane(b, b);
    if (b + 1 < d) reciprocal = tiny * pivot;
    for (Index k = 0; k < b; ++k) pivot -= plane(b, k).square();
    if (b + 1 < d)  // adding infinity makes a reciprocal 0
      for (Index i = 0; i < n; ++i)
        reciprocal[i] = pivot[i] > reciprocal[i] ? 0.0 : std::numeric_limits<double>::infinity();
    pivot = pivot.max(0.0).sqrt();
    if (b + 1 == d) return;
    reciprocal = (pivot + reciprocal).inverse();
    for (Index a = b + 1; a < d; ++a) {
      for (Index k = 0; k < b; ++k) plane(a, b) -= plane(a, k) * plane(b, k);
      plane(a, b) *= reciprocal;
    }
  }
}

/// A sum whose order depends on n alone: eight running sums that vector units add side by side.
inline double ordered_sum(const double* values, Index n) {
  double sums[8] = {};
  Index i = 0;
  for (; i + 8 <= n; i += 8)
    for (Index l = 0; l < 8; ++l) sums[l] += values[i + l];
  for (; i < n; ++i) sums[i % 8] += values[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

}  // namespace memoa::detail
