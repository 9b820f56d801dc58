#include "memoa/federated.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "detail/inside.hpp"
#include "detail/mixture_state.hpp"
#include "detail/population_state.hpp"
#include "detail/validate.hpp"

namespace memoa {
namespace {

using detail::Inside;

void require_known(Index n_steps, Index n_known) {
  if (n_known != n_steps && n_known != n_steps - 1)
    throw std::invalid_argument("Y has " + std::to_string(n_known) +
                                " steps; expected as many as X, " + std::to_string(n_steps) +
                                ", or one less");
}

/// Requires numbers of moderate size from the agents that are present. An energy is a square, so it
/// must not be negative.
template <class Real>
void require_told(const Told& told, Index n_steps, Index N, Index d) {
  const auto refuse = [](const char* name, double value, Index t, Index i, const char* least) {
    throw std::invalid_argument(std::string(name) + " holds " + detail::to_text(value) + " at [" +
                                std::to_string(t) + ", " + std::to_string(i) +
                                "]; expected numbers " + least +
                                detail::to_text(kLargest<Real>, 3));
  };
  for (Index t = 0; t < n_steps; ++t)
    for (Index i = 0; i < N; ++i) {
      if (!told.present[t * N + i]) continue;
      const double energy = told.energies[t * N + i];
      if (!(energy >= 0.0 && energy <= kLargest<Real>))
        refuse("energies", energy, t, i, "from 0 to ");
      for (Index o = 0; o < d; ++o) {
        const double forecast = told.forecasts[(t * N + i) * d + o];
        if (!(std::abs(forecast) <= kLargest<Real>))
          refuse("forecasts", forecast, t, i, "of at most ");
      }
    }
}

/// The server's half: a population whose agents forecast elsewhere, and its mixture.
template <class Real>
class Listener {
 public:
  Listener(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture)
      : state_(Inside::of(population)),
        server_(Inside::of(mixture)),
        N_(state_.layout.N),
        d_(state_.layout.d),
        padded_(state_.layout.padded),
        used_(static_cast<std::size_t>(d_ * padded_)),
        mean_(static_cast<std::size_t>(d_)),
        mean_forecast_(static_cast<std::size_t>(d_)) {
    present_.reserve(static_cast<std::size_t>(N_));
  }

  /// Forecasts one step.
  void predict(const double* forecasts, const double* energies, const unsigned char* present,
               double* prediction, double* mean_field) {
    present_.clear();
    for (Index i = 0; i < N_; ++i)
      if (present[i]) present_.push_back(i);
    if (!state_.has_seen) {
      state_.show_nothing();
      std::fill_n(prediction, d_, 0.0), std::fill_n(mean_field, d_, 0.0);
      return;
    }
    state_.serve(&server_.settings);
    std::fill(mean_.begin(), mean_.end(), 0.0);
    std::fill(mean_forecast_.begin(), mean_forecast_.end(), 0.0);
    State* crowd = of_those_present();
    if (crowd != nullptr) listen(*crowd, forecasts, energies);
    if (!is_everybody()) spread_forecasts();
    if (!state_.follows) play(crowd);
    const bool all = is_everybody() && !judges(state_.settings);
    const Real* said = !rivals()        ? state_.kept.increment.data()
                       : is_everybody() ? forecasts_.data()
                                        : said_.data();
    server_.stage(said, padded_, state_.base.data(),
                  {all ? nullptr : used_.data(), rivals() ? mean_forecast_.data() : mean_.data()});
    server_.mixed(server_.staged, prediction, state_.fields.data());
    if (state_.follows) play(crowd);
    state_.shown_base = state_.base;
    for (Index o = 0; o < d_; ++o) mean_field[o] = state_.mean_field[o] = state_.base[o] + mean_[o];
    state_.pending = true;
  }

  /// Learns the y of the step just predicted.
  void learn(const double* y) {
    if (!state_.has_seen) return state_.observe(y);
    save_absent();
    state_.learn(y, 1);
    state_.lesson.largest_loss = largest_loss_;
    state_.lesson.to_records = false, state_.lesson.to_costs = true;
    state_.settle_costs();
    restore_absent();
    server_.settle(y);
  }

 private:
  using State = Inside::State<BasicPopulation<Real>>;

