#pragma once

#include <vector>

#include "detail/exact_sum.hpp"
#include "memoa/shard.hpp"

namespace memoa::detail {

/// Connects an engine with the other processes.
class Exchange {
 public:
  explicit Exchange(const Shard& shard) : reducer_(shard.reducer) {}

  bool alone() const { return reducer_ == nullptr; }
  /// Throws if a reduction has failed before.
  void require_whole() const;
  void add(std::vector<std::int64_t>& words);
  void max(double* values, Index count);
  /// Marks the engines as broken: the processes disagree.
  [[noreturn]] void fail(const std::string& why);

 private:
  template <class Call>
  void guard(const Call& call);

  std::shared_ptr<Reducer> reducer_;
};

/// Sums over all agents, of which every process knows a part. They are requested one after the
/// other, and known after one reduction for all of them.
class SharedSums {
 public:
  explicit SharedSums(Exchange& exchange) : exchange_(exchange) {}

  /// Reserves memory for sums and gathered numbers, so that exchanges in one process need no heap.
  void reserve(Index count, Index gathered = 0);
  /// Forgets all.
  void begin();

  /// Requests the sums of the columns of `values` (rows, columns), one row per chunk of this
  /// process's agents; returns the index of the first.
  Index add(const double* values, Index rows, Index columns);
  /// Requests n numbers, each set by one process and then known to all.
  Index gather(Index n);
  double& gathered(Index place) { return *(gathered_.data() + place); }
  /// Requests that values are the same in all processes; `name` must outlive the reduction.
  void agree(const char* name, const double* values, Index n);

  /// Does nothing if this process has all agents. Throws std::invalid_argument, with the name, if
  /// processes do not agree.
  void exchange();

  double operator[](Index place) const { return sums_[static_cast<std::size_t>(place)]; }
  const double* at(Index place) const { return sums_.data() + place; }

 private:
  struct Agreed {
    const char* name;
    std::int64_t digest;
  };
  void require_agreement(const std::int64_t* sums);

  Exchange& exchange_;
  ExactSums exact_;  // all sums, or scratch for one if this process has all agents
  std::vector<double> sums_, gathered_;
  std::vector<Agreed> agreed_;
  std::vector<std::int64_t> words_;
};

}  // namespace memoa::detail
