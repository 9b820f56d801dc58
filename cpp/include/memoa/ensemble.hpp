#pragma once

#include <memory>
#include <string>
#include <vector>

#include "memoa/interval.hpp"
#include "memoa/run.hpp"

namespace memoa {

struct WorstAgent {
  Index agent = 0;
  double cost = 0.0;  ///< the largest sum of squared errors: the regret
};

/// Where a run of an ensemble writes; every pointer but `predictions` may be null.
struct EnsembleOutput : RunOutput {
  double* bounds = nullptr;       ///< (T, levels, 2, d), the intervals around the forecasts
  double* next_bounds = nullptr;  ///< (levels, 2, d), those around `next`
  double* agent_rmse = nullptr;   ///< (N,), over the scored values; NaN for an agent without any
  double* base = nullptr;         ///< (d), the last y before the first step
};

/// Optional input of a run, beside X and Y; the same as for `memoa::run`.
struct RunOptions {
  const double* initial = nullptr;  ///< (d), or (n_initial, d)
  Index n_initial = 1;
  const unsigned char* awake = nullptr;  ///< (rows of X, N)
  Labels labels = Labels::own;
  Pace pace;
};

/// The part of a run over which errors are counted.
struct Scored {
  Index first = 0;   ///< the first such step: after the warm-up, and when every output had a y
  Index values = 0;  ///< numbers in the y of these steps
};

struct Saved;

/// Agents and the server that mixes their forecasts, theory section 6, as one online forecaster.
///
///     memoa::OnlineEnsemble ensemble(settings);
///     while (read(x)) {
///       const double forecast = ensemble.predict(x)[0];
///       ensemble.learn(x, wait_for_y());
///     }
///     ensemble.save("state.npz");
///
/// An engine: it owns the state of the agents, of the server and of the intervals. Its calls
/// may come in any order. Python's OnlineEnsemble is this class: it gives the same bits, and each
/// reads the files of the other. NaN in x and y is a missing number. Bad numbers and wrong sizes
/// throw std::invalid_argument before anything changes. If memory runs out, nothing is learnt,
/// except in a run with a delay, which may stop half-way. Several threads may call const members at
/// the same time, but no other member meanwhile, and not `save`.
///
/// If several processes share the agents (`settings.shard`), arrays with one entry per agent have
/// the agents of this process alone, and `worst_agent` is one of these.
///
/// With a delay k (`past.delay`) y is known after k further forecasts, theory (10.7): up to k + 1
/// of them wait, and `learn` takes the y of the oldest. memoa/run.hpp has `n_waiting` and
/// `waiting_inputs`, which describe them.
///
///     ensemble.predict(x[t]);
///     if (t >= k) ensemble.learn(x[t - k], y[t - k]);
template <class Real>
class MEMOA_API BasicOnlineEnsemble {
 public:
  /// `levels` of intervals around the forecasts: increasing, each in (0, 1); none by default. The
  /// mixture's delay is that of the settings.
  explicit BasicOnlineEnsemble(PopulationSettings settings, const Mixture& mixture = {},
                               const std::vector<double>& levels = {});
  ~BasicOnlineEnsemble();
  BasicOnlineEnsemble(BasicOnlineEnsemble&&) noexcept;
  BasicOnlineEnsemble& operator=(BasicOnlineEnsemble&&) noexcept;

