#include "memoa/run.hpp"

#include "detail/inside.hpp"
#include "detail/interrupt.hpp"
#include "detail/late.hpp"
#include "detail/missing.hpp"
#include "detail/mixture_state.hpp"
#include "detail/population_state.hpp"

namespace memoa {
namespace {

using detail::Inside;
static_assert(kRunTile == detail::kTile);

template <class Real>
void require_same_sizes(const BasicPopulation<Real>& population,
                        const BasicServerMixture<Real>& mixture) {
  const PopulationSettings& s = population.settings();
  Inside::of(population).others.require_whole();
  Inside::of(mixture).others.require_whole();
  if (mixture.n_agents() != s.n_agents || mixture.n_outputs() != s.n_outputs)
    throw std::invalid_argument("mixture is for another number of agents or outputs");
  if (mixture.settings().delay != s.past.delay)
    throw std::invalid_argument("mixture is for another delay");
}

void require_record(const RunOutput& output, Index n_agents) {
  for (Index j = 0; j < output.n_record; ++j)
    if (output.record[j] < 0 || output.record[j] >= n_agents)
      throw std::invalid_argument("record holds agent " + std::to_string(output.record[j]) +
                                  "; expected agents from 0 to " + std::to_string(n_agents - 1));
}

/// Which agents the server uses at a step, and the forecast that it uses in place of the others.
template <class Real>
auto used_at(const Inside::State<BasicPopulation<Real>>& state, const unsigned char* mask,
             Index step) {
  return typename Inside::State<BasicServerMixture<Real>>::Used{
      mask ? mask + step * state.layout.d * state.layout.padded : nullptr,
      state.keeps_forecasts ? state.pass.mean_forecast(step) : state.pass.mean(step)};
}

/// Takes both engines through a series that was already checked.
template <class Real>
class Runner {
 public:
  Runner(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture, const double* inputs,
         const double* targets, Index n_steps, const RunOutput& output, const unsigned char* awake)
      : state_(Inside::of(population)),
        server_(Inside::of(mixture)),
        inputs_(inputs),
        targets_(targets),
        output_(output),
        awake_(awake),
        d_(state_.layout.d),
        x_(static_cast<std::size_t>(detail::kTile * state_.layout.dx)),
        y_(static_cast<std::size_t>(detail::kTile * d_)) {
    state_.serve(&server_.settings);
    // Everything that may fail is done before anything is learnt.
    state_.reserve(std::min(detail::kTile, n_steps));
    if (awake != nullptr)
      state_.reserve_sleep(std::max<Index>(std::min(detail::kTile, n_steps), 1));
    state_.reserve_mark();
    bool looks = output.next != nullptr;
    for (Index t = 0; t < n_steps && !looks; ++t) looks = is_missing(t);
    if (looks) server_.reserve_glance();
  }

  /// The steps before step t were a warm-up.
  void begin_counting(Index t) {
    state_.mark_costs();
    if (output_.worst_cost) std::fill_n(output_.worst_cost, t, 0.0);
  }

  /// Takes the steps [first, last). Tiles end at fixed steps, the same in all processes, no matter
  /// where a process pauses.
  void advance(Index first, Index last) {
    while (first < last) {
      if (!state_.has_seen) {
        observe_first(first++);
      } else if (is_missing(first)) {
        look(first++);
      } else {
        Index next = std::min((first / detail::kTile + 1) * detail::kTile, last);
        for (Index t = first + 1; t < next; ++t)
          if (is_missing(t)) next = t;
        take(first, next - first);
        first = next;
      }
    }
  }

  /// Requires that all processes take the same number of steps and record the same agents.
  void agree(Index n_steps) {
    detail::SharedSums shared(state_.others);
    const double length = static_cast<double>(n_steps);
    const std::vector<double> record(output_.record, output_.record + output_.n_record);
    shared.agree("the number of steps in X and Y", &length, 1);
    shared.agree("record", record.data(), output_.n_record);
    shared.exchange();
  }
  /// Exchanges the results of which each process has a part: the largest costs and the recorded
  /// predictions.
  void share(Index n_steps) {
    if (output_.worst_cost) state_.others.max(output_.worst_cost, n_steps);
    const Index n = n_steps * output_.n_record * d_;
    if (state_.others.alone() || n == 0) return;
    detail::SharedSums shared(state_.others);
    shared.gather(n);
    std::copy_n(output_.recorded, n, &shared.gathered(0));
    shared.exchange();
    std::copy_n(&shared.gathered(0), n, output_.recorded);
  }

 private:
  /// Copies the next n steps, and checks the copies. They were checked before the run, but another
  /// thread may have changed them since, and a NaN that is learnt could never be removed.
  void read(Index first, Index n) {
    const Index dx = state_.layout.dx;
    std::copy_n(inputs_ + first * dx, n * dx, x_.data());
    std::copy_n(targets_ + first * d_, n * d_, y_.data());
    detail::require_moderate_or_missing("X, changed during the run,", x_.data(), {n, dx},
                                        kLargest<double>);
    detail::require_moderate_or_missing("Y, changed during the run,", y_.data(), {n, d_},
                                        kLargest<Real>);
  }

