#pragma once

#include <algorithm>
#include <cmath>
#include <variant>
#include <vector>

#include "detail/buffer.hpp"
#include "detail/kernels.hpp"
#include "detail/relative_game.hpp"
#include "detail/team.hpp"
#include "memoa/game.hpp"
#include "memoa/population.hpp"

namespace memoa {

/// All agents in blocks of lanes, and the passes of a step, or of a tile of steps, over them.
///
/// A block's numbers lie together in one record, so that a pass streams the records once. What was
/// learnt from a step is taken into them by the next pass (`unlearnt`), and costs likewise
/// (`uncharged`); whoever looks before that settles them first.
template <class Real>
struct BasicPopulation<Real>::State {
  PopulationSettings s;
  Index N, d, p, dx, padded, chunks;
  int n_threads;
  const detail::Kernels<Real>& kernels;
  std::vector<double> stage_weights;
  detail::Record record;
  detail::Buffer<Real> forgetting_rows, ridge_rows;  // of lanes, by phase
  detail::Types<Real> types;
  double leak = 0.0;

  detail::Buffer<Real> records;
  detail::Buffer<Real> forecast, energy, increment;   // (d, padded), (padded), (d, padded)
  detail::Buffer<Real> tile_forecast, tile_energy;    // the same of a tile's steps
  detail::Buffer<double> cost, cost_at_mark;          // (padded); the latter empty for zeros
  std::vector<detail::Buffer<std::byte>> work;        // per thread
  std::vector<double> partial, worst_partial;         // (chunks, steps, d + 1), (chunks, steps)
  std::vector<detail::Size> overflowed;               // (chunks, steps)
  std::vector<double> base, shown_base, mean_field;   // shown_base: that of the last predictions
  std::vector<double> means;                          // (steps, d + 1): of forecasts and energies
  std::vector<double> sums;                           // (d + 1)
  std::vector<Real> shown_x, learnt_x, change, pull;  // (dx), (dx), (d), (steps, d)
  std::vector<Real> tile_x, tile_change;              // (steps, dx), (steps + 1, d)
  std::vector<detail::RelativeStage> games;           // (steps), and how agents respond in them
  std::vector<detail::Response<Real>> responses;
  std::vector<double> tile_mean;       // (steps, d): mean increments
  Standardiser standardiser, counted;  // learnt; with the pending input counted
  std::vector<double> standardised;
  Index steps = 0, has_seen = 0;
  Overflow last_overflow;
  bool pending = false, unlearnt = false, uncharged = false;

  explicit State(PopulationSettings settings)
      : s(std::move(settings)),
        N(s.n_agents),
        d(s.n_outputs),
        p(n_features(s.encoder)),
        dx(std::holds_alternative<Precomputed>(s.encoder) ? 0 : s.n_inputs),
        padded((N + 2 * kLanes - 1) / (2 * kLanes) * 2 * kLanes),
        chunks((N + detail::kChunkAgents - 1) / detail::kChunkAgents),
        n_threads(detail::resolve_threads(s.n_threads)),
        kernels(detail::kernels<Real>()),
        stage_weights(discount_weights(s.discount, s.horizon)),
        record(layout()),
        records(padded / kLanes * record.rows * kLanes),
        forecast(d * padded),
        energy(padded),
        increment(d * padded),
        cost(padded),
        standardiser(dx),
        counted(dx),
        standardised(static_cast<std::size_t>(dx)) {
    if (const auto* echo = std::get_if<EchoState>(&s.encoder)) leak = echo->leak;
    forgetting_rows = by_type(s.forgetting), ridge_rows = by_type(s.ridge);
    types = {forgetting_rows.data(), ridge_rows.data(), ridge_rows.size() / kLanes};
    for (int thread = 0; thread < n_threads; ++thread) work.emplace_back(kernels.work_size(record));
    const auto resize = [](auto& values, Index size) {
      values.resize(static_cast<std::size_t>(size));
    };
    resize(partial, chunks * detail::kTile * (d + 1));
    resize(worst_partial, chunks * detail::kTile);
    resize(overflowed, chunks * detail::kTile);
    for (auto* v : {&base, &shown_base, &mean_field}) resize(*v, d);
    resize(means, detail::kTile * (d + 1));
    resize(sums, d + 1);
    for (auto* v : {&shown_x, &learnt_x}) resize(*v, dx);
    resize(change, d);
    resize(pull, detail::kTile * d);
    resize(tile_x, detail::kTile * dx);
    resize(tile_change, (detail::kTile + 1) * d);
    resize(games, detail::kTile);
    resize(responses, detail::kTile);
    resize(tile_mean, detail::kTile * d);
    draw();
  }

