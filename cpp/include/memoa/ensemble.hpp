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

/// What a run may be given beside X and Y, as `memoa::run` has it.
struct RunOptions {
  const double* initial = nullptr;  ///< (d), or (n_initial, d)
  Index n_initial = 1;
  const unsigned char* awake = nullptr;  ///< (rows of X, N)
  Labels labels = Labels::own;
  Pace pace;
};

/// What of a run errors count.
struct Scored {
  Index first = 0;   ///< the first such step: after the warm-up, and once every output had a y
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
/// An engine: it owns the state of the agents, of the server and of the intervals. Its calls cannot
/// be made in a wrong order, and give the bits that Python's OnlineEnsemble gives, whose files it
/// reads and writes; Python's class is this one. NaN in x and y is a missing number. What cannot be
/// learnt, or is of another size, is refused by std::invalid_argument before anything changes, and
/// where memory is missing nothing is learnt, but for a run with a delay, which may stop half-way.
/// Several threads may call const members at once, while none calls another member; `save` counts
/// as another.
///
/// Where several processes share the agents (`settings.shard`), what has one entry per agent is of
/// those of this process, and so is `worst_agent`.
///
/// With a delay k (`past.delay`) y is known after k further forecasts, theory (10.7): up to k + 1
/// of them wait, and `learn` takes the y of the oldest. `n_waiting` and `waiting_inputs` of
/// memoa/run.hpp tell of them.
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
  /// (N, p) with Precomputed. It is there until the next call, and leaves no trace until `learn`;
  /// with a delay it waits for its y, and x counts from now on.
  /// Agents that are not `awake` (N) are away, theory (10.10): they count in no average and are
  /// not charged, and learn all the same. Empty: all are there, as always with a delay.
  const std::vector<double>& predict(const VectorView& x,
                                     const std::vector<unsigned char>& awake = {});
  /// Learns the y (d) that belongs to x. Where x is not the one last predicted it is predicted
  /// first: agents learn from what they forecast. The first y ever seen is observed, not learnt.
  /// With a delay x is that of the oldest forecast that waits, and any other is refused; NaN is a
  /// y that never comes.
  void learn(const VectorView& x, const VectorView& y);
  /// The same for the x last predicted; not with a delay.
  void learn(const VectorView& y);
  /// Would `learn(x, y)` learn from the last forecast? False with a delay.
  bool waits_for(const VectorView& x) const;
  /// The x whose y `learn(y)` would learn; empty where there is none.
  std::vector<double> waiting() const;
  /// Drops the last forecast; where the one before waited for its y, it does so again. With a delay
  /// nothing is dropped.
  void take_back();
  /// Takes y (d) as the last value seen, without learning.
  void observe(const VectorView& y);
  /// Forecasts (T, d) of the inputs X (T, dx), or (T, N p), and learns Y (T, d) on the way: the
  /// bits of T times predict and learn. All of it is checked before any of it is learnt. `awake`
  /// has T rows of N. With a delay Y[t] is learnt after the forecast of X[t + k], and the last ones
  /// with the forecasts that come after the run; one that waits for its y from `predict` is
  /// refused.
  std::vector<double> run(const MatrixView& X, const MatrixView& Y,
                          const std::vector<unsigned char>& awake = {});
  /// The same, with all that it can tell. X has one row more than Y where `output.next` is given.
  Scored run(const MatrixView& X, const MatrixView& Y, const EnsembleOutput& output,
             const RunOptions& options = {});
  /// Forecasts (T, d) of every row of X as if it were the next input, without learning.
  std::vector<double> predict_rows(const MatrixView& X);

  const PopulationSettings& settings() const;
  const Mixture& mixture() const;
  const std::vector<double>& levels() const;

  Index steps() const;                           ///< learnt
  Index scored() const;                          ///< values of y that the costs count
  const std::vector<double>& intervals() const;  ///< (levels, 2, d), lower and upper bounds about
                                                 ///< the last forecast; NaN before any error
  std::vector<double> weights();                 ///< (N), the server's
  std::vector<double> agent_costs();             ///< (N), sums of squared errors, theory (6.6)
  WorstAgent worst_agent();
  const BasicPopulation<Real>& population() const;  ///< to look at
  const BasicServerMixture<Real>& server() const;
  /// To take steps in another way, such as `tell` and `hear`: intervals do not learn from them.
  BasicPopulation<Real>& population();
  BasicServerMixture<Real>& server();

  /// What was learnt beside the memories of population and server, as JSON.
  std::string note() const;
  /// Restores the three in a new ensemble of the same settings, and the last `intervals`, where
  /// they are given. Throws std::invalid_argument.
  void restore(const PopulationMemory& population, const MixtureMemory& server,
               const std::string& note, const std::vector<double>& intervals = {});

  /// Writes all that was learnt to one file, as `memoa::save` does: whatever happens, `path` is the
  /// old file or the new one. Names of inputs that Python gave stay in it.
  void save(const std::string& path) const;
  /// The same with members of another note, a JSON object.
  void save(const std::string& path, const std::string& note) const;
  /// What `save` of C++ or Python wrote; it goes on with the same bits. `n_threads` as in
  /// PopulationSettings; less than 0 means as saved. Throws std::invalid_argument, in one line that
  /// names the file, where it holds something else or another precision.
  static BasicOnlineEnsemble load(const std::string& path, int n_threads = -1);
  /// What `memoa::load` read from `path`, without its note; also a part of what several processes
  /// saved, whose `pending` is not predicted.
  BasicOnlineEnsemble(Saved&& saved, const std::string& path);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

using OnlineEnsemble = BasicOnlineEnsemble<double>;
using OnlineEnsembleF32 = BasicOnlineEnsemble<float>;  ///< half the memory and its traffic

}  // namespace memoa
