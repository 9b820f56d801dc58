#pragma once

#include <vector>

#include "detail/exchange.hpp"
#include "detail/population_records.hpp"

namespace memoa::detail {

constexpr Index kLeastCrowd = 16;  // agents; averages over fewer are means

/// Whom the averages over agents count and the mixture heeds, theory (6.9) and (6.10): limits that
/// a jury of agents sets in every step, and every agent's recent loss.
///
/// With at most 256 agents all are of the jury. Of more, one is drawn from each of 256 stretches of
/// equal length, so that no row of liars and no type of agents fills it.
template <class Real>
class Crowd {
 public:
  static constexpr double kForgetting = 0.99;  // of a recent loss

  Crowd(const PopulationSettings& settings, const Layout<Real>& layout);

  /// Asks the jury for its recent losses as they are before a window of steps, and for its
  /// forecasts (steps, d, padded) and energies (steps, padded) there.
  void ask(SharedSums& sums, Index steps, const double* recent_loss, const Real* forecast,
           const Real* energy) const;
  /// Takes what it said.
  void hear(SharedSums& sums);
  /// Finds the limits of the window's next step, after `learnt` steps were learnt in all, and
  /// brings the jury's recent losses forward where what is to be learnt from it, `change` (d), is
  /// known. `awake` (padded) tells who is there, `n_awake` of them all; null: all. Too few are no
  /// crowd.
  void look(Index step, Index learnt, const Real* change, const unsigned char* awake,
            double n_awake);

  Index size() const { return static_cast<Index>(jury_.size()); }

  // of a step of the window
  const Census<Real>& census(Index step) const { return census_[step]; }
  /// What an average of |z|^2 may be at most.
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
  double median(Index n);  // of the first n of values_, which it reorders

  const Layout<Real>& layout_;
  const bool trims_;
  std::vector<Index> jury_;       // numbers among all agents
  const double* said_ = nullptr;  // (steps, d + 1, jury): forecasts, energies
  std::vector<double> recent_loss_, values_;
  std::vector<Index> trusted_;  // places in the jury
  std::vector<Real> limits_;    // (steps, 4, d)
  std::vector<Census<Real>> census_;
  std::vector<double> largest_energy_;
};

}  // namespace memoa::detail
