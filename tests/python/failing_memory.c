/* Memory that runs out at the k-th allocation of chosen libraries: to be preloaded (glibc). */
#define _GNU_SOURCE
#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

enum { MOST = 32 };
static uintptr_t first[MOST], last[MOST];
static int n_ranges;
static atomic_long granted = -1; /* negative: without end */
static atomic_int once, refused; /* only one allocation fails; whether any has failed */

static int find(struct dl_phdr_info* info, size_t size, void* name) {
  (void)size;
  if (strstr(info->dlpi_name, name) == NULL) return 0;
  for (int k = 0; k < info->dlpi_phnum && n_ranges < MOST; ++k) {
    if (info->dlpi_phdr[k].p_type != PT_LOAD) continue;
    first[n_ranges] = info->dlpi_addr + info->dlpi_phdr[k].p_vaddr;
    last[n_ranges] = first[n_ranges] + info->dlpi_phdr[k].p_memsz;
    ++n_ranges;
  }
  return 0;
}

/* Allocations that a library of this name asks for count. */
void watch(char* name) { dl_iterate_phdr(find, name); }
void refuse_after(long allowed, int only_once) {
  once = only_once, refused = 0, granted = allowed;
}
int give(void) {
  granted = -1;
  return refused;
}

static int grant(void* caller) {
  if (granted < 0) return 1;
  const uintptr_t at = (uintptr_t)caller;
  for (int k = 0; k < n_ranges; ++k) {
    if (at < first[k] || at >= last[k]) continue;
    const long left = granted;
    if (left == 0) refused = 1;
    if (left > 0 || once) granted = left - 1;
    return left > 0;
  }
  return 1;
}

#define IF_GRANTED(block) (grant(__builtin_return_address(0)) ? (block) : NULL)
void* malloc(size_t size) { return IF_GRANTED(__libc_malloc(size)); }
void* calloc(size_t n, size_t size) { return IF_GRANTED(__libc_calloc(n, size)); }
void* realloc(void* block, size_t size) { return IF_GRANTED(__libc_realloc(block, size)); }
void* memalign(size_t to, size_t size) { return IF_GRANTED(__libc_memalign(to, size)); }
void* aligned_alloc(size_t to, size_t size) { return IF_GRANTED(__libc_memalign(to, size)); }
int posix_memalign(void** block, size_t to, size_t size) {
  *block = IF_GRANTED(__libc_memalign(to, size));
  return *block == NULL ? 12 : 0;
}
