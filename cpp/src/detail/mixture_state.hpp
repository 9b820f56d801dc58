#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "detail/buffer.hpp"
#include "detail/exchange.hpp"
#include "detail/kernels.hpp"
#include "detail/memory.hpp"
#include "detail/rivals.hpp"
#include "detail/team.hpp"
#include "detail/waiting.hpp"
#include "memoa/mixture.hpp"

namespace memoa {

/// The window is a ring of `window` slots with d rows each. A row has the errors of all agents in
/// one output of one step. Errors are differences from that step's target, so a high level of the
/// series cancels no digits. The Gram matrix of the rows is stored. The weights by age are applied
/// as a diagonal scaling when the dual is solved.
template <class Real>
struct BasicServerMixture<Real>::State {
  static constexpr Index kChunk = 512;  // agents; their part of a row stays in the L1 cache
  static constexpr Index kScaledRows = 16;

  Index N, n_total, d, rows;  // agents in this process, in all processes
  Mixture settings;
  Index least_steps;
  double slow;  // 1 + delay: as many consecutive errors are correlated
  int n_threads;
  Index seen = 0, steps = 0, newest = -1;  // all steps, steps in the window, the newest slot
  const detail::Kernels<Real>& kernels;
  const detail::Kernels<double>& double_kernels = detail::kernels<double>();
  detail::Buffer<Real> errors;   // (window, d, N)
  std::vector<double> targets;   // (window, d)
  std::vector<double> gram;      // E E', (rows, rows)
  std::vector<double> row_sums;  // E 1
  std::vector<double> last;      // (d), the last target
  std::vector<double> losses;    // (7, d), theory (6.7)
  /// Predictions as increments from a base, with their products with the window's rows.
  struct Shown {
    std::vector<double> base;          // (d)
    std::vector<double> dots;          // increments E', (d, rows), if the dual is solved
    std::vector<double> sums;          // increments 1, (d)
    const Real* increments = nullptr;  // (d, N)
    std::vector<double> agents;        // (d), their average by exponential weights
    bool has_base = true;              // whether the base is a value of the series
  };
  Shown staged, glanced;  // to be learnt; of a forecast that will not be learnt
  /// Which forecasts to use, 1 or 0 at o stride + agent, and the increments (d) that replace the
  /// others. A null mask: all are used.
  struct Used {
    const unsigned char* mask = nullptr;
    const double* instead = nullptr;
  };
  detail::Buffer<Real> staged_increments, glanced_increments;  // (d, N); glanced: empty until used
  bool is_staged = false, is_part = false;  // is_part: one of several processes' parts of a state
  // If y arrived late: the forecast made at that step, by output, and the y (d) known before it.
  const detail::Said* said = nullptr;
  const double* known = nullptr;
  // The solution: u = level 1 + E' dual, or u = primal + level 1.
  bool solved = false;
  double level = 0.0;
  std::vector<double> dual;
  std::vector<double> primal, root_decay;  // (N), (rows)
  std::vector<double> powers;              // of sqrt(decay), (window)
  detail::Buffer<double> system, scaled,
      found;  // (unknowns, stride), (kScaledRows, stride), (2, stride)
  std::vector<double> partial, shift;
  // Only with rivals.
  std::vector<detail::Rivals> rivals;                    // (d)
  Past past;                                             // its season
  detail::Buffer<double> agent_losses;                   // (d, N)
  std::vector<double> counted_losses, least_agent_loss;  // (d): number of steps; smallest loss
  std::vector<double> least_error, next_least;           // (d), scratch
  mutable detail::Exchange others;
  detail::SharedSums sums;
  // The products among the newest step's own rows, which the next exchange adds up.
  struct Own {
    Index slot = 0, place = 0;
    bool due = false;
  } own;
  std::vector<Real> plain;