  /// Whether the server mixes local forecasts, not the increments after the policy.
  bool rivals() const { return server_.settings.rivals; }
  bool is_everybody() const { return static_cast<Index>(present_.size()) == N_; }
  static Real* room_in(detail::Buffer<Real>& buffer, Index size) {
    if (buffer.size() < size) buffer = detail::Buffer<Real>(size);
    return buffer.data();
  }

  /// The population of those present: the server's own, or one of their number, with their recent
  /// losses; null if nobody is.
  State* of_those_present() {
    const auto n = static_cast<Index>(present_.size());
    if (is_everybody() || n == 0) return n > 0 ? &state_ : nullptr;
    if (!some_ || some_->layout.N != n) {
      PopulationSettings settings = state_.settings;
      settings.n_agents = n;
      some_ = std::make_unique<State>(settings);
    }
    if (judges(some_->settings))
      for (Index j = 0; j < n; ++j)
        some_->kept.recent_loss.data()[j] = state_.kept.recent_loss.data()[present_[j]];
    return some_.get();
  }

  /// Theory section 6, step 3, for the agents of `crowd`, which are all that are present. Step 4 as
  /// well, if they do not follow the server.
  void listen(State& crowd, const double* forecasts, const double* energies) {
    const Index n = crowd.layout.N, stride = crowd.layout.padded;
    // At the first step honest agents forecast no change, and the crowd has no range yet that would
    // exclude others. So all forecasts are set to 0.
    const bool knows = state_.steps > 0;
    Real* increments = crowd.kept.increment.data();
    Real* shown = rivals() ? room_in(forecasts_, d_ * stride) : increments;
    if (rivals()) std::fill_n(shown, d_ * stride, Real(0));  // lanes beyond the last agent too
    for (Index j = 0; j < n; ++j) {
      const Index i = present_[static_cast<std::size_t>(j)];
      crowd.kept.energy.data()[j] = static_cast<Real>(energies[i]);
      for (Index o = 0; o < d_; ++o)
        shown[o * stride + j] = knows ? static_cast<Real>(forecasts[i * d_ + o]) : Real(0);
    }
    window_ = {};
    window_.steps = 1;
    window_.shown = shown;
    window_.increment = increments;
    window_.energy = crowd.kept.energy.data();
    window_.used = crowd.kept.used.data();
    window_.learnt = state_.steps;
    window_.base = state_.base.data();
    window_.told = true;
    crowd.pass.run(window_, crowd.lesson, state_.follows);
    std::copy_n(crowd.pass.mean_forecast(0), d_, mean_forecast_.begin());
    if (is_everybody() && judges(crowd.settings))
      std::copy_n(crowd.kept.used.data(), d_ * padded_, used_.begin());
    largest_loss_ = crowd.pass.largest_loss(0);  // the most that one error adds to a recent loss
  }

  /// What agents said, by their own numbers; absent ones get the mean of the others as theirs.
  void spread_forecasts() {
    std::fill(used_.begin(), used_.end(), static_cast<unsigned char>(0));
    const auto& kept = state_.kept;
    const auto n = static_cast<Index>(present_.size());
    Real* said = rivals() ? room_in(said_, d_ * padded_) : nullptr;
    for (Index o = 0; o < d_; ++o) {
      if (said) std::fill_n(said + o * padded_, N_, static_cast<Real>(mean_forecast_[o]));
      for (Index j = 0; j < n; ++j) {
        const Index i = present_[j], from = o * some_->layout.padded + j;
        if (said) said[o * padded_ + i] = forecasts_.data()[from];
        const bool judged = judges(some_->settings);
        used_[o * padded_ + i] = judged ? some_->kept.used.data()[from] : 1;
        if (judged) kept.forecast.data()[o * padded_ + i] = some_->kept.forecast.data()[from];
      }
    }
    std::fill_n(kept.energy.data(), padded_, Real(0));
    for (Index j = 0; j < n; ++j) kept.energy.data()[present_[j]] = some_->kept.energy.data()[j];
  }

  /// Theory section 6, step 4, for those present. Absent agents get the mean of the others.
  void play(State* crowd) {
    if (crowd != nullptr) {
      if (state_.follows) crowd->pass.play(window_, state_.fields.data());
      std::copy_n(crowd->pass.mean(0), d_, mean_.begin());
    }
    for (Index o = 0; o < d_ && !is_everybody(); ++o) {
      Real* increment = state_.kept.increment.data() + o * padded_;
      std::fill_n(increment, N_, static_cast<Real>(mean_[o]));
      for (std::size_t j = 0; j < present_.size(); ++j)
        increment[present_[j]] =
            some_->kept.increment.data()[o * some_->layout.padded + static_cast<Index>(j)];
    }
  }

