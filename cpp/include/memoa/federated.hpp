#pragma once

#include "memoa/run.hpp"

// The ensemble of theory section 6 with agents in other processes. A client runs its agents, as a
// greedy population, because the others need only their local forecasts, and reports these. The
// server computes the rest from them: mean field, policy, costs, mixture. A population and a server
// in one process give the same numbers, up to the order of sums.
namespace memoa {

/// Steps t of a series: the agents' forecasts, and which agents were present.
struct Told {
  const double* forecasts = nullptr;       ///< (T, N, d), c of theory section 6: minus the base
  const double* energies = nullptr;        ///< (T, N), |z|^2
  const unsigned char* present = nullptr;  ///< (T, N), 1 or 0; absent agents' numbers are not read
};

/// The client's half. Predicts `n_steps` inputs (T, dx), or (T, N, p) with Precomputed, and learns
/// the first `n_known` of them, T or T - 1, from targets (n_known, d); writes forecasts (T, N, d)
/// and energies (T, N), zeros for the step whose y is the first ever seen. The population must be
/// greedy. Everything is checked before anything is learnt.
template <class Real>
MEMOA_API void tell(BasicPopulation<Real>& population, const double* inputs, const double* targets,
                    Index n_steps, Index n_known, double* forecasts, double* energies);

/// The server's half: forecasts (T, d) and mean fields (T, d) of such steps; the first `n_known`
/// are learnt. The population's own agents never run. It stores what is known about all agents
/// (base, costs, recent losses), and its encoder is Precomputed of any width.
///
/// An absent agent counts in no average, its cost does not change, and the mixture uses the mean
/// field as its forecast: the step is that of an ensemble of the present agents. If all are absent,
/// the mean field is the base. Before any step was learnt, all forecasts are 0.
template <class Real>
MEMOA_API void hear(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                    const Told& told, const double* targets, Index n_steps, Index n_known,
                    double* predictions, double* mean_field);

}  // namespace memoa