  State(Index n_agents, Index n_outputs, const Mixture& mixture, int threads, const Shard& shard)
      : N(n_agents),
        n_total(shard.total > 0 ? shard.total : n_agents),
        d(n_outputs),
        rows(mixture.window * n_outputs),
        settings(mixture),
        least_steps(mixture.absolute ? 1 : 3),
        slow(1.0 + static_cast<double>(mixture.delay)),
        n_threads(detail::resolve_threads(threads)),
        kernels(detail::kernels<Real>()),
        errors(rows * N),
        staged_increments(d * N),
        rivals(mixture.rivals ? base_size() : 0),
        past({0, mixture.rivals ? mixture.season : 0, mixture.delay}, n_outputs),
        agent_losses(mixture.rivals ? d * N : 0),
        others(shard),
        sums(others) {
    detail::for_each_chunk(rows, n_threads, [&](Index r, int) { std::fill_n(row(r), N, Real(0)); });
    std::fill_n(staged_increments.data(), d * N, Real(0));
    std::fill_n(agent_losses.data(), agent_losses.size(), 0.0);
    counted_losses.resize(base_size());
    for (auto* of : {&least_agent_loss, &least_error, &next_least}) of->resize(base_size());
    targets.resize(static_cast<std::size_t>(rows));
    gram.resize(static_cast<std::size_t>(rows * rows));
    row_sums.resize(static_cast<std::size_t>(rows));
    last.assign(base_size(), 0.0);
    losses.assign(7 * base_size(), 0.0);
    for (auto* shown : {&staged, &glanced}) {
      shown->base.assign(base_size(), 0.0);
      shown->dots.resize(static_cast<std::size_t>(d * rows));
      shown->sums.resize(base_size());
      shown->agents.resize(base_size());
    }
    dual.resize(static_cast<std::size_t>(rows));
    root_decay.resize(static_cast<std::size_t>(rows));
    for (Index age = 0; age < settings.window; ++age)
      powers.push_back(std::pow(settings.decay, 0.5 * static_cast<double>(age)));
    const bool may_be_primal = N <= kChunk && rows >= 2 * N;
    const Index unknowns = may_be_primal ? 2 * N : rows;
    system = detail::Buffer<double>(unknowns * stride_of(unknowns));
    found = detail::Buffer<double>(2 * stride_of(unknowns));
    if (may_be_primal) {
      primal.resize(static_cast<std::size_t>(N));
      scaled = detail::Buffer<double>(kScaledRows * stride_of(N));
      std::fill_n(scaled.data(), scaled.size(), 0.0);
    }
    partial.resize(static_cast<std::size_t>(chunks() * (rows + d + 3) * d));
    shift.reserve(base_size());  // so that a step allocates nothing
    sums.reserve((rows + d + 3) * d);
  }

  std::size_t base_size() const { return static_cast<std::size_t>(d); }
  Index chunks() const { return (N + kChunk - 1) / kChunk; }
  /// Number of rows in use, `later` steps from now.
  Index filled(Index later = 0) const { return std::min(steps + later, settings.window) * d; }
  Index next_slot(Index later = 0) const { return (newest + 1 + later) % settings.window; }
  bool all_here() const { return N == n_total; }
  /// With few agents and many rows, (6.3) is solved directly, without products of rows.
  bool is_primal() const { return all_here() && N <= kChunk && filled() >= 2 * N; }
  /// Number of rows whose products are needed, `later` steps from now.
  Index products(Index later = 0) const { return is_primal() ? 0 : filled(later); }
  /// Distance between rows of a linear system, which include the right-hand sides.
  static Index stride_of(Index unknowns) { return (unknowns + 2 + 7) / 8 * 8; }
  Real* row(Index r) { return errors.data() + r * N; }
  /// The product of two rows, an entry of the Gram matrix.
  double& gram_at(Index r, Index other) { return gram[r * rows + other]; }

  /// Requests sums over agents, by fixed chunks: fill(first, count, sums) writes the `width` sums
  /// of a chunk. Returns the index of the first.
  template <class Fill>
  Index reduce(Index width, const Fill& fill) {
    const int threads = detail::threads_for(n_threads, static_cast<double>(N * width));
    detail::for_each_chunk(chunks(), threads, [&](Index chunk, int) {
      const Index first = chunk * kChunk;
      fill(first, std::min(kChunk, N - first), partial.data() + chunk * width);
    });
    return sums.add(partial.data(), chunks(), width);
  }

