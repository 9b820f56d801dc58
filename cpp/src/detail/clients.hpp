#pragma once

// A pass over the clients of two vectors: learn, encode, factorise, find their readouts.
// Only panel_kernels.cpp includes this, once per instruction set: what detail/kernels.hpp says of
// inline functions holds here.

#include "detail/panel_kernels.hpp"
#include "detail/ridge.hpp"

namespace memoa::detail::MEMOA_LEVEL {
namespace {

/// As many clients as two vectors hold, through a pass.
template <class Real>
class Clients : Ridge<Real> {
 public:
  using Base = Ridge<Real>;
  using Base::kWidth;
  using typename Base::Two;
  static constexpr int kSides = 2;  // outputs whose readouts are found at once

  Clients(const ClientPass<Real>& pass, Two* work)
      : Base(pass.record->p, pass.record->gram, work),
        pass_(pass),
        r_(*pass.record),
        shown_(Base::scratch_end()),
        side_(shown_ + r_.p),
        standard_(side_ + kSides * r_.p) {
    learnt_ = standard_ + r_.dx;
    ridge_ = splat(pass.ridge + pass.pooling);
  }

  static Size work_size(const ClientRecord& r) {
    return (Base::scratch_pairs(r.p) + (2 + kSides) * r.p + r.dx) * static_cast<Size>(sizeof(Two));
  }

  void run(Size vector) {
    this->turn_to(pass_.records, r_.rows, vector, pass_.n_clients);
    Clients local(*this);  // which no store through a pointer can touch
    if (vector % Base::kParts == 0)
      local.template step<true>();
    else
      local.template step<false>();
  }

 private:
  using Base::each_lane;
  using Base::factor_;
  using Base::first_;
  using Base::forgetting_;
  using Base::get;
  using Base::inverse_;
  using Base::learnt_;
  using Base::put;
  using Base::ridge_;
  using Base::vector_at;

  // ---------------------------------------------------------------- memory

  /// The same clients in an array with one number per client.
  MEMOA_INLINE Two row(const Real* values) const {
    return {vector_at(values + first_), vector_at(values + first_ + kWidth)};
  }
  MEMOA_INLINE void set_row(Real* values, const Two& value) const {
    vector_at(values + first_) = value.lo;
    vector_at(values + first_ + kWidth) = value.hi;
  }
  /// Column j of the inputs, which hold `width` numbers per client.
  MEMOA_INLINE Two input(Size width, Size j) const {
    Two value{};
    const Real* x = pass_.x + first_ * width + j;
    if (first_ + 2 * kWidth <= pass_.n_clients) {
      each_lane(value, [&](Size l, Real) MEMOA_LAMBDA { return x[l * width]; });
    } else {
      const Size here = pass_.n_clients - first_;
      each_lane(value,
                [&](Size l, Real) MEMOA_LAMBDA { return l < here ? x[l * width] : Real(0); });
    }
    return value;
  }

  // ---------------------------------------------------------------- encode, theory section 6, 1

  struct Moments {
    Two mean, deviations;
  };
  /// Counts x; 1 / `share` is the number of values with it.
  MEMOA_INLINE static Moments count(const Moments& m, const Two& x, const Two& share) {
    const Two apart = x - m.mean, mean = m.mean + apart * share;
    return {mean, m.deviations + apart * (x - mean)};
  }
  MEMOA_INLINE static Two standardise(const Moments& m, const Two& x, const Two& share) {
    const Two variance = m.deviations * share;
    const Two scaled = (x - m.mean) / root(variance);
    return select(variance <= Two{}, Two{}, clip(scaled, Real(4)));
  }

  /// Squares of the distances from a mean within which a value is not far, theory section 8.
  template <int Judged>
  MEMOA_INLINE static Two reach(const Two& deviations, const Two& count) {
    const Two nowhere = splat(Real(INFINITY));
    const Two judged = select(splat(Real(Judged)) <= count, deviations, Two{});
    return select(judged <= Two{}, nowhere, splat(Real(kFar * kFar)) * deviations / count);
  }
  /// A value no farther from the mean than `reach` allows.
  MEMOA_INLINE static Two bounded(const Two& mean, const Two& value, const Two& reach) {
    const Two apart = value - mean, limit = root(reach);
    const Two edge = select(apart <= Two{}, mean - limit, mean + limit);
    return select(apart * apart <= reach, value, edge);
  }

