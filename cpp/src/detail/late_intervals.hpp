#pragma once

#include <string>
#include <vector>

#include "detail/json.hpp"
#include "memoa/interval.hpp"

namespace memoa::detail {

/// Intervals around forecasts whose y comes late, theory (10.7). Each y is compared with the bounds
/// of its own forecast. The waiting forecasts are in a ring buffer of `delay + 1`; a step allocates
/// nothing.
class LateIntervals {
 public:
  LateIntervals(Intervals& bands, Index delay);

  Index size() const { return count_; }
  /// Appends a forecast (d) to those that wait and returns its bounds (levels, 2, d). Null means
  /// that nothing was known yet: the bounds are NaN, and nothing is learnt from this forecast.
  const std::vector<double>& add(const double* forecast);
  void learn(const double* y);  ///< removes the oldest, whose y (d) this is,
  void learn_received();        ///< or whose y was already received in a run
  /// Adds the forecasts (T, d) of a run one by one, with their targets (T, d). If `is_arriving`,
  /// each target belongs to the oldest waiting forecast instead. A forecast is known if its row of
  /// `bases` (T, d) is complete, or if `bases` is null. Writes bounds (T, levels, 2, d) unless they
  /// are null.
  void run(const double* forecasts, const double* targets, const double* bases, Index n_steps,
           bool is_arriving, double* bounds);
  /// Sets the number of waiting forecasts, from which nothing will be learnt.
  void forget(Index n_waiting);

  /// The waiting forecasts as JSON: each is null if unknown, else a list of the forecast, its
  /// bounds and the y received, if any; NaN is null.
  std::string memory() const;
  /// Throws std::invalid_argument if `memory` does not have `n_waiting` forecasts.
  void restore(const Json& memory, Index n_waiting);

 private:
  struct Forecast {
    bool is_known = false, is_received = false;
    std::vector<double> values, bounds, received;  // (d), (levels, 2, d), (d)
  };
  Forecast& at(Index n) { return ring_[static_cast<std::size_t>(first_ + n) % ring_.size()]; }
  const Forecast& at(Index n) const {
    return ring_[static_cast<std::size_t>(first_ + n) % ring_.size()];
  }
  Forecast& push() { return at(count_++); }
  void pop();

  Intervals& bands_;
  Index delay_, first_ = 0, count_ = 0;
  std::vector<Forecast> ring_;
};

}  // namespace memoa::detail
