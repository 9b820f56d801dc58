#include "detail/late.hpp"

#include "detail/inside.hpp"
#include "detail/missing.hpp"
#include "detail/mixture_state.hpp"
#include "detail/population_state.hpp"

namespace memoa {

// ------------------------------------------------------------------ the agents

template <class Real>
void BasicPopulation<Real>::State::wait(const double* x) {
  const Index d = layout.d, numbers = d * layout.padded, at = waiting.push();
  std::transform(x, x + width(), waiting.x(at), waiting.to_keep);
  std::copy_n(inputs.rows.begin(), layout.encoded, waiting.row(at));
  std::copy_n(shown_base.begin(), d, waiting.base(at));
  std::fill_n(waiting.told(at), d, 0.0);
  waiting.has_base(at) = static_cast<double>(has_seen);
  waiting.is_told(at) = 0.0;
  if (!has_seen) return;
  // A memory has finite numbers only.
  largest_loss = std::min(largest_loss, std::numeric_limits<double>::max());
  const Real* own = keeps_forecasts            ? forecasts
                    : kept.forecast.size() > 0 ? kept.forecast.data()
                                               : kept.increment.data();  // never read
  std::copy_n(kept.increment.data(), numbers, waiting.increments(at));
  std::copy_n(own, numbers, waiting.forecasts(at));
  inputs.learnt = inputs.counted;
  if (!waiting.keeps_features(layout)) return;
  Real* features = waiting.features(at);
  each_pending(features, [](Real shown, Real& kept) { kept = shown; });
  move_reservoir(features);
}

template <class Real>
template <class Body>
void BasicPopulation<Real>::State::each_pending(Real* kept, const Body& body) const {
  for (const detail::Group& group : layout.groups) {
    const detail::Record& r = group.record;
    if (!waiting.keeps_features(r)) continue;
    for (Index k = 0; k < r.p; ++k)
      for (Index agent = 0; agent < group.n; ++agent)
        body(records.at(group, r.pending + k, agent),
             kept[k * layout.N + group.first + agent * group.step]);
  }
}

/// A reservoir advances with every input, no matter when its y arrives.
template <class Real>
void BasicPopulation<Real>::State::move_reservoir(const Real* features) {
  for (const detail::Group& group : layout.groups) {
    const detail::Record& r = group.record;
    if (r.features != detail::Features::echo) continue;
    const Real unscale = static_cast<Real>(1.0 / detail::feature_norm(group.encoder, r.p));
    for (Index k = 0; k < r.p; ++k)
      for (Index agent = 0; agent < group.n; ++agent)
        records.at(group, r.reservoir + k, agent) =
            features[k * layout.N + group.first + agent * group.step] * unscale;
  }
}

template <class Real>
void BasicPopulation<Real>::State::learn_oldest(const double* y) {
  const Index d = layout.d, padded = layout.padded;
  if (waiting.has_base(0) == 0.0) {
    const bool was_pending = pending;
    if (!detail::all_missing(y, d)) observe(y);
    pending = was_pending;
    return waiting.pop();
  }
  if (detail::all_missing(y, d)) return waiting.pop();
  if (lesson.to_records) settle();  // the step learnt just before
  const double* from = waiting.base(0);
  for (Index o = 0; o < d; ++o) lesson.change[o] = static_cast<Real>(y[o] - from[o]);
  bound_change(inputs.past, y, from, lesson.bounded.data());
  std::transform(waiting.row(0), waiting.row(0) + layout.encoded, lesson.x.begin(),
                 [](double value) { return static_cast<Real>(value); });
  layout.each_chunk(10.0, [&](Index first, Index last) {
    const Real* own = waiting.forecasts(0);
    pass.kernels().charge(waiting.increments(0), padded, lesson.change.data(), d, kept.cost.data(),
                          first, last, nullptr, nullptr);
    if (judges(settings))
      pass.kernels().remember(own, padded, lesson.change.data(), d,
                              detail::Crowd<Real>::kForgetting, largest_loss,
                              kept.recent_loss.data(), first, last, nullptr);
    for (Index o = 0; o < d && kept.forecast.size() > 0; ++o)  // (10.6) learns these
      std::copy(own + o * padded + first, own + o * padded + last,
                kept.forecast.data() + o * padded + first);
  });
  lesson.to_records = true;
  if (waiting.keeps_features(layout)) absorb_features();
  auto& known_before = waiting.known_before;
  std::copy(base.begin(), base.end(), known_before.begin());
  for (Index o = 0; o < d; ++o) {
    if (std::isnan(y[o])) continue;
    base[o] = y[o];
    ++scored;
  }
  if (remembers(settings)) inputs.past.learn(y, known_before.data(), from);
  ++steps;
  waiting.pop();
}

/// Learns the oldest step from its stored features.
template <class Real>
void BasicPopulation<Real>::State::absorb_features() {
  each_pending(waiting.features(0), [](Real& shown, Real kept) { shown = kept; });
  settle();
  move_reservoir(waiting.features(waiting.size() - 1));  // `settle` set it back to the oldest step
}

// ------------------------------------------------------------------ with their server

namespace detail {
namespace {

template <class Real>
class Late {
 public:
  Late(const BasicPopulation<Real>& population, const BasicServerMixture<Real>& mixture)
      : state_(Inside::of(population)), server_(Inside::of(mixture)), d_(state_.layout.d) {
    state_.serve(&server_.settings);
  }

