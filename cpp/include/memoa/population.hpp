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

/// greedy: every agent shows its local forecast. memoa: the mean-field Nash policy, theory (6.2).
enum class PolicyKind { memoa, greedy };

/// What the policy takes for the mean field, theory (6.17): the forecast of a server with rivals,
/// or the mean of the agents. The latter is the only one where there is no such server.
enum class Follow { server, mean };

/// `aggregate` says which agents count in averages, theory section 6, step 3.
///
/// - mean: all.
/// - clip: the agents within the crowd's range whose recent loss is not far above the usual one.
///   The mixture uses only these agents too.
/// - trimmed: averages count only the middle part of these.
struct PopulationSettings {
  Index n_agents = 64;  ///< in this process; `shard` has the total
  Index n_inputs = 1;   ///< dx; not used by Precomputed
  Index n_outputs = 1;  ///< d
  /// One encoder for all agents, or one per type. Precomputed must be the only encoder.
  Encoders encoder = RandomFeatures{16, Activation::wave, 1.0, 4, 2};
  PolicyKind policy = PolicyKind::memoa;
  double consensus = 10.0;  ///< l >= 0
  double effort = 0.01;     ///< g > 0
  Index horizon = 8;        ///< T >= 1
  double discount = 0.0;    ///< rate a >= 0
  /// One value for all agents or one per type. With K types, agent i has type i mod K. Both lists
  /// have the same K if both have types. Types of encoders are counted separately: with two
  /// encoders and three types, each encoder has agents of all three types.
  std::vector<double> forgetting = {0.95, 0.99, 0.998};  ///< lambda in (0, 1]
  std::vector<double> ridge = {0.001, 0.01, 0.1};        ///< > 0
  Aggregate aggregate = Aggregate::trimmed;
  /// What agents see in addition to x; ignored with Precomputed.
  PastSettings past = {6, kAutoSeason};
  /// Increments far above the usual size are cut before they are learnt, and no forecast is larger
  /// than the increments learnt, theory (6.13).
  bool bounded = true;
  Follow follow = Follow::server;
  std::uint64_t seed = 0;
  int n_threads = 0;  ///< 0: all that the process may use
  Shard shard;        ///< by default this process has all agents

  Index total() const { return shard.total > 0 ? shard.total : n_agents; }
};

/// Throws std::invalid_argument that names the bad setting.
MEMOA_API void validate(const PopulationSettings& settings);

/// Whether agents may be left out of averages. Fewer than 16 agents are not a crowd: their averages
/// are plain means.
MEMOA_API bool judges(const PopulationSettings& settings);

/// Number of inputs that the encoders see: x and the past of y.
MEMOA_API Index n_encoded(const PopulationSettings& settings);
/// Whether the caller passes the agents' features (Precomputed).
MEMOA_API bool takes_features(const PopulationSettings& settings);
/// Number of features of an agent; with several encoders, of the widest one.
MEMOA_API Index n_features(const PopulationSettings& settings);
/// Whether any agent has an echo state.
MEMOA_API bool has_reservoirs(const PopulationSettings& settings);
/// Whether the population stores the past of y, and how many numbers this takes (0 if not).
MEMOA_API bool remembers(const PopulationSettings& settings);
MEMOA_API Index past_size(const PopulationSettings& settings);

/// How many numbers are stored for each step that waits for its y, without those of the agents; 0
/// if there is no delay.
MEMOA_API Index waiting_size(const PopulationSettings& settings);

/// All that was learnt, independent of the layout in memory. The encoders' weights are not part of
/// it: they follow from the seed. With several encoders, p is the largest number of features. The
/// entries that an agent with fewer features, or without a reservoir, does not have are 0, and they
/// are not read.
struct PopulationMemory {
  Index steps = 0;                   ///< learnt
  Index has_seen = 0;                ///< 1 if any y was seen
  std::vector<double> base;          ///< (d)
  std::vector<double> shown_base;    ///< (d), the base of the last predictions
  std::vector<double> mean_field;    ///< (d)
  std::vector<double> costs;         ///< (N)
  std::vector<double> recent_loss;   ///< (N), only if `judges`
  std::vector<double> gram;          ///< (N, p (p+1)/2), packed lower triangle of H
  std::vector<double> cross;         ///< (N, d, p), q
  std::vector<double> reservoir;     ///< (N, p), EchoState only
  std::vector<double> increments;    ///< (N, d), the last predictions
  std::vector<double> standardiser;  ///< (dx, 11), the numbers of every Coordinate
  std::vector<double> past;          ///< the numbers of the Past, only if `remembers`
  std::vector<double> sleep;         ///< (N, 2), only if an agent was away: the number of values
                                     ///< of y that its costs do not count, and 1 if it is away in
                                     ///< the step that waits for its y
  // only if y arrives late: the steps that wait for it
  Index waiting = 0, waiting_first = 0;  ///< how many steps, and where their ring begins
  Index scored = 0;                      ///< values of y that costs count
  std::vector<double> waiting_steps;     ///< (delay + 1, numbers)
  std::vector<double> waiting_agents;    ///< (N, delay + 1, 3, d)
  std::vector<double> waiting_features;  ///< (N, delay + 1, p), EchoState and Precomputed only
  std::vector<double> largest_loss;      ///< (1): the most that one error adds to a recent loss
  // Written by `memory` and checked by `restore`; empty if not known.
  std::optional<std::uint64_t> seed;      ///< of the encoders
  std::optional<Index> first;             ///< the first agent's number
  std::optional<std::uint32_t> checksum;  ///< CRC-32 of the fields above
};

