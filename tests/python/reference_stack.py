"""Brute force through the stacked state of N agents: theory section 2 and checks of 4, 5 and 7.

The state is X = (y^1, ..., y^N, 1), so that P, s and r are blocks of one matrix and a control is
b^j = gains[t][j] @ X. `games` holds one game per agent: all may differ, except in d, p and T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reference import GameData
from reference_nash import SymmetricPolicy, limit_policy, noise_weight, stage


@dataclass(frozen=True)
class Server:
    """The predecessor's cost w^i_t sigma |e_t - sum_j u_j y^j_{t+1}|^2, theory section 2 (b)."""

    weights: np.ndarray  # (T, N), u_t
    tracking: float  # sigma
    target: np.ndarray  # (T, d), one for all agents


def pick(i: int, n_agents: int, d: int) -> np.ndarray:
    """(d, N d + 1): y^i out of X."""
    rows = np.zeros((d, n_agents * d + 1))
    rows[:, i * d : (i + 1) * d] = np.eye(d)
    return rows


def pick_mean(n_agents: int, d: int) -> np.ndarray:
    """(d, N d + 1): the empirical mean out of X."""
    return sum(pick(i, n_agents, d) for i in range(n_agents)) / n_agents


def constant(n_agents: int, d: int) -> np.ndarray:
    """The constant 1 out of X."""
    return np.eye(n_agents * d + 1)[-1]


def free_stack(games: list[GameData], t: int) -> np.ndarray:
    """X+ without controls and noise: Astack and fstack of (2.2)."""
    n, d = len(games), games[0].target.shape[1]
    rows = []
    for i, game in enumerate(games):
        _, _, a, abar, f, _, _ = stage(game, t)
        rows.append(a @ pick(i, n, d) + abar @ pick_mean(n, d) + np.outer(f, constant(n, d)))
    return np.vstack([*rows, constant(n, d)])


def input_stack(games: list[GameData], t: int) -> list[np.ndarray]:
    """B_j of (2.1): the column block by which E Z_j enters X+."""
    n, d = len(games), games[0].target.shape[1]
    return [pick(j, n, d).T @ game.feature_mean[t] for j, game in enumerate(games)]


def stage_form(games: list[GameData], i: int, t: int, server: Server | None) -> np.ndarray:
    """Agent i's discounted cost of X+, efforts apart, as a form in X+."""
    n, game, d = len(games), games[i], games[0].target.shape[1]
    error = pick(i, n, d) - game.coupling @ pick_mean(n, d)
    error -= np.outer(game.target[t], constant(n, d))
    form = game.weights[t] * error.T @ game.tracking @ error
    if server is not None:
        mixed = sum(u * pick(j, n, d) for j, u in enumerate(server.weights[t]))
        mixed = mixed - np.outer(server.target[t], constant(n, d))
        form += game.weights[t] * server.tracking * mixed.T @ mixed
    return form


def noise_price(games: list[GameData], i: int, j: int, t: int, after: np.ndarray) -> np.ndarray:
    """V^i_j of (2.3): what b^j costs agent i beyond its mean effect."""
    d = games[0].target.shape[1]
    block = after[j * d : (j + 1) * d, j * d : (j + 1) * d]
    _, cov, _, _, _, _, _ = stage(games[j], t)
    price = noise_weight(cov, block)
    return price + stage(games[i], t)[-1] if i == j else price


def value_step(games, i, t, after: np.ndarray, gains_t: np.ndarray) -> np.ndarray:
    """(2.3) for any affine controls of all agents, (N, p, N d + 1)."""
    inputs = input_stack(games, t)
    closed = free_stack(games, t) + sum(b @ g for b, g in zip(inputs, gains_t, strict=True))
    before = closed.T @ after @ closed
    for j, gain in enumerate(gains_t):
        before += gain.T @ noise_price(games, i, j, t, after) @ gain
    return (before + before.T) / 2


def zero_form(games: list[GameData]) -> np.ndarray:
    """The value after the last stage."""
    size = len(games) * games[0].target.shape[1] + 1
    return np.zeros((size, size))


def centralized_nash_reference(games: list[GameData], server: Server | None = None):
    """(2.1)-(2.3) in N p unknowns: gain (T,N,p,Nd), offset (T,N,p) and [(P^i, s^i, r^i)] at 0."""
    n, p = len(games), games[0].feature_mean.shape[2]
    values, gains = [zero_form(games)] * n, []
    for t in reversed(range(len(games[0].target))):
        after = [v + stage_form(games, i, t, server) for i, v in enumerate(values)]
        inputs, free = input_stack(games, t), free_stack(games, t)
        system, right = np.zeros((n * p, n * p)), np.zeros((n * p, free.shape[1]))
        for i in range(n):
            rows = slice(i * p, (i + 1) * p)
            for j in range(n):
                system[rows, j * p : (j + 1) * p] = inputs[i].T @ after[i] @ inputs[j]  # (2.1)
            system[rows, rows] += noise_price(games, i, i, t, after[i])
            right[rows] = -inputs[i].T @ after[i] @ free  # (2.2)
        gains.append(np.linalg.solve(system, right).reshape(n, p, -1))
        values = [value_step(games, i, t, after[i], gains[-1]) for i in range(n)]
    table = np.array(gains[::-1])
    return table[..., :-1], table[..., -1], [(v[:-1, :-1], v[:-1, -1], v[-1, -1]) for v in values]


