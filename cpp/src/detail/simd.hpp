#pragma once

// Vectors of the native width, in pairs.
// Only population_kernels.cpp includes this, once per instruction set: what detail/kernels.hpp says
// of inline functions holds here.

#include "detail/kernels.hpp"
#ifdef __SSE2__
#include <immintrin.h>
#endif

#ifndef MEMOA_LEVEL
#define MEMOA_LEVEL baseline
#endif

namespace memoa::detail::MEMOA_LEVEL {
namespace {

// Native width: wider vectors than the processor's own are split badly by compilers.
#if defined(__AVX512F__)
constexpr Size kBytes = 64;
#elif defined(__AVX__)
constexpr Size kBytes = 32;
#else
constexpr Size kBytes = 16;
#endif

template <class Real>
struct Simd;
template <>
struct Simd<double> {
  typedef double Vec __attribute__((vector_size(kBytes), may_alias));
  typedef std::int64_t Mask __attribute__((vector_size(kBytes)));
  static constexpr double kLargest = 1e150;          // of |z|^2: sums over agents are finite
  static constexpr double kLargestForecast = 1e152;  // and so are sums of its squares
  static constexpr double kEpsilon = 2.220446049250313e-16;
  static constexpr double kRounds = 6755399441055744.0;  // 1.5 2^52: a sum with it is whole
};
template <>
struct Simd<float> {
  typedef float Vec __attribute__((vector_size(kBytes), may_alias));
  typedef std::int32_t Mask __attribute__((vector_size(kBytes)));
  static constexpr float kLargest = 1e18F;
  static constexpr float kLargestForecast = 1e18F;
  static constexpr float kEpsilon = 1.1920929e-07F;
  static constexpr float kRounds = 12582912.0F;
};

/// Two vectors whose agents have nothing to do with each other: one works while the other waits for
/// its last result.
template <class Real>
struct Pair {
  typename Simd<Real>::Vec lo, hi;
};
template <class Real>
struct PairMask {
  typename Simd<Real>::Mask lo, hi;
};

#define MEMOA_INLINE __attribute__((always_inline)) inline
#define MEMOA_LAMBDA __attribute__((always_inline))
#define MEMOA_PAIRWISE(op)                                                        \
  template <class Real>                                                           \
  MEMOA_INLINE Pair<Real> operator op(const Pair<Real>& a, const Pair<Real>& b) { \
    return {a.lo op b.lo, a.hi op b.hi};                                          \
  }
MEMOA_PAIRWISE(+)
MEMOA_PAIRWISE(-)
MEMOA_PAIRWISE(*)
MEMOA_PAIRWISE(/)
#undef MEMOA_PAIRWISE

/// A value that is used several times and shall not be read from memory as often.
template <class Real>
MEMOA_INLINE Pair<Real> in_register(Pair<Real> value) {
#ifdef __SSE2__
  asm("" : "+v"(value.lo), "+v"(value.hi));
#endif
  return value;
}

template <class Real>
MEMOA_INLINE Pair<Real> splat(Real value) {
  const typename Simd<Real>::Vec v = typename Simd<Real>::Vec{} + value;
  return {v, v};
}
template <class Real>
MEMOA_INLINE PairMask<Real> operator<=(const Pair<Real>& a, const Pair<Real>& b) {
  return {a.lo <= b.lo, a.hi <= b.hi};
}
template <class Real>
MEMOA_INLINE Pair<Real> select(const PairMask<Real>& mask, const Pair<Real>& a,
                               const Pair<Real>& b) {
  return {mask.lo ? a.lo : b.lo, mask.hi ? a.hi : b.hi};
}

/// Square roots.
MEMOA_INLINE Simd<double>::Vec root(Simd<double>::Vec v) {
#if defined(__AVX512F__)
  return reinterpret_cast<Simd<double>::Vec>(_mm512_sqrt_pd(reinterpret_cast<__m512d>(v)));
#elif defined(__AVX__)
  return reinterpret_cast<Simd<double>::Vec>(_mm256_sqrt_pd(reinterpret_cast<__m256d>(v)));
#elif defined(__SSE2__)
  return reinterpret_cast<Simd<double>::Vec>(_mm_sqrt_pd(reinterpret_cast<__m128d>(v)));
#else
  for (std::size_t l = 0; l < sizeof(v) / sizeof(v[0]); ++l) v[l] = __builtin_sqrt(v[l]);
  return v;
#endif
}
MEMOA_INLINE Simd<float>::Vec root(Simd<float>::Vec v) {
#if defined(__AVX512F__)
  return reinterpret_cast<Simd<float>::Vec>(_mm512_sqrt_ps(reinterpret_cast<__m512>(v)));
#elif defined(__AVX__)
  return reinterpret_cast<Simd<float>::Vec>(_mm256_sqrt_ps(reinterpret_cast<__m256>(v)));
#elif defined(__SSE2__)
  return reinterpret_cast<Simd<float>::Vec>(_mm_sqrt_ps(reinterpret_cast<__m128>(v)));
#else
  for (std::size_t l = 0; l < sizeof(v) / sizeof(v[0]); ++l) v[l] = __builtin_sqrtf(v[l]);
  return v;
#endif
}
template <class Real>
MEMOA_INLINE Pair<Real> root(const Pair<Real>& a) {
  return {root(a.lo), root(a.hi)};
}

/// Numbers of a table at places that are whole numbers >= 0.
MEMOA_INLINE Simd<double>::Vec gather(const double* table, Simd<double>::Vec at) {
#if defined(__AVX512F__)
  const __m256i places = _mm512_cvttpd_epi32(reinterpret_cast<__m512d>(at));
  return reinterpret_cast<Simd<double>::Vec>(_mm512_i32gather_pd(places, table, 8));
#elif defined(__AVX2__)
  const __m128i places = _mm256_cvttpd_epi32(reinterpret_cast<__m256d>(at));
  return reinterpret_cast<Simd<double>::Vec>(_mm256_i32gather_pd(table, places, 8));
#else
  for (std::size_t l = 0; l < sizeof(at) / sizeof(at[0]); ++l)
    at[l] = table[static_cast<Size>(at[l])];
  return at;
#endif
}
MEMOA_INLINE Simd<float>::Vec gather(const float* table, Simd<float>::Vec at) {
#if defined(__AVX512F__)
  const __m512i places = _mm512_cvttps_epi32(reinterpret_cast<__m512>(at));
  return reinterpret_cast<Simd<float>::Vec>(_mm512_i32gather_ps(places, table, 4));
#elif defined(__AVX2__)
  const __m256i places = _mm256_cvttps_epi32(reinterpret_cast<__m256>(at));
  return reinterpret_cast<Simd<float>::Vec>(_mm256_i32gather_ps(table, places, 4));
#else
  for (std::size_t l = 0; l < sizeof(at) / sizeof(at[0]); ++l)
    at[l] = table[static_cast<Size>(at[l])];
  return at;
#endif
}
template <class Real>
MEMOA_INLINE Pair<Real> gather(const Real* table, const Pair<Real>& at) {
  return {gather(table, at.lo), gather(table, at.hi)};
}

/// Within +-limit.
template <class Real>
MEMOA_INLINE Pair<Real> clip(const Pair<Real>& a, Real limit) {
  const Pair<Real> most = splat(limit), least = splat(-limit);
  return select(a <= least, least, select(most <= a, most, a));
}

template <class Real>
MEMOA_INLINE bool all(const PairMask<Real>& mask) {
  const auto both = mask.lo & mask.hi;
#if defined(__AVX512F__)
  return _mm512_movepi8_mask(reinterpret_cast<const __m512i&>(both)) == ~__mmask64{0};
#elif defined(__AVX2__)
  return _mm256_movemask_epi8(reinterpret_cast<const __m256i&>(both)) == -1;
#elif defined(__SSE2__)
  return _mm_movemask_epi8(reinterpret_cast<const __m128i&>(both)) == 0xffff;
#else
  bool every = true;
  for (std::size_t l = 0; l < sizeof(both) / sizeof(both[0]); ++l) every = every && both[l];
  return every;
#endif
}

}  // namespace
}  // namespace memoa::detail::MEMOA_LEVEL
