"""Games of the oracles as games of memoa."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import memoa
from reference import GameData, random_game, random_psd

FIELDS = ("tracking", "coupling", "effort", "transition", "mean_transition", "drift")


def to_game(data: GameData) -> memoa.Game:
    """The same game as a memoa.Game."""
    return memoa.Game(
        data.feature_mean,
        data.feature_cov,
        data.target,
        discount=data.weights,
        **{name: getattr(data, name) for name in FIELDS},
    )


def to_players(games: Sequence[GameData], **server) -> memoa.NPlayerGame:
    """One player per game."""
    stack = {
        name: np.array([getattr(game, name) for game in games])
        for name in (*FIELDS, "feature_mean", "feature_cov", "target", "weights")
    }
    return memoa.NPlayerGame(
        **{"discount" if k == "weights" else k: v for k, v in stack.items()}, **server
    )


def case(seed: int, largest: int = 5):
    """A random game of d <= largest, with mean and covariance of the initial predictions."""
    rng = np.random.default_rng(seed)
    d, p, horizon = 1 + seed % largest, 1 + seed * 7 % 5, 1 + seed % 6
    data = random_game(rng, d, p, horizon)
    return data, {"mean": rng.normal(size=d), "cov": random_psd(rng, d, d)}


def coefficients_of(policy):
    """gain, mean_gain and offset, to be compared in one go."""
    return policy.gain, policy.mean_gain, policy.offset


def assert_same_policy(policy, expected, tolerance=1e-12):
    """Both policies, relative to the largest number of each array."""
    for got, want in zip(coefficients_of(policy), coefficients_of(expected)):
        scale = max(1.0, np.abs(want).max())
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * scale)
