#include "memoa/equilibrium.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "detail/stage.hpp"

namespace memoa {
namespace {

using namespace detail;

/// D: the outputs, KD: the stacked means of all types, where known at compile time.
template <int D, int KD>
class MeanFieldRecursion {
 public:
  MeanFieldRecursion(const std::vector<const Game*>& games, const std::vector<double>& shares)
      : d_(games.front()->n_outputs()),
        kd_(d_ * static_cast<Index>(games.size())),
        shares_(shares),
        joint_(kd_, kd_),
        mean_map_(kd_, kd_),
        mean_shift_(kd_, 1) {
    for (const Game* game : games) types_.emplace_back(*game, d_, kd_);
  }

  std::vector<Policy> run() {
    for (Index t = types_.front().game.horizon() - 1; t >= 0; --t) {
      for (Type& type : types_) prepare(type, t);
      step_mean(t);
      for (Type& type : types_) finish(type, t);
    }
    std::vector<Policy> policies;
    for (Type& type : types_) {
      type.policy.rcond = rcond_;
      policies.push_back(std::move(type.policy));
    }
    return policies;
  }

 private:
  using Square = Matrix<D, D>;
  using Vector = Matrix<D, 1>;
  using OnMean = Matrix<D, KD>;

  /// One type's value, between the backward steps, and its part of the current stage.
  struct Type {
    const Game& game;
    Square l1;
    OnMean l2;
    Vector s;
    Square K;  // (3.1)
    OnMean L;
    Vector k;
    Column<kDynamic> price;
    ControlResponse<D> response;
    Policy policy;

    Type(const Game& the_game, Index d, Index kd)
        : game(the_game),
          l1(d, d),
          l2(d, kd),
          s(d, 1),
          K(l1),
          L(l2),
          k(s),
          price(game.n_features(), 1),
          response(d, game.n_features()),
          policy(allocate_policy(game, kd)) {}
  };

  /// block (d x d) applied to the average over types: block Pi, added to rows of `to`.
  template <class Block, class To>
  void add_on_average(const Block& block, To&& to) const {
    for (std::size_t j = 0; j < shares_.size(); ++j)
      to.template block<D, D>(0, static_cast<Index>(j) * d_, d_, d_) += shares_[j] * block;
  }

  /// (3.1) and the response to it, with diag_k(tr(K C[k]) + w g) as the price of controls.
  void prepare(Type& type, Index t) const {
    const Stage<D> stage(type.game, t);
    stage.listen();
    const Square weighted = stage.w * stage.Q;
    type.K = type.l1 + weighted;
    type.L = type.l2;
    add_on_average(-1.0 * (weighted * stage.G), type.L);
    type.k = type.s - weighted * stage.e;
    stage.price_noise(type.K, stage.effort, type.price);
    type.response.compute(stage, type.K, type.price);
    if (!all_finite(type.response.W)) fail(t, "the value recursion overflowed");
  }

  /// (3.2): the joint linear system of the types' next means.
  void step_mean(Index t) {
    joint_ = Matrix<KD, KD>::identity(kd_);
    mean_map_ = Matrix<KD, KD>(kd_, kd_);
    for (std::size_t j = 0; j < types_.size(); ++j) {
      const Type& type = types_[j];
      const Stage<D> stage(type.game, t);
      const Square& F = type.response.F;
      const Index row = static_cast<Index>(j) * d_;
      const auto closed = transposed(type.response.W);  // I - F K
      joint_.template block<D, KD>(row, 0, d_, kd_) += F * type.L;
      mean_map_.template block<D, D>(row, row, d_, d_) += closed * stage.A;
      add_on_average(closed * stage.Abar, mean_map_.template block<D, KD>(row, 0, d_, kd_));
      mean_shift_.template block<D, 1>(row, 0, d_, 1).set(closed * stage.f - F * type.k);
    }
    const Lu<KD> lu(joint_);
    rcond_ = std::min(rcond_, require_regular(joint_, lu, t, "the mean field's linear system",
                                              "mean-field equilibrium"));
    mean_map_ = lu.solve(mean_map_);
    mean_shift_ = lu.solve(mean_shift_);
  }

