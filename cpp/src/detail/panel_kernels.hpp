#pragma once

#include "detail/kernels.hpp"

// The loops over the clients of a panel, compiled like those of a population; see
// detail/kernels.hpp.
namespace memoa::detail {

/// Where a block of clients keeps what: a record of rows, one number per lane each.
struct ClientRecord {
  Size p, d, dx;
  Features features;
  Size gram, cross;       // H and q, theory section 8
  Size mean, deviations;  // running moments of x (dx each)
  Size counted;           // steps in them
  Size learnt, squares;   // steps learnt; sums of squared increments (d)
  Size inputs;            // the last x (dx), far values bounded
  Size pending;           // the features made of it, or handed in by the caller (p)
  Size rows;
};

/// What a step leaves for the next pass to learn, and whether the client has a value by now. Inputs
/// that are learnt are counted too, unless they were counted before (kLater).
enum Mark { kNothing = 0, kCount = 1, kLearn = 2, kLater = 3, kKnown = 4 };

/// Farther than so many deviations a value is bounded, once so many were counted, theory section 8.
/// Inputs are judged later, for a seasonal one begins with a season of zeros.
constexpr int kFar = 12, kChangesJudged = 10, kInputsJudged = 40;

/// A pass over a range of clients: learn the step before, factorise, encode, find the readouts and
/// what they forecast, theory (8.1).
template <class Real>
struct ClientPass {
  const ClientRecord* record;
  Real* records;
  Size n_clients, padded;
  Real forgetting, ridge, pooling;
  bool learn;                  // is there a step before this one to be learnt?
  double norm;                 // of a feature
  const Real *weights, *bias;  // of random features, (p, dx) and (p): one encoder for all
  const Real* x;               // (N, dx), or (N, p) features
  const Real* mark;            // (padded)
  const Real* change;        // (d, padded): y - base of the step before, 0 where nothing is learnt
  const Real* mean_readout;  // (d, p)
  const Real* asleep;        // (padded), 1 where a client goes by `held`; null: nobody does
  const Real* held;          // (d p, padded): mean readouts last sent to those
  // results
  Real* readout;   // (d p, padded)
  Real* forecast;  // (d, padded), in units of the scale
  Real* scale;     // (d, padded)
  void* work;      // this thread's, work_size() bytes
};

/// How clients agree, theory (8.3), and what the forecasts are made of.
template <class Real>
struct Agreement {
  Size d, padded;
  bool learned;
  Real fixed;               // the consensus weight where it is not learned
  Real prior;               // weight of the crowd's in a client's own, theory (8.3)
  const double* crowd;      // (d), the crowd's consensus weight
  const double* agreed;     // (d), the crowd's forecast; NaN where there is no crowd
  const Real* forecast;     // (d, padded)
  const Real* scale;        // (d, padded)
  Real *agree_a, *agree_b;  // (d, padded)
  Real* present;            // (d, padded), 1 where a client counts in the crowd's averages
  Real* moved;              // (d, padded), 1 once an increment was not 0: there is a scale
  double* base;             // (d, padded), NaN where no value was seen
};

/// What a forecast leaves behind where its y comes late, rows (d, padded), theory (10.11).
template <class Real>
struct LateStep {
  Real *forecast, *scale;  // c and s at that time
  Real *apart, *heard;     // the distance from the crowd's forecast, and 1 if there was one
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
  double* scored;              // (padded), how many
  const LateStep<Real>* late;  // the forecast that y belongs to, or null for the last one
};

/// Brackets about the two order statistics that cut a trimmed mean, low_to < high_from, and what
/// lies in them and elsewhere.
template <class Real>
struct Split {
  Real low_from, low_to, high_from, high_to;
  Real* near;      // values in one of the brackets, in order
  Size n_near;     // how many
  Size below;      // values below low_from
  Size n_between;  // values above low_to and below high_from
  double between;  // their sum
};

template <class Real>
struct PanelKernels {
  Size (*work_size)(const ClientRecord&);
  /// Clients [first, last) of one chunk, in whole pairs of blocks.
  void (*advance)(const ClientPass<Real>&, Size first, Size last);
  /// Forecasts (N, d) of clients [first, last).
  void (*forecast)(const Agreement<Real>&, double* out, Size first, Size last);
  /// Keeps the forecasts just made until their y comes, and marks their inputs to be counted.
  void (*keep)(const Agreement<Real>&, const LateStep<Real>&, Real* mark, Real* change, Size first,
               Size last);
  /// Counts errors, learns the consensus weights, moves the bases and marks what is to be learnt.
  /// sums (3 d): those who are present then, and their a and b.
  void (*settle)(const Agreement<Real>&, const Outcome<Real>&, double* sums, Size first, Size last);
  /// Sums over those present of clip(value - center, +-limit) and of its size.
  void (*clipped)(const Real* values, const Real* present, double center, double limit, Size first,
                  Size last, double* sums);
  /// Adds what is among the values [first, last) of those present to the split.
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
