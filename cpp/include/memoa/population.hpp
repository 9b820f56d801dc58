#pragma once

#include <memory>
#include <optional>
#include <type_traits>

#include "memoa/past.hpp"
#include "memoa/shard.hpp"

namespace memoa {

namespace detail {
struct Inside;
}

/// greedy: every agent plays its local forecast. memoa: the mean-field Nash policy, theory (6.2).
enum class PolicyKind { memoa, greedy };

/// `aggregate` says whom averages over agents count, theory section 6, step 3. mean: all. clip:
/// those in the crowd's range whose recent loss is not far above the usual; the mixture heeds no
/// others. trimmed: the middle of these.
struct PopulationSettings {
  Index n_agents = 64;  ///< here, of those that `shard` tells of
  Index n_inputs = 1;   ///< dx; not used by Precomputed
  Index n_outputs = 1;  ///< d
  /// One for all agents or one per type, as `forgetting` and `ridge` below. Precomputed is for all.
  Encoders encoder = RandomFeatures{16, Activation::wave, 1.0, 4, 2};
  PolicyKind policy = PolicyKind::memoa;
  double consensus = 10.0;  ///< l >= 0
  double effort = 0.01;     ///< g > 0
  Index horizon = 8;        ///< T >= 1
  double discount = 0.0;    ///< rate a >= 0
  /// One value for all agents or one per type, of as many types in both; agent i is of type i mod
  /// K. Encoders are counted by themselves, so that of two encoders each has agents of three types.
  std::vector<double> forgetting = {0.95, 0.99, 0.998};  ///< lambda in (0, 1]
  std::vector<double> ridge = {0.001, 0.01, 0.1};        ///< > 0
  Aggregate aggregate = Aggregate::trimmed;
  PastSettings past = {6, kAutoSeason};  ///< what agents see beside x; nothing with Precomputed
  /// No increment far beyond the usual is learnt, and none beyond those learnt is forecast, theory
  /// (6.13).
  bool bounded = true;
  std::uint64_t seed = 0;
  int n_threads = 0;  ///< 0: all that the process may use
  Shard shard;        ///< by default all agents are here

  Index total() const { return shard.total > 0 ? shard.total : n_agents; }
};

/// Throws std::invalid_argument that names the setting at fault.
MEMOA_API void validate(const PopulationSettings& settings);

/// Is anybody left out? Fewer than 16 agents are no crowd: their averages are means.
MEMOA_API bool judges(const PopulationSettings& settings);

/// Inputs that the encoders see: x, and the past of y.
MEMOA_API Index n_encoded(const PopulationSettings& settings);
/// Does the caller hand in the agents' features?
MEMOA_API bool takes_features(const PopulationSettings& settings);
/// Features of an agent; of a mix of encoders, of the widest.
MEMOA_API Index n_features(const PopulationSettings& settings);
/// Has any agent an echo state?
MEMOA_API bool has_reservoirs(const PopulationSettings& settings);
/// Does the population keep the past of y? Numbers of it, 0 where not.
MEMOA_API bool remembers(const PopulationSettings& settings);
MEMOA_API Index past_size(const PopulationSettings& settings);

/// Numbers that are kept of a step that waits for its y, but for those of agents; 0 without a
/// delay.
MEMOA_API Index waiting_size(const PopulationSettings& settings);

/// All that was learnt, independent of the layout in memory. The encoders' weights are not part
/// of it: they follow from the seed. In a mix of encoders p is the largest of theirs: entries that
/// agents with fewer features, or without a reservoir, do not have are 0, and are not read.
struct PopulationMemory {
  Index steps = 0;                   ///< learnt
  Index has_seen = 0;                ///< 1 where any y was seen
  std::vector<double> base;          ///< (d)
  std::vector<double> shown_base;    ///< (d), the base of the last predictions
  std::vector<double> mean_field;    ///< (d)
  std::vector<double> costs;         ///< (N)
  std::vector<double> recent_loss;   ///< (N), where the crowd judges
  std::vector<double> gram;          ///< (N, p (p+1)/2), packed lower triangle of H
  std::vector<double> cross;         ///< (N, d, p), q
  std::vector<double> reservoir;     ///< (N, p), EchoState only
  std::vector<double> increments;    ///< (N, d), the last predictions
  std::vector<double> standardiser;  ///< (dx, 11), the numbers of every Coordinate
  std::vector<double> past;          ///< the numbers of the Past, where the population keeps it
  std::vector<double> sleep;         ///< (N, 2), where any agent was away: values of y that its
                                     ///< costs do not count, and 1 if it is away in a step that
                                     ///< waits for its y
  // where y comes late: what waits for it
  Index waiting = 0, waiting_first = 0;  ///< how many steps, and where the ring of them begins
  Index scored = 0;                      ///< values of y that costs count
  std::vector<double> waiting_steps;     ///< (delay + 1, numbers)
  std::vector<double> waiting_agents;    ///< (N, delay + 1, 3, d)
  std::vector<double> waiting_features;  ///< (N, delay + 1, p), EchoState and Precomputed only
  std::vector<double> largest_loss;      ///< (1): what counts in a recent loss at most
  // What `memory` says of itself and `restore` holds it to; none where it is not known.
  std::optional<std::uint64_t> seed;      ///< of the encoders
  std::optional<Index> first;             ///< the first agent's number
  std::optional<std::uint32_t> checksum;  ///< CRC-32 of the fields above
};

/// The last step at which an agent's numbers overflowed, and the first such agent; -1 each if there
/// was none. The agent repeated the base there, and no sum over agents saw it.
struct MEMOA_API Overflow {
  Index step = -1, agent = -1;
};

/// N online agents, theory section 6, steps 1 to 4: encode, forecast, agree, act; then learn.
/// An engine: it owns the agents' state. The same bits for any number of threads and on any
/// x86-64 processor. `Real` is the type of the agents' state; what goes in and out is double.
///
///     predict(x) shows every agent's prediction and leaves no trace until learn(y).
///
/// Where y comes late (`past.delay`) it takes steps together with its server alone: memoa/run.hpp.
///
/// Input is checked before anything changes (std::invalid_argument): NaN is a missing number in y
/// and in the inputs x, features must be finite, and the rest of a size whose squares are.
///
/// Several threads may call const members at once, while none calls another member; those count as
/// others that first finish what the agents put off: costs, costs_since_mark, missed,
/// missed_since_mark, worst_cost, memory.
template <class Real>
class MEMOA_API BasicPopulation {
 public:
  explicit BasicPopulation(PopulationSettings settings);
  ~BasicPopulation();
  BasicPopulation(BasicPopulation&&) noexcept;
  BasicPopulation& operator=(BasicPopulation&&) noexcept;

