#include "memoa/encoder.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "detail/matrix.hpp"
#include "detail/philox.hpp"
#include "detail/validate.hpp"

namespace memoa {
namespace {

using detail::require;

void check(const RandomFeatures& e) {
  require(e.n_features >= 1, "n_features", e.n_features, "at least 1");
  require(e.scale > 0.0 && std::isfinite(e.scale), "scale", e.scale, "a positive finite number");
  require(e.n_raw >= 0 && e.n_raw < e.n_features, "n_raw", e.n_raw,
          "at least 0 and below n_features");
  require(e.n_columns >= 0, "n_columns", e.n_columns, "at least 0, which means all");
}

void check(const EchoState& e) {
  require(e.n_features >= 1, "n_features", e.n_features, "at least 1");
  require(e.leak > 0.0 && e.leak <= 1.0, "leak", e.leak, "a number in (0, 1]");
  require(e.radius >= 0.0 && std::isfinite(e.radius), "radius", e.radius, "a finite number >= 0");
}

void check(const Precomputed& e) {
  require(e.n_features >= 1, "n_features", e.n_features, "at least 1");
}

void check(const Linear&) {}

enum Stream : std::uint64_t { kInput = 0, kBias = 1, kReservoir = 2, kColumns = 3 };

EncoderWeights draw_input(std::uint64_t seed, std::uint64_t agent, Index p, Index row_size,
                          bool angles) {
  EncoderWeights weights;
  detail::AgentRandom input(seed, agent, kInput), bias(seed, agent, kBias);
  const double scale = 1.0 / std::sqrt(static_cast<double>(row_size));
  weights.input.resize(static_cast<std::size_t>(p * row_size));
  for (double& v : weights.input) v = scale * input.normal();
  weights.bias.resize(static_cast<std::size_t>(p));
  for (double& v : weights.bias)
    v = angles ? 2.0 * 3.14159265358979323846 * bias.uniform() : 2.0 * bias.uniform() - 1.0;
  return weights;
}

/// Appends `count` different inputs of the first n; all n if there are fewer.
void draw_columns(detail::AgentRandom& random, Index count, Index n, std::vector<Index>& columns) {
  std::vector<Index> left(static_cast<std::size_t>(n));
  std::iota(left.begin(), left.end(), Index{0});
  for (Index k = 0; k < std::min(count, n); ++k) {
    const auto at = static_cast<Index>(random.uniform() * static_cast<double>(left.size()));
    columns.push_back(left[at]);
    left.erase(left.begin() + at);
  }
}

EncoderWeights draw_random_features(const RandomFeatures& e, std::uint64_t seed,
                                    std::uint64_t agent, Index n_inputs, Index n_own) {
  const Index q = e.n_features - n_plain(e, n_inputs), size = row_size(e, n_inputs);
  const bool angles = e.activation == Activation::cos || e.activation == Activation::wave;
  EncoderWeights weights = draw_input(seed, agent, q, size, angles);
  detail::AgentRandom random(seed, agent, kColumns);
  draw_columns(random, e.n_raw, n_inputs, weights.raw);
  for (Index row = 0; row < q && e.n_columns > 0; ++row) {
    draw_columns(random, size, row % 2 == 1 && n_own > 0 ? n_own : n_inputs, weights.columns);
    for (; static_cast<Index>(weights.columns.size()) < (row + 1) * size;
         weights.columns.push_back(0))  // fills a row that has fewer inputs
      weights.input[weights.columns.size()] = 0.0;
  }
  return weights;
}

std::vector<double> draw_reservoir(std::uint64_t seed, std::uint64_t agent, Index p,
                                   double radius) {
  detail::AgentRandom random(seed, agent, kReservoir);
  std::vector<double> w(static_cast<std::size_t>(p * p));
  for (double& value : w) value = random.normal();
  const double by = radius / detail::spectral_radius(w.data(), p);
  for (double& value : w) value *= by;
  return w;
}

}  // namespace

void validate(const Encoder& encoder) {
  std::visit([](const auto& e) { check(e); }, encoder);
}

Index n_features(const Encoder& encoder, Index n_inputs) {
  return std::visit(
      [=](const auto& e) {
        if constexpr (std::is_same_v<std::decay_t<decltype(e)>, Linear>)
          return n_inputs + 1;
        else
          return e.n_features;
      },
      encoder);
}

Index n_plain(const Encoder& encoder, Index n_inputs) {
  const auto* random = std::get_if<RandomFeatures>(&encoder);
  return random && random->n_raw > 0 ? 1 + std::min(random->n_raw, n_inputs) : 0;
}

Index row_size(const Encoder& encoder, Index n_inputs) {
  const auto* random = std::get_if<RandomFeatures>(&encoder);
  return random && random->n_columns > 0 ? std::min(random->n_columns, n_inputs) : n_inputs;
}

EncoderWeights draw_weights(const Encoder& encoder, std::uint64_t seed, std::uint64_t agent,
                            Index n_inputs, Index n_own) {
  const double p = static_cast<double>(n_features(encoder, n_inputs)),
               dx = static_cast<double>(n_inputs);
  const bool echo = std::holds_alternative<EchoState>(encoder);
  if (!std::holds_alternative<Precomputed>(encoder))
    detail::require_memory(
        "an encoder with n_features = " + std::to_string(n_features(encoder, n_inputs)) +
            ", n_inputs = " + std::to_string(n_inputs),
        8.0 * p * (dx + 1.0 + (echo ? 3.0 * p : 0.0)));
  if (const auto* e = std::get_if<RandomFeatures>(&encoder))
    return draw_random_features(*e, seed, agent, n_inputs, n_own);
  if (const auto* e = std::get_if<EchoState>(&encoder)) {
    EncoderWeights weights = draw_input(seed, agent, e->n_features, n_inputs, false);
    weights.reservoir = draw_reservoir(seed, agent, e->n_features, e->radius);
    return weights;
  }
  return {};
}

void Moments::add(double x) {
  count += 1.0;
  const double delta = x - mean;
  mean += delta / count;
  squares += delta * (x - mean);
}

double Moments::deviation() const { return count > 0.0 ? std::sqrt(squares / count) : 0.0; }

void Coordinate::count(double x) {
  if (std::isnan(x)) return;                      // theory (10.4)
  constexpr double kFar = 8.0, kCountsAs = 4.0;   // deviations
  constexpr double kSeen = 10.0;                  // values before one can be an outlier
  constexpr double kTaken = 4.0;                  // outliers of a series that count
  constexpr double kRun = 32.0;                   // excess of outliers: the level has moved
  constexpr double kNear = 0.25, kQuiet = 32.0;   // how narrow the interval is, in deviations
  constexpr double kShare = 0.25, kLeast = 16.0;  // its share of all values; least number of them
  const double deviation = known_.deviation(), away = x - known_.mean;
  const bool is_far = known_.count >= kSeen && deviation > 0.0 && std::abs(away) > kFar * deviation;
  age_ += 1.0;
  excess_ = is_far ? excess_ + 1.0 : std::max(excess_ - 1.0, 0.0);
  if (excess_ > 0.0)
    far_.add(x);
  else
    far_ = Moments();
  if (!is_far)
    known_.add(x);
  else if (excess_ <= kTaken)
    known_.add(known_.mean + std::copysign(kCountsAs * deviation, away));
  if (std::abs(x - near_.mean) > kNear * known_.deviation()) near_ = Moments();
  near_.add(x);
  if (excess_ >= kRun)
    restart(far_);
  else if (near_.count >= std::max(kLeast, kShare * age_) && near_.squares > 0.0 &&
           near_.deviation() < known_.deviation() / kQuiet)
    restart(near_);
}

void Coordinate::restart(const Moments& moments) {
  known_ = moments;
  far_ = near_ = Moments();
  excess_ = 0.0;
}

double Coordinate::standardised(double x) const {
  const double deviation = known_.deviation();
  return deviation > 0.0 && !std::isnan(x) ? std::clamp((x - known_.mean) / deviation, -4.0, 4.0)
                                           : 0.0;
}

double& Coordinate::number(Index k) {
  if (k == 9) return excess_;
  if (k == 10) return age_;
  Moments& of = k < 3 ? known_ : k < 6 ? far_ : near_;
  return k % 3 == 0 ? of.count : k % 3 == 1 ? of.mean : of.squares;
}

void Coordinate::validate() const {
  require(excess_ >= 0.0, "memory.standardiser: excess", excess_, "a number >= 0");
  require(age_ >= 0.0, "memory.standardiser: age", age_, "a number >= 0");
  for (const Moments* of : {&known_, &far_, &near_}) {
    require(of->count >= 0.0 && of->count <= 0x1p53 && of->count == std::floor(of->count),
            "memory.standardiser: count", of->count, "a number of steps from 0 to 2^53");
    require(of->squares >= 0.0, "memory.standardiser: squares", of->squares, "a number >= 0");
  }
}

void Standardiser::count(const double* x) {
  for (std::size_t k = 0; k < coordinates.size(); ++k) coordinates[k].count(x[k]);
}

void Standardiser::apply(const double* x, double* standardised) const {
  for (std::size_t k = 0; k < coordinates.size(); ++k)
    standardised[k] = coordinates[k].standardised(x[k]);
}

}  // namespace memoa
