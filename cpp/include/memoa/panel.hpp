#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "memoa/encoder.hpp"
#include "memoa/shard.hpp"

namespace memoa {

/// How the crowd's values are averaged: the mean; the mean without the lowest and the highest
/// fifth; or the mean of the values clipped around the last result, theory (8.6).
struct PanelSettings {
  Index n_clients = 1;         ///< in this process; `shard` has the total
  Index n_inputs = 1;          ///< dx; not used by Precomputed
  Index n_outputs = 1;         ///< d
  Encoder encoder = Linear{};  ///< of all clients, so that readouts are comparable; not EchoState
  double pooling = 10.0;       ///< >= 0, the price of a readout's distance from the crowd's
  double ridge = 1.0;          ///< > 0
  bool learned = true;         ///< whether each client learns its consensus weight, theory (8.3)
  double consensus = 0.0;      ///< l >= 0, if it is not learned
  Aggregate aggregate = Aggregate::trimmed;
  double forgetting = 0.998;  ///< in (0, 1]
  Index delay = 0;            ///< y is known after so many further forecasts, theory (10.11)
  std::uint64_t seed = 0;
  int n_threads = 0;  ///< 0: all that the process may use
  Shard shard;        ///< by default this process has all; else no trimmed aggregate
};

/// Throws std::invalid_argument that names the bad setting.
MEMOA_API void validate(const PanelSettings& settings);

/// All that was learnt, independent of the layout in memory; visit_fields has the shapes. The last
/// step is not yet part of `gram` and the other sums: `mark`, `change` and `pending` hold it.
struct PanelMemory {
  Index steps = 0;
  Index due = 0;                         ///< 1 if the crowd's readout must be computed again
  std::vector<double> base, seen;        ///< last values, and 1 if there was one
  std::vector<double> gram, cross;       ///< H, packed lower triangles, and q
  std::vector<double> counted;           ///< inputs in the running moments
  std::vector<double> mean, deviations;  ///< those moments
  std::vector<double> learnt, squares;   ///< steps learnt, and sums of their squared increments
  std::vector<double> inputs, pending;   ///< the last inputs, outliers bounded; their features
  std::vector<double> mark, change;      ///< what is still to be learnt from the last step
  std::vector<double> moved, present;    ///< 1 after a nonzero increment; 1 if in the averages
  std::vector<double> agree_a, agree_b;  ///< theory (8.3)
  std::vector<double> cost, scored;      ///< sums of squared errors, and their counts
  std::vector<double> readouts;          ///< those of the last forecasts
  std::vector<double> asleep, held;      ///< 1 if a client uses the mean readout it got last
  std::vector<double> mean_readout;
  std::vector<double> center, spread;  ///< of the clipped means of readouts, then of forecasts
  // With a delay: the steps that wait for their y, the oldest first.
  Index waiting = 0, told = 0;           ///< how many; and how many already have a y, from a run
  std::vector<double> waiting_x;         ///< (N, delay + 1, width)
  std::vector<double> waiting_features;  ///< (N, delay + 1, p)
  std::vector<double> waiting_shown;     ///< (N, delay + 1, 4, d)
  std::vector<double> waiting_values;    ///< (N, delay + 1, 2, d); missing: the largest double
  std::vector<double> waiting_told;      ///< (N, delay + 1, d), missing as above
  // Set by `memory` and checked by `restore`; empty if not known.
  std::optional<std::uint64_t> seed;      ///< of the encoder
  std::optional<std::uint32_t> checksum;  ///< CRC-32 of the fields above
};

/// N clients, each with its own series, whose readouts are pulled towards the crowd's, theory
/// section 8. An engine: it owns the clients' state. Results are the same bits for any number of
/// threads and on any x86-64 processor. `Real` is the type of the clients' state and of their
/// inputs; targets and forecasts are double.
///
///     predict(x) forecasts and changes nothing that was learnt until learn(y).
///
/// With a `delay` every forecast waits for its y. Its inputs count from the forecast on, and
/// `learn` takes the y of the oldest forecast.
///
/// Input is checked before anything changes (std::invalid_argument). NaN means a missing y. A
/// client's inputs are not read before its first value.
///
/// Several threads may call const members at once, while none calls another member.
/// consensus_weights and memory count as non-const, because they first finish postponed sums.
template <class Real>
class MEMOA_API BasicPanel {
 public:
  explicit BasicPanel(PanelSettings settings);
  ~BasicPanel();
  BasicPanel(BasicPanel&&) noexcept;
  BasicPanel& operator=(BasicPanel&&) noexcept;

