#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "detail/population_records.hpp"
#include "detail/rivals.hpp"

namespace memoa::detail {

/// The server's forecast of one output, in parts. The parts are scored when y is known.
struct Said {
  double mixture = 0.0;
  Rivals::Forecast rivals{};
};

/// Forecasts whose y is not known yet, theory (10.7): a ring with one slot for each step that may
/// wait. A memory must have finite numbers only, so a missing number is stored as the largest
/// double.
template <class Real>
class Waiting {
 public:
  Waiting(const PopulationSettings& s, const Layout<Real>& layout)
      : slots_(s.past.delay > 0 ? s.past.delay + 1 : 0),
        d_(layout.d),
        padded_(layout.padded),
        N_(layout.N),
        p_(keeps_features(layout) ? layout.p : 0),
        width_(layout.dx > 0 ? layout.dx : layout.N * layout.p),
        numbers_(width_ + layout.encoded + kOfOutput * d_ + kFlags),
        steps_(static_cast<std::size_t>(slots_ * numbers_)),
        agents_(slots_ * kRows * d_ * padded_),
        features_(slots_ * p_ * N_),
        said_of_oldest(slots_ > 0 ? static_cast<std::size_t>(d_) : 0),
        told_of_oldest(said_of_oldest.size()),
        known_before(said_of_oldest.size()) {
    std::fill_n(agents_.data(), agents_.size(), Real(0));
    std::fill_n(features_.data(), features_.size(), Real(0));
  }

  /// Whether the features must be stored because they cannot be computed again: those of a
  /// reservoir, whose state has changed since, and those that the caller passed.
  static bool keeps_features(const Record& record) {
    return record.features == Features::echo || record.features == Features::given;
  }
  static bool keeps_features(const Layout<Real>& layout) {
    return std::any_of(layout.groups.begin(), layout.groups.end(),
                       [](const Group& group) { return keeps_features(group.record); });
  }
  static double bytes_for(const PopulationSettings& s, double N, double p, double d, double encoded,
                          bool keeps, bool given) {
    if (s.past.delay == 0) return 0.0;
    const double slots = static_cast<double>(s.past.delay) + 1.0,
                 dx = given ? N * p : static_cast<double>(s.n_inputs);
    return slots * ((kRows * d + (keeps ? p : 0.0)) * N * sizeof(Real) +
                    8.0 * (dx + encoded + kOfOutput * d + kFlags));
  }
  std::size_t bytes() const {
    return steps_.size() * sizeof(double) +
           static_cast<std::size_t>(agents_.size() + features_.size()) * sizeof(Real);
  }

  Index size() const { return count; }
  bool is_full() const { return count == slots_; }

  // `at` is the number of a waiting step; the oldest is 0.
  double* x(Index at) { return step(at); }
  double* row(Index at) { return step(at) + width_; }
  double* base(Index at) { return of_outputs(at); }
  double* forecast(Index at) { return of_outputs(at) + d_; }
  double* told(Index at) { return of_outputs(at) + 2 * d_; }
  double* said(Index at) { return of_outputs(at) + 3 * d_; }  // (d, kSaid)
  double& has_base(Index at) { return flags(at)[0]; }
  double& is_told(Index at) { return flags(at)[1]; }
  // (d, padded) each: what agents showed, their local forecasts, and what the server used for them
  Real* increments(Index at) { return of_agents(at, 0); }
  Real* forecasts(Index at) { return of_agents(at, 1); }
  Real* heard(Index at) { return of_agents(at, 2); }
  Real* features(Index at) { return features_.data() + slot(at) * p_ * N_; }  // (p, N)

  Index push() { return count++; }
  void pop() {
    first = (first + 1) % slots_;
    --count;
  }
  void drop_newest() { --count; }

  bool has_input(Index at, const double* input) {
    const double* kept = x(at);
    for (Index j = 0; j < width_; ++j)
      if (kept[j] != to_keep(input[j])) return false;
    return true;
  }

  static constexpr double kMissing = std::numeric_limits<double>::max();
  static double to_keep(double value) { return std::isnan(value) ? kMissing : value; }
  static double kept(double value) {
    return value == kMissing ? std::numeric_limits<double>::quiet_NaN() : value;
  }

  static constexpr Index kSaid = 11;
  void write_said(Index at, Index o, const Said& s) {
    double* to = said(at) + o * kSaid;
    const Rivals::Forecast& f = s.rivals;
    to[0] = s.mixture, to[1] = f.mixed;
    std::copy_n(f.rivals, 3, to + 2), std::copy_n(f.levels, 3, to + 5);
    std::copy_n(f.shares, 3, to + 8);  // the fourth follows from these
  }
  Said read_said(Index at, Index o) {
    const double* from = said(at) + o * kSaid;
    Said s;
    s.mixture = from[0], s.rivals.mixed = from[1];
    std::copy_n(from + 2, 3, s.rivals.rivals), std::copy_n(from + 5, 3, s.rivals.levels);
    std::copy_n(from + 8, 3, s.rivals.shares);
    return s;
  }

  // -------------------------------------------------- the memory
  Index first = 0, count = 0;

  Index slots() const { return slots_; }
  Index numbers() const { return numbers_; }
  double* steps() { return steps_.data(); }
  auto agents() {
    return agent_view(N_, slots_ * kRows * d_, [this](Index k, Index agent) -> Real& {
      return agents_.data()[k * padded_ + agent];
    });
  }
  auto all_features() {
    return agent_view(N_, slots_ * p_, [this](Index k, Index agent) -> Real& {
      return features_.data()[k * N_ + agent];
    });
  }
  void validate() const {
    require(first >= 0 && first < std::max<Index>(slots_, 1), "memory.waiting_first", first,
            "the number of a step that waits");
    require(count >= 0 && count <= slots_, "memory.waiting", count,
            "a number of steps that may wait");
  }

  static constexpr Index kRows = 3, kOfOutput = 3 + kSaid, kFlags = 2;

 private:
  Index slot(Index at) const { return (first + at) % slots_; }
  double* step(Index at) { return steps_.data() + slot(at) * numbers_; }
  double* of_outputs(Index at) { return flags(at) - kOfOutput * d_; }
  double* flags(Index at) { return step(at) + numbers_ - kFlags; }
  Real* of_agents(Index at, Index which) {
    return agents_.data() + (slot(at) * kRows + which) * d_ * padded_;
  }

  Index slots_, d_, padded_, N_, p_, width_, numbers_;
  std::vector<double> steps_;  // (slots, numbers): input, encoded input, of outputs, flags
  Buffer<Real> agents_;        // (slots, kRows, d, padded)
  Buffer<Real> features_;      // (slots, p, N), if features are stored

 public:                             // scratch of a step, so that a step allocates nothing
  std::vector<Said> said_of_oldest;  // (d)
  std::vector<double> told_of_oldest, known_before;  // (d)
};

}  // namespace memoa::detail