  /// Finite, and of a size to be squared where they are standardised; without a heap.
  void require_input(const double* x) const {
    if (dx > 0)
      require_moderate("x", x, {dx}, kLargest<double>);
    else
      require_finite("x", x, {N, p});
  }
  void require_inputs(const double* inputs, Index n) const {
    if (dx > 0)
      require_moderate("X", inputs, {n, dx}, kLargest<double>);
    else
      require_finite("X", inputs, {n, N, p});
  }

  // ------------------------------------------------------------------ layout

  static constexpr Index kLanes = detail::kLanes<Real>;

  detail::Record layout() const {
    detail::Record r{};
    r.p = p, r.d = d, r.dx = dx;
    r.features = detail::Features::given;
    if (const auto* e = std::get_if<RandomFeatures>(&s.encoder))
      r.features = e->activation == Activation::relu   ? detail::Features::relu
                   : e->activation == Activation::tanh ? detail::Features::tanh
                                                       : detail::Features::cos;
    const bool echo = std::holds_alternative<EchoState>(s.encoder);
    if (echo) r.features = detail::Features::echo;
    const auto place = [&](Index& first, Index rows) { first = r.rows, r.rows += rows; };
    place(r.gram, detail::packed_size(p));
    place(r.cross, d * p);
    place(r.input, p * dx);
    place(r.bias, dx > 0 ? p : 0);
    place(r.recurrent, echo ? p * p : 0);
    place(r.reservoir, echo ? p : 0);
    place(r.pending, echo || dx == 0 ? p : 0);
    return r;
  }

  /// The values of the types, one row of lanes for each phase of the blocks.
  detail::Buffer<Real> by_type(const std::vector<double>& values) const {
    const auto n_types = static_cast<Index>(std::max(s.forgetting.size(), s.ridge.size()));
    const auto n_values = static_cast<Index>(values.size());
    detail::Buffer<Real> rows(n_types * kLanes);
    for (Index agent = 0; agent < rows.size(); ++agent)
      rows.data()[agent] = static_cast<Real>(values[agent % n_types % n_values]);
    return rows;
  }

  /// Number `row` of an agent's record.
  Real& at(Index row, Index agent) const {
    return records.data()[(agent / kLanes * record.rows + row) * kLanes + agent % kLanes];
  }

  /// body(first agent, last agent) of a chunk; the last chunk ends with the padding.
  template <class Body>
  void of_chunk(Index chunk, const Body& body) const {
    const Index first = chunk * detail::kChunkAgents;
    body(first, std::min(first + detail::kChunkAgents, padded));
  }

  /// Body(worker) on as many threads as `work` per agent can feed.
  template <class Body>
  void on_threads(double work_per_agent, const Body& body) const {
    detail::in_parallel(detail::threads_for(n_threads, work_per_agent * static_cast<double>(N)),
                        body);
  }
  double step_work() const { return static_cast<double>(p * (p * p / 3 + 2 * p + dx)); }

  /// Clears all state and draws the encoders' weights: each thread is the first to touch its part.
  void draw() {
    const bool echo = record.features == detail::Features::echo;
    const auto* random = std::get_if<RandomFeatures>(&s.encoder);
    const double norm =
        record.features == detail::Features::relu ? std::sqrt(2.0 / static_cast<double>(p)) : 1.0;
    const double scale = norm * (random ? random->scale : 1.0);
    const double per_agent = static_cast<double>(p * dx + (echo ? 10 * p * p * p : 0)) * 50.0 + 100;
    on_threads(per_agent, [&](const detail::Worker& worker) {
      worker.chunks(chunks, [&](Index chunk) {
        of_chunk(chunk, [&](Index first, Index last) {
          std::fill(&at(0, first), &at(0, first) + (last - first) * record.rows, Real(0));
          for (Index o = 0; o < d; ++o)
            for (auto* values : {&forecast, &increment})
              std::fill(values->data() + o * padded + first, values->data() + o * padded + last,
                        Real(0));
          std::fill(energy.data() + first, energy.data() + last, Real(0));
          std::fill(cost.data() + first, cost.data() + last, 0.0);
          for (Index agent = first; dx > 0 && agent < std::min(last, N); ++agent) {
            const EncoderWeights drawn =
                draw_weights(s.encoder, s.seed, static_cast<std::uint64_t>(agent), dx);
            scatter(drawn.input, scale, record.input, agent);
            scatter(drawn.bias, norm, record.bias, agent);
            scatter(drawn.reservoir, 1.0, record.recurrent, agent);
          }
        });
      });
    });
  }
  void scatter(const std::vector<double>& values, double scale, Index row, Index agent) {
    for (const double value : values) at(row++, agent) = static_cast<Real>(scale * value);
  }

