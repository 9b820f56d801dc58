#include "detail/late_intervals.hpp"

#include <algorithm>
#include <cmath>

#include "detail/missing.hpp"

namespace memoa::detail {
namespace {

std::string text_of(const std::vector<double>& values) {
  std::string text;
  for (const double value : values)
    text += (text.empty() ? "" : ", ") + (std::isnan(value) ? "null" : json_text(value));
  return "[" + text + "]";
}

void read_numbers(const Json& list, std::vector<double>& values) {
  const Json::Array& numbers = list.as_array("waits");
  if (numbers.size() != values.size())
    throw std::invalid_argument("waits holds " + std::to_string(numbers.size()) +
                                " numbers where " + std::to_string(values.size()) +
                                " are expected");
  std::transform(numbers.begin(), numbers.end(), values.begin(), [](const Json& number) {
    return number.is_null() ? std::nan("") : number.as_double("waits");
  });
}

}  // namespace

LateIntervals::LateIntervals(Intervals& bands, Index delay) : bands_(bands), delay_(delay) {
  const auto d = static_cast<std::size_t>(bands.n_outputs());
  Forecast fresh;
  fresh.values.resize(d);
  fresh.bounds.resize(2 * bands.levels().size() * d);
  fresh.received.resize(d);
  ring_.assign(static_cast<std::size_t>(delay) + 1, fresh);
}

void LateIntervals::pop() {
  first_ = (first_ + 1) % static_cast<Index>(ring_.size());
  --count_;
}

const std::vector<double>& LateIntervals::add(const double* forecast) {
  Forecast& newest = push();
  newest.is_known = forecast != nullptr;
  newest.is_received = false;
  if (forecast != nullptr) {
    std::copy_n(forecast, newest.values.size(), newest.values.begin());
    bands_.bounds(forecast, newest.bounds.data());
  } else {
    std::fill(newest.bounds.begin(), newest.bounds.end(), std::nan(""));
  }
  return newest.bounds;
}

void LateIntervals::learn(const double* y) {
  if (count_ == 0) return;
  const Forecast& oldest = at(0);
  if (oldest.is_known) bands_.learn(oldest.values.data(), y, oldest.bounds.data(), delay_);
  pop();
}

void LateIntervals::learn_received() {
  if (count_ == 0) return;
  if (at(0).is_received)
    learn(at(0).received.data());
  else
    pop();
}

void LateIntervals::run(const double* forecasts, const double* targets, const double* bases,
                        Index n_steps, bool is_arriving, double* bounds) {
  const Index d = bands_.n_outputs();
  for (Index t = 0; t < n_steps; ++t, forecasts += d, targets += d) {
    const bool is_known = bases == nullptr || is_complete(bases + t * d, d);
    const std::vector<double>& around = add(is_known ? forecasts : nullptr);
    if (bounds != nullptr) bounds = std::copy(around.begin(), around.end(), bounds);
    if (!is_arriving) {
      Forecast& newest = at(count_ - 1);
      std::copy_n(targets, d, newest.received.begin());
      newest.is_received = true;
    }
    if (count_ > delay_) is_arriving ? learn(targets) : learn_received();
  }
}

void LateIntervals::forget(Index n_waiting) {
  for (Forecast& forecast : ring_) forecast.is_known = forecast.is_received = false;
  count_ = n_waiting;
}

std::string LateIntervals::memory() const {
  std::string text;
  for (Index n = 0; n < count_; ++n) {
    const Forecast& one = at(n);
    text += n > 0 ? ", " : "";
    text += one.is_known ? "[" + text_of(one.values) + ", " + text_of(one.bounds) + ", " +
                               (one.is_received ? text_of(one.received) : "null") + "]"
                         : "null";
  }
  return "[" + text + "]";
}

void LateIntervals::restore(const Json& memory, Index n_waiting) {
  const Json::Array& all = memory.as_array("waits");
  if (all.size() != static_cast<std::size_t>(n_waiting))
    throw std::invalid_argument("waits tells of " + std::to_string(all.size()) +
                                " forecasts; expected " + std::to_string(n_waiting));
  forget(0);
  for (const Json& one : all) {
    Forecast& newest = push();
    newest.is_known = !one.is_null();
    if (!newest.is_known) continue;
    const Json::Array& parts = one.as_array("waits");
    if (parts.size() != 3)
      throw std::invalid_argument(
          "waits holds something else than a forecast, its bounds and its y");
    read_numbers(parts[0], newest.values);
    read_numbers(parts[1], newest.bounds);
    newest.is_received = !parts[2].is_null();
    if (newest.is_received) read_numbers(parts[2], newest.received);
  }
}

}  // namespace memoa::detail
