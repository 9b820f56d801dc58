#pragma once

#include <algorithm>
#include <cmath>

#include "memoa/types.hpp"

namespace memoa::detail {

/// The first stage of the scalar game relative to the base, theory (6.1), in the ratios that (6.2)
/// needs.
struct RelativeStage {
  double price;  ///< g / K
  double share;  ///< M / K, in (0, 1]
  double own;    ///< 1 / (1 + l)
};

/// K and M are in units of each stage's own weight, since those weights vanish over a long horizon,
/// and are scaled down together where they grow without bound, since only their ratio counts then.
inline RelativeStage relative_game(double nu, Index horizon, double discount, double consensus,
                                   double effort) {
  constexpr double kMost = 1e140;
  const double grows =
      std::exp(std::min(discount, 300.0));  // the next stage's weight in this one's
  double K = 1.0 + consensus, M = 1.0;
  for (Index t = 1; t < horizon; ++t) {
    K = (1.0 + consensus) + grows * (K / (K * (nu / effort) + 1.0));
    M = 1.0 + grows * (M / (M * (nu / effort) + 1.0));
    if (K > kMost) M *= kMost / K, K = kMost;
  }
  return {effort / K, M / K, 1.0 / (1.0 + consensus)};
}

}  // namespace memoa::detail
