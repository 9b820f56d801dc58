#include "checks.hpp"
#include "memoa/moments.hpp"

using namespace memoa;

namespace {

constexpr double kPi = 3.14159265358979323846;

/// Moments of f(X) for X ~ N(mean, std^2), by the trapezoidal rule with a node at the kink, 0.
template <class Function>
FeatureMoments integrated(const Function& f, double mean, double std) {
  constexpr int kSteps = 20'000;
  const double c = -mean / std, h = 24.0 / kSteps;  // in standard units, over 12 to either side
  double first = 0.0, second = 0.0;
  for (int k = -kSteps / 2; k <= kSteps / 2; ++k) {
    const double z = k * h + (c - h * std::round(c / h));
    const double weight = h * std::exp(-0.5 * z * z) / std::sqrt(2.0 * kPi);
    const double value = f(mean + std * z);
    first += weight * value;
    second += weight * value * value;
  }
  return {first, second - first * first};
}

}  // namespace

TEST_CASE("the closed forms are the integrals") {
  for (const double mean : {-3.0, -0.5, 0.0, 1.0, 4.0})
    for (const double std : {0.3, 1.0, 2.5}) {
      CAPTURE(mean);
      CAPTURE(std);
      const FeatureMoments relu = relu_moments(mean, std), cos = cos_moments(mean, std);
      const auto kinked = integrated([](double x) { return std::max(x, 0.0); }, mean, std);
      const auto waved = integrated([](double x) { return std::cos(x); }, mean, std);
      CHECK(std::abs(relu.mean - kinked.mean) < 1e-6);
      CHECK(std::abs(relu.variance - kinked.variance) < 1e-5);
      CHECK(std::abs(cos.mean - waved.mean) < 1e-12);
      CHECK(std::abs(cos.variance - waved.variance) < 1e-12);
    }
}

TEST_CASE("values known by hand") {
  const FeatureMoments half = relu_moments(0.0, 2.0);
  CHECK(half.mean == doctest::Approx(2.0 / std::sqrt(2.0 * kPi)).epsilon(1e-15));
  CHECK(half.variance == doctest::Approx(2.0 - 2.0 / kPi).epsilon(1e-14));
  const FeatureMoments wave = cos_moments(0.0, 1.0);
  CHECK(wave.mean == doctest::Approx(std::exp(-0.5)).epsilon(1e-15));
  CHECK(wave.variance == doctest::Approx(0.5 * std::pow(1.0 - std::exp(-1.0), 2)).epsilon(1e-14));
}

TEST_CASE("a certain input has a certain feature, and extremes keep their digits") {
  for (const double mean : {-2.0, 0.0, 0.7}) {
    CHECK(relu_moments(mean, 0.0).mean == std::max(mean, 0.0));
    CHECK(relu_moments(mean, 0.0).variance == 0.0);
    CHECK(cos_moments(mean, 0.0).mean == doctest::Approx(std::cos(mean)).epsilon(1e-15));
    CHECK(cos_moments(mean, 0.0).variance == 0.0);
  }
  const FeatureMoments far_up = relu_moments(1e8, 1.0), far_down = relu_moments(-50.0, 1.0);
  CHECK(far_up.mean == 1e8);
  CHECK(far_up.variance == doctest::Approx(1.0).epsilon(1e-14));  // no 1e16 - 1e16
  CHECK(far_down.mean >= 0.0);
  CHECK(far_down.mean < 1e-300);
  CHECK(far_down.variance >= 0.0);
  CHECK(cos_moments(0.3, 1e-6).variance ==
        doctest::Approx(1e-12 * std::pow(std::sin(0.3), 2)).epsilon(1e-6));
}
