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
  void add_stage_cost(const Stage<D>& stage);

  /// The prices of noise under this value; effort joins the own one where it is `w g`.
  void price_noise(const Stage<D>& stage, double effort);

  /// A y + Abar m + f as a matrix on z.
  OnState free_motion(const Stage<D>& stage) const;

  /// (Si, So, S0) of theory section 5: the flow of the others' sum under their policy.
  OnState motion_of_sum(const Stage<D>& stage, const Gain& gain, const Control& shared) const;

  /// b' diag(price) b for a control b on z.
  void add_control_cost(const Control& control, const Column<kDynamic>& price);

  /// The value one stage earlier, when agent i plays `own` and the others (gain, shared).
  /// The prices must be those of this value.
  void step_back(const Stage<D>& stage, const Control& own, const Gain& gain,
                 const Control& shared);

  /// (5.1): the expected value for initial states i.i.d. with this mean and covariance.
  double expectation(const View<D, 1>& mean, const View<D, D>& cov) const;

 private:
  /// Abar m + f as a matrix on z.
  OnState common_motion(const Stage<D>& stage) const;

  Control weighted_;
  Gain weighted_gain_;
};

/// An affine symmetric policy b = gain y + mean_gain m + offset of one stage, as blocks.
template <int D>
struct SymmetricPolicy {
  typename SymmetricValue<D>::Gain gain;
  typename SymmetricValue<D>::Control shared, own;

  SymmetricPolicy(Index p, Index d) : gain(p, d), shared(p, 2 * d + 1), own(p, 2 * d + 1) {}

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