  /// The only pass over the window: requests the products of the increments with every row that the
  /// window has `later` steps from now, and copies the increments. Returns the index of the sums.
  Index ask_dots(const Real* increments, Index stride, const Used& used, Real* copy,
                 Index later = 0) {
    const Index n = products(later), of_agents = (n + 1) * d;
    return reduce(
        of_agents + (settings.rivals ? 2 * d : 0), [&](Index first, Index count, double* sums) {
          for (Index o = 0; o < d; ++o) {
            const Real* from = increments + o * stride + first;
            Real* to = copy + o * N + first;
            std::copy(from, from + count, to);
            if (used.mask != nullptr) {
              const unsigned char* mask = used.mask + o * stride + first;
              const Real instead = static_cast<Real>(used.instead[o]);
              for (Index i = 0; i < count; ++i) to[i] = mask[i] ? to[i] : instead;
            }
            sums[n * d + o] = kernels.sum(to, count);
            if (settings.rivals)
              kernels.weigh(
                  to, agent_losses.data() + o * N + first, count, least_agent_loss[o],
                  detail::rate_of(detail::noise_of(least_agent_loss[o], counted_losses[o]), slow),
                  sums + of_agents + 2 * o);
          }
          for (Index r = 0; r < n; ++r)
            for (Index o = 0; o < d; ++o)
              sums[r * d + o] = kernels.dot(row(r) + first, copy + o * N + first, count);
        });
  }
  void take_dots(Index place, const double* base, Shown& shown) const {
    const Index n = products(), of_agents = place + (n + 1) * d;
    std::copy(base, base + d, shown.base.begin());
    for (Index o = 0; o < d; ++o) {
      for (Index r = 0; r < n; ++r) shown.dots[o * rows + r] = sums[place + r * d + o];
      shown.sums[o] = sums[place + n * d + o];
      if (settings.rivals) shown.agents[o] = sums[of_agents + 2 * o + 1] / sums[of_agents + 2 * o];
    }
  }

  /// Writes the staged increments minus `shift` as the rows of a slot. Requests the products among
  /// these rows, and their sums.
  Index ask_own(Index slot) {
    const Index at = slot * d;
    return reduce((d + 1) * d, [&](Index first, Index count, double* sums) {
      for (Index o = 0; o < d; ++o) {
        const Real* from = staged_increments.data() + o * N + first;
        const Real by = static_cast<Real>(shift[o]);
        Real* to = row(at + o) + first;
        const bool is_silent = is_missing(o);  // then the row is 0
        for (Index i = 0; i < count; ++i) to[i] = is_silent ? Real(0) : from[i] - by;
        sums[d * d + o] = kernels.sum(to, count);
        for (Index other = 0; other <= o; ++other)
          sums[o * d + other] = kernels.dot(to, row(at + other) + first, count);
      }
    });
  }
  void take_own() {
    const Index at = own.slot * d;
    for (Index o = 0; o < d; ++o) {
      for (Index other = 0; other <= o; ++other)
        gram_at(at + o, at + other) = gram_at(at + other, at + o) = sums[own.place + o * d + other];
      row_sums[at + o] = sums[own.place + d * d + o];
    }
    own.due = false;
  }

  /// One exchange for all requested sums.
  void exchange_sums() {
    sums.exchange();
    if (own.due) take_own();
  }
  /// Makes the products of the newest step's own rows available.
  void require_own() {
    if (own.due) exchange_sums();
  }

  void measure(const Real* increments, Index stride, const double* base, const Used& used,
               Shown& shown, Real* copy) {
    others.require_whole();
    if (!own.due) sums.begin();
    shown.increments = copy;
    const Index place = ask_dots(increments, stride, used, copy);
    exchange_sums();
    take_dots(place, base, shown);
  }

  /// Stores predictions that will be learnt when the target is known.
  void stage(const Real* increments, Index stride, const double* base, const Used& used = Used()) {
    measure(increments, stride, base, used, staged, staged_increments.data());
    past.require_base(base);
    is_staged = staged.has_base = true;
  }

  /// The forecast from increments that will not be learnt.
  void reserve_glance() {
    if (glanced_increments.size() == 0) glanced_increments = detail::Buffer<Real>(d * N);
  }
  void glance(const Real* increments, Index stride, const double* base, const Used& used,
              double* out, double* increment = nullptr) {
    reserve_glance();
    measure(increments, stride, base, used, glanced, glanced_increments.data());
    past.require_base(base);
    mixed(glanced, out, increment);
  }

