#include "memoa/types.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <future>
#include <limits>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>
#ifndef _WIN32
#include <pthread.h>
#endif

#include "detail/missing.hpp"
#include "detail/parallel.hpp"
#include "detail/validate.hpp"

namespace memoa {
namespace {
std::atomic<bool> one_thread_only{false};
std::atomic<unsigned> fork_count{0};

#ifndef _WIN32
void in_child() {
  one_thread_only = true;
  ++fork_count;
}
[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, in_child);
#endif

/// More threads than this are useless, and systems refuse very large numbers.
int most_threads() {
#ifdef _OPENMP
  return std::max(64, 4 * omp_get_num_procs());
#else
  return 1;
#endif
}

/// Number of the requested threads, including the caller, that the system can start at once.
int try_threads(int wanted) {
  std::mutex end;
  std::vector<std::thread> tried;
  {
    const std::lock_guard<std::mutex> not_yet(end);
    try {
      tried.reserve(static_cast<std::size_t>(wanted - 1));
      for (int thread = 1; thread < wanted; ++thread)
        tried.emplace_back([&end] { const std::lock_guard<std::mutex> wait(end); });
    } catch (const std::exception&) {  // no thread, or no memory for one
    }
  }
  for (std::thread& thread : tried) thread.join();
  return 1 + static_cast<int>(tried.size());
}

constexpr double kFinite = std::numeric_limits<double>::max();

std::string place_of(Index entry, const Index* first, const Index* last) {
  std::string place;
  for (const Index* n = last; n-- != first; entry /= *n)
    place.insert(0, std::to_string(entry % *n) + (place.empty() ? "" : ", "));
  return place;
}

/// The shape is [first, last).
void check_size(const char* name, const double* values, const Index* first, const Index* last,
                double largest, bool may_miss = false) {
  Index size = 1;
  for (const Index* n = first; n != last; ++n) size *= *n;
  const double* bad = std::find_if(values, values + size, [=](double v) {
    return !(std::abs(v) <= largest) && !(may_miss && std::isnan(v));
  });
  if (bad == values + size) return;
  throw std::invalid_argument(
      std::string(name) + " holds " + detail::to_text(*bad) + " at [" +
      place_of(bad - values, first, last) + "]; expected " +
      (std::isfinite(*bad)
           ? "numbers of at most " + detail::to_text(largest) + ", whose squares are finite"
       : may_miss ? "finite numbers, or NaN where one is missing"
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
unsigned forks() { return fork_count; }

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

void require_moderate_or_missing(const char* name, const double* values, const Shape& shape,
                                 double largest) {
  check_size(name, values, shape.data(), shape.data() + shape.size(), largest, true);
}

void require_moderate_or_missing(const char* name, const double* values,
                                 std::initializer_list<Index> shape, double largest) {
  check_size(name, values, shape.begin(), shape.end(), largest, true);
}

int threads_for(int requested, double work) {
  constexpr double kWorkPerThread = 4e4;  // below some 10 us of work a second thread costs more
  const int allowed = available_threads() == 1 ? 1 : requested;
  const double useful = work / kWorkPerThread;
  return useful < allowed ? std::max(1, static_cast<int>(useful)) : allowed;
}

int resolve_threads(int requested) {
  require(requested >= 0, "n_threads", static_cast<Index>(requested), "0 (all of them) or more");
  return requested == 0 ? available_threads() : std::min(requested, most_threads());
}

int granted_threads(int wanted) {
  thread_local int granted = 1;  // OpenMP keeps a team for each thread that calls
  thread_local bool refused = false;
  if (one_thread_only) return 1;
  if (wanted > granted && !refused) {
    const int found = try_threads(wanted);
    refused = found < wanted;
    granted = std::max(granted, found);
  }
  return std::min(wanted, granted);
}

}  // namespace detail
}  // namespace memoa