  bool has_reservoir() const { return record.features == detail::Features::echo; }

  /// `size` rows from `row` on, of every agent: (N, size).
  std::vector<double> gather(Index row, Index size) const {
    std::vector<double> values(static_cast<std::size_t>(N * size));
    for (Index agent = 0; agent < N; ++agent)
      for (Index k = 0; k < size; ++k) values[agent * size + k] = at(row + k, agent);
    return values;
  }
  void spread(const std::vector<double>& values, Index row) {
    const Index size = static_cast<Index>(values.size()) / N;
    for (Index agent = 0; agent < N; ++agent)
      for (Index k = 0; k < size; ++k)
        at(row + k, agent) = static_cast<Real>(values[agent * size + k]);
  }

  std::size_t bytes() const {
    const auto of = [](const auto& buffer) {
      return static_cast<std::size_t>(buffer.size()) * sizeof(*buffer.data());
    };
    const auto scratch = partial.size() * sizeof(double) + worst_partial.size() * sizeof(double) +
                         overflowed.size() * sizeof(detail::Size);
    return of(records) + of(forecast) + of(energy) + of(increment) + of(tile_forecast) +
           of(tile_energy) + of(cost) + of(cost_at_mark) + scratch;
  }

  // ------------------------------------------------------------------ passes over the agents

  /// Steps in a row that pass through the agents together.
  struct Window {
    Index steps;
    const Real* x;                        // (steps, dx), standardised
    const Real* change;                   // (steps, d): what is learnt before each step
    const double* given;                  // (steps, N, p)
    Real *forecast, *energy, *increment;  // (steps, d, padded), (steps, padded), as forecast
    const Real* next;  // (steps, d): what comes after each step, or null if not known yet
    bool want_worst;
    bool glance = false;
  };

  void charge(Index first, Index last) {
    kernels.charge(increment.data(), padded, change.data(), d, cost.data(), first, last);
  }

  /// Theory section 6, steps 1 and 2, for the chunk's agents.
  void forecast_chunk(const Window& w, Index chunk, int thread) {
    const Index width = w.steps * (d + 1);
    detail::Advance<Real> pass;
    pass.record = &record;
    pass.records = records.data();
    pass.n_agents = N;
    pass.types = types;
    pass.norm = std::sqrt(2.0 / static_cast<double>(p));
    pass.leak = leak;
    pass.steps = w.steps;
    pass.learn_first = unlearnt;
    pass.keep_last = !w.glance;
    pass.learn_x = learnt_x.data();
    pass.change = w.change;
    pass.x = w.x;
    pass.given = w.given;
    pass.forecast = w.forecast;
    pass.energy = w.energy;
    pass.padded = padded;
    pass.forecast_stride = d * padded;
    pass.energy_stride = padded;
    pass.sums = partial.data() + chunk * width;
    pass.bad = overflowed.data() + chunk * w.steps;
    pass.work = work[thread].data();
    of_chunk(chunk, [&](Index first, Index last) {
      if (uncharged) charge(first, last);
      kernels.advance(pass, first, last);
    });
  }

  /// Adds the chunks' partial sums of a step in order: the same bits for any number of threads.
  void add_partials(Index window_steps, Index step) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (Index chunk = 0; chunk < chunks; ++chunk)
      for (Index j = 0; j <= d; ++j)
        sums[j] += partial[(chunk * window_steps + step) * (d + 1) + j];
  }

  /// Theory (6.1) from the means of the forecasts and of |z|^2, for every step.
  void find_responses(const Window& w) {
    const double count = static_cast<double>(N);
    for (Index step = 0; step < w.steps; ++step) {
      add_partials(w.steps, step);
      for (Index j = 0; j <= d; ++j) means[step * (d + 1) + j] = sums[j] / count;
      games[step] = detail::relative_game(sums[d] / count, stage_weights, s.consensus, s.effort);
      const detail::RelativeStage& g = games[step];
      responses[step] = {d,
                         padded,
                         static_cast<Real>(g.K),
                         static_cast<Real>(g.w * s.effort),
                         static_cast<Real>(g.ko),
                         pull.data() + step * d};
    }
  }

