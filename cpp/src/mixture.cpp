#include "memoa/mixture.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

#include "detail/buffer.hpp"
#include "detail/kernels.hpp"
#include "detail/parallel.hpp"

namespace memoa {
namespace {

constexpr Index kChunk = 512;  // agents: a chunk of the newest row stays in the first cache

void require(bool holds, const char* name, double value, const char* expected) {
  if (!holds)
    throw std::invalid_argument(std::string(name) + " is " + std::to_string(value) + "; expected " +
                                expected);
}

}  // namespace

void validate(const Mixture& m) {
  require(m.window >= 0, "window", static_cast<double>(m.window), "a number of steps >= 0");
  require(m.decay > 0.0 && m.decay <= 1.0, "decay", m.decay, "a number in (0, 1]");
  require(m.ridge > 0.0 && std::isfinite(m.ridge), "ridge", m.ridge, "a positive finite number");
  require(std::isfinite(m.total), "total", m.total, "a finite number");
}

/// The window is a ring of `window` slots of d rows each. A row holds the errors of all agents in
/// one output, relative to that step's target, so that a high level cancels no digits. The Gram
/// matrix of the rows is kept; ages enter as a diagonal scaling when the dual is solved.
template <class Real>
struct BasicServerMixture<Real>::State {
  Index N, d, rows;
  Mixture settings;
  Index least_steps;
  int n_threads;
  Index seen = 0, steps = 0, newest = -1;  // steps ever, steps in the window, the newest slot
  const detail::Kernels<Real>& kernels;
  detail::Buffer<Real> errors;  // (window, d, N)
  std::vector<double> targets;  // (window, d)
  Eigen::MatrixXd gram;         // E E', (rows, rows)
  Eigen::VectorXd row_sums;     // E 1
  // the predictions last shown, not yet settled
  detail::Buffer<Real> staged;  // increments (d, N)
  std::vector<double> base;     // (d)
  Eigen::MatrixXd staged_dots;  // E staged', (rows, d)
  Eigen::VectorXd staged_sums;  // staged 1, (d)
  bool is_staged = false;
  std::vector<double> last;                       // (d), the last target
  std::vector<double> base_loss, mix_loss, lead;  // (d), theory (6.7)
  // the dual solution: u = level 1 + E' dual
  bool solved = false;
  double level = 0.0;
  Eigen::VectorXd dual, root_decay, on_ones, on_targets;
  Eigen::MatrixXd system;
  std::vector<double> partial;

  State(Index n_agents, Index n_outputs, Mixture mixture, int threads)
      : N(n_agents),
        d(n_outputs),
        rows(mixture.window * n_outputs),
        settings(mixture),
        least_steps(mixture.absolute ? 1 : 3),
        n_threads(detail::resolve_threads(threads)),
        kernels(detail::kernels<Real>()),
        errors(rows * N),
        staged(d * N) {
    detail::for_each_chunk(rows, n_threads, [&](Index r, int) { std::fill_n(row(r), N, Real(0)); });
    std::fill_n(staged.data(), d * N, Real(0));
    targets.resize(static_cast<std::size_t>(rows));
    gram.setZero(rows, rows);
    row_sums.setZero(rows);
    for (auto* v : {&base, &last, &base_loss, &mix_loss, &lead}) v->assign(base_size(), 0.0);
    staged_dots.setZero(rows, d);
    staged_sums.setZero(d);
    for (auto* v : {&dual, &root_decay, &on_ones, &on_targets}) v->setZero(rows);
    system.setZero(rows, rows);
    partial.resize(static_cast<std::size_t>(chunks() * (rows + d + 1) * d));
  }

  std::size_t base_size() const { return static_cast<std::size_t>(d); }
  Index chunks() const { return (N + kChunk - 1) / kChunk; }
  Index filled() const { return std::min(steps, settings.window) * d; }
  Real* row(Index r) { return errors.data() + r * N; }

  /// Sums over agents by fixed chunks: fill(first, count, sums) writes `width` sums of a chunk.
  template <class Fill>
  void reduce(Index width, double* out, const Fill& fill) {
    const int threads = detail::threads_for(n_threads, static_cast<double>(N * width));
    detail::for_each_chunk(chunks(), threads, [&](Index chunk, int) {
      const Index first = chunk * kChunk;
      fill(first, std::min(kChunk, N - first), partial.data() + chunk * width);
    });
    std::fill(out, out + width, 0.0);
    for (Index chunk = 0; chunk < chunks(); ++chunk)
      for (Index j = 0; j < width; ++j) out[j] += partial[chunk * width + j];
  }

