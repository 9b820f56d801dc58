#include "memoa/ensemble.hpp"

#include <algorithm>

#include "detail/ensemble_state.hpp"
#include "detail/validate.hpp"
#include "memoa/saved.hpp"

namespace memoa {
namespace {

using detail::Inside;
using detail::Json;
using detail::json_text;

void require_columns(const char* name, Index columns, Index expected) {
  if (columns != expected)
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(columns) +
                                " columns; expected " + std::to_string(expected));
}

/// Who is awake, as the engines read it; null where all are.
const unsigned char* flags_of(const std::vector<unsigned char>& awake, Index rows, Index N) {
  if (!awake.empty()) detail::require_size("awake", awake.size(), rows * N);
  return awake.empty() ? nullptr : awake.data();
}

}  // namespace

template <class Real>
BasicOnlineEnsemble<Real>::BasicOnlineEnsemble(PopulationSettings settings, const Mixture& mixture,
                                               const std::vector<double>& levels) {
  const Index n_agents = settings.n_agents, n_outputs = settings.n_outputs;
  const int n_threads = settings.n_threads;
  const Shard shard = settings.shard;
  Mixture mixing = mixture;
  detail::require(mixing.delay == 0 || mixing.delay == settings.past.delay, "mixture.delay",
                  mixing.delay, "0, or that of the settings");
  mixing.delay = settings.past.delay;
  BasicPopulation<Real> population(std::move(settings));
  BasicServerMixture<Real> server(n_agents, n_outputs, mixing, n_threads, shard);
  state_ = std::make_unique<State>(std::move(population), std::move(server), levels);
}
template <class Real>
BasicOnlineEnsemble<Real>::~BasicOnlineEnsemble() = default;
template <class Real>
BasicOnlineEnsemble<Real>::BasicOnlineEnsemble(BasicOnlineEnsemble&&) noexcept = default;
template <class Real>
BasicOnlineEnsemble<Real>& BasicOnlineEnsemble<Real>::operator=(BasicOnlineEnsemble&&) noexcept =
    default;

// -------------------------------------------------------------------- steps

template <class Real>
const std::vector<double>& BasicOnlineEnsemble<Real>::predict(
    const VectorView& x, const std::vector<unsigned char>& awake) {
  detail::require_size("x", static_cast<std::size_t>(x.size), state_->width());
  const unsigned char* flags = flags_of(awake, 1, settings().n_agents);
  if (state_->is_late())
    state_->predict_late(x.data, flags);
  else
    state_->predict(x.data, flags);
  return state_->forecast;
}

template <class Real>
void BasicOnlineEnsemble<Real>::learn(const VectorView& x, const VectorView& y) {
  State& s = *state_;
  detail::require_size("x", static_cast<std::size_t>(x.size), s.width());
  detail::require_size("y", static_cast<std::size_t>(y.size), s.d());
  if (s.is_late())
    s.learn_late(x.data, y.data);
  else if (s.waits_for(x))
    s.learn(y.data);
  else
    s.step(x.data, y.data);
}

template <class Real>
void BasicOnlineEnsemble<Real>::learn(const VectorView& y) {
  detail::require_size("y", static_cast<std::size_t>(y.size), state_->d());
  if (!state_->waits())
    throw std::invalid_argument("x was not predicted; expected predict before learn");
  state_->learn(y.data);
}

template <class Real>
bool BasicOnlineEnsemble<Real>::waits_for(const VectorView& x) const {
  return state_->waits_for(x);
}

template <class Real>
std::vector<double> BasicOnlineEnsemble<Real>::waiting() const {
  return state_->waits() ? state_->shown.x : std::vector<double>();
}

template <class Real>
void BasicOnlineEnsemble<Real>::take_back() {
  state_->take_back();
}

template <class Real>
void BasicOnlineEnsemble<Real>::observe(const VectorView& y) {
  detail::require_size("y", static_cast<std::size_t>(y.size), state_->d());
  if (state_->is_late()) return memoa::observe(state_->population, state_->server, y.data);
  state_->population.observe(y.data);
}

template <class Real>
std::vector<double> BasicOnlineEnsemble<Real>::run(const MatrixView& X, const MatrixView& Y,
                                                   const std::vector<unsigned char>& awake) {
  std::vector<double> forecasts(static_cast<std::size_t>(Y.rows * Y.cols));
  EnsembleOutput output;
  output.predictions = forecasts.data();
  RunOptions options;
  options.awake = flags_of(awake, X.rows, settings().n_agents);
  run(X, Y, output, options);
  return forecasts;
}

template <class Real>
Scored BasicOnlineEnsemble<Real>::run(const MatrixView& X, const MatrixView& Y,
                                      const EnsembleOutput& output, const RunOptions& options) {
  require_columns("X", X.cols, state_->width());
  require_columns("Y", Y.cols, state_->d());
  const Index expected = X.rows - (output.next != nullptr ? 1 : 0);
  if (Y.rows != expected)
    throw std::invalid_argument("Y has " + std::to_string(Y.rows) + " rows; expected those of X, " +
                                std::to_string(expected));
  return state_->run(X, Y, output, options);
}

