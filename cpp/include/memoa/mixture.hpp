#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "memoa/past.hpp"
#include "memoa/shard.hpp"

namespace memoa {

namespace detail {
struct Inside;
}

/// How the server weights the agents, theory (6.3):
///
///     u = argmin_{sum u = total} sum_s decay^(age of s) |y_s - sum_i u_i yhat^i_s|^2 + kappa |u|^2
///
/// over the last `window` steps. kappa = ridge N (mean squared error of the agents in the window),
/// without units; with `absolute` kappa is the ridge itself. A window of 0 means equal weights.
/// With `fallback` the server averages this mixture with the base, the last value seen, by
/// exponential weights of their past losses, theory (6.7). So an unpredictable series costs almost
/// nothing. With `rivals`, theory (6.15) replaces (6.7): the mixture is one of several rivals. The
/// others are the agents with exponential weights, seasonal repetition and the last value.
struct Mixture {
  Index window = 48;
  double decay = 0.99;
  double ridge = 0.1;
  double total = 1.0;
  bool absolute = false;
  bool fallback = true;
  bool rivals = true;
  Index season = kAutoSeason;  ///< of seasonal repetition: steps, 0 for none, or kAutoSeason
  Index start = 2;             ///< number of steps learnt before the base is no longer repeated
  Index delay = 0;             ///< steps by which y arrives late; must be the population's
};

/// Throws std::invalid_argument that names the bad option.
MEMOA_API void validate(const Mixture& mixture);

/// The weights (N,) of the argmin above for predictions (W, N, d) and targets (W, d), latest last.
/// The window is W, and `mixture.window` is ignored. Without any error (kappa = 0): equal weights.
MEMOA_API std::vector<double> mixture_weights(const double* predictions, const double* targets,
                                              Index window, Index n_agents, Index n_outputs,
                                              const Mixture& mixture);

/// All that was learnt: a restored server continues with the same bits.
struct MixtureMemory {
  Index steps = 0, newest = -1;  ///< learnt so far; the window is a ring of slots
  std::vector<double> errors;    ///< (window, d, N), yhat - y
  std::vector<double> targets;   ///< (window, d)
  std::vector<double> gram;      ///< (window d, window d), errors errors'
  std::vector<double> row_sums;  ///< (window d), errors summed over agents
  std::vector<double> last;      ///< (d), the last target
  std::vector<double> losses;    ///< (7, d): base's sum, two largest; mixture's; its lead
  // only with rivals
  std::vector<double> agent_losses;       ///< (d, N)
  std::vector<double> rivals;             ///< (d, 14): counted steps, the least loss, the levels
  std::vector<double> past;               ///< the numbers of the Past
  std::optional<std::uint32_t> checksum;  ///< CRC-32 of all fields; `restore` checks it
};

/// The server's online weights: an engine that owns the window. The argmin is solved in the dual
/// (window x d unknowns, never N), and a step reads the window once. With fewer than three steps of
/// history (one with `absolute`) weights are equal. `Real` is the type of the window's numbers; all
/// their sums are double. Input must be finite and not too large (std::invalid_argument, before
/// anything changes).
///
/// Several threads may call const members at once, while none calls another member. memory counts
/// as non-const here, because it first finishes the last step.
template <class Real>
class MEMOA_API BasicServerMixture {
 public:
  /// `n_agents` is the number in this process; the shard has the total.
  BasicServerMixture(Index n_agents, Index n_outputs, Mixture mixture = {}, int n_threads = 0,
                     const Shard& shard = {});
  ~BasicServerMixture();
  BasicServerMixture(BasicServerMixture&&) noexcept;
  BasicServerMixture& operator=(BasicServerMixture&&) noexcept;

  Index n_agents() const;
  Index n_outputs() const;
  const Mixture& settings() const;
  Index steps() const;  ///< learnt so far

  /// The server's forecast (d) from predictions (N, d). The base is the last target here.
  void predict(const double* predictions, double* mixed);
  /// Adds a step's predictions (N, d) and target (d) to the window.
  void update(const double* predictions, const double* target);
  /// The present weights (N,).
  void weights(double* out);
  /// The weight (d) of the mixture in the forecast; the base has the rest. It is 1 without
  /// `fallback`.
  void mixture_weight(double* out) const;
  /// Shares (4, d) in the forecast: of the mixture, of the agents by exponential weights, of the
  /// season and of the base.
  void shares(double* out);
  /// Weights (N, d) of the agents in the forecast: those of the mixture and the exponential
  /// weights, each times its share.
  void forecast_weights(double* out);

  /// predict and update for predictions as increments from a base (d), with one row per output:
  /// (d, stride >= N). `settle` learns the increments of the last `predict_increments`, and throws
  /// std::invalid_argument if there are none.
  void predict_increments(const Real* increments, Index stride, const double* base, double* mixed);
  void settle(const double* target);

  using Memory = MixtureMemory;
  Memory memory() const;
  /// Refuses a memory with other sizes, or with parts from different times.
  void restore(const Memory& memory);

 private:
  friend struct detail::Inside;
  struct State;
  std::unique_ptr<State> state_;
};

/// Number of values that the rivals keep of the past.
MEMOA_API Index past_size(const Mixture& mixture, Index n_outputs);

/// Calls visit(name, field, shape) for every field of the memory of such a server: a number, of
/// shape
/// {}, or an array. All code that copies, checks or stores a memory uses this list.
template <class Memory, class Real, class Visit>
void visit_fields(Memory& memory, const BasicServerMixture<Real>& server, const Visit& visit) {
  const Index window = server.settings().window, N = server.n_agents(), d = server.n_outputs();
  visit("steps", memory.steps, Shape{});
  visit("newest", memory.newest, Shape{});
  visit("errors", memory.errors, Shape{window, d, N});
  visit("targets", memory.targets, Shape{window, d});
  visit("gram", memory.gram, Shape{window * d, window * d});
  visit("row_sums", memory.row_sums, Shape{window * d});
  visit("last", memory.last, Shape{d});
  visit("losses", memory.losses, Shape{7, d});
  if (!server.settings().rivals) return;
  visit("agent_losses", memory.agent_losses, Shape{d, N});
  visit("rivals", memory.rivals, Shape{d, 14});
  visit("past", memory.past, Shape{past_size(server.settings(), d)});
}

using ServerMixture = BasicServerMixture<double>;
using ServerMixtureF32 = BasicServerMixture<float>;

}  // namespace memoa
