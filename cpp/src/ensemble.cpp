#include "memoa/ensemble.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "detail/inside.hpp"
#include "detail/json.hpp"
#include "detail/late_intervals.hpp"
#include "detail/missing.hpp"
#include "detail/population_state.hpp"
#include "detail/settings_json.hpp"
#include "detail/validate.hpp"
#include "memoa/saved.hpp"

namespace memoa {
namespace {

using detail::Inside;
using detail::Json;
using detail::json_text;

Index count_known(const double* y, Index n) {
  return static_cast<Index>(std::count_if(y, y + n, [](double v) { return !std::isnan(v); }));
}

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

std::vector<double> doubles_of(const Json& list, const char* name) {
  std::vector<double> values;
  for (const Json& item : list.as_array(name)) values.push_back(item.as_double(name));
  return values;
}

}  // namespace

/// The two engines with their intervals, and what must be known between two calls.
template <class Real>
struct BasicOnlineEnsemble<Real>::State {
  BasicPopulation<Real> population;
  BasicServerMixture<Real> server;
  std::optional<Intervals> bands;
  std::optional<detail::LateIntervals> late;  // where y comes late, the same bands
  std::vector<double> forecast, bounds;       // the last
  std::vector<double> shown;                  // the x of the last forecast
  bool is_judged = false;                     // will the intervals learn from the last forecast?
  Index scored = 0;                           // values of y that costs count
  std::string note = "null";                  // of the file that this was loaded from

  State(BasicPopulation<Real> agents, BasicServerMixture<Real> mixing,
        const std::vector<double>& levels)
      : population(std::move(agents)), server(std::move(mixing)), forecast(size(d())) {
    if (!levels.empty()) bands.emplace(levels, d());
    if (bands && is_late()) late.emplace(*bands, delay());
    bounds.assign(2 * levels.size() * forecast.size(), std::nan(""));
    shown.assign(size(width()), 0.0);
  }
  State(State&&) = delete;  // `late` holds on to `bands`

  static std::size_t size(Index n) { return static_cast<std::size_t>(n); }
  Index d() const { return population.settings().n_outputs; }
  Index width() const { return Inside::of(population).width(); }
  Index delay() const { return population.settings().past.delay; }
  bool is_late() const { return delay() > 0; }
  static const std::vector<double>& no_levels() {
    static const std::vector<double> none;
    return none;
  }
  const std::vector<double>& levels() const { return bands ? bands->levels() : no_levels(); }

  void predict(const double* x, const unsigned char* awake = nullptr) {
    memoa::predict(population, server, x, forecast.data(), awake);
    std::copy_n(x, shown.size(), shown.begin());
    is_judged = population.has_seen();
    if (bands) bands->bounds(forecast.data(), bounds.data());
  }

  bool waits_for(const VectorView& x) const {
    const auto same = [](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); };
    return population.is_pending() && std::equal(shown.begin(), shown.end(), x.data, same);
  }

  /// What costs and intervals count of a step's y, of which the agents knew something before.
  void count(const double* forecasts, const double* y) {
    scored += count_known(y, d());
    if (bands) bands->learn(forecasts, y);
  }

  void learn(const double* y) {
    memoa::learn(population, server, y);
    if (is_judged) count(forecast.data(), y);
    is_judged = false;
  }

  /// Steps of Y until a y of every output has been seen, that step included.
  Index steps_unseen(const MatrixView& Y) const {
    if (population.has_seen()) return 0;
    std::vector<double> known = Inside::of(population).known;
    Index t = 0;
    for (; t < Y.rows && std::count(known.begin(), known.end(), 0.0) > 0; ++t)
      for (Index o = 0; o < d(); ++o)
        if (!std::isnan(Y(t, o))) known[size(o)] = 1.0;
    return t;
  }

