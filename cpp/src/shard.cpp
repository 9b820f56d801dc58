#include "memoa/shard.hpp"

#include <cstring>

#include "detail/exchange.hpp"
#include "detail/validate.hpp"

namespace memoa {

void validate(const Shard& shard, Index n_agents) {
  using detail::require;
  if (shard.total == 0 && shard.first == 0 && shard.reducer == nullptr) return;
  require(shard.first >= 0 && shard.first % kShardUnit == 0, "shard.first", shard.first,
          "a multiple of 512, at least 0");
  const bool last = shard.first + n_agents == shard.total;
  require(last || shard.first + n_agents < shard.total, "shard.total", shard.total,
          "the agents of all processes, at least those up to the last one here");
  require(last || n_agents % kShardUnit == 0, "n_agents", n_agents,
          "a multiple of 512, but in the process with the last agent");
}

namespace detail {

// -------------------------------------------------------------------- exchange

void Exchange::require_whole() const {
  if (reducer_ != nullptr && !reducer_->failure_.empty())
    throw std::runtime_error("this is broken since an exchange with the other processes failed (" +
                             reducer_->failure_ + "); expected a new one, or one that is loaded");
}

template <class Call>
void Exchange::guard(const Call& call) {
  require_whole();
  try {
    call();
  } catch (const std::exception& error) {
    reducer_->failure_ = error.what();
    throw;
  } catch (...) {
    reducer_->failure_ = "an unknown error";
    throw;
  }
}

void Exchange::add(std::vector<std::int64_t>& words) {
  guard([&] { reducer_->add(words.data(), static_cast<Index>(words.size())); });
}

void Exchange::max(double* values, Index count) {
  if (!alone()) guard([&] { reducer_->max(values, count); });
}

void Exchange::fail(const std::string& why) {
  reducer_->failure_ = why;
  throw std::invalid_argument(why);
}

// -------------------------------------------------------------------- sums

namespace {

/// 40 bits, so that 2^23 processes may add them: a digest of values' bits (splitmix64).
constexpr int kDigestBits = 40;
std::uint64_t mix(std::uint64_t seed, std::uint64_t word) {
  std::uint64_t z = (seed ^ word) + 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
std::int64_t digest(std::uint64_t mixed) {
  return static_cast<std::int64_t>(mixed >> (64 - kDigestBits));
}

}  // namespace

void SharedSums::reserve(Index count, Index gathered) {
  sums_.reserve(static_cast<std::size_t>(count));
  gathered_.reserve(static_cast<std::size_t>(gathered));
  exact_.reserve(exchange_.alone() ? 1 : count);
}

void SharedSums::begin() {
  sums_.clear(), gathered_.clear(), agreed_.clear();
  if (!exchange_.alone()) exact_.begin(0);
}

Index SharedSums::add(const double* values, Index rows, Index columns) {
  const auto place = static_cast<Index>(sums_.size());
  sums_.resize(sums_.size() + static_cast<std::size_t>(columns));
  if (exchange_.alone()) {
    add_columns(values, rows, columns, exact_, sums_.data() + place);
  } else {
    exact_.extend(columns);
    exact_.add_rows(values, rows, columns, place);
  }
  return place;
}

Index SharedSums::gather(Index n) {
  const auto place = static_cast<Index>(gathered_.size());
  gathered_.resize(gathered_.size() + static_cast<std::size_t>(n), 0.0);
  return place;
}

void SharedSums::agree(const char* name, const double* values, Index n) {
  if (exchange_.alone()) return;
  std::uint64_t mixed = mix(0, static_cast<std::uint64_t>(n));
  for (Index k = 0; k < n; ++k) {
    std::uint64_t bits;
    std::memcpy(&bits, values + k, sizeof bits);
    mixed = mix(mixed, bits);
  }
  agreed_.push_back({name, digest(mixed)});
}

void SharedSums::exchange() {
  if (exchange_.alone()) return;
  // the agreement comes first: it is read even where the rest is of another length
  words_.assign(1, 1);  // counts the processes
  for (const Agreed& one : agreed_) words_.push_back(one.digest);
  const std::size_t gathered = words_.size();
  words_.resize(gathered + gathered_.size());
  if (!gathered_.empty())
    std::memcpy(&words_[gathered], gathered_.data(), gathered_.size() * sizeof(double));
  exact_.carry();
  words_.insert(words_.end(), exact_.words(), exact_.words() + exact_.size());
  exchange_.add(words_);
  require_agreement(words_.data());
  if (!gathered_.empty())
    std::memcpy(gathered_.data(), &words_[gathered], gathered_.size() * sizeof(double));
  std::copy_n(words_.end() - exact_.size(), exact_.size(), exact_.words());
  exact_.mixed();
  for (std::size_t k = 0; k < sums_.size(); ++k) sums_[k] = exact_.rounded(static_cast<Index>(k));
}

void SharedSums::require_agreement(const std::int64_t* sums) {
  const std::int64_t processes = sums[0];
  for (std::size_t k = 0; k < agreed_.size(); ++k)
    if (sums[k + 1] != processes * agreed_[k].digest)
      exchange_.fail(std::string(agreed_[k].name) + " is not the same in all " +
                     std::to_string(processes) +
                     " processes; expected the same calls with the same data in each");
}

}  // namespace detail
}  // namespace memoa
