#include "detail/symmetric_value.hpp"

namespace memoa::detail {
namespace {

/// The rows of a control times their prices.
template <class Rows>
void weigh(const Rows& control, const Column<kDynamic>& price, Rows& out) {
  for (Index k = 0; k < control.rows(); ++k)
    for (Index j = 0; j < control.cols(); ++j) out(k, j) = price[k] * control(k, j);
}

}  // namespace

template <int D>
typename SymmetricValue<D>::OnState SymmetricValue<D>::common_motion(const Stage<D>& stage) const {
  OnState motion(d, 2 * d + 1);
  const Square share = (1.0 / N) * stage.Abar;
  motion.template block<D, D>(0, 0, d, d).set(share);
  motion.template block<D, D>(0, d, d, d).set(share);
  motion.template block<D, 1>(0, 2 * d, d, 1).set(stage.f);
  return motion;
}

template <int D>
void SymmetricValue<D>::add_stage_cost(const Stage<D>& stage) {
  OnState error(d, 2 * d + 1);  // E1 y + E2 S - e
  const Square share = (-1.0 / N) * stage.G;
  error.template block<D, D>(0, 0, d, d).set(Square::identity(d) + share);
  error.template block<D, D>(0, d, d, d).set(share);
  error.template block<D, 1>(0, 2 * d, d, 1).set(-1.0 * stage.e);
  const OnState weighted = stage.w * (stage.Q * error);
  multiply<true>(transposed(error), weighted, form.view());
}

template <int D>
void SymmetricValue<D>::price_noise(const Stage<D>& stage, double effort) {
  stage.price_noise(P1(), effort, own_price);
  stage.price_noise(spread + P4(), 0.0, other_price);
}

template <int D>
typename SymmetricValue<D>::OnState SymmetricValue<D>::free_motion(const Stage<D>& stage) const {
  OnState motion = common_motion(stage);
  motion.template block<D, D>(0, 0, d, d) += stage.A;
  return motion;
}

template <int D>
typename SymmetricValue<D>::OnState SymmetricValue<D>::motion_of_sum(const Stage<D>& stage,
                                                                     const Gain& gain,
                                                                     const Control& shared) const {
  OnState motion = n * (common_motion(stage) + stage.M * shared);
  motion.template block<D, D>(0, d, d, d) += stage.A + stage.M * gain;
  return motion;
}

template <int D>
void SymmetricValue<D>::add_control_cost(const Control& control, const Column<kDynamic>& price) {
  weigh(control, price, weighted_);
  multiply<true>(transposed(control), weighted_, form.view());
}

template <int D>
void SymmetricValue<D>::step_back(const Stage<D>& stage, const Control& own, const Gain& gain,
                                  const Control& shared) {
  Form moved(2 * d + 1, 2 * d + 1);
  moved.template block<D, Z>(0, 0, d, 2 * d + 1).set(free_motion(stage) + stage.M * own);
  moved.template block<D, Z>(d, 0, d, 2 * d + 1).set(motion_of_sum(stage, gain, shared));
  moved(2 * d, 2 * d) = 1.0;
  const Square alone = stage.A + stage.M * gain;  // y_j+ = alone y_j + common z + noise
  const OnState common = common_motion(stage) + stage.M * shared;

  form = transposed(moved) * (form * moved);
  add_control_cost(own, own_price);
  weigh(shared, other_price, weighted_);
  const OnState pulled = spread * common;
  form += n * (transposed(shared) * weighted_ + transposed(common) * pulled);
  const OnState cross = transposed(alone) * pulled + transposed(gain) * weighted_;
  form.template block<D, Z>(d, 0, d, 2 * d + 1) += cross;
  form.template block<Z, D>(0, d, 2 * d + 1, d) += transposed(cross);

  weigh(gain, other_price, weighted_gain_);
  spread = symmetric_part(transposed(alone) * (spread * alone) + transposed(gain) * weighted_gain_);
  form = symmetric_part(form);
  if (!all_finite(form) || !all_finite(spread)) fail(stage.t, "the value recursion overflowed");
}

template <int D>
double SymmetricValue<D>::expectation(const View<D, 1>& mean, const View<D, D>& cov) const {
  Matrix<Z, 1> z(2 * d + 1, 1);
  for (Index i = 0; i < d; ++i) {
    z[i] = mean(i, 0);
    z[d + i] = n * mean(i, 0);
  }
  z[2 * d] = 1.0;
  const Square own_and_others = P1() + n * (spread + P4());
  return inner(z, form * z) + n * inner(mean, spread * mean) + inner(own_and_others, cov);
}

template struct SymmetricValue<1>;
template struct SymmetricValue<2>;
template struct SymmetricValue<3>;
template struct SymmetricValue<4>;
template struct SymmetricValue<kDynamic>;

}  // namespace memoa::detail
