#pragma once

#include <cstddef>
#include <cstdint>

// The loops over agents that take a population's time, compiled for several instruction sets from
// one source (population_kernels.cpp) and chosen at run time. Agents are the lanes of the vectors,
// so that every agent's small linear algebra reads like scalar code. Contraction is off and no sum
// is reordered: all levels give the same bits.
//
// This header is read by code that is compiled for instructions the processor may lack. It must
// bring in no inline function that the linker could keep from there.
namespace memoa::detail {

using Size = std::ptrdiff_t;

/// Agents of a block: one cache line of each of their numbers.
template <class Real>
constexpr Size kLanes = 64 / static_cast<Size>(sizeof(Real));

/// Agents of a chunk, the unit of every sum and of the work of a thread.
constexpr Size kChunkAgents = 256;

/// Steps of a series that a block of agents takes while it sits in the cache.
constexpr Size kTile = 16;

enum class Features { relu, tanh, cos, wave, echo, given, linear };

/// Entry (row, column <= row) of a packed lower triangle.
constexpr Size packed(Size row, Size column) { return row * (row + 1) / 2 + column; }
constexpr Size packed_size(Size p) { return p * (p + 1) / 2; }

/// Where a block keeps what: a record of rows, one number per lane each.
struct Record {
  Size p, d, dx;
  Size plain, row_size;  // of random features: the constant and raw inputs; entries of a row of V
  bool sparse;           // a row of V sees some of the inputs
  Features features;
  Size gram, cross, input, bias, raw, columns, recurrent, reservoir, pending;  // first rows
  Size rows;
};

/// An agent's settings by type: agent i is of type i mod n_types. One row of lanes per phase of the
/// blocks against the types.
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
  bool learn_first = false;       // is there a step before the first one to be learnt?
  bool keep_last = true;          // will the last step be learnt?
  const Real* learn_x = nullptr;  // (dx), the standardised input of the step before
  const Real* change = nullptr;   // (steps, d): what is learnt before each step, y - base, or NaN
  const Real* before = nullptr;   // (d, padded): forecasts of the step before, where it has a NaN
  const Real* x = nullptr;        // (steps, dx), standardised
  const double* given = nullptr;  // (steps, N, p) where the caller hands in the features
  const Real* bound = nullptr;    // (steps, d), the largest forecasts; null for none
  // results; those of step s begin s strides further on
  Real* forecast = nullptr;  // (d, padded) of the first step
  Real* energy = nullptr;    // (padded)
  Size padded = 0, forecast_stride = 0, energy_stride = 0;
  double* sums = nullptr;  // of a chunk: (steps, d + 1), the forecasts' and the energies'
  Size* bad = nullptr;     // (steps), first agent whose numbers are no longer finite, or n_agents
  void* work = nullptr;    // this thread's, work_size() bytes
};

/// The policy's numbers for one step, theory (6.2).
template <class Real>
struct Response {
  Size n_agents = 0, d = 0, padded = 0;
  Real price = 0, share = 0;             // s = e / (e + price)
  Real own = 0;                          // on the agent's own forecast
  const Real* pull = nullptr;            // (d), (1 - share) m+ + (share - own) cbar
  const unsigned char* awake = nullptr;  // (padded), 1 for those that count; null: all
};

/// Whom the averages of one step count and the mixture heeds, theory (6.9) and (6.10).
template <class Real>
struct Census {
  double worst = 0.0;                              // an agent of a larger recent loss is set aside
  double largest = 0.0;                            // what an error adds to it at most
  const Real *centre = nullptr, *range = nullptr;  // (d): heeded where |c - centre| <= range,
  const Real *low = nullptr, *high = nullptr;      // (d): and counted where low <= c <= high
};

/// What a census adds up in every output: over the counted agents c, s c, s, 1 - (1 - share) s, 1.
constexpr Size kCensusSums = 5;

template <class Real>
struct Kernels {
  Size (*work_size)(const Record&);
  /// Agents [first, last) of one chunk, in whole pairs of blocks; padding is encoded as nothing.
  void (*advance)(const Advance<Real>&, Size first, Size last);
  /// sums (d + 2): of s c, of s and of 1 - (1 - share) s over the agents awake in [first, last).
  void (*respond)(const Response<Real>&, const Real* forecast, const Real* energy, Size first,
                  Size last, double* sums);
  /// increment = s (pull + own c) over agents [first, last); increment may be the forecast itself.
  void (*act)(const Response<Real>&, const Real* forecast, const Real* energy, Real* increment,
              Size first, Size last);
  /// cost += |change - increment|^2 over agents [first, last). Of those that are not awake, where
  /// it is not null, `missed` counts the values instead.
  void (*charge)(const Real* increment, Size padded, const Real* change, Size d, double* cost,
                 Size first, Size last, const unsigned char* awake, double* missed);
  /// sums (d, kCensusSums) over agents [first, last); heeded (d, padded) is 1 or 0.
  void (*census)(const Census<Real>&, const Response<Real>&, const Real* forecast,
                 const Real* energy, const double* recent_loss, unsigned char* heeded, Size first,
                 Size last, double* sums);
  /// recent_loss = forgetting recent_loss + min(|change - forecast|^2, largest) over agents [first,
  /// last). Those that are not awake, where it is not null, keep theirs.
  void (*remember)(const Real* forecast, Size padded, const Real* change, Size d, double forgetting,
                   double largest, double* recent_loss, Size first, Size last,
                   const unsigned char* awake);
  /// Sum of a b, and of a, over n numbers in one row.
  double (*dot)(const Real* a, const Real* b, Size n);
  double (*sum)(const Real* a, Size n);
  /// Of detail/definite.hpp: solves A x = b for m right sides, and adds outer products.
  bool (*solve_definite)(double* a, Size n, Size m, Size stride, double* x);
  void (*add_outer)(double* a, const double* rows, Size count, Size n, Size stride);
  /// Of detail/weighing.hpp: exponential weights of agents by their losses.
  void (*weigh)(const Real* forecast, const double* losses, Size n, double least, double rate,
                double* sums);
  double (*least_error)(const Real* forecast, double change, Size n);
  double (*take_losses)(const Real* forecast, double change, Size n, double forgetting, double by,
                        double most, double* losses);
  /// Largest cost - before over agents [first, last); `before` may be null for zeros.
  double (*worst)(const double* cost, const double* before, Size first, Size last);
};

/// The best level of this processor, or that which MEMOA_INSTRUCTION_SET names, if it has it.
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
