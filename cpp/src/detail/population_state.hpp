#pragma once

#include <algorithm>
#include <cmath>
#include <variant>
#include <vector>

#include "detail/lanes.hpp"
#include "detail/parallel.hpp"
#include "memoa/game.hpp"
#include "memoa/population.hpp"

namespace memoa {
namespace detail {

constexpr Index kChunkBlocks = 64;  // 512 agents: the unit of every reduction, whatever the threads

/// First stage of the scalar game relative to the base, theory (6.1).
struct RelativeStage {
  double K, L, ko, km, w;
};

inline RelativeStage relative_game(double nu, const std::vector<double>& weights, double consensus,
                                   double effort) {
  double l1 = 0.0, l2 = 0.0, so = 0.0, sm = 0.0;
  RelativeStage stage{};
  for (auto weight = weights.rbegin(); weight != weights.rend(); ++weight) {
    const double w = *weight;
    stage = {l1 + w * (1.0 + consensus), l2 - w * consensus, so - w, sm, w};
    // no energy, no response, also where a discount has left no price of effort
    const double F = nu > 0.0 ? nu / (stage.K * nu + w * effort) : 0.0, W = 1.0 - stage.K * F;
    const double joint = 1.0 + F * stage.L;
    const double map = W / joint, shift = -F * (stage.ko + stage.km) / joint;
    l1 = W * stage.K;
    l2 = W * stage.L * map;
    so = W * stage.ko;
    sm = W * (stage.L * shift + stage.km);
  }
  return stage;
}

}  // namespace detail

/// All agents in blocks of eight lanes, and the passes of one step over them.
struct Population::State {
  static constexpr Index kLanes = detail::kLanes;
  using Lanes = detail::Lanes;

  PopulationSettings s;
  Index N, d, p, dx, blocks, chunks, padded;
  int n_threads;
  std::vector<double> stage_weights;
  std::vector<Lanes> ridge, forgetting;  // by_type

  // per block of agents, lanes innermost
  std::vector<Lanes> input, bias, recurrent;         // V (p, dx), v (p), W (p, p)
  std::vector<Lanes> reservoir;                      // r (p)
  std::vector<Lanes> gram, cross;                    // packed H, q as (d, p)
  std::vector<Lanes> features, energy;               // z (p) and |z|^2 of the pending step
  std::vector<double> forecast, increment;           // (d, padded): c^i, and yhat^i - base
  std::vector<double> cost, cost_at_mark;            // (padded)
  std::vector<std::vector<Lanes>> workspace;         // per thread: factor and solution
  std::vector<double> base, shown_base, mean_field;  // shown_base: that of the last predictions
  std::vector<double> partial, sums, change;
  Standardiser standardiser, counted;  // learnt; with the pending input counted
  std::vector<double> standardised;
  double worst_cost = 0.0;
  Index steps = 0;
  bool pending = false;

  explicit State(PopulationSettings settings) : s(std::move(settings)) {
    N = s.n_agents;
    d = s.n_outputs;
    p = n_features(s.encoder);
    dx = std::holds_alternative<Precomputed>(s.encoder) ? 0 : s.n_inputs;
    blocks = (N + kLanes - 1) / kLanes;
    chunks = (blocks + detail::kChunkBlocks - 1) / detail::kChunkBlocks;
    padded = blocks * kLanes;
    n_threads = detail::resolve_threads(s.n_threads);
    stage_weights = discount_weights(s.discount, s.horizon);
    ridge = detail::by_type(s.ridge);
    forgetting = detail::by_type(s.forgetting);
    gram.assign(blocks * detail::packed_size(p), Lanes::Zero());
    cross.assign(blocks * d * p, Lanes::Zero());
    features.assign(blocks * p, Lanes::Zero());
    energy.assign(blocks, Lanes::Zero());
    forecast.assign(d * padded, 0.0);
    increment.assign(d * padded, 0.0);
    cost.assign(padded, 0.0);
    cost_at_mark.assign(padded, 0.0);
    workspace.assign(n_threads, std::vector<Lanes>(detail::packed_size(p) + p));
    partial.assign(chunks * (2 * d + 2), 0.0);
    for (auto* v : {&base, &shown_base, &mean_field, &change}) v->assign(d, 0.0);
    sums.assign(2 * d + 2, 0.0);
    standardised.assign(dx, 0.0);
    standardiser = counted = Standardiser(dx);
    draw();
  }

  /// Chunks of blocks in parallel; `work` is per agent.
  template <class Body>
  void for_each_chunk(double work, const Body& body) const {
    const int threads = detail::threads_for(n_threads, work * static_cast<double>(N));
    detail::for_each_chunk(chunks, threads, [&](Index chunk, int thread) {
      const Index first = chunk * detail::kChunkBlocks;
      body(chunk, first, std::min(first + detail::kChunkBlocks, blocks), thread);
    });
  }

