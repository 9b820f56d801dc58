#include "memoa/population.hpp"

#include <cmath>

#include "detail/memory.hpp"
#include "detail/missing.hpp"
#include "detail/past_size.hpp"
#include "detail/population_state.hpp"
#include "detail/room.hpp"
#include "detail/validate.hpp"

namespace memoa {

using detail::require;

namespace {

/// Requires one value, or one per type, and that `holds` is true for each.
template <class Holds>
void require_types(const std::vector<double>& values, const char* name, const char* expected,
                   const Holds& holds) {
  if (values.empty())
    throw std::invalid_argument(std::string(name) +
                                " is empty; expected a number, or one per type");
  for (std::size_t k = 0; k < values.size(); ++k) {
    const std::string at = values.size() > 1 ? "[" + std::to_string(k) + "]" : "";
    require(holds(values[k]), (name + at).c_str(), values[k], expected);
  }
}

void require_encoders(const PopulationSettings& s) {
  if (s.encoder.empty())
    throw std::invalid_argument("encoder is empty; expected an encoder, or one per type");
  const std::size_t n = s.encoder.size();
  for (std::size_t k = 0; k < n; ++k) {
    validate(s.encoder[k]);
    if (n > 1 && std::holds_alternative<Precomputed>(s.encoder[k]))
      throw std::invalid_argument("encoder[" + std::to_string(k) +
                                  "] is Precomputed; expected it for all agents or for none");
  }
  if (s.total() < static_cast<Index>(n))
    throw std::invalid_argument("n_agents is " + std::to_string(s.total()) +
                                "; expected at least " + std::to_string(n) +
                                ", one for each encoder");
}

std::string describe(const PopulationSettings& s) {
  return "a population with n_agents = " + std::to_string(s.n_agents) +
         ", n_features = " + std::to_string(n_features(s)) +
         ", n_inputs = " + std::to_string(takes_features(s) ? 0 : s.n_inputs) +
         ", n_outputs = " + std::to_string(s.n_outputs) +
         ", horizon = " + std::to_string(s.horizon);
}

/// Bytes of memory for the agents, computed in floating point so that it cannot overflow.
template <class Real>
double bytes_for(const PopulationSettings& s) {
  const auto n = [](Index value) { return static_cast<double>(value); };
  const bool given = takes_features(s);
  const double N = n(s.n_agents), d = n(s.n_outputs), dx = given ? 0.0 : n(n_encoded(s));
  double numbers = d + 1.0;
  for (const Encoder& encoder : s.encoder) {
    const double p = n(n_features(encoder, n_encoded(s)));
    const bool echo = std::holds_alternative<EchoState>(encoder);
    const double of_row = dx > 0.0 ? 2.0 * n(row_size(encoder, n_encoded(s))) : 0.0;
    const double of_agent =
        p * (p + 1.0) / 2.0 + d * p + p * std::min(of_row, dx) + 2.0 * p + (echo ? p * p + p : 0.0);
    numbers += of_agent / static_cast<double>(s.encoder.size());
  }
  return N * (numbers * sizeof(Real) + sizeof(double)) + 8.0 * n(s.horizon) +
         8.0 * Coordinate::kNumbers * dx + detail::bytes_of_past(s.past, s.n_outputs) +
         detail::Waiting<Real>::bytes_for(s, N, n(n_features(s)), d, dx, has_reservoirs(s) || given,
                                          given);
}

template <class State>
void require_at_once(const State& state) {
  if (state.is_late())
    throw std::invalid_argument(
        "delay is " + std::to_string(state.settings.past.delay) +
        "; expected predict and learn together with the mixture if y arrives late");
}

}  // namespace

void validate(const PopulationSettings& s) {
  require(s.n_agents >= 1, "n_agents", s.n_agents, "at least 1");
  require_encoders(s);
  require(s.n_inputs >= 1 || takes_features(s), "n_inputs", s.n_inputs, "at least 1");
  require(s.n_outputs >= 1, "n_outputs", s.n_outputs, "at least 1");
  validate(s.past);
  if (s.past.delay > 0 && s.shard.reducer != nullptr)
    throw std::invalid_argument("delay is " + std::to_string(s.past.delay) +
                                "; expected 0 if processes share the agents");
  require(s.consensus >= 0.0 && s.consensus <= 1e12, "consensus", s.consensus,
          "a number from 0 to 1e12");
  require(s.effort > 0.0 && std::isfinite(s.effort), "effort", s.effort,
          "a positive finite number");
  require(s.horizon >= 1, "horizon", s.horizon, "at least 1");
  require(s.discount >= 0.0 && std::isfinite(s.discount), "discount", s.discount,
          "a finite rate >= 0");
  validate(s.shard, s.n_agents);
  require_types(s.forgetting, "forgetting", "a number in (0, 1]",
                [](double value) { return value > 0.0 && value <= 1.0; });
  require_types(s.ridge, "ridge", "a positive finite number",
                [](double value) { return value > 0.0 && std::isfinite(value); });
  const std::size_t types = s.forgetting.size();
  if (types > 1 && s.ridge.size() > 1 && s.ridge.size() != types)
    throw std::invalid_argument("ridge has " + std::to_string(s.ridge.size()) +
                                " values; expected one, or one for each of the " +
                                std::to_string(types) + " types that forgetting has");
}

Index n_encoded(const PopulationSettings& s) {
  const Index more = takes_features(s) ? 0 : n_inputs(s.past, s.n_outputs);
  return s.n_inputs > detail::kMostInputs ? s.n_inputs : s.n_inputs + more;
}

bool takes_features(const PopulationSettings& s) {
  return std::holds_alternative<Precomputed>(s.encoder.front());
}

Index n_features(const PopulationSettings& s) {
  Index most = 0;
  for (const Encoder& encoder : s.encoder) most = std::max(most, n_features(encoder, n_encoded(s)));
  return most;
}

bool has_reservoirs(const PopulationSettings& s) {
  return std::any_of(s.encoder.begin(), s.encoder.end(), [](const Encoder& encoder) {
    return std::holds_alternative<EchoState>(encoder);
  });
}

bool remembers(const PopulationSettings& s) { return s.bounded || n_encoded(s) > s.n_inputs; }

Index waiting_size(const PopulationSettings& s) {
  const Index inputs = takes_features(s) ? s.n_agents * n_features(s) : s.n_inputs + n_encoded(s);
  using Waiting = detail::Waiting<double>;
  return s.past.delay > 0 ? inputs + Waiting::kOfOutput * s.n_outputs + Waiting::kFlags : 0;
}

Index past_size(const PopulationSettings& s) {
  return remembers(s) ? Past(s.past, s.n_outputs).size() : 0;
}

bool judges(const PopulationSettings& s) {
  return s.aggregate != Aggregate::mean && s.total() >= detail::kLeastCrowd;
}

template <class Real>
BasicPopulation<Real>::BasicPopulation(PopulationSettings settings) {
  validate(settings);
  detail::make_in_room(describe(settings), bytes_for<Real>(settings),
                       [&] { state_ = std::make_unique<State>(settings); });
}
template <class Real>
BasicPopulation<Real>::~BasicPopulation() = default;
template <class Real>
BasicPopulation<Real>::BasicPopulation(BasicPopulation&&) noexcept = default;
template <class Real>
BasicPopulation<Real>& BasicPopulation<Real>::operator=(BasicPopulation&&) noexcept = default;

template <class Real>
const PopulationSettings& BasicPopulation<Real>::settings() const {
  return state_->settings;
}
template <class Real>
bool BasicPopulation<Real>::has_seen() const {
  return state_->has_seen != 0;
}
template <class Real>
bool BasicPopulation<Real>::is_pending() const {
  return state_->pending;
}
template <class Real>
Index BasicPopulation<Real>::steps() const {
  return state_->steps;
}
template <class Real>
const double* BasicPopulation<Real>::base() const {
  return state_->base.data();
}
template <class Real>
const double* BasicPopulation<Real>::mean_field() const {
  return state_->mean_field.data();
}
template <class Real>
const Real* BasicPopulation<Real>::increments() const {
  return state_->kept.increment.data();
}
template <class Real>
Index BasicPopulation<Real>::stride() const {
  return state_->layout.padded;
}
template <class Real>
Overflow BasicPopulation<Real>::overflow() const {
  return state_->overflow;
}
template <class Real>
std::size_t BasicPopulation<Real>::bytes() const {
  return state_->bytes();
}

template <class Real>
void BasicPopulation<Real>::observe(const double* y) {
  state_->others.require_whole();
  detail::require_moderate_or_missing("y", y, {state_->layout.d}, kLargest<Real>);
  state_->observe(y);
}

template <class Real>
void BasicPopulation<Real>::predict(const double* x, const unsigned char* awake) {
  state_->others.require_whole();
  require_at_once(*state_);
  state_->serve(nullptr);
  state_->predict(x, awake);
}

template <class Real>
void BasicPopulation<Real>::learn(const double* y) {
  state_->others.require_whole();
  require_at_once(*state_);
  if (!state_->pending)
    throw std::invalid_argument("x was not predicted; expected predict before learn");
  detail::require_moderate_or_missing("y", y, {state_->layout.d}, kLargest<Real>);
  if (!has_seen()) return state_->observe(y);
  if (detail::all_missing(y, state_->layout.d)) {
    state_->forget_shown();
    return;
  }
  state_->learn(y, 1);
  state_->lesson.to_costs = true;
}

template <class Real>
void BasicPopulation<Real>::predictions(double* out) const {
  state_->others.require_whole();
  const auto shown = state_->kept.increments(state_->layout);
  for (Index i = 0; i < shown.N; ++i)
    for (Index o = 0; o < shown.size; ++o)
      out[i * shown.size + o] = state_->shown_base[o] + static_cast<double>(shown.at(o, i));
}

template <class Real>
void BasicPopulation<Real>::energies(double* out) const {
  state_->others.require_whole();
  std::copy_n(state_->kept.energy.data(), state_->layout.N, out);
}

template <class Real>
void BasicPopulation<Real>::costs(double* out) const {
  state_->others.require_whole();
  state_->settle_costs();
  std::copy_n(state_->kept.cost.data(), state_->layout.N, out);
}

template <class Real>
void BasicPopulation<Real>::costs_since_mark(double* out) const {
  costs(out);
  const auto& mark = state_->kept.at_mark;
  if (mark.size() == 0) return;
  for (Index i = 0; i < state_->layout.N; ++i) out[i] -= mark.data()[i];
}

template <class Real>
bool BasicPopulation<Real>::awake(unsigned char* out) const {
  const auto present = state_->present();
  std::copy(present.begin(), present.end(), out);
  return !present.empty();
}

template <class Real>
void BasicPopulation<Real>::missed(double* out) const {
  state_->others.require_whole();
  state_->settle_costs();
  const auto& missed = state_->kept.missed;
  if (missed.size() == 0)
    std::fill_n(out, state_->layout.N, 0.0);
  else
    std::copy_n(missed.data(), state_->layout.N, out);
}

template <class Real>
void BasicPopulation<Real>::missed_since_mark(double* out) const {
  missed(out);
  const auto& mark = state_->kept.missed_at_mark;
  for (Index i = 0; i < state_->layout.N && mark.size() > 0; ++i) out[i] -= mark.data()[i];
}

template <class Real>
bool BasicPopulation<Real>::keeps_sleep() const {
  return state_->keeps_sleep();
}

template <class Real>
double BasicPopulation<Real>::worst_cost() const {
  state_->others.require_whole();
  state_->settle_costs();
  const detail::Kept<Real>& kept = state_->kept;
  double worst =
      state_->pass.kernels().worst(kept.cost.data(), kept.at_mark.data(), 0, state_->layout.N);
  state_->others.max(&worst, 1);
  return worst;
}

template <class Real>
void BasicPopulation<Real>::mark_costs() {
  state_->others.require_whole();
  state_->mark_costs();
}

template <class Real>
PopulationMemory BasicPopulation<Real>::memory() const {
  state_->others.require_whole();
  state_->settle();
  PopulationMemory memory;
  state_->exchange(memory, detail::Save());
  memory.seed = state_->settings.seed;
  memory.first = state_->layout.first;
  memory.checksum = detail::checksum_of(memory, *this);
  return memory;
}

template <class Real>
void BasicPopulation<Real>::restore(const PopulationMemory& memory) {
  detail::check_fields(memory, *this);
  detail::check_numbers(memory);
  detail::require_seed(memory.seed, state_->settings.seed);
  const Index first = state_->layout.first;
  require(memory.first.value_or(first) == first, "memory.first", memory.first.value_or(first),
          detail::to_text(first) + ", that of the engine's agents");
  state_->exchange(memory, detail::Fits());
  detail::require_untorn(memory, *this);
  state_->reserve_mark();
  if (!memory.sleep.empty()) {
    state_->reserve_sleep(1);
    state_->awaits_sleep = true;
  } else {
    std::fill_n(state_->kept.missed.data(), state_->kept.missed.size(), 0.0);
    state_->forget_shown();
  }
  state_->exchange(memory, detail::Load());
  state_->refresh();
}

template class BasicPopulation<double>;
template class BasicPopulation<float>;

}  // namespace memoa
