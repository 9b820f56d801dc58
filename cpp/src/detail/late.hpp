#pragma once

#include "memoa/run.hpp"

// Steps of a series whose y comes late, theory (10.7): what memoa/run.hpp does where there is a
// delay.
namespace memoa::detail {

template <class Real>
void predict_late(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                  const double* x, double* forecast);

/// The steps that were predicted when all `delay + 1` may wait, and that a run has told the y of,
/// leave before the next one comes.
template <class Real>
void learn_told(const BasicPopulation<Real>& population, const BasicServerMixture<Real>& mixture);

/// A whole series that was checked; `n_initial` is 1, or delay + 1 where nothing waits.
template <class Real>
void run_late(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
              const double* inputs, const double* targets, Index n_steps, const RunOutput& output,
              const double* initial, Index n_initial, const Pace& pace, Labels labels);

}  // namespace memoa::detail
