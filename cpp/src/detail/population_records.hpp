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

/// The agents with one encoder, of those here: their numbers are first, first + step and so on, and
/// their records lie together.
struct Group {
  Encoder encoder;
  Index first, step, n;
  Index padded, chunks;  // agents in whole pairs of blocks; chunks of agents
  Index place;           // where its records begin among those of all groups
  Record record;         // where a block keeps what
};

/// The sizes of a population, and how it is shared among threads.
template <class Real>
struct Layout {
  static constexpr Index kLanes = detail::kLanes<Real>;

  explicit Layout(const PopulationSettings& settings);

  Index N, d, p, dx;     // p of the widest encoder; dx is 0 where the caller hands in the features
  Index encoded;         // inputs of the encoders
  Index first, total;    // the number of the first agent here; agents of all processes
  Index padded, chunks;  // as those of a group
  int n_threads;
  std::vector<Group> groups;  // one for each encoder; in a group of all, agents keep their numbers

  bool is_mixed() const { return groups.size() > 1; }

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

/// All agents' numbers in blocks of lanes of one group. A block's numbers lie together in one
/// record, so that a pass streams the records once.
template <class Real>
class Records {
 public:
  Records(const PopulationSettings& settings, const Layout<Real>& layout);

  /// Clears the agents [first, last) of a group and draws their encoders' weights.
  void draw(const PopulationSettings& settings, const Group& group, Index first, Index last);
  /// `count` times `width` numbers of every agent, from the row `begin` of its record on. Of each
  /// `width` it has the first `width_of(record)`; the others are 0, whatever is written there.
  template <class WidthOf>
  auto rows(Size Record::*begin, Index count, Index width, const WidthOf& width_of) const {
    return agent_view(layout_.N, count * width,
                      [this, begin, width, width_of](Index k, Index agent) -> Real& {
                        if (!layout_.is_mixed()) {
                          const Group& all = layout_.groups.front();
                          return at(all, all.record.*begin + k, agent);
                        }
                        const Group& group = group_of(agent);
                        const Index own = width_of(group.record), column = k % width;
                        if (column >= own) return nothing_ = 0;
                        return at(group, group.record.*begin + k / width * own + column,
                                  (agent - group.first) / group.step);
                      });
  }
  /// Number `row` of the record of a group's agent.
  Real& at(const Group& group, Index row, Index agent) const {
    return numbers_
        .data()[group.place + (agent / kLanes * group.record.rows + row) * kLanes + agent % kLanes];
  }

  /// Records and types of a group's agents from a chunk on.
  Real* data(const Group& group, Index chunk = 0) const {
    return &at(group, 0, chunk * kChunkAgents);
  }
  Types<Real> types(const Group& group, Index chunk = 0) const;
  std::size_t bytes() const { return static_cast<std::size_t>(numbers_.size()) * sizeof(Real); }

 private:
  static constexpr Index kLanes = Layout<Real>::kLanes;
  const Group& group_of(Index agent) const {
    const auto n = static_cast<Index>(layout_.groups.size());
    return layout_.groups[static_cast<std::size_t>((layout_.first + agent) % n)];
  }
  template <class Number>
  void scatter(const std::vector<Number>& values, const WeightScale& scale, const Group& group,
               Index row, Index agent);

  const Layout<Real>& layout_;
  Buffer<Real> numbers_;
  // a row of lanes for each phase of a group's blocks against the types: (groups, 2, types, lanes),
  // all of them twice, so that the phases may be counted from any one
  Index n_types_;
  Buffer<Real> forgetting_, ridge_;
  mutable Real nothing_ = 0;
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