  const PanelSettings& settings() const;

  /// Uses y (N, d) as the last values seen, without learning; NaN means no value.
  void observe(const double* y);
  /// Forecasts (N, d) from the clients' inputs x (N, dx), or features (N, p) with Precomputed. NaN
  /// for a client without a value so far, whose inputs are not read. Throws if `delay` + 1
  /// forecasts already wait for their y.
  void predict(const Real* x, double* forecasts);
  /// Learns the y (N, d) that belongs to the last predicted x; NaN means no value. `awake` (N), or
  /// null for all: which clients take part in the next exchange. With a delay, y belongs to the
  /// oldest forecast that has no y from a run; the forecasts before it are learnt first.
  void learn(const double* y, const unsigned char* awake = nullptr);
  /// The same, with a delay, for the inputs x that y belongs to; throws if they are not those of
  /// that forecast.
  void learn_late(const Real* x, const double* y, const unsigned char* awake = nullptr);
  bool is_pending() const;  ///< whether a forecast is not yet learnt
  Index n_waiting() const;  ///< forecasts that are not learnt yet, with a delay,
  Index n_told() const;     ///< and how many of them already have a y, from a run

  /// predict and learn T steps: x (T, N, dx), y (T, N, d), awake (T, N) or null, forecasts
  /// (T, N, d). Calls after_step(steps done) if given; if that throws, the run ends and keeps the
  /// steps learnt so far. `initial` (N, d), if given, is observed first.
  ///
  /// With a delay, y[t] is learnt after the forecast of x[t + delay]. The y of the last steps are
  /// learnt with the forecasts after the run. `initial` may then have `n_initial` = delay + 1 rows,
  /// which become known one after the other. `bases` (T, N, d), if given, gets the last values
  /// known at each forecast.
  void run(const Real* x, const double* y, const unsigned char* awake, Index n_steps,
           double* forecasts, const std::function<void(Index)>& after_step = {},
           const double* initial = nullptr, Index n_initial = 1, double* bases = nullptr);

  // For a federation: each process has a panel of some clients, none of which is ever `awake`, and
  // the server has a panel of all clients.
  /// For a process of clients: sets the crowd's readout (p, d), used from the next step on.
  void receive(const double* mean_readout);
  /// For the server: computes the crowd's readout from the readouts (N, p, d) of the `present`
  /// clients (N, d), and counts a step. Other clients' readouts are not read.
  void gather(const double* readouts, const unsigned char* present);
  /// Which clients count in the crowd's readout if present (N, d): 1 after a nonzero increment.
  void have_moved(unsigned char* out) const;

  /// Adds clients without history, after the existing ones. A forecast that is not learnt yet is
  /// dropped; with a delay it is kept, without the new clients.
  void add_clients(Index count);

  Index steps() const;
  void base(double* out) const;               ///< (N, d), the last values seen; NaN: none so far
  void readouts(double* out) const;           ///< (N, p, d), of the last forecasts
  void mean_readout(double* out) const;       ///< (p, d), the crowd's
  void consensus_weights(double* out) const;  ///< (N, d), beta of theory (8.3)
  void costs(double* out) const;              ///< (N,), sums of squared errors
  void scored(double* out) const;             ///< (N,), number of scored steps
  void scales(double* out) const;  ///< (N, d), root mean squares of the increments learnt
  std::size_t bytes() const;

