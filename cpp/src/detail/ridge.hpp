#pragma once

// Exponentially weighted ridge regressions of two vectors of agents: storage, learning and
// factorisation.
// Only the kernels include this, once per instruction set. The rule about inline functions in
// detail/kernels.hpp applies here.

#include <math.h>

#include <limits>

#include "detail/simd.hpp"

namespace memoa::detail::MEMOA_LEVEL {
namespace {

/// The regressions of as many agents as fit into two vectors. Their numbers are at the same
/// position in every row of a record.
template <class Real>
class Ridge {
 public:
  using Vec = typename Simd<Real>::Vec;
  using Two = Pair<Real>;
  static constexpr Size kWidth = kBytes / static_cast<Size>(sizeof(Real));  // of a vector
  static constexpr Size kParts = kLanes<Real> / kWidth;                     // vectors of a row
  static constexpr int kRows = 2, kColumns = 2;  // eliminated at once; as many as fit in registers

 protected:
  /// Scratch for the factors of p features begins at `work`.
  Ridge(Size p, Size gram, Two* work)
      : p_(p),
        gram_(gram),
        factor_(work),
        inverse_(factor_ + packed_size(p)),
        left_(inverse_ + p) {}
  static Size scratch_pairs(Size p) { return packed_size(p) + (1 + kRows) * p; }
  Two* scratch_end() const { return left_ + kRows * p_; }

  /// Moves to the agents in vectors `vector` and `vector` + 1, in records of `rows` rows.
  void turn_to(Real* records, Size rows, Size vector, Size n_agents) {
    const Size stride = rows * kLanes<Real>;
    first_ = vector * kWidth;
    lo_ = records + vector / kParts * stride + vector % kParts * kWidth;
    hi_ = records + (vector + 1) / kParts * stride + (vector + 1) % kParts * kWidth;
    ahead_ = first_ + 2 * kWidth < n_agents ? (kParts == 1 ? 2 : 1) * stride : 0;
  }

  // ---------------------------------------------------------------- memory

  static Vec& vector_at(Real* values) { return *reinterpret_cast<Vec*>(values); }
  static const Vec& vector_at(const Real* values) { return *reinterpret_cast<const Vec*>(values); }
  /// The second vector's part of a row: after the first one's, or in the next block.
  MEMOA_INLINE Real* second(Size row) const {
    return (kParts == 1 ? hi_ : lo_ + kWidth) + row * kLanes<Real>;
  }
  MEMOA_INLINE Two get(Size row) const {
    return {vector_at(lo_ + row * kLanes<Real>), vector_at(second(row))};
  }
  MEMOA_INLINE void put(Size row, const Two& value) const {
    vector_at(lo_ + row * kLanes<Real>) = value.lo;
    vector_at(second(row)) = value.hi;
  }
  /// Prefetches a row of the next agents. `write` must be known at compile time.
  template <int write>
  MEMOA_INLINE void ask_ahead(Size row) const {
    MEMOA_PREFETCH(lo_ + ahead_ + row * kLanes<Real>, 0);
    if (kParts == 1) MEMOA_PREFETCH(hi_ + ahead_ + row * kLanes<Real>, 0);
  }
  template <class Body>
  static void each_lane(Two& value, const Body& body) {
    for (Size l = 0; l < kWidth; ++l) value.lo[l] = body(l, value.lo[l]);
    for (Size l = 0; l < kWidth; ++l) value.hi[l] = body(kWidth + l, value.hi[l]);
  }

  // ---------------------------------------------------------------- encode

  static double call_tanh(double v) { return ::tanh(v); }
  static float call_tanh(float v) { return ::tanhf(v); }
  static double call_cos(double v) { return ::cos(v); }
  static float call_cos(float v) { return ::cosf(v); }

  /// Theory (6.11). The phase is in turns; if it is huge, it has no fractional bits, and u is 0.
  MEMOA_INLINE static Two wave(const Two& turns) {
    const Two whole = splat(Simd<Real>::kRounds), half = splat(Real(0.5));
    const Two u = clip(turns - ((turns + whole) - whole), Real(0.5));
    const Two size = select(u <= Two{}, Two{} - u, u);
    return splat(Real(16)) * u * (half - size);
  }

  /// Applies the activation and the norm to the random features, those from `first` on.
  void activate(Features features, double scale, Two* z, Size first = 0) const {
    const Two norm = splat(static_cast<Real>(scale));
    for (Size k = first; k < p_; ++k) {
      if (features == Features::relu) {  // the norm is already in its weights
        z[k] = select(z[k] <= Two{}, Two{}, z[k]);
        continue;
      }
      if (features == Features::wave) {
        z[k] = norm * wave(z[k]);
        continue;
      }
      if (features == Features::cos)
        each_lane(z[k], [](Size, Real a) { return call_cos(a); });
      else
        each_lane(z[k], [](Size, Real a) { return call_tanh(a); });
      z[k] = norm * z[k];
    }
  }

  // ---------------------------------------------------------------- learn, factorise

