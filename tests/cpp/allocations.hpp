#pragma once

#include <cstddef>

namespace memoa::tests {

/// Blocks of memory this process has asked of the heap so far, by `new` or, where the platform
/// lets us see them (glibc, AddressSanitizer), by `malloc`, which is what Eigen calls.
std::size_t allocations();

/// Memory runs out: after `granted` more allocations every one fails, until `give_memory`. Not
/// everywhere: a sanitizer owns malloc.
bool can_refuse_memory();
void refuse_memory_after(std::size_t granted);
void give_memory();

}  // namespace memoa::tests
