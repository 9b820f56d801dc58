#pragma once

#include <functional>

#include "memoa/mixture.hpp"
#include "memoa/population.hpp"

// A population and the server that mixes it, step by step or over a whole series; the same bits
// either way.
//
// Before any y was seen nothing is known: that step is predicted by 0, by every agent and by the
// server, and its y is observed, not learnt (theory section 6). `run` from the first step on learns
// what `observe(Y[0])` and `run` from the second step on do.
namespace memoa {

/// Predicts from the inputs x as `BasicPopulation::predict` does; writes the server's forecast (d).
/// The server takes agents that are not `awake` (N) to have said the mean field.
template <class Real>
MEMOA_API void predict(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                       const double* x, double* forecast, const unsigned char* awake = nullptr);

/// Learns the y (d) that belongs to the x last predicted.
template <class Real>
MEMOA_API void learn(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                     const double* y);

/// The server's forecasts (T, d) of every row of `inputs` as if it were the next input. Leaves no
/// trace: what was predicted before is still shown, and can still be learnt. It works on the
/// engines' scratch memory all the same: no other call at the same time. `awake` is (n_rows, N).
template <class Real>
MEMOA_API void predict_rows(const BasicPopulation<Real>& population,
                            const BasicServerMixture<Real>& mixture, const double* inputs,
                            Index n_rows, double* forecasts, const unsigned char* awake = nullptr);

/// Where `run` writes; every pointer but `predictions` may be null.
struct RunOutput {
  double* predictions = nullptr;  ///< (T, d), the server's
  double* shares = nullptr;       ///< (T, 4, d), as `BasicServerMixture::shares` has them
  double* mean_field = nullptr;   ///< (T, d)
  double* worst_cost = nullptr;   ///< (T,), the largest cost of an agent since the last mark
  double* recorded = nullptr;     ///< (T, n_record, d), predictions of the agents in `record`
  const Index* record = nullptr;
  Index n_record = 0;
  Index skip = 0;          ///< steps of a warm-up: no cost counts them, and the mark is set after
  double* next = nullptr;  ///< (d), the server's forecast of one more row of the inputs
  // where y comes late alone
  double* bases = nullptr;  ///< (T, d), the y known at each step; NaN where none was
  double* costs = nullptr;  ///< (N,), sums of squared errors of the run's own forecasts
};

/// Steps that a run takes through the agents at once; a slice of fewer is slower.
constexpr Index kRunTile = 16;

/// Called with the steps done, before the first one and after the last too; returns how many more
/// to take before it is called again, at least one. It may look at the engines, and throw: the
/// steps done are learnt then.
using Pace = std::function<Index(Index done)>;

/// Whose y is targets[t]: that of step t, or that which becomes known after its forecast.
enum class Labels { own, arriving };

/// A whole series: predict, mix, learn, for every step. `inputs` is (T, dx), or (T, N, p) with
/// Precomputed; `targets` is (T, d) and targets[t] belongs to inputs[t]. `initial` (d), unless it
/// is null, is observed first. All of it is checked before any of it is learnt.
///
/// With a delay targets[t] is learnt after the forecast of step t + delay, and those of the last
/// steps with the forecasts that come after the run. `initial` may be the delay + 1 values just
/// before targets[0] then (`n_initial`), which become known one after the other. Where labels are
/// `arriving`, targets[t] is instead what becomes known after the forecast of step t: the y of the
/// oldest one where delay + 1 wait, and else of no forecast; it is observed then.
///
/// `awake` (rows of `inputs`, N) tells who is awake at each step, as in `predict`; null: all are.
template <class Real>
MEMOA_API void run(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                   const double* inputs, const double* targets, Index n_steps,
                   const RunOutput& output, const double* initial = nullptr, const Pace& pace = {},
                   Index n_initial = 1, Labels labels = Labels::own,
                   const unsigned char* awake = nullptr);

// ------------------------------------------------------------------ where y comes late
//
// With a delay (`PopulationSettings::past`, and the mixture's the same) a forecast waits for its y
// while up to `delay` others are made: `predict` adds one, theory (10.7). Every input counts from
// its forecast on. `predict_rows` still leaves no trace.

/// Forecasts that wait for their y, and their inputs, the oldest first.
template <class Real>
MEMOA_API Index n_waiting(const BasicPopulation<Real>& population);
template <class Real>
MEMOA_API std::vector<double> waiting_inputs(const BasicPopulation<Real>& population);
/// Values of y that the agents' costs count.
template <class Real>
MEMOA_API Index n_scored(const BasicPopulation<Real>& population);

/// How many forecasts whose y a run has told leave before the y that belongs to x can be learnt.
template <class Real>
MEMOA_API Index n_told(const BasicPopulation<Real>& population, const double* x);

/// Learns the y (d) of the oldest forecast that waits, whose input x was, after those that a run
/// has told; NaN where it never comes.
template <class Real>
MEMOA_API void learn_oldest(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                            const double* x, const double* y);

/// Takes y (d) as the last value seen, without learning; forecasts go on waiting.
template <class Real>
MEMOA_API void observe(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                       const double* y);

}  // namespace memoa
