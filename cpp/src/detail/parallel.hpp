#pragma once

#include <algorithm>

#include "memoa/types.hpp"
#ifdef _OPENMP
#include <omp.h>
#endif

namespace memoa::detail {

/// 0 means all that the process may use.
int resolve_threads(int requested);

/// As many of the requested threads as `work` (about one floating-point operation each) can feed.
int threads_for(int requested, double work);

/// Calls body(chunk, thread) for every chunk. The body must not throw. Which thread takes a chunk
/// never shows in a result: chunks are of fixed size and their partial sums are added in order.
template <class Body>
void for_each_chunk(Index n_chunks, [[maybe_unused]] int n_threads, const Body& body) {
#ifdef _OPENMP
  if (n_threads > 1) {
#pragma omp parallel for schedule(static) num_threads(n_threads)
    for (Index chunk = 0; chunk < n_chunks; ++chunk) body(chunk, omp_get_thread_num());
    return;
  }
#endif
  for (Index chunk = 0; chunk < n_chunks; ++chunk) body(chunk, 0);
}

}  // namespace memoa::detail