  /// Like `stage` for plain predictions (N, d). They are stored relative to the last target, so a
  /// high level cancels no digits.
  void stage_plain(const double* predictions) {
    plain.resize(static_cast<std::size_t>(d * N));
    for (Index o = 0; o < d; ++o)
      for (Index i = 0; i < N; ++i)
        plain[o * N + i] = static_cast<Real>(predictions[i * d + o] - last[o]);
    measure(plain.data(), N, last.data(), Used(), staged, staged_increments.data());
    if (seen > 0) past.require_base(last.data());
    is_staged = true;
    staged.has_base = seen > 0;
  }

  /// Whether these plain predictions are the staged ones.
  bool is_staged_as(const double* predictions) const {
    if (!is_staged) return false;
    for (Index o = 0; o < d; ++o)
      for (Index i = 0; i < N; ++i)
        if (staged_increments.data()[o * N + i] !=
            static_cast<Real>(predictions[i * d + o] - staged.base[o]))
          return false;
    return true;
  }

  // Rival 0 is the base, rival 1 the mixture.
  double& loss(Index rival, Index o) { return losses[(3 * rival) * d + o]; }
  double& largest(Index rival, Index o) { return losses[(3 * rival + 1) * d + o]; }
  double& next_largest(Index rival, Index o) { return losses[(3 * rival + 2) * d + o]; }
  double& lead(Index o) { return losses[6 * d + o]; }

  /// The mixture of the predictions, relative to their base.
  double mixed_increment(const Shown& shown, Index o) const {
    double product = 0.0;
    if (is_primal()) {
      const Real* increments = shown.increments + o * N;
      for (Index i = 0; i < N; ++i) product += primal[i] * static_cast<double>(increments[i]);
    } else {
      product = double_kernels.dot(dual.data(), shown.dots.data() + o * rows, filled());
    }
    return (settings.total - 1.0) * shown.base[o] + level * shown.sums[o] + product;
  }

  /// Adds a squared error to a rival's losses.
  void count_loss(int rival, Index o, double squared) {
    double &most = largest(rival, o), &next = next_largest(rival, o);
    loss(rival, o) += squared;
    next = std::max(next, std::min(most, squared));
    most = std::max(most, squared);
  }

  /// The variance of the better rival's error after `compared` steps, without the two largest
  /// errors of each rival. At the start there is no variance that would show that an error is too
  /// large to be counted, and one bad y causes two such errors.
  double noise(Index o, Index compared) {
    const bool first = compared < 3;
    double least = std::numeric_limits<double>::infinity();
    for (const int rival : {0, 1}) {
      const double two = first ? 0.0 : largest(rival, o) + next_largest(rival, o);
      least = std::min(least, std::max(loss(rival, o) - two, 0.0));
    }
    return least / static_cast<double>(first ? std::max<Index>(compared, 1) : compared - 2);
  }

  /// The weight of the mixture against the base, theory (6.7). The first step is not compared,
  /// because its base may not be a value of the series.
  double mixture_weight(Index o) {
    if (!settings.fallback || seen == 0) return 1.0;
    const double variance = noise(o, seen - 1);
    if (variance > 0.0 && std::isfinite(variance))
      return 1.0 / (1.0 + std::exp(-lead(o) / (8.0 * variance * slow)));
    return lead(o) > 0.0 ? 1.0 : lead(o) < 0.0 ? 0.0 : 0.5;  // one of them was always exact
  }

  /// Whether the server still repeats the base, because it has learnt too few steps.
  bool waits(bool has_base) const { return has_base && seen < settings.start; }

  /// The forecast (d), and what it adds to the base, if asked for.
  void mixed(const Shown& shown, double* out, double* increment = nullptr) {
    solve();
    for (Index o = 0; o < d; ++o) {
      double change = 0.0;
      if (!waits(shown.has_base))
        change = settings.rivals ? rival_forecast(shown, o).mixed
                                 : mixture_weight(o) * mixed_increment(shown, o);
      out[o] = shown.base[o] + change;
      if (increment != nullptr) increment[o] = change;
    }
  }

