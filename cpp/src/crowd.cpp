#include "detail/crowd.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "detail/philox.hpp"

namespace memoa::detail {
namespace {

constexpr Index kJury = 256;
constexpr double kWorse = 4.0;           // agents above so many usual recent losses are left out
constexpr double kLargestLoss = 100;     // one error counts at most so many usual losses
constexpr double kRange = 5.0;           // in deviations from the median
constexpr double kDeviation = 1.4826;    // of a normal variable, in median absolute deviations
constexpr double kCut = 0.2;             // fraction that a trimmed mean leaves out at each end
constexpr double kLargestEnergy = 16.0;  // in usual |z|^2
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<Index> draw_jury(Index n_agents) {
  std::vector<Index> jury(static_cast<std::size_t>(std::min(n_agents, kJury)));
  const auto size = static_cast<Index>(jury.size());
  AgentRandom random(0, 0, 0);  // the same for any seed of the agents
  for (Index j = 0; j < size; ++j) {
    const Index first = j * n_agents / size, next = (j + 1) * n_agents / size;
    const double within = size < n_agents ? random.uniform() : 0.0;
    jury[j] = first + static_cast<Index>(within * static_cast<double>(next - first));
  }
  return jury;
}

}  // namespace

template <class Real>
Crowd<Real>::Crowd(const PopulationSettings& settings, const Layout<Real>& layout)
    : layout_(layout), trims_(settings.aggregate == Aggregate::trimmed) {
  if (!judges(settings)) return;
  jury_ = draw_jury(layout.total);
  recent_loss_.resize(jury_.size());
  values_.resize(jury_.size());
  trusted_.reserve(jury_.size());
  limits_.resize(static_cast<std::size_t>(kTile * 4 * layout.d));
  census_.resize(kTile);
  largest_energy_.resize(kTile);
}

template <class Real>
double Crowd<Real>::median(Index n) {
  const auto first = values_.begin(), middle = first + n / 2;
  std::nth_element(first, middle, first + n);
  return n % 2 == 1 ? *middle : 0.5 * (*middle + *std::max_element(first, middle));
}

template <class Real>
void Crowd<Real>::ask(SharedSums& sums, Index steps, const double* recent_loss,
                      const Real* forecast, const Real* energy) const {
  const Index d = layout_.d, padded = layout_.padded;
  const Index place = sums.gather((1 + steps * (d + 1)) * size());
  for (Index j = 0; j < size(); ++j) {
    const Index agent = jury_[j] - layout_.first;
    if (agent < 0 || agent >= layout_.N) continue;  // in another process
    double* said = &sums.gathered(place + j);
    *said = recent_loss[agent];
    for (Index step = 0; step < steps; ++step) {
      for (Index o = 0; o < d; ++o)
        *(said += size()) = static_cast<double>(forecast[(step * d + o) * padded + agent]);
      *(said += size()) = static_cast<double>(energy[step * padded + agent]);
    }
  }
}

template <class Real>
void Crowd<Real>::hear(SharedSums& sums) {
  std::copy_n(&sums.gathered(0), size(), recent_loss_.begin());
  said_ = &sums.gathered(0) + size();
}

template <class Real>
void Crowd<Real>::look(Index step, Index learnt, const Real* change, const unsigned char* awake,
                       double n_awake) {
  const Index d = layout_.d, size = this->size();
  Census<Real>& census = census_[step];
  Index n = 0;
  for (Index j = 0; j < size; ++j)
    if (!is_away(j, awake)) values_[n++] = recent_loss_[j];
  const bool sits = n > 0;
  if (!sits) std::copy(recent_loss_.begin(), recent_loss_.end(), values_.begin());
  const double usual = median(sits ? n : size);
  const bool judges =
      sits && n_awake >= static_cast<double>(kLeastCrowd);  // else all that are awake count
  // the sum of the weights in a recent loss: 1 + forgetting + forgetting^2 + ...
  const double weight =
      -std::expm1(static_cast<double>(learnt) * std::log(kForgetting)) / (1.0 - kForgetting);
  census.worst = judges && usual > 0.0 ? kWorse * usual : kInfinity;
  census.largest = usual > 0.0 ? kLargestLoss * usual / weight : kInfinity;

  n = 0;
  trusted_.clear();
  for (Index j = 0; j < size; ++j) {
    if (!judges || is_away(j, awake)) continue;
    const double at = energy(step, j);
    if (!(at > 0)) continue;  // an agent without features has no forecast
    values_[n++] = at;
    if (recent_loss_[j] <= census.worst) trusted_.push_back(j);
  }
  largest_energy_[step] = n > 0 ? kLargestEnergy * median(n) : kInfinity;

  Real* limits = &limits_[step * 4 * d];
  census.centre = limits, census.range = limits + d;
  census.low = limits + 2 * d, census.high = limits + 3 * d;
  for (Index o = 0; o < d; ++o) find_limits(step, o, limits);

  for (Index j = 0; j < size && change != nullptr; ++j) {  // as Kernels::remember does
    if (is_away(j, awake)) continue;
    double loss = 0.0;
    for (Index o = 0; o < d; ++o) {
      if (std::isnan(change[o])) continue;
      const Real miss = change[o] - forecast(step, o, j);
      loss += static_cast<double>(miss) * static_cast<double>(miss);
    }
    recent_loss_[j] = kForgetting * recent_loss_[j] + std::min(loss, census.largest);
  }
}

/// Theory (6.10) from the forecasts of the trusted members of the jury.
template <class Real>
void Crowd<Real>::find_limits(Index step, Index o, Real* limits) {
  constexpr Real kNone = std::numeric_limits<Real>::infinity();
  const Index d = layout_.d, n = static_cast<Index>(trusted_.size());
  Real &centre = limits[o], &range = limits[d + o], &low = limits[2 * d + o],
       &high = limits[3 * d + o];
  centre = 0, range = kNone, low = -kNone, high = kNone;
  if (n == 0) return;
  const auto take = [&](const auto& value) {
    for (Index j = 0; j < n; ++j)
      values_[j] = value(static_cast<double>(forecast(step, o, trusted_[j])));
  };
  take([](double c) { return c; });
  const double middle = median(n);
  take([middle](double c) { return std::abs(c - middle); });
  const double spread = kDeviation * median(n);
  centre = static_cast<Real>(middle);
  if (spread > 0.0) range = static_cast<Real>(kRange * spread);
  if (!trims_) return;
  Index kept = 0;
  for (Index j = 0; j < n; ++j) {
    const Real c = forecast(step, o, trusted_[j]);
    if (std::abs(c - centre) <= range) values_[kept++] = static_cast<double>(c);
  }
  const auto first = values_.begin();
  std::sort(first, first + kept);
  const Index cut = static_cast<Index>(kCut * static_cast<double>(kept));
  low = static_cast<Real>(values_[cut]), high = static_cast<Real>(values_[kept - 1 - cut]);
}

template class Crowd<double>;
template class Crowd<float>;

}  // namespace memoa::detail
