#pragma once

#include "memoa/export.hpp"

namespace memoa {

/// Called some ten times a second, by whatever computes for longer, on the thread that called it.
/// What it throws comes out of that call: a solver or a simulation has no result then, and engines
/// are as they were before it. A step of a population is never divided; `run` has its `Pace`.
using InterruptCheck = void (*)();

/// Sets the check of this process; null, as at first: none.
MEMOA_API void set_interrupt_check(InterruptCheck check);

}  // namespace memoa
