#include "memoa/simulation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "detail/exchange.hpp"
#include "detail/interrupt.hpp"
#include "detail/normals.hpp"
#include "detail/planes.hpp"
#include "detail/stage.hpp"
#include "detail/team.hpp"

namespace memoa {
namespace {

using namespace detail;
using Rows = View<kDynamic, kDynamic>;
using Square = Matrix<kDynamic, kDynamic>;
using Vector = Column<kDynamic>;

enum Stream : std::uint64_t { kInitial = 0, kFeatures = 1 };

/// One type's stage for an agent with state y = x + centre: everything that its p-wide control
/// does, reduced to d outputs. The control is (gain, common) (x, 1). Forms in (x, 1) are the
/// coefficients of 1 and of the monomials of x.
struct StagePlan {
  Vector centre;             // d, G m + e: the aim of the previous stage, or zero
  std::vector<Vector> move;  // of output a: (shift, row a of the move), y+ = move x + shift + noise
  Vector cost;               // w g |b|^2, plus the tracking cost of the previous stage
  std::vector<Vector> noise;  // covariance entry (a, b <= a) of Z b, packed
};

/// Coefficients of (x, 1)' q (x, 1) with a symmetric q, in the order of `expand`.
Vector form(const Square& q) {
  const Index d = q.rows() - 1;
  Vector coefficients(1 + monomials(d), 1);
  coefficients[0] = q(d, d);
  for (Index j = 0; j < d; ++j) {
    coefficients[1 + j] = 2.0 * q(j, d);
    for (Index k = 0; k <= j; ++k)
      coefficients[1 + d + plane_of(j, k)] = (j == k ? 1.0 : 2.0) * q(j, k);
  }
  return coefficients;
}

struct Chunk {
  Index type, first, size, here;  // first: its number among all agents; here: among those here
};

/// Scratch of one thread for one chunk, on separate cache lines and aligned for vectors.
class Workspace {
 public:
  static constexpr Index kLine = 8, kDraws = kPlane + 2 * Normals::kShare;

  double *terms, *noise, *draws;
  std::vector<const double*> normals;  // d planes within draws

  explicit Workspace(Index d) : normals(d) {
    const Index planes = (monomials(d) + n_entries(d)) * kPlane;
    storage_.resize(planes + d * kDraws + 2 * kLine);
    void* start = storage_.data();
    std::size_t space = storage_.size() * sizeof(double);
    terms = static_cast<double*>(std::align(kLine * sizeof(double), sizeof(double), start, space));
    noise = terms + monomials(d) * kPlane;
    draws = noise + n_entries(d) * kPlane;
  }

 private:
  std::vector<double> storage_;
};

class Rollout {
 public:
  Rollout(const std::vector<Game>& games, const std::vector<Policy>& policies,
          const std::vector<Index>& sizes, const SimulationSettings& settings)
      : games_(games),
        policies_(policies),
        N_(settings.n_agents),
        total_(std::accumulate(sizes.begin(), sizes.end(), Index{0})),
        d_(games[0].n_outputs()),
        K_(static_cast<Index>(games.size())),
        first_(settings.shard.first),
        seed_(settings.seed),
        normals_(settings.seed),
        limit_(settings.mean_field == MeanField::limit),
        threads_(
            threads_for(resolve_threads(settings.n_threads), 50.0 * static_cast<double>(N_ * d_))),
        plans_(K_),
        state_(N_ * d_),
        others_(settings.shard),
        sums_(others_) {
    result_.stages = games[0].horizon() + 1;
    result_.type_sizes = sizes;
    result_.cost.assign(N_, 0.0);
    result_.mean_path.resize((games[0].horizon() + 1) * K_ * d_);
    const Index here = settings.shard.first, end = here + N_;
    for (Index k = 0, first = 0, last = 0; k < K_; ++k, first = last) {
      last = first + sizes[k];
      for (Index at = std::max(first, here); at < std::min(last, end);) {
        const Index next = std::min((at / kPlane + 1) * kPlane, last);
        chunks_.push_back({k, at, next - at, at - here});
        at = next;
      }
    }
    partial_.resize(chunks_.size() * d_);
    workspaces_.reserve(threads_);
    for (int thread = 0; thread < threads_; ++thread) workspaces_.emplace_back(d_);
  }

