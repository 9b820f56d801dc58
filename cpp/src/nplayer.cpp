#include "memoa/nplayer.hpp"

#include <Eigen/LU>
#include <cmath>
#include <limits>

#include "detail/parallel.hpp"
#include "detail/stage.hpp"
#include "detail/validate.hpp"

namespace memoa {
namespace {

using namespace detail;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

/// One player between the backward steps.
struct Player {
  Matrix P;                           // (N d, N d): P^i, then K^i
  Vector s;                           // (N d): s^i, then k^i
  Response<Eigen::Dynamic> response;  // R_i^-1 M_i' and F_i
  Vector price;                       // (p)
  Matrix prices;                      // (p, N): V^i_j of every j, theory (2.3)
};

/// Room of one thread for the value of one player.
struct Workspace {
  Matrix left, right;  // (2 N d, N d): (Phi; a) and (K Phi; E a)
};

class CentralizedRecursion {
 public:
  CentralizedRecursion(const NPlayerGame& game, int n_threads)
      : game_(game),
        N_(game.n_players()),
        d_(game.n_outputs()),
        p_(game.n_features()),
        size_(N_ * d_),
        threads_(threads_for(resolve_threads(n_threads),
                             static_cast<double>(size_ * size_) * static_cast<double>(size_ * N_))),
        players_(N_),
        workspaces_(threads_),
        system_(size_, size_),
        pull_(size_, size_ + 1) {
    for (Player& player : players_) {
      player.P.setZero(size_, size_);
      player.s.setZero(size_);
      player.price.resize(p_);
    }
    for (Workspace& workspace : workspaces_) workspace.right.resize(2 * size_, size_);
    closed_and_pull_.resize(2 * size_, size_);
    shift_.resize(size_);
    policy_.horizon = game.horizon();
    policy_.n_players = N_;
    policy_.n_features = p_;
    policy_.n_outputs = d_;
    policy_.gain.resize(game.horizon() * N_ * p_ * size_);
    policy_.offset.resize(game.horizon() * N_ * p_);
  }

  CentralizedPolicy run() {
    policy_.rcond = 1.0;
    for (Index t = game_.horizon() - 1; t >= 0; --t) {
      for_each_player(t, &CentralizedRecursion::prepare);
      for_each_player(t, &CentralizedRecursion::assemble);
      solve_stage(t);
      for_each_player(t, &CentralizedRecursion::finish);
    }
    return std::move(policy_);
  }

 private:
  Eigen::Block<Matrix> block(Matrix& matrix, Index row, Index column) const {
    return matrix.block(row * d_, column * d_, d_, d_);
  }

  /// Nothing may throw out of the parallel region: the first player to fail is told afterwards.
  void for_each_player(Index t, void (CentralizedRecursion::*step)(Index, Index, Workspace&)) {
    std::vector<std::string> errors(N_);
    for_each_chunk(N_, threads_, [&](Index i, int thread) {
      try {
        (this->*step)(t, i, workspaces_[thread]);
      } catch (const std::exception& error) {
        errors[i] = error.what();
      }
    });
    for (const std::string& error : errors)
      if (!error.empty()) throw NumericalError(error);
  }

  /// K^i and k^i: the stage cost of player i joins its value; then its response.
  void prepare(Index t, Index i, Workspace&) {
    const Game& own = game_.player(i);
    Player& player = players_[i];
    const double w = own.discount(t), share = 1.0 / static_cast<double>(N_);
    const Matrix Q = w * own.tracking(), cross = share * (Q * own.coupling());
    const Matrix both = share * (own.coupling().transpose() * cross);
    const Vector pull = Q * own.target(t);
    const Vector common = share * (own.coupling().transpose() * pull);
    Matrix& K = player.P;
    for (Index j = 0; j < N_; ++j) {
      for (Index l = 0; l < N_; ++l) block(K, l, j) += both;
      block(K, i, j) -= cross;
      block(K, j, i) -= cross.transpose();
      player.s.segment(j * d_, d_) += common;
    }
    block(K, i, i) += Q;
    player.s.segment(i * d_, d_) -= pull;
    if (game_.has_server()) add_server(t, w, player);

    player.price.setConstant(w * own.effort());
    Vector noise(p_);
    const Matrix own_block = block(K, i, i);
    noise_price(own, t, own_block, noise);
    player.price += noise;
    player.response.compute(own, t, own_block, player.price);
  }

