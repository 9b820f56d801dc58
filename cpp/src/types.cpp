#include "memoa/types.hpp"

#include <atomic>
#include <cmath>

#include "detail/parallel.hpp"
#include "detail/validate.hpp"

namespace memoa {
namespace {
std::atomic<bool> one_thread_only{false};

/// The shape is [first, last).
void check_finite(const char* name, const double* values, const Index* first, const Index* last) {
  Index size = 1;
  for (const Index* n = first; n != last; ++n) size *= *n;
  for (Index i = 0; i < size; ++i) {
    if (std::isfinite(values[i])) continue;
    std::string place;
    Index rest = i;
    for (const Index* n = last; n-- != first;) {
      place = std::to_string(rest % *n) + (place.empty() ? "" : ", ") + place;
      rest /= *n;
    }
    throw std::invalid_argument(std::string(name) + " holds " + detail::to_text(values[i]) +
                                " at [" + place + "]; expected finite numbers");
  }
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

void require_finite(const char* name, const double* values, const std::vector<Index>& shape) {
  check_finite(name, values, shape.data(), shape.data() + shape.size());
}

void require_finite(const char* name, const double* values, std::initializer_list<Index> shape) {
  check_finite(name, values, shape.begin(), shape.end());
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
