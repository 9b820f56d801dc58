#pragma once

#include "memoa/export.hpp"

namespace memoa {

/// Called some ten times a second by every long computation, on the calling thread. If it throws,
/// the computation throws the same: a solver or a simulation then has no result, and engines are
/// as they were before the call. A step of a population is never divided; `run` has its `Pace`.
using InterruptCheck = void (*)();

/// Sets the check of this process. Null, the initial value, means no check.
MEMOA_API void set_interrupt_check(InterruptCheck check);

}  // namespace memoa
