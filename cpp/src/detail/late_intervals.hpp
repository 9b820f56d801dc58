#pragma once

#include <string>
#include <vector>

#include "detail/json.hpp"
#include "memoa/interval.hpp"

namespace memoa::detail {

/// Intervals around forecasts whose y comes late, theory (10.7): each is judged by the bounds that
/// it had. Forecasts that wait are a ring of `delay + 1`; a step asks for no memory.
class LateIntervals {
 public:
  LateIntervals(Intervals& bands, Index delay);

  Index size() const { return count_; }
  /// A forecast (d) joins those that wait; its bounds (levels, 2, d). Of one that is null nothing
  /// is learnt, since nothing was known then: its bounds are NaN.
  const std::vector<double>& add(const double* forecast);
  void learn(const double* y);  ///< the oldest leaves with its y (d),
  void learn_told();            ///< or with the one that a run has told
  /// A run's forecasts (T, d) are added one after the other, and told their targets (T, d); where
  /// these are arriving, each is of the oldest forecast that waits. A forecast is known where its
  /// row of bases (T, d) is, and all are where that is null. Writes bounds (T, levels, 2, d) unless
  /// they are null.
  void run(const double* forecasts, const double* targets, const double* bases, Index n_steps,
           bool is_arriving, double* bounds);
  /// So many forecasts wait, of which nothing is to be learnt.
  void forget(Index n_waiting);

  /// What waits, as JSON: of every forecast null, or it, its bounds and the y told, null for NaN.
  std::string memory() const;
  /// Throws std::invalid_argument where it is no memory of so many forecasts.
  void restore(const Json& memory, Index n_waiting);

 private:
  struct Forecast {
    bool is_known = false, is_told = false;
    std::vector<double> values, bounds, told;  // (d), (levels, 2, d), (d)
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
