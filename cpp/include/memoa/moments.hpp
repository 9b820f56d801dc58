#pragma once

#include "memoa/export.hpp"

namespace memoa {

/// Mean and variance of one random feature.
struct FeatureMoments {
  double mean = 0.0, variance = 0.0;
};

/// Of max(X, 0) for X ~ N(mean, std^2), std >= 0. Throws NumericalError if they overflow.
MEMOA_API FeatureMoments relu_moments(double mean, double std);

/// Of cos X for X ~ N(mean, std^2), std >= 0.
MEMOA_API FeatureMoments cos_moments(double mean, double std);

}  // namespace memoa
