#pragma once

#include <vector>

#include "detail/crowd.hpp"
#include "detail/exchange.hpp"
#include "detail/population_records.hpp"
#include "detail/relative_game.hpp"

namespace memoa::detail {

/// The step last learnt, and whether the next pass still has to store it in the agents' state.
template <class Real>
struct Lesson {
  std::vector<Real> x;          // (dx), its standardised input
  std::vector<Real> change;     // (d), y - base
  std::vector<Real> bounded;    // (d), the change cut to the bound of what is learnt
  double largest_loss = 0.0;    // the most that one error adds to a recent loss
  Buffer<unsigned char> awake;  // (padded), 1 for agents that were; empty until any was away
  bool has_sleepers = false;
  bool to_records = false, to_costs = false;

  const unsigned char* awake_or_all() const { return has_sleepers ? awake.data() : nullptr; }
};

/// Consecutive steps that one pass takes through the agents.
template <class Real>
struct Window {
  Index steps = 0;
  const Real* x = nullptr;        // (steps, dx), standardised
  const double* given = nullptr;  // (steps, N, p), if the caller passes the features
  const Real* bound = nullptr;    // (steps, d): the largest forecasts allowed; null: no bound
  const Real* change = nullptr;   // (steps, d): what is learnt before each step
  const Real* next = nullptr;     // (steps, d): y - base of each step; null if not known yet
  Real* shown = nullptr;          // (steps, d, padded): forecasts
  Real* increment = nullptr;      // (steps, d, padded): after the policy; may be `shown`
  Real* energy = nullptr;         // (steps, padded)
  unsigned char* used = nullptr;  // (steps, d, padded), if agents are judged or some are away
  const unsigned char* awake = nullptr;  // (steps, padded), 1 or 0; null: all are awake
  Index learnt = 0;                      // number of steps learnt before the first one
  // what must be the same in all processes: inputs (steps, dx), the first base (d), and the y
  // (steps, d), null if not known yet
  const double *raw = nullptr, *base = nullptr, *targets = nullptr;
  bool keep_last = true;    // whether the last step will be learnt
  bool told = false;        // shown and energy already hold the forecasts of agents elsewhere
  bool want_worst = false;  // whether to record the largest cost after every step
};

/// Takes a window of steps through all agents: theory section 6, steps 1 to 4.
template <class Real>
class Pass {
 public:
  Pass(const PopulationSettings& settings, const Layout<Real>& layout, const Records<Real>& records,
       Kept<Real>& kept, Exchange& exchange);

  /// Learns the lesson, then takes the steps of the window, in one parallel region.
  /// It stops before the policy of agents that follow the server.
  void run(const Window<Real>& window, Lesson<Real>& lesson, bool follows);
  /// Their policy, with what the server forecasts from their own forecasts, `field` (steps, d).
  void play(const Window<Real>& window, const double* field);
  /// Adds the lesson to the costs, or to the costs and the records, if this is not done yet.
  void settle_costs(Lesson<Real>& lesson);
  void settle(Lesson<Real>& lesson);

  // Results of the last window.
  const double* mean(Index step) const { return &mean_[step * layout_.d]; }  ///< (d), increments
  const double* mean_forecast(Index step) const { return &cbar_[step * layout_.d]; }  ///< (d)
  double worst(Index step) const;
  double largest_loss(Index step) const { return judges_ ? crowd_.census(step).largest : 0.0; }
  Index overflowed(Index step) const;  ///< the first agent that overflowed in this step, or -1

  /// Allocates memory for windows in which some agents are away.
  void reserve_awake();

  std::size_t bytes() const;
  const Kernels<Real>& kernels() const { return kernels_; }

 private:
  void forecast_all(const Window<Real>& w, const Lesson<Real>& lesson, const Worker& worker);
  Advance<Real> advance_of(const Group& group, const Window<Real>& w,
                           const Lesson<Real>& lesson) const;
  void forecast(const Window<Real>& w, const Lesson<Real>& lesson, Index chunk, int thread);
  void forecast_apart(const Window<Real>& w, const Lesson<Real>& lesson, const Group& group,
                      Index chunk, Size* bad, int thread);
  void take_last(const Window<Real>& w, Index first, Index last);
  void gather(const Window<Real>& w, Index chunk);
  void add_told(const Window<Real>& w, Index chunk);
  void count_awake(const Window<Real>& w, Index chunk);
  void add_forecasts(const Window<Real>& w, Index chunk);
  void charge(const Lesson<Real>& lesson, Index first, Index last);
  void agree_on(const Window<Real>& w);
  void add_partials(Index width);
  double agents_of(Index chunk) const;
  double awake_in(Index chunk, Index step) const;
  double awake_at(Index step) const;
  void ask_largest_energies();
  void bound_energies();
  void find_responses(const Window<Real>& w);
  void add_answers();
  void find_mean_fields(const double* field);
  void respond(const Window<Real>& w, Index chunk);
  void take_census(const Window<Real>& w, Index chunk);
  void act(const Window<Real>& w, Index chunk);
  double step_work() const;
  bool greedy() const { return settings_.policy == PolicyKind::greedy; }

  const PopulationSettings& settings_;
  const Layout<Real>& layout_;
  const Records<Real>& records_;
  Kept<Real>& kept_;
  const Kernels<Real>& kernels_;
  const bool judges_;
  Crowd<Real> crowd_;
  Index steps_ = 0;            // of the last window
  bool has_sleepers_ = false;  // whether any agent was away in it

  std::vector<Buffer<std::byte>> work_;  // per thread
  struct Apart {  // per thread: results of a chunk of a group, if there are several groups
    Buffer<Real> forecast, energy;  // (steps, d, kChunkAgents), (steps, kChunkAgents)
    Buffer<Real> before;            // (d, kChunkAgents)
    std::vector<double> sums;       // (steps, d + 1)
  };
  std::vector<Apart> apart_;
  std::vector<double> partial_, worst_;  // (chunks, steps, d + 1), (chunks, steps)
  std::vector<Size> overflowed_;         // (chunks of all groups, steps)
  Index watched_ = 0;                    // number of chunks that the last window wrote there
  std::vector<double> awake_;            // (chunks, steps), how many agents; empty: all
  Exchange& exchange_;
  SharedSums sums_;
  std::vector<double> energies_;      // (chunks, steps)
  std::vector<double> means_;         // (steps, d + 1), of forecasts and energies
  std::vector<double> mean_, cbar_;   // (steps, d), of increments and of forecasts
  std::vector<Real> pull_;            // (steps, d)
  std::vector<RelativeStage> games_;  // (steps)
  std::vector<Response<Real>> responses_;
};

}  // namespace memoa::detail
