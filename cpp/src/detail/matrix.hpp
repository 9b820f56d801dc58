#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>
#include <utility>
#include <vector>

#include "memoa/types.hpp"

// The small linear algebra of the backward recursions: plain loops over row-major numbers. Sizes
// that are known at compile time cost no heap and are unrolled; the others share the kernels of
// matrix.cpp where products are large. A template library would do the same, and take most of the
// time of a build.
namespace memoa::detail {

constexpr int kDynamic = -1;

constexpr int either(int a, int b) { return a != kDynamic ? a : b; }

/// A number of rows or columns, known at compile time or not.
template <int N>
struct Extent {
  constexpr Extent(Index = N) {}
  constexpr operator Index() const { return N; }
};
template <>
struct Extent<kDynamic> {
  Index n;
  constexpr Extent(Index count = 0) : n(count) {}
  constexpr operator Index() const { return n; }
};

/// A view of R x C numbers: entry (i, j) is data[i * stride + j], if not transposed.
template <int R, int C, class Number = const double, bool Transposed = false>
struct View {
  static constexpr int kRows = R, kCols = C;
  static constexpr bool kTransposed = Transposed;

  Number* data;
  Extent<R> n_rows;
  Extent<C> n_cols;
  Index stride;

  View(Number* numbers, Index rows, Index cols, Index row_stride)
      : data(numbers), n_rows(rows), n_cols(cols), stride(row_stride) {}
  View(Number* numbers, Index rows, Index cols) : View(numbers, rows, cols, Extent<C>(cols)) {}
  /// From the views of a game or a policy, with the sizes of the problem.
  View(const MatrixView& shown) : View(shown.data, shown.rows, shown.cols) {}
  View(const VectorView& shown) : View(shown.data, shown.size, 1) {}
  View(const View&) = default;
  View& operator=(const View&) = delete;  // of the pointer or of the numbers?

  Index rows() const { return n_rows; }
  Index cols() const { return n_cols; }
  Number& operator()(Index i, Index j) const {
    return Transposed ? data[j * stride + i] : data[i * stride + j];
  }
  template <int BR, int BC>
  View<BR, BC, Number> block(Index i, Index j, Index rows, Index cols) const {
    static_assert(!Transposed);
    return {data + i * stride + j, rows, cols, stride};
  }

  template <class M>
  const View& set(const M& from) const {
    for (Index i = 0; i < rows(); ++i)
      for (Index j = 0; j < cols(); ++j) (*this)(i, j) = from(i, j);
    return *this;
  }
  template <class M>
  const View& operator+=(const M& from) const {
    for (Index i = 0; i < rows(); ++i)
      for (Index j = 0; j < cols(); ++j) (*this)(i, j) += from(i, j);
    return *this;
  }
  template <class M>
  const View& operator-=(const M& from) const {
    for (Index i = 0; i < rows(); ++i)
      for (Index j = 0; j < cols(); ++j) (*this)(i, j) -= from(i, j);
    return *this;
  }
};

/// An R x C matrix of its own numbers, zero unless said otherwise.
template <int R, int C>
class Matrix {
 public:
  static constexpr int kRows = R, kCols = C;
  static constexpr bool kTransposed = false;

  Matrix() : Matrix(R == kDynamic ? 0 : R, C == kDynamic ? 0 : C) {}
  Matrix(Index rows, Index cols) : n_rows_(rows), n_cols_(cols) {
    if constexpr (kFixed)
      values_.fill(0.0);
    else
      values_.resize(static_cast<std::size_t>(rows * cols));
  }
  template <class M, int = M::kRows>
  Matrix(const M& from) : Matrix(from.rows(), from.cols()) {
    view().set(from);
  }

  static Matrix identity(Index n) {
    Matrix one(n, n);
    for (Index i = 0; i < n; ++i) one(i, i) = 1.0;
    return one;
  }

  void set_zero() { std::fill(values_.begin(), values_.end(), 0.0); }

