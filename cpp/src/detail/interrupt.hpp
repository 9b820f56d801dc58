#pragma once

#include <atomic>
#include <exception>

#include "detail/team.hpp"
#include "memoa/interrupt.hpp"

namespace memoa::detail {

/// Work (about that many floating-point operations) after which the clock may be read.
constexpr double kWorkOfALook = 2e5;

/// Calls the interrupt check if `work` has added up to some time. It may throw, but only on the
/// thread that called the computation.
void poll(double work);

/// Stops all threads of a region soon after something was thrown in it.
class Stop {
 public:
  /// Calls body(), unless something was thrown before.
  template <class Body>
  void guard(const Body& body) {
    if (stopped_.load(std::memory_order_relaxed)) return;
    try {
      body();
    } catch (...) {
      if (!stopped_.exchange(true)) thrown_ = std::current_exception();
    }
  }
  /// After the region.
  void rethrow() const {
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  std::atomic<bool> stopped_{false};
  std::exception_ptr thrown_;
};

/// `for_each_chunk` for chunks of `work` each; an interrupt takes effect between chunks.
template <class Body>
void for_each_chunk_or_stop(Index n_chunks, int n_threads, double work, const Body& body) {
  Stop stop;
  for_each_chunk(n_chunks, n_threads, [&](Index chunk, int thread) {
    stop.guard([&] {
      poll(work);
      body(chunk, thread);
    });
  });
  stop.rethrow();
}

}  // namespace memoa::detail
