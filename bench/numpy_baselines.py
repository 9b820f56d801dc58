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


def simulate_features(
    game: memoa.Game, policy: memoa.Policy, n_agents: int, mean: Array, cov: Array, seed: int
) -> Array:
    """Costs (N,) with the empirical mean field; every feature is drawn, p d normals an agent."""
    rng = np.random.default_rng(seed)
    d, p = game.n_outputs, game.n_features
    states = mean + rng.standard_normal((n_agents, d)) @ np.linalg.cholesky(cov).T
    costs = np.zeros(n_agents)
    for t in range(game.horizon):
        field = states.mean(axis=0)
        shared = policy.mean_gain[t] @ field + policy.offset[t]
        control = states @ policy.gain[t].T + shared
        states = states @ game.transition[t].T
        roots = np.linalg.cholesky(game.feature_cov[t]).transpose(0, 2, 1)
        noise = rng.standard_normal((n_agents, p, d)) * control[:, :, None]
        states += noise.reshape(n_agents, p * d) @ roots.reshape(p * d, d)
        states += control @ game.feature_mean[t].T
        states += game.mean_transition[t] @ field + game.drift[t]
        errors = states - (game.coupling @ states.mean(axis=0) + game.target[t])
        stage = np.einsum("nd,nd->n", errors @ game.tracking, errors)
        stage += game.effort * np.einsum("np,np->n", control, control)
        costs += game.discount[t] * stage
    return costs


def simulate_outputs(
    game: memoa.Game,
    policy: memoa.Policy,
    n_agents: int,
    mean: Array,
    cov: Array,
    seed: int,
    *,
    forms: bool,
) -> Array:
    """The same, but Z b is drawn, normal with covariance sum_k b_k^2 C[k]: d normals an agent.

    States are (d, N), so that every operation runs over contiguous agents. Either the p-wide
    controls are computed, or, as in the compiled core, what they do to moves, covariances and
    costs is multiplied out: linear and quadratic forms in (y, 1), one product of matrices a stage.
    """
    rng = np.random.default_rng(seed)
    d = game.n_outputs
    states = mean[:, None] + np.linalg.cholesky(cov) @ rng.standard_normal((d, n_agents))
    costs = np.zeros(n_agents)
    pairs = [(a, b) for a in range(d) for b in range(a + 1)]
    for t in range(game.horizon):
        field = states.mean(axis=1)
        common = policy.mean_gain[t] @ field + policy.offset[t]
        shift = game.mean_transition[t] @ field + game.drift[t]
        variances = np.array([game.feature_cov[t][:, a, b] for a, b in pairs])
        if forms:
            control = np.column_stack([policy.gain[t], common])  # acts on (y, 1)
            wide = np.vstack([variances, np.full(len(control), game.discount[t] * game.effort)])
            quadratic = np.einsum("ek,ki,kj->eij", wide, control, control)
            move = game.feature_mean[t] @ control
            move[:, :d] += game.transition[t]
            move[:, d] += shift
            *joint, effort, states = _apply_forms(quadratic, move, states, pairs)
            costs += effort
        else:
            control = policy.gain[t] @ states + common[:, None]
            states = game.transition[t] @ states + game.feature_mean[t] @ control + shift[:, None]
            control *= control
            joint = list(variances @ control)
            costs += (game.discount[t] * game.effort) * control.sum(axis=0)
        _add_noise(states, dict(zip(pairs, joint, strict=True)), rng)
        errors = states - (game.coupling @ states.mean(axis=1) + game.target[t])[:, None]
        costs += np.einsum("dn,dn->n", (game.discount[t] * game.tracking) @ errors, errors)
    return costs


def _apply_forms(
    quadratic: Array, move: Array, states: Array, pairs: list[tuple[int, int]]
) -> list[Array]:
    """(y, 1)' q (y, 1) of every q, and move (y, 1) as the last entry."""
    d, n_agents = states.shape
    terms = np.empty((1 + d + len(pairs), n_agents))
    terms[0] = 1.0
    terms[1 : 1 + d] = states
    for row, (a, b) in zip(terms[1 + d :], pairs, strict=True):
        np.multiply(states[a], states[b], out=row)
    squares = [quadratic[:, a, b] * (1.0 if a == b else 2.0) for a, b in pairs]
    of_quadratic = np.column_stack([quadratic[:, d, d], 2.0 * quadratic[:, d, :d], *squares])
    of_move = np.column_stack([move[:, d], move[:, :d], np.zeros((d, len(pairs)))])
    found = np.vstack([of_quadratic, of_move]) @ terms
    return [*found[:-d], found[-d:]]


def _add_noise(states: Array, root: dict[tuple[int, int], Array], rng: np.random.Generator) -> None:
    """Factorises the agents' covariances in place and adds a draw; entries are planes (N,)."""
    d, n_agents = states.shape
    for b in range(d):
        for a in range(b, d):
            for k in range(b):
                root[a, b] -= root[a, k] * root[b, k]
            if a == b:
                np.sqrt(root[a, a], out=root[a, a])
            else:
                root[a, b] /= root[b, b]
    normals = rng.standard_normal((d, n_agents))
    for (a, b), entry in root.items():
        states[a] += entry * normals[b]
