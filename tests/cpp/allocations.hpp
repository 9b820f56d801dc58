#pragma once

#include <cstddef>

namespace memoa::tests {

/// Blocks of memory this process has asked of the heap so far, by `new` or, where the platform
/// lets us see them (glibc, AddressSanitizer), by `malloc`, which is what Eigen calls.
std::size_t allocations();

}  // namespace memoa::tests