  Index rows() const { return n_rows_; }
  Index cols() const { return n_cols_; }
  double* data() { return values_.data(); }
  const double* data() const { return values_.data(); }
  double& operator()(Index i, Index j) { return values_[static_cast<std::size_t>(i * cols() + j)]; }
  double operator()(Index i, Index j) const {
    return values_[static_cast<std::size_t>(i * cols() + j)];
  }
  double& operator[](Index i) { return values_[static_cast<std::size_t>(i)]; }
  double operator[](Index i) const { return values_[static_cast<std::size_t>(i)]; }

  View<R, C, double> view() { return {data(), rows(), cols()}; }
  View<R, C> view() const { return {data(), rows(), cols()}; }
  template <int BR, int BC>
  View<BR, BC, double> block(Index i, Index j, Index rows, Index cols) {
    return view().template block<BR, BC>(i, j, rows, cols);
  }
  template <int BR, int BC>
  View<BR, BC> block(Index i, Index j, Index rows, Index cols) const {
    return view().template block<BR, BC>(i, j, rows, cols);
  }

  template <class M>
  Matrix& operator+=(const M& from) {
    view() += from;
    return *this;
  }
  template <class M>
  Matrix& operator-=(const M& from) {
    view() -= from;
    return *this;
  }

 private:
  static constexpr bool kFixed = R != kDynamic && C != kDynamic;
  Extent<R> n_rows_;
  Extent<C> n_cols_;
  std::conditional_t<kFixed, std::array<double, kFixed ? R * C : 1>, std::vector<double>> values_;
};

template <int N>
using Column = Matrix<N, 1>;

template <int R, int C>
View<R, C> view_of(const Matrix<R, C>& m) {
  return m.view();
}
template <int R, int C, class Number, bool Transposed>
View<R, C, const double, Transposed> view_of(const View<R, C, Number, Transposed>& m) {
  return {m.data, m.rows(), m.cols(), m.stride};
}

template <int R, int C>
View<C, R, const double, true> transposed(const Matrix<R, C>& m) {
  return {m.data(), m.cols(), m.rows(), m.cols()};
}
template <int R, int C, class Number>
View<C, R, const double, true> transposed(const View<R, C, Number>& m) {
  return {m.data, m.cols(), m.rows(), m.stride};
}

// ------------------------------------------------------------------------------------ entry by
// entry

template <class A, class B, class Op>
auto combined(const A& a, const B& b, const Op& op) {
  Matrix<either(A::kRows, B::kRows), either(A::kCols, B::kCols)> out(a.rows(), a.cols());
  for (Index i = 0; i < a.rows(); ++i)
    for (Index j = 0; j < a.cols(); ++j) out(i, j) = op(a(i, j), b(i, j));
  return out;
}
template <class A, class B, int = A::kRows, int = B::kRows>
auto operator+(const A& a, const B& b) {
  return combined(a, b, [](double x, double y) { return x + y; });
}
template <class A, class B, int = A::kRows, int = B::kRows>
auto operator-(const A& a, const B& b) {
  return combined(a, b, [](double x, double y) { return x - y; });
}
template <class A, int = A::kRows>
auto operator*(double factor, const A& a) {
  Matrix<A::kRows, A::kCols> out(a.rows(), a.cols());
  for (Index i = 0; i < a.rows(); ++i)
    for (Index j = 0; j < a.cols(); ++j) out(i, j) = factor * a(i, j);
  return out;
}

template <class A>
Matrix<A::kRows, A::kRows> symmetric_part(const A& a) {
  return combined(a, transposed(a), [](double x, double y) { return 0.5 * (x + y); });
}

template <class A>
bool all_finite(const A& a) {
  bool finite = true;
  for (Index i = 0; i < a.rows(); ++i)
    for (Index j = 0; j < a.cols(); ++j) finite &= std::isfinite(a(i, j));
  return finite;
}

// ------------------------------------------------------------------------------------ sums

/// Sum of a b over n neighbours, in four running sums that vector units add side by side.
inline double dot(const double* a, const double* b, Index n) {
  double sums[4] = {};
  Index i = 0;
  for (; i + 4 <= n; i += 4)
    for (Index l = 0; l < 4; ++l) sums[l] += a[i + l] * b[i + l];
  for (; i < n; ++i) sums[i % 4] += a[i] * b[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/// Sum of all products of entries, tr(a' b).
template <class A, class B>
double inner(const A& a, const B& b) {
  double sum = 0.0;
  for (Index i = 0; i < a.rows(); ++i)
    for (Index j = 0; j < a.cols(); ++j) sum += a(i, j) * b(i, j);
  return sum;
}

template <class A>
double one_norm(const A& a) {
  double largest = 0.0;
  for (Index j = 0; j < a.cols(); ++j) {
    double sum = 0.0;
    for (Index i = 0; i < a.rows(); ++i) sum += std::abs(a(i, j));
    if (!(sum <= largest)) largest = sum;
    if (std::isnan(sum)) break;
  }
  return largest;
}

// ------------------------------------------------------------------------------------ products

/// A factor of a large product.
struct Operand {
  const double* data;
  Index rows, cols, stride;
  bool transposed;
};
template <class A>
Operand operand(const A& a) {
  const auto v = view_of(a);
  return {v.data, v.rows(), v.cols(), v.stride, A::kTransposed};
}

/// out += a b by blocks that fit the caches.
void add_large_product(const Operand& a, const Operand& b, double* out, Index stride);
/// The lower triangle of out += a' b likewise, where neither a nor b is transposed already.
void add_lower_product(const Operand& a, const Operand& b, double* out, Index stride);

/// Products of as many multiplications are faster by blocks, if not too flat.
constexpr Index kLargeProduct = Index{24} * 24 * 24, kFlat = 8;

/// A row of `out` += a row of factors times b, whose row `first` is the first one, four rows at a
/// time: the sums are the same as one by one, but each is read and written once for four.
template <class Factor>
void add_rows(const Factor& factor, const double* b, Index stride, Index first, Index inner,
              Index cols, double* __restrict out) {
  Index k = first;
  for (; k + 4 <= inner; k += 4) {
    const double f0 = factor(k), f1 = factor(k + 1), f2 = factor(k + 2), f3 = factor(k + 3);
    const double *b0 = b + k * stride, *b1 = b0 + stride, *b2 = b1 + stride, *b3 = b2 + stride;
    for (Index j = 0; j < cols; ++j)
      out[j] = out[j] + f0 * b0[j] + f1 * b1[j] + f2 * b2[j] + f3 * b3[j];
  }
  for (; k < inner; ++k) {
    const double f = factor(k), *row = b + k * stride;
    for (Index j = 0; j < cols; ++j) out[j] += f * row[j];
  }
}

/// out = a b, or out += a b. `out` is neither a nor b.
template <bool Add, class Out, class A, class B>
void multiply(const A& a, const B& b, const Out& out) {
  const Index rows = a.rows(), inner = a.cols(), cols = b.cols();
  if constexpr (A::kCols == kDynamic && Out::kCols == kDynamic) {
    if (rows * inner * cols >= kLargeProduct && inner >= kFlat) {
      if (!Add)
        for (Index i = 0; i < rows; ++i)
          for (Index j = 0; j < cols; ++j) out(i, j) = 0.0;
      add_large_product(operand(a), operand(b), &out(0, 0), out.stride);
      return;
    }
  }
  for (Index i = 0; i < rows; ++i) {
    Index k = 0;
    if (!Add) {
      const double first = a(i, k++);
      for (Index j = 0; j < cols; ++j) out(i, j) = first * b(0, j);
    }
    if constexpr (Out::kCols == kDynamic && !B::kTransposed) {
      const auto rows_of_b = view_of(b);
      add_rows([&](Index at) { return a(i, at); }, rows_of_b.data, rows_of_b.stride, k, inner, cols,
               &out(i, 0));
    } else {
      for (; k < inner; ++k) {
        const double factor = a(i, k);
        for (Index j = 0; j < cols; ++j) out(i, j) += factor * b(k, j);
      }
    }
  }
}

template <class A, class B, int = A::kRows, int = B::kRows>
auto operator*(const A& a, const B& b) {
  Matrix<A::kRows, B::kCols> out(a.rows(), b.cols());
  multiply<false>(a, b, out.view());
  return out;
}

/// a b' for long rows.
template <class A, class B>
Matrix<A::kRows, B::kRows> times_transposed(const A& a, const B& b) {
  Matrix<A::kRows, B::kRows> out(a.rows(), b.rows());
  const auto left = view_of(a);
  const auto right = view_of(b);
  for (Index i = 0; i < a.rows(); ++i)
    for (Index j = 0; j < b.rows(); ++j)
      out(i, j) = dot(left.data + i * left.stride, right.data + j * right.stride, a.cols());
  return out;
}

// ------------------------------------------------------------------------------------ systems

/// Gaussian elimination with row pivoting.
template <int N>
class Lu {
 public:
  explicit Lu(const Matrix<N, N>& matrix) : lu_(matrix) {
    const Index n = lu_.rows();
    if constexpr (N == kDynamic) order_.resize(static_cast<std::size_t>(n));
    for (Index k = 0; k < n; ++k) {
      Index pivot = k;
      for (Index i = k + 1; i < n && N != 1; ++i)  // a scalar has no rows to change
        if (std::abs(lu_(i, k)) > std::abs(lu_(pivot, k))) pivot = i;
      order_[static_cast<std::size_t>(k)] = pivot;
      if (pivot != k)
        for (Index j = 0; j < n; ++j) std::swap(lu_(k, j), lu_(pivot, j));
      for (Index i = k + 1; i < n; ++i) {
        const double factor = lu_(i, k) /= lu_(k, k);
        for (Index j = k + 1; j < n; ++j) lu_(i, j) -= factor * lu_(k, j);
      }
    }
  }

  template <class B>
  Matrix<N, B::kCols> solve(const B& right) const {
    Matrix<N, B::kCols> x(right);
    const Index n = lu_.rows(), cols = x.cols();
    for (Index k = 0; k < n && N != 1; ++k) {
      const Index pivot = order_[static_cast<std::size_t>(k)];
      if (pivot != k)
        for (Index j = 0; j < cols; ++j) std::swap(x(k, j), x(pivot, j));
    }
    for (Index i = 1; i < n; ++i)
      for (Index k = 0; k < i; ++k)
        for (Index j = 0; j < cols; ++j) x(i, j) -= lu_(i, k) * x(k, j);
    for (Index i = n; i-- > 0;) {
      for (Index k = i + 1; k < n; ++k)
        for (Index j = 0; j < cols; ++j) x(i, j) -= lu_(i, k) * x(k, j);
      for (Index j = 0; j < cols; ++j) x(i, j) /= lu_(i, i);
    }
    return x;
  }
  Matrix<N, N> inverse() const { return solve(Matrix<N, N>::identity(lu_.rows())); }

 private:
  Matrix<N, N> lu_;
  // rows that changed places with row k
  std::conditional_t<N == kDynamic, std::vector<Index>, std::array<Index, std::max(N, 1)>> order_;
};

/// Solves the system for a right side of many columns, in place, by blocks that fit the caches.
/// Returns an estimate of the reciprocal condition number in the 1-norm.
double solve_large(const Matrix<kDynamic, kDynamic>& system, double* right, Index cols);

/// The largest modulus of an eigenvalue of an n x n matrix.
double spectral_radius(const double* matrix, Index n);

}  // namespace memoa::detail
