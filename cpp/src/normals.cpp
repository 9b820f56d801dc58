#include "detail/normals.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "detail/levels.hpp"
#include "detail/philox.hpp"

namespace memoa::detail {
namespace {

constexpr std::uint64_t kOne = 0x3ff0000000000000u;  // the bits of 1.0
constexpr std::uint64_t kMantissa = 0x000fffffffffffffu;
constexpr Index kBatch = 64;  // words that wait between the generator and the transform

inline double from_bits(std::uint64_t bits) {
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline std::uint64_t to_bits(double value) {
  std::uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// Middle of one of 2^b equal parts of (0, 1), its index in the upper b <= 52 bits of a word whose
/// others are zero. `below` is 1 - 2^-(b+1). Exact.
inline double unit(std::uint64_t word, double below) {
  return from_bits(word >> 12 | kOne) - below;
}

/// log(u) of a normal number u < 1, as in FDLIBM's e_log.c (Sun Microsystems 1993): u = 2^k (1 + f)
/// with 1 + f between sqrt(1/2) and sqrt(2).
inline double logarithm(double u) {
  constexpr std::uint64_t kRootHalf = 0x3fe6a09e00000000u;
  const std::uint64_t scaled = to_bits(u) + (kOne - kRootHalf);
  const double k = from_bits(scaled >> 52 | 0x4330000000000000u) - (0x1p52 + 1023.0);
  const double f = from_bits((scaled & kMantissa) + kRootHalf) - 1.0;
  const double s = f / (2.0 + f), z = s * s, w = z * z, half = 0.5 * f * f;
  const double even = w * (3.999999999940941908e-01 +
                           w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
  const double odd = z * (6.666666666666735130e-01 +
                          w * (2.857142874366239149e-01 +
                               w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
  return k * 6.93147180559945286227e-01 + (f - (half - s * (half + (even + odd))));
}

/// Cosine and sine of 2 pi turn for |turn| < 1/2: FDLIBM's polynomials (k_cos.c, k_sin.c) of a
/// quarter of the angle, doubled twice.
inline void rotate(double turn, double& cosine, double& sine) {
  const double x = 1.57079632679489661923 * turn, q = x * x;
  const double s =
      x + x * q *
              (-1.66666666666666324348e-01 +
               q * (8.33333333332248946124e-03 +
                    q * (-1.98412698298579493134e-04 +
                         q * (2.75573137070700676789e-06 + q * (-2.50507602534068634195e-08 +
                                                                q * 1.58969099521155010221e-10)))));
  const double c =
      1.0 - 0.5 * q +
      q * q *
          (4.16666666666666019037e-02 +
           q * (-1.38888888888741095749e-03 +
                q * (2.48015872894767294178e-05 +
                     q * (-2.75573143513906633035e-07 +
                          q * (2.08757232129817482790e-09 + q * -1.13596475577881948265e-11)))));
  const double c2 = 1.0 - 2.0 * s * s, s2 = 2.0 * s * c;
  cosine = 1.0 - 2.0 * s2 * s2;
  sine = 2.0 * s2 * c2;
}

MEMOA_EVERY_LEVEL void transform(const std::uint64_t* __restrict words, Index n,
                                 double* __restrict out) {
  for (Index i = 0; i < n; ++i) {
    const double u = unit(words[i] & ~std::uint64_t{0xffffff}, 1.0 - 0x1p-41);
    const double turn = unit(words[i] << 40, 1.5 - 0x1p-25);
    const double radius = std::sqrt(-2.0 * logarithm(u));
    double cosine, sine;
    rotate(turn, cosine, sine);
    out[2 * i] = radius * cosine;
    out[2 * i + 1] = radius * sine;
  }
}

}  // namespace

const double* Normals::fill(Index first, Index n, std::uint64_t stream, std::uint64_t step,
                            std::uint64_t output, double* out) const {
  const Index start = first / kShare, end = (first + n + kShare - 1) / kShare;
  alignas(64) std::uint64_t words[kBatch];
  double* next = out;
  for (Index block = start; block < end;) {
    const Index stop = std::min(end, block + kBatch / 4);
    Index count = 0;
    for (; block < stop; ++block, count += 4) {
      const auto drawn =
          philox({static_cast<std::uint64_t>(block), kFirstStream + stream, step, output},
                 {seed_, ~std::uint64_t{0}});
      std::copy(drawn.begin(), drawn.end(), words + count);
    }
    transform(words, count, next);
    next += 2 * count;
  }
  return out + (first - start * kShare);
}

}  // namespace memoa::detail
