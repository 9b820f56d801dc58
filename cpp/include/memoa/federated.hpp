#pragma once

#include "memoa/run.hpp"

// The ensemble of theory section 6 whose agents live in other processes. A client runs its agents
// (greedy: their local forecasts are all that anybody else needs of them) and tells what they
// forecast; the server does the rest from that: mean field, policy, costs, mixture. A population
// and a server in one process give the same numbers, up to the order of sums.
namespace memoa {

/// Steps t along a series: what agents forecast in them, and who did.
struct Told {
  const double* forecasts = nullptr;       ///< (T, N, d), c of theory section 6: less the base
  const double* energies = nullptr;        ///< (T, N), |z|^2
  const unsigned char* present = nullptr;  ///< (T, N), 1 or 0; what absent agents tell is not read
};

/// The client's half. Predicts `n_steps` inputs (T, dx), or (T, N, p) with Precomputed, and learns
/// the first `n_known` of them, T or T - 1, from targets (n_known, d); writes forecasts (T, N, d)
/// and energies (T, N), zeros for the step whose y is the first ever seen. The population must be
/// greedy. All of it is checked before any of it is learnt.
template <class Real>
MEMOA_API void tell(BasicPopulation<Real>& population, const double* inputs, const double* targets,
                    Index n_steps, Index n_known, double* forecasts, double* energies);

/// The server's half: forecasts (T, d) and mean fields (T, d) of such steps, of which the first
/// `n_known` are learnt. The population's own agents are never run: it keeps what is known of the
/// absent and the present (base, costs, recent losses), and its encoder is Precomputed of any
/// width.
///
/// An agent that is absent counts in no average and is not charged, and the mixture takes it to
/// have said the mean field: the step is that of an ensemble of those present. Without any of them
/// the mean field is the base. Before any step was learnt all forecasts are 0, whatever is told.
template <class Real>
MEMOA_API void hear(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                    const Told& told, const double* targets, Index n_steps, Index n_known,
                    double* predictions, double* mean_field);

}  // namespace memoa