  /// Shares of the mixture, of the agents by exponential weights, of the season and of the base.
  std::array<double, 4> shares(Index o) {
    if (waits(seen > 0 || staged.has_base)) return {0.0, 0.0, 0.0, 1.0};
    if (!settings.rivals) {
      const double weight = mixture_weight(o);
      return {weight, 0.0, 0.0, 1.0 - weight};
    }
    const auto f = rivals[o].forecast(0.0, 0.0, past.season(o), slow);
    return {f.shares[0], f.shares[1], f.shares[2], f.shares[3]};
  }

  void write_shares(double* out) {  // (4, d)
    for (Index o = 0; o < d; ++o) {
      const auto of = shares(o);
      for (Index k = 0; k < 4; ++k) out[k * d + o] = of[k];
    }
  }

  /// An agent's exponential weight, relative to that of the best agent.
  double exponential(Index o, Index i) const {
    const double behind = agent_losses.data()[o * N + i] - least_agent_loss[o];
    const double noise = detail::noise_of(least_agent_loss[o], counted_losses[o]);
    return behind > 0.0 ? std::exp(-behind * detail::rate_of(noise, slow)) : 1.0;
  }
  /// The sums of these weights over all agents, (d).
  std::vector<double> sums_of_exponentials() {
    std::vector<double> all(base_size(), 1.0);
    if (!settings.rivals) return all;
    require_own();
    sums.begin();
    const Index place = reduce(d, [&](Index first, Index count, double* of_chunk) {
      for (Index o = 0; o < d; ++o) {
        of_chunk[o] = 0.0;
        for (Index i = first; i < first + count; ++i) of_chunk[o] += exponential(o, i);
      }
    });
    exchange_sums();
    for (Index o = 0; o < d; ++o) all[o] = sums[place + o];
    return all;
  }

  detail::Rivals::Forecast rival_forecast(const Shown& shown, Index o) const {
    return rivals[o].forecast(mixed_increment(shown, o), shown.agents[o], past.season(o), slow);
  }

  /// The server's forecasts of the staged step, as they were made.
  double said_by_mixture(Index o) const {
    return said ? said[o].mixture : mixed_increment(staged, o);
  }
  detail::Rivals::Forecast said_by_rivals(Index o) const {
    return said ? said[o].rivals : rival_forecast(staged, o);
  }

  /// Sets least[o] to the minimum over all agents; of_chunk(o, first, count) is that of a chunk.
  template <class OfChunk>
  void find_least(std::vector<double>& least, const OfChunk& of_chunk) {
    const int threads = detail::threads_for(n_threads, static_cast<double>(2 * N * d));
    detail::for_each_chunk(chunks(), threads, [&](Index chunk, int) {
      const Index first = chunk * kChunk;
      for (Index o = 0; o < d; ++o)
        partial[chunk * d + o] = of_chunk(o, first, std::min(kChunk, N - first));
    });
    for (Index o = 0; o < d; ++o) {
      least[o] = -partial[o];
      for (Index chunk = 1; chunk < chunks(); ++chunk)
        least[o] = std::max(least[o], -partial[chunk * d + o]);
    }
    others.max(least.data(), d);
    for (double& value : least) value = -value;
  }

  /// Adds this step to the losses of the rivals and of the agents; `shift` is target - base.
  void compare_rivals() {
    solve();
    for (Index o = 0; o < d; ++o)
      if (!is_missing(o)) rivals[o].compare(said_by_rivals(o), shift[o]);
    const auto increments = [&](Index o) { return staged_increments.data() + o * N; };
    find_least(least_error, [&](Index o, Index first, Index count) {
      return is_missing(o) ? 0.0 : kernels.least_error(increments(o) + first, shift[o], count);
    });
    find_least(next_least, [&](Index o, Index first, Index count) {
      if (is_missing(o)) return least_agent_loss[o];
      const double noise = detail::noise_of(least_agent_loss[o], counted_losses[o]);
      return kernels.take_losses(increments(o) + first, shift[o], count, detail::kAgentsForgetting,
                                 detail::share_of_step(noise, least_error[o]),
                                 detail::most_counted(noise, least_error[o]),
                                 agent_losses.data() + o * N + first);
    });
    least_agent_loss.swap(next_least);
    for (Index o = 0; o < d; ++o)
      if (!is_missing(o)) counted_losses[o] = detail::kAgentsForgetting * counted_losses[o] + 1.0;
  }

