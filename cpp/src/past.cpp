#include "memoa/past.hpp"

#include <algorithm>
#include <cmath>

#include "detail/past_size.hpp"
#include "detail/validate.hpp"

namespace memoa {
namespace {

using detail::require;

constexpr Index kLongest = 60;     // the longest lag to try
constexpr double kDecay = 0.99;    // of the errors of repetition
constexpr double kMostMiss = 8.0;  // usual increments: the largest counted miss
constexpr double kMatches = 1e-9;  // usual increments: below, not a miss
constexpr double kLargestInput = 4.0;
constexpr double kFar = 12.0, kJudged = 10.0;  // usual increments; increments before any is far
constexpr double kShrinks = 1.0 / 16.0;  // of the usual increment in a step: its moments restart

enum Field : Index { kValue, kError, kWeight, kMatched, kMissed, kFields };

}  // namespace

void validate(const PastSettings& past) {
  require(past.lags >= 0 && past.lags < 1'000'000, "lags", past.lags,
          "a number of steps from 0 to 999999");
  require(past.delay >= 0 && past.delay < 1'000'000, "delay", past.delay,
          "a number of steps from 0 to 999999");
  require(past.season >= kAutoSeason && past.season < 1'000'000, "season", past.season,
          "a period from 1 to 999999 steps");
}

Index n_inputs(const PastSettings& past, Index n_outputs) {
  const Index each = past.lags + (past.season != 0 ? 1 : 0), most = detail::kMostInputs;
  return each > 0 && n_outputs > most / each ? most : each * n_outputs;
}

// ------------------------------------------------------------------ one output's season

Season::Season(Index season, Index delay)
    : known_(season != kAutoSeason),
      delay_(delay),
      length_(known_ ? season : kLongest),
      numbers_(static_cast<std::size_t>(size())) {}

Index Season::period() const {
  if (known_) return seen() >= length_ ? length_ : 0;
  Index best = 0;
  double least = 0.0;
  for (Index lag = 0; lag < length_; ++lag) {
    if (!(at(kWeight, lag) > 0.0)) continue;
    const double mean = at(kError, lag) / at(kWeight, lag);
    if (best == 0 || mean < least) best = lag + 1, least = mean;
  }
  return best;
}

double Season::increment() const {
  const Index lag = period();
  return lag > 0 ? at(kValue, reach(lag) - 1 - delay_) - at(kValue, 0) : 0.0;
}

bool Season::is_exact() const {
  const Index lag = period();
  if (lag < 2 || at(kMatched, lag - 1) == 0.0 || at(kMissed, lag - 1) > 0.0) return false;
  for (Index other = 0; other < length_; ++other)
    if (at(kMatched, other) > 0.0 && at(kMissed, other) > 0.0) return false;
  return true;
}

void Season::observe(double y) {
  for (Index lag = n_values() - 1; lag > 0; --lag) at(kValue, lag) = at(kValue, lag - 1);
  at(kValue, 0) = y;
  numbers_[0] = static_cast<double>(std::min(seen() + 1, n_values()));
}

void Season::learn(double y, double scale) {
  for (Index lag = 0; lag < length_; ++lag) {
    const Index back = reach(lag + 1) - 1;
    if (back >= seen()) continue;
    const double miss = std::abs(at(kValue, back) - y), counts = std::min(miss, kMostMiss * scale);
    at(kError, lag) = kDecay * at(kError, lag) + counts * counts;
    at(kWeight, lag) = kDecay * at(kWeight, lag) + 1.0;
    at(miss <= kMatches * scale ? kMatched : kMissed, lag) = 1.0;
  }
  observe(y);
}

void Season::restart() { std::fill(&at(kError, 0), numbers_.data() + numbers_.size(), 0.0); }

void Season::validate() const {
  const double most = static_cast<double>(n_values());
  require(numbers_[0] >= 0.0 && numbers_[0] <= most && numbers_[0] == std::floor(numbers_[0]),
          "memory.past: values", numbers_[0], "a number of steps up to the longest lag");
  for (Index lag = 0; lag < length_; ++lag)
    require(at(kError, lag) >= 0.0 && at(kWeight, lag) >= 0.0, "memory.past: errors",
            at(kError, lag), "numbers >= 0");
}

// ------------------------------------------------------------------ all outputs

Past::Past(const PastSettings& settings, Index n_outputs)
    : lags_(settings.lags),
      d_(n_outputs),
      increments_(static_cast<std::size_t>(settings.lags * n_outputs)),
      scales_(static_cast<std::size_t>(n_outputs)),
      leaps_(static_cast<std::size_t>(settings.delay > 0 ? n_outputs : 0)),
      largest_(static_cast<std::size_t>(n_outputs)),
      restarted_(static_cast<std::size_t>(n_outputs)) {
  if (settings.season != 0)
    seasons_.assign(static_cast<std::size_t>(n_outputs), Season(settings.season, settings.delay));
}

namespace {

/// Root mean square of the counted values, as in the standardiser.
double usual_size(const Coordinate& counted) {
  const Moments& known = counted.known();
  const double deviation = known.deviation();
  return std::sqrt(deviation * deviation + known.mean * known.mean);
}

}  // namespace

double Past::scale(Index output) const {
  return usual_size(scales_[static_cast<std::size_t>(output)]);
}

double Past::bounded(Index output, double increment) const {
  const double usual = usual_size(leap(output));
  if (leap(output).known().count < kJudged || !(usual > 0.0)) return increment;
  return std::clamp(increment, -kFar * usual, kFar * usual);
}

void Past::inputs(double* out) const {
  const Index n = static_cast<Index>(increments_.size());
  for (Index o = 0; o < d_; ++o) {
    const double size = scale(o);
    const auto scaled = [size](double increment) {
      return size > 0.0 ? std::clamp(increment / size, -kLargestInput, kLargestInput) : 0.0;
    };
    for (Index k = o; k < n; k += d_) out[k] = scaled(increments_[static_cast<std::size_t>(k)]);
    if (!seasons_.empty()) out[n + o] = scaled(season(o)->increment());
  }
}

void Past::observe(const double* y) {
  for (std::size_t o = 0; o < seasons_.size(); ++o) seasons_[o].observe(y[o]);
}

void Past::require_base(const double* base) {
  for (Index o = 0; o < d_ && !seasons_.empty(); ++o)
    if (!season(o)->ends_with(base[o])) return observe(base);
}

void Past::learn(const double* y, const double* base, const double* from) {
  if (lags_ > 0) std::copy_backward(increments_.begin(), increments_.end() - d_, increments_.end());
  for (Index o = 0; o < d_; ++o) {
    const auto at = static_cast<std::size_t>(o);
    const bool is_missing = std::isnan(y[o]);
    const double change = is_missing ? 0.0 : y[o] - base[o];
    if (lags_ > 0) increments_[at] = change;
    restarted_[at] = false;
    if (is_missing) {  // nothing is counted of it, theory section 10
      if (!seasons_.empty()) seasons_[at].observe(base[o]);
      continue;
    }
    largest_[at] = std::max(largest_[at], std::abs(bounded(o, y[o] - from[o])));
    if (!leaps_.empty()) leaps_[at].count(y[o] - from[o]);
    const double before = scale(o);
    scales_[at].count(change);
    restarted_[at] = scale(o) < kShrinks * before;
    if (seasons_.empty()) continue;
    if (restarted_[at]) seasons_[at].restart();
    seasons_[at].learn(y[o], scale(o));
  }
}

Index Past::size() const {
  return static_cast<Index>(increments_.size()) +
         d_ * (1 + (leaps_.empty() ? 1 : 2) * Coordinate::kNumbers) +
         (seasons_.empty() ? 0 : d_ * seasons_.front().size());
}

double& Past::number(Index k) {
  const Index n = static_cast<Index>(increments_.size()), of_scales = d_ * Coordinate::kNumbers;
  const auto of = [](std::vector<Coordinate>& counted, Index at) -> double& {
    return counted[static_cast<std::size_t>(at / Coordinate::kNumbers)].number(
        at % Coordinate::kNumbers);
  };
  if (k < n) return increments_[static_cast<std::size_t>(k)];
  k -= n;
  if (k < d_) return largest_[static_cast<std::size_t>(k)];
  k -= d_;
  if (k < of_scales) return of(scales_, k);
  k -= of_scales;
  if (!leaps_.empty()) {
    if (k < of_scales) return of(leaps_, k);
    k -= of_scales;
  }
  const Index each = seasons_.front().size();
  return seasons_[static_cast<std::size_t>(k / each)].number(k % each);
}

void Past::validate() const {
  for (const Coordinate& scale : scales_) scale.validate();
  for (const Coordinate& leap : leaps_) leap.validate();
  for (const Season& season : seasons_) season.validate();
}

}  // namespace memoa