  /// The one pass over the window: products of the staged increments with every row of it.
  void stage(const Real* increments, Index stride, const double* base_now) {
    const Index filled_rows = filled();
    std::copy(base_now, base_now + d, base.begin());
    scratch.resize(static_cast<std::size_t>((rows + 1) * d));
    reduce((filled_rows + 1) * d, scratch.data(), [&](Index first, Index count, double* sums) {
      for (Index o = 0; o < d; ++o) {
        const Real* from = increments + o * stride + first;
        Real* to = staged.data() + o * N + first;
        std::copy(from, from + count, to);
        sums[filled_rows * d + o] = kernels.sum(to, count);
      }
      for (Index r = 0; r < filled_rows; ++r)
        for (Index o = 0; o < d; ++o)
          sums[r * d + o] = kernels.dot(row(r) + first, staged.data() + o * N + first, count);
    });
    for (Index o = 0; o < d; ++o) {
      for (Index r = 0; r < filled_rows; ++r) staged_dots(r, o) = scratch[r * d + o];
      staged_sums[o] = scratch[filled_rows * d + o];
    }
    is_staged = true;
  }

  /// The same for plain predictions (N, d), relative to the last target: levels far above the
  /// errors cancel no digits.
  void stage_plain(const double* predictions) {
    plain.resize(static_cast<std::size_t>(d * N));
    for (Index o = 0; o < d; ++o)
      for (Index i = 0; i < N; ++i)
        plain[o * N + i] = static_cast<Real>(predictions[i * d + o] - last[o]);
    stage(plain.data(), N, last.data());
  }

  /// Are these plain predictions the ones last shown?
  bool is_staged_as(const double* predictions) const {
    if (!is_staged) return false;
    for (Index o = 0; o < d; ++o)
      for (Index i = 0; i < N; ++i)
        if (staged.data()[o * N + i] != static_cast<Real>(predictions[i * d + o] - base[o]))
          return false;
    return true;
  }

  /// The mixture of the staged predictions, relative to their base.
  double mixed_increment(Index o) const {
    const double product = dual.head(filled()).dot(staged_dots.col(o).head(filled()));
    return (settings.total - 1.0) * base[o] + level * staged_sums[o] + product;
  }

  /// The weight of the mixture against the base, theory (6.7). The first step is not compared: its
  /// base need not be a value of the series.
  double mixture_weight(Index o) const {
    if (!settings.fallback || seen == 0) return 1.0;
    const double noise = std::min(base_loss[o], mix_loss[o]) / static_cast<double>(seen - 1);
    if (noise > 0.0 && std::isfinite(noise))
      return 1.0 / (1.0 + std::exp(-lead[o] / (8.0 * noise)));
    return lead[o] > 0.0 ? 1.0 : lead[o] < 0.0 ? 0.0 : 0.5;  // one of them has been exact
  }

  void mixed(double* out) {
    solve();
    for (Index o = 0; o < d; ++o) out[o] = base[o] + mixture_weight(o) * mixed_increment(o);
  }

  /// Counts the losses of the base and of the mixture; `shift` is the target less the base.
  void compare() {
    solve();
    for (Index o = 0; o < d; ++o) {
      const double of_base = shift[o] * shift[o], miss = shift[o] - mixed_increment(o);
      const double of_mixture = miss * miss;
      if (!std::isfinite(of_base) || !std::isfinite(of_mixture)) continue;
      base_loss[o] += of_base;
      mix_loss[o] += of_mixture;
      const double count = static_cast<double>(seen);
      const double noise = std::min(base_loss[o], mix_loss[o]) / count;
      lead[o] += of_base - of_mixture;
      // the mixture keeps a weight of 1 / (1 + sqrt(count + 1)): it can come back
      if (noise > 0.0) lead[o] = std::max(lead[o], -4.0 * noise * std::log(count + 1.0));
    }
  }

