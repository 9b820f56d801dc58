#pragma once

#include <algorithm>

#include "memoa/types.hpp"
#ifdef _OPENMP
#include <omp.h>
#endif

namespace memoa::detail {

/// 0 means all that the process may use; at most some four for each processor.
int resolve_threads(int requested);

/// The number of requested threads that `work` (in floating-point operations) keeps busy.
int threads_for(int requested, double work);

/// The number of requested threads that the system lets this one start. OpenMP would end the
/// process if it could not start one, so the first region of a size tries this beforehand.
int granted_threads(int wanted);

}  // namespace memoa::detail
