#include "memoa/run.hpp"

#include "detail/inside.hpp"
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
  if (mixture.n_agents() != s.n_agents || mixture.n_outputs() != s.n_outputs)
    throw std::invalid_argument("mixture is for another number of agents or outputs");
}

void require_record(const RunOutput& output, Index n_agents) {
  for (Index j = 0; j < output.n_record; ++j)
    if (output.record[j] < 0 || output.record[j] >= n_agents)
      throw std::invalid_argument("record holds agent " + std::to_string(output.record[j]) +
                                  "; expected agents from 0 to " + std::to_string(n_agents - 1));
}

/// Both engines along a series that was checked.
template <class Real>
class Runner {
 public:
  Runner(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture, const double* inputs,
         const double* targets, const RunOutput& output)
      : state_(Inside::of(population)),
        server_(Inside::of(mixture)),
        inputs_(inputs),
        targets_(targets),
        output_(output),
        d_(state_.layout.d),
        base_(static_cast<std::size_t>(d_)) {}

  /// The steps [first, last).
  void advance(Index first, Index last) {
    if (first < last && !state_.has_seen) observe_first(first++);
    for (; first < last; first += detail::kTile) take(first, std::min(detail::kTile, last - first));
  }

 private:
  /// Nothing is known of the first y that is ever seen.
  void observe_first(Index t) {
    state_.show_nothing();
    state_.observe(targets_ + t * d_);
    std::fill_n(output_.predictions + t * d_, d_, 0.0);
    if (output_.mean_field) std::fill_n(output_.mean_field + t * d_, d_, 0.0);
    if (output_.worst_cost) output_.worst_cost[t] = 0.0;
    std::fill_n(output_.recorded + t * output_.n_record * d_, output_.n_record * d_, 0.0);
  }

  /// A tile of n steps from `first` on.
  void take(Index first, Index n) {
    std::copy(state_.base.begin(), state_.base.end(), base_.begin());
    const Real* increments = state_.show(inputs_ + first * state_.width(), n, targets_ + first * d_,
                                         output_.worst_cost != nullptr);
    state_.learn(targets_ + first * d_, n);
    const Index stride = state_.layout.padded;
    for (Index step = 0; step < n; ++step) {
      const Index t = first + step;
      const double* before = step == 0 ? base_.data() : targets_ + (t - 1) * d_;
      const Real* shown = increments + step * d_ * stride;
      server_.stage(shown, stride, before);
      server_.mixed(server_.staged, output_.predictions + t * d_);
      server_.settle(targets_ + t * d_);
      for (Index o = 0; o < d_ && output_.mean_field; ++o)
        output_.mean_field[t * d_ + o] = before[o] + state_.pass.mean(step)[o];
      for (Index j = 0; j < output_.n_record; ++j)
        for (Index o = 0; o < d_; ++o)
          output_.recorded[(t * output_.n_record + j) * d_ + o] =
              before[o] + static_cast<double>(shown[o * stride + output_.record[j]]);
      if (output_.worst_cost) output_.worst_cost[t] = state_.pass.worst(step);
    }
  }

  Inside::State<BasicPopulation<Real>>& state_;
  Inside::State<BasicServerMixture<Real>>& server_;
  const double *inputs_, *targets_;
  const RunOutput& output_;
  const Index d_;
  std::vector<double> base_;  // before the tile
};

}  // namespace

template <class Real>
void predict(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture, const double* x,
             double* forecast) {
  require_same_sizes(population, mixture);
  population.predict(x);
  if (population.has_seen())
    mixture.predict_increments(population.increments(), population.stride(), population.base(),
                               forecast);
  else
    std::fill_n(forecast, mixture.n_outputs(), 0.0);
}

template <class Real>
void learn(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture, const double* y) {
  require_same_sizes(population, mixture);
  const bool knows = population.has_seen();
  if (knows && !Inside::of(mixture).is_staged)
    throw std::invalid_argument("x was not predicted; expected predict before learn");
  population.learn(y);
  if (knows) Inside::of(mixture).settle(y);
}

template <class Real>
void predict_rows(const BasicPopulation<Real>& population, const BasicServerMixture<Real>& mixture,
                  const double* inputs, Index n_rows, double* forecasts) {
  require_same_sizes(population, mixture);
  auto& state = Inside::of(population);
  auto& server = Inside::of(mixture);
  const Index d = state.layout.d;
  state.require_inputs(inputs, n_rows);
  if (!state.has_seen) {
    std::fill_n(forecasts, n_rows * d, 0.0);
    return;
  }
  for (Index t = 0; t < n_rows; ++t)
    server.glance(state.glance(inputs + t * state.width()), state.layout.padded, state.base.data(),
                  forecasts + t * d);
}

template <class Real>
void run(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture, const double* inputs,
         const double* targets, Index n_steps, const RunOutput& output, const double* initial,
         const Pace& pace) {
  require_same_sizes(population, mixture);
  auto& state = Inside::of(population);
  state.require_inputs(inputs, n_steps);
  require_moderate("Y", targets, {n_steps, state.layout.d}, kLargest<Real>);
  if (initial) require_moderate("initial", initial, {state.layout.d}, kLargest<Real>);
  require_record(output, state.layout.N);
  if (initial) state.observe(initial);
  Runner<Real> runner(population, mixture, inputs, targets, output);
  for (Index done = 0; done < n_steps;) {
    const Index more = pace ? std::max<Index>(pace(done), 1) : n_steps;
    const Index last = more < n_steps - done ? done + more : n_steps;
    runner.advance(done, last);
    done = last;
  }
  if (pace) pace(n_steps);
}

#define MEMOA_INSTANTIATE(Real)                                                             \
  template void predict(BasicPopulation<Real>&, BasicServerMixture<Real>&, const double*,   \
                        double*);                                                           \
  template void learn(BasicPopulation<Real>&, BasicServerMixture<Real>&, const double*);    \
  template void predict_rows(const BasicPopulation<Real>&, const BasicServerMixture<Real>&, \
                             const double*, Index, double*);                                \
  template void run(BasicPopulation<Real>&, BasicServerMixture<Real>&, const double*,       \
                    const double*, Index, const RunOutput&, const double*, const Pace&);
MEMOA_INSTANTIATE(double)
MEMOA_INSTANTIATE(float)
#undef MEMOA_INSTANTIATE

}  // namespace memoa
