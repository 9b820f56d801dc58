#include "allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<std::size_t> count{0};
std::atomic<long> granted{-1};  // negative: without end

/// Counts an allocation; false where memory has run out.
[[maybe_unused]] bool grant() {
  ++count;
  long left = granted.load(std::memory_order_relaxed);
  if (left < 0) return true;
  if (left == 0) return false;
  granted = left - 1;
  return true;
}
}  // namespace

void memoa::tests::refuse_memory_after(std::size_t allowed) {
  granted = static_cast<long>(allowed);
}
void memoa::tests::give_memory() { granted = -1; }

std::size_t memoa::tests::allocations() { return count; }

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MEMOA_TESTS_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMOA_TESTS_SANITIZED
#endif

#if defined(MEMOA_TESTS_SANITIZED) || !defined(__GLIBC__)
bool memoa::tests::can_refuse_memory() { return false; }
#else
bool memoa::tests::can_refuse_memory() { return true; }
#endif

#if defined(MEMOA_TESTS_SANITIZED)

// The sanitizer owns malloc, but tells whoever asks. Declared here, as not every compiler that has
// the sanitizer installs its headers.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*,
                                                                           std::size_t),
                                                         void (*on_free)(const volatile void*));

namespace {
[[maybe_unused]] const int installed = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t) { ++count; }, [](const volatile void*) {});
}

#elif defined(__GLIBC__)

// The program's own definitions come before the library's; operator new calls malloc.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t n, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) { return grant() ? __libc_malloc(size) : nullptr; }
void* calloc(std::size_t n, std::size_t size) { return grant() ? __libc_calloc(n, size) : nullptr; }
void* realloc(void* block, std::size_t size) {
  return grant() ? __libc_realloc(block, size) : nullptr;
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return grant() ? __libc_memalign(alignment, size) : nullptr;
}
}

#else

void* operator new(std::size_t size) {
  ++count;
  if (void* block = std::malloc(size == 0 ? 1 : size)) return block;
  throw std::bad_alloc();
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }

#endif
