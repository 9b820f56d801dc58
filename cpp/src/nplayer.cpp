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

/// Adds left * right, in slices of the inner dimension. Eigen packs copies of both factors; where
/// these are too large for its share of the stack they come from the heap, and pages that the
/// system clears anew for every product cost as much as the product itself.
template <class Out, class Left, class Right>
void add_product(Out&& out, const Left& left, const Right& right) {
  constexpr Index kSlice = 64;
  for (Index k = 0; k < left.cols(); k += kSlice) {
    const Index width = std::min(kSlice, left.cols() - k);
    out += left.middleCols(k, width) * right.middleRows(k, width);
  }
}

/// One player between the backward steps.
template <int D>
struct Player {
  Matrix P;              // (N d, N d): P^i, then K^i
  Vector s;              // (N d): s^i, then k^i
  Response<D> response;  // R_i^-1 M_i' and F_i
};

/// Room of one thread for the value of one player.
template <int D>
struct Workspace {
  Matrix right;                                      // (2 N d, N d + 1): (K Phi; E a)
  Vector price;                                      // (p)
  typename Response<D>::Features priced;             // (d, p)
  Eigen::Matrix<double, Eigen::Dynamic, D> error;    // (N d, d): a cost's error, transposed
  Eigen::Matrix<double, D, Eigen::Dynamic> weighed;  // (d, N d)
};

