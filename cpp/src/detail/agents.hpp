#pragma once

// A pass over the agents of two vectors: encode, learn, factorise, forecast.
// Only population_kernels.cpp includes this, once per instruction set. The rule about inline
// functions in detail/kernels.hpp applies here.

#include "detail/ridge.hpp"

namespace memoa::detail::MEMOA_LEVEL {
namespace {

/// A pass over as many agents as fit into two vectors.
template <class Real>
class Agents : Ridge<Real> {
 public:
  using Base = Ridge<Real>;
  using Base::kParts;
  using Base::kRows;
  using Base::kWidth;
  using typename Base::Two;

  Agents(const Advance<Real>& a, Two* work)
      : Base(a.record->p, a.record->gram, work),
        pass_(a),
        r_(*a.record),
        shown_(Base::scratch_end()),
        scaled_(shown_ + r_.p),
        forecast_(scaled_ + r_.p) {
    learnt_ = forecast_ + r_.d;
  }

  static Size work_size(const Record& r) {
    return (Base::scratch_pairs(r.p) + 3 * r.p + r.d) * static_cast<Size>(sizeof(Two));
  }

  /// Takes the agents in vectors `vector` and `vector` + 1 through all steps of the pass.
  void run(Size vector, Real* totals) {
    this->turn_to(pass_.records, r_.rows, vector, pass_.n_agents);
    const Types<Real>& types = pass_.types;
    forgetting_ = of_types(types.forgetting, vector), ridge_ = of_types(types.ridge, vector);
    for (Size o = 0; o < r_.d && pass_.before != nullptr; ++o) {
      const Real* before = pass_.before + o * pass_.padded + first_;
      forecast_[o] = {vector_at(before), vector_at(before + kWidth)};
    }
    if (pass_.steps == 0) return absorb();
    for (Size s = 0; s < pass_.steps; ++s) {
      const bool learn = s > 0 || pass_.learn_first;
      if (s == 0 && vector % kParts == 0) {
        learn ? step<true, true>(s, totals) : step<false, true>(s, totals);
      } else {
        learn ? step<true, false>(s, totals) : step<false, false>(s, totals);
      }
    }
    if (pass_.keep_last && (r_.features == Features::echo || r_.features == Features::given))
      for (Size k = 0; k < r_.p; ++k) put(r_.pending + k, learnt_[k]);
  }

 private:
  using Base::each_lane;
  using Base::factor_;
  using Base::first_;
  using Base::forgetting_;
  using Base::get;
  using Base::inverse_;
  using Base::learnt_;
  using Base::left_;
  using Base::put;
  using Base::ridge_;
  using Base::vector_at;

  Two of_types(const Real* table, Size vector) const {
    const auto part = [&](Size v) {
      const Size phase = v / kParts % pass_.types.phases;
      return vector_at(table + phase * kLanes<Real> + v % kParts * kWidth);
    };
    return {part(vector), part(vector + 1)};
  }
  // ---------------------------------------------------------------- encode

  /// Pre-activations of random feature k for `count` inputs at once, so the weights are read once.
  template <int count, bool Ahead>
  MEMOA_INLINE void project(Size k, const Real* const (&x)[count], Two (&sum)[count]) const {
    for (int i = 0; i < count; ++i) sum[i] = Two{};
    for (Size j = 0; j < r_.row_size; ++j) {
      const Size entry = k * r_.row_size + j;
      if (Ahead) this->template ask_ahead<0>(r_.input + entry);
      const Two weight = get(r_.input + entry);
      if (r_.sparse) {
        if (Ahead) this->template ask_ahead<0>(r_.columns + entry);
        const Two column = get(r_.columns + entry);
        for (int i = 0; i < count; ++i) sum[i] = sum[i] + weight * pick(x[i], r_.dx, column);
      } else {
        for (int i = 0; i < count; ++i) sum[i] = sum[i] + weight * splat(x[i][j]);
      }
    }
    if (Ahead) this->template ask_ahead<0>(r_.bias + k);
    for (int i = 0; i < count; ++i) sum[i] = sum[i] + get(r_.bias + k);
  }

  /// The constant, and the inputs that are used as features directly.
  template <int count, bool Ahead>
  void encode_plain(const Real* const (&x)[count], Two* const (&z)[count]) const {
    const Two norm = splat(static_cast<Real>(pass_.norm));
    for (int i = 0; i < count; ++i) z[i][0] = norm;
    for (Size k = 1; k < r_.plain; ++k) {
      if (Ahead) this->template ask_ahead<0>(r_.raw + k - 1);
      const Two column = get(r_.raw + k - 1);
      for (int i = 0; i < count; ++i) z[i][k] = norm * pick(x[i], r_.dx, column);
    }
  }

