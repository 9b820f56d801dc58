#include "memoa/panel.hpp"

#include "detail/panel_state.hpp"

namespace memoa {

using detail::require;

static constexpr Index kMostDelay = 1'000'000'000;

void validate(const PanelSettings& s) {
  validate(s.encoder);
  if (const auto* random = std::get_if<RandomFeatures>(&s.encoder))
    if (random->n_raw > 0 || random->n_columns > 0)
      throw std::invalid_argument("encoder has n_raw = " + std::to_string(random->n_raw) +
                                  " and n_columns = " + std::to_string(random->n_columns) +
                                  "; a panel expects dense RandomFeatures, 0 and 0");
  if (std::holds_alternative<EchoState>(s.encoder))
    throw std::invalid_argument(
        "encoder is an EchoState; expected one without a state: Linear, RandomFeatures or "
        "Precomputed");
  require(s.n_clients >= 1, "n_clients", s.n_clients, "at least 1");
  require(s.n_inputs >= 1 || std::holds_alternative<Precomputed>(s.encoder), "n_inputs", s.n_inputs,
          "at least 1");
  require(s.n_outputs >= 1, "n_outputs", s.n_outputs, "at least 1");
  require(s.pooling >= 0.0 && s.pooling <= 1e12, "pooling", s.pooling, "a number from 0 to 1e12");
  require(s.ridge > 0.0 && std::isfinite(s.ridge), "ridge", s.ridge, "a positive finite number");
  require(s.consensus >= 0.0 && s.consensus <= 1e12, "consensus", s.consensus,
          "a number from 0 to 1e12");
  require(s.forgetting > 0.0 && s.forgetting <= 1.0, "forgetting", s.forgetting,
          "a number in (0, 1]");
  require(s.delay >= 0 && s.delay <= kMostDelay, "delay", s.delay, "a number from 0 to 1e9");
  validate(s.shard, s.n_clients);
  if (s.shard.total > 0 && s.aggregate == Aggregate::trimmed)
    throw std::invalid_argument(
        "aggregate is trimmed, which needs the readouts of all clients in one process; expected "
        "clip or mean if several processes share the clients");
}

template <class Real>
BasicPanel<Real>::BasicPanel(PanelSettings settings) {
  validate(settings);
  state_ = std::make_unique<State>(std::move(settings));
}
template <class Real>
BasicPanel<Real>::~BasicPanel() = default;
template <class Real>
BasicPanel<Real>::BasicPanel(BasicPanel&&) noexcept = default;
template <class Real>
BasicPanel<Real>& BasicPanel<Real>::operator=(BasicPanel&&) noexcept = default;

template <class Real>
const PanelSettings& BasicPanel<Real>::settings() const {
  return state_->s;
}
template <class Real>
bool BasicPanel<Real>::is_pending() const {
  return state_->is_late() ? state_->waiting.size() > state_->waiting.received() : state_->pending;
}
template <class Real>
Index BasicPanel<Real>::n_waiting() const {
  return state_->waiting.size();
}
template <class Real>
Index BasicPanel<Real>::n_told() const {
  return state_->waiting.received();
}
template <class Real>
Index BasicPanel<Real>::steps() const {
  return state_->steps;
}
template <class Real>
std::size_t BasicPanel<Real>::bytes() const {
  return state_->bytes();
}

// -------------------------------------------------------------------- steps

template <class Real>
void BasicPanel<Real>::observe(const double* y) {
  state_->others.require_whole();
  state_->guard.targets("Y", y);
  state_->observe(y);
}

template <class Real>
void BasicPanel<Real>::predict(const Real* x, double* forecasts) {
  State& s = *state_;
  s.others.require_whole();
  if (s.is_late() && s.waiting.is_full() && s.waiting.received() == 0)
    throw std::invalid_argument(std::to_string(s.waiting.size()) +
                                " forecasts wait for their y; expected learn with the oldest of "
                                "them first, and nan where a y never comes");
  s.check(x, nullptr, nullptr, 0, 1);
  if (s.is_late())
    s.predict_late(x, forecasts);
  else
    s.predict(x, forecasts);
}

template <class Real>
void BasicPanel<Real>::learn(const double* y, const unsigned char* awake) {
  State& s = *state_;
  s.others.require_whole();
  if (!is_pending())
    throw std::invalid_argument(s.is_late()
                                    ? "no forecast waits for its y; expected predict before learn"
                                    : "X was not predicted; expected predict before learn");
  s.guard.targets("Y", y);
  if (awake != nullptr) s.make_beds();  // may fail, so before anything is learnt
  if (!s.is_late()) return s.learn(y, awake);
  while (s.waiting.received() > 0) s.learn_received(awake);
  s.learn_oldest(y, awake);
}

template <class Real>
void BasicPanel<Real>::learn_late(const Real* x, const double* y, const unsigned char* awake) {
  State& s = *state_;
  s.others.require_whole();
  if (s.waiting.size() == 0)
    throw std::invalid_argument("no forecast waits for its y; expected predict before learn");
  s.guard.targets("Y", y);
  Index received = 0;  // number of such steps before that of x
  while (received < s.waiting.received() && !s.waiting.has_input(received, x)) ++received;
  if (received == s.waiting.size() || !s.waiting.has_input(received, x))
    throw std::invalid_argument(
        "X is not that of the oldest forecasts that wait for their y; expected one Y after the "
        "other, in the order of the forecasts");
  if (awake != nullptr) s.make_beds();
  for (; received > 0; --received) s.learn_received(awake);
  s.learn_oldest(y, awake);
}

template <class Real>
void BasicPanel<Real>::run(const Real* x, const double* y, const unsigned char* awake,
                           Index n_steps, double* forecasts,
                           const std::function<void(Index)>& after_step, const double* initial,
                           Index n_initial, double* bases) {
  State& s = *state_;
  s.others.require_whole();
  if (s.waiting.size() > s.waiting.received())
    throw std::invalid_argument(
        "a forecast made by predict waits for its y; expected learn with all of them before a run");
  require(n_initial == 1 || n_initial == s.s.delay + 1, "n_initial", n_initial, "1, or delay + 1");
  if (n_initial > 1 && s.waiting.size() > 0)
    throw std::invalid_argument("initial has " + std::to_string(n_initial) +
                                " rows, but forecasts wait already; expected one");
  if (initial != nullptr) s.guard.targets("initial", initial, n_initial);
  s.check(x, y, initial, n_initial, n_steps);
  if (awake != nullptr) s.make_beds();
  s.crowd.agree_on_length(n_steps);
  if (s.is_late())
    return s.run_late(x, y, awake, n_steps, forecasts, after_step, initial,
                      initial == nullptr ? 0 : n_initial, bases);
  if (initial != nullptr) s.observe(initial);
  for (Index t = 0; t < n_steps; ++t) {
    s.predict(x + t * s.N * s.width, forecasts + t * s.N * s.d);
    s.learn(y + t * s.N * s.d, awake == nullptr ? nullptr : awake + t * s.N);
    if (after_step) after_step(t + 1);
  }
}

// -------------------------------------------------------------------- clients elsewhere

template <class Real>
void BasicPanel<Real>::receive(const double* mean_readout) {
  State& s = *state_;
  s.others.require_whole();
  require_moderate("mean_readout", mean_readout, {s.p, s.d}, kLargest<Real>);
  s.make_beds();
  for (Index k = 0; k < s.p; ++k)
    for (Index o = 0; o < s.d; ++o) {
      const Index row = o * s.p + k;
      s.crowd.readout[row] = mean_readout[k * s.d + o];
      s.crowd.sent[row] = static_cast<Real>(s.crowd.readout[row]);
      std::fill_n(s.held.data() + row * s.padded, s.N, s.crowd.sent[row]);
    }
  s.crowd.due = 0;
  s.pending = false;  // the last forecast used another readout
}

template <class Real>
void BasicPanel<Real>::gather(const double* readouts, const unsigned char* present) {
  State& s = *state_;
  s.others.require_whole();
  for (Index i = 0; i < s.N; ++i)
    for (Index o = 0; o < s.d; ++o)
      for (Index k = 0; k < s.p && present[i * s.d + o]; ++k)
        require_moderate("readouts", readouts + (i * s.p + k) * s.d + o, {1}, kLargest<Real>);
  for (Index i = 0; i < s.N; ++i)
    for (Index o = 0; o < s.d; ++o) {
      const bool is_present = present[i * s.d + o] != 0;
      s.present.data()[o * s.padded + i] = Real(is_present);
      for (Index k = 0; k < s.p && is_present; ++k)
        s.readout.data()[(o * s.p + k) * s.padded + i] =
            static_cast<Real>(readouts[(i * s.p + k) * s.d + o]);
    }
  s.crowd.sum_again(s.present.data(), s.agree_a.data(), s.agree_b.data());
  s.crowd.due = 1;
  s.on_threads(static_cast<double>(s.d * s.p * 10), [&](const detail::Worker& worker) {
    s.crowd.work_on_readouts(worker, s.readout.data(), s.present.data());
  });
  s.crowd.find_readout(s.steps);
  s.crowd.due = 0;
  ++s.steps;
  s.pending = false;
}

template <class Real>
void BasicPanel<Real>::have_moved(unsigned char* out) const {
  const State& s = *state_;
  s.others.require_whole();
  for (Index i = 0; i < s.N; ++i)
    for (Index o = 0; o < s.d; ++o) *out++ = s.moved.data()[o * s.padded + i] > 0 ? 1 : 0;
}

// -------------------------------------------------------------------- what was learnt

template <class Real>
void BasicPanel<Real>::readouts(double* out) const {
  const State& s = *state_;
  s.others.require_whole();
  for (Index i = 0; i < s.N; ++i)
    for (Index k = 0; k < s.p; ++k)
      for (Index o = 0; o < s.d; ++o)
        *out++ = static_cast<double>(s.readout.data()[(o * s.p + k) * s.padded + i]);
}

template <class Real>
void BasicPanel<Real>::base(double* out) const {
  const State& s = *state_;
  s.others.require_whole();
  for (Index i = 0; i < s.N; ++i)
    for (Index o = 0; o < s.d; ++o) *out++ = s.base.data()[o * s.padded + i];
}

template <class Real>
void BasicPanel<Real>::mean_readout(double* out) const {
  const State& s = *state_;
  s.others.require_whole();
  for (Index k = 0; k < s.p; ++k)
    for (Index o = 0; o < s.d; ++o) *out++ = s.crowd.readout[o * s.p + k];
}

template <class Real>
void BasicPanel<Real>::consensus_weights(double* out) const {
  State& s = *state_;
  s.others.require_whole();
  s.crowd.require_sums();
  const double prior = detail::consensus_prior(s.s);
  for (Index i = 0; i < s.N; ++i)
    for (Index o = 0; o < s.d; ++o) {
      const auto a = static_cast<double>(s.agree_a.data()[o * s.padded + i]);
      const auto b = static_cast<double>(s.agree_b.data()[o * s.padded + i]);
      const double crowd = s.crowd.learnt_weight(o);
      *out++ = s.s.learned ? std::clamp((b + prior * crowd) / (a + prior), 0.0, 1.0)
                           : static_cast<double>(s.fixed);
    }
}

template <class Real>
void BasicPanel<Real>::costs(double* out) const {
  state_->others.require_whole();
  std::copy_n(state_->cost.data(), state_->N, out);
}
template <class Real>
void BasicPanel<Real>::scored(double* out) const {
  state_->others.require_whole();
  std::copy_n(state_->scored.data(), state_->N, out);
}

/// A change, as the kernels compute what is learnt from it.
static double bounded(double change, double squares, double learnt) {
  if (learnt < detail::kChangesJudged || squares <= 0.0) return change;
  const double limit = detail::kFar * std::sqrt(squares / learnt);
  return std::clamp(change, -limit, limit);
}

template <class Real>
void BasicPanel<Real>::scales(double* out) const {
  const State& s = *state_;
  s.others.require_whole();
  for (Index i = 0; i < s.N; ++i) {
    const Real mark = s.mark.data()[i], left = mark - (mark >= detail::kKnown ? 4 : 0);
    const bool more = s.unlearnt && left >= detail::kLearn;
    const auto learnt = static_cast<double>(s.at(s.record.learnt, i));
    for (Index o = 0; o < s.d; ++o) {
      const auto squares = static_cast<double>(s.at(s.record.squares + o, i));
      const double came = more ? static_cast<double>(s.change.data()[o * s.padded + i]) : 0.0;
      const double change = bounded(came, squares, learnt), count = learnt + (more ? 1.0 : 0.0);
      *out++ = std::sqrt((squares + change * change) / std::max(count, 1.0));
    }
  }
}

template <class Real>
PanelMemory BasicPanel<Real>::memory() const {
  State& s = *state_;
  s.others.require_whole();
  PanelMemory m;
  if (s.is_late()) s.waiting.tidy();
  s.move_fields(m, detail::Save());
  for (auto* values : {&m.waiting_values, &m.waiting_told})
    for (double& value : *values)
      if (std::isnan(value)) value = s.waiting.kMissing;
  m.seen.assign(m.base.size(), 1.0);
  for (std::size_t k = 0; k < m.base.size(); ++k)
    if (std::isnan(m.base[k])) m.base[k] = m.seen[k] = 0.0;
  if (!s.unlearnt) {  // the records already have the last step
    for (double& mark : m.mark) mark = mark >= detail::kKnown ? detail::kKnown : detail::kNothing;
    std::fill(m.change.begin(), m.change.end(), 0.0);
  }
  m.seed = s.s.seed;
  m.checksum = detail::checksum_of(m, *this);
  return m;
}

template <class Real>
void BasicPanel<Real>::restore(const Memory& m) {
  detail::check_fields(m, *this);
  detail::check_numbers(m);
  State& s = *state_;
  detail::require_seed(m.seed, s.s.seed);
  s.move_fields(m, detail::Fits());
  require(m.waiting >= 0 && m.waiting <= s.waiting.slots(), "memory.waiting", m.waiting,
          "a number of steps that may wait");
  detail::require_untorn(m, *this);
  s.move_fields(m, detail::Load());
  s.waiting.find_missing();
  const auto base = s.in_rows(s.base, s.d);
  for (Index i = 0; i < s.N; ++i)
    for (Index o = 0; o < s.d; ++o)
      if (m.seen[i * s.d + o] == 0.0) base.at(o, i) = std::numeric_limits<double>::quiet_NaN();
  s.any_asleep = std::any_of(m.asleep.begin(), m.asleep.end(), [](double v) { return v != 0.0; });
  s.unlearnt = true, s.pending = false;
  s.crowd.sum_again(s.present.data(), s.agree_a.data(), s.agree_b.data());
}

template <class Real>
void BasicPanel<Real>::add_clients(Index count) {
  if (state_->s.shard.total > 0)
    throw std::invalid_argument(
        "count of new clients was given, but several processes share the clients; expected all "
        "clients from the start, without values until they join");
  require(count >= 0, "count", count, "at least 0");
  Memory m = memory();
  PanelSettings settings = state_->s;
  const auto old = static_cast<std::size_t>(settings.n_clients);
  settings.n_clients += count;
  const auto now = static_cast<std::size_t>(settings.n_clients);
  visit_fields(m, *this, [&](const char*, auto& field, const Shape&) {
    if constexpr (std::is_same_v<decltype(field), std::vector<double>&>)
      if (&field != &m.mean_readout && &field != &m.center && &field != &m.spread)
        field.resize(field.size() / old * now,
                     &field == &m.waiting_values || &field == &m.waiting_told
                         ? state_->waiting.kMissing
                         : 0.0);
  });
  m.checksum.reset();
  BasicPanel more(std::move(settings));
  more.restore(m);
  *this = std::move(more);
}

template class BasicPanel<double>;
template class BasicPanel<float>;

}  // namespace memoa
