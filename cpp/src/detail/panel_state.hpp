#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <variant>
#include <vector>

#include "detail/buffer.hpp"
#include "detail/encoding.hpp"
#include "detail/memory.hpp"
#include "detail/panel_crowd.hpp"
#include "detail/panel_guard.hpp"
#include "detail/panel_kernels.hpp"
#include "detail/panel_waiting.hpp"
#include "detail/team.hpp"
#include "detail/validate.hpp"
#include "memoa/panel.hpp"

namespace memoa {

/// All clients in blocks of lanes, and the passes of a step over them.
///
/// All numbers of a block are in one record, so that a pass reads the records once. The pass of the
/// next step adds to them what was learnt from this one (`unlearnt`).
template <class Real>
struct BasicPanel<Real>::State {
  PanelSettings s;
  Index N, d, dx, p, width, padded, chunks;  // width: numbers in a client's input
  int n_threads;
  const detail::PanelKernels<Real>& kernels;
  detail::ClientRecord record;
  std::vector<Real> weights, bias;  // of random features
  Real fixed;                       // consensus weight if it is not learned

  detail::Buffer<Real> records;
  detail::Buffer<Real> readout;                  // (d p, padded)
  detail::Buffer<Real> forecast, scale, change;  // (d, padded)
  detail::Buffer<Real> agree_a, agree_b, present, moved;
  detail::Buffer<Real> mark;                    // (padded)
  detail::Buffer<double> base;                  // (d, padded), NaN where no value was seen
  detail::Buffer<double> cost, scored;          // (padded)
  detail::Buffer<Real> asleep, held;            // (padded), (d p, padded); empty: none sleeps
  std::vector<detail::Buffer<std::byte>> work;  // per thread
  mutable detail::Exchange others;
  detail::PanelCrowd<Real> crowd;
  detail::PanelGuard<Real> guard;
  detail::PanelWaiting<Real> waiting;
  detail::Buffer<Real> aside;  // (d p, padded) with a delay: readouts that are not used
  Index steps = 0;
  bool pending = false, unlearnt = false, any_asleep = false;

  explicit State(PanelSettings settings)
      : s(std::move(settings)),
        N(s.n_clients),
        d(s.n_outputs),
        dx(std::holds_alternative<Precomputed>(s.encoder) ? 0 : s.n_inputs),
        p(n_features(s.encoder, s.n_inputs)),
        width(dx > 0 ? dx : p),
        padded((N + 2 * kLanes - 1) / (2 * kLanes) * 2 * kLanes),
        chunks((N + detail::kChunkAgents - 1) / detail::kChunkAgents),
        n_threads(detail::resolve_threads(s.n_threads)),
        kernels(detail::panel_kernels<Real>()),
        record(layout()),
        fixed(static_cast<Real>(s.consensus / (1.0 + s.consensus))),
        records(padded / kLanes * record.rows * kLanes),
        readout(d * p * padded),
        mark(padded),
        base(d * padded),
        cost(padded),
        scored(padded),
        others(s.shard),
        crowd(s, kernels, p, padded, n_threads, others),
        guard(N, d, width, dx == 0),
        waiting(s, p, width, padded),
        aside(is_late() ? d * p * padded : 0) {
    for (auto* rows : of_outputs()) *rows = detail::Buffer<Real>(d * padded);
    for (int thread = 0; thread < n_threads; ++thread) work.emplace_back(kernels.work_size(record));
    if (const auto* random = std::get_if<RandomFeatures>(&s.encoder)) {
      const EncoderWeights drawn = draw_weights(*random, s.seed, 0, dx);
      const detail::WeightScale by = detail::weight_scale(detail::features_of(s.encoder), norm());
      for (const double v : drawn.input)
        weights.push_back(static_cast<Real>(v * (by.factor * random->scale)));
      for (const double v : drawn.bias) bias.push_back(static_cast<Real>(by.factor * v + by.shift));
    }
    clear();
  }

  // ------------------------------------------------------------------ layout

