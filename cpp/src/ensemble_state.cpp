#include "detail/ensemble_state.hpp"

#include <algorithm>
#include <cmath>

#include "detail/missing.hpp"
#include "detail/settings_json.hpp"

namespace memoa {
namespace {

using detail::Inside;
using detail::Json;
using detail::json_text;

Index count_known(const double* y, Index n) {
  return static_cast<Index>(std::count_if(y, y + n, [](double v) { return !std::isnan(v); }));
}

std::vector<double> doubles_of(const Json& list, const char* name) {
  std::vector<double> values;
  for (const Json& item : list.as_array(name)) values.push_back(item.as_double(name));
  return values;
}

}  // namespace

template <class Real>
BasicOnlineEnsemble<Real>::State::State(BasicPopulation<Real> agents,
                                        BasicServerMixture<Real> mixing,
                                        const std::vector<double>& levels)
    : population(std::move(agents)), server(std::move(mixing)), forecast(size(d())) {
  if (!levels.empty()) bands.emplace(levels, d());
  if (bands && is_late()) late.emplace(*bands, delay());
  bounds.assign(2 * levels.size() * forecast.size(), std::nan(""));
  shown.x.assign(size(width()), 0.0);
  if (!is_late()) earlier.x = shown.x;
}

template <class Real>
bool BasicOnlineEnsemble<Real>::State::waits_for(const VectorView& x) const {
  const auto same = [](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); };
  return waits() && std::equal(shown.x.begin(), shown.x.end(), x.data, x.data + x.size, same);
}

template <class Real>
void BasicOnlineEnsemble<Real>::State::forecast_of(Shown& one) {
  const unsigned char* present = one.awake.empty() ? nullptr : one.awake.data();
  memoa::predict(population, server, one.x.data(), forecast.data(), present);
  one.is_there = true;
  is_judged = population.has_seen();
  if (bands) bands->bounds(forecast.data(), bounds.data());
}

template <class Real>
void BasicOnlineEnsemble<Real>::State::predict(const double* x, const unsigned char* awake) {
  shown.is_there = waits();
  earlier.set(x, awake, N());
  try {
    forecast_of(earlier);
  } catch (...) {
    if (!population.is_pending()) show_again();  // the forecast before failed half-way
    throw;
  }
  std::swap(shown, earlier);
}

template <class Real>
void BasicOnlineEnsemble<Real>::State::show_again() {
  if (!shown.is_there) return;
  shown.is_there = false;
  try {
    forecast_of(shown);
  } catch (const std::bad_alloc&) {
  }
}

template <class Real>
void BasicOnlineEnsemble<Real>::State::take_back() {
  if (is_late()) return;
  std::swap(shown, earlier);
  earlier.is_there = false;
  show_again();
}

template <class Real>
void BasicOnlineEnsemble<Real>::State::count(const double* forecasts, const double* y) {
  missing += d() - count_known(y, d());
  if (bands) bands->learn(forecasts, y);
}

template <class Real>
void BasicOnlineEnsemble<Real>::State::learn(const double* y) {
  const Index before = population.steps();
  memoa::learn(population, server, y);
  if (is_judged && population.steps() > before) count(forecast.data(), y);
  shown.is_there = false;
}

template <class Real>
void BasicOnlineEnsemble<Real>::State::step(const double* x, const double* y) {
  detail::require_moderate_or_missing("y", y, {d()}, kLargest<Real>);  // before x is predicted
  predict(x);
  try {
    learn(y);
  } catch (...) {
    take_back();
    throw;
  }
}

template <class Real>
Index BasicOnlineEnsemble<Real>::State::steps_unseen(const MatrixView& Y,
                                                     const double* initial) const {
  if (population.has_seen()) return 0;
  std::vector<double> known = Inside::of(population).known;
  const auto see = [&](const double* y) {
    for (Index o = 0; o < d(); ++o)
      if (!std::isnan(y[o])) known[size(o)] = 1.0;
  };
  if (initial != nullptr) see(initial);
  Index t = 0;
  for (; t < Y.rows && std::count(known.begin(), known.end(), 0.0) > 0; ++t) see(Y.data + t * d());
  return t;
}

template <class Real>
void BasicOnlineEnsemble<Real>::State::count_run(const MatrixView& Y, const double* forecasts,
                                                 Index first, Index learnt, double* around) {
  for (Index t = first; t < Y.rows; ++t) {
    const double* y = Y.data + t * d();
    const bool is_missing = detail::all_missing(y, d());
    if (!is_missing && learnt-- == 0) return;
    if (around != nullptr)
      bands->bounds(forecasts + t * d(), around + t * static_cast<Index>(bounds.size()));
    if (!is_missing) count(forecasts + t * d(), y);
  }
}

