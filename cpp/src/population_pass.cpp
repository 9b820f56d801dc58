#include "detail/population_pass.hpp"

#include <algorithm>
#include <cmath>
#include <variant>

#include "detail/encoding.hpp"

namespace memoa::detail {
namespace {

/// 0 if nobody counts: the increment of the base.
double mean_of(double sum, double count) { return count != 0.0 ? sum / count : 0.0; }

}  // namespace

template <class Real>
Pass<Real>::Pass(const PopulationSettings& settings, const Layout<Real>& layout,
                 const Records<Real>& records, Kept<Real>& kept, Exchange& exchange)
    : settings_(settings),
      layout_(layout),
      records_(records),
      kept_(kept),
      kernels_(detail::kernels<Real>()),
      judges_(judges(settings)),
      crowd_(settings, layout),
      exchange_(exchange),
      sums_(exchange) {
  const Index sums = std::max(layout.d + 2, kCensusSums * layout.d);
  const Index d = layout.d;
  const auto resize = [](auto& values, Index size) {
    values.resize(static_cast<std::size_t>(size));
  };
  Index work = 0, chunks = 0;
  for (const Group& group : layout.groups) {
    work = std::max(work, kernels_.work_size(group.record));
    chunks += group.chunks;
  }
  for (int thread = 0; thread < layout.n_threads; ++thread) {
    work_.emplace_back(work);
    if (!layout.is_mixed()) continue;
    apart_.push_back({Buffer<Real>(kTile * d * kChunkAgents), Buffer<Real>(kTile * kChunkAgents),
                      Buffer<Real>(d * kChunkAgents),
                      std::vector<double>(static_cast<std::size_t>(kTile * (d + 1)))});
  }
  resize(partial_, layout.chunks * kTile * sums);
  resize(worst_, layout.chunks * kTile);
  resize(overflowed_, std::max(chunks, layout.chunks) * kTile);
  sums_.reserve(kTile * (sums + 1), judges_ ? (1 + kTile * (d + 1)) * crowd_.size() : 0);
  resize(energies_, judges_ ? layout.chunks * kTile : 0);
  resize(means_, kTile * (d + 1));
  resize(mean_, kTile * d);
  resize(cbar_, kTile * d);
  resize(pull_, kTile * d);
  resize(games_, kTile);
  resize(responses_, kTile);
}

template <class Real>
void Pass<Real>::reserve_awake() {
  awake_.resize(static_cast<std::size_t>(layout_.chunks * kTile));
}

template <class Real>
double Pass<Real>::step_work() const {
  double work = 0.0;
  for (const Group& group : layout_.groups) {
    const auto p = static_cast<double>(group.record.p);
    const auto row_size = static_cast<double>(group.record.row_size);
    work += p * (p * p / 3.0 + 2.0 * p + row_size) * static_cast<double>(group.n);
  }
  return work / static_cast<double>(layout_.N);
}

template <class Real>
std::size_t Pass<Real>::bytes() const {
  return (partial_.size() + worst_.size()) * sizeof(double) + overflowed_.size() * sizeof(Size);
}

template <class Real>
void Pass<Real>::run(const Window<Real>& w, Lesson<Real>& lesson, bool follows) {
  steps_ = w.steps, has_sleepers_ = w.awake != nullptr;
  watched_ = layout_.chunks;
  if (!w.told && layout_.is_mixed()) {
    watched_ = 0;
    for (const Group& group : layout_.groups) watched_ += group.chunks;
  }
  const double work = step_work() * static_cast<double>(w.steps);
  const bool answers = judges_ || !greedy();
  // The costs need the old increments, which the pass overwrites.
  if (layout_.is_mixed() && !w.told) settle_costs(lesson);
  const auto forecasts = [&](const Worker& worker) { forecast_all(w, lesson, worker); };
  const auto answer = [&](const Worker& worker) {
    worker.chunks(layout_.chunks, [&](Index chunk) {
      if (judges_)
        take_census(w, chunk);
      else
        respond(w, chunk);
    });
  };
  const auto find_means = [&] {
    add_answers();
    if (!follows) find_mean_fields(nullptr);
  };
  const auto acts = [&](const Worker& worker) {
    worker.chunks(layout_.chunks, [&](Index chunk) { act(w, chunk); });
  };
  if (exchange_.alone()) {
    layout_.on_threads(work, [&](const Worker& worker) {
      forecasts(worker);
      worker.alone([&] { find_responses(w); });
      if (answers) {
        answer(worker);
        worker.alone(find_means);
      }
      if (!follows) acts(worker);
    });
  } else {  // exchanges must happen on the calling thread
    layout_.on_threads(work, forecasts);
    find_responses(w);
    if (answers) {
      layout_.on_threads(work, answer);
      find_means();
    }
    if (!follows) layout_.on_threads(work, acts);
  }
  lesson.to_records = lesson.to_costs = false;
}

template <class Real>
void Pass<Real>::play(const Window<Real>& w, const double* field) {
  find_mean_fields(field);
  constexpr double kWorkOfAgent = 10.0;
  layout_.on_threads(kWorkOfAgent * static_cast<double>(w.steps), [&](const Worker& worker) {
    worker.chunks(layout_.chunks, [&](Index chunk) { act(w, chunk); });
  });
}

template <class Real>
void Pass<Real>::settle(Lesson<Real>& lesson) {
  settle_costs(lesson);
  if (!lesson.to_records) return;
  Window<Real> none;
  none.change = lesson.bounded.data();
  layout_.on_threads(step_work(),
                     [&](const Worker& worker) { forecast_all(none, lesson, worker); });
  lesson.to_records = false;
}

template <class Real>
void Pass<Real>::settle_costs(Lesson<Real>& lesson) {
  if (!lesson.to_costs) return;
  layout_.each_chunk(10.0, [&](Index first, Index last) { charge(lesson, first, last); });
  lesson.to_costs = false;
}

template <class Real>
void Pass<Real>::charge(const Lesson<Real>& lesson, Index first, Index last) {
  kernels_.charge(kept_.increment.data(), layout_.padded, lesson.change.data(), layout_.d,
                  kept_.cost.data(), first, last, lesson.awake_or_all(), kept_.missed.data());
  if (judges_)
    kernels_.remember(kept_.forecast.data(), layout_.padded, lesson.change.data(), layout_.d,
                      Crowd<Real>::kForgetting, lesson.largest_loss, kept_.recent_loss.data(),
                      first, last, lesson.awake_or_all());
}

/// This thread's part of theory section 6, steps 1 and 2, for all agents. The records of a group
/// are stored together, but forecasts are stored by the agents' own numbers, and chunks of sums are
/// chunks of these numbers.
template <class Real>
void Pass<Real>::forecast_all(const Window<Real>& w, const Lesson<Real>& lesson,
                              const Worker& worker) {
  const auto each_chunk = [&](const auto& body) { worker.chunks(layout_.chunks, body); };
  if (w.told) return each_chunk([&](Index chunk) { add_told(w, chunk); });
  if (!layout_.is_mixed())
    return each_chunk([&](Index chunk) { forecast(w, lesson, chunk, worker.thread); });
  Size* bad = overflowed_.data();
  for (const Group& group : layout_.groups) {
    worker.chunks(group.chunks, [&](Index chunk) {
      forecast_apart(w, lesson, group, chunk, bad + chunk * w.steps, worker.thread);
    });
    bad += group.chunks * w.steps;
  }
  if (w.steps == 0) return;
  worker.meet();
  each_chunk([&](Index chunk) { gather(w, chunk); });
}

/// The arguments of a pass over a group's agents, without the pointers to their memory.
template <class Real>
Advance<Real> Pass<Real>::advance_of(const Group& group, const Window<Real>& w,
                                     const Lesson<Real>& lesson) const {
  const auto* echo = std::get_if<EchoState>(&group.encoder);
  Advance<Real> a;
  a.record = &group.record;
  a.norm = feature_norm(group.encoder, group.record.p);
  a.leak = echo ? echo->leak : 0.0;
  a.steps = w.steps;
  a.learn_first = lesson.to_records;
  a.keep_last = w.keep_last;
  a.learn_x = lesson.x.data();
  a.change = w.change;
  const auto& learnt = lesson.change;
  const bool misses = lesson.to_records && kept_.forecast.size() > 0 &&
                      std::any_of(learnt.begin(), learnt.end(), [](Real v) { return v != v; });
  a.before = misses ? kept_.forecast.data() : nullptr;
  a.x = w.x;
  a.bound = w.bound;
  return a;
}

/// The agents of a chunk, if all have the same encoder.
template <class Real>
void Pass<Real>::forecast(const Window<Real>& w, const Lesson<Real>& lesson, Index chunk,
                          int thread) {
  const Group& all = layout_.groups.front();
  Advance<Real> a = advance_of(all, w, lesson);
  a.records = records_.data(all);
  a.n_agents = layout_.N;
  a.types = records_.types(all);
  a.given = w.given;
  a.forecast = w.shown;
  a.energy = w.energy;
  a.padded = layout_.padded;
  a.forecast_stride = layout_.d * layout_.padded;
  a.energy_stride = layout_.padded;
  a.sums = partial_.data() + chunk * w.steps * (layout_.d + 1);
  a.bad = overflowed_.data() + chunk * w.steps;
  a.work = work_[thread].data();
  layout_.of_chunk(chunk, [&](Index first, Index last) {
    if (lesson.to_costs) charge(lesson, first, last);  // before the increments are overwritten
    kernels_.advance(a, first, last);
    if (w.awake != nullptr && w.steps > 0) count_awake(w, chunk);
    take_last(w, first, last);
  });
}

/// A chunk of a group's agents. The kernels see this chunk as if it were a whole population.
template <class Real>
void Pass<Real>::forecast_apart(const Window<Real>& w, const Lesson<Real>& lesson,
                                const Group& group, Index chunk, Size* bad, int thread) {
  const Index d = layout_.d, padded = layout_.padded, begin = chunk * kChunkAgents,
              n = std::min(kChunkAgents, group.n - begin);
  const auto place = [&](Index agent) { return group.first + (begin + agent) * group.step; };
  Apart& apart = apart_[static_cast<std::size_t>(thread)];
  Advance<Real> a = advance_of(group, w, lesson);
  a.records = records_.data(group, chunk);
  a.n_agents = group.n - begin;
  a.types = records_.types(group, chunk);
  a.forecast = apart.forecast.data();
  a.energy = apart.energy.data();
  a.padded = a.energy_stride = kChunkAgents;
  a.forecast_stride = d * kChunkAgents;
  a.sums = apart.sums.data();
  a.bad = bad;
  a.work = work_[thread].data();
  if (a.before != nullptr) {
    for (Index o = 0; o < d; ++o) {
      Real* before = apart.before.data() + o * kChunkAgents;
      for (Index agent = 0; agent < n; ++agent) before[agent] = a.before[o * padded + place(agent)];
      std::fill(before + n, before + kChunkAgents, Real(0));  // lanes beyond the last agent
    }
    a.before = apart.before.data();
  }
  kernels_.advance(a, 0, std::min(kChunkAgents, group.padded - begin));
  for (Index step = 0; step < w.steps; ++step) {
    bad[step] = bad[step] < a.n_agents ? place(bad[step]) : layout_.N;
    const Real* energy = a.energy + step * a.energy_stride;
    for (Index agent = 0; agent < n; ++agent)
      w.energy[step * padded + place(agent)] = energy[agent];
    for (Index o = 0; o < d; ++o) {
      const Real* forecast = a.forecast + (step * d + o) * kChunkAgents;
      Real* shown = w.shown + (step * d + o) * padded;
      for (Index agent = 0; agent < n; ++agent) shown[place(agent)] = forecast[agent];
    }
  }
}

/// Stores the last forecasts if some outputs can be missing while others are not.
template <class Real>
void Pass<Real>::take_last(const Window<Real>& w, Index first, Index last) {
  if (layout_.d == 1 || w.steps == 0 || !w.keep_last) return;
  for (Index o = 0; o < layout_.d; ++o) {
    const Real* shown = w.shown + ((w.steps - 1) * layout_.d + o) * layout_.padded;
    std::copy(shown + first, shown + last, kept_.forecast.data() + o * layout_.padded + first);
  }
}

/// A chunk of all agents, after the groups have made their forecasts.
template <class Real>
void Pass<Real>::gather(const Window<Real>& w, Index chunk) {
  const Index N = layout_.N, padded = layout_.padded;
  layout_.of_chunk(chunk, [&](Index first, Index last) {
    for (Index step = 0; step < w.steps && last > N; ++step) {  // lanes beyond the last agent
      for (Index o = 0; o < layout_.d; ++o) {
        Real* shown = w.shown + (step * layout_.d + o) * padded;
        std::fill(shown + N, shown + last, Real(0));
      }
      std::fill(w.energy + step * padded + N, w.energy + step * padded + last, Real(0));
    }
    take_last(w, first, last);
  });
  if (w.awake != nullptr)
    count_awake(w, chunk);
  else
    add_forecasts(w, chunk);
}

/// A chunk of agents whose forecasts come from elsewhere.
template <class Real>
void Pass<Real>::add_told(const Window<Real>& w, Index chunk) {
  add_forecasts(w, chunk);
  std::fill_n(overflowed_.begin() + chunk * w.steps, w.steps, layout_.N);
}

/// A chunk in which some agents are away: the sums over the others, and their number. If agents are
/// not judged, the mixture uses exactly those that are awake.
template <class Real>
void Pass<Real>::count_awake(const Window<Real>& w, Index chunk) {
  const Index d = layout_.d, padded = layout_.padded;
  add_forecasts(w, chunk);
  layout_.of_chunk(chunk, [&](Index first, Index last) {
    for (Index step = 0; step < w.steps; ++step) {
      const unsigned char* awake = w.awake + step * padded;
      awake_[chunk * w.steps + step] =
          static_cast<double>(std::count(awake + first, awake + last, 1));
      for (Index o = 0; o < d && !judges_; ++o)
        std::copy(awake + first, awake + last, w.used + (step * d + o) * padded + first);
    }
  });
}

/// The sums of a chunk's forecasts and energies, lane by lane as `advance` computes them.
template <class Real>
void Pass<Real>::add_forecasts(const Window<Real>& w, Index chunk) {
  constexpr Index kLanes = Layout<Real>::kLanes;
  const Index d = layout_.d, padded = layout_.padded;
  layout_.of_chunk(chunk, [&](Index first, Index last) {
    for (Index step = 0; step < w.steps; ++step) {
      const unsigned char* awake = w.awake != nullptr ? w.awake + step * padded : nullptr;
      for (Index o = 0; o <= d; ++o) {
        const Real* values = o < d ? w.shown + (step * d + o) * padded : w.energy + step * padded;
        Real totals[kLanes] = {};
        for (Index i = first; i < last; ++i)
          if (awake == nullptr || awake[i]) totals[(i - first) % kLanes] += values[i];
        double sum = 0.0;
        for (const Real total : totals) sum += static_cast<double>(total);
        partial_[(chunk * w.steps + step) * (d + 1) + o] = sum;
      }
    }
  });
}

/// Requests the sums over agents, `width` of them for every step.
template <class Real>
void Pass<Real>::add_partials(Index width) {
  sums_.add(partial_.data(), layout_.chunks, steps_ * width);
}

/// Number of agents in a chunk.
template <class Real>
double Pass<Real>::agents_of(Index chunk) const {
  return static_cast<double>(std::min(kChunkAgents, layout_.N - chunk * kChunkAgents));
}

/// Number of agents in a chunk that are awake.
template <class Real>
double Pass<Real>::awake_in(Index chunk, Index step) const {
  return has_sleepers_ ? awake_[chunk * steps_ + step] : agents_of(chunk);
}

/// Number of agents that count in the means of a step.
template <class Real>
double Pass<Real>::awake_at(Index step) const {
  if (!has_sleepers_) return static_cast<double>(layout_.total);
  double n = 0.0;
  for (Index chunk = 0; chunk < layout_.chunks; ++chunk) n += awake_[chunk * steps_ + step];
  return n;
}

/// Requests the sums of the 16th powers of the chunks' mean energies. The 16th root of such a sum
/// is an upper bound of every chunk's mean energy.
template <class Real>
void Pass<Real>::ask_largest_energies() {
  const Index d = layout_.d;
  for (Index chunk = 0; chunk < layout_.chunks; ++chunk)
    for (Index step = 0; step < steps_; ++step) {
      double power = partial_[(chunk * steps_ + step) * (d + 1) + d] / agents_of(chunk);
      for (int squarings = 0; squarings < 4; ++squarings) power *= power;
      energies_[chunk * steps_ + step] = power;
    }
  sums_.add(energies_.data(), layout_.chunks, steps_);
}

/// Sums of energies in which no chunk counts for more than the jury allows. They need another
/// exchange, except if all chunks of the window are known to be below this limit.
template <class Real>
void Pass<Real>::bound_energies() {
  const Index d = layout_.d, steps = steps_;
  bool below = !exchange_.alone();
  for (Index step = 0; step < steps && below; ++step) {
    const double power = sums_[steps * (d + 1) + step];
    below = power > 1e-280 && std::pow(power, 1.0 / 16.0) * 1.000001 < crowd_.largest_energy(step);
  }
  if (below) return;
  for (Index chunk = 0; chunk < layout_.chunks; ++chunk)
    for (Index step = 0; step < steps; ++step)
      energies_[chunk * steps + step] =
          std::min(partial_[(chunk * steps + step) * (d + 1) + d],
                   crowd_.largest_energy(step) * awake_in(chunk, step));
  sums_.begin();
  sums_.add(energies_.data(), layout_.chunks, steps);
  sums_.exchange();
  for (Index step = 0; step < steps; ++step)
    means_[step * (d + 1) + d] = mean_of(sums_[step], awake_at(step));
}

/// Finds each step's limits of the crowd, and solves the game of theory (6.1) from the means of the
/// forecasts and of |z|^2.
template <class Real>
void Pass<Real>::find_responses(const Window<Real>& w) {
  const Index d = layout_.d;
  sums_.begin();
  agree_on(w);
  add_partials(d + 1);
  if (judges_) {
    if (!exchange_.alone() && !greedy()) ask_largest_energies();
    crowd_.ask(sums_, w.steps, kept_.recent_loss.data(), w.shown, w.energy);
  }
  sums_.exchange();
  for (Index step = 0; step < w.steps; ++step) {
    const double count = awake_at(step);
    for (Index j = step * (d + 1); j < (step + 1) * (d + 1); ++j)
      means_[j] = mean_of(sums_[j], count);
  }
  const auto awake = [&](Index step) {
    return w.awake != nullptr ? w.awake + step * layout_.padded : nullptr;
  };
  if (judges_) {
    crowd_.hear(sums_);
    for (Index step = 0; step < w.steps; ++step)
      crowd_.look(step, w.learnt + step, w.next ? w.next + step * d : nullptr, awake(step),
                  awake_at(step));
    if (!greedy()) bound_energies();  // greedy agents do not use them
  }
  for (Index step = 0; step < w.steps; ++step) {
    const double* means = &means_[step * (d + 1)];
    std::copy_n(means, d, &cbar_[step * d]);
    responses_[step].n_agents = layout_.N;
    responses_[step].d = d;
    responses_[step].padded = layout_.padded;
    responses_[step].awake = awake(step);
    if (greedy()) {
      std::copy_n(means, d, &mean_[step * d]);
      continue;
    }
    const RelativeStage g = games_[step] = relative_game(
        means[d], settings_.horizon, settings_.discount, settings_.consensus, settings_.effort);
    Response<Real>& r = responses_[step];
    r.price = static_cast<Real>(std::min(g.price, 1e30));  // far above any energy; fits a float
    r.share = static_cast<Real>(g.share);
    r.own = static_cast<Real>(g.own);
    r.pull = &pull_[step * d];
  }
}

/// Requires that the calls and data of this window are the same in all processes.
template <class Real>
void Pass<Real>::agree_on(const Window<Real>& w) {
  const bool series = w.next != nullptr;
  const double calls[] = {static_cast<double>(w.learnt), series ? 1.0 : 0.0,
                          w.keep_last ? 1.0 : 0.0};
  sums_.agree("the sequence of calls", calls, 3);
  if (layout_.dx > 0) sums_.agree(series ? "X" : "x", w.raw, w.steps * layout_.dx);
  sums_.agree(series ? "initial, or a y seen before," : "y, or initial,", w.base, layout_.d);
  if (series) sums_.agree("Y", w.targets, w.steps * layout_.d);
}

template <class Real>
void Pass<Real>::respond(const Window<Real>& w, Index chunk) {
  const Index d = layout_.d, padded = layout_.padded;
  layout_.of_chunk(chunk, [&](Index first, Index last) {
    for (Index step = 0; step < w.steps; ++step)
      kernels_.respond(responses_[step], w.shown + step * d * padded, w.energy + step * padded,
                       first, last, &partial_[(chunk * w.steps + step) * (d + 2)]);
  });
}

/// Theory (6.9) and (6.10): the sums over the agents that count, and which agents the mixture uses.
template <class Real>
void Pass<Real>::take_census(const Window<Real>& w, Index chunk) {
  const Index d = layout_.d, padded = layout_.padded, width = kCensusSums * d;
  double* recent_loss = kept_.recent_loss.data();
  layout_.of_chunk(chunk, [&](Index first, Index last) {
    for (Index step = 0; step < w.steps; ++step) {
      const Census<Real>& census = crowd_.census(step);
      const Real* forecast = w.shown + step * d * padded;
      kernels_.census(census, responses_[step], forecast, w.energy + step * padded, recent_loss,
                      w.used + step * d * padded, first, last,
                      &partial_[(chunk * w.steps + step) * width]);
      if (w.next != nullptr)
        kernels_.remember(forecast, padded, w.next + step * d, d, Crowd<Real>::kForgetting,
                          census.largest, recent_loss, first, last, responses_[step].awake);
      for (Index o = 0; o < d && w.next == nullptr && w.keep_last; ++o)
        std::copy(forecast + o * padded + first, forecast + o * padded + last,
                  kept_.forecast.data() + o * padded + first);
    }
  });
}

/// Adds up the sums over the agents that count, for every step, and finds the means of their own
/// forecasts.
template <class Real>
void Pass<Real>::add_answers() {
  const Index d = layout_.d, width = judges_ ? kCensusSums * d : d + 2;
  sums_.begin();
  add_partials(width);
  sums_.exchange();
  for (Index step = 0; step < steps_ && judges_; ++step)
    for (Index o = 0; o < d; ++o) {
      const double* counted = sums_.at(step * width + kCensusSums * o);
      cbar_[step * d + o] = mean_of(counted[0], counted[4]);
    }
}

/// The mean field of theory (6.2), or that of (6.17) if agents follow a `field` (steps, d), and the
/// mean of what agents show.
template <class Real>
void Pass<Real>::find_mean_fields(const double* field) {
  const Index d = layout_.d, width = judges_ ? kCensusSums * d : d + 2;
  for (Index step = 0; step < steps_; ++step) {
    const RelativeStage& g = games_[step];
    const double* sums = sums_.at(step * width);
    for (Index o = 0; o < d; ++o) {
      const Index at = step * d + o;
      double& mean = mean_[at] = cbar_[at];
      if (greedy()) continue;
      const double* census = &sums[kCensusSums * o];
      // of the agents that count: of s c, of s, and of the denominator of (6.2)
      const double forecasts = judges_ ? census[1] : sums[o],
                   strength = judges_ ? census[2] : sums[d],
                   rest = judges_ ? census[3] : sums[d + 1];
      if (field == nullptr) {
        const double toward_mean = (g.share - g.own) * cbar_[at];
        mean = mean_of(g.own * forecasts + toward_mean * strength, rest);
        pull_[at] = static_cast<Real>((1.0 - g.share) * mean + toward_mean);
      } else {
        const double pull = (1.0 - g.own) * field[at];
        const double n = judges_ ? census[4] : awake_at(step);
        mean = mean_of(g.own * forecasts + pull * strength, n);
        pull_[at] = static_cast<Real>(pull);
      }
    }
  }
}

/// Increments of the chunk's agents by (6.2), and their costs if the outcomes are known. The
/// increments of the window's last step are stored.
template <class Real>
void Pass<Real>::act(const Window<Real>& w, Index chunk) {
  const Index d = layout_.d, padded = layout_.padded;
  layout_.of_chunk(chunk, [&](Index first, Index last) {
    for (Index step = 0; step < w.steps; ++step) {
      Real* shown = w.increment + step * d * padded;
      const Real* forecast = w.shown + step * d * padded;
      const Real* energy = w.energy + step * padded;
      if (!greedy()) kernels_.act(responses_[step], forecast, energy, shown, first, last);
      for (Index o = 0; o < d && greedy() && shown != forecast; ++o)
        std::copy(forecast + o * padded + first, forecast + o * padded + last,
                  shown + o * padded + first);
      if (w.next == nullptr) continue;
      kernels_.charge(shown, padded, w.next + step * d, d, kept_.cost.data(), first, last,
                      responses_[step].awake, kept_.missed.data());
      if (w.want_worst)
        worst_[chunk * w.steps + step] = kernels_.worst(kept_.cost.data(), kept_.at_mark.data(),
                                                        first, std::min(last, layout_.N));
      if (step + 1 < w.steps || shown == kept_.increment.data()) continue;
      for (Index o = 0; o < d; ++o)
        std::copy(shown + o * padded + first, shown + o * padded + last,
                  kept_.increment.data() + o * padded + first);
      std::copy(energy + first, energy + last, kept_.energy.data() + first);
    }
  });
}

template <class Real>
double Pass<Real>::worst(Index step) const {
  double worst = 0.0;
  for (Index chunk = 0; chunk < layout_.chunks; ++chunk)
    worst = std::max(worst, worst_[chunk * steps_ + step]);
  return worst;
}

template <class Real>
Index Pass<Real>::overflowed(Index step) const {
  Size agent = layout_.N;
  for (Index chunk = 0; chunk < watched_; ++chunk)
    agent = std::min(agent, overflowed_[chunk * steps_ + step]);
  return agent < layout_.N ? agent : -1;
}

template class Pass<double>;
template class Pass<float>;

}  // namespace memoa::detail
