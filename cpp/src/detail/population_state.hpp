#pragma once

#include <vector>

#include "detail/population_pass.hpp"
#include "detail/waiting.hpp"

namespace memoa {

/// The steps of a population. A learnt step is taken in by the next pass, while the agents' state
/// passes through the processor anyway (its lesson); whoever looks before that settles it first.
template <class Real>
struct BasicPopulation<Real>::State {
  const PopulationSettings settings;
  const detail::Layout<Real> layout;
  mutable detail::Exchange others;
  detail::Records<Real> records;
  detail::Kept<Real> kept;
  detail::Pass<Real> pass;
  detail::Lesson<Real> lesson;
  detail::Waiting<Real> waiting;  // where y comes late

  std::vector<double> base, shown_base, mean_field;  // (d); shown_base: of the last predictions
  std::vector<double> known;  // (d), 1 where any y of the output was seen; all are before learning
  std::vector<double> bases;  // (steps + 1, d), before each step shown and after the last
  Index steps = 0, has_seen = 0;
  Index scored = 0;  // values of y that costs count, where y comes late
  Overflow overflow;
  bool pending = false;
  const unsigned char* heeded = nullptr;  // whom the mixture heeds of what was shown; null: all
  const unsigned char* awake = nullptr;   // (steps, padded), who was there; null: all
  bool awaits_sleep = false;              // is a memory loaded that tells who was away?
  bool keeps_forecasts = false;     // for a server that mixes them: set before something is shown
  const Real* forecasts = nullptr;  // (steps, d, padded) of what was shown

  explicit State(PopulationSettings s);

  /// Finite, and of a size to be squared where they are standardised. No heap for one x.
  void require_input(const double* x) const;
  void require_inputs(const double* inputs, Index n) const;
  /// Numbers of one step's input.
  Index width() const { return layout.dx > 0 ? layout.dx : layout.N * layout.p; }

  /// Takes y as the base; what was predicted had another one.
  void observe(const double* y);
  /// Shows zeros: before any y was seen nothing is known.
  void show_nothing();
  /// Predicts n steps, at most a tile; each begins at the target of the step before. Increments of
  /// step t are t d strides after the result. Where the targets are not known yet, n is 1.
  /// `present` (n, N) tells who is awake, for which there must be room; null: all.
  const Real* show(const double* inputs, Index n, const double* targets, bool want_worst,
                   const unsigned char* present = nullptr);
  /// Learns the n steps that were shown.
  void learn(const double* targets, Index n);
  // Where y comes late (late.cpp): what was shown joins those that wait, and takes its input into
  // account; the oldest of them leaves, and its y (d) is learnt.
  void wait(const double* x);
  void learn_oldest(const double* y);
  bool is_late() const { return settings.past.delay > 0; }
  /// What the server mixes, for an x that is not to be learnt; what was shown stays.
  const Real* glance(const double* x, const unsigned char* present = nullptr);
  const Real* glanced_increments() const { return tile_increment.data(); }
  const unsigned char* glanced_heeded() const { return heeded_at_glance; }

  // Theory (10.10). `reserve_sleep` makes room for n steps in which some agents are away.
  void reserve_sleep(Index n);
  bool keeps_sleep() const;  // after settle: is there anything to tell of it?
  void require_sleep() const;
  /// What was shown can no longer be learnt; and: it can, and so it is remembered who is away.
  void forget_shown();
  void keep_shown();
  /// Who was there in the step that waits for its y (N); empty for all.
  std::vector<unsigned char> present() const;

  void settle() { pass.settle(lesson); }
  void settle_costs() { pass.settle_costs(lesson); }
  void mark_costs();
  std::size_t bytes() const;

  /// After a memory was loaded; throws where it holds no moments of inputs.
  void refresh() {
    for (const Coordinate& coordinate : inputs.learnt.coordinates) coordinate.validate();
    inputs.past.validate();
    waiting.validate();
    for (Index i = 0; i < layout.N && kept.missed.size() > 0; ++i) {
      detail::require_sleep(kept.missed.data()[i], false);
      detail::require_sleep(kept.away.data()[i], true);
    }
    pending = lesson.to_records = lesson.to_costs = awaits_sleep = false;
    awake = nullptr;
    mark_costs();
  }
  void reserve_mark();
  void reserve(Index n);  // for n steps at once

