#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "detail/aggregate.hpp"
#include "detail/exact_sum.hpp"
#include "detail/team.hpp"
#include "memoa/panel.hpp"

namespace memoa::detail {

/// What the clients of a panel share: the readout and the forecast of the crowd of those who are
/// present, and the consensus weight that it has learnt.
template <class Real>
class PanelCrowd {
 public:
  PanelCrowd(const PanelSettings& settings, const PanelKernels<Real>& kernels, Index p,
             Index padded, int n_threads)
      : kind_(settings.aggregate),
        kernels_(kernels),
        N_(settings.n_clients),
        d_(settings.n_outputs),
        p_(p),
        padded_(padded),
        chunks_((N_ + kChunkAgents - 1) / kChunkAgents) {
    if (kind_ == Aggregate::trimmed)
      for (Index row = 0; row < std::min<Index>(n_threads, d_ * p); ++row)
        trimmed_.emplace_back(kernels, N_);
    const auto resize = [](auto& values, Index size) {
      values.resize(static_cast<std::size_t>(size));
    };
    exact_.resize(static_cast<std::size_t>(std::max(n_threads, 1)));
    for (ExactSums& exact : exact_) exact.reserve(std::max<Index>(3 * d_, 2));
    resize(partial_, chunks_ * 3 * d_), resize(sums_, 3 * d_);
    for (auto* v : {&counts_, &sum_a_, &sum_b_, &forecast, &weight}) resize(*v, d_);
    resize(readout, d_ * p), resize(sent, d_ * p);
    for (auto* v : {&center, &spread}) resize(*v, d_ * (p + 1));
    for (auto* v : {&next_center_, &next_spread_}) resize(*v, d_);
  }

  std::vector<double> readout;           // (d p)
  std::vector<Real> sent;                // the same, as clients are sent it
  std::vector<double> forecast, weight;  // (d), of the last step shown; NaN: no crowd
  std::vector<double> center, spread;    // (d (p + 1)), of clipped readouts, then of forecasts
  Index due = 0;                         // 1 once a step was learnt that no exchange has followed

  /// Step 1: the readout of the crowd, one coordinate per task, if it is due.
  void exchange(const Worker& worker, const Real* readouts, const Real* present) {
    if (due == 0) return;
    const int team = std::min<int>(worker.threads, static_cast<int>(d_ * p_));
    if (worker.thread < team)
      Worker{worker.thread, team, nullptr}.chunks(d_ * p_, [&](Index row) {
        const Index o = row / p_;
        if (counts_[o] == 0.0) return;
        readout[row] = aggregate(readouts + row * padded_, present + o * padded_, o, center[row],
                                 spread[row], worker.thread);
        sent[row] = static_cast<Real>(readout[row]);
      });
    worker.meet();
  }

  /// Step 3: what the crowd forecasts, and how much weight it gets.
  void agree(const Worker& worker, const Real* forecasts, const Real* present) {
    if (worker.thread == 0)
      for (Index o = 0; o < d_; ++o) {
        next_center_[o] = center[d_ * p_ + o], next_spread_[o] = spread[d_ * p_ + o];
        forecast[o] = counts_[o] > 0.0 ? aggregate(forecasts + o * padded_, present + o * padded_,
                                                   o, next_center_[o], next_spread_[o], 0)
                                       : std::numeric_limits<double>::quiet_NaN();
        weight[o] = learnt_weight(o);
      }
    worker.meet();
  }
  double learnt_weight(Index output) const {
    return std::clamp(sum_b_[output] / (sum_a_[output] + 5.0), 0.0, 1.0);
  }

  /// A step was learnt, and the sums of its chunks are there.
  void settle() {
    add_up();
    std::copy(next_center_.begin(), next_center_.end(), center.begin() + d_ * p_);
    std::copy(next_spread_.begin(), next_spread_.end(), spread.begin() + d_ * p_);
    due = 1;
  }
  /// A chunk's sums (3, d): of those present, and of their a and b in (8.3).
  double* sums_of(Index chunk) { return &partial_[chunk * 3 * d_]; }

  /// The same sums from what was restored.
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
    add_up();
    std::transform(readout.begin(), readout.end(), sent.begin(),
                   [](double value) { return static_cast<Real>(value); });
  }

  std::size_t bytes() const {
    return trimmed_.size() * static_cast<std::size_t>(N_) * sizeof(Real) +
           partial_.size() * sizeof(double);
  }

 private:
  void add_up() {
    add_columns(partial_.data(), chunks_, 3 * d_, exact_[0], sums_.data());
    std::copy_n(sums_.begin(), d_, counts_.begin());
    std::copy_n(sums_.begin() + d_, d_, sum_a_.begin());
    std::copy_n(sums_.begin() + 2 * d_, d_, sum_b_.begin());
  }

  /// The aggregate of a row of values over those who are present, theory (8.6).
  double aggregate(const Real* values, const Real* present, Index output, double& middle,
                   double& width, int thread) {
    const auto count = static_cast<Index>(counts_[output]);
    if (kind_ == Aggregate::trimmed)
      return trimmed_[thread](values, count == N_ ? nullptr : present, count, N_);
    const bool clip = kind_ == Aggregate::clip;
    const double from = clip ? middle : 0.0;
    const double limit =
        clip && width > 0.0 ? 3.0 * width : std::numeric_limits<double>::infinity();
    ExactSums& exact = exact_[static_cast<std::size_t>(thread)];
    exact.begin(2);
    for (Index first = 0; first < N_; first += kChunkAgents) {
      double sums[2];
      kernels_.clipped(values, present, from, limit, first, std::min(first + kChunkAgents, N_),
                       sums);
      exact.add(0, sums[0]), exact.add(1, sums[1]);
    }
    middle = from + exact.rounded(0) / counts_[output];
    width = exact.rounded(1) / counts_[output];
    return middle;
  }

  const Aggregate kind_;
  const PanelKernels<Real>& kernels_;
  const Index N_, d_, p_, padded_, chunks_;
  std::vector<TrimmedMean<Real>> trimmed_;         // per thread
  std::vector<ExactSums> exact_;                   // the same
  std::vector<double> partial_, sums_;             // (chunks, 3 d), (3 d)
  std::vector<double> counts_, sum_a_, sum_b_;     // (d)
  std::vector<double> next_center_, next_spread_;  // (d), of forecasts once y is learnt
};

}  // namespace memoa::detail
