#pragma once

#include <algorithm>
#include <cmath>

#include "detail/philox.hpp"
#include "memoa/types.hpp"

namespace memoa::detail {

/// Standard normals of whole ranges of agents by the ziggurat (Marsaglia and Tsang, The ziggurat
/// method, J. Stat. Software 2000; 256 layers, index and position from separate bits of a word).
///
/// Agent a draws word a % 4 of the Philox block with key (seed, all ones) and counter
/// (a / 4, stream, step, output), so that neighbours share a block. The 1 % of draws that miss the
/// ziggurat's inside go on with words of the agent's own AgentRandom.
class Normals {
 public:
  static constexpr std::uint64_t kFirstStream = 16;  // the encoders' streams lie below

  explicit Normals(std::uint64_t seed) : seed_(seed) {
    const auto density = [](double x) { return std::exp(-0.5 * x * x); };
    edge_[0] = kVolume / density(kTail);
    edge_[1] = kTail;
    for (int i = 2; i < kLayers; ++i)
      edge_[i] = std::sqrt(-2.0 * std::log(kVolume / edge_[i - 1] + density(edge_[i - 1])));
    edge_[kLayers] = 0.0;
    for (int i = 0; i < kLayers; ++i) inside_[i] = edge_[i + 1] / edge_[i];
  }

  /// Normals of agents first..last-1 for one (stream, step, output).
  void fill(Index first, Index last, std::uint64_t stream, std::uint64_t step, std::uint64_t output,
            double* out) const {
    for (Index agent = first; agent < last;) {
      const auto words =
          philox({static_cast<std::uint64_t>(agent / 4), kFirstStream + stream, step, output},
                 {seed_, ~std::uint64_t{0}});
      const Index end = std::min<Index>((agent / 4 + 1) * 4, last);
      for (; agent < end; ++agent) {
        const std::uint64_t word = words[static_cast<std::size_t>(agent % 4)];
        const double position = signed_unit(word);
        const auto layer = static_cast<int>(word & 255u);
        *out++ = std::abs(position) < inside_[layer]
                     ? position * edge_[layer]
                     : outside(layer, position, agent, stream, step, output);
      }
    }
  }

 private:
  static constexpr int kLayers = 256;
  static constexpr double kTail = 3.6541528853610088;        // where the lowest layer's box ends
  static constexpr double kVolume = 0.00492867323397465524;  // of every layer

  /// Uniform on (-1, 1), symmetric, from the upper 53 bits.
  static double signed_unit(std::uint64_t word) {
    return (static_cast<double>(word >> 11) + 0.5) * 0x1p-52 - 1.0;
  }

  /// A draw that fell on the rim of its layer or into the tail.
  double outside(int layer, double position, Index agent, std::uint64_t stream, std::uint64_t step,
                 std::uint64_t output) const {
    AgentRandom random(seed_, static_cast<std::uint64_t>(agent),
                       kFirstStream + stream + (output << 8), step);
    const auto ratio = [](double edge, double z) { return std::exp(-0.5 * (edge * edge - z * z)); };
    while (true) {
      const double z = position * edge_[layer];
      if (std::abs(position) < inside_[layer]) return z;
      if (layer == 0) return std::copysign(tail(random), position);
      const double low = ratio(edge_[layer], z), high = ratio(edge_[layer + 1], z);
      if (low + random.uniform() * (high - low) < 1.0) return z;  // under the density
      layer = static_cast<int>(256.0 * random.uniform());
      position = 2.0 * random.uniform() - 1.0;
    }
  }

  /// |z| beyond kTail, by rejection from an exponential (Marsaglia 1964).
  static double tail(AgentRandom& random) {
    double x, y;
    do {
      x = -std::log(1.0 - random.uniform()) / kTail;
      y = -std::log(1.0 - random.uniform());
    } while (2.0 * y < x * x);
    return kTail + x;
  }

  std::uint64_t seed_;
  double edge_[kLayers + 1];
  double inside_[kLayers];
};

}  // namespace memoa::detail
