#include "memoa/interval.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "detail/validate.hpp"

namespace memoa {
namespace {

constexpr double kStep = 0.2;      // of a half-width, in units of the scale, without a delay
constexpr double kMemory = 0.95;   // of the scale
constexpr double kFar = 4.0;       // times the scale: an error beyond counts as that,
constexpr double kLongest = 60.0;  // but twice as much with every one that follows

}  // namespace

Intervals::Intervals(std::vector<double> levels, Index n_outputs)
    : levels_(std::move(levels)), d_(n_outputs) {
  detail::require(n_outputs >= 1, "n_outputs", n_outputs, "at least 1");
  if (levels_.empty()) throw std::invalid_argument("levels is empty; expected at least one");
  double before = 0.0;
  for (const double level : levels_) {
    detail::require(level > before && level < 1.0, "levels", level,
                    "levels between 0 and 1, each above the one before");
    before = level;
  }
  Output fresh;
  for (const double level : levels_) fresh.widths.push_back(-std::log1p(-level));
  outputs_.assign(static_cast<std::size_t>(d_), fresh);
}

void Intervals::bounds(const double* forecast, double* out) const {
  for (Index o = 0; o < d_; ++o) {
    const Output& output = outputs_[static_cast<std::size_t>(o)];
    double width = 0.0;  // none is narrower than one of a lower level
    for (std::size_t k = 0; k < levels_.size(); ++k) {
      width = std::max(width, output.widths[k]);
      const double half =
          output.seen > 0.0 ? width * output.scale : std::numeric_limits<double>::quiet_NaN();
      double* at = out + static_cast<Index>(k) * 2 * d_ + o;
      at[0] = forecast[o] - half;
      at[d_] = forecast[o] + half;
    }
  }
}

void Intervals::learn(const double* forecast, const double* y, const double* bounds, Index delay) {
  const double by = kStep / std::sqrt(1.0 + static_cast<double>(delay));
  for (Index o = 0; o < d_; ++o) {
    Output& output = outputs_[static_cast<std::size_t>(o)];
    const double error = std::abs(y[o] - forecast[o]);
    if (!std::isfinite(error)) continue;
    const auto low = [&](std::size_t k) { return bounds + static_cast<Index>(k) * 2 * d_ + o; };
    if (output.seen > 0.0 && !(bounds && std::isnan(*low(0)))) {  // theory (10.2)
      double width = 0.0;
      for (std::size_t k = 0; k < levels_.size(); ++k) {
        double& own = output.widths[k];
        width = std::max(width, own);
        const bool outside =
            bounds ? y[o] < low(k)[0] || y[o] > low(k)[d_] : error > width * output.scale;
        const double missed = outside ? 1.0 : 0.0;
        own = std::max(own + by * (missed - (1.0 - levels_[k])), 0.0);
      }
    }
    output.seen += 1.0;
    if (output.scale == 0.0) {  // theory (10.3)
      output.scale = error;
      continue;
    }
    const double most = kFar * output.scale * std::exp2(std::min(output.run, kLongest));
    output.run = error > most ? output.run + 1.0 : 0.0;
    const double keep = std::min(kMemory, 1.0 - 1.0 / output.seen);
    output.scale = keep * output.scale + (1.0 - keep) * std::min(error, most);
  }
}

std::vector<double> Intervals::memory() const {
  std::vector<double> memory;
  for (const Output& output : outputs_) {
    memory.insert(memory.end(), {output.seen, output.scale, output.run});
    memory.insert(memory.end(), output.widths.begin(), output.widths.end());
  }
  return memory;
}

void Intervals::restore(const std::vector<double>& memory) {
  const std::size_t width = 3 + levels_.size();
  detail::require_size("memory", memory.size(), d_ * static_cast<Index>(width));
  for (const double value : memory)
    detail::require(value >= 0.0 && std::isfinite(value), "memory", value,
                    "finite numbers of at least 0");
  for (std::size_t o = 0; o < outputs_.size(); ++o) {
    const double* at = memory.data() + o * width;
    outputs_[o] = {at[0], at[1], at[2], {at + 3, at + width}};
  }
}

}  // namespace memoa
