#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "memoa/types.hpp"

namespace memoa::detail {

/// Sums that do not depend on the order or division of the additions, theory section 9: each is the
/// exact sum of its addends, rounded once to the nearest double.
///
/// A sum is stored as digits of 32 bits in words of 64, lowest first, enough for any double, plus
/// two words that count non-finite addends. Words of separate sums may be added as integers.
class ExactSums {
 public:
  static constexpr int kDigits = 67;            // 2098 bits of doubles, and room for carries
  static constexpr Index kWords = kDigits + 2;  // addends not below infinity, not above minus it

  /// Starts `count` new sums.
  void begin(Index count) {
    for (std::size_t k = 0; k < spans_.size(); ++k)
      for (int word = spans_[k].low; word < spans_[k].end; ++word) words_[k * kWords + word] = 0;
    if (words_.size() < static_cast<std::size_t>(count * kWords))
      words_.resize(static_cast<std::size_t>(count * kWords));
    spans_.assign(static_cast<std::size_t>(count), Span{});
  }
  /// Adds more sums after the present ones.
  void extend(Index count) {
    spans_.resize(spans_.size() + static_cast<std::size_t>(count));
    if (words_.size() < spans_.size() * kWords) words_.resize(spans_.size() * kWords);
  }
  /// Reserves memory for so many sums, so that `begin` needs no heap.
  void reserve(Index count) {
    words_.resize(static_cast<std::size_t>(count * kWords));
    spans_.reserve(static_cast<std::size_t>(count));
  }

  /// At most 2^29 - 1 addends per sum between `begin` and `carry`, so that no word overflows.
  void add(Index sum, double value) {
    std::uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const int exponent = static_cast<int>(bits >> 52 & 0x7ff);
    if (exponent == 0x7ff) return add_infinite(sum, value);
    const bool normal = exponent != 0;
    const std::uint64_t mantissa =
        (bits & ((std::uint64_t{1} << 52) - 1)) | static_cast<std::uint64_t>(normal) << 52;
    const int place = exponent - static_cast<int>(normal), shift = place & 31;
    const std::uint64_t low = (mantissa & kMask) << shift, high = (mantissa >> 32) << shift;
    const auto sign = -static_cast<std::int64_t>(bits >> 63);
    const auto put = [sign](std::int64_t& word, std::uint64_t part) {
      word += (static_cast<std::int64_t>(part) ^ sign) - sign;
    };
    const int digit = place >> 5;
    std::int64_t* word = &words_[static_cast<std::size_t>(sum * kWords + digit)];
    put(word[0], low & kMask);
    put(word[1], (low >> 32) + (high & kMask));
    put(word[2], high >> 32);
    Span& span = spans_[static_cast<std::size_t>(sum)];
    span.low = std::min(span.low, digit), span.end = std::max(span.end, digit + 3);
  }
  /// Adds column j of `values` (rows, columns) to sum first + j.
  void add_rows(const double* values, Index rows, Index columns, Index first = 0) {
    for (Index row = 0; row < rows; ++row)
      for (Index j = 0; j < columns; ++j) add(first + j, values[row * columns + j]);
  }

  /// Makes every digit small, so that 2^31 processes may add their words.
  void carry();
  std::int64_t* words() { return words_.data(); }
  Index size() const { return static_cast<Index>(spans_.size()) * kWords; }
  /// Call after words of others were added: any of them may now be nonzero.
  void mixed() { std::fill(spans_.begin(), spans_.end(), Span{0, kWords}); }

  /// The sum, rounded to nearest, ties to even; +0 where it is 0. It may be added to later.
  double rounded(Index sum);

 private:
  static constexpr std::uint64_t kMask = 0xffffffff;
  struct Span {  // words that may be nonzero
    int low = kWords, end = 0;
  };

  void add_infinite(Index sum, double value);
  static void carry(std::int64_t* words, Span& span);

  std::vector<std::int64_t> words_;  // (sums, kWords)
  std::vector<Span> spans_;
};

/// sums[j] is the exact sum of column j of `values` (rows, columns), rounded once.
void add_columns(const double* values, Index rows, Index columns, ExactSums& work, double* sums);

}  // namespace memoa::detail
