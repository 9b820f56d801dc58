#pragma once

#include <cstring>

// Exponential weights of agents by their losses, theory (6.14).
// Only population_kernels.cpp includes this, once per instruction set: what detail/kernels.hpp says
// of inline functions holds here. No library computes the exponential: the bits are the same
// everywhere.

#include "detail/simd.hpp"

namespace memoa::detail::MEMOA_LEVEL {
namespace {

constexpr Size kWeighed = 16;  // agents at a time; fixes the order of additions

/// exp(-x) for x >= 0, to 1e-15; 0 from 700 on.
inline double exp_minus(double x) {
  constexpr double kLogE = 1.4426950408889634, kHigh = 0.6931471803691238,
                   kLow = 1.9082149292705877e-10;  // log 2 in two parts
  const double within = x < 700.0 ? x : 700.0, shifted = within * kLogE + Simd<double>::kRounds;
  const double halvings = shifted - Simd<double>::kRounds;
  const double r = (halvings * kHigh - within) + halvings * kLow;
  constexpr double kTaylor[] = {1.0 / 6227020800.0,
                                1.0 / 479001600.0,
                                1.0 / 39916800.0,
                                1.0 / 3628800.0,
                                1.0 / 362880.0,
                                1.0 / 40320.0,
                                1.0 / 5040.0,
                                1.0 / 720.0,
                                1.0 / 120.0,
                                1.0 / 24.0,
                                1.0 / 6.0,
                                0.5,
                                1.0,
                                1.0};
  double e = 0.0;
  for (const double inverse : kTaylor) e = e * r + inverse;
  std::int64_t bits, of_zero;
  const double zero = Simd<double>::kRounds;
  std::memcpy(&bits, &shifted, sizeof(bits));
  std::memcpy(&of_zero, &zero, sizeof(bits));
  const std::int64_t power = (1023 - (bits - of_zero)) << 52;
  double scale;
  std::memcpy(&scale, &power, sizeof(scale));
  return x < 700.0 ? e * scale : 0.0;
}

inline double add_in_pairs(double (&sums)[kWeighed]) {
  for (Size half = kWeighed / 2; half > 0; half /= 2)
    for (Size l = 0; l < half; ++l) sums[l] += sums[l + half];
  return sums[0];
}

/// sums (2): of the weights exp(-(loss - least) rate) of n agents, and of their forecasts so
/// weighed.
template <class Real>
void weigh(const Real* forecast, const double* losses, Size n, double least, double rate,
           double* sums) {
  double weights[kWeighed] = {}, weighed[kWeighed] = {};
  for (Size i = 0; i < n; i += kWeighed) {
    const Size count = n - i < kWeighed ? n - i : kWeighed;
    double w[kWeighed] = {};
    if (count == kWeighed)
      for (Size l = 0; l < kWeighed; ++l) w[l] = exp_minus((losses[i + l] - least) * rate);
    else
      for (Size l = 0; l < count; ++l) w[l] = exp_minus((losses[i + l] - least) * rate);
    for (Size l = 0; l < count; ++l) {
      weights[l] += w[l];
      weighed[l] += w[l] * static_cast<double>(forecast[i + l]);
    }
  }
  sums[0] = add_in_pairs(weights);
  sums[1] = add_in_pairs(weighed);
}

/// The smallest squared error of n > 0 agents.
template <class Real>
double least_error(const Real* forecast, double change, Size n) {
  double least[kWeighed];
  for (Size l = 0; l < kWeighed; ++l) {
    const double miss = change - static_cast<double>(forecast[l < n ? l : 0]);
    least[l] = miss * miss;
  }
  for (Size i = kWeighed; i < n; i += kWeighed)
    for (Size l = 0; l < kWeighed && i + l < n; ++l) {
      const double miss = change - static_cast<double>(forecast[i + l]), square = miss * miss;
      least[l] = square < least[l] ? square : least[l];
    }
  for (Size l = 1; l < kWeighed; ++l) least[0] = least[l] < least[0] ? least[l] : least[0];
  return least[0];
}

/// losses = forgetting losses + min(by (squared error), most) of n > 0 agents; returns the
/// smallest.
template <class Real>
double take_losses(const Real* forecast, double change, Size n, double forgetting, double by,
                   double most, double* losses) {
  for (Size i = 0; i < n; ++i) {
    const double miss = change - static_cast<double>(forecast[i]);
    const double counts = by * (miss * miss);
    losses[i] = forgetting * losses[i] + (counts < most ? counts : most);
  }
  double least[kWeighed];
  for (Size l = 0; l < kWeighed; ++l) least[l] = losses[l < n ? l : 0];
  for (Size i = kWeighed; i < n; i += kWeighed)
    for (Size l = 0; l < kWeighed && i + l < n; ++l)
      least[l] = losses[i + l] < least[l] ? losses[i + l] : least[l];
  for (Size l = 1; l < kWeighed; ++l) least[0] = least[l] < least[0] ? least[l] : least[0];
  return least[0];
}

}  // namespace
}  // namespace memoa::detail::MEMOA_LEVEL
