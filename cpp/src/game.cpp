#include "memoa/game.hpp"

#include <cmath>

#include "detail/validate.hpp"
#include "memoa/room.hpp"

namespace memoa {
namespace {

using detail::require;

/// Repeats one stage over the horizon where one stage was given, and checks the size.
void complete(const char* name, std::vector<double>& values, Index stages, Index stage_size) {
  const auto size = static_cast<Index>(values.size());
  if (size == stages * stage_size) return;
  if (size != stage_size)
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(size) +
                                " numbers; expected " + std::to_string(stages * stage_size) +
                                ", or " + std::to_string(stage_size) + " for one stage");
  std::vector<double> all;
  all.reserve(static_cast<std::size_t>(stages * stage_size));
  for (Index t = 0; t < stages; ++t) all.insert(all.end(), values.begin(), values.end());
  values = std::move(all);
}

std::vector<double> identity(Index d, double scale) {
  std::vector<double> values(static_cast<std::size_t>(d * d), 0.0);
  for (Index i = 0; i < d; ++i) values[i * d + i] = scale;
  return values;
}

void require_positive(std::string_view name, double value) {
  require(value > 0.0 && std::isfinite(value), name, value, "a positive finite number");
}

}  // namespace

std::vector<double> discount_weights(double rate, Index horizon) {
  if (!(rate >= 0.0) || !std::isfinite(rate))
    throw std::invalid_argument("discount is a rate of " + detail::to_text(rate) +
                                "; expected a finite rate >= 0");
  std::vector<double> weights(static_cast<std::size_t>(horizon));
  for (Index t = 0; t < horizon; ++t)
    weights[t] = std::exp(-rate * static_cast<double>(horizon - 1 - t));
  return weights;
}

void require_game_memory(Index horizon, Index n_outputs, Index n_features) {
  const double T = static_cast<double>(horizon), d = static_cast<double>(n_outputs),
               p = static_cast<double>(n_features);
  detail::require_memory(
      "a game with horizon = " + std::to_string(horizon) + ", n_outputs = " +
          std::to_string(n_outputs) + ", n_features = " + std::to_string(n_features),
      8.0 * (T * (d * p + p * d * d + 2.0 * d * d + 2.0 * d + 1.0) + 2.0 * d * d));
}

Game::Game(GameData data) : data_(std::move(data)) {
  const Index T = data_.horizon, d = data_.n_outputs, p = data_.n_features;
  require(T >= 1, "horizon", T, "at least one stage");
  require(d >= 1, "n_outputs", d, "at least one output");
  require(p >= 1, "n_features", p, "at least one feature");
  require_game_memory(T, d, p);
  if (data_.tracking.empty()) data_.tracking = identity(d, 1.0);
  if (data_.coupling.empty()) data_.coupling = identity(d, 0.0);
  if (data_.discount.empty()) data_.discount.assign(1, 1.0);
  if (data_.transition.empty()) data_.transition = identity(d, 1.0);
  if (data_.mean_transition.empty()) data_.mean_transition = identity(d, 0.0);
  if (data_.drift.empty()) data_.drift.assign(static_cast<std::size_t>(d), 0.0);

  complete("feature_mean", data_.feature_mean, T, d * p);
  complete("feature_cov", data_.feature_cov, T, p * d * d);
  complete("target", data_.target, T, d);
  complete("tracking", data_.tracking, 1, d * d);
  complete("coupling", data_.coupling, 1, d * d);
  complete("discount", data_.discount, T, 1);
  complete("transition", data_.transition, T, d * d);
  complete("mean_transition", data_.mean_transition, T, d * d);
  complete("drift", data_.drift, T, d);

  require_finite("feature_mean", data_.feature_mean.data(), {T, d, p});
  require_finite("feature_cov", data_.feature_cov.data(), {T, p, d, d});
  require_finite("target", data_.target.data(), {T, d});
  require_finite("tracking", data_.tracking.data(), {d, d});
  require_finite("coupling", data_.coupling.data(), {d, d});
  require_finite("transition", data_.transition.data(), {T, d, d});
  require_finite("mean_transition", data_.mean_transition.data(), {T, d, d});
  require_finite("drift", data_.drift.data(), {T, d});
  require_positive("effort", data_.effort);
  for (Index t = 0; t < T; ++t)
    require_positive("discount[" + std::to_string(t) + "]", data_.discount[t]);
  detail::require_psd("tracking", tracking());
  for (Index t = 0; t < T; ++t)
    for (Index k = 0; k < p; ++k)
      detail::require_psd("feature_cov[" + std::to_string(t) + ", " + std::to_string(k) + "]",
                          feature_cov(t, k));
}

}  // namespace memoa
