#include "detail/exact_sum.hpp"

#include <limits>

#include "checks.hpp"

using memoa::Index;
using memoa::detail::add_columns;
using memoa::detail::ExactSums;

namespace {

constexpr double kTiny = std::numeric_limits<double>::denorm_min();
constexpr double kLargest = std::numeric_limits<double>::max();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

double sum_of(const std::vector<double>& values) {
  ExactSums sums;
  sums.begin(1);
  for (const double value : values) sums.add(0, value);
  return sums.rounded(0);
}

}  // namespace

TEST_CASE("one addend is its own sum, of any size and sign") {
  for (double value : {1.0, 0x1.fffffffffffffp0, 0x1p-1022, 0x1.8p-1022, 3 * kTiny, kTiny, kLargest,
                       0x1p31, 0x1p32, 0x1p63, 0x1.23456789abcdep-513})
    for (int power = 0; power < 40; ++power, value *= 0.5)
      for (const double signed_value : {value, -value})
        CHECK(sum_of({signed_value}) == signed_value);
}

TEST_CASE("a sum is rounded once, to nearest and ties to even") {
  CHECK(sum_of({1.0, 0x1p-53}) == 1.0);
  CHECK(sum_of({1.0, 0x1p-53, kTiny}) == 1.0 + 0x1p-52);
  CHECK(sum_of({1.0, 0x1p-53, -kTiny}) == 1.0);
  CHECK(sum_of({1.0 + 0x1p-52, 0x1p-53}) == 1.0 + 0x1p-51);
  CHECK(sum_of({-1.0, -0x1p-53, -kTiny}) == -1.0 - 0x1p-52);
  CHECK(sum_of({0x1p53 - 1.0, 0.5}) == 0x1p53);
  CHECK(sum_of({0x1p-1022, -kTiny}) == 0x1p-1022 - kTiny);
}

TEST_CASE("what cancels leaves nothing behind") {
  CHECK(sum_of({1e308, kTiny, -1e308}) == kTiny);
  CHECK(sum_of({kLargest, kLargest, -kLargest, -kLargest, -5.0}) == -5.0);
  CHECK(sum_of({1e16, 1.0, -1e16}) == 1.0);
  CHECK_FALSE(std::signbit(sum_of({-0.0})));
  CHECK_FALSE(std::signbit(sum_of({3.0, -3.0})));
  CHECK(sum_of({}) == 0.0);
}

TEST_CASE("a sum beyond the largest number, or of what is none, says so") {
  CHECK(sum_of({kLargest, kLargest}) == kInfinity);
  CHECK(sum_of({-kLargest, -kLargest}) == -kInfinity);
  CHECK(sum_of({kLargest, 0x1p969}) == kLargest);  // a quarter of the last digit
  CHECK(sum_of({1.0, kInfinity}) == kInfinity);
  CHECK(sum_of({1.0, -kInfinity}) == -kInfinity);
  CHECK(std::isnan(sum_of({kInfinity, -kInfinity})));
  CHECK(std::isnan(sum_of({std::nan(""), 1.0})));
}

TEST_CASE("sums may be looked at and go on, and begin anew") {
  ExactSums sums;
  sums.reserve(2);
  sums.begin(2);
  sums.add(0, -5.0), sums.add(1, kInfinity);
  CHECK(sums.rounded(0) == -5.0);
  sums.add(0, 4.0);
  CHECK(sums.rounded(0) == -1.0);
  CHECK(sums.rounded(0) == -1.0);
  sums.add(0, 2.0);
  CHECK(sums.rounded(0) == 1.0);
  sums.begin(2);
  CHECK(sums.rounded(0) == 0.0);
  CHECK(sums.rounded(1) == 0.0);
}

TEST_CASE("words of parts add up to the words of the whole") {
  std::vector<double> values;
  double next = 0.7;
  for (int k = 0; k < 1000; ++k) {
    next = 3.9 * next * (1.0 - next);
    values.push_back(std::ldexp(next - 0.5, (k * 37) % 200 - 100));
  }
  ExactSums whole;
  whole.begin(1);
  const int n_parts = 7;
  for (int part = 0; part < n_parts; ++part) {
    ExactSums some;
    some.begin(1);
    for (std::size_t k = part; k < values.size(); k += n_parts) some.add(0, values[k]);
    some.carry();
    for (Index word = 0; word < some.size(); ++word) whole.words()[word] += some.words()[word];
  }
  whole.mixed();
  CHECK(whole.rounded(0) == sum_of(values));
}

TEST_CASE("columns are summed alike, however few their rows") {
  const std::vector<double> values = {1.0, -0.0, 1e300, 0x1p-53, 0.0, -1e300, 0x1p-80, -0.0, 7.0};
  for (Index rows = 0; rows <= 3; ++rows) {
    ExactSums work;
    std::vector<double> sums(3, -1.0);
    add_columns(values.data(), rows, 3, work, sums.data());
    for (Index j = 0; j < 3; ++j) {
      std::vector<double> column;
      for (Index row = 0; row < rows; ++row) column.push_back(values[row * 3 + j]);
      CHECK(sums[j] == sum_of(column));
      CHECK(std::signbit(sums[j]) == std::signbit(sum_of(column)));
    }
  }
}
