#include <cmath>
#include <limits>

#include "checks.hpp"
#include "memoa/interval.hpp"

using namespace memoa;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Numbers that look random, in (-1, 1).
double noise(Index t) { return std::sin(12.9898 * static_cast<double>(t * t)); }

}  // namespace

TEST_CASE("intervals hold the wanted share, also after the errors have grown") {
  Intervals intervals({0.5, 0.9}, 1);
  std::vector<double> inside(2), bounds(4);
  constexpr Index kSteps = 4000;
  for (Index t = 0; t < kSteps; ++t) {
    const double forecast = 3.0, y = 3.0 + noise(t) * (t < kSteps / 2 ? 1.0 : 50.0);
    intervals.bounds(&forecast, bounds.data());
    for (int k = 0; k < 2; ++k)
      if (bounds[2 * k] <= y && y <= bounds[2 * k + 1]) inside[k] += 1.0 / kSteps;
    intervals.learn(&forecast, &y);
  }
  CHECK(std::abs(inside[0] - 0.5) < 0.01);
  CHECK(std::abs(inside[1] - 0.9) < 0.01);
}

TEST_CASE("outputs do not know of each other, and a NaN teaches nothing") {
  Intervals both({0.8}, 2), first({0.8}, 1), second({0.8}, 1);
  for (Index t = 1; t < 100; ++t) {
    const double forecast[] = {0.0, 1.0}, y[] = {noise(t), t % 3 == 0 ? kNaN : 5.0 * noise(t + 7)};
    both.learn(forecast, y);
    first.learn(forecast, y);
    if (t % 3 != 0) second.learn(forecast + 1, y + 1);
  }
  const auto memory = both.memory(), one = first.memory(), two = second.memory();
  CHECK(std::vector<double>(memory.begin(), memory.begin() + 4) == one);
  CHECK(std::vector<double>(memory.begin() + 4, memory.end()) == two);
  Intervals restored({0.8}, 2);
  restored.restore(memory);
  CHECK(restored.memory() == memory);
  CHECK_THROWS_AS(restored.restore({1.0}), std::invalid_argument);
  CHECK_THROWS_AS(restored.restore(std::vector<double>(8, -1.0)), std::invalid_argument);
}

TEST_CASE("levels are refused that are none") {
  for (const std::vector<double>& levels :
       {std::vector<double>{}, {0.0}, {1.0}, {0.9, 0.8}, {0.8, 0.8}, {kNaN}})
    CHECK_THROWS_AS(Intervals(levels, 1), std::invalid_argument);
  CHECK_THROWS_AS(Intervals({0.5}, 0), std::invalid_argument);
}
