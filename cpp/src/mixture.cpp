#include "memoa/mixture.hpp"

#include "detail/inside.hpp"
#include "detail/memory.hpp"
#include "detail/mixture_state.hpp"
#include "detail/past_size.hpp"
#include "detail/room.hpp"
#include "detail/validate.hpp"

namespace memoa {

using detail::require;

void validate(const Mixture& m) {
  require(m.start >= 0, "start", m.start, "a number of steps >= 0");
  require(m.window >= 0, "window", m.window, "a number of steps >= 0");
  require(m.decay > 0.0 && m.decay <= 1.0, "decay", m.decay, "a number in (0, 1]");
  require(m.ridge > 0.0 && std::isfinite(m.ridge), "ridge", m.ridge, "a positive finite number");
  validate(PastSettings{0, m.season, m.delay});
  require(std::abs(m.total) <= 1e100, "total", m.total, "a number from -1e100 to 1e100");
}

Index past_size(const Mixture& m, Index n_outputs) {
  return m.rivals ? Past({0, m.season, m.delay}, n_outputs).size() : 0;
}

template <class Real>
BasicServerMixture<Real>::BasicServerMixture(Index n_agents, Index n_outputs, Mixture mixture,
                                             int n_threads, const Shard& shard) {
  require(n_agents >= 1, "n_agents", n_agents, "at least 1");
  require(n_outputs >= 1, "n_outputs", n_outputs, "at least 1");
  validate(mixture);
  validate(shard, n_agents);
  const double N = static_cast<double>(n_agents), d = static_cast<double>(n_outputs),
               rows = static_cast<double>(mixture.window) * d;
  const double sums = (N / static_cast<double>(State::kChunk) + 1.0) * (rows + d + 1.0) * d;
  detail::make_in_room(
      "a mixture with window = " + std::to_string(mixture.window) +
          ", n_agents = " + std::to_string(n_agents) + ", n_outputs = " + std::to_string(n_outputs),
      (rows + d) * N * sizeof(Real) +
          (mixture.rivals ? 8.0 * d * N + detail::bytes_of_past({0, mixture.season}, n_outputs)
                          : 0.0) +
          16.0 * rows * rows + 8.0 * sums,
      [&] { state_ = std::make_unique<State>(n_agents, n_outputs, mixture, n_threads, shard); });
}
template <class Real>
BasicServerMixture<Real>::~BasicServerMixture() = default;
template <class Real>
BasicServerMixture<Real>::BasicServerMixture(BasicServerMixture&&) noexcept = default;
template <class Real>
BasicServerMixture<Real>& BasicServerMixture<Real>::operator=(BasicServerMixture&&) noexcept =
    default;

template <class Real>
Index BasicServerMixture<Real>::n_agents() const {
  return state_->N;
}
template <class Real>
Index BasicServerMixture<Real>::n_outputs() const {
  return state_->d;
}
template <class Real>
Index BasicServerMixture<Real>::steps() const {
  return state_->seen;
}

template <class Real>
const Mixture& BasicServerMixture<Real>::settings() const {
  return state_->settings;
}

template <class Real>
void BasicServerMixture<Real>::predict_increments(const Real* increments, Index stride,
                                                  const double* base, double* mixed) {
  const Index N = state_->N, d = state_->d;
  require(stride >= N, "stride", stride, "at least n_agents, " + std::to_string(N));
  require_moderate("base", base, {d}, kLargest<Real>);
  for (Index o = 0; o < d; ++o)
    for (Index i = 0; i < N; ++i)
      if (const auto value = static_cast<double>(increments[o * stride + i]);
          !(std::abs(value) <= kLargest<Real>))
        throw std::invalid_argument("increments holds " + detail::to_text(value) + " at [" +
                                    std::to_string(o) + ", " + std::to_string(i) +
                                    "]; expected numbers of at most " +
                                    detail::to_text(kLargest<Real>));
  state_->stage(increments, stride, base);
  state_->mixed(state_->staged, mixed);
}

template <class Real>
void BasicServerMixture<Real>::settle(const double* target) {
  if (!state_->is_staged)
    throw std::invalid_argument(
        "target has no predictions to be compared with; expected predict_increments before settle");
  require_moderate("target", target, {state_->d}, kLargest<Real>);
  state_->settle(target);
}

template <class Real>
void BasicServerMixture<Real>::predict(const double* predictions, double* mixed) {
  require_moderate("predictions", predictions, {state_->N, state_->d}, kLargest<Real>);
  state_->stage_plain(predictions);
  state_->mixed(state_->staged, mixed);
}

template <class Real>
void BasicServerMixture<Real>::update(const double* predictions, const double* target) {
  State& s = *state_;
  require_moderate("predictions", predictions, {s.N, s.d}, kLargest<Real>);
  require_moderate("target", target, {s.d}, kLargest<Real>);
  if (!s.is_staged_as(predictions)) s.stage_plain(predictions);
  s.settle(target);
}

template <class Real>
void BasicServerMixture<Real>::weights(double* out) {
  State& s = *state_;
  s.others.require_whole();
  s.solve();
  const Index n = s.filled();
  const int threads = detail::threads_for(s.n_threads, static_cast<double>(s.N * n));
  detail::for_each_chunk(s.chunks(), threads, [&](Index chunk, int) {
    const Index first = chunk * State::kChunk, count = std::min(State::kChunk, s.N - first);
    s.weights(first, count, out + first);
  });
}

template <class Real>
void BasicServerMixture<Real>::mixture_weight(double* out) const {
  state_->others.require_whole();
  for (Index o = 0; o < state_->d; ++o) {
    const auto of = state_->shares(o);
    out[o] = of[0] + of[1] + of[2];
  }
}

template <class Real>
void BasicServerMixture<Real>::shares(double* out) {
  state_->write_shares(out);
}

template <class Real>
void BasicServerMixture<Real>::forecast_weights(double* out) {
  State& s = *state_;
  std::vector<double> mixed(static_cast<std::size_t>(s.N));
  weights(mixed.data());
  std::vector<double> sums = s.sums_of_exponentials();
  for (Index o = 0; o < s.d; ++o) {
    const auto shares = s.shares(o);
    for (Index i = 0; i < s.N; ++i)
      out[i * s.d + o] = shares[0] * mixed[i] +
                         (shares[1] > 0.0 ? shares[1] / sums[o] * s.exponential(o, i) : 0.0);
  }
}

template <class Real>
MixtureMemory BasicServerMixture<Real>::memory() const {
  state_->others.require_whole();
  state_->require_own();
  MixtureMemory memory;
  state_->exchange(memory, detail::Save());
  memory.checksum = detail::checksum_of(memory, *this);
  return memory;
}

template <class Real>
void BasicServerMixture<Real>::restore(const Memory& memory) {
  State& s = *state_;
  detail::check_fields(memory, *this);
  detail::check_numbers(memory, s.settings.window);
  s.exchange(memory, detail::Fits());
  detail::require_untorn(memory, *this);
  s.exchange(memory, detail::Load());
  s.refresh();
}

template class BasicServerMixture<double>;
template class BasicServerMixture<float>;

std::vector<double> mixture_weights(const double* predictions, const double* targets, Index window,
                                    Index n_agents, Index n_outputs, const Mixture& mixture) {
  Mixture settings = mixture;
  settings.window = window;
  settings.fallback = false;
  ServerMixture server(n_agents, n_outputs, settings);
  detail::Inside::of(server).least_steps = 1;  // the argmin of what was given, no start-up rule
  require_moderate("predictions", predictions, {window, n_agents, n_outputs}, kLargest<double>);
  require_moderate("targets", targets, {window, n_outputs}, kLargest<double>);
  for (Index t = 0; t < window; ++t) {
    detail::Inside::of(server).stage_plain(predictions + t * n_agents * n_outputs);
    detail::Inside::of(server).settle(targets + t * n_outputs);
  }
  std::vector<double> weights(static_cast<std::size_t>(n_agents));
  server.weights(weights.data());
  for (const double weight : weights)
    if (!std::isfinite(weight)) throw NumericalError("the weights of the mixture overflowed");
  return weights;
}

}  // namespace memoa
