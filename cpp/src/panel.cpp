#include "memoa/panel.hpp"

#include <Eigen/Cholesky>
#include <Eigen/LU>

#include "detail/panel_state.hpp"

namespace memoa {

using detail::require;

void validate(const PanelSettings& s) {
  if (const auto* random = std::get_if<RandomFeatures>(&s.encoder)) validate(Encoder(*random));
  if (const auto* given = std::get_if<Precomputed>(&s.encoder)) validate(Encoder(*given));
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
Index BasicPanel<Real>::n_features() const {
  return state_->p;
}
template <class Real>
bool BasicPanel<Real>::is_pending() const {
  return state_->pending;
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
  State& s = *state_;
  s.require_targets("initial", y);
  for (Index i = 0; i < s.N; ++i)
    for (Index o = 0; o < s.d; ++o) {
      const double seen = y[i * s.d + o];
      if (std::isnan(seen)) continue;
      s.base.data()[o * s.padded + i] = seen;
      Real& mark = s.mark.data()[i];
      if (mark < detail::kKnown) mark += detail::kKnown;
    }
  s.pending = false;  // what was predicted had another base
}

template <class Real>
void BasicPanel<Real>::predict(const Real* x, double* forecasts) {
  state_->require_series(x, nullptr, 1);
  state_->predict(x, forecasts);
}

template <class Real>
void BasicPanel<Real>::learn(const double* y, const unsigned char* awake) {
  if (!state_->pending)
    throw std::invalid_argument("X was not predicted; expected predict before learn");
  state_->require_targets("Y", y);
  state_->learn(y, awake);
}

template <class Real>
void BasicPanel<Real>::run(const Real* x, const double* y, const unsigned char* awake,
                           Index n_steps, double* forecasts,
                           const std::function<void(Index)>& after_step) {
  State& s = *state_;
  s.require_series(x, y, n_steps);
  for (Index t = 0; t < n_steps; ++t) {
    s.predict(x + t * s.N * s.width, forecasts + t * s.N * s.d);
    s.learn(y + t * s.N * s.d, awake == nullptr ? nullptr : awake + t * s.N);
    if (after_step) after_step(t + 1);
  }
}

// -------------------------------------------------------------------- what was learnt

template <class Real>
void BasicPanel<Real>::readouts(double* out) const {
  const State& s = *state_;
  for (Index i = 0; i < s.N; ++i)
    for (Index k = 0; k < s.p; ++k)
      for (Index o = 0; o < s.d; ++o)
        *out++ = static_cast<double>(s.readout.data()[(o * s.p + k) * s.padded + i]);
}

template <class Real>
void BasicPanel<Real>::base(double* out) const {
  const std::vector<double> values = state_->gather_rows(state_->base, state_->d);
  std::copy(values.begin(), values.end(), out);
}

template <class Real>
void BasicPanel<Real>::mean_readout(double* out) const {
  const State& s = *state_;
  for (Index k = 0; k < s.p; ++k)
    for (Index o = 0; o < s.d; ++o) *out++ = s.mean_readout[o * s.p + k];
}

template <class Real>
void BasicPanel<Real>::consensus_weights(double* out) const {
  const State& s = *state_;
  for (Index i = 0; i < s.N; ++i)
    for (Index o = 0; o < s.d; ++o) {
      const auto a = static_cast<double>(s.agree_a.data()[o * s.padded + i]);
      const auto b = static_cast<double>(s.agree_b.data()[o * s.padded + i]);
      const double crowd = s.crowd_weight(o);
      *out++ = s.s.learned ? std::clamp((b + 5.0 * crowd) / (a + 5.0), 0.0, 1.0)
                           : static_cast<double>(s.fixed);
    }
}

template <class Real>
void BasicPanel<Real>::costs(double* out) const {
  std::copy_n(state_->cost.data(), state_->N, out);
}
template <class Real>
void BasicPanel<Real>::scored(double* out) const {
  std::copy_n(state_->scored.data(), state_->N, out);
}

template <class Real>
void BasicPanel<Real>::scales(double* out) const {
  const State& s = *state_;
  for (Index i = 0; i < s.N; ++i) {
    const Real mark = s.mark.data()[i], left = mark - (mark >= detail::kKnown ? 4 : 0);
    const bool more = s.unlearnt && left >= detail::kLearn;
    const double learnt = static_cast<double>(s.at(s.record.learnt, i)) + (more ? 1.0 : 0.0);
    for (Index o = 0; o < s.d; ++o) {
      const double change = more ? static_cast<double>(s.change.data()[o * s.padded + i]) : 0.0;
      const double squares = static_cast<double>(s.at(s.record.squares + o, i)) + change * change;
      *out++ = std::sqrt(squares / std::max(learnt, 1.0));
    }
  }
}

template <class Real>
PanelMemory BasicPanel<Real>::memory() const {
  const State& s = *state_;
  PanelMemory m;
  m.steps = s.steps, m.due = s.due;
  m.base = s.gather_rows(s.base, s.d);
  m.gram = s.gather(s.record.gram, detail::packed_size(s.p));
  m.cross = s.gather(s.record.cross, s.d * s.p);
  m.counted = s.gather(s.record.counted, s.dx > 0 ? 1 : 0);
  m.mean = s.gather(s.record.mean, s.dx);
  m.deviations = s.gather(s.record.deviations, s.dx);
  m.learnt = s.gather(s.record.learnt, 1);
  m.squares = s.gather(s.record.squares, s.d);
  m.pending = s.gather(s.record.pending, s.width);
  m.mark = s.gather_rows(s.mark, 1);
  if (!s.unlearnt)  // the last step is in the records by now
    for (double& mark : m.mark) mark = mark >= detail::kKnown ? detail::kKnown : detail::kNothing;
  m.change = s.gather_rows(s.change, s.d);
  if (!s.unlearnt) std::fill(m.change.begin(), m.change.end(), 0.0);
  m.moved = s.gather_rows(s.moved, s.d);
  m.present = s.gather_rows(s.present, s.d);
  m.agree_a = s.gather_rows(s.agree_a, s.d);
  m.agree_b = s.gather_rows(s.agree_b, s.d);
  m.cost = s.gather_rows(s.cost, 1);
  m.scored = s.gather_rows(s.scored, 1);
  m.readouts = s.gather_rows(s.readout, s.d * s.p);
  if (s.any_asleep) {
    m.asleep = s.gather_rows(s.asleep, 1);
    m.held = s.gather_rows(s.held, s.d * s.p);
  }
  m.mean_readout = s.mean_readout;
  for (const auto* clips : {&s.of_readouts, &s.of_forecasts})
    for (const auto& clip : *clips)
      m.centers.push_back(clip.center), m.spreads.push_back(clip.spread);
  return m;
}

namespace {

/// The sizes and values that a panel of the given sizes takes up again.
struct Expected {
  const char* name;
  const std::vector<double>* values;
  Index size;
};

void require_memory(std::initializer_list<Expected> fields) {
  for (const Expected& field : fields) {
    detail::require_size(std::string("memory.") + field.name, field.values->size(), field.size);
    require_finite(field.name, field.values->data(), {field.size});
  }
}

}  // namespace

template <class Real>
void BasicPanel<Real>::restore(const Memory& m) {
  State& s = *state_;
  const Index N = s.N, d = s.d, p = s.p, sleepers = m.asleep.empty() ? 0 : N;
  require(m.steps >= 0, "memory.steps", m.steps, "at least 0");
  detail::require_size("memory.base", m.base.size(), N * d);
  require_memory({{"gram", &m.gram, N * detail::packed_size(p)},
                  {"cross", &m.cross, N * d * p},
                  {"counted", &m.counted, s.dx > 0 ? N : 0},
                  {"mean", &m.mean, N * s.dx},
                  {"deviations", &m.deviations, N * s.dx},
                  {"learnt", &m.learnt, N},
                  {"squares", &m.squares, N * d},
                  {"pending", &m.pending, N * s.width},
                  {"mark", &m.mark, N},
                  {"change", &m.change, N * d},
                  {"moved", &m.moved, N * d},
                  {"present", &m.present, N * d},
                  {"agree_a", &m.agree_a, N * d},
                  {"agree_b", &m.agree_b, N * d},
                  {"cost", &m.cost, N},
                  {"scored", &m.scored, N},
                  {"readouts", &m.readouts, N * d * p},
                  {"asleep", &m.asleep, sleepers},
                  {"held", &m.held, sleepers * d * p},
                  {"mean_readout", &m.mean_readout, d * p},
                  {"centers", &m.centers, d * (p + 1)},
                  {"spreads", &m.spreads, d * (p + 1)}});
  s.steps = m.steps, s.due = m.due;
  s.unlearnt = true, s.pending = false;
  s.spread_rows(m.base, s.base);
  s.spread(m.gram, s.record.gram);
  s.spread(m.cross, s.record.cross);
  s.spread(m.counted, s.record.counted);
  s.spread(m.mean, s.record.mean);
  s.spread(m.deviations, s.record.deviations);
  s.spread(m.learnt, s.record.learnt);
  s.spread(m.squares, s.record.squares);
  s.spread(m.pending, s.record.pending);
  s.spread_rows(m.mark, s.mark);
  s.spread_rows(m.change, s.change);
  s.spread_rows(m.moved, s.moved);
  s.spread_rows(m.present, s.present);
  s.spread_rows(m.agree_a, s.agree_a);
  s.spread_rows(m.agree_b, s.agree_b);
  s.spread_rows(m.cost, s.cost);
  s.spread_rows(m.scored, s.scored);
  s.spread_rows(m.readouts, s.readout);
  s.any_asleep = sleepers > 0;
  if (s.any_asleep) {
    s.make_beds();
    s.spread_rows(m.asleep, s.asleep);
    s.spread_rows(m.held, s.held);
  }
  s.mean_readout = m.mean_readout;
  std::transform(m.mean_readout.begin(), m.mean_readout.end(), s.sent.begin(),
                 [](double value) { return static_cast<Real>(value); });
  for (Index k = 0; k < d * (p + 1); ++k) {
    auto& clip = k < d * p ? s.of_readouts[k] : s.of_forecasts[k - d * p];
    clip = {m.centers[k], m.spreads[k]};
  }
  s.sum_again();
}

template <class Real>
void BasicPanel<Real>::add_clients(Index count) {
  require(count >= 0, "count", count, "at least 0");
  Memory m = memory();
  const Index old = state_->N;
  PanelSettings settings = state_->s;
  settings.n_clients += count;
  auto larger = std::make_unique<State>(std::move(settings));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  m.base.resize(m.base.size() / old * larger->N, nan);
  for (auto* values : {&m.gram, &m.cross, &m.counted, &m.mean, &m.deviations, &m.learnt, &m.squares,
                       &m.pending, &m.mark, &m.change, &m.moved, &m.present, &m.agree_a, &m.agree_b,
                       &m.cost, &m.scored, &m.readouts, &m.asleep, &m.held})
    values->resize(values->size() / old * larger->N, 0.0);
  std::swap(state_, larger);
  restore(m);
}

// -------------------------------------------------------------------- the equilibrium, theory
// (8.2)

PanelEquilibrium solve_panel_equilibrium(const double* gram, const double* cross, Index N, Index p,
                                         Index d, double ridge, double pooling) {
  require(N >= 1, "n_clients", N, "at least 1");
  require(ridge >= 0.0 && std::isfinite(ridge), "ridge", ridge, "a finite number >= 0");
  require(pooling >= 0.0 && std::isfinite(pooling), "pooling", pooling, "a finite number >= 0");
  require_finite("gram", gram, {N, p, p});
  require_finite("cross", cross, {N, p, d});
  for (Index i = 0; i < N; ++i)
    detail::require_psd("gram[" + std::to_string(i) + "]", MatrixMap(gram + i * p * p, p, p));
  const auto client = [&](Index i) {
    RowMatrix system = MatrixMap(gram + i * p * p, p, p);
    system.diagonal().array() += ridge + pooling;
    return Eigen::LDLT<RowMatrix>(system);
  };
  // I - pooling avg A = avg A (H + ridge I): the mean of what pulls, without a difference of
  // nearly equal matrices where the pooling is large
  RowMatrix pull = RowMatrix::Zero(p, p), own = RowMatrix::Zero(p, d);
  for (Index i = 0; i < N; ++i) {
    const auto factors = client(i);
    if (factors.info() != Eigen::Success || !(factors.vectorD().minCoeff() > 0.0))
      throw NumericalError("client " + std::to_string(i) +
                           ": gram + (ridge + pooling) I is not positive definite");
    RowMatrix held = MatrixMap(gram + i * p * p, p, p);
    held.diagonal().array() += ridge;
    pull += factors.solve(held);
    own += factors.solve(MatrixMap(cross + i * p * d, p, d));
  }
  const Eigen::PartialPivLU<RowMatrix> crowd(pull);
  if (!(crowd.rcond() > std::numeric_limits<double>::epsilon()))
    throw NumericalError(
        "the clients' data leave the mean readout undetermined; expected a ridge > 0, or a gram of "
        "full rank");
  const RowMatrix mean = crowd.solve(own);
  PanelEquilibrium found;
  found.mean_readout.assign(mean.data(), mean.data() + p * d);
  found.readouts.resize(static_cast<std::size_t>(N * p * d));
  for (Index i = 0; i < N; ++i) {
    const RowMatrix right = MatrixMap(cross + i * p * d, p, d) + pooling * mean;
    Eigen::Map<RowMatrix>(found.readouts.data() + i * p * d, p, d) = client(i).solve(right);
  }
  return found;
}

template class BasicPanel<double>;
template class BasicPanel<float>;

}  // namespace memoa