  void run(const MatrixView& X, const MatrixView& Y, double* forecasts,
           const unsigned char* awake) {
    const Index before = population.steps(), unseen = steps_unseen(Y);
    const auto count_learnt = [&] {  // what was interrupted has learnt the steps done
      Index left = population.steps() - before;
      for (Index t = unseen; t < Y.rows && left > 0; ++t) {
        const double* y = Y.data + t * d();
        if (detail::all_missing(y, d())) continue;
        count(forecasts + t * d(), y);
        --left;
      }
    };
    RunOutput output;
    output.predictions = forecasts;
    try {
      memoa::run(population, server, X.data, Y.data, Y.rows, output, nullptr, {}, 1, Labels::own,
                 awake);
    } catch (...) {
      count_learnt();
      throw;
    }
    count_learnt();
    is_judged = false;
  }

  // ------------------------------------------------------------------ where y comes late

  /// What the engines have learnt of what a run had told, the intervals learn too; `more`: how many
  /// more wait than the intervals know of.
  void catch_up(Index more) {
    while (late && late->size() + more > n_waiting(population)) late->learn_told();
    scored = n_scored(population);
  }
  template <class Call>
  void follow(Index more, const Call& call) {
    try {
      call();
    } catch (...) {
      catch_up(0);
      throw;
    }
    catch_up(more);
  }

  void predict_late(const double* x, const unsigned char* awake) {
    follow(1, [&] { memoa::predict(population, server, x, forecast.data(), awake); });
    if (late) bounds = late->add(population.has_seen() ? forecast.data() : nullptr);
  }

  void learn_late(const double* x, const double* y) {
    follow(-1, [&] { learn_oldest(population, server, x, y); });
    if (late) late->learn(y);
  }

  void run_late(const MatrixView& X, const MatrixView& Y, double* forecasts,
                const unsigned char* awake) {
    std::vector<double> bases(size(Y.rows * d()));
    RunOutput output;
    output.predictions = forecasts;
    output.bases = bases.data();
    bool has_begun = false;  // before, nothing has changed
    const Pace begin = [&](Index) {
      has_begun = true;
      return Y.rows;
    };
    try {
      memoa::run(population, server, X.data, Y.data, Y.rows, output, nullptr, begin, 1, Labels::own,
                 awake);
    } catch (...) {  // which steps it has learnt, and what was said of them, nobody knows
      if (has_begun && late) late->forget(n_waiting(population));
      catch_up(0);
      throw;
    }
    if (late) late->run(forecasts, Y.data, bases.data(), Y.rows);
    catch_up(0);
  }

  // ------------------------------------------------------------------ the file's note

  /// What the header tells beside the engines; members that are none of ours stay.
  std::string write_note() const {
    const Json before = Json::parse(note);
    const bool counts_all = scored == population.steps() * d();
    detail::Members members;
    if (before.is_object()) {
      for (const auto& [name, value] : before.as_object("note"))
        if (name != "bands" && name != "waits" && name != "values_scored")
          members(name.c_str(), json_text(value));
    } else if (bands || !counts_all) {
      members("params", "{\"intervals\": " + json_text(levels()) + "}");
      members("names", "null"), members("flat", "false");
    } else {
      return note;
    }
    if (bands) members("bands", json_text(bands->memory()));
    if (late) members("waits", late->memory());
    if (!counts_all) members("values_scored", std::to_string(scored));
    return members.object();
  }

  static std::vector<double> levels_of(const Json& told) {
    const Json* params = told.find("params");
    const Json* levels = params != nullptr ? params->find("intervals") : nullptr;
    return levels != nullptr ? doubles_of(*levels, "intervals") : std::vector<double>();
  }

  void read_note(const Json& told) {
    note = json_text(told);
    if (bands) bands->restore(doubles_of(told.at("bands"), "bands"));
    if (late) late->restore(told.at("waits"), n_waiting(population));
    const Index all_of_it = population.steps() * d();
    const Json* counted = told.find("values_scored");
    scored = counted == nullptr ? all_of_it : counted->as_integer("values_scored", 0, all_of_it);
  }
};