  template <int count, bool Ahead>
  void encode_stateless(const Real* const (&x)[count], Two* const (&z)[count]) const {
    if (r_.features == Features::linear) {
      const Real norm = static_cast<Real>(pass_.norm);
      for (int i = 0; i < count; ++i) {
        z[i][0] = splat(norm);
        for (Size j = 0; j < r_.dx; ++j) z[i][j + 1] = splat(norm * x[i][j]);
      }
      return;
    }
    if (r_.plain > 0) encode_plain<count, Ahead>(x, z);
    for (Size k = r_.plain; k < r_.p; ++k) {
      Two sum[count];
      project<count, Ahead>(k - r_.plain, x, sum);
      for (int i = 0; i < count; ++i) z[i][k] = sum[i];
    }
    for (int i = 0; i < count; ++i) this->activate(r_.features, pass_.norm, z[i], r_.plain);
  }

  template <bool Ahead>
  void encode_echo(const Real* x, Two* z) const {
    const Size p = r_.p;
    const Two norm = splat(static_cast<Real>(pass_.norm)),
              leak = splat(static_cast<Real>(pass_.leak)),
              rest = splat(static_cast<Real>(1.0 - pass_.leak));
    for (Size k = 0; k < p; ++k) {
      Two sum[1], recurrence{};
      project<1, Ahead>(k, {x}, sum);
      for (Size j = 0; j < p; ++j) {
        const Size row = r_.recurrent + k * p + j;
        if (Ahead) this->template ask_ahead<0>(row);
        recurrence = recurrence + get(row) * get(r_.reservoir + j);
      }
      Two a = sum[0] + recurrence;
      each_lane(a, [](Size, Real v) { return Base::call_tanh(v); });
      z[k] = norm * (rest * get(r_.reservoir + k) + leak * a);
    }
  }

  void encode_given(const double* given, Two* z) const {
    for (Size k = 0; k < r_.p; ++k)
      each_lane(z[k], [&](Size l, Real) {
        const Size agent = first_ + l;
        return agent < pass_.n_agents ? static_cast<Real>(given[agent * r_.p + k]) : Real(0);
      });
  }

  /// Returns |z|^2. Sets z to 0 in lanes beyond the last agent, and for agents whose features are
  /// so large that a sum over agents or steps would overflow. These agents repeat the base, and
  /// they add nothing to any sum.
  Two guard(Two* z, Size& bad) const {
    Two energy{};
    for (Size k = 0; k < r_.p; ++k) energy = energy + z[k] * z[k];
    PairMask<Real> keep = energy <= splat(Simd<Real>::kLargest);
    const Size agents = pass_.n_agents - first_;
    if (agents >= 2 * kWidth && all(keep)) return energy;
    report(keep, bad);
    for (Size l = 0; l < kWidth; ++l) {
      if (l >= agents) keep.lo[l] = 0;
      if (kWidth + l >= agents) keep.hi[l] = 0;
    }
    for (Size k = 0; k < r_.p; ++k) z[k] = select(keep, z[k], Two{});
    return select(keep, energy, Two{});
  }

  /// Sets `bad` to the first agent that `keep` excludes, if it is smaller.
  void report(const PairMask<Real>& keep, Size& bad) const {
    const Size agents = pass_.n_agents - first_;
    for (Size l = 0; l < 2 * kWidth && l < agents; ++l)
      if (!(l < kWidth ? keep.lo[l] : keep.hi[l - kWidth])) {
        if (first_ + l < bad) bad = first_ + l;
        return;
      }
  }

  // ---------------------------------------------------------------- solve

  /// The value that is learnt for output o; by theory (10.6) if its y is missing.
  MEMOA_INLINE Two outcome(const Real* change, Size o) const {
    return change[o] == change[o] ? splat(change[o]) : forecast_[o];
  }

  /// Solves for the right-hand sides [first, first + R); number 0 is z, the others are the rows of
  /// q. The forecasts are q' (H + ridge I)^-1 z = (L^-1 q)' D^-1 (L^-1 z).
  template <int R, bool Learn, bool Ahead>
  MEMOA_INLINE void substitute(Size first, const Real* change) const {
    Two step[R];
    for (int j = 0; j < R; ++j)
      step[j] = Learn && first + j > 0 ? outcome(change, first + j - 1) : Two{};
    this->template sweep<R>(
        r_.p,
        [&](int j, Size c) MEMOA_LAMBDA {
          return first + j == 0 ? shown_[c]
                                : this->template take<Learn, Ahead>(
                                      r_.cross + (first + j - 1) * r_.p + c, learnt_[c], step[j]);
        },
        [&](int j, Size c, const Two& a) MEMOA_LAMBDA {
          if (first + j == 0) scaled_[c] = a * inverse_[c];
        });
    for (int j = 0; j < R; ++j) {
      if (first + j == 0) continue;
      Two sum{};
      for (Size c = 0; c < r_.p; ++c) sum = sum + left_[c * R + j] * scaled_[c];
      forecast_[first + j - 1] = sum;
    }
  }

