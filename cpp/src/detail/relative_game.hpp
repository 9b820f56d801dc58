#pragma once

#include <algorithm>
#include <cmath>

#include "memoa/types.hpp"

namespace memoa::detail {

/// The first stage of the scalar game relative to the base, theory (6.1), as the ratios that (6.2)
/// needs.
struct RelativeStage {
  double price;  ///< g / K
  double share;  ///< M / K, in (0, 1]
  double own;    ///< 1 / (1 + l)
};

/// K and M are in units of each stage's own weight, because these weights vanish over a long
/// horizon. If they grow without bound, both are scaled down, because then only their ratio
/// matters.
inline RelativeStage relative_game(double nu, Index horizon, double discount, double consensus,
                                   double effort) {
  constexpr double kMost = 1e140;
  const double grows =
      std::exp(std::min(discount, 300.0));  // weight of the next stage over that of this one
  double K = 1.0 + consensus, M = 1.0;
  for (Index t = 1; t < horizon; ++t) {
    K = (1.0 + consensus) + grows * (K / (K * (nu / effort) + 1.0));
    M = 1.0 + grows * (M / (M * (nu / effort) + 1.0));
    if (K > kMost) M *= kMost / K, K = kMost;
  }
  return {effort / K, M / K, 1.0 / (1.0 + consensus)};
}

}  // namespace memoa::detail