  void add_server(Index t, double w, Player& player) const {
    const VectorMap u = game_.server_weights(t);
    const double sigma = w * game_.data().server_tracking;
    for (Index j = 0; j < N_; ++j) {
      for (Index l = 0; l < N_; ++l)
        block(player.P, l, j).diagonal().array() += sigma * u[l] * u[j];
      player.s.segment(j * d_, d_) -= sigma * u[j] * game_.server_target(t);
    }
  }

  /// Rows of player i of (2.1), (2.2) in the unknowns a: a^i + sum_{j != i} K^i_ij F_j a^j.
  void assemble(Index t, Index i, Workspace&) {
    const Player& player = players_[i];
    const auto K = player.P.middleRows(i * d_, d_);
    auto row = system_.middleRows(i * d_, d_);
    for (Index j = 0; j < N_; ++j) {
      if (j == i)
        row.middleCols(j * d_, d_).setIdentity();
      else
        row.middleCols(j * d_, d_).noalias() = K.middleCols(j * d_, d_) * players_[j].response.F;
    }
    auto right = pull_.middleRows(i * d_, d_);
    right.leftCols(size_) = on_free_motion(t, K);
    right.col(size_) = player.s.segment(i * d_, d_);
    for (Index j = 0; j < N_; ++j)
      right.col(size_) += K.middleCols(j * d_, d_) * game_.player(j).drift(t);
  }

  /// K Astack: Astack holds A_j on the diagonal plus Abar_j / N in every block of row j.
  template <class Rows>
  Matrix on_free_motion(Index t, const Rows& K) const {
    Matrix out(K.rows(), size_);
    Matrix common = Matrix::Zero(K.rows(), d_);
    for (Index j = 0; j < N_; ++j) {
      const Game& other = game_.player(j);
      out.middleCols(j * d_, d_).noalias() = K.middleCols(j * d_, d_) * other.transition(t);
      common.noalias() += K.middleCols(j * d_, d_) * other.mean_transition(t);
    }
    common /= static_cast<double>(N_);
    for (Index j = 0; j < N_; ++j) out.middleCols(j * d_, d_) += common;
    return out;
  }

  /// a = (on predictions, constant), the policy, and the closed loop of the means.
  void solve_stage(Index t) {
    const Eigen::PartialPivLU<Matrix> lu(system_);
    const double rcond = lu.rcond();
    if (!(rcond >= static_cast<double>(size_) * std::numeric_limits<double>::epsilon()))
      fail(t,
           "the linear system of the players' controls is singular; the game has no unique "
           "centralized equilibrium");
    policy_.rcond = std::min(policy_.rcond, rcond);
    pull_ = lu.solve(pull_).eval();

    auto closed = closed_and_pull_.topRows(size_);
    closed_and_pull_.bottomRows(size_) = pull_.leftCols(size_);
    for (Index j = 0; j < N_; ++j) {
      const Game& own = game_.player(j);
      const Response<Eigen::Dynamic>& response = players_[j].response;
      const auto pull = pull_.middleRows(j * d_, d_);
      auto rows = closed.middleRows(j * d_, d_);
      rows.noalias() = -response.F * pull.leftCols(size_);
      for (Index l = 0; l < N_; ++l)
        rows.middleCols(l * d_, d_) += own.mean_transition(t) / static_cast<double>(N_);
      rows.middleCols(j * d_, d_) += own.transition(t);
      shift_.segment(j * d_, d_) = own.drift(t) - response.F * pull.col(size_);

      const Index row = t * N_ + j;
      Eigen::Map<RowMatrix>(policy_.gain.data() + row * p_ * size_, p_, size_).noalias() =
          -response.factor.transpose() * pull.leftCols(size_);
      Eigen::Map<Vector>(policy_.offset.data() + row * p_, p_).noalias() =
          -response.factor.transpose() * pull.col(size_);
    }
  }