  static constexpr Index kLanes = detail::kLanes<Real>;

  std::vector<detail::Buffer<Real>*> of_outputs() {
    return {&forecast, &scale, &change, &agree_a, &agree_b, &present, &moved};
  }

  double norm() const { return detail::feature_norm(s.encoder, p); }
  bool is_late() const { return s.delay > 0; }

  detail::ClientRecord layout() const {
    detail::ClientRecord r{};
    r.p = p, r.d = d, r.dx = dx;
    r.features = detail::features_of(s.encoder);
    const auto place = [&](Index& first, Index rows) { first = r.rows, r.rows += rows; };
    place(r.gram, detail::packed_size(p));
    place(r.cross, d * p);
    place(r.mean, dx);
    place(r.deviations, dx);
    place(r.counted, dx > 0 ? 1 : 0);
    place(r.learnt, 1);
    place(r.squares, d);
    place(r.inputs, dx);
    place(r.pending, p);
    return r;
  }

  /// The number in row `row` of a client's record.
  Real& at(Index row, Index client) const {
    return records.data()[(client / kLanes * record.rows + row) * kLanes + client % kLanes];
  }

  /// Calls body(first client, last client) for a chunk; the last chunk includes the padding.
  template <class Body>
  void of_chunk(Index chunk, const Body& body) const {
    const Index first = chunk * detail::kChunkAgents;
    body(first, std::min(first + detail::kChunkAgents, padded));
  }
  template <class Body>
  void on_threads(double work_per_client, const Body& body) const {
    detail::in_parallel(detail::threads_for(n_threads, work_per_client * static_cast<double>(N)),
                        body);
  }
  /// Throws if `guard` finds a bad number in the series.
  void check(const Real* x, const double* y, const double* initial, Index n_initial,
             Index n_steps) {
    const detail::PanelRows<Real> rows{x,      y,       initial, n_initial, base.data(),
                                       padded, n_steps, s.delay, &waiting};
    on_threads(static_cast<double>(n_steps * width), [&](const detail::Worker& worker) {
      worker.chunks(chunks, [&](Index chunk) { guard.look(chunk, rows); });
    });
    guard.judge(rows);
  }
  double step_work() const { return static_cast<double>(p * (p * p / 3 + 4 * p + 2 * dx)); }

  /// Clears all state. Each thread is the first to touch its own part of the memory.
  void clear() {
    on_threads(static_cast<double>(record.rows + d * (p + 10)), [&](const detail::Worker& worker) {
      worker.chunks(chunks, [&](Index chunk) {
        of_chunk(chunk, [&](Index first, Index last) {
          std::fill(&at(0, first), &at(0, first) + (last - first) * record.rows, Real(0));
          const auto fill = [&](auto& rows, Index n, auto value) {
            for (Index row = 0; row < n; ++row)
              std::fill(rows.data() + row * padded + first, rows.data() + row * padded + last,
                        value);
          };
          fill(readout, d * p, Real(0));
          for (auto* rows : of_outputs()) fill(*rows, d, Real(0));
          fill(mark, 1, Real(0));
          fill(base, d, std::numeric_limits<double>::quiet_NaN());
          fill(cost, 1, 0.0), fill(scored, 1, 0.0);
        });
      });
    });
  }

  // ------------------------------------------------------------------ a step

  detail::Agreement<Real> agreement() {
    return {d,
            padded,
            s.learned,
            fixed,
            static_cast<Real>(detail::consensus_prior(s)),
            crowd.weight.data(),
            crowd.forecast.data(),
            forecast.data(),
            scale.data(),
            agree_a.data(),
            agree_b.data(),
            present.data(),
            moved.data(),
            base.data()};
  }