  Simulation run(const std::vector<double>& mean, const std::vector<double>& cov) {
    const Index T = games_[0].horizon();
    std::vector<double> flow;
    if (limit_) flow = policies_[0].mean_path(mean.data());
    agree(mean, cov);
    start(mean, cov);
    for (Index t = 0; t < T; ++t) {
      const double* seen = limit_ ? flow.data() + t * K_ * d_ : mean_at(t);
      for (Index k = 0; k < K_; ++k) plan(k, t, {seen, K_ * d_, 1});
      for_each_chunk([&](Chunk chunk, double* sum, Workspace& room) { move(chunk, t, sum, room); });
      store_means(t + 1);
    }
    for (Index k = 0; k < K_; ++k) plans_[k].cost = form(plan_tracking(k, T));
    for_each_chunk([&](Chunk chunk, double* sum, Workspace& room) {
      add_cost(chunk, room);
      sum[0] = ordered_sum(result_.cost.data() + chunk.here, chunk.size);
    });
    summarise();
    return std::move(result_);
  }

 private:
  template <class Body>
  void for_each_chunk(const Body& body) {
    const double work = 50.0 * static_cast<double>(kPlane * d_);
    for_each_chunk_or_stop(static_cast<Index>(chunks_.size()), threads_, work,
                           [&](Index c, int thread) {
                             body(chunks_[c], partial_.data() + c * d_, workspaces_[thread]);
                           });
  }

  const double* mean_at(Index t) const { return result_.mean_path.data() + t * K_ * d_; }

  /// The mean over all types' agents after t stages.
  Vector overall_mean(Index t) const {
    Vector mean(d_, 1);
    for (Index k = 0; k < K_; ++k)
      mean += static_cast<double>(result_.type_sizes[k]) / static_cast<double>(total_) *
              View<kDynamic, 1>(mean_at(t) + k * d_, d_, 1);
    return mean;
  }

  void store_means(Index t) {
    sums_.begin();
    for (Index k = 0, first = 0; k < K_; ++k) {
      Index last = first;
      while (last < static_cast<Index>(chunks_.size()) && chunks_[last].type == k) ++last;
      sums_.add(partial_.data() + first * d_, last - first, d_);
      first = last;
    }
    sums_.exchange();
    for (Index j = 0; j < K_ * d_; ++j) {
      const double mean = sums_[j] / static_cast<double>(result_.type_sizes[j / d_]);
      if (!std::isfinite(mean))
        fail(std::max<Index>(t - 1, 0), "the agents' predictions overflowed");
      result_.mean_path[t * K_ * d_ + j] = mean;
    }
  }

  /// Checks that all processes simulate the same.
  void agree(const std::vector<double>& mean, const std::vector<double>& cov) {
    const auto all = [&](const char* name, const std::vector<double>& values) {
      sums_.agree(name, values.data(), static_cast<Index>(values.size()));
    };
    sums_.begin();
    const double kind[] = {limit_ ? 1.0 : 0.0, static_cast<double>(total_)};
    sums_.agree("mean_field, or n_agents,", kind, 2);
    const double seed[] = {static_cast<double>(seed_ >> 32),
                           static_cast<double>(seed_ & 0xffffffff)};
    sums_.agree("seed", seed, 2);
    all("mean", mean), all("cov", cov);
    for (const Policy& policy : policies_) all("policy", policy.gain), all("policy", policy.offset);
    sums_.exchange();
  }

