#pragma once

#include <cstddef>
#include <cstdint>

// The loops over agents that take most of a population's time. One source (population_kernels.cpp)
// is compiled for several instruction sets, and one of them is chosen at run time. Agents are the
// lanes of the vectors, so every agent's small linear algebra reads like scalar code. Contraction
// is off and no sum is reordered, so all levels give the same bits.
//
// Code that is compiled for instructions that the processor may not have includes this header. It
// must not define inline functions: the linker might keep the copy with these instructions.
namespace memoa::detail {

using Size = std::ptrdiff_t;

/// Agents of a block: one cache line of each of their numbers.
template <class Real>
constexpr Size kLanes = 64 / static_cast<Size>(sizeof(Real));

/// Agents of a chunk, the unit of every sum and of a thread's work.
constexpr Size kChunkAgents = 256;

/// Steps of a series that a block of agents takes while it is in the cache.
constexpr Size kTile = 16;

enum class Features { relu, tanh, cos, wave, echo, given, linear };

/// Entry (row, column <= row) of a packed lower triangle.
constexpr Size packed(Size row, Size column) { return row * (row + 1) / 2 + column; }
constexpr Size packed_size(Size p) { return p * (p + 1) / 2; }

/// The layout of a block: a record of rows, with one number per lane in each row.
struct Record {
  Size p, d, dx;
  Size plain, row_size;  // of random features: the constant and raw inputs; entries of a row of V
  bool sparse;           // a row of V uses only some of the inputs
  Features features;
  Size gram, cross, input, bias, raw, columns, recurrent, reservoir, pending;  // first rows
  Size rows;
};

/// An agent's settings by type: agent i has type i mod n_types. Block k uses row k mod `phases`,
/// which has the values of its lanes.
template <class Real>
struct Types {
  const Real* forgetting = nullptr;
  const Real* ridge = nullptr;
  Size phases = 1;
};

/// A pass over a range of blocks for `steps` steps in a row: learn the step before, factorise,
/// encode, forecast, add up (theory section 6, steps 1 and 2).
template <class Real>
struct Advance {
  const Record* record = nullptr;
  Real* records = nullptr;
  Size n_agents = 0;
  Types<Real> types;
  double norm = 0.0;  // sqrt(2 / p)
  double leak = 0.0;  // of an echo state
  Size steps = 0;
  bool learn_first = false;       // whether a step before the first one is to be learnt
  bool keep_last = true;          // whether the last step will be learnt
  const Real* learn_x = nullptr;  // (dx), the standardised input of the step before
  const Real* change = nullptr;   // (steps, d): what is learnt before each step, y - base, or NaN
  const Real* before = nullptr;   // (d, padded): forecasts of the step before, if it has a NaN
  const Real* x = nullptr;        // (steps, dx), standardised
  const double* given = nullptr;  // (steps, N, p), if the caller passes the features
  const Real* bound = nullptr;    // (steps, d), the largest forecasts allowed; null: no bound
  // Results. Those of step s begin s strides further on.
  Real* forecast = nullptr;  // (d, padded) of the first step
  Real* energy = nullptr;    // (padded)
  Size padded = 0, forecast_stride = 0, energy_stride = 0;
  double* sums = nullptr;  // (steps, d + 1), of a chunk's forecasts and energies
  Size* bad = nullptr;     // (steps), first agent whose numbers are no longer finite, or n_agents
  void* work = nullptr;    // this thread's, work_size() bytes
};

/// The policy's numbers for one step, theory (6.2).
template <class Real>
struct Response {
  Size n_agents = 0, d = 0, padded = 0;
  Real price = 0, share = 0;             // s = e / (e + price)
  Real own = 0;                          // weight of the agent's own forecast
  const Real* pull = nullptr;            // (d), (1 - share) m+ + (share - own) cbar
  const unsigned char* awake = nullptr;  // (padded), 1 for agents that count; null: all
};

/// Which agents count in the averages of one step, and which the mixture uses, theory (6.9) and
/// (6.10).
template <class Real>
struct Census {
  double worst = 0.0;                              // agents with a larger recent loss are left out
  double largest = 0.0;                            // the most that one error adds to a recent loss
  const Real *centre = nullptr, *range = nullptr;  // (d): used if |c - centre| <= range,
  const Real *low = nullptr, *high = nullptr;      // (d): and counted if low <= c <= high
};

/// Sums of a census in every output, over the agents that count: c, s c, s, 1 - (1 - share) s, 1.
constexpr Size kCensusSums = 5;

template <class Real>
struct Kernels {
  Size (*work_size)(const Record&);
  /// Agents [first, last) of one chunk, in whole pairs of blocks. The features of padding are 0.
  void (*advance)(const Advance<Real>&, Size first, Size last);
  /// sums (d + 2): of s c, of s and of 1 - (1 - share) s over the agents awake in [first, last).
  void (*respond)(const Response<Real>&, const Real* forecast, const Real* energy, Size first,
                  Size last, double* sums);
  /// increment = s (pull + own c) over agents [first, last); increment may be the forecast itself.
  void (*act)(const Response<Real>&, const Real* forecast, const Real* energy, Real* increment,
              Size first, Size last);
  /// cost += |change - increment|^2 over agents [first, last). If `awake` is not null, `missed`
  /// counts the values instead for agents that are not awake.
  void (*charge)(const Real* increment, Size padded, const Real* change, Size d, double* cost,
                 Size first, Size last, const unsigned char* awake, double* missed);
  /// sums (d, kCensusSums) over agents [first, last); used (d, padded) is 1 or 0.
  void (*census)(const Census<Real>&, const Response<Real>&, const Real* forecast,
                 const Real* energy, const double* recent_loss, unsigned char* used, Size first,
                 Size last, double* sums);
  /// recent_loss = forgetting recent_loss + min(|change - forecast|^2, largest) over agents [first,
  /// last). If `awake` is not null, agents that are not awake keep theirs.
  void (*remember)(const Real* forecast, Size padded, const Real* change, Size d, double forgetting,
                   double largest, double* recent_loss, Size first, Size last,
                   const unsigned char* awake);
  /// Sum of a b, and of a, over n numbers in one row.
  double (*dot)(const Real* a, const Real* b, Size n);
  double (*sum)(const Real* a, Size n);
  /// See detail/definite.hpp: solves A x = b for m right-hand sides, and adds outer products.
  bool (*solve_definite)(double* a, Size n, Size m, Size stride, double* x);
  void (*add_outer)(double* a, const double* rows, Size count, Size n, Size stride);
  /// See detail/weighing.hpp: exponential weights of agents by their losses.
  void (*weigh)(const Real* forecast, const double* losses, Size n, double least, double rate,
                double* sums);
  double (*least_error)(const Real* forecast, double change, Size n);
  double (*take_losses)(const Real* forecast, double change, Size n, double forgetting, double by,
                        double most, double* losses);
  /// Largest cost - before over agents [first, last); `before` may be null for zeros.
  double (*worst)(const double* cost, const double* before, Size first, Size last);
};

/// The best level of this processor, or the one that MEMOA_INSTRUCTION_SET names, if it is there.
template <class Real>
const Kernels<Real>& kernels();

namespace baseline {
extern const Kernels<double> kernels_f64;
extern const Kernels<float> kernels_f32;
}  // namespace baseline
namespace v3 {
extern const Kernels<double> kernels_f64;
extern const Kernels<float> kernels_f32;
}  // namespace v3
namespace v4 {
extern const Kernels<double> kernels_f64;
extern const Kernels<float> kernels_f32;
}  // namespace v4

}  // namespace memoa::detail
