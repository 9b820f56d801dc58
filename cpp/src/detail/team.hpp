#pragma once

#include <atomic>
#include <exception>
#include <thread>

#include "detail/parallel.hpp"
#if defined(__x86_64__) || defined(_M_X64)
#include <emmintrin.h>
#endif

namespace memoa::detail {

/// A barrier for the threads of a parallel region. They spin for a short while, because a step of a
/// small population ends before a sleeping thread wakes up, and then yield.
class Meeting {
 public:
  struct Abandoned {};  // thrown by `wait` if a thread has failed

  /// Whether this thread was the first to report it.
  bool abandon() { return !abandoned_.exchange(true); }

  void wait(int threads) {
    const unsigned round = round_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins) {
      if (spins > 4000) {
        if (abandoned_.load(std::memory_order_relaxed)) throw Abandoned{};
        std::this_thread::yield();
        continue;
      }
#if defined(__x86_64__) || defined(_M_X64)
      _mm_pause();
#endif
    }
  }

 private:
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<unsigned> round_{0};
  std::atomic<bool> abandoned_{false};
};

/// One of the threads of a region.
struct Worker {
  int thread, threads;
  Meeting* meeting;

  /// Calls body(chunk) for this thread's chunks: always the same ones, so that they stay in its
  /// cache from step to step.
  template <class Body>
  void chunks(Index n_chunks, const Body& body) const {
    const Index last = n_chunks * (thread + 1) / threads;
    for (Index chunk = n_chunks * thread / threads; chunk < last; ++chunk) body(chunk);
  }
  void meet() const {
    if (threads > 1) meeting->wait(threads);
  }
  /// One thread does it, all wait for it.
  template <class Body>
  void alone(const Body& body) const {
    meet();
    if (thread == 0) body();
    meet();
  }
};

/// Calls body(worker) on every thread. If a thread throws, the others end at the next barrier, and
/// the exception is thrown from here: one that left the region would end the process.
template <class Body>
void in_parallel(int n_threads, const Body& body) {
  Meeting meeting;
  if (n_threads > 1) n_threads = granted_threads(n_threads);
#ifdef _OPENMP
  if (n_threads > 1) {
    std::exception_ptr error;
#pragma omp parallel num_threads(n_threads)
    try {
      body(Worker{omp_get_thread_num(), omp_get_num_threads(), &meeting});
    } catch (const Meeting::Abandoned&) {
    } catch (...) {
      if (meeting.abandon()) error = std::current_exception();
    }
    if (error) std::rethrow_exception(error);
    return;
  }
#endif
  body(Worker{0, 1, &meeting});
}

/// Calls body(chunk, thread) for every chunk. Which thread takes a chunk
/// has no effect on results: chunks have a fixed size, and their sums are exact.
template <class Body>
void for_each_chunk(Index n_chunks, int n_threads, const Body& body) {
  in_parallel(n_threads, [&](const Worker& worker) {
    worker.chunks(n_chunks, [&](Index chunk) { body(chunk, worker.thread); });
  });
}

}  // namespace memoa::detail