  /// Learns the target into the past. If this shows that the past's scale came from bad values, the
  /// losses did too, and they start again.
  void take_past(const double* target) {
    if (!staged.has_base) return past.observe(last.data());
    past.learn(target, known ? known : staged.base.data(), staged.base.data());
    for (Index o = 0; o < d; ++o) {
      if (!past.has_restarted(o)) continue;
      rivals[o] = detail::Rivals();
      std::fill_n(agent_losses.data() + o * N, N, 0.0);
      counted_losses[o] = least_agent_loss[o] = 0.0;
    }
  }

  /// Adds this step to the losses of the base and of the mixture; `shift` is target - base. If the
  /// error is above 2 sigma even for the better of them, it counts as 2 sigma. A missing y does not
  /// count.
  void compare() {
    solve();
    for (Index o = 0; o < d; ++o) {
      const double of_base = shift[o] * shift[o], miss = shift[o] - said_by_mixture(o);
      const double of_mixture = miss * miss, least = std::min(of_base, of_mixture);
      if (!std::isfinite(of_base) || !std::isfinite(of_mixture)) continue;
      const double before = noise(o, seen - 1);
      const double by = before > 0.0 && least > 0.0 ? std::min(1.0, 4.0 * before / least) : 1.0;
      count_loss(0, o, by * of_base);
      count_loss(1, o, by * of_mixture);
      lead(o) += by * (of_base - of_mixture);
      // The mixture keeps a weight of at least 1 / (1 + sqrt(seen + 1)), so that it can recover.
      const double variance = noise(o, seen), count = static_cast<double>(seen);
      if (variance > 0.0)
        lead(o) = std::max(lead(o), -4.0 * variance * slow * std::log(count + 1.0));
    }
  }

  void find_shift(const double* target, const double* base) {
    shift.resize(base_size());
    for (Index o = 0; o < d; ++o) shift[o] = target[o] - base[o];
  }

  /// Whether the y of the step is missing; `shift` must be set.
  bool is_missing(Index o) const { return std::isnan(shift[o]); }

  /// Learns the target of the staged predictions: their errors become the newest rows of the window
  /// and of the Gram matrix.
  void settle(const double* target) {
    const bool compares = settings.fallback || settings.rivals;
    if (compares && seen > 0) solve();  // only this may fail, so it comes first
    is_staged = false;
    const bool keeps = settings.window > 0;
    own.slot = keeps ? next_slot() : 0;
    count(target);
    if (!keeps) return;
    sums.begin();
    own.place = ask_own(own.slot);
    own.due = true;
    if (others.alone()) take_own();  // otherwise the next exchange adds them up
  }

  /// Adds the staged step and its target to the losses, and to the products with older rows.
  void count(const double* target) {
    find_shift(target, staged.base.data());
    if ((settings.fallback || settings.rivals) && seen > 0)
      settings.rivals ? compare_rivals() : compare();
    for (Index o = 0; o < d; ++o)
      if (!std::isnan(target[o])) last[o] = target[o];
    if (settings.rivals) take_past(target);
    ++seen;
    if (settings.window == 0) return;
    const Index at = next_slot() * d, before = products();
    // The rows subtract the shift in their own precision.
    for (double& by : shift) by = static_cast<double>(static_cast<Real>(by));
    for (Index o = 0; o < d; ++o)
      for (Index r = 0; r < before; ++r)  // `take_own` overwrites the slot's own entries afterwards
        gram_at(r, at + o) = gram_at(at + o, r) =
            is_missing(o) ? 0.0 : staged.dots[o * rows + r] - shift[o] * row_sums[r];
    for (Index o = 0; o < d; ++o) targets[at + o] = std::isnan(target[o]) ? 0.0 : target[o];
    newest = next_slot();
    steps = std::min(seen, settings.window);
    solved = false;
  }