  /// Counts the x of the step before where `counts`; standardises the new one as if it were
  /// counted.
  template <bool Ahead>
  MEMOA_INLINE void standardise_all(const PairMask<Real>& counts, const PairMask<Real>& known) {
    const Two one = splat(Real(1)), before = get(r_.counted);
    const Two now = select(counts, before + one, before);
    put(r_.counted, now);
    const Two old_share = one / (before + one), new_share = one / (now + one);
    PairMask<Real> near = Two{} <= Two{};
    for (Size j = 0; j < r_.dx; ++j) {
      if (Ahead) {
        this->template ask_ahead<1>(r_.mean + j);
        this->template ask_ahead<1>(r_.deviations + j);
        this->template ask_ahead<1>(r_.inputs + j);
      }
      Moments m{get(r_.mean + j), get(r_.deviations + j)};
      const Moments with = count(m, get(r_.inputs + j), old_share);
      m = {select(counts, with.mean, m.mean), select(counts, with.deviations, m.deviations)};
      put(r_.mean + j, m.mean), put(r_.deviations + j, m.deviations);
      const Two x = select(known, input(r_.dx, j), Two{}), apart = x - m.mean;
      put(r_.inputs + j, x);
      standard_[j] = standardise(count(m, x, new_share), x, new_share);
      const PairMask<Real> here = apart * apart <= reach<kInputsJudged>(m.deviations, now);
      near = {near.lo & here.lo, near.hi & here.hi};
    }
    if (!all(near)) bound_inputs(now, new_share);
  }

  /// The same where an input is far, which is rare.
  MEMOA_INLINE void bound_inputs(const Two& now, const Two& new_share) {
    for (Size j = 0; j < r_.dx; ++j) {
      const Moments m{get(r_.mean + j), get(r_.deviations + j)};
      const Two x = bounded(m.mean, get(r_.inputs + j), reach<kInputsJudged>(m.deviations, now));
      put(r_.inputs + j, x);
      standard_[j] = standardise(count(m, x, new_share), x, new_share);
    }
  }

  /// Features of the standardised inputs, nothing of clients without a value.
  MEMOA_INLINE void encode(const PairMask<Real>& known) const {
    const Two norm = splat(static_cast<Real>(pass_.norm));
    if (r_.features == Features::linear) {
      shown_[0] = select(known, norm, Two{});
      for (Size j = 0; j < r_.dx; ++j) shown_[j + 1] = select(known, norm * standard_[j], Two{});
      return;
    }
    for (Size k = 0; k < r_.p; ++k) {
      Two sum{};
      for (Size j = 0; j < r_.dx; ++j)
        sum = sum + splat(pass_.weights[k * r_.dx + j]) * standard_[j];
      shown_[k] = sum + splat(pass_.bias[k]);
    }
    this->activate(r_.features, pass_.norm, shown_);
    for (Size k = 0; k < r_.p; ++k) shown_[k] = select(known, shown_[k], Two{});
  }

  // ---------------------------------------------------------------- readouts, theory (8.1)

  /// s of the outputs from `first` on, with what is learnt counted, and 1/s (0 where s is 0).
  /// Bounds the changes.
  template <int S>
  MEMOA_INLINE void scales(Size first, const Two& learnt, Two (&change)[S], Two (&unit)[S]) const {
    for (int j = 0; j < S; ++j) {
      const Two known = get(r_.squares + first + j);
      change[j] = bounded(Two{}, change[j], reach<kChangesJudged>(known, learnt - splat(Real(1))));
      const Two squares = known + change[j] * change[j];
      put(r_.squares + first + j, squares);
      const PairMask<Real> none = squares <= Two{};
      const Two scale = select(none, Two{}, root(squares / learnt));
      set_row(pass_.scale + (first + j) * pass_.padded, scale);
      unit[j] = select(scale <= Two{}, Two{}, splat(Real(1)) / scale);
    }
  }

