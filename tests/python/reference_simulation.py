"""A slow roll-out agent by agent with the compiled core's random numbers, written apart from it."""

from __future__ import annotations

import math

import numpy as np

from reference import GameData

WORD = (1 << 64) - 1
ROTATIONS = [(14, 16), (52, 57), (23, 40), (5, 37), (25, 33), (46, 12), (58, 22), (32, 32)]


def threefry(counter, key):
    """Threefry4x64-20 of Salmon et al. (2011): four 64-bit words, as Python integers."""
    keys = [*key, 0x1BD11BDAA9FC1A22 ^ key[0] ^ key[1] ^ key[2] ^ key[3]]
    x = [(word + part) & WORD for word, part in zip(counter, keys, strict=False)]
    for turn in range(20):
        partners = (1, 3) if turn % 2 == 0 else (3, 1)
        for first, second, rotation in zip((0, 2), partners, ROTATIONS[turn % 8], strict=True):
            x[first] = (x[first] + x[second]) & WORD
            rotated = (x[second] << rotation | x[second] >> (64 - rotation)) & WORD
            x[second] = rotated ^ x[first]
        if turn % 4 == 3:
            step = (turn + 1) // 4
            x = [(word + keys[(step + i) % 5]) & WORD for i, word in enumerate(x)]
            x[3] = (x[3] + step) & WORD
    return x


def normal(seed, agent, stream, step, output):
    """Agents 2i and 2i + 1 share a word: 40 bits of radius, 24 of angle (Box and Muller)."""
    word = threefry((agent // 8, 0, 0, 0), (seed, stream, step, output))[agent % 8 // 2]
    radius = math.sqrt(-2.0 * math.log(((word >> 24) + 0.5) * 2.0**-40))
    angle = 2.0 * math.pi * (((word & 0xFFFFFF) + 0.5) * 2.0**-24 - 0.5)
    return radius * (math.cos(angle) if agent % 2 == 0 else math.sin(angle))


def simulate_reference(games: list[GameData], policies, sizes, mean, cov, seed):
    """Costs (N,) and types' means (T+1, K d) with the empirical mean field, theory (1.1), (1.2)."""
    d, n_agents, horizon = len(mean), sum(sizes), len(games[0].target)
    types = np.repeat(np.arange(len(sizes)), sizes)

    def draw(agent, stream, step):
        return np.array([normal(seed, agent, stream, step, o) for o in range(d)])

    root = np.linalg.cholesky(cov)
    states = [mean + root @ draw(i, 0, 0) for i in range(n_agents)]
    costs = np.zeros(n_agents)
    path = []

    def means():
        return np.array(
            [
                np.mean([states[i] for i in np.flatnonzero(types == k)], axis=0)
                for k in range(len(sizes))
            ]
        )

    path.append(means())
    for t in range(horizon):
        overall = np.mean(states, axis=0)
        for i, k in enumerate(types):
            game, policy = games[k], policies[k]
            control = (
                policy.gain[t] @ states[i]
                + policy.mean_gain[t] @ path[-1].ravel()
                + policy.offset[t]
            )
            joint = sum(b**2 * c for b, c in zip(control, game.feature_cov[t], strict=True))
            states[i] = (
                game.transition[t] @ states[i]
                + game.mean_transition[t] @ overall
                + game.drift[t]
                + game.feature_mean[t] @ control
                + np.linalg.cholesky(joint) @ draw(i, 1, t)
            )
            costs[i] += game.weights[t] * game.effort * control @ control
        path.append(means())
        overall = np.mean(states, axis=0)
        for i, k in enumerate(types):
            game = games[k]
            error = states[i] - game.coupling @ overall - game.target[t]
            costs[i] += game.weights[t] * error @ game.tracking @ error
    return costs, np.array(path).reshape(horizon + 1, -1)
