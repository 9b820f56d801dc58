#include "memoa/population.hpp"

#include "detail/population_state.hpp"

namespace memoa {
namespace {

void require(bool holds, const char* name, double value, const char* expected) {
  if (!holds)
    throw std::invalid_argument(std::string(name) + " is " + std::to_string(value) + "; expected " +
                                expected);
}

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
  require(s.n_agents >= 1, "n_agents", static_cast<double>(s.n_agents), "at least 1");
  require(s.n_inputs >= 1 || !has_inputs, "n_inputs", static_cast<double>(s.n_inputs),
          "at least 1");
  require(s.n_outputs >= 1, "n_outputs", static_cast<double>(s.n_outputs), "at least 1");
  require(s.consensus >= 0.0 && s.consensus <= 1e12, "consensus", s.consensus,
          "a number from 0 to 1e12");
  require(s.effort > 0.0 && std::isfinite(s.effort), "effort", s.effort,
          "a positive finite number");
  require(s.horizon >= 1, "horizon", static_cast<double>(s.horizon), "at least 1");
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
void BasicPopulation<Real>::mark_costs() {
  if (state_->uncharged) state_->charge_all();
  if (state_->cost_at_mark.size() == 0)
    state_->cost_at_mark = detail::Buffer<double>(state_->padded);
  std::copy_n(state_->cost.data(), state_->padded, state_->cost_at_mark.data());
}

template <class Real>
void BasicPopulation<Real>::observe(const double* y) {
  require_finite("y", y, {state_->d});
  std::copy_n(y, state_->d, state_->base.begin());
  state_->pending = false;  // what was predicted had another base
}

template <class Real>
void BasicPopulation<Real>::predict(const double* x) {
  if (state_->dx > 0)
    require_finite("x", x, {state_->dx});
  else
    require_finite("x", x, {state_->N, state_->p});
  state_->predict(x);
}

template <class Real>
void BasicPopulation<Real>::learn(const double* y) {
  if (!state_->pending)
    throw std::invalid_argument("x was not predicted; expected predict before learn");
  require_finite("y", y, {state_->d});
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
  const auto check = [](const char* name, const std::vector<double>& values, Index expected) {
    if (static_cast<Index>(values.size()) != expected)
      throw std::invalid_argument(std::string("memory.") + name + " has " +
                                  std::to_string(values.size()) + " numbers; expected " +
                                  std::to_string(expected));
    require_finite(name, values.data(), {expected});
  };
  check("base", m.base, s.d);
  check("shown_base", m.shown_base, s.d);
  check("mean_field", m.mean_field, s.d);
  check("gram", m.gram, s.N * detail::packed_size(s.p));
  check("cross", m.cross, s.N * s.d * s.p);
  check("reservoir", m.reservoir, s.has_reservoir() ? s.N * s.p : 0);
  check("costs", m.costs, s.N);
  check("increments", m.increments, s.N * s.d);
  check("standardiser.mean", m.standardiser.mean, s.dx);
  check("standardiser.squares", m.standardiser.squares, s.dx);
  require(m.steps >= 0, "memory.steps", static_cast<double>(m.steps), "at least 0");
  require(m.standardiser.steps >= 0.0 && std::isfinite(m.standardiser.steps),
          "memory.standardiser.steps", m.standardiser.steps, "a number of steps >= 0");
  s.unlearnt = s.uncharged = s.pending = false;
  s.steps = m.steps;
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

template <class Real>
void run(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture, const double* inputs,
         const double* targets, Index n_steps, const RunOutput& output) {
  auto& state = *population.state_;
  const Index N = state.N, d = state.d;
  const Index width = state.dx > 0 ? state.dx : N * state.p;
  if (mixture.n_agents() != N || mixture.n_outputs() != d)
    throw std::invalid_argument("mixture is for another number of agents or outputs");
  require_finite("X", inputs, {n_steps, width});  // all of it before anything is learnt
  require_finite("Y", targets, {n_steps, d});
  for (Index j = 0; j < output.n_record; ++j)
    if (output.record[j] < 0 || output.record[j] >= N)
      throw std::invalid_argument("record holds agent " + std::to_string(output.record[j]) +
                                  "; expected agents from 0 to " + std::to_string(N - 1));

  std::vector<double> base(static_cast<std::size_t>(d));
  for (Index first = 0; first < n_steps; first += detail::kTile) {
    const Index n = std::min(detail::kTile, n_steps - first);
    std::copy_n(population.base(), d, base.begin());
    const Real* increments = state.tile(inputs + first * width, width, targets + first * d, n,
                                        output.worst_cost != nullptr);
    for (Index step = 0; step < n; ++step) {
      const Index t = first + step;
      const double* before = step == 0 ? base.data() : targets + (t - 1) * d;
      const Real* shown = increments + step * d * state.padded;
      mixture.predict_increments(shown, state.padded, before, output.predictions + t * d);
      mixture.settle(targets + t * d);
      for (Index o = 0; o < d && output.mean_field; ++o)
        output.mean_field[t * d + o] = before[o] + state.tile_mean[step * d + o];
      for (Index j = 0; j < output.n_record; ++j)
        for (Index o = 0; o < d; ++o)
          output.recorded[(t * output.n_record + j) * d + o] =
              before[o] + static_cast<double>(shown[o * state.padded + output.record[j]]);
      if (output.worst_cost) output.worst_cost[t] = state.worst_of_tile(n, step);
    }
  }
}

template class BasicPopulation<double>;
template class BasicPopulation<float>;
template void run(BasicPopulation<double>&, BasicServerMixture<double>&, const double*,
                  const double*, Index, const RunOutput&);
template void run(BasicPopulation<float>&, BasicServerMixture<float>&, const double*, const double*,
                  Index, const RunOutput&);

}  // namespace memoa