template <class Real>
std::vector<double> BasicOnlineEnsemble<Real>::predict_rows(const MatrixView& X) {
  State& s = *state_;
  require_columns("X", X.cols, s.width());
  std::vector<double> forecasts(static_cast<std::size_t>(X.rows * s.d()));
  s.follow(0,
           [&] { memoa::predict_rows(s.population, s.server, X.data, X.rows, forecasts.data()); });
  return forecasts;
}

// -------------------------------------------------------------------- what was learnt

template <class Real>
const PopulationSettings& BasicOnlineEnsemble<Real>::settings() const {
  return state_->population.settings();
}
template <class Real>
const Mixture& BasicOnlineEnsemble<Real>::mixture() const {
  return state_->server.settings();
}
template <class Real>
const std::vector<double>& BasicOnlineEnsemble<Real>::levels() const {
  return state_->levels();
}
template <class Real>
Index BasicOnlineEnsemble<Real>::steps() const {
  return state_->population.steps();
}
template <class Real>
Index BasicOnlineEnsemble<Real>::scored() const {
  return state_->scored();
}
template <class Real>
const std::vector<double>& BasicOnlineEnsemble<Real>::intervals() const {
  return state_->bounds;
}
template <class Real>
const BasicPopulation<Real>& BasicOnlineEnsemble<Real>::population() const {
  return state_->population;
}
template <class Real>
const BasicServerMixture<Real>& BasicOnlineEnsemble<Real>::server() const {
  return state_->server;
}
template <class Real>
BasicPopulation<Real>& BasicOnlineEnsemble<Real>::population() {
  return state_->population;
}
template <class Real>
BasicServerMixture<Real>& BasicOnlineEnsemble<Real>::server() {
  return state_->server;
}

template <class Real>
std::vector<double> BasicOnlineEnsemble<Real>::weights() {
  std::vector<double> weights(static_cast<std::size_t>(settings().n_agents));
  state_->server.weights(weights.data());
  return weights;
}

template <class Real>
std::vector<double> BasicOnlineEnsemble<Real>::agent_costs() {
  std::vector<double> costs(static_cast<std::size_t>(settings().n_agents));
  state_->population.costs(costs.data());
  return costs;
}

template <class Real>
WorstAgent BasicOnlineEnsemble<Real>::worst_agent() {
  const std::vector<double> costs = agent_costs();
  const auto worst = std::max_element(costs.begin(), costs.end());
  return {worst - costs.begin(), *worst};
}

// -------------------------------------------------------------------- files

template <class Real>
std::string BasicOnlineEnsemble<Real>::note() const {
  return state_->with_learnt("null");
}

template <class Real>
void BasicOnlineEnsemble<Real>::restore(const PopulationMemory& population,
                                        const MixtureMemory& server, const std::string& note,
                                        const std::vector<double>& intervals) {
  State& s = *state_;
  if (!intervals.empty()) {
    detail::require_size("intervals", intervals.size(), static_cast<Index>(s.bounds.size()));
    s.bounds = intervals;
  }
  s.population.restore(population);
  s.server.restore(server);
  s.read_note(Json::parse(note));
}

template <class Real>
void BasicOnlineEnsemble<Real>::save(const std::string& path) const {
  save(path, state_->note);
}

template <class Real>
void BasicOnlineEnsemble<Real>::save(const std::string& path, const std::string& note) const {
  memoa::save(path, state_->population, state_->server, waiting(), state_->with_learnt(note));
}

template <class Real>
BasicOnlineEnsemble<Real> BasicOnlineEnsemble<Real>::load(const std::string& path, int n_threads) {
  Saved saved = memoa::load(path, n_threads);
  const auto* engines = std::get_if<SavedEngines<Real>>(&saved.engines);
  if (engines != nullptr && engines->population.settings().shard.total > 0)
    throw std::invalid_argument(path + ": this is a part of what was saved; expected all of it");
  const std::string header = saved.header;
  BasicOnlineEnsemble made(std::move(saved), path);
  made.state_->note = json_text(Json::parse(header).at("note"));
  return made;
}

template <class Real>
BasicOnlineEnsemble<Real>::BasicOnlineEnsemble(Saved&& saved, const std::string& path) {
  auto* engines = std::get_if<SavedEngines<Real>>(&saved.engines);
  if (engines == nullptr)
    throw std::invalid_argument(path + ": its agents are " +
                                (sizeof(Real) == 8 ? "float32; expected float64: load it as an "
                                                     "OnlineEnsembleF32"
                                                   : "float64; expected float32: load it as an "
                                                     "OnlineEnsemble"));
  const bool is_part = engines->population.settings().shard.total > 0;
  try {
    const Json header = Json::parse(saved.header);
    const Json& note = header.at("note");
    state_ = std::make_unique<State>(std::move(engines->population), std::move(engines->mixture),
                                     State::levels_of(note));
    state_->read_note(note);
    const auto awake = Inside::of(state_->population).present();
    if (!saved.pending.empty() && !is_part)
      state_->predict(saved.pending.data(), awake.empty() ? nullptr : awake.data());
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(path + ": header.json: note: " + error.what());
  }
}

template class BasicOnlineEnsemble<double>;
template class BasicOnlineEnsemble<float>;

}  // namespace memoa
