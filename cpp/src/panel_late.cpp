// The steps of a panel whose y comes late, theory (10.11).
#include "detail/panel_state.hpp"

namespace memoa {

/// Appends the last forecasts to those that wait, with all that their y will be compared with.
template <class Real>
void BasicPanel<Real>::State::wait(const Real* x) {
  const auto rule = agreement();
  const Index newest = waiting.push();
  const detail::LateStep<Real> step = waiting.step(newest);
  Real *features = waiting.features(newest), *inputs = waiting.x(newest);
  on_threads(static_cast<double>(p + width), [&](const detail::Worker& worker) {
    worker.chunks(chunks, [&](Index chunk) {
      of_chunk(chunk, [&](Index first, Index last) {
        for (Index block = first; block < last; block += kLanes)
          for (Index k = 0; k < p; ++k)
            std::copy_n(&at(record.pending + k, block), kLanes, features + k * padded + block);
        last = std::min(last, N);
        kernels.keep(rule, step, mark.data(), change.data(), first, last);
        for (Index i = first; i < last; ++i) {
          Real* kept = inputs + i * width;
          if (waiting.knows(newest, i))
            std::copy_n(x + i * width, width, kept);
          else
            std::fill_n(kept, width, Real(0));
        }
      });
    });
  });
  crowd.keep_forecast();
  unlearnt = true;
  pending = false;
}

template <class Real>
void BasicPanel<Real>::State::predict_late(const Real* x, double* out) {
  while (waiting.is_full() && waiting.received() > 0) learn_received(nullptr);
  predict(x, out);
  wait(x);
}

/// Adds the step learnt before to the records, which hold one such step at a time. The pass needs
/// inputs, and the next ones are not there yet. Those of any step will do: results are not used.
template <class Real>
void BasicPanel<Real>::State::absorb() {
  const auto learns = [](Real of_client) {  // a client that learns has a value
    return of_client >= Real(detail::kKnown + detail::kLearn);
  };
  if (std::none_of(mark.data(), mark.data() + N, learns)) return;
  on_threads(step_work(), [&](const detail::Worker& worker) {
    worker.chunks(chunks, [&](Index chunk) {
      advance_chunk(waiting.x(0), chunk, worker.thread, aside.data());
    });
  });
  std::transform(mark.data(), mark.data() + N, mark.data(), [](Real of_client) {
    return Real(of_client >= Real(detail::kKnown) ? detail::kKnown : detail::kNothing);
  });
}

template <class Real>
void BasicPanel<Real>::State::learn_oldest(const double* y, const unsigned char* awake) {
  absorb();
  const detail::LateStep<Real> step = waiting.step(0);
  settle(y, awake, &step);
  const Real* features = waiting.features(0);
  on_threads(static_cast<double>(p), [&](const detail::Worker& worker) {
    worker.chunks(chunks, [&](Index chunk) {
      of_chunk(chunk, [&](Index first, Index last) {
        for (; first < last; first += kLanes)
          for (Index k = 0; k < p; ++k)
            std::copy_n(features + k * padded + first, kLanes, &at(record.pending + k, first));
      });
    });
  });
  waiting.pop();
}

template <class Real>
void BasicPanel<Real>::State::run_late(const Real* x, const double* y, const unsigned char* awake,
                                       Index n_steps, double* forecasts,
                                       const std::function<void(Index)>& after_step,
                                       const double* initial, Index n_initial, double* bases) {
  const Index size = N * d;
  if (initial != nullptr) observe(initial);
  for (Index t = 0; t < n_steps; ++t) {
    predict_late(x + t * N * width, forecasts + t * size);
    if (bases != nullptr) {
      const double* known = waiting.step(waiting.size() - 1).base;
      for (Index i = 0; i < N; ++i)
        for (Index o = 0; o < d; ++o) bases[t * size + i * d + o] = known[o * padded + i];
    }
    waiting.receive(y + t * size);
    if (t + 1 < n_initial) observe(initial + (t + 1) * size);
    if (waiting.is_full()) learn_received(awake == nullptr ? nullptr : awake + t * N);
    if (after_step) after_step(t + 1);
  }
}

#define MEMOA_INSTANTIATE(Real)                                                             \
  template void BasicPanel<Real>::State::wait(const Real*);                                 \
  template void BasicPanel<Real>::State::predict_late(const Real*, double*);                \
  template void BasicPanel<Real>::State::learn_oldest(const double*, const unsigned char*); \
  template void BasicPanel<Real>::State::absorb();                                          \
  template void BasicPanel<Real>::State::run_late(                                          \
      const Real*, const double*, const unsigned char*, Index, double*,                     \
      const std::function<void(Index)>&, const double*, Index, double*);
MEMOA_INSTANTIATE(double)
MEMOA_INSTANTIATE(float)
#undef MEMOA_INSTANTIATE

}  // namespace memoa