  using Memory = PanelMemory;
  Memory memory() const;
  /// Throws if the memory has other sizes, another encoder, or parts from different times.
  void restore(const Memory& memory);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Calls visit(name, field, shape) for every field of the memory of such a panel: a number, of
/// shape {}, or an array. All code that copies, checks or stores a memory uses this list.
template <class Memory, class Visit>
void visit_fields(Memory& memory, const PanelSettings& s, const Visit& visit) {
  const bool given = std::holds_alternative<Precomputed>(s.encoder);
  const Index N = s.n_clients, d = s.n_outputs, p = n_features(s.encoder, s.n_inputs),
              dx = given ? 0 : s.n_inputs;
  visit("steps", memory.steps, Shape{});
  visit("due", memory.due, Shape{});
  visit("base", memory.base, Shape{N, d});
  visit("seen", memory.seen, Shape{N, d});
  visit("gram", memory.gram, Shape{N, p * (p + 1) / 2});
  visit("cross", memory.cross, Shape{N, d, p});
  visit("counted", memory.counted, Shape{given ? 0 : N});
  visit("mean", memory.mean, Shape{N, dx});
  visit("deviations", memory.deviations, Shape{N, dx});
  visit("learnt", memory.learnt, Shape{N});
  visit("squares", memory.squares, Shape{N, d});
  visit("inputs", memory.inputs, Shape{N, dx});
  visit("pending", memory.pending, Shape{N, p});
  visit("mark", memory.mark, Shape{N});
  visit("change", memory.change, Shape{N, d});
  visit("moved", memory.moved, Shape{N, d});
  visit("present", memory.present, Shape{N, d});
  visit("agree_a", memory.agree_a, Shape{N, d});
  visit("agree_b", memory.agree_b, Shape{N, d});
  visit("cost", memory.cost, Shape{N});
  visit("scored", memory.scored, Shape{N});
  visit("readouts", memory.readouts, Shape{N, d, p});
  visit("asleep", memory.asleep, Shape{N});
  visit("held", memory.held, Shape{N, d, p});
  visit("mean_readout", memory.mean_readout, Shape{d, p});
  visit("center", memory.center, Shape{d * (p + 1)});
  visit("spread", memory.spread, Shape{d * (p + 1)});
  if (s.delay == 0) return;
  const Index slots = s.delay + 1;
  visit("waiting", memory.waiting, Shape{});
  visit("told", memory.told, Shape{});
  visit("waiting_x", memory.waiting_x, Shape{N, slots, given ? p : s.n_inputs});
  visit("waiting_features", memory.waiting_features, Shape{N, slots, p});
  visit("waiting_shown", memory.waiting_shown, Shape{N, slots, 4, d});
  visit("waiting_values", memory.waiting_values, Shape{N, slots, 2, d});
  visit("waiting_told", memory.waiting_told, Shape{N, slots, d});
}

template <class Memory, class Real, class Visit>
void visit_fields(Memory& memory, const BasicPanel<Real>& panel, const Visit& visit) {
  visit_fields(memory, panel.settings(), visit);
}

using Panel = BasicPanel<double>;
using PanelF32 = BasicPanel<float>;  ///< half the memory and its bandwidth

/// The Nash equilibrium of clients with given statistics, theory (8.2): the mean readout (p, d) and
/// readouts (N, p, d), from gram (N, p, p) and cross (N, p, d). ridge >= 0, pooling >= 0.
struct PanelEquilibrium {
  std::vector<double> mean_readout, readouts;
};
MEMOA_API PanelEquilibrium solve_panel_equilibrium(const double* gram, const double* cross,
                                                   Index n_clients, Index n_features,
                                                   Index n_outputs, double ridge, double pooling);

}  // namespace memoa
