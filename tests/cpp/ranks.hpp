#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "checks.hpp"
#include "memoa/shard.hpp"

/// Threads that stand for processes: each has a shard of the agents, and they exchange sums.
namespace memoa::tests {

class Ranks {
 public:
  explicit Ranks(int size) : size_(size) {}

  int exchanges() const { return exchanges_; }
  int fails_at = -1;  // the number of an exchange

  /// Calls body(rank, shard of n agents) on a thread each; the first error is thrown again.
  template <class Body>
  void run(Index n_agents, const Body& body, Index unit = kShardUnit) {
    const Index blocks = (n_agents + unit - 1) / unit;
    std::vector<std::thread> threads;
    std::vector<std::exception_ptr> errors(static_cast<std::size_t>(size_));
    for (int rank = 0; rank < size_; ++rank)
      threads.emplace_back([&, rank] {
        const Index first = blocks * rank / size_ * unit;
        const Index last = std::min(blocks * (rank + 1) / size_ * unit, n_agents);
        try {
          body(rank, last - first, Shard{first, n_agents, std::make_shared<Rank>(*this)});
        } catch (...) {
          errors[static_cast<std::size_t>(rank)] = std::current_exception();
          leave();
        }
      });
    for (std::thread& thread : threads) thread.join();
    for (const std::exception_ptr& error : errors)
      if (error) std::rethrow_exception(error);
  }

 private:
  class Rank : public Reducer {
   public:
    explicit Rank(Ranks& ranks) : ranks_(ranks) {}
    void add(std::int64_t* words, Index count) override {
      ranks_.combine(ranks_.words_, words, count, [](auto a, auto b) { return a + b; });
    }
    void max(double* values, Index count) override {
      ranks_.combine(ranks_.values_, values, count, [](auto a, auto b) { return std::max(a, b); });
    }

   private:
    Ranks& ranks_;
  };

  template <class Number, class Join>
  void combine(std::vector<Number>& joined, Number* mine, Index count, const Join& join) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (fails_at == exchanges_) throw std::runtime_error("the wire was cut");
    if (arrived_ == 0) joined.assign(mine, mine + count);
    REQUIRE(static_cast<Index>(joined.size()) == count);
    for (Index k = 0; k < count && arrived_ > 0; ++k) joined[k] = join(joined[k], mine[k]);
    const int round = round_;
    if (++arrived_ == size_) {
      arrived_ = 0, ++round_, ++exchanges_;
      result_words_ = words_, result_values_ = values_;
      changed_.notify_all();
    } else {
      changed_.wait(lock, [&] { return round_ != round || left_; });
      if (round_ == round) throw std::runtime_error("another rank has left");
    }
    const auto& result = pick(static_cast<Number*>(nullptr));
    std::copy_n(result.begin(), count, mine);
  }
  const std::vector<std::int64_t>& pick(std::int64_t*) const { return result_words_; }
  const std::vector<double>& pick(double*) const { return result_values_; }

  void leave() {
    const std::lock_guard<std::mutex> lock(mutex_);
    left_ = true;
    changed_.notify_all();
  }

  const int size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0, round_ = 0, exchanges_ = 0;
  bool left_ = false;
  std::vector<std::int64_t> words_, result_words_;
  std::vector<double> values_, result_values_;
};

}  // namespace memoa::tests
