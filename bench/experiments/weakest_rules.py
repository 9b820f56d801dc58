"""Other mean fields for the weakest agent, and a consensus that is learnt.

Learning does not depend on the policy, and the server mixes local forecasts. So one greedy run has
what every rule needs: the agents' local forecasts c^i, their trimmed mean and the server's
forecast. The rules are the policy of theory section 6 without a price of effort, (6.16): agent i
forecasts (1 - beta) c^i + beta m, with a mean field m and beta = l/(1 + l). No rule changes the
server. Arrays: T steps, N agents, d outputs; increments from the last value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from experiments.encoders import KINDS
from experiments.pieces import Result
from memoa import OnlineEnsemble
from memoa._validate import Float64
from memoa.datasets import Series

DEFAULT, MIX = "default", "mix"
ENCODERS: dict[str, dict[str, Any]] = {DEFAULT: {}, MIX: {"encoder": list(KINDS.values())}}


@dataclass(frozen=True)
class Greedy:
    """A greedy run.

    Attributes
    ----------
    forecasts : ndarray, shape (T, N, d)
        c^i.
    mean : ndarray, shape (T, d)
        Their trimmed mean, (6.10).
    server : ndarray, shape (T, d)
    change : ndarray, shape (T, d)
        What they forecast.
    types : ndarray of int, shape (N,)
        Agents with the same number have the same settings.
    """

    forecasts: Float64
    mean: Float64
    server: Float64
    change: Float64
    types: np.ndarray


def greedy(series: Series, population: str, seed: int) -> Greedy:
    """Let a greedy population of one of `ENCODERS` forecast the series."""
    ensemble = OnlineEnsemble(
        policy="greedy", random_state=seed, n_threads=1, **ENCODERS[population]
    )
    n_agents = ensemble.n_agents
    run = ensemble.run(series.X, series.Y, initial=series.initial, record=range(n_agents))
    base = np.vstack([series.initial, series.Y[:-1]])
    settings = len(np.atleast_1d(ensemble.forgetting))
    period = int(np.lcm(settings, len(KINDS) if population == MIX else 1))
    return Greedy(
        run.recorded - base[:, None],
        run.mean_field - base,
        run.predictions - base,
        series.Y - base,
        np.arange(n_agents) % period,
    )


def weighted_mean(forecasts: Float64, change: Float64, forgetting: float) -> Float64:
    """The average (T, d) of forecasts (T, K, d) of the change by exponential weights, (6.14)."""
    n_steps, n_rivals, d = forecasts.shape
    out = np.empty((n_steps, d))
    losses, count = np.zeros((n_rivals, d)), 0.0
    for t, (c, y) in enumerate(zip(forecasts, change, strict=True)):
        least = losses.min(axis=0)
        noise = least / count if count else least
        scaled = np.divide(losses - least, 8.0 * noise, out=np.zeros_like(losses), where=noise > 0)
        weights = np.where(noise > 0.0, np.exp(-scaled), losses == least)
        out[t] = (weights * c).sum(axis=0) / weights.sum(axis=0)
        if t == 0:
            continue
        squares = np.square(c - y)
        best = squares.min(axis=0)
        kappa = np.divide(4.0 * noise, best, out=np.ones(d), where=(noise > 0.0) & (best > 0.0))
        usual = np.where(noise > 0.0, noise, best)
        most = np.where(usual > 0.0, 100.0 * usual, np.inf)
        losses = forgetting * losses + np.minimum(np.minimum(kappa, 1.0) * squares, most)
        count = forgetting * count + 1.0
    return out


# ------------------------------------------------------------------ the rules


def fixed(known: Greedy, field: Float64, consensus: float) -> Float64:
    """Forecasts (T, N, d) with one consensus for all."""
    own = 1.0 / (1.0 + consensus)
    return field[:, None] + own * (known.forecasts - field[:, None])


def learnt(
    known: Greedy, field: Float64, types: np.ndarray, start: float = 10.0, prior: float = 20.0
) -> Float64:
    """Forecasts (T, N, d) with the consensus that each type has learnt from its errors.

    As (8.3): beta is the regression of the errors on the distance to the mean field, here over the
    agents of a type, from that of the consensus `start` as if it had been seen for `prior` steps.
    """
    kinds = types.max() + 1
    members = np.eye(kinds)[types] / np.bincount(types)  # (N, K), averages
    away = field[:, None] - known.forecasts
    errors = known.change[:, None] - known.forecasts
    size = np.sqrt(np.cumsum(np.square(known.change), axis=0))
    size /= np.sqrt(np.arange(1, len(size) + 1))[:, None]
    out = np.empty_like(known.forecasts)
    squares, products = np.zeros((2, kinds, known.change.shape[1]))
    first, steps = start / (1.0 + start), 0.0
    for t, (gap, error) in enumerate(zip(away, errors, strict=True)):
        usual = prior * squares / steps if steps else squares
        beta = np.divide(
            products + usual * first,
            squares + usual,
            out=np.full_like(squares, first),
            where=squares > 0.0,
        )
        out[t] = known.forecasts[t] + np.clip(beta, 0.0, 1.0)[types] * gap
        error = np.clip(error, -6.0 * size[t], 6.0 * size[t])
        squares = 0.998 * squares + members.T @ np.square(gap)
        products = 0.998 * products + members.T @ (gap * error)
        steps = 0.998 * steps + 1.0
    return out


Fields = Mapping[str, Float64]


class Rule(NamedTuple):
    """A name, and what makes the forecasts (T, N, d) of it."""

    name: str
    play: Callable[[Greedy, Fields], Float64]


def _learnt_by_agent(known: Greedy, fields: Fields) -> Float64:
    return learnt(known, fields["mean"], np.arange(known.forecasts.shape[1]))


def _learnt_by_type(known: Greedy, field: Float64) -> Float64:
    return learnt(known, field, known.types)


RULES = (
    Rule("greedy", lambda known, fields: known.forecasts),
    Rule("mean, l = 10", lambda known, fields: fixed(known, fields["mean"], 10.0)),
    Rule("mean, l = 100", lambda known, fields: fixed(known, fields["mean"], 100.0)),
    Rule("mean, l by type", lambda known, fields: _learnt_by_type(known, fields["mean"])),
    Rule("mean, l by agent", _learnt_by_agent),
    Rule("weighted, l = 10", lambda known, fields: fixed(known, fields["weighted"], 10.0)),
    Rule("weighted, l by type", lambda known, fields: _learnt_by_type(known, fields["weighted"])),
    Rule(
        "server, l = 10 (the default)",
        lambda known, fields: fixed(known, fields["server"], 10.0),
    ),
    Rule("server, l by type", lambda known, fields: _learnt_by_type(known, fields["server"])),
    Rule("best of the three, l = 10", lambda known, fields: fixed(known, fields["best"], 10.0)),
)
MEAN, CHOICE = RULES[1].name, "server, l = 10 (the default)"
#: What is looked at on the eight series: the plain mean and the choice that the study makes.
SHOWN = (MEAN, CHOICE)


def errors(known: Greedy, forecasts: Float64) -> Float64:
    """Root-mean-square error of every agent, (N,)."""
    squares = np.square(forecasts - known.change[:, None]).mean(axis=(0, 2))
    return np.asarray(np.sqrt(squares))


def judge(series: Series, population: str, seed: int, names: Sequence[str] | None = None) -> Result:
    """By rule, the mean and the largest of the agents' errors; and the server's error."""
    known = greedy(series, population, seed)
    fields = {
        "mean": known.mean,
        "weighted": weighted_mean(known.forecasts, known.change, 0.99),
        "server": known.server,
    }
    three = np.stack([fields[name] for name in ("mean", "weighted", "server")], axis=1)
    fields["best"] = weighted_mean(three, known.change, 0.998)
    out: Result = {"server": float(errors(known, known.server[:, None])[0])}
    for rule in RULES:
        if names is not None and rule.name not in names:
            continue
        found = errors(known, rule.play(known, fields))
        out[rule.name] = {"mean": float(found.mean()), "worst": float(found.max())}
    return out