  /// A pass that only learns writes its readouts to `aside`: `readout` must keep those of the last
  /// forecasts, which are exchanged.
  void advance_chunk(const Real* x, Index chunk, int thread, Real* readouts) {
    const detail::ClientPass<Real> pass{&record,
                                        records.data(),
                                        N,
                                        padded,
                                        static_cast<Real>(s.forgetting),
                                        static_cast<Real>(s.ridge),
                                        static_cast<Real>(s.pooling),
                                        unlearnt,
                                        norm(),
                                        weights.data(),
                                        bias.data(),
                                        x,
                                        mark.data(),
                                        change.data(),
                                        crowd.sent.data(),
                                        any_asleep ? asleep.data() : nullptr,
                                        held.data(),
                                        readouts,
                                        forecast.data(),
                                        scale.data(),
                                        work[thread].data()};
    of_chunk(chunk, [&](Index first, Index last) { kernels.advance(pass, first, last); });
  }

  /// Forecasts (N, d) from inputs x (N, width).
  void predict(const Real* x, double* out) {
    const auto rule = agreement();
    const auto begin = [&](const detail::Worker& worker) {
      crowd.work_on_readouts(worker, readout.data(), present.data());
    };
    const auto advance = [&](const detail::Worker& worker) {
      worker.chunks(chunks,
                    [&](Index chunk) { advance_chunk(x, chunk, worker.thread, readout.data()); });
      worker.meet();
      crowd.work_on_forecasts(worker, forecast.data(), present.data());
    };
    const auto end = [&](const detail::Worker& worker) {
      worker.chunks(chunks, [&](Index chunk) {
        const Index first = chunk * detail::kChunkAgents;
        kernels.forecast(rule, out, first, std::min(first + detail::kChunkAgents, N));
      });
    };
    if (others.alone()) {
      on_threads(step_work(), [&](const detail::Worker& worker) {
        begin(worker);
        worker.alone([&] { crowd.find_readout(steps); });
        advance(worker);
        worker.alone([&] { crowd.find_forecast(); });
        end(worker);
      });
    } else {  // only the calling thread may exchange with other processes
      on_threads(step_work(), begin);
      crowd.find_readout(steps);
      on_threads(step_work(), advance);
      crowd.find_forecast();
      on_threads(step_work(), end);
    }
    unlearnt = false, crowd.due = 0;
    pending = true;
  }

  /// Uses y as the last values seen.
  void observe(const double* y) {
    for (Index i = 0; i < N; ++i)
      for (Index o = 0; o < d; ++o) {
        const double seen = y[i * d + o];
        if (std::isnan(seen)) continue;
        base.data()[o * padded + i] = seen;
        Real& of_client = mark.data()[i];
        if (of_client < detail::kKnown) of_client += detail::kKnown;
      }
    pending = false;  // the last forecast had another base
  }

  void learn(const double* y, const unsigned char* awake) {
    settle(y, awake, nullptr);
    crowd.keep_forecast();
    unlearnt = true;
    pending = false;
  }

  /// Compares y with the last forecast, or with one that has waited.
  void settle(const double* y, const unsigned char* awake, const detail::LateStep<Real>* late) {
    const auto rule = agreement();
    const detail::Outcome<Real> outcome{y,           awake,         change.data(), mark.data(),
                                        cost.data(), scored.data(), late};
    on_threads(static_cast<double>(20 * d), [&](const detail::Worker& worker) {
      worker.chunks(chunks, [&](Index chunk) {
        const Index first = chunk * detail::kChunkAgents;
        kernels.settle(rule, outcome, crowd.sums_of(chunk), first,
                       std::min(first + detail::kChunkAgents, N));
      });
    });
    crowd.settle();
    send_to_bed(awake);
    ++steps;
  }

  // With a delay; see panel_late.cpp.
  void wait(const Real* x);
  void predict_late(const Real* x, double* out);
  void learn_oldest(const double* y, const unsigned char* awake);
  void learn_received(const unsigned char* awake) { learn_oldest(waiting.received(0), awake); }
  void absorb();
  void run_late(const Real* x, const double* y, const unsigned char* awake, Index n_steps,
                double* forecasts, const std::function<void(Index)>& after_step,
                const double* initial, Index n_initial, double* bases);

