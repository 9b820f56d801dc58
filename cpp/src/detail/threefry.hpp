#pragma once

#include <array>
#include <cstdint>

namespace memoa::detail {

/// Threefry4x64-20 (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011). It needs
/// no wide product, unlike Philox, so that a loop over counters runs on vectors.
inline std::array<std::uint64_t, 4> threefry(const std::array<std::uint64_t, 4>& counter,
                                             const std::array<std::uint64_t, 4>& key) {
  constexpr int kRotations[8][2] = {{14, 16}, {52, 57}, {23, 40}, {5, 37},
                                    {25, 33}, {46, 12}, {58, 22}, {32, 32}};
  const std::uint64_t keys[5] = {key[0], key[1], key[2], key[3],
                                 0x1BD11BDAA9FC1A22u ^ key[0] ^ key[1] ^ key[2] ^ key[3]};
  std::uint64_t x0 = counter[0] + keys[0], x1 = counter[1] + keys[1];
  std::uint64_t x2 = counter[2] + keys[2], x3 = counter[3] + keys[3];
  const auto mix = [](std::uint64_t& a, std::uint64_t& b, int rotation) {
    a += b;
    b = (b << rotation | b >> (64 - rotation)) ^ a;
  };
#pragma GCC unroll 5
  for (int four = 0; four < 5; ++four) {
    const auto* rotation = four % 2 == 0 ? kRotations : kRotations + 4;
    mix(x0, x1, rotation[0][0]), mix(x2, x3, rotation[0][1]);
    mix(x0, x3, rotation[1][0]), mix(x2, x1, rotation[1][1]);
    mix(x0, x1, rotation[2][0]), mix(x2, x3, rotation[2][1]);
    mix(x0, x3, rotation[3][0]), mix(x2, x1, rotation[3][1]);
    const auto round = static_cast<std::uint64_t>(four) + 1;
    x0 += keys[(four + 1) % 5];
    x1 += keys[(four + 2) % 5];
    x2 += keys[(four + 3) % 5];
    x3 += keys[(four + 4) % 5] + round;
  }
  return {x0, x1, x2, x3};
}

}  // namespace memoa::detail
