#pragma once

#include <vector>

#include "memoa/types.hpp"

namespace memoa {

/// Intervals around forecasts that contain a chosen share of the outcomes, theory (10.1) to (10.3),
/// for any forecasts and any series. An engine: O(levels) operations per output and
/// step.
class MEMOA_API Intervals {
 public:
  /// Levels increase, each in (0, 1). Throws std::invalid_argument.
  explicit Intervals(std::vector<double> levels, Index n_outputs = 1);

  const std::vector<double>& levels() const { return levels_; }
  Index n_outputs() const { return d_; }

  /// Lower and upper bounds (levels, 2, d) around a forecast (d); NaN in an output without errors.
  void bounds(const double* forecast, double* out) const;
  /// Learns the outcome y (d) of a forecast (d); an output with NaN in either is not learnt. If the
  /// outcome arrives `delay` forecasts late, the bounds (levels, 2, d) that its forecast had decide
  /// whether it was missed.
  void learn(const double* forecast, const double* y, const double* bounds = nullptr,
             Index delay = 0);

  /// All that was learnt: per output the errors seen, their scale, the run of far ones and the
  /// half-widths of all levels; (d, 3 + levels).
  std::vector<double> memory() const;
  /// Throws std::invalid_argument if the numbers are impossible.
  void restore(const std::vector<double>& memory);

 private:
  struct Output {
    double seen = 0.0, scale = 0.0, run = 0.0;
    std::vector<double> widths;  // per level, in units of the scale
  };
  std::vector<double> levels_;
  Index d_;
  std::vector<Output> outputs_;
};

}  // namespace memoa
