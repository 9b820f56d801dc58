#include "detail/exact_sum.hpp"

#include <cmath>
#include <limits>

#include "detail/levels.hpp"

namespace memoa::detail {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// x 2^power for digits from `top` on, the highest of which is not zero: 64 bits and whether any
/// bit lies below them round as all of them would.
double round_digits(const std::int64_t* digits, int top) {
  const auto digit = [&](int at) {
    return at < 0 ? std::uint64_t{0} : static_cast<std::uint64_t>(digits[at]);
  };
  int shift = 0;
  while ((digit(top) << shift >> 31) == 0) ++shift;
  std::uint64_t bits = (digit(top) << 32 | digit(top - 1)) << shift | digit(top - 2) << shift >> 32;
  bool below = (digit(top - 2) << shift & 0xffffffff) != 0;
  for (int at = top - 3; at >= 0 && !below; --at) below = digits[at] != 0;
  bits |= static_cast<std::uint64_t>(below);
  return std::ldexp(static_cast<double>(bits), 32 * (top - 1) - shift - 1074);
}

/// What additions leave over is kept beside their results, exactly (Knuth's two-sum), and added up.
/// That decides nearly all sums, several times as fast as digits.
constexpr Index kCascade = 64;
struct Cascade {
  alignas(64) double high[kCascade], low[kCascade], left[kCascade];
};

MEMOA_EVERY_LEVEL void cascade_columns(const double* values, Index rows, Index stride, Index n,
                                       Cascade& sums) {
  double* __restrict high = sums.high;
  double* __restrict low = sums.low;
  double* __restrict left = sums.left;  // sizes of what was left over
  for (Index j = 0; j < n; ++j) high[j] = low[j] = left[j] = 0.0;
  for (Index row = 0; row < rows; ++row)
    for (Index j = 0; j < n; ++j) {
      const double value = values[row * stride + j], sum = high[j] + value, part = sum - high[j];
      const double rest = (high[j] - (sum - part)) + (value - part);
      high[j] = sum;
      low[j] += rest;
      left[j] += std::abs(rest);
    }
}

/// Whether the sum is known to its last bit: all that the true one may be rounds to it.
bool settled(const Cascade& sums, Index j, Index rows, double& sum) {
  constexpr double eps = std::numeric_limits<double>::epsilon();
  const double high = sums.high[j], low = sums.low[j];
  sum = high + low;
  const double part = sum - high, rest = (high - (sum - part)) + (low - part);
  const double most = 2.0 * eps * static_cast<double>(rows) * sums.left[j] + eps * std::abs(rest);
  return sum != 0.0 && sum + (rest + most) == sum && sum + (rest - most) == sum;
}

}  // namespace

void ExactSums::add_infinite(Index sum, double value) {
  std::int64_t* counts = &words_[static_cast<std::size_t>(sum * kWords + kDigits)];
  counts[0] += !(value < 0.0), counts[1] += !(value > 0.0);  // a NaN is both
  spans_[static_cast<std::size_t>(sum)].low =
      std::min(spans_[static_cast<std::size_t>(sum)].low, kDigits);
  spans_[static_cast<std::size_t>(sum)].end = kWords;
}

/// The highest digit keeps the sign.
void ExactSums::carry(std::int64_t* words, Span& span) {
  if (span.low >= kDigits) return;
  const int last = std::min(span.end, kDigits - 1);
  std::int64_t carried = 0;
  for (int k = span.low; k < last; ++k) {
    const std::int64_t word = words[k] + carried;
    carried = word >> 32;
    words[k] = word & static_cast<std::int64_t>(kMask);
  }
  words[last] += carried;
  span.end = std::max(span.end, last + 1);
}

void ExactSums::carry() {
  for (std::size_t k = 0; k < spans_.size(); ++k) carry(&words_[k * kWords], spans_[k]);
}

double ExactSums::rounded(Index sum) {
  std::int64_t* words = &words_[static_cast<std::size_t>(sum * kWords)];
  Span& span = spans_[static_cast<std::size_t>(sum)];
  const bool positive = words[kDigits] != 0, negative = words[kDigits + 1] != 0;
  if (positive && negative) return std::numeric_limits<double>::quiet_NaN();
  if (positive || negative) return positive ? kInfinity : -kInfinity;
  carry(words, span);
  const auto top = [&] {
    int at = std::min(span.end, kDigits) - 1;
    while (at >= span.low && words[at] == 0) --at;
    return at;
  };
  int highest = top();
  if (highest < span.low) return 0.0;
  const bool below_zero = words[highest] < 0;
  const auto negate = [&] {
    for (int k = span.low; k <= highest; ++k) words[k] = -words[k];
  };
  if (below_zero) negate(), carry(words, span), highest = top();
  const double size = round_digits(words, highest);
  if (below_zero) negate();
  return below_zero ? -size : size;
}

void add_columns(const double* values, Index rows, Index columns, ExactSums& work, double* sums) {
  Cascade cascade;
  for (Index first = 0; first < columns; first += kCascade) {
    const Index n = std::min(kCascade, columns - first);
    cascade_columns(values + first, rows, columns, n, cascade);
    for (Index j = 0; j < n; ++j) {
      if (settled(cascade, j, rows, sums[first + j])) continue;
      work.begin(1);
      for (Index row = 0; row < rows; ++row) work.add(0, values[row * columns + first + j]);
      sums[first + j] = work.rounded(0);
    }
  }
}

}  // namespace memoa::detail
