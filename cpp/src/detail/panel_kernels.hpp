#pragma once

#include "detail/kernels.hpp"

// The loops over the clients of a panel. detail/kernels.hpp says how they are compiled.
namespace memoa::detail {

/// The layout of a block of clients: the first row of each array in its record. A row has one
/// number per lane.
struct ClientRecord {
  Size p, d, dx;
  Features features;
  Size gram, cross;       // H and q, theory section 8
  Size mean, deviations;  // running moments of x (dx each)
  Size counted;           // steps counted in them
  Size learnt, squares;   // steps learnt; sums of squared increments (d)
  Size inputs;            // the last x (dx), outliers bounded
  Size pending;           // its features, or those that the caller gave (p)
  Size rows;
};

/// What the next pass must still learn from a step, and whether the client has a value. Inputs that
/// are learnt are also counted in the moments, unless they were before (kLater).
enum Mark { kNothing = 0, kCount = 1, kLearn = 2, kLater = 3, kKnown = 4 };

/// Values are bounded to so many deviations after so many were counted, theory section 8. For
/// inputs this begins later, because a seasonal input begins with a season of zeros.
constexpr int kFar = 12, kChangesJudged = 10, kInputsJudged = 40;

/// A pass over a range of clients: learns the step before, factorises, encodes, and computes the
/// readouts and their forecasts, theory (8.1).
template <class Real>
struct ClientPass {
  const ClientRecord* record;
  Real* records;
  Size n_clients, padded;
  Real forgetting, ridge, pooling;
  bool learn;                  // whether a step before this one must be learnt
  double norm;                 // of a feature
  const Real *weights, *bias;  // of random features, (p, dx) and (p): one encoder for all
  const Real* x;               // (N, dx), or (N, p) features
  const Real* mark;            // (padded)
  const Real* change;        // (d, padded): y - base of the step before, 0 where nothing is learnt
  const Real* mean_readout;  // (d, p)
  const Real* asleep;        // (padded), 1 if a client uses `held`; null: none does
  const Real* held;          // (d p, padded): mean readouts last sent to these
  // results
  Real* readout;   // (d p, padded)
  Real* forecast;  // (d, padded), in units of the scale
  Real* scale;     // (d, padded)
  void* work;      // work_size() bytes of this thread
};

/// The consensus of clients, theory (8.3), and what forecasts are computed from.
template <class Real>
struct Agreement {
  Size d, padded;
  bool learned;
  Real fixed;               // the consensus weight if it is not learned
  Real prior;               // weight of the crowd's consensus weight in a client's
  const double* crowd;      // (d), the crowd's consensus weight
  const double* agreed;     // (d), the crowd's forecast; NaN if there is no crowd
  const Real* forecast;     // (d, padded)
  const Real* scale;        // (d, padded)
  Real *agree_a, *agree_b;  // (d, padded)
  Real* present;            // (d, padded), 1 where a client counts in the crowd's averages
  Real* moved;              // (d, padded), 1 after a nonzero increment: there is a scale
  double* base;             // (d, padded), NaN where no value was seen
};

/// What is kept of a forecast until its y comes, rows (d, padded), theory (10.11).
template <class Real>
struct LateStep {
  Real *forecast, *scale;  // c and s at the forecast
  Real *apart, *heard;     // distance from the crowd's forecast; 1 if there was one
  double *base, *value;    // NaN where no value was seen
};

/// What becomes known at the end of a step.
template <class Real>
struct Outcome {
  const double* y;             // (N, d), NaN where there is none
  const unsigned char* awake;  // (N), or null for all
  Real* change;                // (d, padded)
  Real* mark;                  // (padded)
  double* cost;                // (padded), squared errors
  double* scored;              // (padded), the number of these
  const LateStep<Real>* late;  // the forecast that y belongs to; null: the last one
};

/// Brackets around the two order statistics at which a trimmed mean is cut, low_to < high_from, and
/// the values inside and outside of them.
template <class Real>
struct Split {
  Real low_from, low_to, high_from, high_to;
  Real* near;      // values inside the brackets, in order
  Size n_near;     // how many
  Size below;      // values below low_from
  Size n_between;  // values above low_to and below high_from
  double between;  // their sum
};

template <class Real>
struct PanelKernels {
  Size (*work_size)(const ClientRecord&);
  /// The pass for clients [first, last) of one chunk, in whole pairs of blocks.
  void (*advance)(const ClientPass<Real>&, Size first, Size last);
  /// Forecasts (N, d) of clients [first, last).
  void (*forecast)(const Agreement<Real>&, double* out, Size first, Size last);
  /// Keeps the last forecasts until their y comes, and marks their inputs to be counted.
  void (*keep)(const Agreement<Real>&, const LateStep<Real>&, Real* mark, Real* change, Size first,
               Size last);
  /// Counts errors, learns the consensus weights, moves the bases and marks what is still to be
  /// learnt. sums (3 d): the number of clients then present, and their a and b.
  void (*settle)(const Agreement<Real>&, const Outcome<Real>&, double* sums, Size first, Size last);
  /// Sums over present clients of clip(value - center, +-limit) and of its absolute value.
  void (*clipped)(const Real* values, const Real* present, double center, double limit, Size first,
                  Size last, double* sums);
  /// Adds the values [first, last) of present clients to the split.
  void (*split)(const Real* values, const Real* present, Size first, Size last, Split<Real>&);
};

template <class Real>
const PanelKernels<Real>& panel_kernels();

namespace baseline {
extern const PanelKernels<double> panel_kernels_f64;
extern const PanelKernels<float> panel_kernels_f32;
}  // namespace baseline
namespace v3 {
extern const PanelKernels<double> panel_kernels_f64;
extern const PanelKernels<float> panel_kernels_f32;
}  // namespace v3
namespace v4 {
extern const PanelKernels<double> panel_kernels_f64;
extern const PanelKernels<float> panel_kernels_f32;
}  // namespace v4

}  // namespace memoa::detail
