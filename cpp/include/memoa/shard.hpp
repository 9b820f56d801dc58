#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "memoa/types.hpp"

namespace memoa {

namespace detail {
class Exchange;
}

/// Sums and maxima over processes, each of which has a part of the agents. All processes make the
/// same calls of their engines with the same data; they exchange only these sums and maxima.
///
/// Both are called outside of parallel regions, on the thread that called the engine. If one of
/// them throws, the engine's call throws the same. Every later call of the engines that share this
/// reducer then reports that they are broken, because they stopped in the middle of a step. A
/// population and its server share one reducer; give other engines their own.
class MEMOA_API Reducer {
 public:
  virtual ~Reducer() = default;
  /// Sets words[k] to the sum of all processes' words[k].
  virtual void add(std::int64_t* words, Index count) = 0;
  /// Sets values[k] to the largest of all processes' values[k].
  virtual void max(double* values, Index count) = 0;

 private:
  friend class detail::Exchange;
  std::string failure_;
};

/// The part of a larger crowd that an engine has: the agents from number `first` on. Random numbers
/// and types depend on these numbers, and sums do not depend on the division (theory section 9). So
/// the crowd computes the same bits for any division.
struct Shard {
  Index first = 0;                   ///< a multiple of kShardUnit
  Index total = 0;                   ///< agents of all processes; 0: this process has all
  std::shared_ptr<Reducer> reducer;  ///< null: a single process
};

/// Shards are multiples of this number of agents.
constexpr Index kShardUnit = 512;

/// Throws std::invalid_argument that names what is wrong with a shard of `n_agents` agents.
MEMOA_API void validate(const Shard& shard, Index n_agents);

}  // namespace memoa
