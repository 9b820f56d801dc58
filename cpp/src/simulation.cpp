#include "memoa/simulation.hpp"

#include <cmath>
#include <numeric>

#include "detail/normals.hpp"
#include "detail/parallel.hpp"
#include "detail/planes.hpp"
#include "detail/stage.hpp"
#include "detail/validate.hpp"

namespace memoa {
namespace {

using namespace detail;
using Eigen::MatrixXd;
using Eigen::VectorXd;

enum Stream : std::uint64_t { kInitial = 0, kFeatures = 1 };

/// One type's stage for an agent with state y: everything that its p-wide control does, reduced to
/// d outputs. The control is (gain, common) (y, 1).
struct StagePlan {
  MatrixXd move;                // d x d: y+ = move y + shift + noise
  VectorXd shift;               // d
  MatrixXd effort;              // w g |b|^2 as a form in (y, 1)
  std::vector<MatrixXd> noise;  // covariance entry (a, b <= a) of Z b, packed, as forms in (y, 1)
  MatrixXd tracking;            // w Q bordered by zeros: of the stage before this one
  VectorXd wanted;              // d, G m + e: what that stage's prediction was to be
};

struct Chunk {
  Index type, first, size;
};

/// Room of one thread for one chunk.
struct Workspace {
  std::vector<double> next, noise, normals;
};

class Rollout {
 public:
  Rollout(const std::vector<Game>& games, const std::vector<Policy>& policies,
          const std::vector<Index>& sizes, const SimulationSettings& settings)
      : games_(games),
        policies_(policies),
        N_(settings.n_agents),
        d_(games[0].n_outputs()),
        K_(static_cast<Index>(games.size())),
        normals_(settings.seed),
        limit_(settings.mean_field == MeanField::limit),
        threads_(
            threads_for(resolve_threads(settings.n_threads), 50.0 * static_cast<double>(N_ * d_))),
        workspaces_(threads_),
        plans_(K_),
        state_(N_ * d_),
        sums_(K_ * d_) {
    result_.stages = games[0].horizon() + 1;
    result_.type_sizes = sizes;
    result_.cost.assign(N_, 0.0);
    result_.mean_path.resize((games[0].horizon() + 1) * K_ * d_);
    Index first = 0;
    for (Index k = 0; k < K_; first += sizes[k], ++k)
      for (Index at = 0; at < sizes[k]; at += kPlane)
        chunks_.push_back({k, first + at, std::min(kPlane, sizes[k] - at)});
    partial_.resize(chunks_.size() * d_);
    for (Workspace& room : workspaces_) {
      room.next.resize(d_ * kPlane);
      room.noise.resize(packed_size(d_) * kPlane);
      room.normals.resize(d_ * kPlane);
    }
  }

  Simulation run(const std::vector<double>& mean, const std::vector<double>& cov) {
    const Index T = games_[0].horizon();
    std::vector<double> flow;
    if (limit_) flow = policies_[0].mean_path(mean.data());
    start(mean, cov);
    for (Index t = 0; t < T; ++t) {
      const double* seen = limit_ ? flow.data() + t * K_ * d_ : mean_at(t);
      for (Index k = 0; k < K_; ++k) plan(k, t, VectorMap(seen, K_ * d_));
      for_each_chunk([&](Chunk chunk, double* sum, Workspace& room) {
        if (t > 0) add_tracking(chunk, room);
        move(chunk, t, sum, room);
      });
      store_means(t + 1);
    }
    for (Index k = 0; k < K_; ++k) plan_tracking(k, T);
    for_each_chunk([&](Chunk chunk, double* sum, Workspace& room) {
      add_tracking(chunk, room);
      sum[0] = ordered_sum(result_.cost.data() + chunk.first, chunk.size);
    });
    summarise();
    return std::move(result_);
  }

 private:
  template <class Body>
  void for_each_chunk(const Body& body) {
    detail::for_each_chunk(static_cast<Index>(chunks_.size()), threads_, [&](Index c, int thread) {
      body(chunks_[c], partial_.data() + c * d_, workspaces_[thread]);
    });
  }

  const double* mean_at(Index t) const { return result_.mean_path.data() + t * K_ * d_; }

  /// The mean over all types' agents after t stages.
  VectorXd overall_mean(Index t) const {
    VectorXd mean = VectorXd::Zero(d_);
    for (Index k = 0; k < K_; ++k)
      mean += static_cast<double>(result_.type_sizes[k]) / static_cast<double>(N_) *
              VectorMap(mean_at(t) + k * d_, d_);
    return mean;
  }

