"""Slow NumPy twins of theory section 7 (the social optimum), a baseline and feature moments."""

from __future__ import annotations

import math

import numpy as np

from reference import GameData
from reference_nash import SymmetricPolicy, collect, noise_weight, stage

# ---------------------------------------------------------------- baselines


def myopic_reference(game: GameData) -> SymmetricPolicy:
    """argmin_b E|y+ - e|_Q^2 + g|b|^2 stage by stage: neither the future nor the others count."""
    rows = []
    for t in range(len(game.target)):
        mean, cov, a, abar, f, q, effort = stage(game, t)
        r = mean.T @ q @ mean + noise_weight(cov, q) + effort
        rows.append(
            tuple(-np.linalg.solve(r, mean.T @ q @ x) for x in (a, abar, f - game.target[t]))
        )
    return collect(rows[::-1])


def solve_social_reference(game: GameData, n_agents: float = math.inf) -> SymmetricPolicy:
    """Policy of least average cost, (7.2)-(7.4); `values` holds (Pd, Pm, sm, r). inf: the limit."""
    d, share = game.target.shape[1], 1.0 / n_agents
    pd, pm, sm, r = np.zeros((d, d)), np.zeros((d, d)), np.zeros(d), 0.0
    rows, values = [], []
    for t in reversed(range(len(game.target))):
        mean, cov, a, abar, f, q, effort = stage(game, t)
        keep, e = np.eye(d) - game.coupling, game.target[t]
        kd, km, k = pd + q, pm + keep.T @ q @ keep, sm - keep.T @ q @ e  # (7.2)
        price = noise_weight(cov, (1 - share) * kd + share * km) + effort  # (7.3)
        rd, rm, both = mean.T @ kd @ mean + price, mean.T @ km @ mean + price, a + abar
        gain = -np.linalg.solve(rd, mean.T @ kd @ a)
        on_mean = -np.linalg.solve(rm, mean.T @ km @ both)
        offset = -np.linalg.solve(rm, mean.T @ (km @ f + k))
        rows.append((gain, on_mean - gain, offset))  # (7.4)
        closed_d, closed_m, shift = a + mean @ gain, both + mean @ on_mean, f + mean @ offset
        pd = closed_d.T @ kd @ closed_d + gain.T @ price @ gain
        r += shift @ km @ shift + 2 * k @ shift + offset @ price @ offset + e @ q @ e
        sm = closed_m.T @ (km @ shift + k) + on_mean.T @ price @ offset
        pm = closed_m.T @ km @ closed_m + on_mean.T @ price @ on_mean
        values.append((pd, pm, sm, r))
    return collect(rows, values=values)


def social_cost(policy: SymmetricPolicy, n_agents: float, mean, cov) -> float:
    """(7.5): the average cost of the social optimum from y_0 independent with mean and cov."""
    pd, pm, sm, r = policy.values[0]
    share = 1.0 / n_agents
    weight = (1 - share) * pd + share * pm
    return float(np.trace(weight @ cov) + mean @ pm @ mean + 2 * sm @ mean + r)


# ---------------------------------------------------------------- feature moments, d = 1


def relu_moments(mu: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of max(X, 0), X ~ N(mu, sigma^2) with sigma > 0, elementwise.

    With c = mu/sigma, Phi and phi the normal distribution function and density at c: the mean is
    sigma (c Phi + phi) and the variance sigma^2 (Phi + c^2 Phi (1-Phi) + c phi (1-2 Phi) - phi^2).
    """
    c = np.asarray(mu, float) / sigma
    below, above = (0.5 * np.vectorize(math.erfc)(x / math.sqrt(2)) for x in (-c, c))
    density = np.exp(-(c**2) / 2) / math.sqrt(2 * math.pi)
    variance = below + c**2 * below * above + c * density * (above - below) - density**2
    return sigma * (c * below + density), np.square(sigma) * np.maximum(variance, 0.0)


def cos_moments(mu: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of cos X, X ~ N(mu, sigma^2), elementwise; from E exp(iX)."""
    lost = -np.expm1(-np.square(sigma))  # 1 - exp(-sigma^2)
    variance = 0.5 * lost * (1 - (1 - lost) * np.cos(2 * np.asarray(mu, float)))
    return np.exp(-np.square(sigma) / 2) * np.cos(mu), variance
