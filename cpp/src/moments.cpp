#include "memoa/moments.hpp"

#include <algorithm>
#include <cmath>

namespace memoa {

FeatureMoments relu_moments(double mean, double std) {
  if (std == 0.0) return {std::max(mean, 0.0), 0.0};
  // theory (1.7) with c = mean / std: no second moment is formed, so no digits cancel for large c
  const double c = mean / std;
  const double below = 0.5 * std::erfc(-c / std::sqrt(2.0));
  const double above = 0.5 * std::erfc(c / std::sqrt(2.0));
  const double density = std::exp(-0.5 * c * c) / std::sqrt(2.0 * 3.14159265358979323846);
  const double variance =
      below + c * c * below * above + c * density * (above - below) - density * density;
  return {std * (c * below + density), std * std * std::max(variance, 0.0)};
}

FeatureMoments cos_moments(double mean, double std) {
  const double lost = -std::expm1(-std * std);  // theory (1.8), from E exp(iX)
  return {std::exp(-0.5 * std * std) * std::cos(mean),
          0.5 * lost * (1.0 - (1.0 - lost) * std::cos(2.0 * mean))};
}

}  // namespace memoa