  /// Adds the chunks' sums in order: the same bits for any number of threads.
  void store_means(Index t) {
    std::fill(sums_.begin(), sums_.end(), 0.0);
    for (std::size_t c = 0; c < chunks_.size(); ++c)
      for (Index o = 0; o < d_; ++o) sums_[chunks_[c].type * d_ + o] += partial_[c * d_ + o];
    for (Index j = 0; j < K_ * d_; ++j) {
      const double mean = sums_[j] / static_cast<double>(result_.type_sizes[j / d_]);
      if (!std::isfinite(mean))
        fail(std::max<Index>(t - 1, 0), "the agents' predictions overflowed");
      result_.mean_path[t * K_ * d_ + j] = mean;
    }
  }

  void start(const std::vector<double>& mean, const std::vector<double>& cov) {
    std::vector<double> roots(K_ * packed_size(d_) * kPlane);  // as planes of one agent per type
    for (Index k = 0; k < K_; ++k) {
      double* root = roots.data() + k * packed_size(d_) * kPlane;
      for (Index a = 0; a < d_; ++a)
        for (Index b = 0; b <= a; ++b) root[packed(a, b) * kPlane] = cov[(k * d_ + a) * d_ + b];
      factorise_planes(root, d_, 1);
    }
    for_each_chunk([&](Chunk chunk, double* sum, Workspace& room) {
      draw(chunk, kInitial, 0, room);
      const double* root = roots.data() + chunk.type * packed_size(d_) * kPlane;
      for (Index a = 0; a < d_; ++a) {
        Plane y(state_.data() + a * N_ + chunk.first, chunk.size);
        y.setConstant(mean[chunk.type * d_ + a]);
        for (Index b = 0; b <= a; ++b)
          y += root[packed(a, b) * kPlane] * Plane(room.normals.data() + b * kPlane, chunk.size);
        sum[a] = ordered_sum(y.data(), chunk.size);
      }
    });
    store_means(0);
  }

  void draw(Chunk chunk, Stream stream, Index t, Workspace& room) const {
    for (Index o = 0; o < d_; ++o)
      normals_.fill(chunk.first, chunk.first + chunk.size, stream, static_cast<std::uint64_t>(t),
                    static_cast<std::uint64_t>(o), room.normals.data() + o * kPlane);
  }

  void plan(Index k, Index t, const VectorMap& seen) {
    const Game& game = games_[k];
    const Policy& policy = policies_[k];
    StagePlan& plan = plans_[k];
    const Index p = game.n_features();
    MatrixXd control(p, d_ + 1);
    control.leftCols(d_) = policy.gain_at(t);
    control.col(d_) = policy.mean_gain_at(t) * seen + policy.offset_at(t);

    plan.move = game.transition(t) + game.feature_mean(t) * policy.gain_at(t);
    plan.shift = game.mean_transition(t) * overall_mean(t) + game.drift(t) +
                 game.feature_mean(t) * control.col(d_);
    plan.effort = game.discount(t) * game.effort() * (control.transpose() * control);
    plan.noise.resize(packed_size(d_));
    for (Index a = 0; a < d_; ++a)
      for (Index b = 0; b <= a; ++b) {
        VectorXd entry(p);
        for (Index c = 0; c < p; ++c) entry[c] = game.feature_cov(t, c)(a, b);
        plan.noise[packed(a, b)] = control.transpose() * (entry.asDiagonal() * control);
      }
    if (t > 0) plan_tracking(k, t);
  }

  /// What the predictions that stage t - 1 made are judged by.
  void plan_tracking(Index k, Index t) {
    const Game& game = games_[k];
    plans_[k].tracking = MatrixXd::Zero(d_ + 1, d_ + 1);
    plans_[k].tracking.topLeftCorner(d_, d_) = game.discount(t - 1) * game.tracking();
    plans_[k].wanted = game.coupling() * overall_mean(t) + game.target(t - 1);
  }

  void add_tracking(Chunk chunk, Workspace& room) {
    const StagePlan& plan = plans_[chunk.type];
    for (Index o = 0; o < d_; ++o)
      Plane(room.next.data() + o * kPlane, chunk.size) =
          Plane(state_.data() + o * N_ + chunk.first, chunk.size) - plan.wanted[o];
    add_quadratic(plan.tracking, room.next.data(), kPlane, chunk.size,
                  result_.cost.data() + chunk.first);
  }

