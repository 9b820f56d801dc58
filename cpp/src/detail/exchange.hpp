#pragma once

#include <vector>

#include "detail/exact_sum.hpp"
#include "memoa/shard.hpp"

namespace memoa::detail {

/// The way from an engine to the other processes.
class Exchange {
 public:
  explicit Exchange(const Shard& shard) : reducer_(shard.reducer) {}

  bool alone() const { return reducer_ == nullptr; }
  /// Throws where a reduction has failed before.
  void require_whole() const;
  void add(std::vector<std::int64_t>& words);
  void max(double* values, Index count);
  /// Breaks the engines: the processes have parted.
  [[noreturn]] void fail(const std::string& why);

 private:
  template <class Call>
  void guard(const Call& call);

  std::shared_ptr<Reducer> reducer_;
};

/// Sums over all agents, of which every process knows a part: they are asked for one after the
/// other, and known after one reduction for all of them.
class SharedSums {
 public:
  explicit SharedSums(Exchange& exchange) : exchange_(exchange) {}

  /// Room for so many sums and gathered numbers, so that no exchange within one process needs heap.
  void reserve(Index count, Index gathered = 0);
  /// Forgets all.
  void begin();

  /// The sums of the columns of `values` (rows, columns), one row for each chunk of agents here;
  /// returns the place of the first.
  Index add(const double* values, Index rows, Index columns);
  /// Room for n numbers, each of which one process sets and all will know.
  Index gather(Index n);
  double& gathered(Index place) { return *(gathered_.data() + place); }
  /// What must be the same in all processes; `name` must outlive the reduction.
  void agree(const char* name, const double* values, Index n);

  /// Nothing to do where all agents are here. Throws std::invalid_argument, with the name, where
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
  ExactSums exact_;  // all of them, or the work of one where all agents are here
  std::vector<double> sums_, gathered_;
  std::vector<Agreed> agreed_;
  std::vector<std::int64_t> words_;
};

}  // namespace memoa::detail
