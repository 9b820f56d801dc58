#include "memoa/population.hpp"

#include "detail/memory.hpp"
#include "detail/population_state.hpp"
#include "detail/validate.hpp"

namespace memoa {

using detail::require;

namespace {

/// One value or one per type, each of which `holds`.
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

}  // namespace

void validate(const PopulationSettings& s) {
  validate(s.encoder);
  const bool has_inputs = !std::holds_alternative<Precomputed>(s.encoder);
  require(s.n_agents >= 1, "n_agents", s.n_agents, "at least 1");
  require(s.n_inputs >= 1 || !has_inputs, "n_inputs", s.n_inputs, "at least 1");
  require(s.n_outputs >= 1, "n_outputs", s.n_outputs, "at least 1");
  require(s.consensus >= 0.0 && s.consensus <= 1e12, "consensus", s.consensus,
          "a number from 0 to 1e12");
  require(s.effort > 0.0 && std::isfinite(s.effort), "effort", s.effort,
          "a positive finite number");
  require(s.horizon >= 1, "horizon", s.horizon, "at least 1");
  require(s.discount >= 0.0 && std::isfinite(s.discount), "discount", s.discount,
          "a finite rate >= 0");
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

template <class Real>
BasicPopulation<Real>::BasicPopulation(PopulationSettings settings) {
  validate(settings);
  state_ = std::make_unique<State>(std::move(settings));
}
template <class Real>
BasicPopulation<Real>::~BasicPopulation() = default;
template <class Real>
BasicPopulation<Real>::BasicPopulation(BasicPopulation&&) noexcept = default;
template <class Real>
BasicPopulation<Real>& BasicPopulation<Real>::operator=(BasicPopulation&&) noexcept = default;

template <class Real>
const PopulationSettings& BasicPopulation<Real>::settings() const {
  return state_->s;
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
  return state_->increment.data();
}
template <class Real>
Index BasicPopulation<Real>::stride() const {
  return state_->padded;
}
template <class Real>
Overflow BasicPopulation<Real>::overflow() const {
  return state_->last_overflow;
}
template <class Real>
std::size_t BasicPopulation<Real>::bytes() const {
  return state_->bytes();
}

template <class Real>
double BasicPopulation<Real>::worst_cost() const {
  State& s = *state_;
  if (s.uncharged) s.charge_all();
  return s.kernels.worst(s.cost.data(), s.cost_at_mark.data(), 0, s.N);
}

template <class Real>
void BasicPopulation<Real>::energies(double* out) const {
  std::copy_n(state_->energy.data(), state_->N, out);
}

template <class Real>
void BasicPopulation<Real>::costs(double* out) const {
  if (state_->uncharged) state_->charge_all();
  std::copy_n(state_->cost.data(), state_->N, out);
}

template <class Real>
void BasicPopulation<Real>::costs_since_mark(double* out) const {
  costs(out);
  const auto& mark = state_->cost_at_mark;
  for (Index i = 0; i < mark.size() && i < state_->N; ++i) out[i] -= mark.data()[i];
}

template <class Real>
void BasicPopulation<Real>::mark_costs() {
  if (state_->uncharged) state_->charge_all();
  if (state_->cost_at_mark.size() == 0)
    state_->cost_at_mark = detail::Buffer<double>(state_->padded);
  std::copy_n(state_->cost.data(), state_->padded, state_->cost_at_mark.data());
}

template <class Real>
void BasicPopulation<Real>::observe(const double* y) {
  require_moderate("y", y, {state_->d}, kLargest<Real>);
  state_->observe(y);  // drops what was predicted, which had another base
}
template <class Real>
bool BasicPopulation<Real>::has_seen() const {
  return state_->has_seen != 0;
}

template <class Real>
void BasicPopulation<Real>::predict(const double* x) {
  state_->require_input(x);
  state_->predict(x);
}

template <class Real>
void BasicPopulation<Real>::learn(const double* y) {
  if (!state_->pending)
    throw std::invalid_argument("x was not predicted; expected predict before learn");
  require_moderate("y", y, {state_->d}, kLargest<Real>);
  state_->learn(y);
}

template <class Real>
void BasicPopulation<Real>::predictions(double* out) const {
  const State& s = *state_;
  for (Index i = 0; i < s.N; ++i)
    for (Index o = 0; o < s.d; ++o)
      out[i * s.d + o] =
          s.shown_base[o] + static_cast<double>(s.increment.data()[o * s.padded + i]);
}

template <class Real>
PopulationMemory BasicPopulation<Real>::memory() const {
  State& s = *state_;
  s.settle();
  PopulationMemory m;
  m.steps = s.steps;
  m.has_seen = s.has_seen;
  m.base = s.base;
  m.shown_base = s.shown_base;
  m.mean_field = s.mean_field;
  m.costs.assign(s.cost.data(), s.cost.data() + s.N);
  m.gram = s.gather(s.record.gram, detail::packed_size(s.p));
  m.cross = s.gather(s.record.cross, s.d * s.p);
  m.reservoir = s.gather(s.record.reservoir, s.has_reservoir() ? s.p : 0);
  m.increments.resize(static_cast<std::size_t>(s.N * s.d));
  for (Index i = 0; i < s.N; ++i)
    for (Index o = 0; o < s.d; ++o)
      m.increments[i * s.d + o] = s.increment.data()[o * s.padded + i];
  m.standardiser = s.standardiser;
  return m;
}

template <class Real>
void BasicPopulation<Real>::restore(const PopulationMemory& m) {
  State& s = *state_;
  detail::check_fields(m, *this);
  require(m.steps >= 0, "memory.steps", m.steps, "at least 0");
  require(m.has_seen == 0 || m.has_seen == 1, "memory.has_seen", m.has_seen, "0 or 1");
  require(m.standardiser.steps >= 0.0 && std::isfinite(m.standardiser.steps),
          "memory.standardiser.steps", m.standardiser.steps, "a number of steps >= 0");
  s.unlearnt = s.uncharged = s.pending = false;
  s.steps = m.steps;
  s.has_seen = m.has_seen;
  s.base = m.base;
  s.shown_base = m.shown_base;
  s.mean_field = m.mean_field;
  std::copy(m.costs.begin(), m.costs.end(), s.cost.data());
  mark_costs();
  s.spread(m.gram, s.record.gram);
  s.spread(m.cross, s.record.cross);
  s.spread(m.reservoir, s.record.reservoir);
  for (Index i = 0; i < s.N; ++i)
    for (Index o = 0; o < s.d; ++o)
      s.increment.data()[o * s.padded + i] = static_cast<Real>(m.increments[i * s.d + o]);
  s.standardiser = m.standardiser;
}

template class BasicPopulation<double>;
template class BasicPopulation<float>;

}  // namespace memoa