  template <bool Learn, bool Ahead>
  void solve(const Real* change) const {
    const Agents local(*this);  // a copy, so the compiler knows that no store changes its members
    local.template solve_here<Learn, Ahead>(change);
  }
  template <bool Learn, bool Ahead>
  MEMOA_INLINE void solve_here(const Real* change) const {
    Size row = 0;
    for (; row + kRows <= r_.p; row += kRows) this->template factorise<kRows, Learn, Ahead>(row);
    for (; row < r_.p; ++row) this->template factorise<1, Learn, Ahead>(row);
    Size side = 0;
    for (; side + 2 <= r_.d + 1; side += 2) substitute<2, Learn, Ahead>(side, change);
    for (; side < r_.d + 1; ++side) substitute<1, Learn, Ahead>(side, change);
  }

  // ---------------------------------------------------------------- a step

  /// Only learns the step before.
  void absorb() const {
    if (r_.features == Features::given || r_.features == Features::echo) {
      load_pending();
      if (r_.features == Features::echo) keep_reservoir();
    } else {
      encode_stateless<1, false>({pass_.learn_x}, {learnt_});
      Size told = 0;
      guard(learnt_, told);
    }
    for (Size row = 0; row < r_.p; ++row)
      for (Size c = 0; c <= row; ++c)
        this->template take<true, false>(r_.gram + packed(row, c), learnt_[row], learnt_[c]);
    for (Size o = 0; o < r_.d; ++o)
      for (Size k = 0; k < r_.p; ++k)
        this->template take<true, false>(r_.cross + o * r_.p + k, learnt_[k],
                                         outcome(pass_.change, o));
  }

  void keep_reservoir() const {
    const Two unscale = splat(static_cast<Real>(1.0 / pass_.norm));
    for (Size k = 0; k < r_.p; ++k) put(r_.reservoir + k, learnt_[k] * unscale);
  }

  void load_pending() const {
    for (Size k = 0; k < r_.p; ++k) learnt_[k] = get(r_.pending + k);
  }

  template <bool Learn, bool Ahead>
  void encode(Size s) const {
    const Real* x = pass_.x + s * r_.dx;
    const bool first = Learn && s == 0;  // then the features to learn are not in learnt_ yet
    if (r_.features == Features::given) {
      if (first) load_pending();
      encode_given(pass_.given + s * pass_.n_agents * r_.p, shown_);
    } else if (r_.features == Features::echo) {
      if (first) load_pending();
      if (Learn) keep_reservoir();
      encode_echo<Ahead>(x, shown_);
    } else if (first) {  // encoding the step again moves fewer bytes than storing its features
      encode_stateless<2, Ahead>({x, pass_.learn_x}, {shown_, learnt_});
      Size told = 0;  // agents that overflow were reported when the step was shown
      guard(learnt_, told);
    } else {
      encode_stateless<1, Ahead>({x}, {shown_});
    }
  }

  template <bool Learn, bool Ahead>
  void step(Size s, Real* totals) {
    const Size d = r_.d;
    encode<Learn, Ahead>(s);
    const Two energy = guard(shown_, pass_.bad[s]);
    solve<Learn, Ahead>(pass_.change + s * d);
    Real* out = pass_.forecast + s * pass_.forecast_stride + first_;
    totals += s * (d + 1) * kLanes<Real>;
    for (Size o = 0; o < d; ++o) {
      const Two c = forecast_[o];
      const PairMask<Real> finite = select_abs(c) <= splat(Simd<Real>::kLargestForecast);
      if (!all(finite)) report(finite, pass_.bad[s]);
      Two shown = select(finite, c, Two{});
      if (pass_.bound != nullptr) shown = clip(shown, pass_.bound[s * d + o]);
      forecast_[o] = shown;
      write(out + o * pass_.padded, totals + o * kLanes<Real>, shown);
    }
    write(pass_.energy + s * pass_.energy_stride + first_, totals + d * kLanes<Real>, energy);
    Two* const other = learnt_;
    learnt_ = shown_, shown_ = other;
  }

  static Two select_abs(const Two& c) { return select(c <= Two{}, Two{} - c, c); }

  /// Writes a result, and adds it to the sums of its lanes.
  void write(Real* out, Real* total, const Two& value) const {
    vector_at(out) = value.lo, vector_at(out + kWidth) = value.hi;
    Real *lo = total + first_ % kLanes<Real>, *hi = total + (first_ + kWidth) % kLanes<Real>;
    vector_at(lo) += value.lo;
    vector_at(hi) += value.hi;
  }

  const Advance<Real>& pass_;
  const Record r_;
  Two *shown_, *scaled_, *forecast_;  // scratch
};

}  // namespace
}  // namespace memoa::detail::MEMOA_LEVEL
