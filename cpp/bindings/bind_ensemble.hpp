#pragma once

#include "arrays.hpp"
#include "memoa/ensemble.hpp"

namespace memoa::python {

using LockedEnsemble = Locked<OnlineEnsemble, OnlineEnsembleF32>;

inline const PopulationSettings& settings_of(const LockedEnsemble& ensemble) {
  return ensemble.look([](const auto& e) -> const PopulationSettings& { return e.settings(); });
}

/// Expected shape of one step's input.
inline Shape input_shape(const PopulationSettings& s) {
  if (takes_features(s)) return {s.n_agents, n_features(s)};
  return {s.n_inputs};
}

}  // namespace memoa::python
