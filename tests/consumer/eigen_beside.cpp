// A program that computes with its own Eigen, of any version and for any processor, beside a memoa
// that was compiled without its flags. Were they to share a function of Eigen's, the linker would
// keep one, and memory allocated by the one could be freed by the other with another alignment.
#include <Eigen/Dense>
#include <cmath>
#include <iostream>
#include <memoa/eigen.hpp>
#include <memoa/memoa.hpp>

namespace {

constexpr int kSkip = 77;

/// Relative residual of systems of our own: products, factors and eigenvalues of all kinds.
double own_residual(int n) {
  const Eigen::MatrixXd root = Eigen::MatrixXd::Random(n, n);
  const Eigen::MatrixXd A = root * root.transpose() + Eigen::MatrixXd::Identity(n, n);
  const Eigen::VectorXd b = Eigen::VectorXd::Random(n);
  const Eigen::VectorXd x = A.partialPivLu().solve(b), y = A.llt().solve(b);
  const Eigen::EigenSolver<memoa::RowMatrix> spectrum(A, false);  // as in memoa's reservoirs
  const double trace = std::abs(spectrum.eigenvalues().real().sum() / A.trace() - 1.0);
  return ((A * x - b).norm() + (A * y - b).norm()) / b.norm() + trace;
}

/// Gain of one of `n` identical players, by our matrices and by memoa's large systems.
double distance_of_players(const memoa::Game& game, int n) {
  memoa::NPlayerData players;
  players.players.assign(n, game);
  const memoa::CentralizedPolicy stacked =
      memoa::solve_centralized_nash(memoa::NPlayerGame(players), 2);
  const memoa::Policy policy = memoa::solve_nash(game, n);
  const memoa::Index p = game.n_features(), d = game.n_outputs();
  const memoa::MatrixMap gain(stacked.gain.data(), p, n * d);
  Eigen::MatrixXd expected = memoa::map(policy.mean_gain_at(0)).replicate(1, n) / double(n);
  expected.leftCols(d) += memoa::map(policy.gain_at(0));
  return (gain - expected).cwiseAbs().maxCoeff() / expected.cwiseAbs().maxCoeff();
}

memoa::Game some_game() {
  memoa::GameData data;
  data.horizon = 5;
  data.n_outputs = 3;
  data.n_features = 4;
  const Eigen::MatrixXd mean = Eigen::MatrixXd::Random(3, 4);
  data.feature_mean.assign(mean.data(), mean.data() + mean.size());
  data.feature_cov.assign(4 * 3 * 3, 0.0);
  data.target = {1.0, 0.5, -0.5};
  data.coupling = {0.3, 0.0, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 0.1};
  return memoa::Game(data);
}

/// Echo states (eigenvalues) and a mixture (Cholesky factors) on a ramp: the last error.
double population_error() {
  memoa::PopulationSettings settings;
  settings.n_agents = 30;
  settings.encoder = memoa::EchoState{};
  memoa::Population population(settings);
  memoa::ServerMixture mixture(settings.n_agents, settings.n_outputs);
  double predictions[100], ramp[100];
  for (int t = 0; t < 100; ++t) ramp[t] = 0.1 * t;
  memoa::run(population, mixture, ramp, ramp, 100, {predictions});
  return std::abs(predictions[99] - ramp[99]);
}

}  // namespace

int main() {
#ifdef __AVX2__
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return kSkip;
#endif
  const memoa::Game game = some_game();
  double own = 0.0, players = 0.0;
  // In turns, so that blocks of memory are handed on; the last matrix is too large for the stack.
  for (const int n : {1, 2, 3, 7, 40, 140}) {
    own = std::max(own, own_residual(n));
    players = std::max(players, distance_of_players(game, std::min(n, 40)));
  }
  const double population = population_error();
  std::cout << "Eigen " << EIGEN_WORLD_VERSION << '.' << EIGEN_MAJOR_VERSION << '.'
            << EIGEN_MINOR_VERSION << ": own residual " << own << ", players " << players
            << ", population " << population << '\n';
  return own < 1e-10 && players < 1e-10 && population < 0.5 ? 0 : 1;
}
