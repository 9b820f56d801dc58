// Compiled once per instruction set, with MEMOA_LEVEL as the name of its namespace.
// detail/kernels.hpp says what must not be used here for that reason.
#include "detail/agents.hpp"
#include "detail/definite.hpp"
#include "detail/weighing.hpp"

namespace memoa::detail::MEMOA_LEVEL {
namespace {

/// Adds the lanes in order.
template <class Real>
double add_lanes(const Real* values) {
  double sum = 0.0;
  for (Size l = 0; l < kLanes<Real>; ++l) sum += static_cast<double>(values[l]);
  return sum;
}

template <class Real>
Size work_size(const Record& record) {
  return Agents<Real>::work_size(record) + kTile * (record.d + 1) * 64;
}

template <class Real>
void advance(const Advance<Real>& pass, Size first, Size last) {
  const Size sums = pass.steps * (pass.record->d + 1);
  char* work = static_cast<char*>(pass.work);
  Real* totals = reinterpret_cast<Real*>(work + Agents<Real>::work_size(*pass.record));
  for (Size j = 0; j < sums * kLanes<Real>; ++j) totals[j] = Real(0);
  for (Size s = 0; s < pass.steps; ++s) pass.bad[s] = pass.n_agents;
  Agents<Real> agents(pass, reinterpret_cast<Pair<Real>*>(work));
  for (Size vector = first / Agents<Real>::kWidth; vector < last / Agents<Real>::kWidth;
       vector += 2)
    agents.run(vector, totals);
  for (Size j = 0; j < sums; ++j) pass.sums[j] = add_lanes(totals + j * kLanes<Real>);
}

// -------------------------------------------------------------------- the policy, theory (6.2)

// The loops below have no small linear algebra that must stay in registers, so the compiler can
// vectorise them.

template <class Real>
inline Real strength(const Response<Real>& r, Real energy) {  // s
  return energy > 0 ? energy / (energy + r.price) : Real(0);
}
/// 1 - (1 - share) s, without the cancellation; 0 for lanes beyond the last agent.
template <class Real>
inline Real rest(const Response<Real>& r, Real energy, Size agent) {
  if (agent >= r.n_agents) return Real(0);
  return energy > 0 ? (r.share * energy + r.price) / (energy + r.price) : Real(1);
}

template <bool Some, class Real>
void add_responses(const Response<Real>& r, const Real* forecast, const Real* energy, Size first,
                   Size last, double* sums) {
  for (Size o = 0; o < r.d + 2; ++o) {
    Real totals[kLanes<Real>] = {};
    const Real* c = forecast + (o < r.d ? o : 0) * r.padded;
    for (Size i = first; i < last; i += kLanes<Real>)
      for (Size l = 0; l < kLanes<Real>; ++l) {
        const Real s = strength(r, energy[i + l]);
        const Real term = o < r.d ? s * c[i + l] : o == r.d ? s : rest(r, energy[i + l], i + l);
        totals[l] += !Some || r.awake[i + l] ? term : Real(0);
      }
    sums[o] = add_lanes(totals);
  }
}
template <class Real>
void respond(const Response<Real>& r, const Real* forecast, const Real* energy, Size first,
             Size last, double* sums) {
  r.awake != nullptr ? add_responses<true>(r, forecast, energy, first, last, sums)
                     : add_responses<false>(r, forecast, energy, first, last, sums);
}

template <class Real>
void act(const Response<Real>& r, const Real* forecast, const Real* energy, Real* increment,
         Size first, Size last) {
  for (Size o = 0; o < r.d; ++o) {
    const Real* c = forecast + o * r.padded;
    Real* out = increment + o * r.padded;
    for (Size i = first; i < last; ++i)
      out[i] = strength(r, energy[i]) * (r.pull[o] + r.own * c[i]);
  }
}

template <class Real>
void charge(const Real* increment, Size padded, const Real* change, Size d, double* cost,
            Size first, Size last, const unsigned char* awake, double* missed) {
  for (Size o = 0; o < d; ++o) {
    if (change[o] != change[o]) continue;  // missing
    const Real* shown = increment + o * padded;
    if (awake == nullptr) {
      for (Size i = first; i < last; ++i) {
        const double error = static_cast<double>(change[o] - shown[i]);
        cost[i] += error * error;
      }
      continue;
    }
    for (Size i = first; i < last; ++i) {
      const double error = static_cast<double>(change[o] - shown[i]);
      cost[i] += awake[i] ? error * error : 0.0;
      missed[i] += awake[i] ? 0.0 : 1.0;
    }
  }
}

template <bool Some, class Real>
void take_census(const Census<Real>& q, const Response<Real>& r, const Real* forecast,
                 const Real* energy, const double* recent_loss, unsigned char* used, Size first,
                 Size last, double* sums) {
  for (Size o = 0; o < r.d; ++o) {
    Real totals[kCensusSums][kLanes<Real>] = {};
    for (Size i = first; i < last; i += kLanes<Real>)
      for (Size l = 0; l < kLanes<Real>; ++l) {
        const Size agent = i + l;
        const Real c = forecast[o * r.padded + agent], e = energy[agent];
        const Real away = c < q.centre[o] ? q.centre[o] - c : c - q.centre[o];
        const bool is_used = agent < r.n_agents && recent_loss[agent] <= q.worst &&
                             away <= q.range[o] && (!Some || r.awake[agent]);
        const bool counts = is_used && c >= q.low[o] && c <= q.high[o];
        const Real s = strength(r, e);
        used[o * r.padded + agent] = is_used ? 1 : 0;
        totals[0][l] += counts ? c : Real(0);
        totals[1][l] += counts ? s * c : Real(0);
        totals[2][l] += counts ? s : Real(0);
        totals[3][l] += counts ? rest(r, e, agent) : Real(0);
        totals[4][l] += counts ? Real(1) : Real(0);
      }
    for (Size j = 0; j < kCensusSums; ++j) sums[o * kCensusSums + j] = add_lanes(totals[j]);
  }
}
template <class Real>
void census(const Census<Real>& q, const Response<Real>& r, const Real* forecast,
            const Real* energy, const double* recent_loss, unsigned char* used, Size first,
            Size last, double* sums) {
  r.awake != nullptr
      ? take_census<true>(q, r, forecast, energy, recent_loss, used, first, last, sums)
      : take_census<false>(q, r, forecast, energy, recent_loss, used, first, last, sums);
}

template <bool Some, class Real>
void add_losses(const Real* forecast, Size padded, const Real* change, Size d, double forgetting,
                double largest, double* recent_loss, Size first, Size last,
                const unsigned char* awake) {
  for (Size i = first; i < last; ++i) {
    double loss = 0.0;
    for (Size o = 0; o < d; ++o) {
      if (change[o] != change[o]) continue;
      const Real miss = change[o] - forecast[o * padded + i];
      loss += static_cast<double>(miss) * static_cast<double>(miss);
    }
    const double now = forgetting * recent_loss[i] + (loss < largest ? loss : largest);
    recent_loss[i] = !Some || awake[i] ? now : recent_loss[i];
  }
}
template <class Real>
void remember(const Real* forecast, Size padded, const Real* change, Size d, double forgetting,
              double largest, double* recent_loss, Size first, Size last,
              const unsigned char* awake) {
  if (awake != nullptr)
    add_losses<true>(forecast, padded, change, d, forgetting, largest, recent_loss, first, last,
                     awake);
  else
    add_losses<false>(forecast, padded, change, d, forgetting, largest, recent_loss, first, last,
                      awake);
}

// -------------------------------------------------------------------- rows of the mixture's window

constexpr Size kPartialSums = 16;  // fixes the order of additions for any vector width

template <class Real, class Term>
double add_up(Size n, const Term& term) {
  double sums[kPartialSums] = {};
  Size i = 0;
  for (; i + kPartialSums <= n; i += kPartialSums)
    for (Size l = 0; l < kPartialSums; ++l) sums[l] += term(i + l);
  for (Size l = 0; i < n; ++i, ++l) sums[l] += term(i);
  for (Size half = kPartialSums / 2; half > 0; half /= 2)
    for (Size l = 0; l < half; ++l) sums[l] += sums[l + half];
  return sums[0];
}

template <class Real>
double dot(const Real* a, const Real* b, Size n) {
  return add_up<Real>(n, [&](Size i) MEMOA_LAMBDA {
    return static_cast<double>(a[i]) * static_cast<double>(b[i]);
  });
}

template <class Real>
double sum(const Real* a, Size n) {
  return add_up<Real>(n, [&](Size i) MEMOA_LAMBDA { return static_cast<double>(a[i]); });
}

double worst(const double* cost, const double* before, Size first, Size last) {
  double largest[8] = {};
  for (Size i = first; i < last; ++i) {
    const double since = before == nullptr ? cost[i] : cost[i] - before[i];
    double& most = largest[(i - first) % 8];
    most = since > most ? since : most;
  }
  for (Size l = 1; l < 8; ++l) largest[0] = largest[l] > largest[0] ? largest[l] : largest[0];
  return largest[0];
}

template <class Real>
constexpr Kernels<Real> make() {
  Kernels<Real> made{};
  made.work_size = work_size<Real>;
  made.advance = advance<Real>;
  made.respond = respond<Real>;
  made.act = act<Real>;
  made.charge = charge<Real>;
  made.census = census<Real>;
  made.remember = remember<Real>;
  made.dot = dot<Real>;
  made.sum = sum<Real>;
  made.solve_definite = solve_definite;
  made.add_outer = add_outer;
  made.weigh = weigh<Real>;
  made.least_error = least_error<Real>;
  made.take_losses = take_losses<Real>;
  made.worst = worst;
  return made;
}

}  // namespace

extern const Kernels<double> kernels_f64 = make<double>();
extern const Kernels<float> kernels_f32 = make<float>();

}  // namespace memoa::detail::MEMOA_LEVEL
