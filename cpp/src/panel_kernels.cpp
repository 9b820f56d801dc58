// Compiled once per instruction set, with MEMOA_LEVEL as the name of its namespace.
// detail/kernels.hpp says what is not allowed here for that reason.
#include <limits>

#include "detail/clients.hpp"

namespace memoa::detail::MEMOA_LEVEL {
namespace {

template <class Real>
Size work_size(const ClientRecord& record) {
  return Clients<Real>::work_size(record);
}

template <class Real>
void advance(const ClientPass<Real>& pass, Size first, Size last) {
  Clients<Real> clients(pass, static_cast<Pair<Real>*>(pass.work));
  constexpr Size width = Clients<Real>::kWidth;
  for (Size vector = first / width; vector < last / width; vector += 2) clients.run(vector);
}

// The loops below have no small linear algebra to keep in registers: compilers vectorise them.

// -------------------------------------------------------------------- agreement, theory (8.3)

template <class Real>
inline Real within(Real value, Real least, Real most) {
  return value < least ? least : value > most ? most : value;
}

/// The consensus weight of a client.
template <class Real>
inline Real consensus(const Agreement<Real>& g, Real a, Real b, Real crowd) {
  if (!g.learned) return g.fixed;
  return within((b + g.prior * crowd) / (a + g.prior), Real(0), Real(1));
}

/// Whether a client has a scale and there is a crowd; NaN means that there is none.
template <class Real>
inline bool hears(const Agreement<Real>& g, Size i, Real agreed) {
  return g.moved[i] > 0 && agreed == agreed;
}

template <class Real>
struct Shown {
  Real apart;
  double value;
};
/// The forecast that a client shows, from row i of an output's arrays.
template <class Real>
inline Shown<Real> show(const Agreement<Real>& g, Size i, Real agreed, Real crowd) {
  const Real c = g.forecast[i];
  const Real apart = hears(g, i, agreed) ? agreed - c : Real(0);
  const Real beta = consensus(g, g.agree_a[i], g.agree_b[i], crowd);
  return {apart, g.base[i] + static_cast<double>(g.scale[i] * (c + beta * apart))};
}

template <class Real>
void forecast(const Agreement<Real>& g, double* out, Size first, Size last) {
  for (Size o = 0; o < g.d; ++o) {
    const Real agreed = static_cast<Real>(g.agreed[o]), crowd = static_cast<Real>(g.crowd[o]);
    for (Size i = first; i < last; ++i)
      out[i * g.d + o] = show(g, o * g.padded + i, agreed, crowd).value;
  }
}

template <class Real>
void keep(const Agreement<Real>& g, const LateStep<Real>& to, Real* mark, Real* change, Size first,
          Size last) {
  for (Size i = first; i < last; ++i) mark[i] = Real(kNothing);
  for (Size o = 0; o < g.d; ++o) {
    const Real agreed = static_cast<Real>(g.agreed[o]), crowd = static_cast<Real>(g.crowd[o]);
    for (Size i = first; i < last; ++i) {
      const Size at = o * g.padded + i;
      const Shown<Real> shown = show(g, at, agreed, crowd);
      to.forecast[at] = g.forecast[at], to.scale[at] = g.scale[at];
      to.apart[at] = shown.apart, to.heard[at] = hears(g, at, agreed) ? Real(1) : Real(0);
      to.base[at] = g.base[at], to.value[at] = shown.value;
      change[at] = Real(0);
      mark[i] = g.base[at] == g.base[at] ? Real(kCount + kKnown) : mark[i];
    }
  }
}

/// What y is compared with: the last forecast.
template <class Real>
struct Fresh {
  static constexpr bool kLate = false;
  const Agreement<Real>& g;
  Real forecast(Size at) const { return g.forecast[at]; }
  Real scale(Size at) const { return g.scale[at]; }
  double base(Size at) const { return g.base[at]; }
  bool heard(Size at, Real agreed) const { return hears(g, at, agreed); }
  Shown<Real> shown(Size at, Real agreed, Real crowd) const { return show(g, at, agreed, crowd); }
};
/// What y is compared with: a forecast that has waited, theory (10.11).
template <class Real>
struct Waited {
  static constexpr bool kLate = true;
  const LateStep<Real>& step;
  Real forecast(Size at) const { return step.forecast[at]; }
  Real scale(Size at) const { return step.scale[at]; }
  double base(Size at) const { return step.base[at]; }
  bool heard(Size at, Real) const { return step.heard[at] > 0; }
  Shown<Real> shown(Size at, Real, Real) const { return {step.apart[at], step.value[at]}; }
};

/// A client's mark; `counted`: whether the moments already have its last inputs.
template <class Real>
inline Real late_mark(Real before, bool learns, bool knows) {
  const Real left = before >= Real(kKnown) ? before - Real(kKnown) : before;
  const Real then = !learns ? left : left == Real(kCount) ? Real(kLearn) : Real(kLater);
  return then + Real(knows ? kKnown : 0);
}

template <class Real, class Said>
void settle_with(const Said& said, const Agreement<Real>& g, const Outcome<Real>& outcome,
                 double* sums, Size first, Size last) {
  unsigned char learns[kChunkAgents], known[kChunkAgents], knows[kChunkAgents];
  for (Size i = first; i < last; ++i) {
    bool whole = true, any = false, then = false;
    for (Size o = 0; o < g.d; ++o) {
      const Size at = o * g.padded + i;
      const double base = said.base(at), now = g.base[at], y = outcome.y[i * g.d + o];
      const bool seen = y == y, had = base == base;
      whole = whole && seen && had, any = any || had, then = then || seen || now == now;
    }
    learns[i - first] = whole, known[i - first] = any, knows[i - first] = then;
  }
  for (Size o = 0; o < g.d; ++o) {
    const Real agreed = static_cast<Real>(g.agreed[o]), crowd = static_cast<Real>(g.crowd[o]);
    double count = 0.0, sum_a = 0.0, sum_b = 0.0;
    for (Size i = first; i < last; ++i) {
      const Size at = o * g.padded + i;
      const double y = outcome.y[i * g.d + o];
      const Shown<Real> shown = said.shown(at, agreed, crowd);
      const double error = y - shown.value;
      const bool scored = error == error, learn = learns[i - first] != 0;
      outcome.cost[i] += scored ? error * error : 0.0;
      outcome.scored[i] += scored ? 1.0 : 0.0;
      const Real change = learn ? static_cast<Real>(y - said.base(at)) : Real(0);
      const bool agree = learn && said.heard(at, agreed);
      const Real surprise = within(change / said.scale(at) - said.forecast(at), Real(-6), Real(6));
      const Real a = Real(.998) * g.agree_a[at] + shown.apart * shown.apart;
      const Real b = Real(.998) * g.agree_b[at] + shown.apart * surprise;
      g.agree_a[at] = agree ? a : g.agree_a[at];
      g.agree_b[at] = agree ? b : g.agree_b[at];
      outcome.change[at] = change;
      g.base[at] = y == y ? y : g.base[at];
      // if the square of a change underflows, it gives no scale
      constexpr Real kLeast = std::numeric_limits<Real>::min();
      const bool moves = change * change >= kLeast;
      const Real moved = moves ? Real(1) : g.moved[at];
      g.moved[at] = moved;
      const bool awake = outcome.awake == nullptr || outcome.awake[i] != 0;
      const Real present = awake ? moved : Real(0);
      g.present[at] = present;
      count += static_cast<double>(present);
      sum_a += static_cast<double>(present * g.agree_a[at]);
      sum_b += static_cast<double>(present * g.agree_b[at]);
    }
    sums[o] = count, sums[g.d + o] = sum_a, sums[2 * g.d + o] = sum_b;
  }
  for (Size i = first; i < last; ++i)
    if constexpr (Said::kLate)
      outcome.mark[i] = late_mark(outcome.mark[i], learns[i - first] != 0, knows[i - first] != 0);
    else
      outcome.mark[i] = Real(learns[i - first]  ? kLearn
                             : known[i - first] ? kCount
                                                : kNothing) +
                        Real(knows[i - first] ? kKnown : 0);
}

template <class Real>
void settle(const Agreement<Real>& g, const Outcome<Real>& outcome, double* sums, Size first,
            Size last) {
  if (outcome.late == nullptr)
    settle_with(Fresh<Real>{g}, g, outcome, sums, first, last);
  else
    settle_with(Waited<Real>{*outcome.late}, g, outcome, sums, first, last);
}

// -------------------------------------------------------------------- sums over the crowd

/// Adds the lanes in order.
template <class Real>
inline double add_lanes(const Real* values) {
  double sum = 0.0;
  for (Size l = 0; l < kLanes<Real>; ++l) sum += static_cast<double>(values[l]);
  return sum;
}

constexpr Size kPartialSums = 16;  // fixes the order of additions for every vector length

inline double add_up(const double (&parts)[kPartialSums]) {
  double total = 0.0;
  for (Size l = 0; l < kPartialSums; ++l) total += parts[l];
  return total;
}

template <class Real>
void clipped(const Real* values, const Real* present, double center, double limit, Size first,
             Size last, double* sums) {
  double parts[kPartialSums] = {}, sizes[kPartialSums] = {};
  for (Size from = first; from < last; from += kPartialSums)
    for (Size l = 0; l < kPartialSums && from + l < last; ++l) {
      const double apart = static_cast<double>(values[from + l]) - center;
      const double size = apart < 0 ? -apart : apart;
      const bool counts = present[from + l] > 0;
      parts[l] += counts ? within(apart, -limit, limit) : 0.0;
      sizes[l] += counts ? (size < limit ? size : limit) : 0.0;
    }
  sums[0] = add_up(parts), sums[1] = add_up(sizes);
}

/// Reads n values, one row of lanes at a time. Absent ones and those beyond n become NaN,
/// which is in no bracket.
template <class Real>
inline void spread_out(const Real* values, const Real* present, Size n, Size padded, Real* out) {
  const Real nan = NAN;
  for (Size i = 0; i < n; ++i) out[i] = values[i];
  if (present != nullptr)
    for (Size i = 0; i < n; ++i) out[i] = present[i] > 0 ? out[i] : nan;
  for (Size i = n; i < padded; ++i) out[i] = nan;
}

template <class Real>
void split(const Real* values, const Real* present, Size first, Size last, Split<Real>& s) {
  using Vec = typename Simd<Real>::Vec;
  using Mask = typename Simd<Real>::Mask;
  constexpr Size width = kBytes / static_cast<Size>(sizeof(Real)), lanes = kLanes<Real>;
  alignas(64) Real v[kChunkAgents];
  const Size n = last - first, padded = (n + lanes - 1) / lanes * lanes;
  spread_out(values + first, present == nullptr ? nullptr : present + first, n, padded, v);
  const Vec low_from = Vec{} + s.low_from, low_to = Vec{} + s.low_to,
            high_from = Vec{} + s.high_from;
  Vec sums[lanes / width] = {};
  Mask below{}, between{};  // negative counts
  for (Size i = 0; i < padded; i += lanes)
    for (Size part = 0; part < lanes / width; ++part) {
      const Vec x = *reinterpret_cast<const Vec*>(v + i + part * width);
      const Mask inside = (x > low_to) & (x < high_from);
      below += x < low_from;
      between += inside;
      sums[part] += choose(inside, x, Vec{});
    }
  Real totals[lanes];
  for (Size l = 0; l < lanes; ++l) totals[l] = sums[l / width][l % width];
  s.between += add_lanes(totals);
  for (Size l = 0; l < width; ++l) s.below -= below[l], s.n_between -= between[l];
  const Real a = s.low_from, b = s.low_to, c = s.high_from, d = s.high_to;
  Real* near = s.near + s.n_near;
  for (Size i = 0; i < n; ++i) {  // without a branch, which would be mispredicted half the time
    *near = v[i];
    near += (static_cast<Size>(v[i] >= a) & static_cast<Size>(v[i] <= b)) |
            (static_cast<Size>(v[i] >= c) & static_cast<Size>(v[i] <= d));
  }
  s.n_near = near - s.near;
}

template <class Real>
constexpr PanelKernels<Real> make() {
  return {work_size<Real>, advance<Real>, forecast<Real>, keep<Real>,
          settle<Real>,    clipped<Real>, split<Real>};
}

}  // namespace

extern const PanelKernels<double> panel_kernels_f64 = make<double>();
extern const PanelKernels<float> panel_kernels_f32 = make<float>();

}  // namespace memoa::detail::MEMOA_LEVEL