  bool is_missing(Index t) const { return detail::all_missing(targets_ + t * d_, d_); }

  const unsigned char* awake_at(Index t) const {
    return awake_ != nullptr ? awake_ + t * state_.layout.N : nullptr;
  }

  /// A step without any y: makes the forecast, and learns nothing.
  void look(Index t) {
    read(t, 1);
    const double* x = state_.layout.dx > 0 ? x_.data() : inputs_ + t * state_.width();
    const Real* shown = state_.glance(x, awake_at(t));
    server_.glance(shown, state_.layout.padded, state_.base.data(),
                   used_at<Real>(state_, state_.glanced_used(), 0), output_.predictions + t * d_,
                   state_.fields.data());
    state_.play_glance();
    if (output_.shares) server_.write_shares(output_.shares + t * 4 * d_);
    show(t, 0, state_.glanced_increments(), state_.base.data());
    if (output_.worst_cost) output_.worst_cost[t] = t > 0 ? output_.worst_cost[t - 1] : 0.0;
  }

  /// Writes the agents' predictions at step t, which is number `step` of its tile.
  void show(Index t, Index step, const Real* shown, const double* base) {
    for (Index o = 0; o < d_ && output_.mean_field; ++o)
      output_.mean_field[t * d_ + o] = base[o] + state_.pass.mean(step)[o];
    for (Index j = 0; j < output_.n_record; ++j) {
      const Index agent = output_.record[j] - state_.layout.first;
      const bool here = agent >= 0 && agent < state_.layout.N;
      for (Index o = 0; o < d_; ++o)
        output_.recorded[(t * output_.n_record + j) * d_ + o] =
            here ? base[o] + static_cast<double>(shown[o * state_.layout.padded + agent]) : 0.0;
    }
  }

  /// The step of the first y: nothing is known yet, so all forecasts are 0.
  void observe_first(Index t) {
    read(t, 1);
    state_.show_nothing();
    state_.observe(y_.data());
    std::fill_n(output_.predictions + t * d_, d_, 0.0);
    if (output_.mean_field) std::fill_n(output_.mean_field + t * d_, d_, 0.0);
    if (output_.shares) std::fill_n(output_.shares + t * 4 * d_, 4 * d_, 0.0);
    if (output_.worst_cost) output_.worst_cost[t] = 0.0;
    std::fill_n(output_.recorded + t * output_.n_record * d_, output_.n_record * d_, 0.0);
  }

  /// A tile of n steps from `first` on.
  void take(Index first, Index n) {
    read(first, n);
    for (Index step = 0; step < n; ++step)
      if (detail::all_missing(y_.data() + step * d_, d_))
        throw std::invalid_argument("Y has changed during the run");
    // Features that the caller passes may be too many to copy. If one is no longer finite, its
    // agent repeats the base.
    const double* x = state_.layout.dx > 0 ? x_.data() : inputs_ + first * state_.width();
    const Real* increments =
        state_.show(x, n, y_.data(), output_.worst_cost != nullptr, awake_at(first));
    const Index stride = state_.layout.padded;
    const auto before = [&](Index step) { return state_.bases.data() + step * d_; };
    server_.advance(n, [&](Index step) -> typename Server::Step {
      return {state_.forecasts + step * d_ * stride,
              stride,
              before(step),
              used_at<Real>(state_, state_.used, step),
              y_.data() + step * d_,
              output_.predictions + (first + step) * d_,
              state_.fields.data() + step * d_,
              output_.shares ? output_.shares + (first + step) * 4 * d_ : nullptr};
    });
    state_.play();
    state_.learn(y_.data(), n);
    for (Index step = 0; step < n; ++step) {
      show(first + step, step, increments + step * d_ * stride, before(step));
      if (output_.worst_cost) output_.worst_cost[first + step] = state_.pass.worst(step);
    }
  }

  using Server = Inside::State<BasicServerMixture<Real>>;

