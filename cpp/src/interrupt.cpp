#include "detail/interrupt.hpp"

#include <chrono>

namespace memoa {
namespace {
std::atomic<InterruptCheck> interrupt_check{nullptr};
}

void set_interrupt_check(InterruptCheck check) { interrupt_check = check; }

namespace detail {

void poll(double work) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kPeriod = std::chrono::milliseconds(100);
  thread_local double done = 0.0;
  thread_local Clock::time_point last;
  done += work;
  if (done < kWorkOfALook) return;
  done = 0.0;
  const InterruptCheck check = interrupt_check.load(std::memory_order_relaxed);
  if (check == nullptr) return;
#ifdef _OPENMP
  if (omp_get_thread_num() != 0) return;  // a worker: its caller listens
#endif
  const auto now = Clock::now();
  if (now - last < kPeriod) return;
  last = now;
  check();
}

}  // namespace detail
}  // namespace memoa