template <class Real>
Scored BasicOnlineEnsemble<Real>::State::run(const MatrixView& X, const MatrixView& Y,
                                             EnsembleOutput output, const RunOptions& options) {
  // allocations, which may fail, come before anything is learnt
  const bool is_arriving = options.labels == Labels::arriving;
  const Index T = Y.rows, before = population.steps(),
              unseen = is_late() ? 0 : steps_unseen(Y, options.initial);
  const bool counts_sleep = output.agent_rmse != nullptr && options.awake != nullptr;
  std::vector<double> bases(size(is_late() && output.bases == nullptr ? T * d() : 0)),
      missed(size(counts_sleep ? N() : 0));
  double* around = bands ? output.bounds : nullptr;
  if (around != nullptr) std::fill_n(around, size(T) * bounds.size(), std::nan(""));
  if (is_late() && output.bases == nullptr) output.bases = bases.data();
  if (is_late() && output.agent_rmse != nullptr) output.costs = output.agent_rmse;
  const Index waited = n_waiting(population);
  const Pace pace = [&](Index done) {
    if (done == 0) {  // everything was checked, nothing is learnt yet
      population.mark_costs();
      if (output.base != nullptr) std::copy_n(population.base(), d(), output.base);
    }
    return options.pace ? options.pace(done) : T;
  };
  try {
    memoa::run(population, server, X.data, Y.data, T, output, options.initial, pace,
               options.n_initial, options.labels, options.awake);
  } catch (...) {  // an interrupted run has learnt the steps done
    if (!is_late())
      count_run(Y, output.predictions, unseen, population.steps() - before, nullptr);
    else if (late && (population.steps() != before || n_waiting(population) != waited))
      late->forget(n_waiting(population));  // their forecasts are not known
    throw;
  }
  Scored scored{std::max(output.skip, unseen), 0};
  if (is_late()) {
    Index knew = 0;
    for (Index t = 0; t < T; ++t) knew += detail::is_complete(output.bases + t * d(), d()) ? 1 : 0;
    scored.first = std::max(output.skip, T - knew);
    if (late) {
      late->run(output.predictions, Y.data, output.bases, T, is_arriving, around);
      if (late->size() != n_waiting(population))  // the callback took steps of its own
        late->forget(n_waiting(population));
    }
  } else {
    count_run(Y, output.predictions, unseen, population.steps() - before, around);
  }
  if (bands && output.next != nullptr && output.next_bounds != nullptr)
    bands->bounds(output.next, output.next_bounds);
  const Index first = std::min(scored.first + (is_arriving ? delay() : 0), T);
  scored.values = count_known(Y.data + first * d(), (T - first) * d());
  if (output.agent_rmse != nullptr) write_errors(scored.values, missed, output.agent_rmse);
  return scored;
}

template <class Real>
void BasicOnlineEnsemble<Real>::State::write_errors(Index values, std::vector<double>& missed,
                                                    double* rmse) const {
  if (!is_late()) population.costs_since_mark(rmse);
  if (!missed.empty()) population.missed_since_mark(missed.data());
  const double all = values > 0 ? static_cast<double>(values) : std::nan("");
  for (Index i = 0; i < N(); ++i)
    rmse[i] = std::sqrt(rmse[i] / (missed.empty() ? all : all - missed[size(i)]));
}

template <class Real>
void BasicOnlineEnsemble<Real>::State::catch_up(Index more) {
  while (late && late->size() > 0 && late->size() + more > n_waiting(population))
    late->learn_received();
}

template <class Real>
void BasicOnlineEnsemble<Real>::State::predict_late(const double* x, const unsigned char* awake) {
  std::copy_n(x, shown.x.size(), shown.x.begin());  // the caller may change x at any time
  follow(1, [&] { memoa::predict(population, server, shown.x.data(), forecast.data(), awake); });
  if (late) bounds = late->add(population.has_seen() ? forecast.data() : nullptr);
}

template <class Real>
void BasicOnlineEnsemble<Real>::State::learn_late(const double* x, const double* y) {
  follow(-1, [&] { learn_oldest(population, server, x, y); });
  if (late) late->learn(y);
}

template <class Real>
std::string BasicOnlineEnsemble<Real>::State::with_learnt(const std::string& kept) const {
  const Json before = Json::parse(kept);
  const bool counts_all = scored() == population.steps() * d();
  detail::Members members;
  if (before.is_object()) {
    for (const auto& [name, value] : before.as_object("note"))
      if (name != "bands" && name != "waits" && name != "values_scored")
        members(name.c_str(), json_text(value));
  } else if (bands || !counts_all) {
    members("params", "{\"intervals\": " + json_text(levels()) + "}");
    members("names", "null"), members("flat", "false");
  } else {
    return kept;
  }
  if (bands) members("bands", json_text(bands->memory()));
  if (late) members("waits", late->memory());
  if (!counts_all) members("values_scored", std::to_string(scored()));
  return members.object();
}

template <class Real>
std::vector<double> BasicOnlineEnsemble<Real>::State::levels_of(const Json& note) {
  const Json* params = note.find("params");
  const Json* levels = params != nullptr ? params->find("intervals") : nullptr;
  return levels != nullptr ? doubles_of(*levels, "intervals") : std::vector<double>();
}

template <class Real>
void BasicOnlineEnsemble<Real>::State::read_note(const Json& note) {
  if (bands) bands->restore(doubles_of(note.at("bands"), "bands"));
  if (late) late->restore(note.at("waits"), n_waiting(population));
  const Index all_of_it = population.steps() * d();
  const Json* counted = note.find("values_scored");
  missing = counted == nullptr || is_late()
                ? 0
                : all_of_it - counted->as_integer("values_scored", 0, all_of_it);
}

template struct BasicOnlineEnsemble<double>::State;
template struct BasicOnlineEnsemble<float>::State;

}  // namespace memoa
