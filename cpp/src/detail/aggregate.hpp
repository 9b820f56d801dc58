#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "detail/panel_kernels.hpp"

namespace memoa::detail {

/// The mean of values without the lowest and the highest fifth, theory (8.6), of many clients.
///
/// The two order statistics that cut it are bracketed by those of a sample; one pass counts what
/// lies outside the brackets and gathers what lies in them, where they are then selected. Sums run
/// in the order of the clients, so that the bits depend on the values alone.
template <class Real>
class TrimmedMean {
 public:
  TrimmedMean(const PanelKernels<Real>& kernels, Size n)
      : kernels_(kernels), low_(vector(n + 1)), high_(vector(n + 1)), sample_(vector(kSample)) {
    order_.reserve(static_cast<std::size_t>(n));
  }

  /// Of the `count` values that are present among n; present may be null for all.
  double operator()(const Real* values, const Real* present, Size count, Size n) {
    const Size cut = count / 5;
    if (count > kSmall) {
      Split<Real> s = brackets(values, present, count, n);
      if (s.low_to < s.high_from) {
        pass(values, present, n, s);
        const Size low_rank = cut - s.below_low, high_rank = count - 1 - cut - s.below_high;
        if (low_rank >= 0 && low_rank < s.n_low && high_rank >= 0 && high_rank < s.n_high)
          return mean_of(s, low_rank, high_rank, count - 2 * cut);
      }
    }
    return plain(values, present, count, n, cut);
  }

 private:
  static constexpr Size kSmall = 512, kSample = 4096;
  static std::vector<Real> vector(Size n) { return std::vector<Real>(static_cast<std::size_t>(n)); }

  void pass(const Real* values, const Real* present, Size n, Split<Real>& s) {
    s.low = low_.data(), s.high = high_.data();
    for (Size first = 0; first < n; first += kChunkAgents)
      kernels_.split(values, present, first, std::min(first + kChunkAgents, n), s);
  }

  static Real nth(std::vector<Real>& values, Size count, Size rank) {
    std::nth_element(values.begin(), values.begin() + rank, values.begin() + count);
    return values[static_cast<std::size_t>(rank)];
  }

  /// Brackets that hold the wanted order statistics with four standard deviations to spare.
  Split<Real> brackets(const Real* values, const Real* present, Size count, Size n) {
    const double target = std::pow(static_cast<double>(count), 2.0 / 3.0);
    const Size stride = std::max<Size>(1, n / std::min<Size>(kSample, static_cast<Size>(target)));
    Size size = 0;
    for (Size i = 0; i < n && size < kSample; i += stride)
      if (present == nullptr || present[i] > 0)
        sample_[static_cast<std::size_t>(size++)] = values[i];
    Split<Real> s{};
    if (size < 64) return s;  // no bracket: low_to = high_from
    const double width = static_cast<double>(size);
    const Size spare = static_cast<Size>(1.6 * std::sqrt(width)) + 1;
    const Size low = static_cast<Size>(0.2 * width), high = size - 1 - low;
    const Size ranks[] = {low - spare, low + spare, high - spare, high + spare};
    if (ranks[0] < 0 || ranks[1] >= ranks[2]) return s;
    s.low_from = nth(sample_, size, ranks[0]), s.low_to = nth(sample_, size, ranks[1]);
    s.high_from = nth(sample_, size, ranks[2]), s.high_to = nth(sample_, size, ranks[3]);
    return s;
  }

  /// From the split, with the ranks of the two cuts among the brackets' values.
  double mean_of(const Split<Real>& s, Size low_rank, Size high_rank, Size kept) {
    // selecting disturbs the order of the clients, in which sums run: it works on a copy
    order_.assign(low_.begin(), low_.begin() + s.n_low);
    const Real low = nth(order_, s.n_low, low_rank);
    order_.assign(high_.begin(), high_.begin() + s.n_high);
    const Real high = nth(order_, s.n_high, high_rank);
    Count below{s.between, s.below_low, s.below_low}, above{0.0, s.below_high, s.below_high};
    for (Size i = 0; i < s.n_low; ++i) below.add(low_[static_cast<std::size_t>(i)], low, high);
    for (Size i = 0; i < s.n_high; ++i) above.add(high_[static_cast<std::size_t>(i)], low, high);
    return finish(below.sum + above.sum, low, high, below.upto_low, above.under_high, kept,
                  s.below_low + low_rank);
  }

  struct Count {
    double sum;
    Size upto_low, under_high;
    void add(Real v, Real low, Real high) {
      upto_low += v <= low, under_high += v < high;
      sum += v > low && v < high ? static_cast<double>(v) : 0.0;
    }
  };

  /// The mean, where `upto_low` values are at most `low` and `under_high` below `high`.
  static double finish(double sum, Real low, Real high, Size upto_low, Size under_high, Size kept,
                       Size cut) {
    if (!(low < high)) return static_cast<double>(low);
    const Size lows = upto_low - cut, highs = cut + kept - under_high;
    return (sum + static_cast<double>(lows) * static_cast<double>(low) +
            static_cast<double>(highs) * static_cast<double>(high)) /
           static_cast<double>(kept);
  }

  /// The same by selecting among all values.
  double plain(const Real* values, const Real* present, Size count, Size n, Size cut) {
    Size size = 0;
    for (Size i = 0; i < n; ++i)
      if (present == nullptr || present[i] > 0) low_[static_cast<std::size_t>(size++)] = values[i];
    std::copy_n(low_.begin(), size, high_.begin());
    const Real low = nth(high_, size, cut), high = nth(high_, size, count - 1 - cut);
    Count all{0.0, 0, 0};
    for (Size i = 0; i < size; ++i) all.add(low_[static_cast<std::size_t>(i)], low, high);
    return finish(all.sum, low, high, all.upto_low, all.under_high, count - 2 * cut, cut);
  }

  const PanelKernels<Real>& kernels_;
  std::vector<Real> low_, high_, sample_, order_;
};

}  // namespace memoa::detail
