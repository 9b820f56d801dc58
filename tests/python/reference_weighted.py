"""A mean field in which agents count unequally: theory (3.7) to (3.9), by brute force.

The state is X = (y^1, ..., y^N, 1) as in `reference_stack`, and m = sum_i s_i y^i.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reference import GameData, solve_mean_field
from reference_nash import stage
from reference_stack import centralized_nash_reference, constant, input_stack, pick


def scaled(game: GameData, weight: float, n_agents: int) -> GameData:
    """The agent in the state x = r y, r = N s: a player of a game with the plain mean, (3.7)."""
    r = n_agents * weight
    return replace(
        game,
        feature_mean=r * game.feature_mean,
        feature_cov=r**2 * game.feature_cov,
        target=r * game.target,
        tracking=game.tracking / r**2,
        coupling=r * game.coupling,
        mean_transition=r * game.mean_transition,
        drift=r * game.drift,
    )


def all_scaled(games: list[GameData], weights: np.ndarray) -> list[GameData]:
    """Every agent of them so."""
    return [scaled(game, s, len(games)) for game, s in zip(games, weights, strict=True)]


def units(weights: np.ndarray, d: int) -> np.ndarray:
    """(x, 1) over (y, 1), number by number."""
    return np.append(np.repeat(len(weights) * weights, d), 1.0)


def exact_nash(games: list[GameData], weights: np.ndarray) -> np.ndarray:
    """The exact Nash equilibrium: controls (T, N, p, N d + 1) on (y, 1)."""
    gain, offset, _ = centralized_nash_reference(all_scaled(games, weights))
    gains = np.concatenate([gain, offset[..., None]], axis=-1)
    return gains * units(weights, games[0].target.shape[1])


def mean_field_law(games: list[GameData], weights: np.ndarray) -> np.ndarray:
    """The policies (3.4) of a type for every agent, whose shares are the weights; on (y, 1)."""
    d, laws = games[0].target.shape[1], []
    for i, policy in enumerate(solve_mean_field(games, weights)):
        own = policy.mean_gain.copy()
        own[..., i * d : (i + 1) * d] += policy.gain
        laws.append(np.concatenate([own, policy.offset[..., None]], axis=-1))
    return np.stack(laws, axis=1)


def weighted_cost_forward(
    games: list[GameData], weights: np.ndarray, gains: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """(N,): expected costs under controls on (y, 1), by carrying E XX' forward.

    Knows nothing of (3.7): the weighted mean stands in the dynamics and in the costs.
    """
    n, d = len(games), games[0].target.shape[1]
    mean = sum(s * pick(i, n, d) for i, s in enumerate(weights))
    moment, cost = start, np.zeros(n)
    for t, gains_t in enumerate(gains):
        rows = []
        for i, game in enumerate(games):
            _, _, a, abar, f, _, _ = stage(game, t)
            rows.append(a @ pick(i, n, d) + abar @ mean + np.outer(f, constant(n, d)))
        closed = np.vstack([*rows, constant(n, d)])
        closed += sum(b @ g for b, g in zip(input_stack(games, t), gains_t, strict=True))
        moved = closed @ moment @ closed.T
        for j, (game, gain) in enumerate(zip(games, gains_t, strict=True)):
            second = gain @ moment @ gain.T
            cost[j] += game.weights[t] * game.effort * np.trace(second)
            noise = sum(second[k, k] * c for k, c in enumerate(game.feature_cov[t]))
            moved += pick(j, n, d).T @ noise @ pick(j, n, d)
        moment = moved
        for i, game in enumerate(games):
            error = pick(i, n, d) - game.coupling @ mean - np.outer(game.target[t], constant(n, d))
            cost[i] += game.weights[t] * np.sum(error.T @ game.tracking @ error * moment)
    return cost
