#include "detail/matrix.hpp"

#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <limits>

#include "detail/interrupt.hpp"

namespace memoa::detail {
namespace {

using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Strided = Eigen::Map<const Rows, 0, Eigen::OuterStride<>>;
using Target = Eigen::Map<Rows, 0, Eigen::OuterStride<>>;

Strided stored(const Operand& a) {
  return a.transposed ? Strided(a.data, a.cols, a.rows, Eigen::OuterStride<>(a.stride))
                      : Strided(a.data, a.rows, a.cols, Eigen::OuterStride<>(a.stride));
}

/// Adds left * right, in slices of the inner dimension. Eigen packs copies of both factors; where
/// these are too large for its share of the stack they come from the heap, and pages that the
/// system clears anew for every product cost as much as the product itself.
template <class Out, class Left, class Right>
void add_in_slices(Out&& out, const Left& left, const Right& right) {
  constexpr Index kSlice = 64;
  for (Index k = 0; k < left.cols(); k += kSlice) {
    const Index width = std::min(kSlice, left.cols() - k);
    out += left.middleCols(k, width) * right.middleRows(k, width);
    poll(2.0 * static_cast<double>(left.rows() * width) * static_cast<double>(right.cols()));
  }
}

/// Modulus of the pair of complex eigenvalues of [[a, b], [c, d]].
double pair_modulus(double a, double b, double c, double d) {
  const double half = 0.5 * (a - d), largest = std::max({std::abs(half), std::abs(b), std::abs(c)});
  const double h = half / largest;
  return std::hypot(d + half, largest * std::sqrt(std::abs(h * h + c / largest * (b / largest))));
}

}  // namespace

void add_large_product(const Operand& a, const Operand& b, double* out, Index stride) {
  if (b.transposed) {  // rare, and one more kind of product would take seconds to compile
    const Rows copy = stored(b).transpose();
    return add_large_product(a, {copy.data(), b.rows, b.cols, b.cols, false}, out, stride);
  }
  Target to(out, a.rows, b.cols, Eigen::OuterStride<>(stride));
  if (a.transposed)
    add_in_slices(to.noalias(), stored(a).transpose(), stored(b));
  else
    add_in_slices(to.noalias(), stored(a), stored(b));
}

void add_lower_product(const Operand& a, const Operand& b, double* out, Index stride) {
  Target to(out, a.cols, b.cols, Eigen::OuterStride<>(stride));
  add_in_slices(to.triangularView<Eigen::Lower>(), stored(a).transpose(), stored(b));
}

double solve_large(const Matrix<kDynamic, kDynamic>& system, double* right, Index cols) {
  const Index n = system.rows();
  const Eigen::PartialPivLU<Eigen::MatrixXd> lu(Eigen::Map<const Rows>(system.data(), n, n));
  Eigen::Map<Rows> x(right, n, cols);
  x = lu.solve(x).eval();
  return lu.rcond();
}

// Eigen's EigenSolver does the same, bit by bit, and brings what computes eigenvectors, which takes
// a file as long to compile as all the rest.
double spectral_radius(const double* matrix, Index n) {
  const Eigen::Map<const Rows> w(matrix, n, n);
  const double scale = w.cwiseAbs().maxCoeff();
  if (scale < std::numeric_limits<double>::min()) return 0.0;
  const Eigen::HessenbergDecomposition<Rows> reduced(w / scale);
  Eigen::RealSchur<Rows> schur(w.rows());
  schur.computeFromHessenberg(reduced.matrixH(), Rows(), false);
  const Rows T = scale * schur.matrixT();
  double radius = 0.0;
  for (Index i = 0; i < T.rows(); ++i) {
    const bool pair = i + 1 < T.rows() && T(i + 1, i) != 0.0;
    const double modulus =
        pair ? pair_modulus(T(i, i), T(i, i + 1), T(i + 1, i), T(i + 1, i + 1)) : std::abs(T(i, i));
    radius = std::max(radius, modulus);
    if (pair) ++i;
  }
  return radius;
}

}  // namespace memoa::detail
