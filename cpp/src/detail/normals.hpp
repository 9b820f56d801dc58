#pragma once

#include <cstdint>

#include "memoa/types.hpp"

namespace memoa::detail {

/// Standard normals of whole ranges of agents by the method of Box and Muller (A note on the
/// generation of random normal deviates, Ann. Math. Statist. 1958), which has no branches and so
/// runs on vectors of agents.
///
/// Eight neighbours share the Threefry block with key (seed, stream, step, output) and counter
/// (agent / 8, 0, 0, 0). Agents 2i and 2i + 1 take the cosine and the sine of one of its words: the
/// upper 40 bits are the radius, which ends at 7.5, and the lower 24 the angle.
class Normals {
 public:
  static constexpr Index kShare = 8;  // agents of one block

  explicit Normals(std::uint64_t seed) : seed_(seed) {}

  /// Writes the normals of all agents whose blocks touch first..first+n-1 and returns where that of
  /// `first` is: `out` holds n + 2 kShare - 2 numbers or more.
  const double* fill(Index first, Index n, std::uint64_t stream, std::uint64_t step,
                     std::uint64_t output, double* out) const;

 private:
  std::uint64_t seed_;
};

}  // namespace memoa::detail
