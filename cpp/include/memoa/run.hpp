#pragma once

#include <functional>

#include "memoa/mixture.hpp"
#include "memoa/population.hpp"

// A population and the server that mixes its forecasts, step by step or over a whole series. Both
// ways give the same bits.
//
// Before the first y is seen, nothing is known: every agent and the server predict 0 for that step,
// and its y is observed, not learnt (theory section 6). So `run` on a whole series learns the same
// as `observe(Y[0])` followed by `run` on the rest.
namespace memoa {

/// Predicts from the inputs x as `BasicPopulation::predict` does, and writes the server's forecast
/// (d). For agents that are not `awake` (N), the server uses the mean field as their forecast.
template <class Real>
MEMOA_API void predict(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                       const double* x, double* forecast, const unsigned char* awake = nullptr);

/// Learns the y (d) that belongs to the x last predicted.
template <class Real>
MEMOA_API void learn(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                     const double* y);

/// The server's forecasts (n_rows, d), one for each row of `inputs` as if it were the next input.
/// Nothing that was learnt changes: the last prediction is still shown, and can still be learnt.
/// The engines' scratch memory is used, so no other thread may call them at the same time. `awake`
/// is (n_rows, N).
template <class Real>
MEMOA_API void predict_rows(const BasicPopulation<Real>& population,
                            const BasicServerMixture<Real>& mixture, const double* inputs,
                            Index n_rows, double* forecasts, const unsigned char* awake = nullptr);

/// Where `run` writes. Every pointer except `predictions` may be null.
struct RunOutput {
  double* predictions = nullptr;  ///< (T, d), the server's
  double* shares = nullptr;       ///< (T, 4, d), see `BasicServerMixture::shares`
  double* mean_field = nullptr;   ///< (T, d)
  double* worst_cost = nullptr;   ///< (T,), the largest cost of an agent since the last mark
  double* recorded = nullptr;     ///< (T, n_record, d), predictions of the agents in `record`
  const Index* record = nullptr;
  Index n_record = 0;
  Index skip = 0;          ///< steps of a warm-up: no cost counts them; the mark is set after them
  double* next = nullptr;  ///< (d), the server's forecast for one more row of the inputs
  // only if y arrives late
  double* bases = nullptr;  ///< (T, d), the last y known at each step; NaN if none was
  double* costs = nullptr;  ///< (N,), sums of squared errors of the forecasts of this run
};

/// Number of steps that a run takes through the agents at once. Calls with fewer steps are slower.
constexpr Index kRunTile = 16;

/// Called with the number of steps done, also before the first step and after the last. Returns how
/// many more steps to take before it is called again, at least one. It may read the engines, and it
/// may throw: then the steps done so far are learnt.
using Pace = std::function<Index(Index done)>;

/// What targets[t] is. own: the y of step t. arriving: the y that becomes known after the forecast
/// of step t.
enum class Labels { own, arriving };

/// A whole series: predict, mix, learn, for every step. `inputs` is (T, dx), or (T, N, p) with
/// Precomputed; `targets` is (T, d) and targets[t] belongs to inputs[t]. If `initial` (d) is not
/// null, it is observed first. Everything is checked before anything is learnt.
///
/// With a delay, targets[t] is learnt after the forecast of step t + delay. The targets of the last
/// steps are learnt with the forecasts that follow the run. In this case `initial` may hold
/// `n_initial` = delay + 1 values, those just before targets[0]; they become known one after the
/// other. With `Labels::arriving`, targets[t] is what becomes known after the forecast of step t.
/// If delay + 1 forecasts wait, it is the y of the oldest one. Otherwise it belongs to no forecast
/// and is only observed.
///
/// `awake` (rows of `inputs`, N) says which agents are awake at each step, as in `predict`; null:
/// all are.
template <class Real>
MEMOA_API void run(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                   const double* inputs, const double* targets, Index n_steps,
                   const RunOutput& output, const double* initial = nullptr, const Pace& pace = {},
                   Index n_initial = 1, Labels labels = Labels::own,
                   const unsigned char* awake = nullptr);

// ------------------------------------------------------------------ if y arrives late
//
// With a delay (`PopulationSettings::past`, and the same in the mixture), a forecast waits for its
// y while up to `delay` other forecasts are made: `predict` adds one, theory (10.7). An input
// enters the running moments of the inputs as soon as its forecast is made. `predict_rows` still
// changes nothing.

/// The number of forecasts that wait for their y, and their inputs, oldest first.
template <class Real>
MEMOA_API Index n_waiting(const BasicPopulation<Real>& population);
template <class Real>
MEMOA_API std::vector<double> waiting_inputs(const BasicPopulation<Real>& population);
/// How many values of y the agents' costs count.
template <class Real>
MEMOA_API Index n_scored(const BasicPopulation<Real>& population);

/// How many of the oldest waiting forecasts must be learnt before the y that belongs to x. Their y
/// is known already, from a run.
template <class Real>
MEMOA_API Index n_told(const BasicPopulation<Real>& population, const double* x);

/// Learns the y (d) of the forecast whose input was x. It must be the oldest waiting forecast,
/// apart from those whose y is known from a run; these are learnt first. NaN if y never arrives.
template <class Real>
MEMOA_API void learn_oldest(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                            const double* x, const double* y);

/// Sets the last value seen to y (d), without learning. Waiting forecasts keep waiting.
template <class Real>
MEMOA_API void observe(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                       const double* y);

}  // namespace memoa
