#pragma once

// Symmetric positive definite systems of some ten to some hundred unknowns.
// Only population_kernels.cpp includes this, once per instruction set: what detail/kernels.hpp says
// of inline functions holds here. No sum depends on the width of the vectors.

#include "detail/simd.hpp"

namespace memoa::detail::MEMOA_LEVEL {
namespace {

// Matrices lie in rows of `stride` numbers, whole cache lines. Work begins at a whole line, so that
// below the diagonal stand numbers without a meaning.

constexpr Size kPivots = 4;  // rows that are subtracted or added at once: one pass over the rest

using Doubles = Simd<double>::Vec;
constexpr Size kDoubles = kBytes / 8;

MEMOA_INLINE Doubles& doubles(double* at) { return *reinterpret_cast<Doubles*>(at); }
MEMOA_INLINE const Doubles& doubles(const double* at) {
  return *reinterpret_cast<const Doubles*>(at);
}
constexpr Size line_of(Size column) { return column / 8 * 8; }

/// Adds f[t][k] from[k] to the rows `to[t]`, one k after the other, over columns [first, last).
template <Size T, Size R>
MEMOA_INLINE void add_rows(double* const (&to)[T], const double* const (&from)[R],
                           const double (&f)[T][R], Size first, Size last) {
  Doubles by[T][R];
  for (Size t = 0; t < T; ++t)
    for (Size k = 0; k < R; ++k) by[t][k] = Doubles{} + f[t][k];
  for (Size j = first; j < last; j += kDoubles) {
    Doubles value[T];
    for (Size t = 0; t < T; ++t) value[t] = doubles(to[t] + j);
    for (Size k = 0; k < R; ++k) {
      const Doubles row = doubles(from[k] + j);
      for (Size t = 0; t < T; ++t) value[t] += by[t][k] * row;
    }
    for (Size t = 0; t < T; ++t) doubles(to[t] + j) = value[t];
  }
}

/// Subtracts from T rows from `row` on what eliminates the columns of R rows from `first` on.
template <Size T, Size R>
MEMOA_INLINE void reduce_rows(double* a, Size row, Size first, const double (&inverse)[R],
                              Size stride) {
  double* to[T];
  const double* from[R];
  double f[T][R];
  for (Size k = 0; k < R; ++k) from[k] = a + (first + k) * stride;
  for (Size t = 0; t < T; ++t) {
    to[t] = a + (row + t) * stride;
    for (Size k = 0; k < R; ++k) f[t][k] = -(from[k][row + t] * inverse[k]);
  }
  add_rows<T, R>(to, from, f, line_of(row), stride);
}

/// Eliminates with R rows from `first` on, whose own elimination is part of it.
template <Size R>
bool eliminate(double* a, Size first, Size n, Size stride) {
  double inverse[R];
  for (Size k = 0; k < R; ++k) {
    for (Size m = 0; m < k; ++m) {
      const double of_pivot[1] = {inverse[m]};
      reduce_rows<1, 1>(a, first + k, first + m, of_pivot, stride);
    }
    const double pivot = a[(first + k) * stride + first + k];
    if (!(pivot > 0.0)) return false;
    inverse[k] = 1.0 / pivot;
  }
  Size row = first + R;
  for (; row + 2 <= n; row += 2) reduce_rows<2, R>(a, row, first, inverse, stride);
  for (; row < n; ++row) reduce_rows<1, R>(a, row, first, inverse, stride);
  return true;
}

/// Sum of a b over [first, n), by their places in a line.
MEMOA_INLINE double line_dot(const double* a, const double* b, Size first, Size n) {
  alignas(kBytes) double sums[8] = {};
  for (; first < n && first % 8 != 0; ++first) sums[first % 8] += a[first] * b[first];
  Doubles lines[8 / kDoubles];
  for (Size l = 0; l < 8 / kDoubles; ++l) lines[l] = doubles(sums + l * kDoubles);
  for (; first < n; first += 8)  // zeros follow b's numbers
    for (Size l = 0; l < 8 / kDoubles; ++l)
      lines[l] += doubles(a + first + l * kDoubles) * doubles(b + first + l * kDoubles);
  for (Size l = 0; l < 8 / kDoubles; ++l)
    for (Size k = 0; k < kDoubles; ++k) sums[l * kDoubles + k] = lines[l][k];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/// Solves A x = b for m right sides: of the numbers of a row the first n are those of A, from the
/// diagonal on, and the next m those of b. x: (m, stride). False where A is not positive definite.
bool solve_definite(double* a, Size n, Size m, Size stride, double* x) {
  Size first = 0;
  for (; first + kPivots <= n; first += kPivots)
    if (!eliminate<kPivots>(a, first, n, stride)) return false;
  for (; first < n; ++first)
    if (!eliminate<1>(a, first, n, stride)) return false;
  for (Size side = 0; side < m; ++side, x += stride) {
    for (Size i = n; i < stride; ++i) x[i] = 0.0;
    for (Size i = n - 1; i >= 0; --i) {
      const double* row = a + i * stride;
      x[i] = (row[n + side] - line_dot(row, x, i + 1, n)) / row[i];
    }
  }
  return true;
}

template <Size T, Size R>
MEMOA_INLINE void add_outer_rows(double* a, const double* rows, Size row, Size n, Size stride) {
  double* to[T];
  const double* from[R];
  double f[T][R];
  for (Size k = 0; k < R; ++k) from[k] = rows + k * stride;
  for (Size t = 0; t < T; ++t) {
    to[t] = a + (row + t) * stride;
    for (Size k = 0; k < R; ++k) f[t][k] = from[k][row + t];
  }
  add_rows<T, R>(to, from, f, line_of(row), line_of(n + 7));
}
template <Size R>
void add_outer_of(double* a, const double* rows, Size n, Size stride) {
  Size row = 0;
  for (; row + 2 <= n; row += 2) add_outer_rows<2, R>(a, rows, row, n, stride);
  for (; row < n; ++row) add_outer_rows<1, R>(a, rows, row, n, stride);
}

/// A += rows' rows for `count` rows of n numbers and zeros up to a whole line.
void add_outer(double* a, const double* rows, Size count, Size n, Size stride) {
  Size first = 0;
  for (; first + kPivots <= count; first += kPivots)
    add_outer_of<kPivots>(a, rows + first * stride, n, stride);
  for (; first < count; ++first) add_outer_of<1>(a, rows + first * stride, n, stride);
}

}  // namespace
}  // namespace memoa::detail::MEMOA_LEVEL
