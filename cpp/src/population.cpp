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

/// Visits value k of every agent in lane layout, `size` values per agent.
template <class Visit>
void visit_lanes(std::vector<detail::Lanes>& lanes, Index n_agents, Index size,
                 const Visit& visit) {
  for (Index agent = 0; agent < n_agents; ++agent)
    for (Index k = 0; k < size; ++k)
      visit(lanes[(agent / detail::kLanes) * size + k][agent % detail::kLanes], agent * size + k);
}

std::vector<double> gather(std::vector<detail::Lanes>& lanes, Index n_agents, Index size) {
  std::vector<double> values(static_cast<std::size_t>(lanes.empty() ? 0 : n_agents * size));
  if (!lanes.empty())
    visit_lanes(lanes, n_agents, size, [&](double& lane, Index at) { values[at] = lane; });
  return values;
}

void scatter(const std::vector<double>& values, std::vector<detail::Lanes>& lanes, Index n_agents,
             Index size) {
  if (!lanes.empty())
    visit_lanes(lanes, n_agents, size, [&](double& lane, Index at) { lane = values[at]; });
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

Population::Population(PopulationSettings settings) {
  validate(settings);
  state_ = std::make_unique<State>(std::move(settings));
}
Population::~Population() = default;
Population::Population(Population&&) noexcept = default;
Population& Population::operator=(Population&&) noexcept = default;

const PopulationSettings& Population::settings() const { return state_->s; }
bool Population::is_pending() const { return state_->pending; }
Index Population::steps() const { return state_->steps; }
const double* Population::base() const { return state_->base.data(); }
const double* Population::mean_field() const { return state_->mean_field.data(); }
const double* Population::increments() const { return state_->increment.data(); }
Index Population::stride() const { return state_->padded; }
double Population::worst_cost() const { return state_->worst_cost; }

void Population::costs(double* out) const { std::copy_n(state_->cost.begin(), state_->N, out); }

void Population::mark_costs() {
  state_->cost_at_mark = state_->cost;
  state_->worst_cost = 0.0;
}

void Population::observe(const double* y) {
  require_finite("y", y, {state_->d});
  std::copy_n(y, state_->d, state_->base.begin());
  state_->pending = false;  // what was predicted had another base
}

void Population::predict(const double* x) {
  if (state_->dx > 0)
    require_finite("x", x, {state_->dx});
  else
    require_finite("x", x, {state_->N, state_->p});
  state_->predict(x);
}

void Population::learn(const double* y) {
  if (!state_->pending)
    throw std::invalid_argument("x was not predicted; expected predict before learn");
  require_finite("y", y, {state_->d});
  state_->learn(y);
}

void Population::predictions(double* out) const {
  const State& s = *state_;
  for (Index i = 0; i < s.N; ++i)
    for (Index o = 0; o < s.d; ++o)
      out[i * s.d + o] = s.shown_base[o] + s.increment[o * s.padded + i];
}

Population::Memory Population::memory() const {
  State& s = *state_;
  Memory m;
  m.steps = s.steps;
  m.base = s.base;
  m.mean_field = s.mean_field;
  m.costs.assign(s.cost.begin(), s.cost.begin() + s.N);
  m.gram = gather(s.gram, s.N, detail::packed_size(s.p));
  m.cross = gather(s.cross, s.N, s.d * s.p);
  m.reservoir = gather(s.reservoir, s.N, s.p);
  m.shown_base = s.shown_base;
  m.increments.resize(static_cast<std::size_t>(s.N * s.d));
  for (Index i = 0; i < s.N; ++i)
    for (Index o = 0; o < s.d; ++o) m.increments[i * s.d + o] = s.increment[o * s.padded + i];
  m.standardiser = s.standardiser;
  return m;
}

void Population::restore(const Memory& m) {
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
  check("reservoir", m.reservoir, s.reservoir.empty() ? 0 : s.N * s.p);
  check("costs", m.costs, s.N);
  check("increments", m.increments, s.N * s.d);
  check("standardiser.mean", m.standardiser.mean, s.dx);
  check("standardiser.squares", m.standardiser.squares, s.dx);
  require(m.steps >= 0, "memory.steps", static_cast<double>(m.steps), "at least 0");
  require(m.standardiser.steps >= 0.0 && std::isfinite(m.standardiser.steps),
          "memory.standardiser.steps", m.standardiser.steps, "a number of steps >= 0");
  s.steps = m.steps;
  s.base = m.base;
  s.shown_base = m.shown_base;
  s.mean_field = m.mean_field;
  std::copy(m.costs.begin(), m.costs.end(), s.cost.begin());
  mark_costs();
  scatter(m.gram, s.gram, s.N, detail::packed_size(s.p));
  scatter(m.cross, s.cross, s.N, s.d * s.p);
  scatter(m.reservoir, s.reservoir, s.N, s.p);
  for (Index i = 0; i < s.N; ++i)
    for (Index o = 0; o < s.d; ++o) s.increment[o * s.padded + i] = m.increments[i * s.d + o];
  s.standardiser = m.standardiser;
  s.pending = false;
}

void run(Population& population, ServerMixture& mixture, const double* inputs,
         const double* targets, Index n_steps, const RunOutput& output) {
  const PopulationSettings& s = population.settings();
  const bool given = std::holds_alternative<Precomputed>(s.encoder);
  const Index d = s.n_outputs;
  const Index width = given ? s.n_agents * n_features(s.encoder) : s.n_inputs;
  if (mixture.n_agents() != s.n_agents || mixture.n_outputs() != d)
    throw std::invalid_argument("mixture is for another number of agents or outputs");
  require_finite("X", inputs, {n_steps, width});  // all of it before anything is learnt
  require_finite("Y", targets, {n_steps, d});
  for (Index j = 0; j < output.n_record; ++j)
    if (output.record[j] < 0 || output.record[j] >= s.n_agents)
      throw std::invalid_argument("record holds agent " + std::to_string(output.record[j]) +
                                  "; expected agents from 0 to " + std::to_string(s.n_agents - 1));

  for (Index t = 0; t < n_steps; ++t) {
    population.predict(inputs + t * width);
    mixture.predict_increments(population.increments(), population.stride(), population.base(),
                               output.predictions + t * d);
    if (output.mean_field) std::copy_n(population.mean_field(), d, output.mean_field + t * d);
    for (Index j = 0; j < output.n_record; ++j)
      for (Index o = 0; o < d; ++o)
        output.recorded[(t * output.n_record + j) * d + o] =
            population.base()[o] +
            population.increments()[o * population.stride() + output.record[j]];
    population.learn(targets + t * d);
    mixture.settle(targets + t * d);
    if (output.worst_cost) output.worst_cost[t] = population.worst_cost();
  }
}

}  // namespace memoa