  void move(Chunk chunk, Index t, double* sum, Workspace& room) {
    const StagePlan& plan = plans_[chunk.type];
    double* y = state_.data() + chunk.first;
    const auto plane = [&](std::vector<double>& values, Index which) {
      return Plane(values.data() + which * kPlane, chunk.size);
    };
    add_quadratic(plan.effort, y, N_, chunk.size, result_.cost.data() + chunk.first);
    std::fill(room.noise.begin(), room.noise.end(), 0.0);
    for (Index entry = 0; entry < packed_size(d_); ++entry)
      add_quadratic(plan.noise[entry], y, N_, chunk.size, room.noise.data() + entry * kPlane);
    factorise_planes(room.noise.data(), d_, chunk.size);
    draw(chunk, kFeatures, t, room);
    for (Index a = 0; a < d_; ++a) {
      Plane next = plane(room.next, a);
      next.setConstant(plan.shift[a]);
      for (Index j = 0; j < d_; ++j) next += plan.move(a, j) * Plane(y + j * N_, chunk.size);
      for (Index b = 0; b <= a; ++b)
        next += plane(room.noise, packed(a, b)) * plane(room.normals, b);
    }
    for (Index a = 0; a < d_; ++a) {
      Plane(y + a * N_, chunk.size) = plane(room.next, a);
      sum[a] = ordered_sum(room.next.data() + a * kPlane, chunk.size);
    }
  }

  void summarise() {
    double total = 0.0;
    for (std::size_t c = 0; c < chunks_.size(); ++c) total += partial_[c * d_];
    if (!std::isfinite(total)) fail(games_[0].horizon() - 1, "the agents' costs overflowed");
    const auto worst = std::max_element(result_.cost.begin(), result_.cost.end());
    result_.mean_cost = total / static_cast<double>(N_);
    result_.worst_cost = *worst;
    result_.worst_agent = worst - result_.cost.begin();
  }

  const std::vector<Game>& games_;
  const std::vector<Policy>& policies_;
  const Index N_, d_, K_;
  const Normals normals_;
  const bool limit_;
  const int threads_;
  std::vector<Workspace> workspaces_;
  std::vector<StagePlan> plans_;
  std::vector<Chunk> chunks_;
  std::vector<double> state_;  // (d, N)
  std::vector<double> partial_, sums_;
  Simulation result_;
};

/// Whole agents of every type: largest remainder, the earlier type where remainders are equal.
std::vector<Index> apportion(Index n_agents, const std::vector<double>& shares) {
  const auto K = shares.size();
  std::vector<Index> sizes(K);
  std::vector<double> rest(K);
  for (std::size_t k = 0; k < K; ++k) {
    const double exact = shares[k] * static_cast<double>(n_agents);
    sizes[k] = static_cast<Index>(exact + 1e-9);  // 0.3 * 10 is three agents
    rest[k] = exact - static_cast<double>(sizes[k]);
  }
  Index left = n_agents - std::accumulate(sizes.begin(), sizes.end(), Index{0});
  std::vector<std::size_t> order(K);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return rest[a] > rest[b]; });
  for (std::size_t k = 0; left > 0; k = (k + 1) % K, --left) ++sizes[order[k]];
  return sizes;
}

}  // namespace

Simulation simulate(const std::vector<Game>& games, const std::vector<Policy>& policies,
                    const std::vector<double>& shares, const std::vector<double>& mean,
                    const std::vector<double>& cov, const SimulationSettings& settings) {
  require_types(games, shares);
  if (policies.size() != games.size())
    throw std::invalid_argument("policies has " + std::to_string(policies.size()) +
                                " entries; expected one for each of the " +
                                std::to_string(games.size()) + " games");
  const Index d = games[0].n_outputs(), K = static_cast<Index>(games.size());
  require_agents(settings.n_agents, 1);
  for (Index k = 0; k < K; ++k)
    require_policy(K == 1 ? "policy" : "policy[" + std::to_string(k) + "]", policies[k], games[k],
                   K * d);
  const auto part = [K](const std::vector<double>& all, Index k) {
    const auto size = static_cast<Index>(all.size()) / K;
    return std::vector<double>(all.begin() + k * size, all.begin() + (k + 1) * size);
  };
  for (Index k = 0; k < K; ++k) require_law("mean", part(mean, k), "cov", part(cov, k), d);
  const std::vector<Index> sizes = apportion(settings.n_agents, shares);
  for (std::size_t k = 0; k < sizes.size(); ++k)
    if (sizes[k] < 1)
      throw std::invalid_argument("n_agents is " + std::to_string(settings.n_agents) +
                                  ", which leaves type " + std::to_string(k) +
                                  " without an agent; expected more agents or a larger share");
  return Rollout(games, policies, sizes, settings).run(mean, cov);
}

}  // namespace memoa
