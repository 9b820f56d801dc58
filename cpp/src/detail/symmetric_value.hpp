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
  static constexpr int Z = D == Eigen::Dynamic ? D : 2 * D + 1;
  using Square = Eigen::Matrix<double, D, D>;
  using Form = Eigen::Matrix<double, Z, Z>;
  using OnState = Eigen::Matrix<double, D, Z, D == 1 ? Eigen::RowMajor : 0>;  // d x (2d+1)
  using Control = Eigen::Matrix<double, Eigen::Dynamic, Z>;                   // p x (2d+1)
  using Gain = Eigen::Matrix<double, Eigen::Dynamic, D>;                      // p x d

  const Game& game;
  const Index d;
  const double N, n;
  Form form;
  Square spread;
  Eigen::VectorXd own_price, other_price;  // (p): what own noise and effort, others' noise cost

  SymmetricValue(const Game& the_game, Index n_agents)
      : game(the_game),
        d(game.n_outputs()),
        N(static_cast<double>(n_agents)),
        n(N - 1.0),
        form(Form::Zero(2 * d + 1, 2 * d + 1)),
        spread(Square::Zero(d, d)),
        own_price(game.n_features()),
        other_price(game.n_features()),
        weighted_(game.n_features(), 2 * d + 1) {}

  auto P1() const { return form.template topLeftCorner<D, D>(d, d); }
  auto P2() const { return form.template block<D, D>(0, d, d, d); }
  auto P4() const { return form.template block<D, D>(d, d, d, d); }
  auto s1() const { return form.col(2 * d).template head<D>(d); }

  /// K* = P* + w Q*, k* = s* + w q*: the cost of y_{t+1} joins the value that follows it.
  void add_stage_cost(Index t) {
    OnState error(d, 2 * d + 1);  // E1 y + E2 S - e
    error.template leftCols<D>(d) = game.coupling() * (-1.0 / N);
    error.template middleCols<D>(d, d) = error.template leftCols<D>(d);
    error.template leftCols<D>(d).diagonal().array() += 1.0;
    error.col(2 * d) = -game.target(t);
    const OnState weighted = game.discount(t) * (game.tracking() * error);
    form += error.transpose() * weighted;
  }

  /// The prices of noise under this value; effort joins the own one where it is `w g`.
  void price_noise(Index t, double effort) {
    noise_price(game, t, Square(P1()), own_price);
    own_price.array() += effort;
    noise_price(game, t, Square(spread + P4()), other_price);
  }

  /// A y + Abar m + f as a matrix on z.
  OnState free_motion(Index t) const {
    OnState motion = common_motion(t);
    motion.template leftCols<D>(d) += game.transition(t);
    return motion;
  }

  /// (Si, So, S0) of theory section 5: where the others' law takes their sum.
  OnState motion_of_sum(Index t, const Gain& gain, const Control& shared) const {
    OnState motion = n * (common_motion(t) + game.feature_mean(t) * shared);
    motion.template middleCols<D>(d, d) += game.transition(t) + game.feature_mean(t) * gain;
    return motion;
  }

  /// The value one stage earlier, when agent i plays `own` and the others (gain, shared).
  /// The prices must be those of this value.
  void step_back(Index t, const Control& own, const Gain& gain, const Control& shared) {
    const auto M = game.feature_mean(t);
    Form moved = Form::Zero(2 * d + 1, 2 * d + 1);
    moved.template topRows<D>(d) = free_motion(t) + M * own;
    moved.template middleRows<D>(d, d) = motion_of_sum(t, gain, shared);
    moved(2 * d, 2 * d) = 1.0;
    const Square alone = game.transition(t) + M * gain;  // y_j+ = alone y_j + common z + noise
    const OnState common = common_motion(t) + M * shared;

    // `part` keeps the products to one kind, which spares the compiler
    const Form after = form * moved;
    form.noalias() = moved.transpose() * after;
    weighted_.noalias() = own_price.asDiagonal() * own;
    Form part = own.transpose() * weighted_;
    form += part;
    weighted_.noalias() = other_price.asDiagonal() * shared;
    part.noalias() = shared.transpose() * weighted_;
    form += n * part;
    const OnState pulled = spread * common;
    part.noalias() = common.transpose() * pulled;
    form += n * part;
    const OnState cross = alone.transpose() * pulled + gain.transpose() * weighted_;
    form.template middleRows<D>(d, d) += cross;
    form.template middleCols<D>(d, d) += cross.transpose();

    weighted_.template leftCols<D>(d).noalias() = other_price.asDiagonal() * gain;
    spread = (alone.transpose() * (spread * alone) +
              gain.transpose() * weighted_.template leftCols<D>(d))
                 .eval();
    symmetrise(form);
    symmetrise(spread);
    if (!form.allFinite() || !spread.allFinite()) fail(t, "the value recursion overflowed");
  }

  /// (5.1): the expected value for initial states i.i.d. with this mean and covariance.
  double expectation(const VectorMap& mean, const MatrixMap& cov) const {
    Eigen::Matrix<double, Z, 1> z(2 * d + 1);
    z << mean, n * mean, 1.0;
    const Square own_and_others = P1() + n * (spread + P4());
    return z.dot(form * z) + n * mean.dot(spread * mean) + own_and_others.cwiseProduct(cov).sum();
  }

 private:
  template <class Matrix>
  static void symmetrise(Matrix& matrix) {
    matrix = (0.5 * (matrix + matrix.transpose())).eval();
  }

  /// Abar m + f as a matrix on z.
  OnState common_motion(Index t) const {
    OnState motion(d, 2 * d + 1);
    motion.template leftCols<D>(d) = game.mean_transition(t) / N;
    motion.template middleCols<D>(d, d) = motion.template leftCols<D>(d);
    motion.col(2 * d) = game.drift(t);
    return motion;
  }

  Control weighted_;
};

/// An affine symmetric law b = gain y + mean_gain m + offset of one stage, as the blocks above.
template <int D>
struct SymmetricLaw {
  typename SymmetricValue<D>::Gain gain;
  typename SymmetricValue<D>::Control shared, own;

  SymmetricLaw(Index p, Index d) : gain(p, d), shared(p, 2 * d + 1), own(p, 2 * d + 1) {}

  template <class G, class Gm, class H>
  void set(const G& on_own, const Gm& on_mean, const H& offset, double n_agents) {
    const Index d = gain.cols();
    gain = on_own;
    shared.template leftCols<D>(d) = on_mean / n_agents;
    shared.template middleCols<D>(d, d) = shared.template leftCols<D>(d);
    shared.col(2 * d) = offset;
    own = shared;
    own.template leftCols<D>(d) += gain;
  }
};

}  // namespace memoa::detail
