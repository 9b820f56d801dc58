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

/// The agents of this process that have the same encoder. Their numbers are first, first + step,
/// and so on. Their records are stored together.
struct Group {
  Encoder encoder;
  Index first, step, n;
  Index padded, chunks;  // n rounded up to whole pairs of blocks; number of chunks
  Index place;           // where its records begin among those of all groups
  Record record;         // the layout of a block
};

/// The sizes of a population, and how it is divided among threads.
template <class Real>
struct Layout {
  static constexpr Index kLanes = detail::kLanes<Real>;

  explicit Layout(const PopulationSettings& settings);

  Index N, d, p, dx;     // p of the widest encoder; dx is 0 if the caller passes the features
  Index encoded;         // number of inputs of the encoders
  Index first, total;    // number of the first agent here; number of agents in all processes
  Index padded, chunks;  // as for a group
  int n_threads;
  std::vector<Group> groups;  // one for each encoder

  bool is_mixed() const { return groups.size() > 1; }

  /// body(first agent, last agent) of a chunk; the last chunk ends with the padding.
  template <class Body>
  void of_chunk(Index chunk, const Body& body) const {
    const Index first = chunk * kChunkAgents;
    body(first, std::min(first + kChunkAgents, padded));
  }
  /// body(worker) on as many threads as are worth starting for `work` per agent.
  template <class Body>
  void on_threads(double work, const Body& body) const {
    in_parallel(threads_for(n_threads, work * static_cast<double>(N)), body);
  }
  /// body(first agent, last agent) of all chunks, on these threads.
  template <class Body>
  void each_chunk(double work, const Body& body) const {
    on_threads(work, [&](const Worker& worker) {
      worker.chunks(chunks, [&](Index chunk) { of_chunk(chunk, body); });
    });
  }
};

/// The numbers of all agents, in blocks. A block has agents of one group, one per lane, and all its
/// numbers are stored together in one record. So a pass reads the records once, in order.
template <class Real>
class Records {
 public:
  Records(const PopulationSettings& settings, const Layout<Real>& layout);

  /// Clears the agents [first, last) of a group and draws the weights of their encoders.
  void draw(const PopulationSettings& settings, const Group& group, Index first, Index last);
  /// A view of `count` times `width` numbers of every agent, from row `begin` of its record. An
  /// agent has only the first `width_of(record)` of each `width` numbers. The others read as 0, and
  /// what is written to them is dropped.
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
  // (groups, 2, types, lanes): consecutive blocks of a group need different rows of lanes, which
  // repeat after as many blocks as there are types. Every row is stored twice, so that a chunk can
  // start at any of them.
  Index n_types_;
  Buffer<Real> forgetting_, ridge_;
  mutable Real nothing_ = 0;
};

/// What is stored for every agent outside its record.
template <class Real>
struct Kept {
  Kept(const Layout<Real>& layout, bool judged)
      : increment(layout.d * layout.padded),
        energy(layout.padded),
        cost(layout.padded),
        forecast(judged || layout.d > 1 ? layout.d * layout.padded : 0),
        recent_loss(judged ? layout.padded : 0),
        used(judged ? layout.d * layout.padded : 0) {}

  /// The increments as (N, d).
  auto increments(const Layout<Real>& layout) const {
    Real* data = increment.data();
    return agent_view(layout.N, layout.d,
                      [data, stride = layout.padded](Index o, Index agent) -> Real& {
                        return data[o * stride + agent];
                      });
  }

  Buffer<Real> increment, energy;  // (d, padded), (padded), of the step last shown
  Buffer<double> cost, at_mark;    // (padded); an empty at_mark means zeros
  // (padded), empty until any agent was away: the number of values of y that the cost does not
  // count, this number at the mark, and 1 for agents that are away in the step last shown
  Buffer<double> missed, missed_at_mark, away;
  // Empty if agents are not judged. `forecast` is also needed if some outputs can be missing while
  // others are not, so with more than one output.
  Buffer<Real> forecast;       // (d, padded), local ones
  Buffer<double> recent_loss;  // (padded)
  Buffer<unsigned char> used;  // (d, padded)
};

}  // namespace memoa::detail
