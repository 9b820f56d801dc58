#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "detail/aggregate.hpp"
#include "detail/exchange.hpp"
#include "detail/team.hpp"
#include "memoa/panel.hpp"

namespace memoa::detail {

/// Prior weights, theory (8.3): of 0 in the crowd's consensus weight, of the crowd's in a client's.
inline double consensus_prior(const PanelSettings& s) {
  return 5.0 * (1.0 + static_cast<double>(s.delay));
}

/// What the clients of a panel share: the readout and forecast of the crowd, averaged over the
/// present clients, and the crowd's consensus weight.
template <class Real>
class PanelCrowd {
 public:
  PanelCrowd(const PanelSettings& settings, const PanelKernels<Real>& kernels, Index p,
             Index padded, int n_threads, Exchange& others)
      : kind_(settings.aggregate),
        prior_(consensus_prior(settings)),
        kernels_(kernels),
        N_(settings.n_clients),
        d_(settings.n_outputs),
        p_(p),
        padded_(padded),
        chunks_((N_ + kChunkAgents - 1) / kChunkAgents),
        others_(others),
        sums_(others) {
    if (kind_ == Aggregate::trimmed)
      for (Index row = 0; row < std::min<Index>(n_threads, d_ * p); ++row)
        trimmed_.emplace_back(kernels, N_);
    const auto resize = [](auto& values, Index size) {
      values.resize(static_cast<std::size_t>(size));
    };
    resize(partial_, chunks_ * 3 * d_);
    resize(clipped_, kind_ == Aggregate::trimmed ? 0 : chunks_ * 2 * d_ * p);
    sums_.reserve((3 + 2 * p) * d_);
    for (auto* v : {&counts_, &sum_a_, &sum_b_, &forecast, &weight}) resize(*v, d_);
    resize(readout, d_ * p), resize(sent, d_ * p);
    for (auto* v : {&center, &spread}) resize(*v, d_ * (p + 1));
    for (auto* v : {&next_center_, &next_spread_}) resize(*v, d_);
  }

  std::vector<double> readout;           // (d p)
  std::vector<Real> sent;                // the same, as sent to the clients
  std::vector<double> forecast, weight;  // (d), of the last forecast; NaN: no crowd
  std::vector<double> center, spread;    // (d (p + 1)), of clipped readouts, then of forecasts
  Index due = 0;                         // 1 if a step was learnt since the last exchange

  /// Throws unless all processes take the same number of steps.
  void agree_on_length(Index n_steps) {
    SharedSums shared(others_);
    const double length = static_cast<double>(n_steps);
    shared.agree("the number of steps in X and Y", &length, 1);
    shared.exchange();
  }

  // The two halves of a step's exchange. Each first has work for all threads, then work for one
  // thread; with several processes the calling thread does the latter.

  /// Step 1: the crowd's readout, if it is due.
  void work_on_readouts(const Worker& worker, const Real* readouts, const Real* present) {
    if (due == 0) return;
    if (kind_ != Aggregate::trimmed)
      return clip(worker, readouts, present, p_, center.data(), spread.data());
    const int team = std::min<int>(worker.threads, static_cast<int>(trimmed_.size()));
    if (worker.thread < team)
      Worker{worker.thread, team, nullptr}.chunks(d_ * p_, [&](Index row) {
        const Index o = row / p_;
        if (counts_[o] > 0.0)
          readout[row] = trim(readouts + row * padded_, present, o, worker.thread);
      });
  }
  void find_readout(Index steps) {
    const bool clips = due != 0 && kind_ != Aggregate::trimmed;
    if (!due_sums_) sums_.begin();
    const double calls = static_cast<double>(steps);
    sums_.agree("the sequence of calls", &calls, 1);
    const Index place = clips ? sums_.add(clipped_.data(), chunks_, 2 * d_ * p_) : 0;
    if (clips || due_sums_) exchange_sums();
    if (clips) take_clipped(place, p_, center.data(), center.data(), spread.data(), readout.data());
    if (due == 0) return;
    for (Index row = 0; row < d_ * p_; ++row)
      if (counts_[row / p_] > 0.0) sent[row] = static_cast<Real>(readout[row]);
  }

  /// Step 3: the crowd's forecast, and its weight.
  void work_on_forecasts(const Worker& worker, const Real* forecasts, const Real* present) {
    if (kind_ != Aggregate::trimmed)
      return clip(worker, forecasts, present, 1, &center[d_ * p_], &spread[d_ * p_]);
    for (Index o = 0; o < d_ && worker.thread == 0; ++o)
      if (counts_[o] > 0.0) forecast[o] = trim(forecasts + o * padded_, present, o, 0);
  }
  void find_forecast() {
    std::copy_n(&center[d_ * p_], d_, next_center_.begin());
    std::copy_n(&spread[d_ * p_], d_, next_spread_.begin());
    if (kind_ != Aggregate::trimmed) {
      sums_.begin();
      const Index place = sums_.add(clipped_.data(), chunks_, 2 * d_);
      sums_.exchange();
      take_clipped(place, 1, &center[d_ * p_], next_center_.data(), next_spread_.data(),
                   forecast.data());
    }
    for (Index o = 0; o < d_; ++o) {
      if (!(counts_[o] > 0.0)) forecast[o] = std::numeric_limits<double>::quiet_NaN();
      weight[o] = learnt_weight(o);
    }
  }
  double learnt_weight(Index output) const {
    return std::clamp(sum_b_[output] / (sum_a_[output] + prior_), 0.0, 1.0);
  }