  /// Returns an entry of H or q. With `Learn`, learns the step before: forgetting * entry + a b.
  template <bool Learn, bool Ahead>
  MEMOA_INLINE Two take(Size row, const Two& a, const Two& b) const {
    if (Ahead) ask_ahead<1>(row);
    Two entry = get(row);
    if (Learn) {
      entry = forgetting_ * entry + a * b;
      put(row, entry);
    }
    return entry;
  }

  /// Eliminates columns from R rows at once: left = row L^-T. It takes C columns at a time, so that
  /// a value that was read is used in several products.
  template <int R, int C, class Start, class Finish>
  MEMOA_INLINE void sweep(Size c, const Start& start, const Finish& finish) const {
    Two a[R][C];
    for (int j = 0; j < R; ++j)
      for (int i = 0; i < C; ++i) a[j][i] = start(j, c + i);
    const Two* u = left_;
    const Two* l[C];
    for (int i = 0; i < C; ++i) l[i] = factor_ + packed(c + i, 0);
    for (Size k = 0; k < c; ++k, u += R) {
      Two x[C];
      for (int i = 0; i < C; ++i) x[i] = in_register(l[i][k]);
      for (int j = 0; j < R; ++j) {
        const Two v = in_register(u[j]);
        for (int i = 0; i < C; ++i) a[j][i] = a[j][i] - v * x[i];
      }
    }
    for (int i = 0; i < C; ++i)
      for (int j = 0; j < R; ++j) {
        for (int m = 0; m < i; ++m) a[j][i] = a[j][i] - a[j][m] * l[i][c + m];
        left_[(c + i) * R + j] = a[j][i];
        finish(j, c + i, a[j][i]);
      }
  }
  template <int R, class Start, class Finish>
  MEMOA_INLINE void sweep(Size columns, const Start& start, const Finish& finish) const {
    Size c = 0;
    for (; c + kColumns <= columns; c += kColumns) sweep<R, kColumns>(c, start, finish);
    for (; c < columns; ++c) sweep<R, 1>(c, start, finish);
  }

  /// Computes rows [row, row + R) of H + ridge I = L D L'. If rounding has made a pivot singular,
  /// or it is so small that its inverse is infinite, the inverse is set to 0.
  template <int R, bool Learn, bool Ahead>
  MEMOA_INLINE void factorise(Size row) const {
    Size entries[R];  // first entries of the rows in H
    Two* factors[R];  // and in L
    for (int j = 0; j < R; ++j) {
      entries[j] = gram_ + packed(row + j, 0);
      factors[j] = factor_ + packed(row + j, 0);
    }
    sweep<R>(
        row,
        [&](int j, Size c) MEMOA_LAMBDA {
          return take<Learn, Ahead>(entries[j] + c, learnt_[row + j], learnt_[c]);
        },
        [&](int j, Size c, const Two& a) MEMOA_LAMBDA { factors[j][c] = a * inverse_[c]; });
    Two b[R][R], pivot[R];
    for (int j = 0; j < R; ++j) {
      for (int i = 0; i <= j; ++i)
        b[j][i] = take<Learn, Ahead>(entries[j] + row + i, learnt_[row + j], learnt_[row + i]);
      b[j][j] = b[j][j] + ridge_;
      pivot[j] = b[j][j];
    }
    const Two* u = left_;
    for (Size k = 0; k < row; ++k, u += R) {
      Two v[R], x[R];
      for (int j = 0; j < R; ++j) v[j] = in_register(u[j]), x[j] = in_register(factors[j][k]);
      for (int j = 0; j < R; ++j) {
        for (int i = 0; i < j; ++i) b[j][i] = b[j][i] - v[j] * x[i];
        pivot[j] = pivot[j] - v[j] * x[j];
      }
    }
    const Two tiny = splat(static_cast<Real>(p_) * Simd<Real>::kEpsilon);
    constexpr Real kLeast = std::numeric_limits<Real>::min();
    const Two least = splat(kLeast);
    Two l[R][R];
    for (int j = 0; j < R; ++j) {
      for (int i = 0; i < j; ++i) {
        for (int m = 0; m < i; ++m) b[j][i] = b[j][i] - b[j][m] * l[i][m];
        l[j][i] = b[j][i] * inverse_[row + i];
        factors[j][row + i] = l[j][i];
        pivot[j] = pivot[j] - b[j][i] * l[j][i];
      }
      inverse_[row + j] =
          select(pivot[j] <= tiny * b[j][j] + least, Two{}, splat(Real(1)) / pivot[j]);
    }
  }

  const Size p_, gram_;             // features, and the first row of H
  Two *factor_, *inverse_, *left_;  // scratch
  Two* learnt_ = nullptr;           // features of the step to be learnt
  Two forgetting_, ridge_;
  Real *lo_ = nullptr, *hi_ = nullptr;  // first rows of the two vectors
  Size ahead_ = 0, first_ = 0;          // the first agent
};

}  // namespace
}  // namespace memoa::detail::MEMOA_LEVEL
