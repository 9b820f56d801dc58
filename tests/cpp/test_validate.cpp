#include "detail/validate.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "checks.hpp"

using namespace memoa;
using tests::message_of;

TEST_CASE("A number in a message reads back as the same number, in no more digits than it needs") {
  const double awkward[] = {1.0,  1.0 + 3e-16, -1e-9, 0.1,    0.1 + 0.2,
                            -0.0, 1e300,       3.0,   5e-324, 1.0 / 3.0};
  for (const double value : awkward)
    CHECK(std::strtod(detail::to_text(std::abs(value)).c_str(), nullptr) == std::abs(value));
  CHECK(detail::to_text(0.1) == "0.1");
  CHECK(detail::to_text(-1e-9) == "-1e-09");
  CHECK(detail::to_text(1.0 + 3e-16) == "1.0000000000000002");
  CHECK(detail::to_text(-std::numeric_limits<double>::quiet_NaN()) == "nan");
  CHECK(detail::to_text(-std::numeric_limits<double>::infinity()) == "-inf");
  CHECK(detail::to_text(Index{1} << 60) == "1152921504606846976");
}

TEST_CASE("What does not hold is refused by name, value and expectation") {
  CHECK_NOTHROW(detail::require(true, "decay", 2.0, "a number in (0, 1]"));
  const auto decay = [] { detail::require(false, "decay", 1.0 + 3e-16, "a number in (0, 1]"); };
  CHECK(message_of<std::invalid_argument>(decay) ==
        "decay is 1.0000000000000002; expected a number in (0, 1]");
  const auto horizon = [] { detail::require(false, "horizon", Index{0}, "at least 1"); };
  CHECK(message_of<std::invalid_argument>(horizon) == "horizon is 0; expected at least 1");
  const auto size = [] { detail::require_size("gain", 3, 4); };
  CHECK(message_of<std::invalid_argument>(size) == "gain has 3 numbers; expected 4");
}