  /// What the client was last sent of the mean readout, times the pooling.
  MEMOA_INLINE Two pull(Size entry) const {
    const Two sent = splat(pass_.pooling * pass_.mean_readout[entry]);
    if (pass_.asleep == nullptr) return sent;
    const Two held = splat(pass_.pooling) * row(pass_.held + entry * pass_.padded);
    return select(row(pass_.asleep) <= Two{}, sent, held);
  }

  template <int S, bool Ahead>
  MEMOA_INLINE void solve(Size first, const Two& learnt) const {
    const Size p = r_.p;
    Two unit[S], change[S];
    for (int j = 0; j < S; ++j)
      change[j] = pass_.learn ? row(pass_.change + (first + j) * pass_.padded) : Two{};
    scales<S>(first, learnt, change, unit);
    this->template sweep<S>(
        p,
        [&](int j, Size c) MEMOA_LAMBDA {
          const Size entry = (first + j) * p + c;
          return this->template take<true, Ahead>(r_.cross + entry, learnt_[c], change[j]) *
                     unit[j] +
                 pull(entry);
        },
        [&](int j, Size c, const Two& a) MEMOA_LAMBDA { side_[j * p + c] = a * inverse_[c]; });
    for (int j = 0; j < S; ++j) {
      Two* w = side_ + j * p;
      Two forecast{};
      for (Size c = p; c-- > 0;) {
        const Two theta = w[c];
        set_row(pass_.readout + ((first + j) * p + c) * pass_.padded, theta);
        forecast = forecast + theta * shown_[c];
        const Two* l = factor_ + packed(c, 0);
        for (Size k = 0; k < c; ++k) w[k] = w[k] - l[k] * theta;
      }
      set_row(pass_.forecast + (first + j) * pass_.padded, forecast);
    }
  }

  // ---------------------------------------------------------------- a step

  template <bool Ahead>
  void step() {
    const Two mark = row(pass_.mark);
    const PairMask<Real> known = splat(Real(kKnown)) <= mark;
    Two left = select(known, mark - splat(Real(kKnown)), mark);
    if (!pass_.learn) left = Two{};
    const PairMask<Real> marked = splat(Real(kCount)) <= left, soon = left <= splat(Real(kLearn));
    const PairMask<Real> counts = {marked.lo & soon.lo, marked.hi & soon.hi};
    const PairMask<Real> learns = splat(Real(kLearn)) <= left;
    for (Size k = 0; k < r_.p; ++k) {
      if (Ahead) this->template ask_ahead<1>(r_.pending + k);
      learnt_[k] = select(learns, get(r_.pending + k), Two{});
    }
    if (r_.features == Features::given) {
      for (Size k = 0; k < r_.p; ++k) shown_[k] = select(known, input(r_.p, k), Two{});
    } else {
      standardise_all<Ahead>(counts, known);
      encode(known);
    }
    for (Size k = 0; k < r_.p; ++k) put(r_.pending + k, shown_[k]);
    const Two one = splat(Real(1));
    const Two learnt = select(learns, get(r_.learnt) + one, get(r_.learnt));
    put(r_.learnt, learnt);
    forgetting_ = select(learns, splat(pass_.forgetting), one);
    Size i = 0;
    for (; i + Base::kRows <= r_.p; i += Base::kRows)
      this->template factorise<Base::kRows, true, Ahead>(i);
    for (; i < r_.p; ++i) this->template factorise<1, true, Ahead>(i);
    Size side = 0;
    for (; side + kSides <= r_.d; side += kSides) solve<kSides, Ahead>(side, learnt);
    for (; side < r_.d; ++side) solve<1, Ahead>(side, learnt);
  }

  const ClientPass<Real>& pass_;
  const ClientRecord r_;
  Two *shown_, *side_, *standard_;  // scratch
};

}  // namespace
}  // namespace memoa::detail::MEMOA_LEVEL