  /// (2.3): P^i = Phi' K Phi + a' E a, where E_j = (R_j^-1 M_j')' V^i_j (R_j^-1 M_j') is d x d.
  /// Both products are one: (Phi; a)' (K Phi; E a), of which the lower triangle is enough.
  void finish(Index t, Index i, Workspace& workspace) {
    Player& player = players_[i];
    const auto closed = closed_and_pull_.topRows(size_);
    auto moved = workspace.right.topRows(size_);
    auto priced = workspace.right.bottomRows(size_);
    moved.noalias() = player.P * closed;

    Vector s = closed.transpose() * (player.P * shift_ + player.s);
    Vector noise(p_);
    for (Index j = 0; j < N_; ++j) {
      const Matrix own_block = block(player.P, j, j);
      noise_price(game_.player(j), t, own_block, noise);
      if (j == i) noise.array() += game_.player(i).discount(t) * game_.player(i).effort();
      const auto& factor = players_[j].response.factor;
      const Matrix E = factor * (noise.asDiagonal() * factor.transpose()).eval();
      priced.middleRows(j * d_, d_).noalias() = E * pull_.block(j * d_, 0, d_, size_);
      s.noalias() += priced.middleRows(j * d_, d_).transpose() * pull_.block(j * d_, size_, d_, 1);
    }
    player.s = s;
    player.P.triangularView<Eigen::Lower>() = closed_and_pull_.transpose() * workspace.right;
    player.P.triangularView<Eigen::StrictlyUpper>() = player.P.transpose();
    if (!player.P.allFinite() || !player.s.allFinite())
      fail(t, "the value recursion of player " + std::to_string(i) + " overflowed");
  }

  const NPlayerGame& game_;
  const Index N_, d_, p_, size_;
  const int threads_;
  std::vector<Player> players_;
  std::vector<Workspace> workspaces_;
  Matrix system_, pull_, closed_and_pull_;
  Vector shift_;
  CentralizedPolicy policy_;
};

}  // namespace

NPlayerGame::NPlayerGame(NPlayerData data) : data_(std::move(data)) {
  if (data_.players.empty()) refuse("players is empty; expected at least one Game");
  for (Index i = 1; i < n_players(); ++i) {
    const Game& game = data_.players[i];
    if (game.horizon() != horizon() || game.n_outputs() != n_outputs() ||
        game.n_features() != n_features())
      refuse("player " + std::to_string(i) +
             " differs from player 0 in horizon, n_outputs or n_features");
  }
  if (!(data_.server_tracking >= 0.0) || !std::isfinite(data_.server_tracking))
    refuse("server_tracking is " + to_text(data_.server_tracking) +
           "; expected a finite number >= 0");
  if (!has_server()) return;
  const auto require = [](const char* name, const std::vector<double>& values, Index T, Index n) {
    if (static_cast<Index>(values.size()) != T * n)
      refuse(std::string(name) + " has " + std::to_string(values.size()) + " numbers; expected " +
             std::to_string(T * n));
    require_finite(name, values.data(), {T, n});
  };
  require("server_weights", data_.server_weights, horizon(), n_players());
  require("server_target", data_.server_target, horizon(), n_outputs());
}

CentralizedPolicy solve_centralized_nash(const NPlayerGame& game, int n_threads) {
  return CentralizedRecursion(game, n_threads).run();
}

}  // namespace memoa
