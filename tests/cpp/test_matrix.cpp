#include "detail/matrix.hpp"

#include <doctest/doctest.h>

#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <limits>

#include "problems.hpp"

using namespace memoa;
using detail::kDynamic;
using problems::Random;

namespace {

template <int R, int C>
detail::Matrix<R, C> own(const RowMatrix& from) {
  return detail::View<R, C>(from.data(), from.rows(), from.cols());
}
template <class M>
RowMatrix theirs(const M& m) {
  RowMatrix out(m.rows(), m.cols());
  for (Index i = 0; i < m.rows(); ++i)
    for (Index j = 0; j < m.cols(); ++j) out(i, j) = m(i, j);
  return out;
}
double distance(const RowMatrix& a, const RowMatrix& b) {
  return (a - b).cwiseAbs().maxCoeff() / std::max(1.0, b.cwiseAbs().maxCoeff());
}

/// Everything on one size, known at compile time or not.
template <int N>
void check_square(Index n, Random& random) {
  const RowMatrix A = random.matrix(n, n), B = random.matrix(n, n);
  const auto a = own<N, N>(A), b = own<N, N>(B);
  CHECK(distance(theirs(a * b), A * B) < 1e-14);
  CHECK(distance(theirs(transposed(a) * b), A.transpose() * B) < 1e-14);
  CHECK(distance(theirs(a * transposed(b)), A * B.transpose()) < 1e-14);
  CHECK(distance(theirs(a + 2.0 * b - a * b), A + 2.0 * B - A * B) < 1e-14);
  CHECK(distance(theirs(symmetric_part(a)), 0.5 * (A + A.transpose())) == 0.0);
  CHECK(detail::one_norm(a) == doctest::Approx(A.cwiseAbs().colwise().sum().maxCoeff()));
  CHECK(detail::inner(a, b) == doctest::Approx(A.cwiseProduct(B).sum()).epsilon(1e-13));
  const detail::Lu<N> lu(a);
  CHECK(distance(theirs(a * lu.inverse()), RowMatrix::Identity(n, n)) < 1e-10);
  CHECK(distance(theirs(a * lu.solve(b)), B) < 1e-10);
  auto sum = b;
  detail::multiply<true>(a, transposed(b), sum.view());
  CHECK(distance(theirs(sum), B + A * B.transpose()) < 1e-14);
}

}  // namespace

TEST_CASE("Products, sums and systems are Eigen's, for every size") {
  Random random(1);
  check_square<1>(1, random);
  check_square<2>(2, random);
  check_square<3>(3, random);
  check_square<4>(4, random);
  for (const Index n : {1, 2, 5, 9, 23, 24, 41, 90}) check_square<kDynamic>(n, random);
}

TEST_CASE("Large products take parts of matrices, transposed or not") {
  Random random(2);
  for (const Index inner : {1, 7, 8, 64, 200}) {
    const RowMatrix A = random.matrix(50, inner + 3), B = random.matrix(inner, 70);
    const RowMatrix At = A.transpose(), Bt = B.transpose();
    const auto a = own<kDynamic, kDynamic>(A), b = own<kDynamic, kDynamic>(B),
               at = own<kDynamic, kDynamic>(At), bt = own<kDynamic, kDynamic>(Bt);
    const auto part = a.block<kDynamic, kDynamic>(1, 2, 40, inner);
    const auto turned = at.block<kDynamic, kDynamic>(2, 1, inner, 40);
    const RowMatrix expected = A.block(1, 2, 40, inner) * B;
    CHECK(distance(theirs(part * b), expected) < 1e-13);
    CHECK(distance(theirs(transposed(turned) * b), expected) < 1e-13);
    CHECK(distance(theirs(part * transposed(bt)), expected) < 1e-13);
    CHECK(distance(theirs(transposed(turned) * transposed(bt)), expected) < 1e-13);
  }
}

TEST_CASE("Of a product of a transposed matrix the lower triangle alone is added") {
  Random random(4);
  for (const Index inner : {1, 7, 8, 64, 200}) {
    const RowMatrix A = random.matrix(inner + 3, 50), B = random.matrix(inner, 70);
    const auto a = own<kDynamic, kDynamic>(A), b = own<kDynamic, kDynamic>(B);
    detail::Matrix<kDynamic, kDynamic> lower(40, 40);
    add_lower_product(operand(a.block<kDynamic, kDynamic>(2, 1, inner, 40)),
                      operand(b.block<kDynamic, kDynamic>(0, 5, inner, 40)), lower.data(), 40);
    const RowMatrix all = A.block(2, 1, inner, 40).transpose() * B.middleCols(5, 40);
    CHECK(distance(theirs(lower), RowMatrix(all.triangularView<Eigen::Lower>())) < 1e-13);
  }
}

TEST_CASE("The spectral radius is the largest modulus of an eigenvalue") {
  Random random(5);
  for (const Index n : {1, 2, 5, 30}) {
    const RowMatrix A = random.matrix(n, n);
    const double expected =
        Eigen::EigenSolver<Eigen::MatrixXd>(A).eigenvalues().cwiseAbs().maxCoeff();
    CHECK(detail::spectral_radius(A.data(), n) == doctest::Approx(expected).epsilon(1e-10));
  }
  const RowMatrix zero = RowMatrix::Zero(3, 3);
  CHECK(detail::spectral_radius(zero.data(), 3) == 0.0);
}

TEST_CASE("A large system is solved in place and tells how close to singular it is") {
  Random random(3);
  const RowMatrix A = random.matrix(60, 60), B = random.matrix(60, 61);
  RowMatrix x = B;
  const double rcond = detail::solve_large(own<kDynamic, kDynamic>(A), x.data(), x.cols());
  CHECK(distance(A * x, B) < 1e-11);
  CHECK(rcond == doctest::Approx(Eigen::PartialPivLU<Eigen::MatrixXd>(A).rcond()).epsilon(1e-6));
}

TEST_CASE("Rows change places where a pivot is zero; a singular matrix has no finite inverse") {
  const double swap[] = {0.0, 1.0, 1.0, 0.0}, singular[] = {1.0, 2.0, 2.0, 4.0};
  const detail::Matrix<2, 2> a = detail::View<2, 2>(swap, 2, 2);
  CHECK(theirs(detail::Lu<2>(a).inverse()) == theirs(a));
  const detail::Matrix<2, 2> b = detail::View<2, 2>(singular, 2, 2);
  CHECK_FALSE(std::isfinite(detail::one_norm(detail::Lu<2>(b).inverse())));
}

TEST_CASE("No number that is not finite is overlooked") {
  for (Index place = 0; place < 6; ++place) {
    detail::Matrix<2, 3> m(2, 3);
    CHECK(all_finite(m));
    m[place] = std::numeric_limits<double>::quiet_NaN();
    CHECK_FALSE(all_finite(m));
    CHECK(std::isnan(detail::one_norm(m)));
  }
}
