#include "memoa/moments.hpp"

#include <algorithm>
#include <cmath>

#include "memoa/types.hpp"

namespace memoa {
namespace {

FeatureMoments finite(double mean, double variance) {
  if (!std::isfinite(mean) || !std::isfinite(variance))
    throw NumericalError("the moments of the features overflowed");
  return {mean, variance};
}

}  // namespace

FeatureMoments relu_moments(double mean, double std) {
  if (std == 0.0) return {std::max(mean, 0.0), 0.0};
  // theory (1.7) with c = mean / std: no second moment is formed, so no digits cancel for large c
  const double c = mean / std;
  if (std::abs(c) > 40.0)  // exp(-c^2 / 2) is 0, and the squares of c may not be finite
    return finite(std::max(mean, 0.0), c > 0.0 ? std * std : 0.0);
  const double below = 0.5 * std::erfc(-c / std::sqrt(2.0));
  const double above = 0.5 * std::erfc(c / std::sqrt(2.0));
  const double density = std::exp(-0.5 * c * c) / std::sqrt(2.0 * 3.14159265358979323846);
  const double variance =
      below + c * c * below * above + c * density * (above - below) - density * density;
  return finite(std * (c * below + density), std * std * std::max(variance, 0.0));
}

FeatureMoments cos_moments(double mean, double std) {
  const double lost = -std::expm1(-std * std);  // theory (1.8), from E exp(iX)
  return finite(std::exp(-0.5 * std * std) * std::cos(mean),
                0.5 * lost * (1.0 - (1.0 - lost) * std::cos(2.0 * mean)));
}

}  // namespace memoa
