#include "detail/planes.hpp"

#include <cmath>
#include <limits>

#include "detail/levels.hpp"

namespace memoa::detail {

MEMOA_EVERY_LEVEL void expand(const double* y, Index stride, const double* centre, Index d, Index n,
                              double* out) {
  for (Index j = 0; j < d; ++j) {
    const double* __restrict from = y + j * stride;
    double* __restrict x = out + j * kPlane;
    const double middle = centre[j];
    for (Index i = 0; i < n; ++i) x[i] = from[i] - middle;
    for (Index k = 0; k <= j; ++k) {
      const double* other = out + k * kPlane;
      double* __restrict product = out + (d + plane_of(j, k)) * kPlane;
      for (Index i = 0; i < n; ++i) product[i] = x[i] * other[i];
    }
  }
}

/// Five planes at once, as many as two outputs have monomials: fewer passes over `out`.
MEMOA_EVERY_LEVEL void add_combination(const double* coefficients, const double* planes,
                                       Index count, Index n, double* __restrict out) {
  double base = coefficients[0];
  Index k = 0;
  for (; k + 5 <= count; k += 5) {
    const double* c = coefficients + k + 1;
    const double* p = planes + k * kPlane;
    const double c0 = c[0], c1 = c[1], c2 = c[2], c3 = c[3], c4 = c[4];
    for (Index i = 0; i < n; ++i)
      out[i] += ((base + c0 * p[i]) + (c1 * p[kPlane + i] + c2 * p[2 * kPlane + i])) +
                (c3 * p[3 * kPlane + i] + c4 * p[4 * kPlane + i]);
    base = 0.0;
  }
  for (; k + 2 <= count; k += 2) {
    const double c0 = coefficients[k + 1], c1 = coefficients[k + 2];
    const double* p = planes + k * kPlane;
    for (Index i = 0; i < n; ++i) out[i] += (base + c0 * p[i]) + c1 * p[kPlane + i];
    base = 0.0;
  }
  if (k < count) {
    const double c0 = coefficients[k + 1];
    const double* p = planes + k * kPlane;
    for (Index i = 0; i < n; ++i) out[i] += base + c0 * p[i];
  }
}

MEMOA_EVERY_LEVEL void factorise_planes(double* lower, Index d, Index n) {
  const double tiny = 4.0 * static_cast<double>(d) * std::numeric_limits<double>::epsilon();
  alignas(64) double least[kPlane], reciprocal[kPlane];
  for (Index b = 0; b < d; ++b) {
    double* __restrict pivot = lower + plane_of(b, b) * kPlane;
    for (Index i = 0; i < n; ++i) least[i] = tiny * pivot[i];
    for (Index k = 0; k < b; ++k) {
      const double* before = lower + plane_of(b, k) * kPlane;
      for (Index i = 0; i < n; ++i) pivot[i] -= before[i] * before[i];
    }
    for (Index i = 0; i < n; ++i)  // adding infinity makes a reciprocal 0
      least[i] = pivot[i] > least[i] ? 0.0 : std::numeric_limits<double>::infinity();
    for (Index i = 0; i < n; ++i) pivot[i] = std::sqrt(pivot[i] > 0.0 ? pivot[i] : 0.0);
    if (b + 1 == d) return;
    for (Index i = 0; i < n; ++i) reciprocal[i] = 1.0 / (pivot[i] + least[i]);
    for (Index a = b + 1; a < d; ++a) {
      double* __restrict entry = lower + plane_of(a, b) * kPlane;
      for (Index k = 0; k < b; ++k) {
        const double* left = lower + plane_of(a, k) * kPlane;
        const double* right = lower + plane_of(b, k) * kPlane;
        for (Index i = 0; i < n; ++i) entry[i] -= left[i] * right[i];
      }
      for (Index i = 0; i < n; ++i) entry[i] *= reciprocal[i];
    }
  }
}

MEMOA_EVERY_LEVEL void add_product(const double* a, const double* b, Index n,
                                   double* __restrict out) {
  for (Index i = 0; i < n; ++i) out[i] += a[i] * b[i];
}

MEMOA_EVERY_LEVEL double ordered_sum(const double* values, Index n) {
  double sums[8] = {};
  Index i = 0;
  for (; i + 8 <= n; i += 8)
    for (Index l = 0; l < 8; ++l) sums[l] += values[i + l];
  for (; i < n; ++i) sums[i % 8] += values[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

}  // namespace memoa::detail