  /// move(field, where it is kept) for every field of the memory.
  template <class Memory, class Move>
  void exchange(Memory& memory, const Move& move) {
    const Index d = layout.d, p = layout.p;
    using detail::Record;
    move(memory.steps, steps);
    move(memory.has_seen, has_seen);
    move(memory.base, base.data(), d);
    move(memory.shown_base, shown_base.data(), d);
    move(memory.mean_field, mean_field.data(), d);
    move(memory.costs, kept.cost.data(), layout.N);
    move(memory.recent_loss, kept.recent_loss.data(), judges(settings) ? layout.N : 0);
    move(memory.gram,  // a triangle is packed like the beginning of a larger one
         records.rows(&Record::gram, 1, detail::packed_size(p),
                      [](const Record& r) { return detail::packed_size(r.p); }));
    move(memory.cross, records.rows(&Record::cross, d, p, [](const Record& r) { return r.p; }));
    move(memory.reservoir, reservoirs());
    move(memory.increments, kept.increments(layout));
    auto& coordinates = inputs.learnt.coordinates;
    move(memory.standardiser,
         detail::agent_view(layout.dx, Coordinate::kNumbers, [&](Index k, Index j) -> double& {
           return coordinates[static_cast<std::size_t>(j)].number(k);
         }));
    if (remembers(settings))
      move(memory.past, detail::agent_view(1, inputs.past.size(), [&](Index k, Index) -> double& {
             return inputs.past.number(k);
           }));
    if (keeps_sleep())
      move(memory.sleep, detail::agent_view(layout.N, 2, [&](Index k, Index agent) -> double& {
             return (k == 0 ? kept.missed : kept.away).data()[agent];
           }));
    if (!is_late()) return;
    move(memory.waiting, waiting.count);
    move(memory.waiting_first, waiting.first);
    move(memory.scored, scored);
    move(memory.waiting_steps, waiting.steps(), waiting.slots() * waiting.numbers());
    move(memory.waiting_agents, waiting.agents());
    move(memory.waiting_features, waiting.all_features());
    move(memory.largest_loss, &largest_loss, 1);
  }

 private:
  auto reservoirs() {
    return records.rows(
        &detail::Record::reservoir, 1, has_reservoirs(settings) ? layout.p : 0,
        [](const detail::Record& r) { return r.features == detail::Features::echo ? r.p : 0; });
  }
  /// body(feature last shown, its place in `kept` (p, N)) for those that nothing makes again.
  template <class Body>
  void each_pending(Real* kept, const Body& body) const;
  /// What the encoders see of the steps shown.
  struct Inputs {
    explicit Inputs(const PopulationSettings& s) : past(s.past, s.n_outputs), with_shown(past) {}
    Standardiser learnt, counted;  // the latter with the inputs shown
    Past past, with_shown;         // the latter with the targets of all steps shown but the last
    std::vector<double> one;       // (n_encoded), scratch
    std::vector<Real> rows;        // (steps, n_encoded)
    std::vector<Real> bounds;      // (steps, d)
    std::vector<Real> learnt_changes;  // (steps, d), the lesson's first: what is learnt before each
  };
  Inputs inputs, glanced;
  std::vector<Real> changes;                         // (steps, d), y less the base
  detail::Buffer<Real> tile_increment, tile_energy;  // as in Kept, of several steps
  detail::Buffer<Real> tile_forecast, one_forecast;  // where forecasts are kept
  detail::Buffer<unsigned char> tile_heeded;
  // where some are away: (steps, padded), and (steps, d, padded) where nobody judges
  detail::Buffer<unsigned char> one_awake, tile_awake, one_heeded, awake_heeded;
  const unsigned char* heeded_at_glance = nullptr;
  double largest_loss = 0.0;  // of the step shown

  void draw(const detail::Group& group);
  void move_reservoir(const Real* features);
  void absorb_features();
  /// What is learnt of a y (d) that followed `before`; NaN where it is missing.
  void bound_change(const Past& past, const double* y, const double* before, Real* out) const;
  void encode(const double* x, Index n, const double* targets, Inputs& into);
  /// The same of n steps as bytes of all lanes; null where all are there.
  const unsigned char* take(const unsigned char* present, Index n, unsigned char* into) const;
};

}  // namespace memoa
