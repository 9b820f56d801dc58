#include "detail/population_state.hpp"

#include <algorithm>
#include <cmath>

#include "detail/interrupt.hpp"
#include "detail/missing.hpp"

namespace memoa {

using detail::kTile;

template <class Real>
BasicPopulation<Real>::State::State(PopulationSettings s)
    : settings(std::move(s)),
      layout(settings),
      others(settings.shard),
      records(settings, layout),
      kept(layout, judges(settings)),
      pass(settings, layout, records, kept, others),
      waiting(settings, layout),
      inputs(settings),
      glanced(settings) {
  const Index d = layout.d, dx = layout.dx, encoded = layout.encoded;
  const auto resize = [](auto& values, Index size) {
    values.resize(static_cast<std::size_t>(size));
  };
  for (auto* v : {&base, &shown_base, &mean_field, &known}) resize(*v, d);
  resize(bases, (kTile + 1) * d);
  resize(lesson.x, encoded);
  resize(lesson.change, d);
  resize(lesson.bounded, d);
  resize(changes, kTile * d);
  resize(fields, kTile * d);
  for (auto* some : {&inputs, &glanced}) {
    some->learnt = some->counted = Standardiser(dx);
    resize(some->one, encoded);
    resize(some->rows, kTile * encoded);
    resize(some->bounds, kTile * d);
    resize(some->learnt_changes, kTile * d);
  }
  for (const detail::Group& group : layout.groups) draw(group);
  layout.each_chunk(100.0, [&](Index first, Index last) {
    for (Index o = 0; o < d; ++o)
      std::fill_n(kept.increment.data() + o * layout.padded + first, last - first, Real(0));
    std::fill_n(kept.energy.data() + first, last - first, Real(0));
    if (judges(settings)) std::fill_n(kept.recent_loss.data() + first, last - first, 0.0);
    std::fill_n(kept.cost.data() + first, last - first, 0.0);
  });
}

/// Each thread is the first to touch its part of the memory, so its pages are near the thread.
template <class Real>
void BasicPopulation<Real>::State::draw(const detail::Group& group) {
  const bool echo = group.record.features == detail::Features::echo;
  const Index p = group.record.p;
  const double work =
      static_cast<double>(p * layout.encoded + (echo ? 10 * p * p * p : 0)) * 50.0 + 100;
  constexpr Index kBlock = detail::Layout<Real>::kLanes;  // agents that share a record
  detail::Stop stop;
  layout.on_threads(work, [&](const detail::Worker& worker) {
    worker.chunks(group.chunks, [&](Index chunk) {
      const Index first = chunk * detail::kChunkAgents,
                  last = std::min(first + detail::kChunkAgents, group.padded);
      for (Index block = first; block < last; block += kBlock)
        stop.guard([&] {
          detail::poll(work * static_cast<double>(kBlock));
          records.draw(settings, group, block, std::min(block + kBlock, last));
        });
    });
  });
  stop.rethrow();
}

template <class Real>
void BasicPopulation<Real>::State::require_input(const double* x) const {
  if (layout.dx > 0)
    detail::require_moderate_or_missing("x", x, {layout.dx}, kLargest<double>);
  else
    require_finite("x", x, {layout.N, layout.p});
}

template <class Real>
void BasicPopulation<Real>::State::require_inputs(const double* values, Index n) const {
  if (layout.dx > 0)
    detail::require_moderate_or_missing("X", values, {n, layout.dx}, kLargest<double>);
  else
    require_finite("X", values, {n, layout.N, layout.p});
}

template <class Real>
void BasicPopulation<Real>::State::observe(const double* y) {
  bool all = true;
  for (Index o = 0; o < layout.d; ++o) {
    if (!std::isnan(y[o])) base[o] = y[o], known[o] = 1;
    all = all && (known[o] != 0 || has_seen != 0);
  }
  has_seen = all ? 1 : 0;
  if (all) inputs.past.observe(base.data());
  forget_shown();
}

template <class Real>
void BasicPopulation<Real>::State::show_nothing() {
  std::fill_n(kept.increment.data(), layout.d * layout.padded, Real(0));
  std::fill_n(kept.energy.data(), layout.padded, Real(0));
  for (auto* v : {&shown_base, &mean_field}) std::fill(v->begin(), v->end(), 0.0);
  forget_shown();
  awake = nullptr;
  pending = true;
}

template <class Real>
void BasicPopulation<Real>::State::bound_change(const Past& past, const double* y,
                                                const double* before, Real* out) const {
  for (Index o = 0; o < layout.d; ++o) {
    const double change = y[o] - before[o];
    out[o] = static_cast<Real>(settings.bounded ? past.bounded(o, change) : change);
  }
}

/// Theory section 6, step 1: each input is added to the running moments, then standardised. The
/// past of y is appended.
template <class Real>
void BasicPopulation<Real>::State::encode(const double* x, Index n, const double* targets,
                                          Inputs& into) {
  const Index dx = layout.dx, d = layout.d;
  const auto before = [&](Index t) { return bases.data() + t * d; };
  into.counted = inputs.learnt;
  if (remembers(settings)) into.with_shown = inputs.past;
  std::copy(lesson.bounded.begin(), lesson.bounded.end(), into.learnt_changes.begin());
  for (Index t = 0; t < n; ++t) {
    if (dx > 0) {
      into.counted.count(x + t * dx);
      into.counted.apply(x + t * dx, into.one.data());
      if (layout.encoded > dx) into.with_shown.inputs(into.one.data() + dx);
    }
    std::transform(into.one.begin(), into.one.end(), into.rows.begin() + t * layout.encoded,
                   [](double v) { return static_cast<Real>(v); });
    if (t + 1 < n)
      bound_change(into.with_shown, targets + t * d, before(t), &into.learnt_changes[(t + 1) * d]);
    if (!remembers(settings)) continue;
    for (Index o = 0; o < d; ++o)
      into.bounds[t * d + o] = static_cast<Real>(into.with_shown.largest()[o]);
    if (t + 1 < n) into.with_shown.learn(targets + t * d, before(t));
  }
}

template <class Real>
void BasicPopulation<Real>::State::reserve(Index n) {
  // Allocate everything before anything is replaced, so that a failure changes nothing.
  const Index numbers = n * layout.d * layout.padded;
  if (keeps_forecasts && tile_forecast.size() < numbers)
    tile_forecast = detail::Buffer<Real>(numbers);
  if (tile_energy.size() >= n * layout.padded) return;
  detail::Buffer<Real> increments(numbers), energies(n * layout.padded);
  detail::Buffer<unsigned char> used(judges(settings) ? numbers : 0);
  tile_increment = std::move(increments);
  tile_energy = std::move(energies);
  tile_used = std::move(used);
}

template <class Real>
void BasicPopulation<Real>::State::reserve_sleep(Index n) {
  const Index padded = layout.padded, numbers = judges(settings) ? 0 : layout.d * padded;
  if (tile_awake.size() >= n * padded) return;
  using Bytes = detail::Buffer<unsigned char>;
  using Numbers = detail::Buffer<double>;
  const bool first = kept.missed.size() == 0;
  const Index once = first ? padded : 0;
  Bytes tile(n * padded), of_tile(n * numbers), one(once), of_one(first ? numbers : 0), past(once);
  Numbers missed(once), at_mark(once), away(once);
  pass.reserve_awake();  // the last call that may fail
  tile_awake = std::move(tile), awake_used = std::move(of_tile);
  if (!first) return;
  for (auto* values : {&missed, &at_mark, &away}) std::fill_n(values->data(), padded, 0.0);
  one_awake = std::move(one), one_used = std::move(of_one), lesson.awake = std::move(past);
  kept.missed = std::move(missed), kept.missed_at_mark = std::move(at_mark);
  kept.away = std::move(away);
}

template <class Real>
const unsigned char* BasicPopulation<Real>::State::take(const unsigned char* present, Index n,
                                                        unsigned char* into) const {
  if (present == nullptr) return nullptr;
  for (Index t = 0; t < n; ++t) {
    unsigned char* row = into + t * layout.padded;
    const unsigned char* from = present + t * layout.N;
    for (Index i = 0; i < layout.padded; ++i) row[i] = i < layout.N && from[i] != 0 ? 1 : 0;
  }
  return into;
}

template <class Real>
bool BasicPopulation<Real>::State::keeps_sleep() const {
  // The padding counts as away, so it is left out.
  const auto some = [this](const detail::Buffer<double>& values) {
    const double* first = values.data();
    return values.size() > 0 &&
           std::any_of(first, first + layout.N, [](double v) { return v != 0.0; });
  };
  return awaits_sleep || some(kept.missed) || some(kept.away);
}

template <class Real>
void BasicPopulation<Real>::State::require_sleep() const {
  if (is_late())
    throw std::invalid_argument("awake was given, but delay is " +
                                std::to_string(settings.past.delay) +
                                "; expected all agents to be awake if y arrives late");
  if (!others.alone())
    throw std::invalid_argument(
        "awake was given, but several processes share the agents; expected all of them in one");
}

template <class Real>
void BasicPopulation<Real>::State::forget_shown() {
  pending = false;
  std::fill_n(kept.away.data(), kept.away.size(), 0.0);
}

template <class Real>
void BasicPopulation<Real>::State::keep_shown() {
  pending = true;
  for (Index i = 0; i < layout.N && awake != nullptr; ++i)
    kept.away.data()[i] = awake[i] == 0 ? 1.0 : 0.0;
}

template <class Real>
std::vector<unsigned char> BasicPopulation<Real>::State::present() const {
  const double* away = kept.away.data();
  if (std::count(away, away + kept.away.size(), 0.0) == kept.away.size()) return {};
  std::vector<unsigned char> found(static_cast<std::size_t>(layout.N));
  std::transform(away, away + layout.N, found.begin(), [](double v) { return v == 0.0 ? 1 : 0; });
  return found;
}

template <class Real>
const Real* BasicPopulation<Real>::State::show(const double* x, Index n, const double* targets,
                                               bool want_worst, const unsigned char* present) {
  const Index d = layout.d;
  if (n > 1) reserve(n);
  if (n == 1 && keeps_forecasts && one_forecast.size() == 0)
    one_forecast = detail::Buffer<Real>(d * layout.padded);
  forget_shown();  // if anything fails from here on, there is nothing that can be learnt
  std::copy(base.begin(), base.end(), bases.begin());
  for (Index t = 0; t < n && targets != nullptr; ++t)
    for (Index o = 0; o < d; ++o) {  // the last value seen, theory (10.5)
      const double y = targets[t * d + o];
      bases[(t + 1) * d + o] = std::isnan(y) ? bases[t * d + o] : y;
    }
  encode(x, n, targets, inputs);
  const auto before = [&](Index t) { return bases.data() + t * d; };
  for (Index t = 0; t < n && targets != nullptr; ++t)
    for (Index o = 0; o < d; ++o)
      changes[t * d + o] = static_cast<Real>(targets[t * d + o] - before(t)[o]);

  detail::Window<Real>& window = shown = {};
  window.steps = n;
  window.x = inputs.rows.data();
  window.given = x;
  window.bound = settings.bounded ? inputs.bounds.data() : nullptr;
  window.change = inputs.learnt_changes.data();
  window.next = targets != nullptr ? changes.data() : nullptr;
  window.increment = n > 1 ? tile_increment.data() : kept.increment.data();
  window.shown = !keeps_forecasts ? window.increment
                 : n > 1          ? tile_forecast.data()
                                  : one_forecast.data();
  forecasts = window.shown;
  window.energy = n > 1 ? tile_energy.data() : kept.energy.data();
  awake = take(present, n, n > 1 ? tile_awake.data() : one_awake.data());
  window.awake = awake;
  window.used = n > 1 ? tile_used.data() : kept.used.data();
  if (awake != nullptr && !judges(settings))
    window.used = n > 1 ? awake_used.data() : one_used.data();
  window.learnt = steps;
  window.raw = x, window.base = base.data(), window.targets = targets;
  window.want_worst = want_worst;
  pass.run(window, lesson, follows);
  used = judges(settings) || awake != nullptr ? window.used : nullptr;
  largest_loss = pass.largest_loss(n - 1);

  std::copy_n(before(n - 1), d, shown_base.begin());
  if (!follows) note_means();
  for (Index t = 0; t < n; ++t)
    if (pass.overflowed(t) >= 0) overflow = {steps + t, layout.first + pass.overflowed(t)};
  keep_shown();
  return window.increment;
}

template <class Real>
void BasicPopulation<Real>::State::serve(const Mixture* mixture) {
  keeps_forecasts = mixture != nullptr && mixture->rivals;
  // What is mixed after the policy is not known before it.
  follows =
      keeps_forecasts && settings.follow == Follow::server && settings.policy != PolicyKind::greedy;
}

template <class Real>
void BasicPopulation<Real>::State::predict(const double* x, const unsigned char* present) {
  require_input(x);
  if (present != nullptr) {
    require_sleep();
    reserve_sleep(1);
  }
  if (has_seen)
    show(x, 1, nullptr, false, present);
  else
    show_nothing();
}

template <class Real>
void BasicPopulation<Real>::State::play() {
  if (!follows) return;
  pass.play(shown, fields.data());
  note_means();
}

template <class Real>
void BasicPopulation<Real>::State::play_glance() {
  if (follows) pass.play(at_glance, fields.data());
}

template <class Real>
void BasicPopulation<Real>::State::note_means() {
  for (Index o = 0; o < layout.d; ++o)
    mean_field[o] = shown_base[o] + pass.mean(shown.steps - 1)[o];
}

template <class Real>
void BasicPopulation<Real>::State::learn(const double* targets, Index n) {
  const Index d = layout.d;
  const double* y = targets + (n - 1) * d;
  for (Index o = 0; o < d; ++o) lesson.change[o] = static_cast<Real>(y[o] - shown_base[o]);
  bound_change(inputs.with_shown, y, shown_base.data(), lesson.bounded.data());
  std::copy_n(inputs.rows.begin() + (n - 1) * layout.encoded, layout.encoded, lesson.x.begin());
  lesson.largest_loss = largest_loss;
  lesson.has_sleepers = awake != nullptr;
  if (awake != nullptr) {
    const unsigned char* last = awake + (n - 1) * layout.padded;
    std::copy_n(last, layout.padded, lesson.awake.data());
  }
  lesson.to_records = true;
  inputs.learnt = inputs.counted;
  for (Index t = 0; t < n; ++t)
    for (Index o = 0; o < d; ++o)
      if (!std::isnan(targets[t * d + o])) base[o] = targets[t * d + o];
  if (remembers(settings)) {
    inputs.with_shown.learn(y, shown_base.data());
    inputs.past = inputs.with_shown;
  }
  steps += n;
  forget_shown();
}

template <class Real>
const Real* BasicPopulation<Real>::State::glance(const double* x, const unsigned char* present) {
  reserve(1);
  encode(x, 1, nullptr, glanced);
  detail::Window<Real>& window = at_glance = {};
  window.steps = 1;
  window.x = glanced.rows.data();
  window.given = x;
  window.bound = settings.bounded ? glanced.bounds.data() : nullptr;
  window.change = glanced.learnt_changes.data();
  window.increment = tile_increment.data();
  window.shown = keeps_forecasts ? tile_forecast.data() : tile_increment.data();
  window.energy = tile_energy.data();
  window.awake = take(present, 1, tile_awake.data());
  window.used = window.awake == nullptr || judges(settings) ? tile_used.data() : awake_used.data();
  window.learnt = steps;
  window.raw = x, window.base = base.data();
  window.keep_last = false;
  pass.run(window, lesson, follows);
  used_at_glance = judges(settings) || window.awake != nullptr ? window.used : nullptr;
  return window.shown;
}

template <class Real>
void BasicPopulation<Real>::State::reserve_mark() {
  if (kept.at_mark.size() == 0) {
    kept.at_mark = detail::Buffer<double>(layout.padded);
    std::fill_n(kept.at_mark.data(), layout.padded, 0.0);
  }
}

template <class Real>
void BasicPopulation<Real>::State::mark_costs() {
  reserve_mark();
  settle_costs();
  std::copy_n(kept.cost.data(), layout.padded, kept.at_mark.data());
  std::copy_n(kept.missed.data(), kept.missed.size(), kept.missed_at_mark.data());
}

template <class Real>
std::size_t BasicPopulation<Real>::State::bytes() const {
  const auto of = [](const auto& buffer) {
    return static_cast<std::size_t>(buffer.size()) * sizeof(*buffer.data());
  };
  return records.bytes() + of(kept.increment) + of(kept.energy) + of(kept.cost) + of(kept.at_mark) +
         of(kept.forecast) + of(kept.recent_loss) + of(kept.used) + of(tile_increment) +
         of(tile_forecast) + of(one_forecast) + of(tile_energy) + of(tile_used) + of(kept.missed) +
         of(kept.missed_at_mark) + of(kept.away) + of(one_awake) + of(tile_awake) + of(one_used) +
         of(awake_used) + of(lesson.awake) + waiting.bytes() + pass.bytes();
}

template struct BasicPopulation<double>::State;
template struct BasicPopulation<float>::State;

}  // namespace memoa
