#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "memoa/past.hpp"

// The server's aggregation of rivals, theory section 6, step 7.
namespace memoa::detail {

constexpr double kAgentsForgetting = 0.99;           // of the losses of agents
constexpr double kLevelForgetting[] = {0.8, 0.998};  // of those of the rivals, at two levels
constexpr double kOuterForgetting = 0.998;           // of those of the levels and the base
constexpr double kExactPrior = 16.0;                 // of a season that was always right

/// The variance of an error, from the smallest loss and the steps that it counts.
inline double noise_of(double least, double count) { return count > 0.0 ? least / count : 0.0; }
/// The rate of the exponential weights, finite; without noise only exact rivals have a share. If y
/// arrives late, `slow` is 1 + the delay, because so many consecutive losses are correlated.
inline double rate_of(double noise, double slow) {
  constexpr double kLargest = std::numeric_limits<double>::max();
  return noise > 0.0 ? std::min(1.0 / (8.0 * noise * slow), kLargest) : kLargest;
}
/// The weight of a step whose best rival has the squared error `least`.
inline double share_of_step(double noise, double least) {
  return noise > 0.0 && least > 0.0 ? std::min(1.0, 4.0 * noise / least) : 1.0;
}
/// The largest value with which a squared error counts.
inline double most_counted(double noise, double least) {
  constexpr double kMost = 100.0;
  const double usual = noise > 0.0 ? noise : least;
  return usual > 0.0 ? kMost * usual : std::numeric_limits<double>::infinity();
}

/// Exponential weights of three rivals, theory (6.14).
struct Weighing {
  static constexpr int kRivals = 3;
  double losses[kRivals] = {}, count = 0.0;

  double least() const { return *std::min_element(losses, losses + kRivals); }

  /// The average of forecasts, with their shares.
  double mix(const double (&prior)[kRivals], const double (&forecasts)[kRivals],
             double (&shares)[kRivals], double slow) const {
    const double from = least(), rate = rate_of(noise_of(from, count), slow);
    double sum = 0.0, mixed = 0.0;
    for (int k = 0; k < kRivals; ++k) {
      const double behind = losses[k] - from;
      shares[k] = prior[k] * (behind > 0.0 ? std::exp(-behind * rate) : 1.0);
      sum += shares[k];
    }
    for (int k = 0; k < kRivals; ++k) mixed += (shares[k] /= sum) * forecasts[k];
    return mixed;
  }

  void compare(double forgetting, const double (&forecasts)[kRivals], double change) {
    double squares[kRivals];
    for (int k = 0; k < kRivals; ++k)
      squares[k] = (change - forecasts[k]) * (change - forecasts[k]);
    const double best = *std::min_element(squares, squares + kRivals);
    const double noise = noise_of(least(), count), by = share_of_step(noise, best);
    for (int k = 0; k < kRivals; ++k)
      losses[k] = forgetting * losses[k] + std::min(by * squares[k], most_counted(noise, best));
    count = forgetting * count + 1.0;
  }
};

/// One output's rivals: the window's mixture, the agents by exponential weights and the season, all
/// relative to the last value; their averages at two levels, and these against the last value:
/// theory (6.15).
struct Rivals {
  Weighing levels[2], outer;

  static constexpr int kShares = 4;
  struct Forecast {
    double rivals[Weighing::kRivals], levels[Weighing::kRivals];
    double mixed, shares[kShares];  // of the rivals and of the last value
  };

  Forecast forecast(double mixture, double agents, const Season* season, double slow) const {
    const bool exact = season != nullptr && season->is_exact();
    const double prior = season == nullptr ? 0.0 : exact ? kExactPrior : 1.0;
    Forecast f{};
    f.rivals[0] = mixture, f.rivals[1] = agents;
    f.rivals[2] = season != nullptr ? season->increment() : mixture;  // which has no share then
    double within[2][Weighing::kRivals], among[Weighing::kRivals];
    for (int j = 0; j < 2; ++j)
      f.levels[j] = levels[j].mix({1.0, 1.0, prior}, f.rivals, within[j], slow);
    f.mixed = outer.mix({1.0, 1.0, exact ? 1.0 / kExactPrior : 1.0}, f.levels, among, slow);
    for (int k = 0; k < Weighing::kRivals; ++k)
      f.shares[k] = among[0] * within[0][k] + among[1] * within[1][k];
    f.shares[Weighing::kRivals] = among[2];
    return f;
  }

  void compare(const Forecast& f, double change) {
    for (int j = 0; j < 2; ++j) levels[j].compare(kLevelForgetting[j], f.rivals, change);
    outer.compare(kOuterForgetting, f.levels, change);
  }

  static constexpr Index kNumbers = 12;
  double& number(Index k) {
    Weighing& of = k < 4 ? levels[0] : k < 8 ? levels[1] : outer;
    return k % 4 == 3 ? of.count : of.losses[k % 4];
  }
};

}  // namespace memoa::detail
