"""Populations of three types, which differ in their features: in the game, and online."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from experiments import variants
from experiments.benchmarks import load
from experiments.pieces import Result
from memoa import (
    FeatureMoments,
    Game,
    Policy,
    RandomFeatures,
    feature_moments,
    simulate,
    solve_mean_field,
    solve_myopic,
)
from memoa._validate import Float64

Activation = Literal["relu", "tanh", "cos"]
WIDTH = 12
HORIZON, CONSENSUS, EFFORT, AIM = 8, 1.0, 0.2, 1.0


class Sort(NamedTuple):
    """The features of one of three types."""

    activation: Activation
    width: int
    gain: float


@dataclass(frozen=True)
class Family:
    """A way in which three types differ, the more the larger the factor.

    Attributes
    ----------
    name : str
    factors : tuple of int
    in_scale, in_width : bool
    activations : tuple of three str
    """

    name: str
    factors: tuple[int, ...]
    in_scale: bool = False
    in_width: bool = False
    activations: tuple[Activation, Activation, Activation] = ("relu", "relu", "relu")

    def sorts(self, factor: int) -> list[Sort]:
        """The three types."""
        gains = (1.0 / factor, 1.0, float(factor)) if self.in_scale else (1.0,) * 3
        widths = (WIDTH // factor, WIDTH, WIDTH * factor) if self.in_width else (WIDTH,) * 3
        return [Sort(*one) for one in zip(self.activations, widths, gains, strict=True)]


FAMILIES = (
    Family("scale", (1, 2, 4, 8), in_scale=True),
    Family("width", (1, 2, 3), in_width=True),
    Family("kind and both", (1, 2, 3), True, True, ("relu", "tanh", "cos")),
)


# ------------------------------------------------------------------ the game of the theory


def play(sorts: Sequence[Sort], seed: int, n_agents: int) -> Result:
    """Mean cost of the worst type, and the worst agent's, under each policy; same dice for all."""
    all_moments = [_moments(*one) for one in sorts]
    n_types = len(all_moments)
    shares = np.full(n_types, 1.0 / n_types)
    games = [_game(moments) for moments in all_moments]
    solved: dict[str, Sequence[Policy]] = {
        "types": solve_mean_field(games),
        "one": [_of_mean(solve_mean_field(_game(_pooled(all_moments))), shares)] * n_types,
        "alike": [_of_mean(solve_mean_field(game), shares) for game in games],
        "greedy": [
            _of_mean(solve_myopic(_game(moments, consensus=0.0)), shares) for moments in all_moments
        ],
    }
    out: Result = {}
    for name, policies in solved.items():
        seen = simulate(
            games,
            list(policies),
            n_agents,
            mean=[0.0],
            cov=[[0.25]],
            random_state=seed,
            n_threads=1,
        )
        first = np.cumsum((0, *seen.type_sizes[:-1]))
        by_type = np.add.reduceat(seen.cost, first) / np.array(seen.type_sizes)
        out[name] = {
            "worst_type": float(by_type.max()),
            "mean": seen.mean_cost,
            "worst": seen.worst_cost,
        }
    return out


def _moments(activation: Activation, width: int, gain: float) -> FeatureMoments:
    """Moments of sqrt(2/p) act(a) with a ~ N(0, 1), padded by features that are always 0.

    Hidden features need a mean to act with, and that of tanh is 0: there it is shifted by 1/2.
    """
    size = gain * np.sqrt(2.0 / width)
    if activation == "tanh":
        nodes, weights = np.polynomial.hermite_e.hermegauss(60)
        weights = weights / weights.sum()
        first = float(weights @ np.tanh(nodes + 0.5))
        second = float(weights @ np.tanh(nodes + 0.5) ** 2)
        mean = np.full((1, width), first)
        cov = np.full((width, 1, 1), second - first**2)
    else:
        mean, cov = feature_moments(activation=activation, mean=np.zeros((1, width)), std=1.0)
    padding = 4 * WIDTH - width
    return FeatureMoments(
        np.pad(size * mean, ((0, 0), (0, padding))),
        np.pad(size**2 * cov, ((0, padding), (0, 0), (0, 0))),
    )


def _pooled(all_moments: Sequence[FeatureMoments]) -> FeatureMoments:
    """The moments of an agent of unknown type, column by column."""
    means = np.array([moments.mean for moments in all_moments])  # (K, 1, p)
    covs = np.array([moments.cov for moments in all_moments])
    between = means.var(axis=0)[0]
    return FeatureMoments(means.mean(axis=0), covs.mean(axis=0) + between[:, None, None])


def _game(moments: FeatureMoments, consensus: float = CONSENSUS) -> Game:
    """Track AIM and stay near the others, (1.3)."""
    return Game(
        *moments,
        np.full((HORIZON, 1), AIM / (1.0 + consensus)),
        tracking=1.0 + consensus,
        coupling=consensus / (1.0 + consensus),
        effort=EFFORT,
        horizon=HORIZON,
    )


def _of_mean(policy: Policy, shares: Float64) -> Policy:
    """A policy of the mean over all agents, as one of the types' means."""
    eye = np.broadcast_to(np.eye(len(shares)), (policy.horizon, len(shares), len(shares)))
    return Policy(
        policy.gain,
        policy.mean_gain * shares,
        policy.offset,
        mean_map=eye,
        mean_shift=np.zeros((policy.horizon, len(shares))),
    )


# ------------------------------------------------------------------ online


def forecast(series: str, sorts: Sequence[Sort], seed: int, data: Path | None = None) -> Result:
    """The three errors of mixed populations under each policy."""
    loaded, n_agents = load(series, data), variants.PLAIN.n_agents
    # In blocks: where the defaults differ from agent to agent in turn, every sort has all of them.
    types = np.arange(n_agents) * len(sorts) // n_agents
    encoders = [RandomFeatures(width, kind) for kind, width, _ in sorts]
    gains = np.array([gain for _, _, gain in sorts])
    known = variants.learn(variants.encode(loaded.X, encoders, types, seed, gains), loaded)
    game = variants.Play()
    one, _ = variants.act(known, np.zeros_like(types), game)
    several, _ = variants.act(known, types, game)
    return {
        "greedy": variants.errors(known, known.forecasts),
        "one": variants.errors(known, one),
        "alike": variants.errors(known, variants.alone(known, game)),
        "types": variants.errors(known, several),
    }
