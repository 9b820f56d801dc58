#include "memoa/types.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "detail/parallel.hpp"
#include "detail/validate.hpp"

namespace memoa {
namespace {
std::atomic<bool> one_thread_only{false};
constexpr double kFinite = std::numeric_limits<double>::max();

std::string place_of(Index entry, const Index* first, const Index* last) {
  std::string place;
  for (const Index* n = last; n-- != first; entry /= *n)
    place = std::to_string(entry % *n) + (place.empty() ? "" : ", ") + place;
  return place;
}

/// The shape is [first, last).
void check_size(const char* name, const double* values, const Index* first, const Index* last,
                double largest) {
  Index size = 1;
  for (const Index* n = first; n != last; ++n) size *= *n;
  const double* bad =
      std::find_if(values, values + size, [=](double v) { return !(std::abs(v) <= largest); });
  if (bad == values + size) return;
  throw std::invalid_argument(
      std::string(name) + " holds " + detail::to_text(*bad) + " at [" +
      place_of(bad - values, first, last) + "]; expected " +
      (std::isfinite(*bad)
           ? "numbers of at most " + detail::to_text(largest) + ", whose squares are finite"
           : "finite numbers, not NaN or infinity"));
}

}  // namespace

int available_threads() {
#ifdef _OPENMP
  return one_thread_only ? 1 : omp_get_max_threads();
#else
  return 1;
#endif
}

void use_one_thread_only() { one_thread_only = true; }

void require_finite(const char* name, const double* values, const Shape& shape) {
  check_size(name, values, shape.data(), shape.data() + shape.size(), kFinite);
}

void require_finite(const char* name, const double* values, std::initializer_list<Index> shape) {
  check_size(name, values, shape.begin(), shape.end(), kFinite);
}

void require_moderate(const char* name, const double* values, const Shape& shape, double largest) {
  check_size(name, values, shape.data(), shape.data() + shape.size(), largest);
}

void require_moderate(const char* name, const double* values, std::initializer_list<Index> shape,
                      double largest) {
  check_size(name, values, shape.begin(), shape.end(), largest);
}

namespace detail {

int threads_for(int requested, double work) {
  constexpr double kWorkPerThread = 4e4;  // below some 10 us of work a second thread costs more
  const int allowed = available_threads() == 1 ? 1 : requested;
  const double useful = work / kWorkPerThread;
  return useful < allowed ? std::max(1, static_cast<int>(useful)) : allowed;
}

int resolve_threads(int requested) {
  require(requested >= 0, "n_threads", static_cast<Index>(requested), "0 (all of them) or more");
  return requested == 0 ? available_threads() : requested;
}

}  // namespace detail
}  // namespace memoa
