#pragma once

#include <algorithm>
#include <vector>

#include "detail/buffer.hpp"
#include "detail/encoding.hpp"
#include "detail/kernels.hpp"
#include "detail/memory.hpp"
#include "detail/team.hpp"
#include "memoa/population.hpp"

namespace memoa::detail {

/// The sizes of a population, how it is shared among threads, and where a block of agents keeps
/// what.
template <class Real>
struct Layout {
  static constexpr Index kLanes = detail::kLanes<Real>;

  explicit Layout(const PopulationSettings& settings);

  Index N, d, p, dx;     // dx is 0 where the caller hands in the features
  Index first, total;    // the number of the first agent here; agents of all processes
  Index padded, chunks;  // agents in whole pairs of blocks; chunks of agents
  int n_threads;
  Record record;

  /// body(first agent, last agent) of a chunk; the last chunk ends with the padding.
  template <class Body>
  void of_chunk(Index chunk, const Body& body) const {
    const Index first = chunk * kChunkAgents;
    body(first, std::min(first + kChunkAgents, padded));
  }
  /// body(worker) on as many threads as `work` per agent can feed.
  template <class Body>
  void on_threads(double work, const Body& body) const {
    in_parallel(threads_for(n_threads, work * static_cast<double>(N)), body);
  }
  /// body(first agent, last agent) of all chunks, on such threads.
  template <class Body>
  void each_chunk(double work, const Body& body) const {
    on_threads(work, [&](const Worker& worker) {
      worker.chunks(chunks, [&](Index chunk) { of_chunk(chunk, body); });
    });
  }
};

/// All agents' numbers in blocks of lanes. A block's numbers lie together in one record, so that a
/// pass streams the records once.
template <class Real>
class Records {
 public:
  Records(const PopulationSettings& settings, const Layout<Real>& layout);

  /// Clears the agents [first, last) and draws their encoders' weights.
  void draw(const PopulationSettings& settings, Index first, Index last);
  /// Rows [first, first + size) of all records.
  auto rows(Index first, Index size) const {
    return agent_view(layout_.N, size, [this, first](Index k, Index agent) -> Real& {
      return at(first + k, agent);
    });
  }

  Real* data() const { return numbers_.data(); }
  Types<Real> types() const;
  std::size_t bytes() const { return static_cast<std::size_t>(numbers_.size()) * sizeof(Real); }

 private:
  static constexpr Index kLanes = Layout<Real>::kLanes;
  /// Number `row` of an agent's record.
  Real& at(Index row, Index agent) const {
    return numbers_.data()[(agent / kLanes * layout_.record.rows + row) * kLanes + agent % kLanes];
  }
  template <class Number>
  void scatter(const std::vector<Number>& values, const WeightScale& scale, Index row, Index agent);

  const Layout<Real>& layout_;
  Buffer<Real> numbers_;
  Buffer<Real> forgetting_,
      ridge_;  // a row of lanes for each phase of the blocks against the types
};

/// What is kept of every agent outside of its record.
template <class Real>
struct Kept {
  Kept(const Layout<Real>& layout, bool judged)
      : increment(layout.d * layout.padded),
        energy(layout.padded),
        cost(layout.padded),
        forecast(judged || layout.d > 1 ? layout.d * layout.padded : 0),
        recent_loss(judged ? layout.padded : 0),
        heeded(judged ? layout.d * layout.padded : 0) {}

  /// The increments as (N, d).
  auto increments(const Layout<Real>& layout) const {
    Real* data = increment.data();
    return agent_view(layout.N, layout.d,
                      [data, stride = layout.padded](Index o, Index agent) -> Real& {
                        return data[o * stride + agent];
                      });
  }

  Buffer<Real> increment, energy;  // (d, padded), (padded), of the step last shown
  Buffer<double> cost, at_mark;    // (padded); the latter empty for zeros
  // (padded), of agents that were away; empty while none was: values of y that costs do not count,
  // these at the mark, and 1 for those that are away in the step last shown
  Buffer<double> missed, missed_at_mark, away;
  // of the step last shown but for the recent losses; empty where nobody is judged, and the first
  // where no output can be missing alone either
  Buffer<Real> forecast;         // (d, padded), local ones
  Buffer<double> recent_loss;    // (padded)
  Buffer<unsigned char> heeded;  // (d, padded)
};

}  // namespace memoa::detail