  /// A client that goes to sleep keeps the mean readout that was last sent to it.
  void send_to_bed(const unsigned char* awake) {
    const bool all = awake == nullptr || std::all_of(awake, awake + N, [](auto a) { return a; });
    if (all && !any_asleep) return;
    make_beds();
    any_asleep = !all;
    for (Index i = 0; i < N; ++i) {
      const bool sleeps = awake != nullptr && !awake[i];
      if (sleeps && asleep.data()[i] == 0)
        for (Index row = 0; row < d * p; ++row) held.data()[row * padded + i] = crowd.sent[row];
      asleep.data()[i] = Real(sleeps);
    }
  }

  void make_beds() {
    if (held.size() > 0) return;
    asleep = detail::Buffer<Real>(padded), held = detail::Buffer<Real>(d * p * padded);
    std::fill_n(asleep.data(), padded, Real(0)), std::fill_n(held.data(), held.size(), Real(0));
  }

  // ------------------------------------------------------------------ copies

  /// The `size` rows of the records that begin with `row`, as (N, size).
  auto in_records(Index row, Index size) const {
    return detail::agent_view(N, size,
                              [this, row](Index k, Index i) -> Real& { return at(row + k, i); });
  }
  /// Arrays (size, padded) as (N, size).
  template <class Buffer>
  auto in_rows(const Buffer& rows, Index size) const {
    return detail::agent_view(
        N, size, [ data = rows.data(), stride =
                   padded ](Index k, Index i) -> auto& { return data[k * stride + i]; });
  }

  /// Calls move(field, where it is stored) for every field of the memory except `seen`.
  template <class Memory, class Move>
  void move_fields(Memory& memory, const Move& move) {
    const detail::ClientRecord& r = record;
    make_beds();
    move(memory.steps, steps);
    move(memory.due, crowd.due);
    move(memory.base, in_rows(base, d));
    move(memory.gram, in_records(r.gram, detail::packed_size(p)));
    move(memory.cross, in_records(r.cross, d * p));
    move(memory.counted, in_records(r.counted, dx > 0 ? 1 : 0));
    move(memory.mean, in_records(r.mean, dx));
    move(memory.deviations, in_records(r.deviations, dx));
    move(memory.learnt, in_records(r.learnt, 1));
    move(memory.squares, in_records(r.squares, d));
    move(memory.inputs, in_records(r.inputs, dx));
    move(memory.pending, in_records(r.pending, p));
    move(memory.mark, in_rows(mark, 1));
    move(memory.change, in_rows(change, d));
    move(memory.moved, in_rows(moved, d));
    move(memory.present, in_rows(present, d));
    move(memory.agree_a, in_rows(agree_a, d));
    move(memory.agree_b, in_rows(agree_b, d));
    move(memory.cost, in_rows(cost, 1));
    move(memory.scored, in_rows(scored, 1));
    move(memory.readouts, in_rows(readout, d * p));
    move(memory.asleep, in_rows(asleep, 1));
    move(memory.held, in_rows(held, d * p));
    move(memory.mean_readout, crowd.readout.data(), d * p);
    move(memory.center, crowd.center.data(), d * (p + 1));
    move(memory.spread, crowd.spread.data(), d * (p + 1));
    if (!is_late()) return;
    move(memory.waiting, waiting.count());
    move(memory.told, waiting.n_received());
    move(memory.waiting_x, waiting.all_x());
    move(memory.waiting_features, waiting.all_features());
    move(memory.waiting_shown, waiting.all_shown());
    move(memory.waiting_values, waiting.all_values());
    move(memory.waiting_told, waiting.all_received());
  }

  std::size_t bytes() const {
    const auto of = [](const auto& buffer) {
      return static_cast<std::size_t>(buffer.size()) * sizeof(*buffer.data());
    };
    return of(records) + of(readout) + 7 * of(forecast) + of(mark) + of(base) + of(cost) +
           of(scored) + of(asleep) + of(held) + of(aside) + waiting.bytes() + crowd.bytes();
  }
};

}  // namespace memoa