def stack_policy(policy: SymmetricPolicy, n_agents: int) -> np.ndarray:
    """(T, N, p, N d + 1): a symmetric policy as controls on X."""
    d = policy.gain.shape[2]
    mean, one = pick_mean(n_agents, d), constant(n_agents, d)
    return np.array(
        [
            [g @ pick(i, n_agents, d) + gm @ mean + np.outer(h, one) for i in range(n_agents)]
            for g, gm, h in zip(policy.gain, policy.mean_gain, policy.offset, strict=True)
        ]
    )


def stack_value(games, gains, i, server=None, respond=False) -> np.ndarray:
    """Agent i's value form at stage 0 under `gains`, or where it alone answers them optimally."""
    value = zero_form(games)
    for t in reversed(range(len(gains))):
        after = value + stage_form(games, i, t, server)
        controls = np.array(gains[t])
        if respond:
            inputs = input_stack(games, t)
            controls[i] = 0.0
            moved = free_stack(games, t) + sum(b @ g for b, g in zip(inputs, controls, strict=True))
            hessian = inputs[i].T @ after @ inputs[i] + noise_price(games, i, i, t, after)
            controls[i] = -np.linalg.solve(hessian, inputs[i].T @ after @ moved)
        value = value_step(games, i, t, after, controls)
    return value


def start_moment(mean: np.ndarray, cov: np.ndarray, n_agents: int) -> np.ndarray:
    """E XX' for y_0 independent over agents, all with this mean and covariance."""
    full = np.append(np.tile(mean, n_agents), 1.0)
    moment = np.outer(full, full)
    moment[:-1, :-1] += np.kron(np.eye(n_agents), cov)
    return moment


def stack_cost_forward(games, gains, start: np.ndarray, server=None) -> np.ndarray:
    """(N,): expected costs under `gains`, by carrying E XX' forward; no value function is used."""
    n, d, moment, cost = len(games), games[0].target.shape[1], start, np.zeros(len(games))
    for t, gains_t in enumerate(gains):
        inputs = input_stack(games, t)
        closed = free_stack(games, t) + sum(b @ g for b, g in zip(inputs, gains_t, strict=True))
        moved = closed @ moment @ closed.T
        for j, (game, gain) in enumerate(zip(games, gains_t, strict=True)):
            second = gain @ moment @ gain.T  # E b b'
            cost[j] += game.weights[t] * game.effort * np.trace(second)
            noise = sum(second[k, k] * c for k, c in enumerate(game.feature_cov[t]))
            moved += pick(j, n, d).T @ noise @ pick(j, n, d)
        moment = moved
        cost += [np.sum(stage_form(games, i, t, server) * moment) for i in range(n)]
    return cost


def stack_social(game: GameData, n_agents: int) -> tuple[np.ndarray, np.ndarray]:
    """One controller of all N p controls with the average cost: (controls on X, value at 0)."""
    games, p = [game] * n_agents, game.feature_mean.shape[2]
    value, gains = zero_form(games), []
    for t in reversed(range(len(game.target))):
        after = value + sum(stage_form(games, i, t, None) for i in range(n_agents)) / n_agents
        inputs, free = np.hstack(input_stack(games, t)), free_stack(games, t)
        price = np.zeros((n_agents * p, n_agents * p))
        for j in range(n_agents):
            d, rows = game.target.shape[1], slice(j * p, (j + 1) * p)
            block = after[j * d : (j + 1) * d, j * d : (j + 1) * d]
            price[rows, rows] = noise_weight(game.feature_cov[t], block)
            price[rows, rows] += stage(game, t)[-1] / n_agents
        control = -np.linalg.solve(inputs.T @ after @ inputs + price, inputs.T @ after @ free)
        closed = free + inputs @ control
        value = closed.T @ after @ closed + control.T @ price @ control
        value = (value + value.T) / 2
        gains.append(control.reshape(n_agents, p, -1))
    return np.array(gains[::-1]), value


def simulate_reference(
    game: GameData,
    policy: SymmetricPolicy,
    n_agents,
    mean,
    cov,
    rng,
    replicas=1,
    mean_field="empirical",
) -> tuple[np.ndarray, np.ndarray]:
    """Costs (replicas, N) and mean paths (replicas, T+1, d) of Gaussian features and states.

    Columns of Z are N(M[:, k], C[k]), independent over k, agents and stages. On the limit, agents
    read the precomputed flow in place of m; dynamics and costs keep the empirical mean.
    """
    if mean_field == "limit":
        policy = limit_policy(game, policy, mean)
    y = rng.multivariate_normal(mean, cov, size=(replicas, n_agents))
    cost, path = np.zeros((replicas, n_agents)), [y.mean(axis=1)]
    for t in range(len(game.target)):
        feature_mean, feature_cov, a, abar, f, _, _ = stage(game, t)
        m = path[-1][:, None, :]
        b = y @ policy.gain[t].T + m @ policy.mean_gain[t].T + policy.offset[t]
        y = y @ a.T + m @ abar.T + f
        for k, cov_k in enumerate(feature_cov):
            column = rng.multivariate_normal(feature_mean[:, k], cov_k, size=(replicas, n_agents))
            y = y + column * b[:, :, k, None]
        path.append(y.mean(axis=1))
        error = y - path[-1][:, None, :] @ game.coupling.T - game.target[t]
        stage_cost = np.einsum("rid,de,rie->ri", error, game.tracking, error)
        cost += game.weights[t] * (stage_cost + game.effort * np.sum(b**2, axis=2))
    return cost, np.stack(path, axis=1)
