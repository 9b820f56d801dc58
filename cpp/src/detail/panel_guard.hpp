#pragma once

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "detail/kernels.hpp"
#include "detail/panel_waiting.hpp"
#include "detail/validate.hpp"

namespace memoa::detail {

/// The data to check: inputs x (T, N, width) and targets y (T, N, d); y is null for inputs alone.
template <class Real>
struct PanelRows {
  const Real* x;
  const double* y;
  const double* initial;  // (n_initial, N, d), each observed before its step, or null
  Index n_initial;
  const double* base;  // (d, padded), NaN where no value was seen
  Index padded, n_steps, delay;
  const PanelWaiting<Real>* waiting;  // the forecasts that wait, with a delay
};

/// Throws before anything changes if a number is infinite or too large, or if an input of a client
/// that already has a value is missing.
template <class Real>
class PanelGuard {
 public:
  PanelGuard(Index n_clients, Index n_outputs, Index width, bool given)
      : N_(n_clients),
        d_(n_outputs),
        width_(width),
        most_y_(sizeof(Real) == 4 ? 1e15 : 1e150),
        most_(sizeof(Real) == 4 ? 1e15
              : given           ? 1e75
                                : 1e150),  // squares of features are summed in H
        bad_(static_cast<std::size_t>((N_ + kChunkAgents - 1) / kChunkAgents)) {}

  /// Values (N, d), or of several steps; NaN means no value.
  void targets(const char* name, const double* y, Index n_steps = 1) const {
    bool large = false;  // found without a branch, so that compilers can vectorise
    for (Index k = 0; k < n_steps * N_ * d_; ++k) large |= std::abs(y[k]) > most_y_;
    for (Index k = 0; k < n_steps * N_ * d_ && large; ++k)
      if (std::abs(y[k]) > most_y_) refuse(name, y, k / d_, d_, n_steps > 1, most_y_, true);
  }

  /// Records the first bad number of a chunk of clients; any thread may call it.
  void look(Index chunk, const PanelRows<Real>& rows) {
    const Index first = chunk * kChunkAgents, last = std::min(first + kChunkAgents, N_);
    bad_[chunk] = -1;
    if (rows.y == nullptr && all_fine(rows.x + first * width_, (last - first) * width_)) return;
    bool known[kChunkAgents];
    for (Index i = first; i < last; ++i) known[i - first] = knows(rows, i);
    const auto learn = [&](const double* y) {
      for (Index i = first; i < last && y != nullptr; ++i)
        for (Index o = 0; o < d_; ++o)
          known[i - first] = known[i - first] || !std::isnan(y[i * d_ + o]);
    };
    Index& found = bad_[chunk];  // 2 (t N + i) for X, one more for Y
    Index learnt = 0;            // among the waiting steps, then these steps
    for (Index t = 0; t < rows.n_steps && found < 0; ++t) {
      if (t < rows.n_initial && rows.initial != nullptr) learn(rows.initial + t * N_ * d_);
      for (; learnt < rows.waiting->size() + t - rows.delay; ++learnt) learn(target(rows, learnt));
      for (Index i = first; i < last && found < 0; ++i) {
        const Index row = t * N_ + i;
        if (known[i - first] && !all_fine(rows.x + row * width_, width_)) found = 2 * row;
        for (Index o = 0; o < d_ && rows.y != nullptr; ++o)
          if (std::abs(rows.y[row * d_ + o]) > most_y_ && found < 0) found = 2 * row + 1;
      }
    }
  }

  /// Throws an error for the first bad number, if any.
  void judge(const PanelRows<Real>& rows) const {
    const bool series = rows.y != nullptr;
    for (const Index found : bad_) {
      if (found < 0) continue;
      if (found % 2 == 0) refuse("X", rows.x, found / 2, width_, series, most_, false);
      refuse("Y", rows.y, found / 2, d_, series, most_y_, true);
    }
  }

 private:
  bool all_fine(const Real* x, Index size) const {
    const Real most = static_cast<Real>(most_);
    bool fine = true;
    for (Index k = 0; k < size; ++k) fine &= std::abs(x[k]) <= most;
    return fine;
  }
  bool knows(const PanelRows<Real>& rows, Index client) const {
    for (Index o = 0; o < d_; ++o)
      if (!std::isnan(rows.base[o * rows.padded + client])) return true;
    return false;
  }
  /// The y (N, d) of a step, null if unknown. Step 0 is the oldest that waits.
  const double* target(const PanelRows<Real>& rows, Index step) const {
    const Index waits = rows.waiting->size();
    if (step < waits)
      return step < rows.waiting->received() ? rows.waiting->received(step) : nullptr;
    return rows.y == nullptr ? nullptr : rows.y + (step - waits) * N_ * d_;
  }

  template <class Value>
  [[noreturn]] void refuse(const char* name, const Value* values, Index row, Index columns,
                           bool series, double most, bool may_miss) const {
    Index j = 0;
    const auto fine = [&](double v) { return std::abs(v) <= most || (may_miss && std::isnan(v)); };
    while (fine(static_cast<double>(values[row * columns + j]))) ++j;
    const std::string step = series ? to_text(row / N_) + ", " : std::string();
    throw std::invalid_argument(std::string(name) + " holds " +
                                to_text(static_cast<double>(values[row * columns + j])) + " at [" +
                                step + to_text(row % N_) + ", " + to_text(j) +
                                "]; expected numbers of at most " + to_text(most, 3));
  }

  const Index N_, d_, width_;
  const double most_y_, most_;
  std::vector<Index> bad_;  // (chunks)
};

}  // namespace memoa::detail