  /// The staged predictions become the newest step: their errors, and the Gram matrix's new rows.
  void settle(const double* target) {
    is_staged = false;
    shift.resize(base_size());
    for (Index o = 0; o < d; ++o) shift[o] = target[o] - base[o];
    if (settings.fallback && seen > 0) compare();
    std::copy_n(target, d, last.begin());
    ++seen;
    if (settings.window == 0) return;
    const Index slot = (newest + 1) % settings.window, at = slot * d, before = filled();
    for (double& by : shift) by = static_cast<double>(static_cast<Real>(by));  // as the rows see it
    scratch.resize(static_cast<std::size_t>((d + 1) * d));
    reduce((d + 1) * d, scratch.data(), [&](Index first, Index count, double* sums) {
      for (Index o = 0; o < d; ++o) {
        const Real* from = staged.data() + o * N + first;
        const Real by = static_cast<Real>(shift[o]);
        Real* to = row(at + o) + first;
        for (Index i = 0; i < count; ++i) to[i] = from[i] - by;
        sums[d * d + o] = kernels.sum(to, count);
        for (Index other = 0; other <= o; ++other)
          sums[o * d + other] = kernels.dot(to, row(at + other) + first, count);
      }
    });
    for (Index o = 0; o < d; ++o) {
      for (Index r = 0; r < before; ++r) {
        const double product = staged_dots(r, o) - shift[o] * row_sums[r];
        gram(r, at + o) = gram(at + o, r) = product;
      }
    }
    for (Index o = 0; o < d; ++o) {  // after the above, which may have met this slot's old rows
      for (Index other = 0; other <= o; ++other)
        gram(at + o, at + other) = gram(at + other, at + o) = scratch[o * d + other];
      targets[at + o] = target[o];
    }
    for (Index o = 0; o < d; ++o) row_sums[at + o] = scratch[d * d + o];
    newest = slot;
    steps = std::min(seen, settings.window);
    solved = false;
  }

  /// theory (6.4), (6.5): A = kappa I + Theta Theta', u_b = Theta' A^-1 rho,
  /// u_1 = (1 - Theta' A^-1 Theta 1) / kappa, u = u_b - ((1'u_b - total) / 1'u_1) u_1.
  void solve() {
    if (solved) return;
    solved = true;
    const Index n = filled();
    const double count = static_cast<double>(N);
    level = settings.total / count;
    dual.setZero();
    if (seen < least_steps || settings.window == 0) return;
    const double kappa =
        settings.absolute ? settings.ridge
                          : settings.ridge * gram.diagonal().head(n).sum() / static_cast<double>(n);
    if (!(kappa > 0.0) || !std::isfinite(kappa)) return;

    for (Index slot = 0; slot < steps; ++slot) {
      const Index age = (newest - slot + settings.window) % settings.window;
      const double root = std::pow(settings.decay, 0.5 * static_cast<double>(age));
      for (Index o = 0; o < d; ++o) {
        root_decay[slot * d + o] = root;
        on_targets[slot * d + o] = root * targets[slot * d + o] * (1.0 - settings.total);
      }
    }
    const auto roots = root_decay.head(n);
    auto A = system.topLeftCorner(n, n);
    A = roots.asDiagonal() * gram.topLeftCorner(n, n) * roots.asDiagonal();
    A.diagonal().array() += kappa;
    on_ones.head(n) = roots.cwiseProduct(row_sums.head(n));

    Eigen::LLT<Eigen::Ref<Eigen::MatrixXd>> factor(A);
    if (factor.info() != Eigen::Success) return;  // errors at rounding level: nothing to choose by
    auto by_ones = dual.head(n), by_targets = on_targets.head(n);
    by_ones = on_ones.head(n);
    factor.solveInPlace(by_ones);
    factor.solveInPlace(by_targets);
    const double excess = on_ones.head(n).dot(by_targets) - settings.total;
    const double scale = excess / (count - on_ones.head(n).dot(by_ones));
    level = -scale;
    by_ones = (roots.array() * (by_targets.array() + scale * by_ones.array())).matrix();
    if (!std::isfinite(level) || !dual.allFinite()) {
      level = settings.total / count;
      dual.setZero();
    }
  }