  bool some_judge() const {
    return static_cast<Index>(present_.size()) == N_ ||
           (some_ && !present_.empty() && judges(some_->settings));
  }

  /// Learning adds to the costs of all agents. So the numbers of absent agents are saved before and
  /// restored after it; also the recent losses of all, if too few are present to be a crowd.
  void save_absent() {
    const auto& kept = state_.kept;
    cost_.assign(kept.cost.data(), kept.cost.data() + padded_);
    if (judges(state_.settings))
      recent_loss_.assign(kept.recent_loss.data(), kept.recent_loss.data() + padded_);
  }
  void restore_absent() {
    auto& kept = state_.kept;
    std::size_t next = 0;
    for (Index i = 0; i < N_; ++i) {
      const bool is_present = next < present_.size() && present_[next] == i;
      if (is_present) ++next;
      if (!is_present) kept.cost.data()[i] = cost_[i];
      if (judges(state_.settings) && !(is_present && some_judge()))
        kept.recent_loss.data()[i] = recent_loss_[i];
    }
  }

  State& state_;
  Inside::State<BasicServerMixture<Real>>& server_;
  const Index N_, d_, padded_;
  std::vector<unsigned char> used_;         // (d, padded), which agents the mixture uses
  std::vector<double> mean_;                // (d), mean field - base
  std::vector<double> mean_forecast_;       // (d), of local forecasts
  detail::Buffer<Real> forecasts_, said_;   // of those present, and of all; only with rivals
  std::vector<Index> present_;              // numbers of the agents that are, in order
  std::unique_ptr<State> some_;             // as many agents as were last present, if not all
  std::vector<double> cost_, recent_loss_;  // before learning
  double largest_loss_ = 0.0;
  detail::Window<Real> window_;
};

}  // namespace

template <class Real>
void tell(BasicPopulation<Real>& population, const double* inputs, const double* targets,
          Index n_steps, Index n_known, double* forecasts, double* energies) {
  auto& state = Inside::of(population);
  const Index N = state.layout.N, d = state.layout.d, stride = state.layout.padded;
  if (state.settings.policy != PolicyKind::greedy)
    throw std::invalid_argument("the policy is not greedy; expected agents that forecast alone");
  require_known(n_steps, n_known);
  state.require_inputs(inputs, n_steps);
  require_moderate("Y", targets, {n_known, d}, kLargest<Real>);
  for (Index t = 0; t < n_steps; ++t) {
    population.predict(inputs + t * state.width());
    const Real* c = state.kept.increment.data();
    for (Index i = 0; i < N; ++i) {
      energies[t * N + i] = static_cast<double>(state.kept.energy.data()[i]);
      for (Index o = 0; o < d; ++o)
        forecasts[(t * N + i) * d + o] = static_cast<double>(c[o * stride + i]);
    }
    if (t < n_known) population.learn(targets + t * d);
  }
}

template <class Real>
void hear(BasicPopulation<Real>& population, BasicServerMixture<Real>& mixture, const Told& told,
          const double* targets, Index n_steps, Index n_known, double* predictions,
          double* mean_field) {
  const Index N = population.settings().n_agents, d = population.settings().n_outputs;
  if (mixture.n_agents() != N || mixture.n_outputs() != d)
    throw std::invalid_argument("mixture is for another number of agents or outputs");
  require_known(n_steps, n_known);
  require_moderate("Y", targets, {n_known, d}, kLargest<Real>);
  require_told<Real>(told, n_steps, N, d);
  Listener<Real> listener(population, mixture);
  for (Index t = 0; t < n_steps; ++t) {
    listener.predict(told.forecasts + t * N * d, told.energies + t * N, told.present + t * N,
                     predictions + t * d, mean_field + t * d);
    if (t < n_known) listener.learn(targets + t * d);
  }
}

#define MEMOA_INSTANTIATE(Real)                                                                   \
  template void tell(BasicPopulation<Real>&, const double*, const double*, Index, Index, double*, \
                     double*);                                                                    \
  template void hear(BasicPopulation<Real>&, BasicServerMixture<Real>&, const Told&,              \
                     const double*, Index, Index, double*, double*);
MEMOA_INSTANTIATE(double)
MEMOA_INSTANTIATE(float)
#undef MEMOA_INSTANTIATE

}  // namespace memoa
