#pragma once

#include "memoa/run.hpp"

// Steps of a series whose y arrives late, theory (10.7): the functions of memoa/run.hpp use these
// if there is a delay.
namespace memoa::detail {

template <class Real>
void predict_late(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                  const double* x, double* forecast);

/// If all `delay + 1` slots are full, learns the oldest steps whose y is already known from a run,
/// so that a new forecast has a slot.
template <class Real>
void learn_told(const BasicPopulation<Real>& population, const BasicServerMixture<Real>& mixture);

/// A whole series, already checked. `n_initial` is 1, or delay + 1 if no forecast waits.
template <class Real>
void run_late(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
              const double* inputs, const double* targets, Index n_steps, const RunOutput& output,
              const double* initial, Index n_initial, const Pace& pace, Labels labels);

}  // namespace memoa::detail