  const PopulationSettings& settings() const;

  /// Takes y (d) as the last value seen, without learning.
  void observe(const double* y);
  /// Was any y seen? Before, the base and all predictions are 0, and the first `learn` observes.
  bool has_seen() const;
  /// Predicts from the inputs x (dx), or from the agents' features (N, p) with Precomputed. Agents
  /// that are not `awake` (N) count in no average and are not charged for this step; they learn it
  /// all the same, theory (10.10). Null: all are. Not where several processes share the agents.
  void predict(const double* x, const unsigned char* awake = nullptr);
  /// Learns the y (d) that belongs to the x last predicted. The agents do so when they next encode,
  /// while their state passes through the processor anyway.
  void learn(const double* y);
  bool is_pending() const;  ///< predicted, not yet learnt

  Index steps() const;
  const double* base() const;        ///< (d), the last y
  const double* mean_field() const;  ///< (d), the mean of the last predictions
  /// The last predictions relative to the base, one row per output: (d, stride), stride >= N.
  const Real* increments() const;
  Index stride() const;
  void predictions(double* out) const;       ///< (N, d)
  void energies(double* out) const;          ///< (N,), |z|^2 of the last predictions
  void costs(double* out) const;             ///< (N,), sums of squared errors, theory (6.6)
  void mark_costs();                         ///< worst_cost counts from here on
  double worst_cost() const;                 ///< the largest cost of all since the last mark
  void costs_since_mark(double* out) const;  ///< (N,)
  /// Who is awake (N) in the step that waits for its y; false, and nothing written, where all are.
  bool awake(unsigned char* out) const;
  void missed(double* out) const;             ///< (N,), values of y that costs do not count
  void missed_since_mark(double* out) const;  ///< because the agent was away
  bool keeps_sleep() const;                   ///< does the memory hold `sleep`?

  Overflow overflow() const;

  /// Bytes that the agents' state and the engine's work on it take.
  std::size_t bytes() const;

  using Memory = PopulationMemory;
  Memory memory() const;
  /// Refuses a memory of other sizes, of other encoders, or of parts from several moments.
  void restore(const Memory& memory);

 private:
  friend struct detail::Inside;
  struct State;
  std::unique_ptr<State> state_;
};

/// Calls visit(name, field, shape) for every field of the memory of such a population: a number, of
/// shape {}, or an array. Whatever copies, checks or stores a memory goes by this list.
template <class Memory, class Real, class Visit>
void visit_fields(Memory& memory, const BasicPopulation<Real>& population, const Visit& visit) {
  const PopulationSettings& s = population.settings();
  const bool given = takes_features(s), echo = has_reservoirs(s);
  const Index N = s.n_agents, d = s.n_outputs, p = n_features(s), dx = given ? 0 : s.n_inputs;
  visit("steps", memory.steps, Shape{});
  visit("has_seen", memory.has_seen, Shape{});
  visit("base", memory.base, Shape{d});
  visit("shown_base", memory.shown_base, Shape{d});
  visit("mean_field", memory.mean_field, Shape{d});
  visit("costs", memory.costs, Shape{N});
  visit("recent_loss", memory.recent_loss, Shape{judges(s) ? N : 0});
  visit("gram", memory.gram, Shape{N, p * (p + 1) / 2});
  visit("cross", memory.cross, Shape{N, d, p});
  visit("reservoir", memory.reservoir, Shape{echo ? N : 0, p});
  visit("increments", memory.increments, Shape{N, d});
  visit("standardiser", memory.standardiser, Shape{dx, Coordinate::kNumbers});
  if (remembers(s)) visit("past", memory.past, Shape{past_size(s)});
  if (!memory.sleep.empty() || (!std::is_const_v<Memory> && population.keeps_sleep()))
    visit("sleep", memory.sleep, Shape{N, 2});
  if (s.past.delay == 0) return;
  const Index slots = s.past.delay + 1;
  visit("waiting", memory.waiting, Shape{});
  visit("waiting_first", memory.waiting_first, Shape{});
  visit("scored", memory.scored, Shape{});
  visit("waiting_steps", memory.waiting_steps, Shape{slots, waiting_size(s)});
  visit("waiting_agents", memory.waiting_agents, Shape{N, slots, 3, d});
  visit("waiting_features", memory.waiting_features, Shape{N, given || echo ? slots : 0, p});
  visit("largest_loss", memory.largest_loss, Shape{1});
}

using Population = BasicPopulation<double>;
using PopulationF32 = BasicPopulation<float>;  ///< half the memory and its traffic

}  // namespace memoa