  void start(const std::vector<double>& mean, const std::vector<double>& cov) {
    std::vector<double> roots(K_ * n_entries(d_) * kPlane);  // as planes of one agent per type
    for (Index k = 0; k < K_; ++k) {
      double* root = roots.data() + k * n_entries(d_) * kPlane;
      for (Index a = 0; a < d_; ++a)
        for (Index b = 0; b <= a; ++b) root[plane_of(a, b) * kPlane] = cov[(k * d_ + a) * d_ + b];
      factorise_planes(root, d_, 1);
    }
    for_each_chunk([&](Chunk chunk, double* sum, Workspace& room) {
      draw(chunk, kInitial, 0, room);
      const double* root = roots.data() + chunk.type * n_entries(d_) * kPlane;
      for (Index a = 0; a < d_; ++a) {
        double* y = state_.data() + a * N_ + chunk.here;
        std::fill_n(y, chunk.size, mean[chunk.type * d_ + a]);
        for (Index b = 0; b <= a; ++b)
          for (Index i = 0; i < chunk.size; ++i)
            y[i] += root[plane_of(a, b) * kPlane] * room.normals[b][i];
        sum[a] = ordered_sum(y, chunk.size);
      }
    });
    store_means(0);
  }

  void draw(Chunk chunk, Stream stream, Index t, Workspace& room) const {
    for (Index o = 0; o < d_; ++o)
      room.normals[o] =
          normals_.fill(chunk.first, chunk.size, stream, static_cast<std::uint64_t>(t),
                        static_cast<std::uint64_t>(o), room.draws + o * Workspace::kDraws);
  }

  void plan(Index k, Index t, const View<kDynamic, 1>& seen) {
    const Stage<kDynamic> stage(games_[k], t);
    const Policy& policy = policies_[k];
    const Rows gain(policy.gain_at(t));
    StagePlan& plan = plans_[k];
    Square cost = plan_tracking(k, t);
    Square control(stage.p, d_ + 1);
    control.block<kDynamic, kDynamic>(0, 0, stage.p, d_).set(gain);
    control.block<kDynamic, 1>(0, d_, stage.p, 1)
        .set(Rows(policy.mean_gain_at(t)) * seen + View<kDynamic, 1>(policy.offset_at(t)) +
             gain * plan.centre);
    cost += stage.effort * (transposed(control) * control);
    plan.cost = form(cost);

    Square move = stage.M * control;
    move.block<kDynamic, kDynamic>(0, 0, d_, d_) += stage.A;
    move.block<kDynamic, 1>(0, d_, d_, 1) +=
        stage.A * plan.centre + stage.f + stage.Abar * overall_mean(t);
    plan.move.assign(d_, Vector(d_ + 1, 1));
    for (Index a = 0; a < d_; ++a) {
      plan.move[a][0] = move(a, d_);
      for (Index b = 0; b < d_; ++b) plan.move[a][1 + b] = move(a, b);
    }

    plan.noise.resize(n_entries(d_));
    for (Index a = 0; a < d_; ++a)
      for (Index b = 0; b <= a; ++b) {
        Square weighted = control;
        for (Index c = 0; c < stage.p; ++c)
          for (Index j = 0; j <= d_; ++j) weighted(c, j) *= games_[k].feature_cov(t, c)(a, b);
        plan.noise[plane_of(a, b)] = form(transposed(control) * weighted);
      }
  }

  /// The tracking cost of stage t - 1's predictions: sets the centre to their aim and returns the
  /// cost of the distance to it as a form in (x, 1). Stage 0 has no such cost.
  Square plan_tracking(Index k, Index t) {
    Square cost(d_ + 1, d_ + 1);
    plans_[k].centre = Vector(d_, 1);
    if (t == 0) return cost;
    const Stage<kDynamic> judge(games_[k], t - 1);
    cost.block<kDynamic, kDynamic>(0, 0, d_, d_).set(judge.w * judge.Q);
    plans_[k].centre = judge.G * overall_mean(t) + judge.e;
    return cost;
  }