  /// The server's forecast (d) of the y that belongs to the inputs x (dx), or to the features
  /// (N, p) with Precomputed. The reference is valid until the next call. Nothing is learnt before
  /// `learn`; with a delay the forecast waits for its y, and x counts from now on.
  /// Agents that are not `awake` (N) are away, theory (10.10): they are in no average and their
  /// errors are not counted, but they still learn. Empty: all are awake, as always with a delay.
  const std::vector<double>& predict(const VectorView& x,
                                     const std::vector<unsigned char>& awake = {});
  /// Learns the y (d) that belongs to x. If x is not the input last predicted, it is predicted
  /// first, because agents learn from their forecasts. The first y of all is only observed.
  /// With a delay x must be the input of the oldest forecast that waits; any other throws. NaN
  /// means that the y never comes.
  void learn(const VectorView& x, const VectorView& y);
  /// The same for the x last predicted; not with a delay.
  void learn(const VectorView& y);
  /// Would `learn(x, y)` learn from the last forecast? False with a delay.
  bool waits_for(const VectorView& x) const;
  /// The x whose y `learn(y)` would learn; empty if there is none.
  std::vector<double> waiting() const;
  /// Drops the last forecast; if the forecast before it was still waiting for its y, that one waits
  /// again. With a delay nothing is dropped.
  void take_back();
  /// Uses y (d) as the last value seen, without learning.
  void observe(const VectorView& y);
  /// Forecasts (T, d) of the inputs X (T, dx), or (T, N p), and learns Y (T, d) on the way: the
  /// bits of T times predict and learn. All input is checked before anything is learnt. `awake`
  /// has T rows of N. With a delay Y[t] is learnt after the forecast of X[t + k], and the last ones
  /// with the forecasts after the run; it throws if a forecast of `predict` still waits for its
  /// y.
  std::vector<double> run(const MatrixView& X, const MatrixView& Y,
                          const std::vector<unsigned char>& awake = {});
  /// The same, with all possible output. X has one row more than Y if `output.next` is given.
  Scored run(const MatrixView& X, const MatrixView& Y, const EnsembleOutput& output,
             const RunOptions& options = {});
  /// Forecasts (T, d) of every row of X as if it were the next input, without learning.
  std::vector<double> predict_rows(const MatrixView& X);

  const PopulationSettings& settings() const;
  const Mixture& mixture() const;
  const std::vector<double>& levels() const;

  Index steps() const;                           ///< steps learnt
  Index scored() const;                          ///< values of y that are counted in the costs
  const std::vector<double>& intervals() const;  ///< (levels, 2, d), lower and upper bounds about
                                                 ///< the last forecast; NaN before any error
  std::vector<double> weights();                 ///< (N), the server's
  std::vector<double> agent_costs();             ///< (N), sums of squared errors, theory (6.6)
  WorstAgent worst_agent();
  const BasicPopulation<Real>& population() const;  ///< read only
  const BasicServerMixture<Real>& server() const;
  /// For other ways to take steps, such as `tell` and `hear`; intervals do not learn from these.
  BasicPopulation<Real>& population();
  BasicServerMixture<Real>& server();

  /// All that was learnt except the memories of population and server, as JSON.
  std::string note() const;
  /// Restores the three in a new ensemble with the same settings, and the last `intervals` if
  /// given. Throws std::invalid_argument.
  void restore(const PopulationMemory& population, const MixtureMemory& server,
               const std::string& note, const std::vector<double>& intervals = {});

  /// Writes all that was learnt to one file, as `memoa::save` does: if it fails at any point, the
  /// old file at `path` stays complete. Input names that Python stored are kept.
  void save(const std::string& path) const;
  /// The same, with the members of another note, a JSON object.
  void save(const std::string& path, const std::string& note) const;
  /// Reads what `save` of C++ or Python wrote, and continues with the same bits. `n_threads` as in
  /// PopulationSettings; less than 0 means as saved. If the file has other content or another
  /// precision, throws std::invalid_argument with one line that names the file.
  static BasicOnlineEnsemble load(const std::string& path, int n_threads = -1);
  /// From what `memoa::load` read at `path`, without its note. It may be one part of what several
  /// processes saved; then its `pending` is not predicted.
  BasicOnlineEnsemble(Saved&& saved, const std::string& path);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

using OnlineEnsemble = BasicOnlineEnsemble<double>;
using OnlineEnsembleF32 = BasicOnlineEnsemble<float>;  ///< half the memory and memory traffic

}  // namespace memoa
