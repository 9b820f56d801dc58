#include "detail/matrix.hpp"

#include <Eigen/LU>
#include <algorithm>

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

template <class Left, class Right>
void add_to(Target out, const Left& left, const Right& right, bool lower) {
  if (lower)
    add_in_slices(out.template triangularView<Eigen::Lower>(), left, right);
  else
    add_in_slices(out.noalias(), left, right);
}

}  // namespace

void add_large_product(const Operand& a, const Operand& b, double* out, Index stride, bool lower) {
  const Target to(out, a.rows, b.cols, Eigen::OuterStride<>(stride));
  const Strided left = stored(a), right = stored(b);
  if (a.transposed && b.transposed)
    add_to(to, left.transpose(), right.transpose(), lower);
  else if (a.transposed)
    add_to(to, left.transpose(), right, lower);
  else if (b.transposed)
    add_to(to, left, right.transpose(), lower);
  else
    add_to(to, left, right, lower);
}

double solve_large(const Matrix<kDynamic, kDynamic>& system, double* right, Index cols) {
  const Index n = system.rows();
  const Eigen::PartialPivLU<Eigen::MatrixXd> lu(Eigen::Map<const Rows>(system.data(), n, n));
  Eigen::Map<Rows> x(right, n, cols);
  x = lu.solve(x).eval();
  return lu.rcond();
}

}  // namespace memoa::detail
