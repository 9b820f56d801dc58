"""What the compiled solvers are compared with: NumPy written as one would for speed.

Formulas as in docs/theory.md. No Python loop over agents, and over players none either: every
product is one batched call to BLAS.
"""

from __future__ import annotations

import numpy as np

import memoa

Array = np.ndarray


def noise_weight(cov: Array, weight: Array) -> Array:
    """diag_k tr(P C[k]) of (1.4) for a batch of P, as vectors (..., p)."""
    return np.einsum("...ij,kji->...k", weight, cov)


def solve_centralized(game: memoa.Game, n_agents: int) -> tuple[Array, Array]:
    """(2.1)-(2.3) for identical agents in N p unknowns: gain (T,N,p,N d) and offset (T,N,p)."""
    n, d, p, size = n_agents, game.n_outputs, game.n_features, n_agents * game.n_outputs
    eye, mean = np.eye(n), np.full((n, n), 1.0 / n)
    error = np.zeros((n, d, size + 1))  # player i's y^i - G m - e, linear in (Y, 1)
    error[:, :, :size] = np.einsum("ij,ab->iajb", eye, np.eye(d)).reshape(n, d, size)
    error[:, :, :size] -= np.einsum("ij,ab->iajb", mean, game.coupling).reshape(n, d, size)
    values = np.zeros((n, size + 1, size + 1))
    gains = np.zeros((game.horizon, n, p, size + 1))
    own = np.arange(n)
    for t in reversed(range(game.horizon)):
        error[:, :, size] = -game.target[t]
        w, feature_mean = game.discount[t], game.feature_mean[t]
        after = values + w * error.transpose(0, 2, 1) @ (game.tracking @ error)
        inputs = np.zeros((size + 1, n * p))
        inputs[:size] = np.kron(eye, feature_mean)
        free = np.zeros((size + 1, size + 1))
        free[:size, :size] = np.kron(eye, game.transition[t])
        free[:size, :size] += np.kron(mean, game.mean_transition[t])
        free[:size, size] = np.tile(game.drift[t], n)
        free[size, size] = 1.0
        blocks = after[:, :size, :size].reshape(n, n, d, n, d)
        diagonal = blocks[:, own, :, own, :].transpose(1, 0, 2, 3)  # K^i_jj at [i, j]
        price = noise_weight(game.feature_cov[t], diagonal)  # V^i_j as vectors, (n, n, p)
        price[own, own] += w * game.effort
        rows = after[:, :size].reshape(n, n, d, size + 1)[own, own]  # block row i of K^i
        pull = feature_mean.T @ rows  # B_i' K^i
        system = (pull @ inputs).reshape(n * p, n * p)  # (2.1)
        system[np.diag_indices(n * p)] += price[own, own].ravel()
        gain = np.linalg.solve(system, -(pull @ free).reshape(n * p, size + 1))  # (2.2)
        gains[t] = gain.reshape(n, p, size + 1)
        closed = free + inputs @ gain
        values = closed.T @ after @ closed  # (2.3)
        values += gain.T @ (price.reshape(n, n * p, 1) * gain)
    return gains[..., :size], gains[..., size]


def simulate(
    game: memoa.Game,
    policy: memoa.Policy,
    n_agents: int,
    mean: Array,
    cov: Array,
    seed: int,
    *,
    every_feature: bool,
) -> Array:
    """Costs (N,) of agents with Gaussian features and the empirical mean field.

    Either every feature is drawn, p d normals an agent and stage, or Z b itself, which is normal
    with covariance sum_k b_k^2 C[k]: d normals, as in the compiled core.
    """
    rng = np.random.default_rng(seed)
    d, p = game.n_outputs, game.n_features
    states = mean + rng.standard_normal((n_agents, d)) @ np.linalg.cholesky(cov).T
    costs = np.zeros(n_agents)
    for t in range(game.horizon):
        field = states.mean(axis=0)
        shared = policy.mean_gain[t] @ field + policy.offset[t]
        control = states @ policy.gain[t].T + shared
        states = states @ game.transition[t].T
        if every_feature:
            roots = np.linalg.cholesky(game.feature_cov[t]).transpose(0, 2, 1)
            noise = rng.standard_normal((n_agents, p, d)) * control[:, :, None]
            states += noise.reshape(n_agents, p * d) @ roots.reshape(p * d, d)
        else:
            joint = control**2 @ game.feature_cov[t].reshape(p, d * d)
            root = np.linalg.cholesky(joint.reshape(n_agents, d, d))
            states += np.einsum("nij,nj->ni", root, rng.standard_normal((n_agents, d)))
        states += control @ game.feature_mean[t].T
        states += game.mean_transition[t] @ field + game.drift[t]
        errors = states - (game.coupling @ states.mean(axis=0) + game.target[t])
        stage = np.einsum("nd,nd->n", errors @ game.tracking, errors)
        stage += game.effort * np.einsum("np,np->n", control, control)
        costs += game.discount[t] * stage
    return costs