  /// A step whose target is known.
  struct Step {
    const Real* increments;
    Index stride;
    const double* base;
    Used used;
    const double* target;
    double* mixed;      // the forecast
    double* increment;  // (d), what it adds to the base; or null
    double* shares;     // (4, d); or null
  };
  void forecast(const Step& step) {
    mixed(staged, step.mixed, step.increment);
    if (step.shares != nullptr) write_shares(step.shares);
  }
  /// Takes n consecutive steps, step_at(k): forecast, then settle. Processes exchange once for all
  /// steps. With rivals they exchange at every step, because the weights of the agents in the next
  /// step need the losses of all processes.
  template <class StepAt>
  void advance(Index n, const StepAt& step_at) {
    const bool at_once = !all_here() && !settings.rivals;
    for (Index k = 0; k < n && !at_once; ++k) {
      const Step step = step_at(k);
      stage(step.increments, step.stride, step.base, step.used);
      forecast(step);
      settle(step.target);
    }
    if (!at_once) return;
    others.require_whole();
    if (!own.due) sums.begin();
    std::vector<Index> dots, products;
    for (Index k = 0; k < n; ++k) {
      const Step step = step_at(k);
      dots.push_back(
          ask_dots(step.increments, step.stride, step.used, staged_increments.data(), k));
      find_shift(step.target, step.base);
      products.push_back(settings.window > 0 ? ask_own(next_slot(k)) : 0);
    }
    exchange_sums();
    for (Index k = 0; k < n; ++k) {
      const Step step = step_at(k);
      take_dots(dots[k], step.base, staged);
      forecast(step);
      count(step.target);
      if (settings.window == 0) continue;
      own.slot = newest, own.place = products[k];
      take_own();
    }
    is_staged = false;
  }

  void solve() {
    if (solved) return;
    require_own();
    find_weights();
    solved = true;
  }
  void find_weights() {
    const Index n = filled();
    level = settings.total / static_cast<double>(n_total);
    std::fill(dual.begin(), dual.end(), 0.0);
    std::fill(primal.begin(), primal.end(), 0.0);
    if (seen < least_steps || settings.window == 0) return;
    double squares = 0.0;
    for (Index r = 0; r < n; ++r) squares += gram_at(r, r);
    const double kappa = settings.absolute
                             ? settings.ridge
                             : settings.ridge * slow * squares / static_cast<double>(n);
    if (!(kappa > 0.0) || !std::isfinite(kappa)) return;
    for (Index slot = 0; slot < steps; ++slot)
      std::fill_n(root_decay.begin() + slot * d, d,
                  powers[(newest - slot + settings.window) % settings.window]);
    if (is_primal() ? solve_primal(kappa) : solve_dual(kappa)) return;
    // No solution: errors at the level of rounding, or overflow. Equal weights.
    level = settings.total / static_cast<double>(n_total);
    std::fill(dual.begin(), dual.end(), 0.0);
    std::fill(primal.begin(), primal.end(), 0.0);
  }

  /// Number of right-hand sides. If the weights sum to 1, the usual case, targets have no effect.
  Index sides() const { return settings.total != 1.0 ? 2 : 1; }
  double offset(Index r) const { return root_decay[r] * targets[r] * (1.0 - settings.total); }

  /// theory (6.4), (6.5): A = kappa I + Theta Theta', u_b = Theta' A^-1 rho,
  /// u_1 = (1 - Theta' A^-1 Theta 1) / kappa, u = u_b - ((1'u_b - total) / 1'u_1) u_1.
  bool solve_dual(double kappa) {
    const Index n = filled(), stride = stride_of(n);
    const auto on_ones = [&](Index r) { return root_decay[r] * row_sums[r]; };
    for (Index r = 0; r < n; ++r) {
      double* row = system.data() + r * stride;
      const double* products = gram.data() + r * rows;
      const double by = root_decay[r];
      std::fill(row + n, row + stride, 0.0);
      for (Index other = r / 8 * 8; other < n; ++other)
        row[other] = by * root_decay[other] * products[other];
      row[r] += kappa;
      row[n] = on_ones(r);
      if (sides() == 2) row[n + 1] = offset(r);
    }
    if (!kernels.solve_definite(system.data(), n, sides(), stride, found.data())) return false;
    const double* by_ones = found.data();
    const double* by_targets = sides() == 2 ? by_ones + stride : nullptr;
    double excess = -settings.total, rest = static_cast<double>(n_total);
    for (Index r = 0; r < n; ++r) {
      if (by_targets) excess += on_ones(r) * by_targets[r];
      rest -= on_ones(r) * by_ones[r];
    }
    const double scale = excess / rest;
    level = -scale;
    for (Index r = 0; r < n; ++r)
      dual[r] = root_decay[r] * ((by_targets ? by_targets[r] : 0.0) + scale * by_ones[r]);
    return std::isfinite(level) && std::all_of(dual.begin(), dual.begin() + n,
                                               [](double value) { return std::isfinite(value); });
  }