/// The last step at which an agent's numbers overflowed, and the first such agent; both are -1 if
/// this never happened. The agent repeated the base at this step, and no sum over agents counted
/// it.
struct MEMOA_API Overflow {
  Index step = -1, agent = -1;
};

/// N online agents, theory section 6, steps 1 to 4: encode, forecast, agree, act; then learn.
/// An engine: it owns the agents' state. The bits are the same for any number of threads and on any
/// x86-64 processor. `Real` is the type of the agents' state; inputs and results are double.
///
/// `predict(x)` computes every agent's prediction. It changes nothing that was learnt until
/// `learn(y)`.
///
/// If y arrives late (`past.delay`), the population can only be used together with its server, by
/// the functions of memoa/run.hpp.
///
/// Input is checked before anything changes (std::invalid_argument). NaN in y or x means a missing
/// number. Features must be finite. All other numbers must be so small that their squares are
/// finite.
///
/// Several threads may call const members at once, while none calls another member. Some const
/// members count as non-const here, because they first finish the last step: costs,
/// costs_since_mark, missed, missed_since_mark, worst_cost, memory.
template <class Real>
class MEMOA_API BasicPopulation {
 public:
  explicit BasicPopulation(PopulationSettings settings);
  ~BasicPopulation();
  BasicPopulation(BasicPopulation&&) noexcept;
  BasicPopulation& operator=(BasicPopulation&&) noexcept;

  const PopulationSettings& settings() const;

  /// Sets the last value seen to y (d), without learning.
  void observe(const double* y);
  /// Whether any y was seen. Before that, the base and all predictions are 0, and the first `learn`
  /// only observes.
  bool has_seen() const;
  /// Predicts from the inputs x (dx), or from the agents' features (N, p) with Precomputed. Agents
  /// that are not `awake` (N) count in no average, and this step adds nothing to their costs; they
  /// still learn it, theory (10.10). Null: all are awake. Not possible if several processes share
  /// the agents.
  void predict(const double* x, const unsigned char* awake = nullptr);
  /// Learns the y (d) that belongs to the x last predicted. The agents learn it in the next pass,
  /// which has to load their state anyway.
  void learn(const double* y);
  bool is_pending() const;  ///< whether a prediction waits to be learnt

  Index steps() const;
  const double* base() const;        ///< (d), the last y
  const double* mean_field() const;  ///< (d), the mean of the last predictions
  /// The last predictions relative to the base, one row per output: (d, stride), stride >= N.
  const Real* increments() const;
  Index stride() const;
  void predictions(double* out) const;       ///< (N, d)
  void energies(double* out) const;          ///< (N,), |z|^2 of the last predictions
  void costs(double* out) const;             ///< (N,), sums of squared errors, theory (6.6)
  void mark_costs();                         ///< worst_cost starts to count here
  double worst_cost() const;                 ///< the largest cost of any agent since the last mark
  void costs_since_mark(double* out) const;  ///< (N,)
  /// Which agents are awake (N) in the step that waits for its y. If all are, returns false and
  /// writes nothing.
  bool awake(unsigned char* out) const;
  /// (N,), how many values of y the agent's costs do not count, because it was away.
  void missed(double* out) const;
  void missed_since_mark(double* out) const;  ///< (N,)
  bool keeps_sleep() const;                   ///< whether the memory has the field `sleep`

  Overflow overflow() const;

  /// Bytes of the agents' state and of the engine's scratch memory.
  std::size_t bytes() const;

  using Memory = PopulationMemory;
  Memory memory() const;
  /// Refuses a memory with other sizes, other encoders, or parts from different times.
  void restore(const Memory& memory);

 private:
  friend struct detail::Inside;
  struct State;
  std::unique_ptr<State> state_;
};

/// Calls visit(name, field, shape) for every field of the memory of such a population: a number, of
/// shape {}, or an array. All code that copies, checks or stores a memory uses this list.
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
using PopulationF32 = BasicPopulation<float>;  ///< half the memory and its bandwidth

}  // namespace memoa
