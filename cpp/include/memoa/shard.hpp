#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "memoa/types.hpp"

namespace memoa {

namespace detail {
class Exchange;
}

/// Sums and largest values over processes, each of which holds a part of the agents. All processes
/// make the same calls of their engines with the same data; what crosses between them are these.
///
/// Both are called outside of parallel regions, on the thread that called the engine. Where one of
/// them throws, that call ends with what was thrown, and every later call of the engines that share
/// this reducer says that they are broken: they are half-way through a step, apart from each other.
/// A population and its server share one; give other engines their own.
class MEMOA_API Reducer {
 public:
  virtual ~Reducer() = default;
  /// words[k] becomes the sum over all processes of their words[k].
  virtual void add(std::int64_t* words, Index count) = 0;
  /// values[k] becomes the largest of all processes' values[k].
  virtual void max(double* values, Index count) = 0;

 private:
  friend class detail::Exchange;
  std::string failure_;
};

/// The agents that an engine holds, of a larger crowd: numbers `first` and following. Random
/// numbers and types go by these numbers and sums do not depend on who adds (theory section 9), so
/// that the crowd computes the same bits however it is cut.
struct Shard {
  Index first = 0;                   ///< a multiple of kShardUnit
  Index total = 0;                   ///< agents of all processes; 0: all of them are here
  std::shared_ptr<Reducer> reducer;  ///< null: this process works on its own
};

/// Shards are cut between such groups of agents.
constexpr Index kShardUnit = 512;

/// Throws std::invalid_argument that names what is wrong with a shard of `n_agents` agents.
MEMOA_API void validate(const Shard& shard, Index n_agents);

}  // namespace memoa