  /// Call after a step was learnt, as soon as the sums of its chunks are known.
  void settle() {
    ask_sums();
    due = 1;
  }
  /// Call when the last forecast can no longer be dropped: when it was learnt or begins to wait.
  void keep_forecast() {
    std::copy(next_center_.begin(), next_center_.end(), center.begin() + d_ * p_);
    std::copy(next_spread_.begin(), next_spread_.end(), spread.begin() + d_ * p_);
  }
  /// A chunk's sums (3, d): the number of present clients, and their a and b in (8.3).
  double* sums_of(Index chunk) { return &partial_[chunk * 3 * d_]; }
  /// Call when the sums over all processes are known.
  void require_sums() {
    if (due_sums_) exchange_sums();
  }

  /// The same sums from a restored state.
  void sum_again(const Real* present, const Real* a, const Real* b) {
    std::fill(partial_.begin(), partial_.end(), 0.0);
    for (Index i = 0; i < N_; ++i)
      for (Index o = 0; o < d_; ++o) {
        double* sums = sums_of(i / kChunkAgents);
        const Index at = o * padded_ + i;
        sums[o] += static_cast<double>(present[at]);
        sums[d_ + o] += static_cast<double>(present[at] * a[at]);
        sums[2 * d_ + o] += static_cast<double>(present[at] * b[at]);
      }
    ask_sums();
    std::transform(readout.begin(), readout.end(), sent.begin(),
                   [](double value) { return static_cast<Real>(value); });
  }

  std::size_t bytes() const {
    return trimmed_.size() * static_cast<std::size_t>(N_) * sizeof(Real) +
           (partial_.size() + clipped_.size()) * sizeof(double);
  }

 private:
  /// Sums over what was learnt; other processes get them with the next exchange.
  void ask_sums() {
    sums_.begin();
    sums_.add(partial_.data(), chunks_, 3 * d_);
    due_sums_ = true;
    if (others_.alone()) exchange_sums();
  }
  void exchange_sums() {
    sums_.exchange();
    if (!due_sums_) return;
    std::copy_n(sums_.at(0), d_, counts_.begin());
    std::copy_n(sums_.at(d_), d_, sum_a_.begin());
    std::copy_n(sums_.at(2 * d_), d_, sum_b_.begin());
    due_sums_ = false;
  }

  double trim(const Real* values, const Real* present, Index output, int thread) {
    const auto count = static_cast<Index>(counts_[output]);
    return trimmed_[static_cast<std::size_t>(thread)](
        values, count == N_ ? nullptr : present + output * padded_, count, N_);
  }

  /// Sums of the chunks for the aggregates of (8.6), except the trimmed mean; each output has
  /// `rows` rows.
  void clip(const Worker& worker, const Real* values, const Real* present, Index rows,
            const double* middle, const double* width) {
    worker.chunks(chunks_, [&](Index chunk) {
      const Index first = chunk * kChunkAgents, last = std::min(first + kChunkAgents, N_);
      for (Index row = 0; row < d_ * rows; ++row)
        kernels_.clipped(values + row * padded_, present + row / rows * padded_, from(middle[row]),
                         limit(width[row]), first, last, &clipped_[(chunk * d_ * rows + row) * 2]);
    });
  }
  double from(double middle) const { return kind_ == Aggregate::clip ? middle : 0.0; }
  double limit(double width) const {
    const bool bounds = kind_ == Aggregate::clip && width > 0.0;
    return bounds ? 3.0 * width : std::numeric_limits<double>::infinity();
  }
  void take_clipped(Index place, Index rows, const double* middle, double* next_middle,
                    double* next_width, double* aggregates) const {
    for (Index row = 0; row < d_ * rows; ++row) {
      const double count = counts_[row / rows];
      if (!(count > 0.0)) continue;
      aggregates[row] = next_middle[row] = from(middle[row]) + sums_[place + 2 * row] / count;
      next_width[row] = sums_[place + 2 * row + 1] / count;
    }
  }

  const Aggregate kind_;
  const double prior_;
  const PanelKernels<Real>& kernels_;
  const Index N_, d_, p_, padded_, chunks_;  // N: clients of this process
  std::vector<TrimmedMean<Real>> trimmed_;   // per thread
  std::vector<double> partial_, clipped_;    // (chunks, 3 d), (chunks, d p, 2)
  Exchange& others_;
  SharedSums sums_;
  bool due_sums_ = false;                          // of the last learnt step
  std::vector<double> counts_, sum_a_, sum_b_;     // (d)
  std::vector<double> next_center_, next_spread_;  // (d), for forecasts after y is learnt
};

}  // namespace memoa::detail