  std::vector<double> scratch, shift;
  std::vector<Real> plain;
};

template <class Real>
BasicServerMixture<Real>::BasicServerMixture(Index n_agents, Index n_outputs, Mixture mixture,
                                             int n_threads) {
  require(n_agents >= 1, "n_agents", static_cast<double>(n_agents), "at least 1");
  require(n_outputs >= 1, "n_outputs", static_cast<double>(n_outputs), "at least 1");
  validate(mixture);
  state_ = std::make_unique<State>(n_agents, n_outputs, mixture, n_threads);
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
void BasicServerMixture<Real>::predict_increments(const Real* increments, Index stride,
                                                  const double* base, double* mixed) {
  state_->stage(increments, stride, base);
  state_->mixed(mixed);
}

template <class Real>
void BasicServerMixture<Real>::settle(const double* target) {
  if (!state_->is_staged) throw std::logic_error("ServerMixture::settle before predict_increments");
  state_->settle(target);
}

template <class Real>
void BasicServerMixture<Real>::predict(const double* predictions, double* mixed) {
  require_finite("predictions", predictions, {state_->N, state_->d});
  state_->stage_plain(predictions);
  state_->mixed(mixed);
}

template <class Real>
void BasicServerMixture<Real>::update(const double* predictions, const double* target) {
  State& s = *state_;
  require_finite("predictions", predictions, {s.N, s.d});
  require_finite("target", target, {s.d});
  if (!s.is_staged_as(predictions)) s.stage_plain(predictions);
  s.settle(target);
}

template <class Real>
void BasicServerMixture<Real>::weights(double* out) {
  State& s = *state_;
  s.solve();
  const Index n = s.filled();
  const int threads = detail::threads_for(s.n_threads, static_cast<double>(s.N * n));
  detail::for_each_chunk(s.chunks(), threads, [&](Index chunk, int) {
    const Index first = chunk * kChunk, count = std::min(kChunk, s.N - first);
    std::fill(out + first, out + first + count, s.level);
    for (Index r = 0; r < n; ++r) {
      const Real* errors = s.row(r) + first;
      for (Index i = 0; i < count; ++i) out[first + i] += s.dual[r] * errors[i];
    }
  });
}

template <class Real>
void BasicServerMixture<Real>::mixture_weight(double* out) const {
  for (Index o = 0; o < state_->d; ++o) out[o] = state_->mixture_weight(o);
}

template <class Real>
MixtureMemory BasicServerMixture<Real>::memory() const {
  const State& s = *state_;
  std::vector<double> losses(s.base_loss);
  for (const auto* v : {&s.mix_loss, &s.lead}) losses.insert(losses.end(), v->begin(), v->end());
  return {s.seen,
          s.newest,
          {s.errors.data(), s.errors.data() + s.errors.size()},
          s.targets,
          {s.gram.data(), s.gram.data() + s.gram.size()},
          {s.row_sums.data(), s.row_sums.data() + s.row_sums.size()},
          s.last,
          losses};
}

template <class Real>
void BasicServerMixture<Real>::restore(const Memory& memory) {
  State& s = *state_;
  if (static_cast<Index>(memory.errors.size()) != s.errors.size() ||
      memory.targets.size() != s.targets.size() ||
      static_cast<Index>(memory.gram.size()) != s.gram.size() ||
      static_cast<Index>(memory.row_sums.size()) != s.row_sums.size() ||
      memory.last.size() != s.base_size() || memory.losses.size() != 3 * s.base_size() ||
      memory.steps < 0 || memory.newest >= std::max<Index>(s.settings.window, 0) ||
      (memory.steps > 0 && s.settings.window > 0 && memory.newest < 0))
    throw std::invalid_argument("memory is that of a server of another size");
  s.seen = memory.steps;
  s.steps = std::min(s.seen, s.settings.window);
  s.newest = memory.newest;
  std::copy(memory.errors.begin(), memory.errors.end(), s.errors.data());
  s.targets = memory.targets;
  s.last = memory.last;
  const double* losses = memory.losses.data();
  for (auto* v : {&s.base_loss, &s.mix_loss, &s.lead}) {
    v->assign(losses, losses + s.d);
    losses += s.d;
  }
  std::copy(memory.gram.begin(), memory.gram.end(), s.gram.data());
  std::copy(memory.row_sums.begin(), memory.row_sums.end(), s.row_sums.data());
  s.is_staged = s.solved = false;
}

template class BasicServerMixture<double>;
template class BasicServerMixture<float>;

std::vector<double> mixture_weights(const double* predictions, const double* targets, Index window,
                                    Index n_agents, Index n_outputs, const Mixture& mixture) {
  Mixture settings = mixture;
  settings.window = window;
  settings.fallback = false;
  ServerMixture server(n_agents, n_outputs, settings);
  server.state_->least_steps = 1;  // the argmin of what was given, not a start-up rule
  require_finite("predictions", predictions, {window, n_agents, n_outputs});
  require_finite("targets", targets, {window, n_outputs});
  for (Index t = 0; t < window; ++t)
    server.update(predictions + t * n_agents * n_outputs, targets + t * n_outputs);
  std::vector<double> weights(static_cast<std::size_t>(n_agents));
  server.weights(weights.data());
  return weights;
}

}  // namespace memoa