  Inside::State<BasicPopulation<Real>>& state_;
  Server& server_;
  const double *inputs_, *targets_;
  const RunOutput& output_;
  const unsigned char* awake_;
  const Index d_;
  std::vector<double> x_, y_;  // of the tile
};

}  // namespace

template <class Real>
void predict(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture, const double* x,
             double* forecast, const unsigned char* awake) {
  require_same_sizes(population, mixture);
  if (awake != nullptr) Inside::of(population).require_sleep();
  if (Inside::of(population).is_late())
    return detail::predict_late(population, mixture, x, forecast);
  auto& state = Inside::of(population);
  auto& server = Inside::of(mixture);
  state.others.require_whole();
  state.serve(&mixture.settings());
  state.predict(x, awake);
  if (!population.has_seen()) {
    std::fill_n(forecast, mixture.n_outputs(), 0.0);
    return;
  }
  state.forget_shown();  // until the server has the forecasts too
  server.stage(state.forecasts, population.stride(), population.base(),
               used_at<Real>(state, state.used, 0));
  server.mixed(server.staged, forecast, state.fields.data());
  state.play();
  state.keep_shown();
}

template <class Real>
void learn(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture, const double* y) {
  require_same_sizes(population, mixture);
  const bool knows = population.has_seen();
  if (knows && !Inside::of(mixture).is_staged)
    throw std::invalid_argument("x was not predicted; expected predict before learn");
  population.learn(y);
  if (knows && !detail::all_missing(y, mixture.n_outputs())) Inside::of(mixture).settle(y);
}

template <class Real>
void predict_rows(const BasicPopulation<Real>& population, const BasicServerMixture<Real>& mixture,
                  const double* inputs, Index n_rows, double* forecasts,
                  const unsigned char* awake) {
  require_same_sizes(population, mixture);
  auto& state = Inside::of(population);
  auto& server = Inside::of(mixture);
  const Index d = state.layout.d;
  state.require_inputs(inputs, n_rows);
  if (awake != nullptr) {
    state.require_sleep();
    state.reserve_sleep(1);
  }
  state.serve(&server.settings);
  if (state.is_late()) detail::learn_told(population, mixture);  // their y is known by now
  if (!state.has_seen) {
    std::fill_n(forecasts, n_rows * d, 0.0);
    return;
  }
  for (Index t = 0; t < n_rows; ++t) {
    detail::poll(detail::kWorkOfALook);
    const unsigned char* present = awake != nullptr ? awake + t * state.layout.N : nullptr;
    const Real* shown = state.glance(inputs + t * state.width(), present);
    server.glance(shown, state.layout.padded, state.base.data(),
                  used_at<Real>(state, state.glanced_used(), 0), forecasts + t * d);
  }
}

template <class Real>
void run(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture, const double* inputs,
         const double* targets, Index n_steps, const RunOutput& output, const double* initial,
         const Pace& pace, Index n_initial, Labels labels, const unsigned char* awake) {
  require_same_sizes(population, mixture);
  auto& state = Inside::of(population);
  if (awake != nullptr) state.require_sleep();
  state.require_inputs(inputs, n_steps + (output.next ? 1 : 0));
  detail::require_moderate_or_missing("Y", targets, {n_steps, state.layout.d}, kLargest<Real>);
  if (n_initial != 1 && n_initial != state.settings.past.delay + 1)
    throw std::invalid_argument("initial has " + std::to_string(n_initial) + " values; expected 1" +
                                (state.is_late() ? ", or delay + 1" : ""));
  if (initial)
    detail::require_moderate_or_missing(
        "initial", initial,
        n_initial == 1 ? Shape{state.layout.d} : Shape{n_initial, state.layout.d}, kLargest<Real>);
  require_record(output, state.layout.total);
  const double* next = inputs + n_steps * state.width();
  if (state.is_late()) {
    detail::run_late(population, mixture, inputs, targets, n_steps, output, initial, n_initial,
                     pace, labels);
    if (output.next) predict_rows(population, mixture, next, 1, output.next);
    return;
  }
  Runner<Real> runner(population, mixture, inputs, targets, n_steps, output, awake);
  runner.agree(n_steps);
  if (initial) state.observe(initial);
  const Index skip = std::min(output.skip, n_steps);
  for (Index done = 0; done < n_steps;) {
    const Index more = pace ? std::max<Index>(pace(done), 1) : n_steps;
    Index last = more < n_steps - done ? done + more : n_steps;
    // No process knows how fast the others are, so all pause only between tiles.
    if (!state.others.alone())
      last = std::min((last + detail::kTile - 1) / detail::kTile * detail::kTile, n_steps);
    if (done < skip) last = std::min(last, skip);
    runner.advance(done, last);
    done = last;
    if (done == skip) runner.begin_counting(skip);
  }
  runner.share(n_steps);
  if (pace) pace(n_steps);
  if (output.next)
    predict_rows(population, mixture, next, 1, output.next,
                 awake != nullptr ? awake + n_steps * state.layout.N : nullptr);
}

#define MEMOA_INSTANTIATE(Real)                                                                    \
  template void predict(BasicPopulation<Real>&, BasicServerMixture<Real>&, const double*, double*, \
                        const unsigned char*);                                                     \
  template void learn(BasicPopulation<Real>&, BasicServerMixture<Real>&, const double*);           \
  template void predict_rows(const BasicPopulation<Real>&, const BasicServerMixture<Real>&,        \
                             const double*, Index, double*, const unsigned char*);                 \
  template void run(BasicPopulation<Real>&, BasicServerMixture<Real>&, const double*,              \
                    const double*, Index, const RunOutput&, const double*, const Pace&, Index,     \
                    Labels, const unsigned char*);
MEMOA_INSTANTIATE(double)
MEMOA_INSTANTIATE(float)
#undef MEMOA_INSTANTIATE

}  // namespace memoa
