#pragma once

#include "memoa/encoder.hpp"

namespace memoa {

/// What agents see of the past of y in addition to x, theory (6.11) and (6.12).
struct PastSettings {
  Index lags = 0;    ///< increments of every output
  Index season = 0;  ///< period of the seasonal increment in steps; 0: none
  Index delay = 0;   ///< steps by which y arrives late, theory (10.7)
  bool any() const { return lags > 0 || season != 0; }
};

/// The period is found online.
constexpr Index kAutoSeason = -1;

/// Throws std::invalid_argument that names the bad option.
MEMOA_API void validate(const PastSettings& past);
/// Number of inputs that the past adds.
MEMOA_API Index n_inputs(const PastSettings& past, Index n_outputs);

/// Seasonal repetition of one output: which lag repeats best, theory (6.12).
class MEMOA_API Season {
 public:
  explicit Season(Index season = kAutoSeason, Index delay = 0);

  /// The increment that repetition predicts for the next step; 0 while it predicts nothing.
  double increment() const;
  bool ends_with(double y) const { return seen() > 0 && at(kValues, 0) == y; }
  /// Whether the period has always matched, and no lag has both matched and missed.
  bool is_exact() const;
  void observe(double y);
  /// Updates the error of every lag with y, then observes y; `scale`: usual size of an increment.
  void learn(double y, double scale);
  /// Forgets the errors of the lags; the values stay.
  void restart();

  /// The stored numbers, for a memory.
  Index size() const { return 1 + n_values() + 4 * length_; }
  double& number(Index k) { return numbers_[static_cast<std::size_t>(k)]; }
  /// Throws std::invalid_argument if the numbers are impossible.
  void validate() const;

 private:
  static constexpr Index kValues = 0;  // the first field
  Index seen() const { return static_cast<Index>(numbers_[0]); }
  /// Number of stored values: a lag is judged by its first multiple that is known in time.
  Index n_values() const { return length_ + delay_; }
  /// Steps back from a y to the value that is repeated for it: the first multiple of the period
  /// that is known at the forecast.
  Index reach(Index period) const { return (delay_ / period + 1) * period; }
  /// Number `lag` (from 0) of a field.
  Index place(Index field, Index lag) const {
    return field == kValues ? 1 + lag : 1 + delay_ + field * length_ + lag;
  }
  double& at(Index field, Index lag) {
    return numbers_[static_cast<std::size_t>(place(field, lag))];
  }
  double at(Index field, Index lag) const {
    return numbers_[static_cast<std::size_t>(place(field, lag))];
  }
  Index period() const;

  bool known_;
  Index delay_, length_;
  std::vector<double> numbers_;  // their number, values, then (4, length): fields of every lag
};

/// The past of y: increments, their usual and their largest size, and its season.
class MEMOA_API Past {
 public:
  Past(const PastSettings& settings, Index n_outputs);

  /// Inputs (n_inputs) for the next step.
  void inputs(double* out) const;
  const double* largest() const { return largest_.data(); }  ///< (d), of |bounded increments|
  /// The increment, cut to the bound of what may be learnt, theory (6.13).
  double bounded(Index output, double increment) const;
  /// Null if there is no season.
  const Season* season(Index output) const {
    return seasons_.empty() ? nullptr : &seasons_[static_cast<std::size_t>(output)];
  }
  /// Observes `base` (d) unless it is the last value.
  void require_base(const double* base);

  void observe(const double* y);
  /// Learns the y (d) that followed `base`; NaN leaves the base and counts nothing. `from` is the
  /// base of its forecast.
  void learn(const double* y, const double* base, const double* from);
  void learn(const double* y, const double* base) { learn(y, base, base); }
  /// Whether the last learnt step has shown that all earlier errors came from bad values.
  bool has_restarted(Index output) const { return restarted_[static_cast<std::size_t>(output)]; }

  Index size() const;
  double& number(Index k);
  void validate() const;

 private:
  double scale(Index output) const;
  const Coordinate& leap(Index output) const {
    return (leaps_.empty() ? scales_ : leaps_)[static_cast<std::size_t>(output)];
  }

  Index lags_, d_;
  std::vector<double> increments_;  // (lags, d), latest first
  std::vector<Coordinate> scales_;  // (d), of the increments
  std::vector<Coordinate> leaps_;   // (d) if y arrives late: increments from a forecast's base
  std::vector<double> largest_;     // (d), of these
  std::vector<Season> seasons_;     // (d), or none
  std::vector<bool> restarted_;     // (d), by the last learnt step
};

}  // namespace memoa