  void predict(const double* x, double* forecast) {
    learn_told();
    if (state_.waiting.is_full())
      throw std::invalid_argument(std::to_string(state_.waiting.size()) +
                                  " forecasts wait for their y; expected learn with the y of the "
                                  "oldest one first, or with nan if it never arrives");
    if (!state_.has_seen) {
      state_.show_nothing();
      std::fill_n(forecast, d_, 0.0);
      return state_.wait(x);
    }
    state_.show(x, 1, nullptr, false);
    state_.pending = false;  // until the server has the forecasts too
    const unsigned char* used = state_.used;
    server_.stage(
        state_.forecasts, state_.layout.padded, state_.base.data(),
        {used, state_.keeps_forecasts ? state_.pass.mean_forecast(0) : state_.pass.mean(0)});
    server_.mixed(server_.staged, forecast, state_.fields.data());
    state_.play();
    state_.wait(x);
    auto& waiting = state_.waiting;
    const Index at = waiting.size() - 1, N = state_.layout.N;
    for (Index o = 0; o < d_; ++o) {
      Said said;
      said.mixture = server_.mixed_increment(server_.staged, o);
      if (server_.settings.rivals) said.rivals = server_.rival_forecast(server_.staged, o);
      waiting.write_said(at, o, said);
      waiting.forecast(at)[o] = forecast[o];
      std::copy_n(server_.staged_increments.data() + o * N, N,
                  waiting.heard(at) + o * state_.layout.padded);
    }
    server_.is_staged = false;
    state_.pending = true;
  }

  /// Learns the y of the oldest step.
  void learn(const double* y) {
    auto& waiting = state_.waiting;
    const bool teaches = waiting.has_base(0) != 0.0 && !all_missing(y, d_);
    if (teaches) {
      for (Index o = 0; o < d_; ++o)
        waiting.said_of_oldest[static_cast<std::size_t>(o)] = waiting.read_said(0, o);
      server_.measure(waiting.heard(0), state_.layout.padded, waiting.base(0), {}, server_.staged,
                      server_.staged_increments.data());
      server_.staged.has_base = true;
      server_.said = waiting.said_of_oldest.data();
      server_.known = state_.base.data();
      server_.settle(y);
      server_.said = nullptr, server_.known = nullptr;
    }
    state_.learn_oldest(y);
  }

  void learn_oldest_told() {
    auto& waiting = state_.waiting;
    std::transform(waiting.told(0), waiting.told(0) + d_, waiting.told_of_oldest.begin(),
                   waiting.kept);
    learn(waiting.told_of_oldest.data());
  }
  void learn_told() {
    while (state_.waiting.is_full() && state_.waiting.is_told(0) != 0.0) learn_oldest_told();
  }

  void observe(const double* y) {
    const bool pending = state_.pending;
    state_.observe(y);
    state_.pending = pending;
    if (state_.has_seen && server_.settings.rivals) server_.past.observe(state_.base.data());
  }

  /// Shares (4, d) in the last forecast.
  void write_shares(double* shares) {
    if (state_.has_seen) return server_.write_shares(shares);
    std::fill_n(shares, 4 * d_, 0.0);
  }

