#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "detail/buffer.hpp"
#include "detail/memory.hpp"
#include "detail/panel_kernels.hpp"
#include "memoa/panel.hpp"

namespace memoa::detail {

/// Forecasts of a panel that are not learnt yet, theory (10.11): a ring buffer of as many steps as
/// may wait. The steps of a run already have a y; they are the oldest.
template <class Real>
class PanelWaiting {
 public:
  PanelWaiting(const PanelSettings& s, Index p, Index width, Index padded)
      : slots_(s.delay > 0 ? s.delay + 1 : 0),
        N_(s.n_clients),
        d_(s.n_outputs),
        p_(p),
        width_(width),
        padded_(padded),
        x_(slots_ * N_ * width_),
        features_(slots_ * p_ * padded_),
        shown_(slots_ * kShown * d_ * padded_),
        values_(slots_ * kValues * d_ * padded_),
        received_(slots_ * N_ * d_) {
    each([](auto& buffer, Index) { clear(buffer, 0); });
  }

  Index slots() const { return slots_; }
  Index size() const { return count_; }
  Index received() const { return n_received_; }  ///< so many of the oldest have a y
  bool is_full() const { return count_ == slots_; }
  std::size_t bytes() const {
    std::size_t sum = 0;
    each([&](auto& buffer, Index) {
      sum += static_cast<std::size_t>(buffer.size()) * sizeof(*buffer.data());
    });
    return sum;
  }

  // Arrays of waiting step `at`; step 0 is the oldest.
  Real* x(Index at) const { return x_.data() + slot(at) * N_ * width_; }  // (N, width)
  Real* features(Index at) const { return features_.data() + slot(at) * p_ * padded_; }  // (p, ..)
  double* received(Index at) const { return received_.data() + slot(at) * N_ * d_; }     // (N, d)
  LateStep<Real> step(Index at) const {
    const Index rows = d_ * padded_;
    Real* shown = shown_.data() + slot(at) * kShown * rows;
    double* values = values_.data() + slot(at) * kValues * rows;
    return {shown, shown + rows, shown + 2 * rows, shown + 3 * rows, values, values + rows};
  }

  Index push() { return count_++; }
  void pop() {
    first_ = (first_ + 1) % slots_;
    --count_;
    n_received_ = std::max<Index>(n_received_ - 1, 0);
  }
  /// Stores the y (N, d) of the newest step; all steps before it must have theirs.
  void receive(const double* y) {
    std::copy_n(y, N_ * d_, received(count_ - 1));
    n_received_ = count_;
  }

  /// Whether a step had these inputs. Inputs of clients without a value were not read.
  bool has_input(Index at, const Real* input) const {
    const Real* kept = x(at);
    for (Index i = 0; i < N_; ++i)
      for (Index j = 0; j < width_ && knows(at, i); ++j)
        if (kept[i * width_ + j] != input[i * width_ + j]) return false;
    return true;
  }
  /// Whether a client had a value at the forecast of a step.
  bool knows(Index at, Index client) const {
    const double* base = step(at).base;
    for (Index o = 0; o < d_; ++o)
      if (!std::isnan(base[o * padded_ + client])) return true;
    return false;
  }

  // -------------------------------------------------- the memory

  static constexpr double kMissing = std::numeric_limits<double>::max();  // a memory has no NaN
  static constexpr Index kShown = 4, kValues = 2;

  /// Moves the oldest step to the front, and clears steps that no longer wait.
  void tidy() {
    each([this](auto& buffer, Index of_slot) {
      std::rotate(buffer.data(), buffer.data() + first_ * of_slot, buffer.data() + buffer.size());
      clear(buffer, count_ * of_slot);
    });
    first_ = 0;
  }
  Index& count() { return count_; }
  Index& n_received() { return n_received_; }
  /// Replaces kMissing, as read from a memory, by NaN.
  void find_missing() {
    const auto find = [](const Buffer<double>& buffer) {
      std::replace(buffer.data(), buffer.data() + buffer.size(), kMissing,
                   std::numeric_limits<double>::quiet_NaN());
    };
    find(values_), find(received_);
    first_ = 0;
  }
  auto all_x() const {
    return agent_view(N_, slots_ * width_, [this](Index k, Index client) -> Real& {
      return x_.data()[(k / width_ * N_ + client) * width_ + k % width_];
    });
  }
  auto all_features() const { return rows_of(features_, slots_ * p_); }
  auto all_shown() const { return rows_of(shown_, slots_ * kShown * d_); }
  auto all_values() const { return rows_of(values_, slots_ * kValues * d_); }
  auto all_received() const {
    return agent_view(N_, slots_ * d_, [this](Index k, Index client) -> double& {
      return received_.data()[(k / d_ * N_ + client) * d_ + k % d_];
    });
  }

 private:
  Index slot(Index at) const { return (first_ + at) % slots_; }
  template <class Body>
  void each(const Body& body) const {
    body(x_, N_ * width_), body(features_, p_ * padded_), body(shown_, kShown * d_ * padded_);
    body(values_, kValues * d_ * padded_), body(received_, N_ * d_);
  }
  template <class Number>
  static void clear(const Buffer<Number>& buffer, Index from) {
    std::fill(buffer.data() + from, buffer.data() + buffer.size(), Number(0));
  }
  template <class Number>
  auto rows_of(const Buffer<Number>& buffer, Index rows) const {
    return agent_view(N_, rows,
                      [data = buffer.data(), stride = padded_](Index k, Index client) -> Number& {
                        return data[k * stride + client];
                      });
  }

  Index slots_, N_, d_, p_, width_, padded_;
  Index first_ = 0, count_ = 0, n_received_ = 0;
  Buffer<Real> x_;           // (slots, N, width); 0 for clients without a value
  Buffer<Real> features_;    // (slots, p, padded)
  Buffer<Real> shown_;       // (slots, kShown, d, padded)
  Buffer<double> values_;    // (slots, kValues, d, padded)
  Buffer<double> received_;  // (slots, N, d)
};

}  // namespace memoa::detail