  /// The same u with N unknowns: A = kappa I + Theta' Theta, u_b = A^-1 Theta' rho, u_1 = A^-1 1.
  bool solve_primal(double kappa) {
    const Index stride = stride_of(N);
    double* a = system.data();
    std::fill_n(a, N * stride, 0.0);
    for (Index i = 0; i < N; ++i) a[i * stride + i] = kappa;
    for (Index first = 0; first < filled(); first += kScaledRows) {
      const Index count = std::min(kScaledRows, filled() - first);
      for (Index r = first; r < first + count; ++r)
        for (Index i = 0; i < N; ++i)
          scaled.data()[(r - first) * stride + i] = root_decay[r] * static_cast<double>(row(r)[i]);
      kernels.add_outer(a, scaled.data(), count, N, stride);
    }
    for (Index i = 0; i < N; ++i) {
      std::fill(a + i * stride + N, a + (i + 1) * stride, 0.0);
      a[i * stride + N] = 1.0;
    }
    for (Index r = 0; r < filled() && sides() == 2; ++r)
      for (Index i = 0; i < N; ++i)
        a[i * stride + N + 1] += offset(r) * root_decay[r] * static_cast<double>(row(r)[i]);
    if (!kernels.solve_definite(a, N, sides(), stride, found.data())) return false;
    const double* by_ones = found.data();
    const double* by_targets = sides() == 2 ? by_ones + stride : nullptr;
    double excess = -settings.total, sum = 0.0, size = 0.0;
    for (Index i = 0; i < N; ++i) {
      if (by_targets) excess += by_targets[i];
      sum += by_ones[i];
    }
    level = 0.0;
    for (Index i = 0; i < N; ++i) {
      primal[i] = (by_targets ? by_targets[i] : 0.0) - excess / sum * by_ones[i];
      size += std::abs(primal[i]);
    }
    return std::isfinite(size);
  }

  /// The weights of the agents [first, first + count).
  void weights(Index first, Index count, double* out) {
    std::fill_n(out, count, level);
    if (is_primal()) {
      for (Index i = 0; i < count; ++i) out[i] += primal[first + i];
      return;
    }
    for (Index r = 0; r < filled(); ++r) {
      const Real* of_row = row(r) + first;
      for (Index i = 0; i < count; ++i) out[i] += dual[r] * of_row[i];
    }
  }

  // ------------------------------------------------------------------ the memory

  /// Call it after a memory was loaded. Throws if the memory's numbers are not valid.
  void refresh() {
    steps = std::min(seen, settings.window);
    is_staged = solved = own.due = false;
    past.validate();
    for (Index o = 0; o < d && settings.rivals; ++o) {
      const double* losses = agent_losses.data() + o * N;
      const double least = *std::min_element(losses, losses + N);
      const bool knows_all = all_here() && !is_part;
      if (knows_all ? least != least_agent_loss[o] : !(least >= least_agent_loss[o]))
        throw std::invalid_argument("memory.rivals holds no least loss of the agents");
    }
  }

  /// move(field, where the state stores it) for every field of the memory.
  template <class Memory, class Move>
  void exchange(Memory& memory, const Move& move) {
    move(memory.steps, seen);
    move(memory.newest, newest);
    move(memory.errors, errors.data(), errors.size());
    move(memory.targets, targets.data(), rows);
    move(memory.gram, gram.data(), rows * rows);
    move(memory.row_sums, row_sums.data(), rows);
    move(memory.last, last.data(), d);
    move(memory.losses, losses.data(), 7 * d);
    if (!settings.rivals) return;
    move(memory.agent_losses, agent_losses.data(), d * N);
    move(memory.rivals, detail::agent_view(d, 14, [&](Index k, Index o) -> double& {
           return k == 0   ? counted_losses[o]
                  : k == 1 ? least_agent_loss[o]
                           : rivals[o].number(k - 2);
         }));
    move(memory.past, detail::agent_view(1, past.size(), [&](Index k, Index) -> double& {
           return past.number(k);
         }));
  }
};

}  // namespace memoa
