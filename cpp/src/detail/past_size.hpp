#pragma once

#include <limits>

#include "memoa/past.hpp"

namespace memoa::detail {

/// Sizes that no machine has are counted as this many inputs.
constexpr Index kMostInputs = std::numeric_limits<Index>::max() / 4;

/// Bytes of a Past of so many outputs.
inline double bytes_of_past(const PastSettings& past, Index n_outputs) {
  const double lags = static_cast<double>(past.lags),
               season = past.season == 0  ? 0.0
                        : past.season > 0 ? static_cast<double>(past.season)
                                          : 60.0;
  const double late = past.season == 0 ? 0.0 : static_cast<double>(past.delay);
  return 8.0 * static_cast<double>(n_outputs) *
         (lags + 3.0 * Coordinate::kNumbers + 5.0 * season + late);
}

}  // namespace memoa::detail
