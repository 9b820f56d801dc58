#pragma once

#include <cstdint>

#include "memoa/types.hpp"

namespace memoa::detail {

/// Standard normals of whole ranges of agents by the method of Box and Muller (A note on the
/// generation of random normal deviates, Ann. Math. Statist. 1958), which has no branches and so
/// runs on vectors of agents.
///
/// Eight neighbours share the Philox block with key (seed, all ones) and counter (agent / 8,
/// kFirstStream + stream, step, output). Agents 2i and 2i + 1 take the cosine and the sine of one
/// word: its upper 40 bits are the radius, which ends at 7.5, and its lower 24 the angle.
class Normals {
 public:
  static constexpr std::uint64_t kFirstStream = 16;  // the encoders' streams lie below
  static constexpr Index kShare = 8;                 // agents of one Philox block

  explicit Normals(std::uint64_t seed) : seed_(seed) {}

  /// Writes the normals of all agents whose blocks touch first..first+n-1 and returns where that of
  /// `first` is: `out` holds n + 2 kShare - 2 numbers or more.
  const double* fill(Index first, Index n, std::uint64_t stream, std::uint64_t step,
                     std::uint64_t output, double* out) const;

 private:
  std::uint64_t seed_;
};

}  // namespace memoa::detail