template <class Real>
BasicOnlineEnsemble<Real>::BasicOnlineEnsemble(PopulationSettings settings, const Mixture& mixture,
                                               const std::vector<double>& levels) {
  if (settings.shard.total > 0)
    throw std::invalid_argument(
        "settings.shard is of several processes; expected all agents in this one");
  const Index n_agents = settings.n_agents, n_outputs = settings.n_outputs;
  const int n_threads = settings.n_threads;
  Mixture mixing = mixture;
  detail::require(mixing.delay == 0 || mixing.delay == settings.past.delay, "mixture.delay",
                  mixing.delay, "0, or that of the settings");
  mixing.delay = settings.past.delay;
  BasicPopulation<Real> population(std::move(settings));
  state_ = std::make_unique<State>(std::move(population),
                                   BasicServerMixture<Real>(n_agents, n_outputs, mixing, n_threads),
                                   levels);
}
template <class Real>
BasicOnlineEnsemble<Real>::BasicOnlineEnsemble(std::unique_ptr<State> state)
    : state_(std::move(state)) {}
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
  if (s.is_late()) return s.learn_late(x.data, y.data);
  if (!s.waits_for(x)) {
    detail::require_moderate_or_missing("y", y.data, {y.size}, kLargest<Real>);
    s.predict(x.data);
  }
  s.learn(y.data);
}

template <class Real>
void BasicOnlineEnsemble<Real>::observe(const VectorView& y) {
  detail::require_size("y", static_cast<std::size_t>(y.size), state_->d());
  if (state_->is_late()) return memoa::observe(state_->population, state_->server, y.data);
  state_->population.observe(y.data);
  state_->is_judged = false;
}

template <class Real>
std::vector<double> BasicOnlineEnsemble<Real>::run(const MatrixView& X, const MatrixView& Y,
                                                   const std::vector<unsigned char>& awake) {
  require_columns("X", X.cols, state_->width());
  require_columns("Y", Y.cols, state_->d());
  if (X.rows != Y.rows)
    throw std::invalid_argument("Y has " + std::to_string(Y.rows) + " rows; expected those of X, " +
                                std::to_string(X.rows));
  const unsigned char* flags = flags_of(awake, Y.rows, settings().n_agents);
  std::vector<double> forecasts(static_cast<std::size_t>(Y.rows * Y.cols));
  if (state_->is_late())
    state_->run_late(X, Y, forecasts.data(), flags);
  else
    state_->run(X, Y, forecasts.data(), flags);
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
const std::vector<double>& BasicOnlineEnsemble<Real>::intervals() const {
  return state_->bounds;
}
template <class Real>
const BasicPopulation<Real>& BasicOnlineEnsemble<Real>::population() const {
  return state_->population;
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
void BasicOnlineEnsemble<Real>::save(const std::string& path) const {
  const State& s = *state_;
  const bool waits = s.population.is_pending() && !s.is_late();  // else the engines keep it
  memoa::save(path, s.population, s.server, waits ? s.shown : std::vector<double>(),
              s.write_note());
}

template <class Real>
BasicOnlineEnsemble<Real> BasicOnlineEnsemble<Real>::load(const std::string& path, int n_threads) {
  Saved saved = memoa::load(path, n_threads);
  auto* engines = std::get_if<SavedEngines<Real>>(&saved.engines);
  if (engines == nullptr)
    throw std::invalid_argument(path + ": its agents are " +
                                (sizeof(Real) == 8 ? "float32; expected float64: load it as an "
                                                     "OnlineEnsembleF32"
                                                   : "float64; expected float32: load it as an "
                                                     "OnlineEnsemble"));
  if (engines->population.settings().shard.total > 0)
    throw std::invalid_argument(path + ": this is a part of what was saved; expected all of it");
  try {
    const Json header = Json::parse(saved.header);
    const Json& note = header.at("note");
    auto state = std::make_unique<State>(std::move(engines->population),
                                         std::move(engines->mixture), State::levels_of(note));
    state->read_note(note);
    const auto awake = Inside::of(state->population).present();
    if (!saved.pending.empty())
      state->predict(saved.pending.data(), awake.empty() ? nullptr : awake.data());
    return BasicOnlineEnsemble(std::move(state));
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(path + ": header.json: note: " + error.what());
  }
}

template class BasicOnlineEnsemble<double>;
template class BasicOnlineEnsemble<float>;

}  // namespace memoa
