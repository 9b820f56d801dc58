#include "detail/normals.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "detail/levels.hpp"
#include "detail/threefry.hpp"

namespace memoa::detail {
namespace {

constexpr std::uint64_t kOne = 0x3ff0000000000000u;  // the bits of 1.0
constexpr std::uint64_t kMantissa = 0x000fffffffffffffu;
constexpr Index kBatch = 40;  // blocks whose words wait between generator and transform

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

/// Words of `n` blocks from the block `first` on.
MEMOA_EVERY_LEVEL void generate(const std::array<std::uint64_t, 4>& key, Index first, Index n,
                                std::uint64_t* __restrict words) {
  const std::array<std::uint64_t, 4> fixed = key;
  for (Index block = 0; block < n; ++block) {
    const auto drawn = threefry({static_cast<std::uint64_t>(first + block), 0, 0, 0}, fixed);
    for (std::size_t k = 0; k < 4; ++k) words[4 * block + static_cast<Index>(k)] = drawn[k];
  }
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
  const Index end = (first + n + kShare - 1) / kShare;
  alignas(64) std::uint64_t words[4 * kBatch];
  double* next = out;
  for (Index block = first / kShare; block < end; block += kBatch) {
    const Index blocks = std::min(end - block, kBatch);
    generate({seed_, stream, step, output}, block, blocks, words);
    transform(words, 4 * blocks, next);
    next += kShare * blocks;
  }
  return out + first % kShare;
}

}  // namespace memoa::detail
