// Memory bandwidth as STREAM measures it: passes over arrays, statically divided among threads.
// Compiled by bench/bandwidth.py into a shared library, for this processor (-march=native).
#include <cstddef>

namespace {

template <class Body>
void in_parallel(std::ptrdiff_t n, int repeats, int threads, const Body& body) {
#pragma omp parallel num_threads(threads)
  for (int repeat = 0; repeat < repeats; ++repeat) {
#pragma omp for schedule(static) nowait  // a thread keeps its part: nobody need wait
    for (std::ptrdiff_t i = 0; i < n; ++i) body(i);
  }
}

}  // namespace

extern "C" {

/// a = s a: the shortest program that reads and writes back every byte, 16 bytes a number.
void memoa_bench_update(double* a, double s, std::ptrdiff_t n, int repeats, int threads) {
  in_parallel(n, repeats, threads, [=](std::ptrdiff_t i) { a[i] = s * a[i]; });
}

/// a = b + s c: STREAM's triad, 24 bytes a number as STREAM counts (the line of `a` that is read
/// before it is written is left out).
void memoa_bench_triad(double* a, const double* b, const double* c, double s, std::ptrdiff_t n,
                       int repeats, int threads) {
  in_parallel(n, repeats, threads, [=](std::ptrdiff_t i) { a[i] = b[i] + s * c[i]; });
}
}