  /// Adds the chunks' partial sums in order: the same bits for any number of threads.
  void add_partials(Index width) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (Index chunk = 0; chunk < chunks; ++chunk)
      for (Index j = 0; j < width; ++j) sums[j] += partial[chunk * width + j];
  }

  void draw() {
    if (dx == 0) return;
    const bool echo = std::holds_alternative<EchoState>(s.encoder);
    input.assign(blocks * p * dx, Lanes::Zero());
    bias.assign(blocks * p, Lanes::Zero());
    if (echo) {
      recurrent.assign(blocks * p * p, Lanes::Zero());
      reservoir.assign(blocks * p, Lanes::Zero());
    }
    const double work = static_cast<double>(p * dx + (echo ? 10 * p * p * p : 0)) * 50.0;
    for_each_chunk(work, [&](Index, Index first, Index last, int) {
      for (Index agent = first * kLanes; agent < std::min(last * kLanes, N); ++agent) {
        const EncoderWeights drawn =
            draw_weights(s.encoder, s.seed, static_cast<std::uint64_t>(agent), dx);
        scatter(drawn.input, agent, input);
        scatter(drawn.bias, agent, bias);
        scatter(drawn.reservoir, agent, recurrent);
      }
    });
  }

  static void scatter(const std::vector<double>& values, Index agent, std::vector<Lanes>& to) {
    const auto size = static_cast<Index>(values.size());
    for (Index k = 0; k < size; ++k) to[(agent / kLanes) * size + k][agent % kLanes] = values[k];
  }

  // ------------------------------------------------------------------ steps 1 and 2

  void encode(Index block, const double* x) {
    Lanes* z = features.data() + block * p;
    const double norm = std::sqrt(2.0 / static_cast<double>(p));
    const Lanes* V = input.data() + block * p * dx;
    const Lanes* v = bias.data() + block * p;
    if (const auto* e = std::get_if<RandomFeatures>(&s.encoder)) {
      for (Index k = 0; k < p; ++k) {
        z[k] = detail::pre_activation(V, v, x, dx, e->scale, k);
        detail::activate(e->activation, z[k]);
        z[k] *= norm;
      }
    } else if (const auto* echo = std::get_if<EchoState>(&s.encoder)) {
      const Lanes* r = reservoir.data() + block * p;
      const Lanes* W = recurrent.data() + block * p * p;
      for (Index k = 0; k < p; ++k) {
        Lanes a = detail::pre_activation(V, v, x, dx, 1.0, k) + detail::dot(W + k * p, r, p);
        detail::activate(Activation::tanh, a);
        z[k] = norm * ((1.0 - echo->leak) * r[k] + echo->leak * a);
      }
    } else {
      const Index agents = std::min(kLanes, N - block * kLanes);
      for (Index l = 0; l < agents; ++l)
        for (Index k = 0; k < p; ++k) z[k][l] = x[(block * kLanes + l) * p + k];
    }
    guard(block);
  }

  /// Lanes beyond the last agent, and agents whose features are so large that a sum over agents or
  /// steps would overflow, encode nothing at this step: they repeat the base, and no sum sees them.
  void guard(Index block) {
    constexpr double kLargestEnergy = 1e150;
    Lanes* z = features.data() + block * p;
    const Lanes sum = detail::dot(z, z, p);
    const Index agents = N - block * kLanes;
    if (agents >= kLanes && (sum <= kLargestEnergy).all()) {
      energy[block] = sum;
      return;
    }
    for (Index l = 0; l < kLanes; ++l) {
      const bool keep = l < agents && sum[l] <= kLargestEnergy;
      energy[block][l] = keep ? sum[l] : 0.0;
      if (!keep)
        for (Index k = 0; k < p; ++k) z[k][l] = 0.0;
    }
  }

  /// c^i = q' (H + ridge I)^-1 z, for all outputs by one solve.
  void forecast_block(Index block, std::vector<Lanes>& work) {
    Lanes* factor = work.data();
    Lanes* solution = factor + detail::packed_size(p);
    detail::factorise(gram.data() + block * detail::packed_size(p), detail::of_block(ridge, block),
                      p, factor);
    detail::solve(factor, features.data() + block * p, p, solution);
    for (Index o = 0; o < d; ++o) {
      const Lanes c = detail::dot(cross.data() + (block * d + o) * p, solution, p);
      at(forecast, block, o) = c.isFinite().select(c, Lanes::Zero());
    }
  }

