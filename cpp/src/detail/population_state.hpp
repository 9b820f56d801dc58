#pragma once

#include <vector>

#include "detail/population_pass.hpp"
#include "detail/waiting.hpp"

namespace memoa {

/// The steps of a population. `learn` only stores the step as the lesson. The next pass learns it,
/// because it loads the agents' state anyway. Code that reads the state before that must call
/// `settle` first.
template <class Real>
struct BasicPopulation<Real>::State {
  const PopulationSettings settings;
  const detail::Layout<Real> layout;
  mutable detail::Exchange others;
  detail::Records<Real> records;
  detail::Kept<Real> kept;
  detail::Pass<Real> pass;
  detail::Lesson<Real> lesson;
  detail::Waiting<Real> waiting;  // used if y arrives late

  std::vector<double> base, shown_base, mean_field;  // (d); shown_base: of the last predictions
  // (d), 1 if any y of the output was seen; nothing is learnt before all are 1
  std::vector<double> known;
  std::vector<double> bases;  // (steps + 1, d), before each step shown and after the last
  Index steps = 0, has_seen = 0;
  Index scored = 0;  // number of values of y that costs count, if y arrives late
  Overflow overflow;
  bool pending = false;
  const unsigned char* used = nullptr;   // which agents the mixture uses; null: all
  const unsigned char* awake = nullptr;  // (steps, padded), who was awake; null: all
  bool awaits_sleep = false;             // whether the memory being loaded has the field `sleep`
  bool keeps_forecasts = false;          // for a server that mixes them; see `serve`
  bool follows = false;                  // whether the policy waits for its forecast: `play`
  const Real* forecasts = nullptr;       // (steps, d, padded), of the steps shown
  std::vector<double> fields;            // (steps, d), what the server's forecasts add to the base

  explicit State(PopulationSettings s);

  /// Requires inputs that are finite or missing, and not too large to be squared. Checking one x
  /// allocates nothing.
  void require_input(const double* x) const;
  void require_inputs(const double* inputs, Index n) const;
  /// Number of values in one step's input.
  Index width() const { return layout.dx > 0 ? layout.dx : layout.N * layout.p; }

  /// Before `show` and `glance`: how the server mixes forecasts; null: there is none.
  void serve(const Mixture* mixture);
  /// Makes y the base. A prediction from the old base can no longer be learnt.
  void observe(const double* y);
  /// Shows zeros, because nothing is known before the first y.
  void show_nothing();
  /// Predicts n steps, at most a tile. Each step starts from the target of the step before. The
  /// increments of step t are t d strides after the result. If the targets are not known yet, n
  /// is 1. `present` (n, N) says who is awake, null means all; call `reserve_sleep` before. Agents
  /// that follow the server show nothing before `play`.
  const Real* show(const double* inputs, Index n, const double* targets, bool want_worst,
                   const unsigned char* present = nullptr);
  /// Checks x, then shows one step.
  void predict(const double* x, const unsigned char* present);
  /// The policy of agents that follow the server, if these do, in the steps shown; `fields` is set.
  void play();
  /// Learns the n steps that were shown.
  void learn(const double* targets, Index n);
  // If y arrives late (late.cpp).
  /// Adds the prediction just shown to those that wait, and its input x to the running moments.
  void wait(const double* x);
  /// Learns the y (d) of the oldest waiting prediction, and removes it.
  void learn_oldest(const double* y);
  bool is_late() const { return settings.past.delay > 0; }
  /// The forecasts that the server mixes, for an x that will not be learnt. The last prediction
  /// stays as it is.
  const Real* glance(const double* x, const unsigned char* present = nullptr);
  void play_glance();
  const Real* glanced_increments() const { return tile_increment.data(); }
  const unsigned char* glanced_used() const { return used_at_glance; }

  // Agents that are away, theory (10.10).
  /// Allocates memory for n steps in which some agents are away.
  void reserve_sleep(Index n);
  /// Whether any agent was ever away, as far as a memory needs to know; call it after `settle`.
  bool keeps_sleep() const;
  void require_sleep() const;
  /// Marks the prediction as one that can no longer be learnt.
  void forget_shown();
  /// Marks it as one that can be learnt, and stores which agents are away.
  void keep_shown();
  /// Who was awake (N) in the step that waits for its y; empty if all were.
  std::vector<unsigned char> present() const;

  void settle() { pass.settle(lesson); }
  void settle_costs() { pass.settle_costs(lesson); }
  void mark_costs();
  std::size_t bytes() const;

  /// Call it after a memory was loaded. Throws if the memory's numbers are not valid moments.
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

  /// move(field, where the state stores it) for every field of the memory.
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
    move(memory.gram,  // a packed triangle is the beginning of any larger one
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
  /// body(feature last shown, its place in `kept` (p, N)) for features that cannot be computed
  /// again.
  template <class Body>
  void each_pending(Real* kept, const Body& body) const;
  /// The encoders' inputs for the steps shown.
  struct Inputs {
    explicit Inputs(const PopulationSettings& s) : past(s.past, s.n_outputs), with_shown(past) {}
    Standardiser learnt, counted;      // counted: also has the inputs shown
    Past past, with_shown;             // with_shown: also has the targets of all steps but the last
    std::vector<double> one;           // (n_encoded), scratch
    std::vector<Real> rows;            // (steps, n_encoded)
    std::vector<Real> bounds;          // (steps, d)
    std::vector<Real> learnt_changes;  // (steps, d), what is learnt before each; lesson's first
  };
  Inputs inputs, glanced;
  detail::Window<Real> shown, at_glance;             // the last ones
  std::vector<Real> changes;                         // (steps, d), y - base
  detail::Buffer<Real> tile_increment, tile_energy;  // as in Kept, for several steps
  detail::Buffer<Real> tile_forecast, one_forecast;  // only if `keeps_forecasts`
  detail::Buffer<unsigned char> tile_used;
  // only if some agents are away: (steps, padded), and (steps, d, padded) if agents are not judged
  detail::Buffer<unsigned char> one_awake, tile_awake, one_used, awake_used;
  const unsigned char* used_at_glance = nullptr;
  double largest_loss = 0.0;  // of the step shown

  void draw(const detail::Group& group);
  void note_means();
  void move_reservoir(const Real* features);
  void absorb_features();
  /// The change from `before` to y (d), cut to the bound of what is learnt; NaN if y is missing.
  void bound_change(const Past& past, const double* y, const double* before, Real* out) const;
  void encode(const double* x, Index n, const double* targets, Inputs& into);
  /// Copies who is present (n, N) to `into` (n, padded), as 1 or 0; returns null if all are.
  const unsigned char* take(const unsigned char* present, Index n, unsigned char* into) const;
};

}  // namespace memoa
