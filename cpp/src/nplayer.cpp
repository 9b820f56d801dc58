#include "memoa/nplayer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "detail/interrupt.hpp"
#include "detail/stage.hpp"
#include "detail/team.hpp"

namespace memoa {
namespace {

using namespace detail;
using Large = Matrix<kDynamic, kDynamic>;
using LargeView = View<kDynamic, kDynamic, double>;

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

/// One player between the backward steps.
template <int D>
struct Player {
  Large P;                      // (N d, N d): P^i, then K^i
  Column<kDynamic> s;           // (N d): s^i, then k^i
  ControlResponse<D> response;  // R_i^-1 M_i' and F_i

  Player(Index size, Index d, Index p) : P(size, size), s(size, 1), response(d, p) {}
};

/// Scratch of one thread for the value of one player.
template <int D>
struct Workspace {
  Large right;                // (2 N d, N d + 1): (K Phi; E a)
  Column<kDynamic> price;     // (p)
  Matrix<D, kDynamic> error;  // (d, N d): a cost's error

  Workspace(Index size, Index d, Index p)
      : right(2 * size, size + 1), price(p, 1), error(d, size) {}
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
        system_(size_, size_),
        stacked_(2 * size_, size_ + 1) {
    for (Index i = 0; i < N_; ++i) players_.emplace_back(size_, d_, p_);
    for (int thread = 0; thread < threads_; ++thread) workspaces_.emplace_back(size_, d_, p_);
    require_memory("a policy with horizon = " + std::to_string(game.horizon()) + ", n_players = " +
                       std::to_string(N_) + ", n_features = " + std::to_string(p_),
                   8.0 * static_cast<double>(game.horizon()) * static_cast<double>(N_ * p_) *
                       static_cast<double>(size_ + 1));
    policy_.horizon = game.horizon();
    policy_.n_players = N_;
    policy_.n_features = p_;
    policy_.n_outputs = d_;
    policy_.gain.resize(game.horizon() * N_ * p_ * size_);
    policy_.offset.resize(game.horizon() * N_ * p_);
  }

