#pragma once

#include <optional>

#include "detail/inside.hpp"
#include "detail/json.hpp"
#include "detail/late_intervals.hpp"
#include "detail/population_state.hpp"
#include "memoa/ensemble.hpp"

namespace memoa {

/// The two engines with their intervals, and what must be known between two calls.
template <class Real>
struct BasicOnlineEnsemble<Real>::State {
  /// A forecast whose y may be learnt.
  struct Shown {
    bool is_there = false;
    std::vector<double> x;
    std::vector<unsigned char> awake;  // empty: all are

    void set(const double* inputs, const unsigned char* present, Index N) {
      is_there = false;
      awake.assign(present, present + (present != nullptr ? N : 0));
      std::copy_n(inputs, x.size(), x.begin());
    }
  };

  BasicPopulation<Real> population;
  BasicServerMixture<Real> server;
  std::optional<Intervals> bands;
  std::optional<detail::LateIntervals> late;  // where y comes late, the same bands
  std::vector<double> forecast, bounds;       // the last
  Shown shown, earlier;                       // the last forecast, and the one before it
  bool is_judged = false;                     // will the intervals learn from the last forecast?
  Index missing = 0;          // values of y in the steps learnt, unless y comes late
  std::string note = "null";  // of the file that this was loaded from

  State(BasicPopulation<Real> agents, BasicServerMixture<Real> mixing,
        const std::vector<double>& levels);
  State(State&&) = delete;  // `late` holds on to `bands`

  static std::size_t size(Index n) { return static_cast<std::size_t>(n); }
  Index d() const { return population.settings().n_outputs; }
  Index N() const { return population.settings().n_agents; }
  Index width() const { return detail::Inside::of(population).width(); }
  Index delay() const { return population.settings().past.delay; }
  bool is_late() const { return delay() > 0; }
  static const std::vector<double>& no_levels() {
    static const std::vector<double> none;
    return none;
  }
  const std::vector<double>& levels() const { return bands ? bands->levels() : no_levels(); }
  Index scored() const {
    return is_late() ? n_scored(population) : population.steps() * d() - missing;
  }

  // ------------------------------------------------------------------ one step

  bool waits() const { return shown.is_there && population.is_pending(); }
  bool waits_for(const VectorView& x) const;

  /// From a copy of the inputs, which the caller may change at any time.
  void forecast_of(Shown& one);
  /// Where it fails, the forecast from before is shown again.
  void predict(const double* x, const unsigned char* awake = nullptr);
  /// Of `shown`; where memory is missing it is predicted anew when its y is learnt.
  void show_again();
  void take_back();
  void learn(const double* y);
  void step(const double* x, const double* y);  ///< all of it, or nothing
  /// What costs and intervals count of a learnt step, of which the agents knew something before.
  void count(const double* forecasts, const double* y);

  // ------------------------------------------------------------------ a run

  /// Steps of Y until a y of every output has been seen, that step included.
  Index steps_unseen(const MatrixView& Y, const double* initial) const;
  /// The same of the steps of a run, `learnt` of them; writes the bounds around every forecast.
  void count_run(const MatrixView& Y, const double* forecasts, Index first, Index learnt,
                 double* around);
  Scored run(const MatrixView& X, const MatrixView& Y, EnsembleOutput output,
             const RunOptions& options);
  /// Where y comes late the sums of squares are there already.
  void write_errors(Index values, std::vector<double>& missed, double* rmse) const;

  // ------------------------------------------------------------------ where y comes late

  /// What the engines have learnt of what a run had told, the intervals learn too; `more`: how many
  /// more wait than the intervals know of.
  void catch_up(Index more);
  template <class Call>
  void follow(Index more, const Call& call) {
    try {
      call();
    } catch (...) {
      catch_up(0);
      throw;
    }
    catch_up(more);
  }

  void predict_late(const double* x, const unsigned char* awake);
  void learn_late(const double* x, const double* y);

  // ------------------------------------------------------------------ the file's note

  /// A note, and what the engines' memories do not tell; its members that are none of ours stay.
  std::string with_learnt(const std::string& kept) const;
  static std::vector<double> levels_of(const detail::Json& told);
  void read_note(const detail::Json& told);
};

}  // namespace memoa