  /// The mean field of theory (6.2) from the sums of F c and F, for every step.
  void find_mean_fields(const Window& w) {
    const double count = static_cast<double>(N);
    for (Index step = 0; step < w.steps; ++step) {
      const detail::RelativeStage& g = games[step];
      add_partials(w.steps, step);
      const double mean_f = sums[d] / count;
      for (Index o = 0; o < d; ++o) {
        const double cbar = means[step * (d + 1) + o];
        const double m = -(g.ko * (sums[o] / count) + g.km * cbar * mean_f) / (1.0 + g.L * mean_f);
        tile_mean[step * d + o] = m;
        pull[step * d + o] = static_cast<Real>(g.L * m + g.km * cbar);
      }
    }
  }

  /// Increments of the chunk's agents by (6.2), and their costs where the outcomes are known.
  void act_chunk(const Window& w, Index chunk) {
    const bool greedy = s.policy == PolicyKind::greedy;
    of_chunk(chunk, [&](Index first, Index last) {
      for (Index step = 0; step < w.steps; ++step) {
        const Real* c = w.forecast + step * d * padded;
        Real* out = w.increment + step * d * padded;
        if (!greedy)
          kernels.act(responses[step], c, w.energy + step * padded, out, first, last);
        else if (out != c)
          for (Index o = 0; o < d; ++o)
            std::copy(c + o * padded + first, c + o * padded + last, out + o * padded + first);
        if (w.next == nullptr) continue;
        kernels.charge(out, padded, w.next + step * d, d, cost.data(), first, last);
        if (w.want_worst)
          worst_partial[chunk * w.steps + step] =
              kernels.worst(cost.data(), cost_at_mark.data(), first, std::min(last, N));
        if (step + 1 < w.steps || out == increment.data()) continue;
        for (Index o = 0; o < d; ++o)
          std::copy(out + o * padded + first, out + o * padded + last,
                    increment.data() + o * padded + first);
        std::copy(w.energy + step * padded + first, w.energy + step * padded + last,
                  energy.data() + first);
      }
    });
  }

  /// Steps 1 to 4 for all steps of the window, in one parallel region.
  void pass(const Window& w) {
    const bool greedy = s.policy == PolicyKind::greedy;
    on_threads(step_work() * static_cast<double>(w.steps), [&](const detail::Worker& worker) {
      worker.chunks(chunks, [&](Index chunk) { forecast_chunk(w, chunk, worker.thread); });
      worker.alone([&] { find_responses(w); });
      if (greedy) {
        worker.alone([&] {
          for (Index step = 0; step < w.steps; ++step)
            std::copy_n(&means[step * (d + 1)], d, &tile_mean[step * d]);
        });
      } else {
        worker.chunks(chunks, [&](Index chunk) {
          of_chunk(chunk, [&](Index first, Index last) {
            for (Index step = 0; step < w.steps; ++step)
              kernels.respond(responses[step], w.forecast + step * d * padded,
                              w.energy + step * padded, first, last,
                              partial.data() + (chunk * w.steps + step) * (d + 1));
          });
        });
        worker.alone([&] { find_mean_fields(w); });
      }
      worker.chunks(chunks, [&](Index chunk) { act_chunk(w, chunk); });
    });
    unlearnt = uncharged = false;
    if (w.glance) return;
    for (Index step = 0; step < w.steps; ++step)
      for (Index chunk = 0; chunk < chunks; ++chunk)
        if (overflowed[chunk * w.steps + step] < N) {
          last_overflow = {steps + step, overflowed[chunk * w.steps + step]};
          break;
        }
  }

  // ------------------------------------------------------------------ one step

  void standardise(const double* x, Real* out) {
    counted = standardiser;
    counted.count(x);
    counted.apply(x, standardised.data());
    std::transform(standardised.begin(), standardised.end(), out,
                   [](double v) { return static_cast<Real>(v); });
  }