  auto& state() { return state_; }

 private:
  Inside::State<BasicPopulation<Real>>& state_;
  Inside::State<BasicServerMixture<Real>>& server_;
  const Index d_;
};

/// Writes the results of the step that a run just predicted, and adds up its agents' costs.
template <class Real>
class Account {
 public:
  Account(Inside::State<BasicPopulation<Real>>& state, const RunOutput& output)
      : state_(state),
        output_(output),
        cost_(state.layout.padded),
        change_(static_cast<std::size_t>(state.layout.d)) {
    std::fill_n(cost_.data(), cost_.size(), 0.0);
  }

  void tell(const double* y) {
    auto& waiting = state_.waiting;
    const Index at = waiting.size() - 1;
    for (Index o = 0; o < state_.layout.d; ++o) waiting.told(at)[o] = waiting.to_keep(y[o]);
    waiting.is_told(at) = 1.0;
  }

  /// Adds step t, with its y.
  void add(Index t, const double* y) {
    auto& waiting = state_.waiting;
    const Index d = state_.layout.d, padded = state_.layout.padded, at = waiting.size() - 1;
    const bool knows = waiting.has_base(at) != 0.0;
    for (Index o = 0; o < d; ++o) {
      change_[static_cast<std::size_t>(o)] = static_cast<Real>(y[o] - waiting.base(at)[o]);
      if (output_.mean_field) output_.mean_field[t * d + o] = state_.mean_field[o];
      if (output_.bases)
        output_.bases[t * d + o] =
            knows ? waiting.base(at)[o] : std::numeric_limits<double>::quiet_NaN();
    }
    for (Index j = 0; j < output_.n_record; ++j)
      for (Index o = 0; o < d; ++o)
        output_.recorded[(t * output_.n_record + j) * d + o] =
            knows ? waiting.base(at)[o] +
                        static_cast<double>(waiting.increments(at)[o * padded + output_.record[j]])
                  : 0.0;
    if (knows && t >= output_.skip)
      state_.layout.each_chunk(10.0, [&](Index first, Index last) {
        state_.pass.kernels().charge(waiting.increments(at), padded, change_.data(), d,
                                     cost_.data(), first, last, nullptr, nullptr);
      });
    if (output_.worst_cost)
      output_.worst_cost[t] =
          state_.pass.kernels().worst(cost_.data(), nullptr, 0, state_.layout.N);
  }
  void finish() const {
    if (output_.costs) std::copy_n(cost_.data(), state_.layout.N, output_.costs);
  }

