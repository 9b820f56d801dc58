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

/// How the server weighs the agents, theory (6.3):
///
///     u = argmin_{sum u = total} sum_s decay^(age of s) |y_s - sum_i u_i yhat^i_s|^2 + kappa |u|^2
///
/// over the last `window` steps. kappa = ridge N (mean squared error of the agents in the window),
/// free of units; with `absolute` kappa is the ridge itself. A window of 0 means equal weights.
/// With `fallback` the server averages that mixture with the base, the last value seen, by
/// exponential weights of their past losses, theory (6.7): an unpredictable series costs next to
/// nothing. With `rivals` it is one of several, theory (6.15), in place of (6.7): the agents by
/// exponential weights, seasonal repetition and the last value are the others.
struct Mixture {
  Index window = 48;
  double decay = 0.99;
  double ridge = 0.1;
  double total = 1.0;
  bool absolute = false;
  bool fallback = true;
  bool rivals = true;
  Index season = kAutoSeason;  ///< of the rival: a period in steps, 0 for none, or kAutoSeason
  Index start = 2;             ///< the base is repeated until so many steps are learnt
  Index delay = 0;             ///< steps by which y comes late: the population's
};

/// Throws std::invalid_argument that names the option at fault.
MEMOA_API void validate(const Mixture& mixture);

/// The weights (N,) of the argmin above for predictions (W, N, d) and targets (W, d), latest last.
/// The window is W whatever `mixture.window` says. No error at all (kappa = 0): equal weights.
MEMOA_API std::vector<double> mixture_weights(const double* predictions, const double* targets,
                                              Index window, Index n_agents, Index n_outputs,
                                              const Mixture& mixture);

/// All that was learnt: a restored server goes on with the same bits.
struct MixtureMemory {
  Index steps = 0, newest = -1;  ///< learnt so far; the window is a ring of slots
  std::vector<double> errors;    ///< (window, d, N), yhat - y
  std::vector<double> targets;   ///< (window, d)
  std::vector<double> gram;      ///< (window d, window d), errors errors'
  std::vector<double> row_sums;  ///< (window d), errors summed over agents
  std::vector<double> last;      ///< (d), the last target
  std::vector<double> losses;    ///< (7, d): base's sum, two largest; mixture's; its lead
  // of rivals alone
  std::vector<double> agent_losses;       ///< (d, N)
  std::vector<double> rivals;             ///< (d, 14): steps they count, the least, the levels
  std::vector<double> past;               ///< the numbers of the Past
  std::optional<std::uint32_t> checksum;  ///< CRC-32 of them all, which `restore` holds it to
};

/// The server's online weights: an engine that owns the window. The argmin is solved in the dual
/// (window x d unknowns, never N), and a step reads the window once. Fewer than three steps of
/// history (one where `absolute`) mean equal weights. `Real` is the type of the window's numbers;
/// all sums of them are double. Input must be finite and not too large
/// (std::invalid_argument, before anything changes).
///
/// Several threads may call const members at once, while none calls another member; memory counts
/// as another, since it first finishes the last step.
template <class Real>
class MEMOA_API BasicServerMixture {
 public:
  /// `n_agents` are those here, of all that the shard tells of.
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
  /// Takes a step's predictions (N, d) and target (d) into the window.
  void update(const double* predictions, const double* target);
  /// The present weights (N,).
  void weights(double* out);
  /// The weight (d) of the mixture in the forecast, the rest being that of the base; 1 without
  /// `fallback`.
  void mixture_weight(double* out) const;
  /// Shares (4, d) in the forecast: of the mixture, of the agents by exponential weights, of the
  /// season and of the base.
  void shares(double* out);
  /// Weights (N, d) of the agents in the forecast: what the mixture and the exponential weights
  /// give them, by the shares of the two.
  void forecast_weights(double* out);

  /// The same two for predictions as increments from a base (d), one row per output: increments
  /// (d, stride >= N). `settle` takes the increments of the last `predict_increments`, and throws
  /// std::invalid_argument where there are none.
  void predict_increments(const Real* increments, Index stride, const double* base, double* mixed);
  void settle(const double* target);

  using Memory = MixtureMemory;
  Memory memory() const;
  /// Refuses a memory of other sizes, or of parts from several moments.
  void restore(const Memory& memory);

 private:
  friend struct detail::Inside;
  struct State;
  std::unique_ptr<State> state_;
};

/// Numbers of the past that rivals keep.
MEMOA_API Index past_size(const Mixture& mixture, Index n_outputs);

/// Calls visit(name, field, shape) for every field of the memory of such a server: a number, of
/// shape
/// {}, or an array. Whatever copies, checks or stores a memory goes by this list.
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