  /// Before any y was seen nothing is known.
  void predict_nothing() {
    std::fill_n(increment.data(), d * padded, Real(0));
    for (auto* v : {&base, &shown_base, &mean_field}) std::fill(v->begin(), v->end(), 0.0);
    pending = true;
  }
  void observe(const double* y) {
    std::copy_n(y, d, base.begin());
    has_seen = 1;
    pending = false;
  }

  /// The increments (d, padded) for x, which is not to be learnt.
  const Real* glance(const double* x) {
    reserve(1);
    if (dx > 0) {
      const Standardiser kept = counted;
      standardise(x, tile_x.data());
      counted = kept;
    }
    Window w{1,
             tile_x.data(),
             change.data(),
             x,
             tile_forecast.data(),
             tile_energy.data(),
             tile_forecast.data(),
             nullptr,
             false};
    w.glance = true;
    pass(w);
    return tile_forecast.data();
  }

  void predict(const double* x) {
    if (!has_seen) return predict_nothing();
    shown_base = base;
    if (dx > 0) standardise(x, shown_x.data());
    pass({1, shown_x.data(), change.data(), x, forecast.data(), energy.data(), increment.data(),
          nullptr, false});
    for (Index o = 0; o < d; ++o) mean_field[o] = base[o] + tile_mean[o];
    pending = true;
  }

  void learn(const double* y) {
    if (!has_seen) return observe(y);
    for (Index o = 0; o < d; ++o) change[o] = static_cast<Real>(y[o] - base[o]);
    learnt_x = shown_x;
    unlearnt = uncharged = true;
    standardiser = counted;
    std::copy(y, y + d, base.begin());
    ++steps;
    pending = false;
  }

  /// Everything that was learnt is in the records, and in the costs.
  void settle() {
    if (uncharged) charge_all();
    if (!unlearnt) return;
    Window w{0, nullptr, change.data(), nullptr, nullptr, nullptr, nullptr, nullptr, false};
    on_threads(step_work(), [&](const detail::Worker& worker) {
      worker.chunks(chunks, [&](Index chunk) { forecast_chunk(w, chunk, worker.thread); });
    });
    unlearnt = false;
  }
  void charge_all() {
    on_threads(10.0, [&](const detail::Worker& worker) {
      worker.chunks(chunks, [&](Index chunk) {
        of_chunk(chunk, [&](Index first, Index last) { charge(first, last); });
      });
    });
    uncharged = false;
  }

  // ------------------------------------------------------------------ a tile of steps

  void reserve(Index n) {
    if (tile_energy.size() >= n * padded) return;
    tile_forecast = detail::Buffer<Real>(n * d * padded);
    tile_energy = detail::Buffer<Real>(n * padded);
  }

  /// Predicts and learns n steps at once. Increments of step t begin t d strides after the result.
  const Real* tile(const double* inputs, Index width, const double* targets, Index n,
                   bool want_worst) {
    if (n > 1) reserve(n);
    std::copy(change.begin(), change.end(), tile_change.begin());
    for (Index t = 0; t < n; ++t) {
      if (dx > 0) {
        standardise(inputs + t * width, tile_x.data() + t * dx);
        standardiser = counted;
      }
      const double* before = t == 0 ? base.data() : targets + (t - 1) * d;
      for (Index o = 0; o < d; ++o)
        tile_change[(t + 1) * d + o] = static_cast<Real>(targets[t * d + o] - before[o]);
    }
    Real* shown = n > 1 ? tile_forecast.data() : increment.data();
    pass({n, tile_x.data(), tile_change.data(), inputs, n > 1 ? shown : forecast.data(),
          n > 1 ? tile_energy.data() : energy.data(), shown, tile_change.data() + d, want_worst});
    std::copy_n(tile_change.data() + n * d, d, change.begin());
    std::copy_n(tile_x.data() + (n - 1) * dx, dx, learnt_x.begin());
    shown_x = learnt_x;
    const double* last = n > 1 ? targets + (n - 2) * d : base.data();
    std::copy(last, last + d, shown_base.begin());
    for (Index o = 0; o < d; ++o) mean_field[o] = shown_base[o] + tile_mean[(n - 1) * d + o];
    std::copy_n(targets + (n - 1) * d, d, base.begin());
    unlearnt = true;
    pending = false;
    steps += n;
    return shown;
  }

  double worst_of_tile(Index n, Index step) const {
    double worst = 0.0;
    for (Index chunk = 0; chunk < chunks; ++chunk)
      worst = std::max(worst, worst_partial[chunk * n + step]);
    return worst;
  }
};

}  // namespace memoa