  void add_cost(Chunk chunk, Workspace& room) {
    const StagePlan& plan = plans_[chunk.type];
    expand(state_.data() + chunk.here, N_, plan.centre.data(), d_, chunk.size, room.terms);
    add_combination(plan.cost.data(), room.terms, monomials(d_), chunk.size,
                    result_.cost.data() + chunk.here);
  }

  void move(Chunk chunk, Index t, double* sum, Workspace& room) {
    const StagePlan& plan = plans_[chunk.type];
    add_cost(chunk, room);
    std::fill_n(room.noise, n_entries(d_) * kPlane, 0.0);
    for (Index entry = 0; entry < n_entries(d_); ++entry)
      add_combination(plan.noise[entry].data(), room.terms, monomials(d_), chunk.size,
                      room.noise + entry * kPlane);
    factorise_planes(room.noise, d_, chunk.size);
    draw(chunk, kFeatures, t, room);
    for (Index a = 0; a < d_; ++a) {
      double* next = state_.data() + a * N_ + chunk.here;  // the old state lives on in the terms
      std::fill_n(next, chunk.size, 0.0);
      add_combination(plan.move[a].data(), room.terms, d_, chunk.size, next);
      for (Index b = 0; b <= a; ++b)
        add_product(room.noise + plane_of(a, b) * kPlane, room.normals[b], chunk.size, next);
      sum[a] = ordered_sum(next, chunk.size);
    }
  }

  void summarise() {
    sums_.begin();
    sums_.add(partial_.data(), static_cast<Index>(chunks_.size()), d_);
    sums_.exchange();
    const double total = sums_[0];
    if (!std::isfinite(total)) fail(games_[0].horizon() - 1, "the agents' costs overflowed");
    const auto worst = std::max_element(result_.cost.begin(), result_.cost.end());
    result_.mean_cost = total / static_cast<double>(total_);
    result_.worst_cost = *worst;
    others_.max(&result_.worst_cost, 1);
    // the first of the agents with that cost, by the largest of the negative numbers
    const bool here = *worst == result_.worst_cost;
    double agent = -std::numeric_limits<double>::infinity();
    if (here) agent = -static_cast<double>(first_ + (worst - result_.cost.begin()));
    others_.max(&agent, 1);
    result_.worst_agent = -static_cast<Index>(agent);
  }

  const std::vector<Game>& games_;
  const std::vector<Policy>& policies_;
  const Index N_, total_, d_, K_;  // N: agents here
  const Index first_;
  const std::uint64_t seed_;
  const Normals normals_;
  const bool limit_;
  const int threads_;
  std::vector<Workspace> workspaces_;
  std::vector<StagePlan> plans_;
  std::vector<Chunk> chunks_;
  std::vector<double> state_;  // (d, N)
  std::vector<double> partial_;
  Exchange others_;
  SharedSums sums_;
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
  for (Index k = 0; k < K; ++k) require_moments("mean", part(mean, k), "cov", part(cov, k), d);
  detail::require_memory("a simulation with n_agents = " + std::to_string(settings.n_agents) +
                             ", n_outputs = " + std::to_string(d),
                         8.0 * static_cast<double>(settings.n_agents) * static_cast<double>(d + 1));
  validate(settings.shard, settings.n_agents);
  const Index total = settings.shard.total > 0 ? settings.shard.total : settings.n_agents;
  const std::vector<Index> sizes = apportion(total, shares);
  for (std::size_t k = 0; k < sizes.size(); ++k)
    if (sizes[k] < 1)
      throw std::invalid_argument("n_agents is " + std::to_string(total) + ", which leaves type " +
                                  std::to_string(k) +
                                  " without an agent; expected more agents or a larger share");
  return Rollout(games, policies, sizes, settings).run(mean, cov);
}

}  // namespace memoa
