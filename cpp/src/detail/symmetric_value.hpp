#pragma once

#include "detail/stage.hpp"

namespace memoa::detail {

/// The value of one of N identical agents, theory sections 4 and 5, in d x d blocks for any N.
///
/// With S the sum of the n = N - 1 others and z = (y, S, 1) it is
///
///     V = z' form z + sum_j y_j' spread y_j,   form = [[P1, P2, s1], [., P4, s2], [., ., r]]
///
/// where spread = P3 - P4 obeys a recursion of its own, so that nothing large is subtracted.
/// A control of agent i is a p x (2d+1) matrix on z. The others play b_j = gain y_j + shared z,
/// whose columns on y and on S are equal.
template <int D>
struct SymmetricValue {
  static constexpr int Z = D == kDynamic ? D : 2 * D + 1;
  using Square = Matrix<D, D>;
  using Form = Matrix<Z, Z>;
  using OnState = Matrix<D, Z>;         // d x (2d+1)
  using Control = Matrix<kDynamic, Z>;  // p x (2d+1)
  using Gain = Matrix<kDynamic, D>;     // p x d

  const Index d;
  const double N, n;
  Form form;
  Square spread;
  Column<kDynamic> own_price, other_price;  // (p): what own noise and effort, others' noise cost

  SymmetricValue(const Game& game, Index n_agents)
      : d(game.n_outputs()),
        N(static_cast<double>(n_agents)),
        n(N - 1.0),
        form(2 * d + 1, 2 * d + 1),
        spread(d, d),
        own_price(game.n_features(), 1),
        other_price(own_price),
        weighted_(game.n_features(), 2 * d + 1),
        weighted_gain_(game.n_features(), d) {}

  Square P1() const { return form.template block<D, D>(0, 0, d, d); }
  Square P2() const { return form.template block<D, D>(0, d, d, d); }
  Square P4() const { return form.template block<D, D>(d, d, d, d); }
  Matrix<D, 1> s1() const { return form.template block<D, 1>(0, 2 * d, d, 1); }

  /// K* = P* + w Q*, k* = s* + w q*: the cost of y_{t+1} joins the value that follows it.
  void add_stage_cost(const Stage<D>& stage) {
    OnState error(d, 2 * d + 1);  // E1 y + E2 S - e
    const Square share = (-1.0 / N) * stage.G;
    error.template block<D, D>(0, 0, d, d).set(Square::identity(d) + share);
    error.template block<D, D>(0, d, d, d).set(share);
    error.template block<D, 1>(0, 2 * d, d, 1).set(-1.0 * stage.e);
    const OnState weighted = stage.w * (stage.Q * error);
    multiply<true>(transposed(error), weighted, form.view());
  }

  /// The prices of noise under this value; effort joins the own one where it is `w g`.
  void price_noise(const Stage<D>& stage, double effort) {
    stage.price_noise(P1(), effort, own_price);
    stage.price_noise(spread + P4(), 0.0, other_price);
  }

  /// A y + Abar m + f as a matrix on z.
  OnState free_motion(const Stage<D>& stage) const {
    OnState motion = common_motion(stage);
    motion.template block<D, D>(0, 0, d, d) += stage.A;
    return motion;
  }

  /// (Si, So, S0) of theory section 5: where the others' law takes their sum.
  OnState motion_of_sum(const Stage<D>& stage, const Gain& gain, const Control& shared) const {
    OnState motion = n * (common_motion(stage) + stage.M * shared);
    motion.template block<D, D>(0, d, d, d) += stage.A + stage.M * gain;
    return motion;
  }

  /// b' diag(price) b for a control b on z.
  void add_control_cost(const Control& control, const Column<kDynamic>& price) {
    weigh(control, price, weighted_);
    multiply<true>(transposed(control), weighted_, form.view());
  }

  /// The value one stage earlier, when agent i plays `own` and the others (gain, shared).
  /// The prices must be those of this value.
  void step_back(const Stage<D>& stage, const Control& own, const Gain& gain,
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
    spread =
        symmetric_part(transposed(alone) * (spread * alone) + transposed(gain) * weighted_gain_);
    form = symmetric_part(form);
    if (!all_finite(form) || !all_finite(spread)) fail(stage.t, "the value recursion overflowed");
  }

  /// (5.1): the expected value for initial states i.i.d. with this mean and covariance.
  double expectation(const View<D, 1>& mean, const View<D, D>& cov) const {
    Matrix<Z, 1> z(2 * d + 1, 1);
    for (Index i = 0; i < d; ++i) {
      z[i] = mean(i, 0);
      z[d + i] = n * mean(i, 0);
    }
    z[2 * d] = 1.0;
    const Square own_and_others = P1() + n * (spread + P4());
    return inner(z, form * z) + n * inner(mean, spread * mean) + inner(own_and_others, cov);
  }

 private:
  /// Abar m + f as a matrix on z.
  OnState common_motion(const Stage<D>& stage) const {
    OnState motion(d, 2 * d + 1);
    const Square share = (1.0 / N) * stage.Abar;
    motion.template block<D, D>(0, 0, d, d).set(share);
    motion.template block<D, D>(0, d, d, d).set(share);
    motion.template block<D, 1>(0, 2 * d, d, 1).set(stage.f);
    return motion;
  }

  /// The rows of a control times their prices.
  template <class Rows>
  static void weigh(const Rows& control, const Column<kDynamic>& price, Rows& out) {
    for (Index k = 0; k < control.rows(); ++k)
      for (Index j = 0; j < control.cols(); ++j) out(k, j) = price[k] * control(k, j);
  }

  Control weighted_;
  Gain weighted_gain_;
};

/// An affine symmetric law b = gain y + mean_gain m + offset of one stage, as the blocks above.
template <int D>
struct SymmetricLaw {
  typename SymmetricValue<D>::Gain gain;
  typename SymmetricValue<D>::Control shared, own;

  SymmetricLaw(Index p, Index d) : gain(p, d), shared(p, 2 * d + 1), own(p, 2 * d + 1) {}

  template <class G, class Gm, class H>
  void set(const G& on_own, const Gm& on_mean, const H& offset, double n_agents) {
    const Index p = gain.rows(), d = gain.cols();
    for (Index k = 0; k < p; ++k) {
      for (Index i = 0; i < d; ++i) {
        gain(k, i) = on_own(k, i);
        shared(k, i) = shared(k, d + i) = on_mean(k, i) / n_agents;
        own(k, i) = shared(k, i) + gain(k, i);
        own(k, d + i) = shared(k, d + i);
      }
      own(k, 2 * d) = shared(k, 2 * d) = offset(k, 0);
    }
  }
};

}  // namespace memoa::detail
