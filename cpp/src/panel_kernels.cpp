// Compiled once per instruction set, with MEMOA_LEVEL as the name of its namespace; see
// detail/kernels.hpp for what that forbids here.
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

// The loops below have no small linear algebra to keep in registers: compilers find their vectors.

// -------------------------------------------------------------------- agreement, theory (8.3)

template <class Real>
inline Real within(Real value, Real least, Real most) {
  return value < least ? least : value > most ? most : value;
}

/// The consensus weight of a client.
template <class Real>
inline Real consensus(const Agreement<Real>& g, Real a, Real b, Real crowd) {
  if (!g.learned) return g.fixed;
  return within((b + Real(5) * crowd) / (a + Real(5)), Real(0), Real(1));
}

/// Whether a client has a scale, and there is a crowd to go to: a NaN says that there is none.
template <class Real>
inline bool hears(const Agreement<Real>& g, Size i, Real agreed) {
  return g.moved[i] > 0 && agreed == agreed;
}

template <class Real>
struct Shown {
  Real apart;
  double value;
};
/// What a client is shown to forecast, from row i of an output's arrays.
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
void settle(const Agreement<Real>& g, const Outcome<Real>& outcome, double* sums, Size first,
            Size last) {
  unsigned char learns[kChunkAgents], known[kChunkAgents], knows[kChunkAgents];
  for (Size i = first; i < last; ++i) {
    bool whole = true, any = false, then = false;
    for (Size o = 0; o < g.d; ++o) {
      const double base = g.base[o * g.padded + i], y = outcome.y[i * g.d + o];
      const bool seen = y == y, had = base == base;
      whole = whole && seen && had, any = any || had, then = then || seen || had;
    }
    learns[i - first] = whole, known[i - first] = any, knows[i - first] = then;
  }
  for (Size o = 0; o < g.d; ++o) {
    const Real agreed = static_cast<Real>(g.agreed[o]), crowd = static_cast<Real>(g.crowd[o]);
    double count = 0.0, sum_a = 0.0, sum_b = 0.0;
    for (Size i = first; i < last; ++i) {
      const Size at = o * g.padded + i;
      const double y = outcome.y[i * g.d + o], base = g.base[at];
      const Shown<Real> shown = show(g, at, agreed, crowd);
      const double error = y - shown.value;
      const bool scored = error == error, learn = learns[i - first] != 0;
      outcome.cost[i] += scored ? error * error : 0.0;
      outcome.scored[i] += scored ? 1.0 : 0.0;
      const Real change = learn ? static_cast<Real>(y - base) : Real(0);
      const bool agree = learn && hears(g, at, agreed);
      const Real surprise = within(change / g.scale[at] - g.forecast[at], Real(-6), Real(6));
      const Real a = Real(.998) * g.agree_a[at] + shown.apart * shown.apart;
      const Real b = Real(.998) * g.agree_b[at] + shown.apart * surprise;
      g.agree_a[at] = agree ? a : g.agree_a[at];
      g.agree_b[at] = agree ? b : g.agree_b[at];
      outcome.change[at] = change;
      g.base[at] = y == y ? y : base;
      const Real moved = change != 0 ? Real(1) : g.moved[at];
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
    outcome.mark[i] = Real(learns[i - first]  ? kLearn
                           : known[i - first] ? kCount
                                              : kNothing) +
                      Real(knows[i - first] ? kKnown : 0);
}

// -------------------------------------------------------------------- sums over the crowd

constexpr Size kPartialSums = 16;  // fixes the order of additions, whatever the vectors

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

template <class Real>
void split(const Real* values, const Real* present, Size first, Size last, Split<Real>& s) {
  double parts[kPartialSums] = {};
  Size below_low = 0, below_high = 0;
  for (Size from = first; from < last; from += kPartialSums)
    for (Size l = 0; l < kPartialSums && from + l < last; ++l) {
      const Real v = values[from + l];
      const bool counts = present == nullptr || present[from + l] > 0;
      below_low += counts && v < s.low_from;
      below_high += counts && v < s.high_from;
      parts[l] += counts && v > s.low_to && v < s.high_from ? static_cast<double>(v) : 0.0;
    }
  s.below_low += below_low, s.below_high += below_high, s.between += add_up(parts);
  Size n_low = s.n_low, n_high = s.n_high;
  for (Size i = first; i < last; ++i) {
    const Real v = values[i];
    const bool counts = present == nullptr || present[i] > 0;
    s.low[n_low] = v, s.high[n_high] = v;
    n_low += counts && v >= s.low_from && v <= s.low_to;
    n_high += counts && v >= s.high_from && v <= s.high_to;
  }
  s.n_low = n_low, s.n_high = n_high;
}

template <class Real>
constexpr PanelKernels<Real> make() {
  return {work_size<Real>, advance<Real>, forecast<Real>, settle<Real>, clipped<Real>, split<Real>};
}

}  // namespace

extern const PanelKernels<double> panel_kernels_f64 = make<double>();
extern const PanelKernels<float> panel_kernels_f32 = make<float>();

}  // namespace memoa::detail::MEMOA_LEVEL