 private:
  Inside::State<BasicPopulation<Real>>& state_;
  const RunOutput& output_;
  Buffer<double> cost_;  // (padded)
  std::vector<Real> change_;
};

}  // namespace

template <class Real>
void predict_late(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                  const double* x, double* forecast) {
  Late<Real> late(population, mixture);
  late.state().require_input(x);
  late.predict(x, forecast);
}

template <class Real>
void learn_told(const BasicPopulation<Real>& population, const BasicServerMixture<Real>& mixture) {
  Late<Real>(population, mixture).learn_told();
}

template <class Real>
void run_late(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
              const double* inputs, const double* targets, Index n_steps, const RunOutput& output,
              const double* initial, Index n_initial, const Pace& pace, Labels labels) {
  Late<Real> late(population, mixture);
  auto& state = late.state();
  auto& waiting = state.waiting;
  const bool arriving = labels == Labels::arriving;
  for (Index at = 0; at < waiting.size(); ++at)
    if (waiting.is_told(at) == (arriving ? 1.0 : 0.0))
      throw std::invalid_argument(
          arriving ? "forecasts wait whose y is known from another run; expected none of these"
                   : "a forecast made by predict waits for its y; expected learn with all of them "
                     "before a run");
  if (n_initial > 1 && waiting.size() > 0)
    throw std::invalid_argument("initial has " + std::to_string(n_initial) +
                                " values, but forecasts wait already; expected one");
  const Index d = state.layout.d, width = state.width();
  Account<Real> account(state, output);
  std::vector<double> x(static_cast<std::size_t>(width)), y(static_cast<std::size_t>(d));
  const std::vector<double> none(y.size(), std::numeric_limits<double>::quiet_NaN());
  const Index ahead = arriving ? state.settings.past.delay : 0;
  if (initial) late.observe(initial);
  for (Index t = 0, next = 0; t < n_steps; ++t) {
    if (t == next) next += pace ? std::max<Index>(pace(t), 1) : n_steps;
    std::copy_n(inputs + t * width, width, x.data());  // a copy: another thread may write there
    std::copy_n(targets + t * d, d, y.data());
    state.require_input(x.data());
    require_moderate_or_missing("Y, changed during the run,", y.data(), {1, d}, kLargest<Real>);
    late.predict(x.data(), output.predictions + t * d);
    if (output.shares) late.write_shares(output.shares + t * 4 * d);
    account.add(t, t + ahead < n_steps ? targets + (t + ahead) * d : none.data());
    if (t + 1 < n_initial) late.observe(initial + (t + 1) * d);
    if (!arriving) {
      account.tell(y.data());
      late.learn_told();
    } else if (waiting.is_full()) {
      late.learn(y.data());
    } else {
      late.observe(y.data());
    }
  }
  account.finish();
  if (pace) pace(n_steps);
}

}  // namespace detail

template <class Real>
Index n_waiting(const BasicPopulation<Real>& population) {
  return detail::Inside::of(population).waiting.size();
}

template <class Real>
Index n_scored(const BasicPopulation<Real>& population) {
  return detail::Inside::of(population).scored;
}

template <class Real>
std::vector<double> waiting_inputs(const BasicPopulation<Real>& population) {
  auto& state = detail::Inside::of(population);
  std::vector<double> all;
  for (Index at = 0; at < state.waiting.size(); ++at)
    for (Index j = 0; j < state.width(); ++j)
      all.push_back(state.waiting.kept(state.waiting.x(at)[j]));
  return all;
}

template <class Real>
Index n_told(const BasicPopulation<Real>& population, const double* x) {
  auto& waiting = detail::Inside::of(population).waiting;
  Index n = 0;
  while (n < waiting.size() && waiting.is_told(n) != 0.0 && !waiting.has_input(n, x)) ++n;
  return n;
}

template <class Real>
void learn_oldest(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
                  const double* x, const double* y) {
  detail::Late<Real> late(population, mixture);
  detail::require_moderate_or_missing("y", y, {late.state().layout.d}, kLargest<Real>);
  const Index told = n_told(population, x);
  auto& waiting = late.state().waiting;
  if (told == waiting.size() || !waiting.has_input(told, x))
    throw std::invalid_argument(
        "x is not that of the oldest forecast that waits for its y; expected one y after the "
        "other, in the order of the forecasts");
  for (Index k = 0; k < told; ++k) late.learn_oldest_told();
  late.learn(y);
}

template <class Real>
void observe(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture,
             const double* y) {
  detail::Late<Real> late(population, mixture);
  detail::require_moderate_or_missing("y", y, {late.state().layout.d}, kLargest<Real>);
  late.observe(y);
}

#define MEMOA_INSTANTIATE(Real)                                                                    \
  template void BasicPopulation<Real>::State::wait(const double*);                                 \
  template void BasicPopulation<Real>::State::learn_oldest(const double*);                         \
  template Index n_waiting(const BasicPopulation<Real>&);                                          \
  template Index n_scored(const BasicPopulation<Real>&);                                           \
  template std::vector<double> waiting_inputs(const BasicPopulation<Real>&);                       \
  template Index n_told(const BasicPopulation<Real>&, const double*);                              \
  template void learn_oldest(BasicPopulation<Real>&, BasicServerMixture<Real>&, const double*,     \
                             const double*);                                                       \
  template void observe(BasicPopulation<Real>&, BasicServerMixture<Real>&, const double*);         \
  template void detail::predict_late(BasicPopulation<Real>&, BasicServerMixture<Real>&,            \
                                     const double*, double*);                                      \
  template void detail::learn_told(const BasicPopulation<Real>&, const BasicServerMixture<Real>&); \
  template void detail::run_late(BasicPopulation<Real>&, BasicServerMixture<Real>&, const double*, \
                                 const double*, Index, const RunOutput&, const double*, Index,     \
                                 const Pace&, Labels);
MEMOA_INSTANTIATE(double)
MEMOA_INSTANTIATE(float)
#undef MEMOA_INSTANTIATE

}  // namespace memoa
