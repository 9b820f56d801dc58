#pragma once

#include <algorithm>

#include "memoa/types.hpp"
#ifdef _OPENMP
#include <omp.h>
#endif

namespace memoa::detail {

/// 0 means all that the process may use; no more than some four for each processor.
int resolve_threads(int requested);

/// As many of the requested threads as `work` (about one floating-point operation each) can feed.
int threads_for(int requested, double work);

/// As many of the wanted threads as the system lets this one start. OpenMP would end the process
/// where it cannot start one, so that the first region of a size tries beforehand.
int granted_threads(int wanted);

}  // namespace memoa::detail
