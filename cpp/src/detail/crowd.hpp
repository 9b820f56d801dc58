#pragma once

#include <vector>

#include "detail/exchange.hpp"
#include "detail/population_records.hpp"

namespace memoa::detail {

constexpr Index kLeastCrowd = 16;  // averages over fewer agents are plain means

/// Which agents count in averages, and which the mixture uses, theory (6.9) and (6.10). In every
/// step a jury of agents sets limits for the forecasts and for the recent losses.
///
/// With at most 256 agents, all are members of the jury. Otherwise the agents are divided into 256
/// ranges of equal length, and one member is chosen at random from each. So neither liars with
/// consecutive numbers nor one type of agents can fill the jury.
template <class Real>
class Crowd {
 public:
  static constexpr double kForgetting = 0.99;  // of a recent loss

  Crowd(const PopulationSettings& settings, const Layout<Real>& layout);

  /// Requests the jury's recent losses before a window of steps, and its forecasts
  /// (steps, d, padded) and energies (steps, padded) in the window.
  void ask(SharedSums& sums, Index steps, const double* recent_loss, const Real* forecast,
           const Real* energy) const;
  /// Stores these numbers, after the exchange.
  void hear(SharedSums& sums);
  /// Finds the limits of the window's next step, when `learnt` steps have been learnt. If the
  /// change of y in this step, `change` (d), is not null, it also updates the jury's recent losses.
  /// `awake` (padded) says who is awake, null means all; `n_awake` is their number. If it is below
  /// kLeastCrowd, there are no limits.
  void look(Index step, Index learnt, const Real* change, const unsigned char* awake,
            double n_awake);

  Index size() const { return static_cast<Index>(jury_.size()); }

  // The limits of a step of the window.
  const Census<Real>& census(Index step) const { return census_[step]; }
  /// The largest average of |z|^2 that a chunk may have.
  double largest_energy(Index step) const { return largest_energy_[step]; }

 private:
  void find_limits(Index step, Index o, Real* limits);
  Real forecast(Index step, Index o, Index j) const {
    return static_cast<Real>(said_[((step * (layout_.d + 1)) + o) * size() + j]);
  }
  double energy(Index step, Index j) const {
    return said_[((step * (layout_.d + 1)) + layout_.d) * size() + j];
  }
  bool is_away(Index j, const unsigned char* awake) const {
    return awake != nullptr && awake[jury_[j] - layout_.first] == 0;
  }
  double median(Index n);  // of the first n of values_; reorders them

  const Layout<Real>& layout_;
  const bool trims_;
  std::vector<Index> jury_;       // numbers of the agents, among those of all processes
  const double* said_ = nullptr;  // (steps, d + 1, jury): forecasts, energies
  std::vector<double> recent_loss_, values_;
  std::vector<Index> trusted_;  // positions in the jury
  std::vector<Real> limits_;    // (steps, 4, d)
  std::vector<Census<Real>> census_;
  std::vector<double> largest_energy_;
};

}  // namespace memoa::detail
