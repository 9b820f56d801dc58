#pragma once

#include <functional>
#include <memory>

#include "memoa/encoder.hpp"

namespace memoa {

/// z = (1, x) / sqrt(dx + 1) of the standardised input x.
struct Linear {};

/// One encoder for all clients, so that their readouts mean the same.
using PanelEncoder = std::variant<Linear, RandomFeatures, Precomputed>;

/// How the crowd's values become one: their mean; their mean without the lowest and the highest
/// fifth; or the mean of the values clipped about the last result, theory (8.6).
enum class Aggregate { mean, trimmed, clip };

struct PanelSettings {
  Index n_clients = 1;
  Index n_inputs = 1;   ///< dx; not used by Precomputed
  Index n_outputs = 1;  ///< d
  PanelEncoder encoder = Linear{};
  double pooling = 10.0;   ///< >= 0, price of a readout's distance from the crowd's
  double ridge = 1.0;      ///< > 0
  bool learned = true;     ///< whether each client learns its consensus weight, theory (8.3)
  double consensus = 0.0;  ///< l >= 0, where it is not learned
  Aggregate aggregate = Aggregate::trimmed;
  double forgetting = 0.998;  ///< in (0, 1]
  std::uint64_t seed = 0;
  int n_threads = 0;  ///< 0: all that the process may use
};

/// Throws std::invalid_argument that names the setting at fault.
void validate(const PanelSettings& settings);

/// All that was learnt, independent of the layout in memory. The last step's share in `gram` and
/// the like is still to come: it is in `mark`, `change` and `pending`.
struct PanelMemory {
  Index steps = 0;
  bool due = false;                  ///< whether the crowd's readout is to be formed anew
  std::vector<double> base;          ///< (N, d), NaN where no value was seen
  std::vector<double> gram;          ///< (N, p (p+1)/2), packed lower triangle of H
  std::vector<double> cross;         ///< (N, d, p), q
  std::vector<double> counted;       ///< (N), inputs in the moments
  std::vector<double> mean;          ///< (N, dx)
  std::vector<double> deviations;    ///< (N, dx)
  std::vector<double> learnt;        ///< (N), steps
  std::vector<double> squares;       ///< (N, d), of increments
  std::vector<double> pending;       ///< (N, dx), the last inputs, or (N, p) features
  std::vector<double> mark;          ///< (N), what the last step leaves to be learnt
  std::vector<double> change;        ///< (N, d), its increments
  std::vector<double> moved;         ///< (N, d), 1 once an increment was not 0
  std::vector<double> present;       ///< (N, d), 1 where the client counts in averages
  std::vector<double> agree_a;       ///< (N, d), theory (8.3)
  std::vector<double> agree_b;       ///< (N, d)
  std::vector<double> cost;          ///< (N), sums of squared errors
  std::vector<double> scored;        ///< (N), of how many
  std::vector<double> readouts;      ///< (N, d, p), the last ones
  std::vector<double> asleep;        ///< (N), 1 where the client goes by `held`
  std::vector<double> held;          ///< (N, d, p), mean readouts last sent; empty: nobody sleeps
  std::vector<double> mean_readout;  ///< (d, p)
  std::vector<double> centers;       ///< (d (p + 1)), of the clipped means: readouts, forecasts
  std::vector<double> spreads;       ///< (d (p + 1))
};

/// N clients, each with its own series, that shrink their readouts to the crowd's, theory
/// section 8. An engine: it owns the clients' state. The same bits for any number of threads and on
/// any processor. `Real` is the type of the clients' state and of their inputs; targets and
/// forecasts are double.
///
///     predict(x) forms the forecasts and leaves no trace until learn(y).
///
/// Input is checked before anything changes (std::invalid_argument).
template <class Real>
class BasicPanel {
 public:
  explicit BasicPanel(PanelSettings settings);
  ~BasicPanel();
  BasicPanel(BasicPanel&&) noexcept;
  BasicPanel& operator=(BasicPanel&&) noexcept;

  const PanelSettings& settings() const;
  Index n_features() const;

  /// Takes y (N, d) as the last values seen, without learning; NaN where there is none.
  void observe(const double* y);
  /// Forecasts (N, d) from the clients' inputs x (N, dx), or features (N, p) with Precomputed. NaN
  /// for a client without a value yet, whose inputs are not looked at.
  void predict(const Real* x, double* forecasts);
  /// Learns the y (N, d) that belongs to the x last predicted; NaN where there is none. `awake`
  /// (N), or null for all: who takes part in the exchange that follows.
  void learn(const double* y, const unsigned char* awake = nullptr);
  bool is_pending() const;  ///< predicted, not yet learnt

  /// predict and learn T steps: x (T, N, dx), y (T, N, d), awake (T, N) or null, forecasts
  /// (T, N, d). Calls after_step(steps done) where given; what that throws ends the run, with the
  /// steps so far learnt.
  void run(const Real* x, const double* y, const unsigned char* awake, Index n_steps,
           double* forecasts, const std::function<void(Index)>& after_step = {});

  /// Adds clients without history, after those that are there. A forecast not yet learnt is
  /// dropped.
  void add_clients(Index count);

  Index steps() const;
  void base(double* out) const;               ///< (N, d), the last values seen; NaN: none yet
  void readouts(double* out) const;           ///< (N, p, d), of the last forecasts
  void mean_readout(double* out) const;       ///< (p, d), the crowd's
  void consensus_weights(double* out) const;  ///< (N, d), beta of theory (8.3)
  void costs(double* out) const;              ///< (N,), sums of squared errors
  void scored(double* out) const;             ///< (N,), of how many
  void scales(double* out) const;  ///< (N, d), root mean squares of the increments learnt
  std::size_t bytes() const;

  using Memory = PanelMemory;
  Memory memory() const;
  void restore(const Memory& memory);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

using Panel = BasicPanel<double>;
using PanelF32 = BasicPanel<float>;  ///< half the memory and its traffic

/// The Nash equilibrium of clients with given statistics, theory (8.2): the mean readout (p, d) and
/// readouts (N, p, d), from gram (N, p, p) and cross (N, p, d). ridge >= 0, pooling >= 0.
struct PanelEquilibrium {
  std::vector<double> mean_readout, readouts;
};
PanelEquilibrium solve_panel_equilibrium(const double* gram, const double* cross, Index n_clients,
                                         Index n_features, Index n_outputs, double ridge,
                                         double pooling);

}  // namespace memoa
