#pragma once

#include "memoa/encoder.hpp"

namespace memoa {

/// What agents see of the past of y beside x, theory (6.11) and (6.12).
struct PastSettings {
  Index lags = 0;    ///< increments of every output
  Index season = 0;  ///< period of the seasonal increment in steps; 0: none
  Index delay = 0;   ///< steps by which y comes late, theory (10.7)
  bool any() const { return lags > 0 || season != 0; }
};

/// A period that is found online.
constexpr Index kAutoSeason = -1;

/// Throws std::invalid_argument that names the option at fault.
MEMOA_API void validate(const PastSettings& past);
/// Inputs that agents have of it.
MEMOA_API Index n_inputs(const PastSettings& past, Index n_outputs);

/// Seasonal repetition of one output: which lag repeats best, theory (6.12).
class MEMOA_API Season {
 public:
  explicit Season(Index season = kAutoSeason, Index delay = 0);

  /// What repetition says of the step to come, relative to the last value; 0 while it says nothing.
  double increment() const;
  bool ends_with(double y) const { return seen() > 0 && at(kValues, 0) == y; }
  /// Has the period always matched, and no lag both matched and missed?
  bool is_exact() const;
  void observe(double y);
  /// Judges every lag on y, then observes it; `scale`: the usual size of an increment.
  void learn(double y, double scale);
  /// Forgets how well lags did; values stay.
  void restart();

  /// The numbers kept, for a memory.
  Index size() const { return 1 + n_values() + 4 * length_; }
  double& number(Index k) { return numbers_[static_cast<std::size_t>(k)]; }
  /// Throws std::invalid_argument where the numbers are none that it can have.
  void validate() const;

 private:
  static constexpr Index kValues = 0;  // the first field
  Index seen() const { return static_cast<Index>(numbers_[0]); }
  /// Values that are kept: a lag is judged by those of its multiple that is known in time.
  Index n_values() const { return length_ + delay_; }
  /// Steps from a y back to the one that repeats in its place: the first multiple of the period
  /// that is known when it is forecast.
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
  std::vector<double> numbers_;  // how many values, these, then (4, length): fields of every lag
};

/// The past of y: increments, their usual and their largest size, and its season.
class MEMOA_API Past {
 public:
  Past(const PastSettings& settings, Index n_outputs);

  /// Inputs (n_inputs) for the step to come.
  void inputs(double* out) const;
  const double* largest() const { return largest_.data(); }  ///< (d), of |bounded increments|
  /// An increment, or the bound of what may be learnt of it, theory (6.13).
  double bounded(Index output, double increment) const;
  /// Null where none is asked for.
  const Season* season(Index output) const {
    return seasons_.empty() ? nullptr : &seasons_[static_cast<std::size_t>(output)];
  }
  /// Observes `base` (d) unless it is the last value.
  void require_base(const double* base);

  void observe(const double* y);
  /// Takes the y (d) in that followed `base`; where it is NaN the base stays and nothing counts.
  /// `from` is the base that its forecast had.
  void learn(const double* y, const double* base, const double* from);
  void learn(const double* y, const double* base) { learn(y, base, base); }
  /// Has the step last learnt shown that all errors before were those of bad values?
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
  std::vector<Coordinate> leaps_;   // (d) where y comes late: increments from a forecast's base
  std::vector<double> largest_;     // (d), of these
  std::vector<Season> seasons_;     // (d), or none
  std::vector<bool> restarted_;     // (d), by the step last learnt
};

}  // namespace memoa
