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

}  // namespace memoa::detail
