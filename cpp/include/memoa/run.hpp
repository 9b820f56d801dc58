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
template <class Real>
MEMOA_API void predict(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                       const double* x, double* forecast);

/// Learns the y (d) that belongs to the x last predicted.
template <class Real>
MEMOA_API void learn(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                     const double* y);

/// The server's forecasts (T, d) of every row of `inputs` as if it were the next input. Leaves no
/// trace: what was predicted before is still shown, and can still be learnt. It works on the
/// engines' scratch memory all the same: no other call at the same time.
template <class Real>
MEMOA_API void predict_rows(const BasicPopulation<Real>& population,
                            const BasicServerMixture<Real>& mixture, const double* inputs,
                            Index n_rows, double* forecasts);

/// Where `run` writes; every pointer but `predictions` may be null.
struct RunOutput {
  double* predictions = nullptr;  ///< (T, d), the server's
  double* shares = nullptr;       ///< (T, 4, d), as `BasicServerMixture::shares` has them
  double* mean_field = nullptr;   ///< (T, d)
  double* worst_cost = nullptr;   ///< (T,), the largest cost of an agent since the last mark
  double* recorded = nullptr;     ///< (T, n_record, d), predictions of the agents in `record`
  const Index* record = nullptr;
  Index n_record = 0;
};

/// Steps that a run takes through the agents at once; a slice of fewer is slower.
constexpr Index kRunTile = 16;

/// Called with the steps done, before the first one and after the last too; returns how many more
/// to take before it is called again, at least one. It may look at the engines, and throw: the
/// steps done are learnt then.
using Pace = std::function<Index(Index done)>;

/// A whole series: predict, mix, learn, for every step. `inputs` is (T, dx), or (T, N, p) with
/// Precomputed; `targets` is (T, d) and targets[t] belongs to inputs[t]. `initial` (d), unless it
/// is null, is observed first. All of it is checked before any of it is learnt.
template <class Real>
MEMOA_API void run(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                   const double* inputs, const double* targets, Index n_steps,
                   const RunOutput& output, const double* initial = nullptr, const Pace& pace = {});

}  // namespace memoa
