#pragma once

// Vectors of the native width, in pairs.
// Only population_kernels.cpp includes this, once per instruction set: what detail/kernels.hpp says
// of inline functions holds here.

#include <cmath>

#include "detail/kernels.hpp"

// Vectors are the compiler's, if it has them, else plain C++ arrays: the same bits, but slower.
// Nothing else in the kernels depends on the compiler.
#if defined(__GNUC__) && !defined(MEMOA_PORTABLE)
#define MEMOA_VECTORS
#ifdef __SSE2__
#define MEMOA_SSE2
#ifdef __AVX__
#include <immintrin.h>  // a second to read: of the plain level only what it needs
#else
#include <emmintrin.h>
#endif
#endif
#endif

#ifndef MEMOA_LEVEL
#define MEMOA_LEVEL baseline
#endif

namespace memoa::detail::MEMOA_LEVEL {
namespace {

#ifndef MEMOA_VECTORS
/// Numbers that are computed with one by one. What is true of a lane is -1 in a mask, else 0.
template <class T, Size N>
struct Lanes {
  T lane[N];
  T& operator[](Size l) { return lane[l]; }
  const T& operator[](Size l) const { return lane[l]; }
  Lanes& operator+=(const Lanes& other) { return *this = *this + other; }
  Lanes operator+(T number) const {
    Lanes sum = *this;
    for (Size l = 0; l < N; ++l) sum[l] += number;
    return sum;
  }
};
template <class T>
struct Truth;
template <>
struct Truth<double> {
  using Type = std::int64_t;
};
template <>
struct Truth<float> {
  using Type = std::int32_t;
};
#define MEMOA_LANEWISE(op)                                                     \
  template <class T, Size N>                                                   \
  inline Lanes<T, N> operator op(const Lanes<T, N>& a, const Lanes<T, N>& b) { \
    Lanes<T, N> c;                                                             \
    for (Size l = 0; l < N; ++l) c[l] = a[l] op b[l];                          \
    return c;                                                                  \
  }
#define MEMOA_COMPARED(op)                                                     \
  template <class T, Size N>                                                   \
  inline Lanes<typename Truth<T>::Type, N> operator op(const Lanes<T, N>& a,   \
                                                       const Lanes<T, N>& b) { \
    Lanes<typename Truth<T>::Type, N> c;                                       \
    for (Size l = 0; l < N; ++l) c[l] = a[l] op b[l] ? -1 : 0;                 \
    return c;                                                                  \
  }
MEMOA_LANEWISE(+)
MEMOA_LANEWISE(-)
MEMOA_LANEWISE(*)
MEMOA_LANEWISE(/)
MEMOA_LANEWISE(&)
MEMOA_COMPARED(<=)
MEMOA_COMPARED(<)
MEMOA_COMPARED(>)
#undef MEMOA_LANEWISE
#undef MEMOA_COMPARED

template <class M, class T, Size N>
inline Lanes<T, N> choose(const Lanes<M, N>& mask, const Lanes<T, N>& a, const Lanes<T, N>& b) {
  Lanes<T, N> c;
  for (Size l = 0; l < N; ++l) c[l] = mask[l] ? a[l] : b[l];
  return c;
}
#endif

// Native width: compilers split wider vectors badly.
#if defined(MEMOA_VECTORS) && defined(__AVX512F__)
constexpr Size kBytes = 64;
#elif defined(MEMOA_VECTORS) && defined(__AVX__)
constexpr Size kBytes = 32;
#else
constexpr Size kBytes = 16;
#endif

#ifdef MEMOA_VECTORS
#define MEMOA_INLINE __attribute__((always_inline)) inline
#define MEMOA_LAMBDA __attribute__((always_inline))
#define MEMOA_PREFETCH(address, write) __builtin_prefetch(address, write, 2)
typedef double Doubles __attribute__((vector_size(kBytes), may_alias));
typedef std::int64_t DoublesMask __attribute__((vector_size(kBytes)));
typedef float Floats __attribute__((vector_size(kBytes), may_alias));
typedef std::int32_t FloatsMask __attribute__((vector_size(kBytes)));

template <class Mask, class Vec>
MEMOA_INLINE Vec choose(const Mask& mask, const Vec& a, const Vec& b) {
  return mask ? a : b;
}
#else
#define MEMOA_INLINE inline
#define MEMOA_LAMBDA
#define MEMOA_PREFETCH(address, write) static_cast<void>(address)
using Doubles = Lanes<double, kBytes / 8>;
using DoublesMask = Lanes<std::int64_t, kBytes / 8>;
using Floats = Lanes<float, kBytes / 4>;
using FloatsMask = Lanes<std::int32_t, kBytes / 4>;
#endif

template <class Real>
struct Simd;
template <>
struct Simd<double> {
  using Vec = Doubles;
  using Mask = DoublesMask;
  static constexpr double kLargest = 1e150;          // of |z|^2: sums over agents are finite
  static constexpr double kLargestForecast = 1e152;  // and so are sums of its squares
  static constexpr double kEpsilon = 2.220446049250313e-16;
  static constexpr double kRounds = 6755399441055744.0;  // 1.5 2^52: a sum with it is whole
};
template <>
struct Simd<float> {
  using Vec = Floats;
  using Mask = FloatsMask;
  static constexpr float kLargest = 1e18F;
  static constexpr float kLargestForecast = 1e18F;
  static constexpr float kEpsilon = 1.1920929e-07F;
  static constexpr float kRounds = 12582912.0F;
};

/// Two independent vectors of agents: one works while the other waits for its last
/// result.
template <class Real>
struct Pair {
  typename Simd<Real>::Vec lo, hi;
};
template <class Real>
struct PairMask {
  typename Simd<Real>::Mask lo, hi;
};

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

/// A value that is used several times but read from memory only once.
template <class Real>
MEMOA_INLINE Pair<Real> in_register(Pair<Real> value) {
#ifdef MEMOA_SSE2
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
  return {choose(mask.lo, a.lo, b.lo), choose(mask.hi, a.hi, b.hi)};
}

/// Square roots.
MEMOA_INLINE Simd<double>::Vec root(Simd<double>::Vec v) {
#if defined(MEMOA_SSE2) && defined(__AVX512F__)
  return reinterpret_cast<Simd<double>::Vec>(_mm512_sqrt_pd(reinterpret_cast<__m512d>(v)));
#elif defined(MEMOA_SSE2) && defined(__AVX__)
  return reinterpret_cast<Simd<double>::Vec>(_mm256_sqrt_pd(reinterpret_cast<__m256d>(v)));
#elif defined(MEMOA_SSE2)
  return reinterpret_cast<Simd<double>::Vec>(_mm_sqrt_pd(reinterpret_cast<__m128d>(v)));
#else
  for (std::size_t l = 0; l < sizeof(v) / sizeof(v[0]); ++l) v[l] = std::sqrt(v[l]);
  return v;
#endif
}
MEMOA_INLINE Simd<float>::Vec root(Simd<float>::Vec v) {
#if defined(MEMOA_SSE2) && defined(__AVX512F__)
  return reinterpret_cast<Simd<float>::Vec>(_mm512_sqrt_ps(reinterpret_cast<__m512>(v)));
#elif defined(MEMOA_SSE2) && defined(__AVX__)
  return reinterpret_cast<Simd<float>::Vec>(_mm256_sqrt_ps(reinterpret_cast<__m256>(v)));
#elif defined(MEMOA_SSE2)
  return reinterpret_cast<Simd<float>::Vec>(_mm_sqrt_ps(reinterpret_cast<__m128>(v)));
#else
  for (std::size_t l = 0; l < sizeof(v) / sizeof(v[0]); ++l) v[l] = std::sqrt(v[l]);
  return v;
#endif
}
template <class Real>
MEMOA_INLINE Pair<Real> root(const Pair<Real>& a) {
  return {root(a.lo), root(a.hi)};
}

/// Numbers of a table at places that are whole numbers >= 0.
MEMOA_INLINE Simd<double>::Vec gather(const double* table, Simd<double>::Vec at) {
#if defined(MEMOA_SSE2) && defined(__AVX512F__)
  const __m256i places = _mm512_cvttpd_epi32(reinterpret_cast<__m512d>(at));
  return reinterpret_cast<Simd<double>::Vec>(_mm512_i32gather_pd(places, table, 8));
#elif defined(MEMOA_SSE2) && defined(__AVX2__)
  // four loads take less time than the processor's own gather
  const __m128i places = _mm256_cvttpd_epi32(reinterpret_cast<__m256d>(at));
  const auto place = [&](int l) MEMOA_LAMBDA {
    return table + (l == 0   ? _mm_cvtsi128_si32(places)
                    : l == 1 ? _mm_extract_epi32(places, 1)
                    : l == 2 ? _mm_extract_epi32(places, 2)
                             : _mm_extract_epi32(places, 3));
  };
  const __m128d low = _mm_loadh_pd(_mm_load_sd(place(0)), place(1)),
                high = _mm_loadh_pd(_mm_load_sd(place(2)), place(3));
  return reinterpret_cast<Simd<double>::Vec>(
      _mm256_insertf128_pd(_mm256_castpd128_pd256(low), high, 1));
#else
  for (std::size_t l = 0; l < sizeof(at) / sizeof(at[0]); ++l)
    at[l] = table[static_cast<Size>(at[l])];
  return at;
#endif
}
MEMOA_INLINE Simd<float>::Vec gather(const float* table, Simd<float>::Vec at) {
#if defined(MEMOA_SSE2) && defined(__AVX512F__)
  const __m512i places = _mm512_cvttps_epi32(reinterpret_cast<__m512>(at));
  return reinterpret_cast<Simd<float>::Vec>(_mm512_i32gather_ps(places, table, 4));
#elif defined(MEMOA_SSE2) && defined(__AVX2__)
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

/// The same from a table of n numbers: a short one is picked from registers.
MEMOA_INLINE Pair<double> pick(const double* table, Size, const Pair<double>& at) {
  return gather(table, at);
}
MEMOA_INLINE Pair<float> pick(const float* table, Size n, const Pair<float>& at) {
#if defined(MEMOA_SSE2) && defined(__AVX2__) && !defined(__AVX512F__)
  if (n <= 16) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
                  last = _mm256_set1_epi32(static_cast<int>(n)), eight = _mm256_set1_epi32(8);
    const __m256 low = _mm256_maskload_ps(table, _mm256_cmpgt_epi32(last, lanes)),
                 high = n <= 8 ? low
                               : _mm256_maskload_ps(
                                     table + 8,
                                     _mm256_cmpgt_epi32(last, _mm256_add_epi32(lanes, eight)));
    const auto of = [&](Simd<float>::Vec places) MEMOA_LAMBDA {
      const __m256i number = _mm256_cvttps_epi32(reinterpret_cast<__m256>(places));
      return reinterpret_cast<Simd<float>::Vec>(_mm256_blendv_ps(
          _mm256_permutevar8x32_ps(low, number), _mm256_permutevar8x32_ps(high, number),
          _mm256_castsi256_ps(_mm256_slli_epi32(number, 28))));  // the bit of 8 becomes the sign
    };
    return {of(at.lo), of(at.hi)};
  }
#endif
  (void)n;
  return gather(table, at);
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
#if defined(MEMOA_SSE2) && defined(__AVX512F__)
  return _mm512_movepi8_mask(reinterpret_cast<const __m512i&>(both)) == ~__mmask64{0};
#elif defined(MEMOA_SSE2) && defined(__AVX2__)
  return _mm256_movemask_epi8(reinterpret_cast<const __m256i&>(both)) == -1;
#elif defined(MEMOA_SSE2)
  return _mm_movemask_epi8(reinterpret_cast<const __m128i&>(both)) == 0xffff;
#else
  bool every = true;
  for (std::size_t l = 0; l < sizeof(both) / sizeof(both[0]); ++l) every = every && both[l];
  return every;
#endif
}

}  // namespace
}  // namespace memoa::detail::MEMOA_LEVEL