  CentralizedPolicy run() {
    policy_.rcond = 1.0;
    // All but the last step are cheap: waking a thread may cost more than it saves.
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
  using Square = Matrix<D, D>;
  using Rows = Matrix<D, kDynamic>;  // d rows of a matrix on Y

  /// Nothing may throw out of the parallel region: the error of the first player is thrown after
  /// it, an interrupt at once.
  void for_each_player(Index t, int threads,
                       void (CentralizedRecursion::*step)(Index, Index, Workspace<D>&)) {
    std::vector<std::string> errors(static_cast<std::size_t>(N_));
    const double work = static_cast<double>(size_ * d_) * static_cast<double>(d_ + p_);
    for_each_chunk_or_stop(N_, threads, work, [&](Index i, int thread) {
      try {
        (this->*step)(t, i, workspaces_[thread]);
      } catch (const NumericalError& error) {
        errors[i] = error.what();
      }
    });
    for (const std::string& error : errors)
      if (!error.empty()) throw NumericalError(error);
  }

  Square own_block(const Player<D>& player, Index j) const {
    return player.P.template block<D, D>(j * d_, j * d_, d_, d_);
  }
  /// Rows of player j among those that begin at `first`.
  View<D, kDynamic, double> rows_of(Large& matrix, Index first, Index j) const {
    return matrix.block<D, kDynamic>(first + j * d_, 0, d_, matrix.cols());
  }

  /// K^i and k^i: the stage cost of player i joins its value; then its response.
  void prepare(Index t, Index i, Workspace<D>& workspace) {
    const Stage<D> own(game_.player(i), t);
    Player<D>& player = players_[i];
    const Square shared = (-1.0 / static_cast<double>(N_)) * own.G, one = Square::identity(d_);
    for (Index j = 0; j < N_; ++j) error_on(workspace, j).set(shared);
    error_on(workspace, i) += one;
    add_cost(player, workspace, own.w * own.Q, own.e);
    if (game_.has_server()) {
      const VectorView u = game_.server_weights(t);
      for (Index j = 0; j < N_; ++j) error_on(workspace, j).set(u[j] * one);
      add_cost(player, workspace, (own.w * game_.data().server_tracking) * one,
               game_.server_target(t));
    }
    const Square K = own_block(player, i);
    own.price_noise(K, own.effort, workspace.price);
    player.response.compute(own, K, workspace.price);
  }

  View<D, D, double> error_on(Workspace<D>& workspace, Index j) const {
    return workspace.error.template block<D, D>(0, j * d_, d_, d_);
  }

  /// The value of the player and |error Y - target|^2 in this weight.
  void add_cost(Player<D>& player, const Workspace<D>& workspace, const Square& weight,
                const View<D, 1>& target) const {
    const Rows weighed = weight * workspace.error;
    multiply<true>(transposed(workspace.error), weighed, player.P.view());
    player.s -= transposed(weighed) * target;
  }

  /// Rows of player i of (2.1), (2.2) in the unknowns a: a^i + sum_{j != i} K^i_ij F_j a^j.
  void assemble(Index t, Index i, Workspace<D>&) {
    const Player<D>& player = players_[i];
    const auto system = rows_of(system_, 0, i), pull = rows_of(stacked_, size_, i);
    Square common(d_, d_);
    Matrix<D, 1> constant = player.s.template block<D, 1>(i * d_, 0, d_, 1);
    for (Index j = 0; j < N_; ++j) {
      const Stage<D> other(game_.player(j), t);
      const Square K_ij = player.P.template block<D, D>(i * d_, j * d_, d_, d_);
      system.template block<D, D>(0, j * d_, d_, d_).set(K_ij * players_[j].response.F);
      // K Astack: Astack holds A_j on the diagonal plus Abar_j / N in every block of row j
      pull.template block<D, D>(0, j * d_, d_, d_).set(K_ij * other.A);
      common += K_ij * other.Abar;
      constant += K_ij * other.f;
    }
    common = (1.0 / static_cast<double>(N_)) * common;
    for (Index j = 0; j < N_; ++j) pull.template block<D, D>(0, j * d_, d_, d_) += common;
    pull.template block<D, 1>(0, size_, d_, 1).set(constant);
    system.template block<D, D>(0, i * d_, d_, d_).set(Square::identity(d_));
  }

  /// a = (on predictions, constant), below the closed loop in `stacked_`.
  void solve_stage(Index t) {
    const LargeView pulls = stacked_.block<kDynamic, kDynamic>(size_, 0, size_, size_ + 1);
    const double rcond = solve_large(system_, pulls.data, pulls.cols());
    if (!(rcond >= static_cast<double>(size_) * std::numeric_limits<double>::epsilon()))
      fail(t,
           "the linear system of the players' controls is singular; the game has no unique "
           "centralized equilibrium");
    policy_.rcond = std::min(policy_.rcond, rcond);
    if (!all_finite(pulls)) fail(t, "the value recursion overflowed");
  }

  /// The policy of player j, and its rows of the closed loop of the means.
  void act(Index t, Index j, Workspace<D>&) {
    const Stage<D> own(game_.player(j), t);
    const ControlResponse<D>& response = players_[j].response;
    const Rows pull = rows_of(stacked_, size_, j);
    const auto closed = rows_of(stacked_, 0, j);
    multiply<false>(-1.0 * response.F, pull, closed);
    const Square common = (1.0 / static_cast<double>(N_)) * own.Abar;
    for (Index l = 0; l < N_; ++l) closed.template block<D, D>(0, l * d_, d_, d_) += common;
    closed.template block<D, D>(0, j * d_, d_, d_) += own.A;
    closed.template block<D, 1>(0, size_, d_, 1) += own.f;

    const Index row = t * N_ + j;
    const auto factor = transposed(response.factor);
    const Rows minus = -1.0 * pull;
    multiply<false>(factor, minus.template block<D, kDynamic>(0, 0, d_, size_),
                    LargeView(policy_.gain.data() + row * p_ * size_, p_, size_));
    multiply<false>(factor, minus.template block<D, 1>(0, size_, d_, 1),
                    View<kDynamic, 1, double>(policy_.offset.data() + row * p_, p_, 1));
  }

  /// (2.3): P^i = Phi' K Phi + a' E a, where E_j = (R_j^-1 M_j')' V^i_j (R_j^-1 M_j') is d x d, and
  /// s^i likewise. Both products are one: (Phi; a)' (K Phi; E a), its lower triangle is enough.
  void step_back(Index t, Index i, Workspace<D>& workspace) {
    Player<D>& player = players_[i];
    Large& right = workspace.right;
    right.set_zero();
    right.block<kDynamic, 1>(0, size_, size_, 1).set(player.s);
    add_large_product(operand(player.P),
                      operand(stacked_.block<kDynamic, kDynamic>(0, 0, size_, size_ + 1)),
                      right.data(), right.cols());
    for (Index j = 0; j < N_; ++j) {
      const Stage<D> other(game_.player(j), t);
      other.price_noise(own_block(player, j), j == i ? other.effort : 0.0, workspace.price);
      const Rows& factor = players_[j].response.factor;
      Rows priced = factor;
      for (Index row = 0; row < d_; ++row)
        for (Index k = 0; k < p_; ++k) priced(row, k) *= workspace.price[k];
      const Square E = times_transposed(priced, factor);
      multiply<false>(E, rows_of(stacked_, size_, j), rows_of(right, size_, j));
    }
    player.s.set_zero();
    for (Index k = 0; k < 2 * size_; ++k)
      for (Index row = 0; row < size_; ++row) player.s[row] += stacked_(k, row) * right(k, size_);
    player.P.set_zero();
    add_lower_product(operand(stacked_.block<kDynamic, kDynamic>(0, 0, 2 * size_, size_)),
                      operand(right.block<kDynamic, kDynamic>(0, 0, 2 * size_, size_)),
                      player.P.data(), size_);
    for (Index row = 0; row < size_; ++row)
      for (Index column = row + 1; column < size_; ++column)
        player.P(row, column) = player.P(column, row);
    if (!all_finite(player.P) || !all_finite(player.s))
      fail(t, "the value recursion of player " + std::to_string(i) + " overflowed");
  }

  const NPlayerGame& game_;
  const Index N_, d_, p_, size_;
  const int threads_;
  std::vector<Player<D>> players_;
  std::vector<Workspace<D>> workspaces_;
  Large system_;
  Large stacked_;  // (2 N d, N d + 1): the closed loop (Phi, phi) above the pulls a
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
