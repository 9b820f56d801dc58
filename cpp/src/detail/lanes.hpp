#pragma once

#include <Eigen/Core>
#include <cmath>
#include <limits>
#include <vector>

#include "memoa/encoder.hpp"

// Kernels on a block of eight agents at once: agents are the lanes, so that every agent's small
// linear algebra reads like scalar code and runs as vector code.
namespace memoa::detail {

constexpr Index kLanes = 8;
using Lanes = Eigen::Array<double, kLanes, 1>;

/// Entry (row, column <= row) of a packed lower triangle.
inline Index packed(Index row, Index column) { return row * (row + 1) / 2 + column; }
inline Index packed_size(Index p) { return p * (p + 1) / 2; }

/// Cholesky factor of H + ridge I; the diagonal of `factor` holds reciprocals. A direction that
/// rounding has made singular is left out (its reciprocal is 0) rather than divided by.
inline void factorise(const Lanes* gram, const Lanes& ridge, Index p, Lanes* factor) {
  const double tiny = static_cast<double>(p) * std::numeric_limits<double>::epsilon();
  for (Index row = 0; row < p; ++row) {
    Lanes* of_row = factor + packed(row, 0);
    for (Index column = 0; column < row; ++column) {
      const Lanes* of_column = factor + packed(column, 0);
      Lanes sum = gram[packed(row, column)];
      for (Index k = 0; k < column; ++k) sum -= of_row[k] * of_column[k];
      of_row[column] = sum * of_column[column];
    }
    const Lanes diagonal = gram[packed(row, row)] + ridge;
    Lanes pivot = diagonal;
    for (Index k = 0; k < row; ++k) pivot -= of_row[k].square();
    of_row[row] = (pivot > tiny * diagonal).select(1.0 / pivot.sqrt(), Lanes::Zero());
  }
}

/// solution = (H + ridge I)^-1 z.
inline void solve(const Lanes* factor, const Lanes* z, Index p, Lanes* solution) {
  for (Index row = 0; row < p; ++row) {
    Lanes sum = z[row];
    for (Index k = 0; k < row; ++k) sum -= factor[packed(row, k)] * solution[k];
    solution[row] = sum * factor[packed(row, row)];
  }
  for (Index row = p - 1; row >= 0; --row) {
    Lanes sum = solution[row];
    for (Index k = row + 1; k < p; ++k) sum -= factor[packed(k, row)] * solution[k];
    solution[row] = sum * factor[packed(row, row)];
  }
}

/// The values of the types, one row of lanes for each of K blocks in a row: after them the order of
/// the types in a block comes round again. Block b has row b mod K.
inline std::vector<Lanes> by_type(const std::vector<double>& values) {
  const auto types = static_cast<Index>(values.size());
  std::vector<Lanes> rows(values.size());
  for (Index agent = 0; agent < types * kLanes; ++agent)
    rows[agent / kLanes][agent % kLanes] = values[agent % types];
  return rows;
}

inline const Lanes& of_block(const std::vector<Lanes>& rows, Index block) {
  return rows[static_cast<std::size_t>(block) % rows.size()];
}

inline Lanes dot(const Lanes* a, const Lanes* b, Index n) {
  Lanes sum = Lanes::Zero();
  for (Index k = 0; k < n; ++k) sum += a[k] * b[k];
  return sum;
}

/// H <- forgetting H + z z', q <- forgetting q + z (y - base)'; q is (d, p) here.
inline void learn(const Lanes& forgetting, const Lanes* z, const double* change, Index p, Index d,
                  Lanes* gram, Lanes* cross) {
  for (Index row = 0; row < p; ++row)
    for (Index column = 0; column <= row; ++column, ++gram)
      *gram = forgetting * *gram + z[row] * z[column];
  for (Index o = 0; o < d; ++o)
    for (Index k = 0; k < p; ++k, ++cross) *cross = forgetting * *cross + z[k] * change[o];
}

/// Pre-activation scale V x + v of feature k; `input` is V of the block, (p, dx).
inline Lanes pre_activation(const Lanes* input, const Lanes* bias, const double* x, Index n_inputs,
                            double scale, Index k) {
  Lanes sum = Lanes::Zero();
  for (Index j = 0; j < n_inputs; ++j) sum += input[k * n_inputs + j] * x[j];
  return scale * sum + bias[k];
}

inline void activate(Activation activation, Lanes& a) {
  switch (activation) {
    case Activation::relu:
      a = a.max(0.0);
      break;
    case Activation::tanh:
      for (Index l = 0; l < kLanes; ++l) a[l] = std::tanh(a[l]);
      break;
    case Activation::cos:
      for (Index l = 0; l < kLanes; ++l) a[l] = std::cos(a[l]);
      break;
  }
}

}  // namespace memoa::detail