/// D: the outputs, where known at compile time. Everything large is a product of whole matrices;
/// d x d blocks are small enough for their sizes to matter.
template <int D>
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
        stacked_(2 * size_, size_ + 1) {
    for (Player<D>& player : players_) {
      player.P.setZero(size_, size_);
      player.s.setZero(size_);
    }
    for (Workspace<D>& workspace : workspaces_) {
      workspace.right.resize(2 * size_, size_ + 1);
      workspace.price.resize(p_);
      workspace.priced.resize(d_, p_);
      workspace.error.resize(size_, d_);
      workspace.weighed.resize(d_, size_);
    }
    policy_.horizon = game.horizon();
    policy_.n_players = N_;
    policy_.n_features = p_;
    policy_.n_outputs = d_;
    policy_.gain.resize(game.horizon() * N_ * p_ * size_);
    policy_.offset.resize(game.horizon() * N_ * p_);
  }

  CentralizedPolicy run() {
    policy_.rcond = 1.0;
    // All but the last step are light: waking a thread may cost more than it does.
    const double n = static_cast<double>(size_);
    const int on_blocks = threads_for(threads_, n * n * n);
    for (Index t = game_.horizon() - 1; t >= 0; --t) {
      for_each_player(t, on_blocks, &CentralizedRecursion::prepare);
      for_each_player(t, on_blocks, &CentralizedRecursion::assemble);
      solve_stage(t);
      for_each_player(t, on_blocks, &CentralizedRecursion::act);
      if (t > 0) for_each_player(t, threads_, &CentralizedRecursion::step_back);  // P_0 is unused
    }
    return std::move(policy_);
  }

 private:
  using Square = Eigen::Matrix<double, D, D>;
  using Rows = Eigen::Matrix<double, D, Eigen::Dynamic>;  // d rows of a matrix on Y

  /// Nothing may throw out of the parallel region: the first player to fail is told afterwards.
  void for_each_player(Index t, int threads,
                       void (CentralizedRecursion::*step)(Index, Index, Workspace<D>&)) {
    std::vector<std::string> errors(N_);
    for_each_chunk(N_, threads, [&](Index i, int thread) {
      try {
        (this->*step)(t, i, workspaces_[thread]);
      } catch (const std::exception& error) {
        errors[i] = error.what();
      }
    });
    for (const std::string& error : errors)
      if (!error.empty()) throw NumericalError(error);
  }

  auto block(Matrix& matrix, Index row, Index column) const {
    return matrix.template block<D, D>(row * d_, column * d_, d_, d_);
  }

  /// K^i and k^i: the stage cost of player i joins its value; then its response.
  void prepare(Index t, Index i, Workspace<D>& workspace) {
    const Game& own = game_.player(i);
    Player<D>& player = players_[i];
    const double w = own.discount(t), share = 1.0 / static_cast<double>(N_);
    const Square shared = -share * own.coupling().transpose();
    for (Index j = 0; j < N_; ++j)  // E_i'
      workspace.error.template middleRows<D>(j * d_, d_) = shared;
    workspace.error.template middleRows<D>(i * d_, d_) += Square::Identity(d_, d_);
    add_cost(player, workspace, w * own.tracking(), own.target(t));
    if (game_.has_server()) {
      const VectorMap u = game_.server_weights(t);
      for (Index j = 0; j < N_; ++j)
        workspace.error.template middleRows<D>(j * d_, d_) = u[j] * Square::Identity(d_, d_);
      const double sigma = w * game_.data().server_tracking;
      add_cost(player, workspace, sigma * Square::Identity(d_, d_), game_.server_target(t));
    }

    const Square own_block = block(player.P, i, i);
    noise_price(own, t, own_block, workspace.price);
    workspace.price.array() += w * own.effort();
    player.response.compute(own, t, own_block, workspace.price);
  }

  /// The value of the player and |error' Y - target|^2 in this weight.
  template <class Weight>
  void add_cost(Player<D>& player, Workspace<D>& workspace, const Weight& weight,
                const VectorMap& target) const {
    workspace.weighed.noalias() = weight * workspace.error.transpose();
    player.P.noalias() += workspace.error.lazyProduct(workspace.weighed);
    player.s.noalias() -= workspace.weighed.transpose() * target;
  }

  /// Rows of player i of (2.1), (2.2) in the unknowns a: a^i + sum_{j != i} K^i_ij F_j a^j.
  void assemble(Index t, Index i, Workspace<D>&) {
    const Player<D>& player = players_[i];
    const Rows K = player.P.template middleRows<D>(i * d_, d_);
    Rows system(d_, size_), pull(d_, size_ + 1), common = Rows::Zero(d_, d_);
    pull.col(size_) = player.s.template segment<D>(i * d_, d_);
    for (Index j = 0; j < N_; ++j) {
      const Game& other = game_.player(j);
      const Square K_ij = K.template middleCols<D>(j * d_, d_);
      system.template middleCols<D>(j * d_, d_) = K_ij * players_[j].response.F;
      // K Astack: Astack holds A_j on the diagonal plus Abar_j / N in every block of row j
      pull.template middleCols<D>(j * d_, d_) = K_ij * other.transition(t);
      common.noalias() += K_ij * other.mean_transition(t);
      pull.col(size_) += K_ij * other.drift(t);
    }
    common /= static_cast<double>(N_);
    for (Index j = 0; j < N_; ++j) pull.template middleCols<D>(j * d_, d_) += common;
    system.template middleCols<D>(i * d_, d_).setIdentity();
    system_.template middleRows<D>(i * d_, d_) = system;
    stacked_.template middleRows<D>(size_ + i * d_, d_) = pull;
  }

  /// a = (on predictions, constant), below the closed loop in `stacked_`.
  void solve_stage(Index t) {
    const Eigen::PartialPivLU<Matrix> lu(system_);
    const double rcond = lu.rcond();
    if (!(rcond >= static_cast<double>(size_) * std::numeric_limits<double>::epsilon()))
      fail(t,
           "the linear system of the players' controls is singular; the game has no unique "
           "centralized equilibrium");
    policy_.rcond = std::min(policy_.rcond, rcond);
    stacked_.bottomRows(size_) = lu.solve(stacked_.bottomRows(size_)).eval();
    if (!stacked_.bottomRows(size_).allFinite()) fail(t, "the value recursion overflowed");
  }

  /// The policy of player j, and its rows of the closed loop of the means.
  void act(Index t, Index j, Workspace<D>&) {
    const Game& own = game_.player(j);
    const Response<D>& response = players_[j].response;
    const Rows pull = stacked_.template middleRows<D>(size_ + j * d_, d_);
    Rows closed = -response.F * pull;
    const Square common = own.mean_transition(t) / static_cast<double>(N_);
    for (Index l = 0; l < N_; ++l) closed.template middleCols<D>(l * d_, d_) += common;
    closed.template middleCols<D>(j * d_, d_) += own.transition(t);
    closed.col(size_) += own.drift(t);
    stacked_.template middleRows<D>(j * d_, d_) = closed;

    const Index row = t * N_ + j;
    Eigen::Map<RowMatrix>(policy_.gain.data() + row * p_ * size_, p_, size_).noalias() =
        -response.factor.transpose() * pull.leftCols(size_);
    Eigen::Map<Vector>(policy_.offset.data() + row * p_, p_).noalias() =
        -response.factor.transpose() * pull.col(size_);
  }

  /// (2.3): P^i = Phi' K Phi + a' E a, where E_j = (R_j^-1 M_j')' V^i_j (R_j^-1 M_j') is d x d, and
  /// s^i likewise. Both products are one: (Phi; a)' (K Phi; E a), its lower triangle is enough.
  void step_back(Index t, Index i, Workspace<D>& workspace) {
    Player<D>& player = players_[i];
    auto moved = workspace.right.topRows(size_);
    moved.setZero();
    moved.col(size_) = player.s;
    add_product(moved.noalias(), player.P, stacked_.topRows(size_));
    for (Index j = 0; j < N_; ++j) {
      noise_price(game_.player(j), t, Square(block(player.P, j, j)), workspace.price);
      if (j == i) workspace.price.array() += game_.player(i).discount(t) * game_.player(i).effort();
      const auto& factor = players_[j].response.factor;
      workspace.priced = factor * workspace.price.asDiagonal();
      const Square E = workspace.priced.lazyProduct(factor.transpose());
      workspace.right.template middleRows<D>(size_ + j * d_, d_) =
          E.lazyProduct(stacked_.template middleRows<D>(size_ + j * d_, d_));
    }
    const auto on_predictions = stacked_.leftCols(size_).transpose();
    player.s.noalias() = on_predictions * workspace.right.col(size_);
    player.P.setZero();
    add_product(player.P.template triangularView<Eigen::Lower>(), on_predictions,
                workspace.right.leftCols(size_));
    player.P.template triangularView<Eigen::StrictlyUpper>() = player.P.transpose();
    if (!player.P.allFinite() || !player.s.allFinite())
      fail(t, "the value recursion of player " + std::to_string(i) + " overflowed");
  }

  const NPlayerGame& game_;
  const Index N_, d_, p_, size_;
  const int threads_;
  std::vector<Player<D>> players_;
  std::vector<Workspace<D>> workspaces_;
  Matrix system_;
  Matrix stacked_;  // (2 N d, N d + 1): the closed loop (Phi, phi) above the pulls a
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
  require(data_.server_tracking >= 0.0 && std::isfinite(data_.server_tracking), "server_tracking",
          data_.server_tracking, "a finite number >= 0");
  if (!has_server()) return;
  const auto require_array = [](const char* name, const std::vector<double>& values, Index T,
                                Index n) {
    require_size(name, values.size(), T * n);
    require_finite(name, values.data(), {T, n});
  };
  require_array("server_weights", data_.server_weights, horizon(), n_players());
  require_array("server_target", data_.server_target, horizon(), n_outputs());
}

CentralizedPolicy solve_centralized_nash(const NPlayerGame& game, int n_threads) {
  return with_fixed_size(game.n_outputs(), [&](auto size) {
    return CentralizedRecursion<decltype(size)::value>(game, n_threads).run();
  });
}

}  // namespace memoa