  Eigen::Map<Lanes> at(std::vector<double>& values, Index block, Index o) const {
    return Eigen::Map<Lanes>(values.data() + o * padded + block * kLanes);
  }

  double step_work() const { return static_cast<double>(p * (p * p / 3 + 2 * p + dx)); }

  // ------------------------------------------------------------------ steps 3 and 4

  /// Local forecasts of all agents and the first reduction: nu and cbar, as sums.
  void forecast_all(const double* x) {
    const Index width = d + 1;
    for_each_chunk(step_work(), [&](Index chunk, Index first, Index last, int thread) {
      double* out = partial.data() + chunk * width;
      for (Index j = 0; j < width; ++j) out[j] = 0.0;
      for (Index block = first; block < last; ++block) {
        encode(block, x);
        forecast_block(block, workspace[thread]);
        out[d] += energy[block].sum();
        for (Index o = 0; o < d; ++o) out[o] += at(forecast, block, o).sum();
      }
    });
    add_partials(width);
  }

  /// The policy (6.2) from the sums of forecast_all.
  void act() {
    const double count = static_cast<double>(N);
    const detail::RelativeStage g =
        detail::relative_game(sums[d] / count, stage_weights, s.consensus, s.effort);
    const std::vector<double>& cbar = change;  // borrowed until learn() writes it
    for (Index o = 0; o < d; ++o) change[o] = sums[o] / count;
    const auto response = [&](Index block) -> Lanes {  // F_i
      const Lanes& e = energy[block];
      return (e > 0.0).select(e / (g.K * e + g.w * s.effort), Lanes::Zero());
    };

    const Index width = d + 1;  // avg F_i c^i and avg F_i
    for_each_chunk(8.0, [&](Index chunk, Index first, Index last, int) {
      double* out = partial.data() + chunk * width;
      for (Index j = 0; j < width; ++j) out[j] = 0.0;
      for (Index block = first; block < last; ++block) {
        const Lanes F = response(block);
        out[d] += F.sum();
        for (Index o = 0; o < d; ++o) out[o] += (F * at(forecast, block, o)).sum();
      }
    });
    add_partials(width);

    const double mean_f = sums[d] / count;
    for (Index o = 0; o < d; ++o)
      mean_field[o] = -(g.ko * (sums[o] / count) + g.km * cbar[o] * mean_f) / (1.0 + g.L * mean_f);
    for_each_chunk(8.0, [&](Index, Index first, Index last, int) {
      for (Index block = first; block < last; ++block) {
        const Lanes F = response(block);
        for (Index o = 0; o < d; ++o)
          at(increment, block, o) =
              -F * (g.L * mean_field[o] + g.km * cbar[o] + g.ko * at(forecast, block, o));
      }
    });
  }

  void predict(const double* x) {
    shown_base = base;
    if (dx > 0) {
      counted = standardiser;
      counted.count(x);
      counted.apply(x, standardised.data());
      x = standardised.data();
    }
    forecast_all(x);
    if (s.policy == PolicyKind::memoa) {
      act();
    } else {
      for (Index o = 0; o < d; ++o) mean_field[o] = sums[o] / static_cast<double>(N);
      std::copy(forecast.begin(), forecast.end(), increment.begin());
    }
    for (Index o = 0; o < d; ++o) mean_field[o] += base[o];
    pending = true;
  }

  // ------------------------------------------------------------------ learning

  void learn(const double* y) {
    for (Index o = 0; o < d; ++o) change[o] = y[o] - base[o];
    const double unscale = 1.0 / std::sqrt(2.0 / static_cast<double>(p));
    for_each_chunk(static_cast<double>(p * (p + d)), [&](Index chunk, Index first, Index last,
                                                         int) {
      double worst = 0.0;
      for (Index block = first; block < last; ++block) {
        const Lanes* z = features.data() + block * p;
        detail::learn(detail::of_block(forgetting, block), z, change.data(), p, d,
                      gram.data() + block * detail::packed_size(p), cross.data() + block * d * p);
        if (!reservoir.empty())
          for (Index k = 0; k < p; ++k) reservoir[block * p + k] = z[k] * unscale;
        auto total = at(cost, block, 0);
        for (Index o = 0; o < d; ++o) total += (change[o] - at(increment, block, o)).square();
        const Index agents = std::min(kLanes, N - block * kLanes);
        const Lanes since = total - at(cost_at_mark, block, 0);
        worst = std::max(worst, since.head(agents).maxCoeff());
      }
      partial[chunk] = worst;
    });
    worst_cost = *std::max_element(partial.begin(), partial.begin() + chunks);
    standardiser = counted;
    std::copy(y, y + d, base.begin());
    ++steps;
    pending = false;
  }
};

}  // namespace memoa
