#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "detail/exact_sum.hpp"
#include "detail/panel_kernels.hpp"

namespace memoa::detail {

/// The mean of values without the lowest and the highest fifth, theory (8.6), of many clients.
///
/// A sample brackets the two order statistics that cut it. One pass counts the values outside the
/// brackets and collects those inside, among which the two are then selected.
template <class Real>
class TrimmedMean {
 public:
  TrimmedMean(const PanelKernels<Real>& kernels, Size n)
      : kernels_(kernels),
        near_(static_cast<std::size_t>(n + 1)),
        sample_(static_cast<std::size_t>(kSample)) {
    sum_.reserve(1);
  }

  /// Of the `count` values that are present among n; present may be null for all.
  double operator()(const Real* values, const Real* present, Size count, Size n) {
    if (count > kSmall) {
      Split<Real> s = brackets(values, present, count, n);
      if (s.low_to < s.high_from) {
        s.near = near_.data();
        sum_.begin(1);
        for (Size first = 0; first < n; first += kChunkAgents) {
          s.between = 0.0;
          kernels_.split(values, present, first, std::min(first + kChunkAgents, n), s);
          sum_.add(0, s.between);
        }
        double mean;
        if (find(s, count, mean)) return mean;
      }
    }
    Split<Real> all{};  // everything is near
    for (Size i = 0; i < n; ++i)
      if (present == nullptr || present[i] > 0)
        near_[static_cast<std::size_t>(all.n_near++)] = values[i];
    all.low_to = std::numeric_limits<Real>::infinity();
    sum_.begin(1);
    double mean = 0.0;
    find(all, count, mean);
    return mean;
  }

  std::size_t bytes() const { return near_.size() * sizeof(Real); }

 private:
  static constexpr Size kSmall = 512, kSample = 4096;

  static Real nth(std::vector<Real>& values, Size first, Size last, Size rank) {
    const auto begin = values.begin();
    std::nth_element(begin + first, begin + rank, begin + last);
    return *(begin + rank);
  }

  /// Brackets that contain the order statistics, with a margin of three standard deviations.
  Split<Real> brackets(const Real* values, const Real* present, Size count, Size n) {
    const double wanted = 2.0 * std::pow(static_cast<double>(count), 2.0 / 3.0);
    const Size stride = std::max<Size>(1, n / std::min(kSample, static_cast<Size>(wanted)));
    Size size = 0;
    for (Size i = 0; i < n && size < kSample; i += stride)
      if (present == nullptr || present[i] > 0)
        sample_[static_cast<std::size_t>(size++)] = values[i];
    const double width = static_cast<double>(size);
    const Size spare = static_cast<Size>(1.2 * std::sqrt(width)) + 1;
    const Size low = static_cast<Size>(0.2 * width), high = size - 1 - low;
    Split<Real> s{};  // no brackets: low_to = high_from
    if (low < spare || low + spare >= high - spare) return s;
    s.low_from = nth(sample_, 0, size, low - spare);
    s.low_to = nth(sample_, low - spare, size, low + spare);
    s.high_from = nth(sample_, low + spare, size, high - spare);
    s.high_to = nth(sample_, high - spare, size, high + spare);
    return s;
  }

  /// Selects the two cuts among the values near them; false if they are not among them.
  bool find(const Split<Real>& s, Size count, double& mean) {
    const auto begin = near_.begin(), end = begin + s.n_near;
    const Size n_low = std::count_if(begin, end, [&](Real v) { return v <= s.low_to; });
    const Size cut = count / 5;
    const Size low_rank = cut - s.below;  // among those near
    const Size high_rank = count - 1 - cut - s.below - s.n_between;
    if (low_rank < 0 || low_rank >= n_low || high_rank < low_rank || high_rank >= s.n_near)
      return false;
    if (s.n_between > 0 && high_rank < n_low) return false;
    const Real low = nth(near_, 0, s.n_near, low_rank);
    const Real high = nth(near_, low_rank, s.n_near, high_rank);
    if (!(low < high)) {
      mean = static_cast<double>(low);
      return true;
    }
    Size upto_low = 0, under_high = 0;  // of those near
    for (auto at = begin; at != end; ++at) {
      upto_low += *at <= low, under_high += *at < high;
      if (*at > low && *at < high) sum_.add(0, static_cast<double>(*at));
    }
    // values equal to a cut are kept unless the cut removes them
    sum_.add(0, static_cast<double>(upto_low - low_rank) * static_cast<double>(low));
    sum_.add(0, static_cast<double>(high_rank + 1 - under_high) * static_cast<double>(high));
    mean = sum_.rounded(0) / static_cast<double>(count - 2 * cut);
    return true;
  }

  const PanelKernels<Real>& kernels_;
  std::vector<Real> near_, sample_;
  ExactSums sum_;  // of the kept values
};

}  // namespace memoa::detail