  /// (3.4) into the policy and (3.3) into the value.
  void finish(Type& type, Index t) {
    const Stage<D> stage(type.game, t);
    const Square on_own = type.K * stage.A;
    OnMean on_mean = type.L * mean_map_;
    add_on_average(type.K * stage.Abar, on_mean);
    const Vector affine = type.K * stage.f + type.L * mean_shift_ + type.k;

    const PolicyStage<D, KD> out(type.policy, t);
    out.answer(type.response, on_own, on_mean, affine);
    out.mean_map.set(mean_map_);
    out.mean_shift.set(mean_shift_);
    out.require_finite(t);

    const Square back = transposed(stage.A) * type.response.W;
    type.l1 = symmetric_part(back * on_own);
    type.l2 = back * on_mean;
    type.s = back * affine;
    if (!all_finite(type.l1) || !all_finite(type.l2) || !all_finite(type.s))
      fail(t, "the value recursion overflowed");
  }

  const Index d_, kd_;
  const std::vector<double>& shares_;
  std::vector<Type> types_;
  Matrix<KD, KD> joint_, mean_map_;
  Column<KD> mean_shift_;
  double rcond_ = 1.0;
};

}  // namespace

Policy solve_mean_field(const Game& game) {
  const std::vector<double> all{1.0};
  return with_fixed_size(game.n_outputs(), [&](auto size) {
    constexpr int D = decltype(size)::value;
    return std::move(MeanFieldRecursion<D, D>({&game}, all).run().front());
  });
}

std::vector<Policy> solve_mean_field(const std::vector<Game>& games,
                                     const std::vector<double>& shares) {
  require_types(games, shares);
  std::vector<const Game*> pointers;
  pointers.reserve(games.size());
  for (const Game& game : games) pointers.push_back(&game);
  if (games.size() == 1) return {solve_mean_field(games.front())};
  return MeanFieldRecursion<kDynamic, kDynamic>(pointers, shares).run();
}

std::vector<double> Policy::mean_path(const double* m0) const {
  std::vector<double> path(static_cast<std::size_t>((horizon + 1) * mean_size));
  std::copy(m0, m0 + mean_size, path.begin());
  for (Index t = 0; t < horizon; ++t) {
    const double* now = path.data() + t * mean_size;
    const MatrixView map = mean_map_at(t);
    for (Index i = 0; i < mean_size; ++i)
      path[(t + 1) * mean_size + i] =
          dot(map.data + i * mean_size, now, mean_size) + mean_shift_at(t)[i];
    for (Index i = 0; i < mean_size; ++i)
      if (!std::isfinite(path[(t + 1) * mean_size + i])) fail(t, "the mean field overflowed");
  }
  return path;
}

void Policy::act(Index t, const double* prediction, Index n_agents, const double* mean,
                 double* control) const {
  using Rows = View<kDynamic, kDynamic>;
  const Matrix<kDynamic, 1> common = Rows(mean_gain_at(t)) * View<kDynamic, 1>(mean, mean_size, 1) +
                                     View<kDynamic, 1>(offset_at(t));
  const View<kDynamic, kDynamic, double> out(control, n_agents, n_features);
  const Matrix<kDynamic, kDynamic> gain = transposed(Rows(gain_at(t)));
  multiply<false>(Rows(prediction, n_agents, n_outputs), gain, out);
  for (Index i = 0; i < n_agents; ++i)
    for (Index k = 0; k < n_features; ++k) {
      out(i, k) += common[k];
      if (!std::isfinite(out(i, k)))
        fail(t, "the control of agent " + std::to_string(i) + " overflowed");
    }
}

void Policy::validate() const {
  const Index T = horizon, d = n_outputs, p = n_features, m = mean_size;
  require_size("gain", gain.size(), T * p * d);
  require_size("mean_gain", mean_gain.size(), T * p * m);
  require_size("offset", offset.size(), T * p);
  require_size("mean_map", mean_map.size(), T * m * m);
  require_size("mean_shift", mean_shift.size(), T * m);
  require_finite("gain", gain.data(), {T, p, d});
  require_finite("mean_gain", mean_gain.data(), {T, p, m});
  require_finite("offset", offset.data(), {T, p});
  require_finite("mean_map", mean_map.data(), {T, m, m});
  require_finite("mean_shift", mean_shift.data(), {T, m});
}

}  // namespace memoa
