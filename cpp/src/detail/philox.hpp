#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace memoa::detail {

/// Philox4x64-10 (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011).
/// The words are those of numpy.random.Philox with the same key and counter, which is the oracle.
inline std::array<std::uint64_t, 4> philox(std::array<std::uint64_t, 4> counter,
                                           std::array<std::uint64_t, 2> key) {
  const auto multiply = [](std::uint64_t a, std::uint64_t b, std::uint64_t& high) {
#ifdef __SIZEOF_INT128__
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    high = static_cast<std::uint64_t>(product >> 64);
    return static_cast<std::uint64_t>(product);
#else  // in halves
    const std::uint64_t a0 = a & 0xffffffffu, a1 = a >> 32, b0 = b & 0xffffffffu, b1 = b >> 32;
    const std::uint64_t mid = a1 * b0 + (a0 * b0 >> 32), cross = a0 * b1 + (mid & 0xffffffffu);
    high = a1 * b1 + (mid >> 32) + (cross >> 32);
    return a * b;
#endif
  };
  for (int round = 0; round < 10; ++round) {
    std::uint64_t high0, high1;
    const std::uint64_t low0 = multiply(0xD2E7470EE14C6C93u, counter[0], high0);
    const std::uint64_t low1 = multiply(0xCA5A826395121157u, counter[2], high1);
    counter = {high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0};
    key[0] += 0x9E3779B97F4A7C15u;
    key[1] += 0xBB67AE8584CAA73Bu;
  }
  return counter;
}

/// The random numbers of one (seed, agent, stream, step): agent 7 draws the same ones in any
/// population, whichever thread asks.
class AgentRandom {
 public:
  AgentRandom(std::uint64_t seed, std::uint64_t agent, std::uint64_t stream, std::uint64_t step = 0)
      : key_{seed, agent}, counter_{0, stream, step, 0} {}

  /// Uniform on [0, 1), from the upper 53 bits of a word.
  double uniform() {
    if (used_ == 4) {
      ++counter_[0];
      words_ = philox(counter_, key_);
      used_ = 0;
    }
    return static_cast<double>(words_[used_++] >> 11) * 0x1p-53;
  }

  /// Standard normal, Box-Muller on consecutive pairs of uniforms.
  double normal() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    const double angle = 2.0 * 3.14159265358979323846 * uniform();
    spare_ = radius * std::sin(angle);
    has_spare_ = true;
    return radius * std::cos(angle);
  }

 private:
  std::array<std::uint64_t, 2> key_;
  std::array<std::uint64_t, 4> counter_;
  std::array<std::uint64_t, 4> words_{};
  int used_ = 4;
  double spare_ = 0.0;
  bool has_spare_ = false;
};

}  // namespace memoa::detail
