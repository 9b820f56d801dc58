"""Agents that differ in kind: does the weakest still gain, told apart or taken for one type?

Twice: in the game of the theory, where the law of each type's features is known and expected costs
can be compared; and online, where agents with three sorts of encoders forecast a series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memoa import (
    FeatureMoments,
    Game,
    OnlineEnsemble,
    Policy,
    RandomFeatures,
    feature_moments,
    simulate,
    solve_mean_field,
    solve_myopic,
)
from memoa._validate import Float64
from memoa.experiments import variants
from memoa.experiments.benchmarks import load
from memoa.experiments.pieces import Piece, Result
from memoa.experiments.section import (
    Context,
    Section,
    image,
    number,
    quartiles,
    table,
    write_csv,
)

NAME = "heterogeneity"
SERIES = ("logistic", "drift-1d", "boc", "ett")
FAMILIES: dict[str, tuple[int, ...]] = {
    "scale": (1, 2, 4, 8), "width": (1, 2, 3), "kind and both": (1, 2, 3)
}  # fmt: skip
WIDTH = 12
POLICIES = {
    "greedy": "greedy",
    "one": "one type",
    "alike": "others taken for alike",
    "types": "three types",
}
N_AGENTS = 30_000  # of the game: the standard error of a type's mean cost is a hundredth of it
HORIZON, CONSENSUS, EFFORT, AIM = 8, 1.0, 0.2, 1.0


def pieces(context: Context) -> list[Piece]:
    """One per family, factor and seed, in the game and on every series."""
    grid = [(family, factor) for family, factors in FAMILIES.items() for factor in factors]
    played = [
        Piece("heterogeneity:play", {"family": family, "factor": factor, "seed": seed})
        for family, factor in grid
        for seed in context.seeds[:5]
    ]
    return played + [
        context.piece("heterogeneity:forecast", series, family=family, factor=factor, seed=seed)
        for series in context.series(SERIES)
        for family, factor in grid
        for seed in context.seeds[:10]
    ]


def mixed(family: str, factor: int) -> list[tuple[str, int, float]]:
    """Activation, width and gain of the features of each of three types."""
    kinds = ("relu", "tanh", "cos") if family == "kind and both" else ("relu",) * 3
    gains = (1.0 / factor, 1.0, float(factor)) if family != "width" else (1.0,) * 3
    widths = (WIDTH // factor, WIDTH, WIDTH * factor) if family != "scale" else (WIDTH,) * 3
    return list(zip(kinds, widths, gains, strict=True))


# ------------------------------------------------------------------ the game of the theory


def play(family: str, factor: int, seed: int) -> Result:
    """Mean cost of the worst type, and the worst agent's, under each policy; same dice for all."""
    laws = [_law(*one) for one in mixed(family, factor)]
    n_types = len(laws)
    shares = np.full(n_types, 1.0 / n_types)
    games = [_game(law) for law in laws]
    solved: dict[str, Sequence[Policy]] = {
        "types": solve_mean_field(games),
        "one": [_of_mean(solve_mean_field(_game(_pooled(laws))), shares)] * n_types,
        "alike": [_of_mean(solve_mean_field(game), shares) for game in games],
        "greedy": [
            _of_mean(solve_myopic(_game(law, consensus=0.0)), shares) for law in laws
        ],
    }  # fmt: skip
    out: Result = {}
    for name, policies in solved.items():
        seen = simulate(
            games, list(policies), N_AGENTS, mean=[0.0], cov=[[0.25]], seed=seed, n_threads=1
        )
        first = np.cumsum((0, *seen.type_sizes[:-1]))
        by_type = np.add.reduceat(seen.cost, first) / np.array(seen.type_sizes)
        out[name] = {
            "worst_type": float(by_type.max()), "mean": seen.mean_cost, "worst": seen.worst_cost
        }  # fmt: skip
    return out


def _law(activation: str, width: int, gain: float) -> FeatureMoments:
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


def _pooled(laws: Sequence[FeatureMoments]) -> FeatureMoments:
    """The law of an agent of unknown type, column by column."""
    means = np.array([law.mean for law in laws])  # (K, 1, p)
    covs = np.array([law.cov for law in laws])
    between = means.var(axis=0)[0]
    return FeatureMoments(means.mean(axis=0), covs.mean(axis=0) + between[:, None, None])


def _game(law: FeatureMoments, consensus: float = CONSENSUS) -> Game:
    """Track AIM and stay near the others, (1.3)."""
    return Game(
        *law, np.full((HORIZON, 1), AIM / (1.0 + consensus)), tracking=1.0 + consensus,
        coupling=consensus / (1.0 + consensus), effort=EFFORT, horizon=HORIZON,
    )  # fmt: skip


def _of_mean(policy: Policy, shares: Float64) -> Policy:
    """A policy of the mean over all agents, as one of the types' means."""
    eye = np.broadcast_to(np.eye(len(shares)), (policy.horizon, len(shares), len(shares)))
    return Policy(
        policy.gain, policy.mean_gain * shares, policy.offset, mean_map=eye,
        mean_shift=np.zeros((policy.horizon, len(shares))),
    )  # fmt: skip


# ------------------------------------------------------------------ online


def forecast(
    series: str, family: str, factor: int, seed: int, data: Path | None = None, **identity: Any
) -> Result:
    """The three errors of mixed populations under each policy."""
    loaded, n_agents = load(series, data), OnlineEnsemble().n_agents
    sorts = mixed(family, factor)
    # In blocks: where the defaults differ from agent to agent in turn, every sort has all of them.
    types = np.arange(n_agents) * len(sorts) // n_agents
    encoders = [RandomFeatures(width, kind) for kind, width, _ in sorts]  # type: ignore[arg-type]
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


# ------------------------------------------------------------------ the section


def section(context: Context, results: Sequence[Result]) -> Section:
    """Both halves: a picture of the ratios to greedy, and their tables."""
    from memoa.experiments.figures import plot_heterogeneity

    ratios: dict[tuple[str, str], dict[int, dict[str, list[float]]]] = {}
    lines = []
    for piece, result in zip(pieces(context), results, strict=True):
        at = piece.settings
        place = str(at.get("series", "game"))
        measure = "worst_type" if place == "game" else "worst_agent_rmse"
        cell = ratios.setdefault((place, at["family"]), {}).setdefault(at["factor"], {})
        for policy, errors in result.items():
            cell.setdefault(policy, []).append(errors[measure] / result["greedy"][measure])
            line = {"place": place, **at, "policy": policy, "worst": errors[measure]}
            lines.append({k: v for k, v in line.items() if k not in ("series", "digest")})
    write_csv(context.folder / "heterogeneity.csv", lines)
    plot_heterogeneity(ratios, path=context.folder / "heterogeneity.png")
    places = ["game", *context.series(SERIES)]
    out = Section(NAME, "Heterogeneous agents", left_out=context.absent(SERIES))
    out.blocks += [
        "A third of the agents each has another sort of features: their *scale* differs by factors "
        "1/h, 1, h; their *width* is 12/h, 12, 12h; or their *kind* is relu, tanh, cos, and scale "
        "and width differ too (h = 1: the kind alone). The numbers are ratios to greedy agents "
        "with the same features: below 1 the policy is better for the weakest. *One type*: "
        "everybody plays the policy of the average agent (online: the deployed policy, with the "
        "average energy of all). *Others taken for alike*: the policy of a population of copies of "
        "oneself; online, no message at all. *Three types*: the game with the right number of "
        "types, in which the mean field is three means.",
        "In the game of the theory the weakest is the type with the largest expected cost; online "
        "it is the agent with the largest error, on the series named. Medians over the seeds.",
        image(context, "heterogeneity.png", "Worst agent relative to greedy, by heterogeneity"),
        _table(ratios, places),
        _sentence(ratios, places),
    ]
    return out


Ratios = Mapping[tuple[str, str], Mapping[int, Mapping[str, Sequence[float]]]]


def _table(ratios: Ratios, places: Sequence[str]) -> str:
    rows = []
    for family, factors in FAMILIES.items():
        for factor in factors:
            for policy, label in POLICIES.items():
                if policy == "greedy":
                    continue
                cells = (quartiles(ratios[place, family][factor][policy])[0] for place in places)
                rows.append([f"{family}, h = {factor}", label, *map(number, cells)])
    return table(("agents differ in", "policy", *places), rows)


def _sentence(ratios: Ratios, places: Sequence[str]) -> str:
    """How many cells stay below 1, and the largest ratio, by policy."""
    parts = []
    for policy, label in POLICIES.items():
        if policy == "greedy":
            continue
        medians = {
            (place, family, factor): quartiles(ratios[place, family][factor][policy])[0]
            for family, factors in FAMILIES.items()
            for factor in factors
            for place in places
        }
        below = sum(value < 1.0 for value in medians.values())
        place, family, factor = max(medians, key=lambda at: medians[at])
        parts.append(
            f"{label}: below 1 in {below} of {len(medians)} cells, at most "
            f"{medians[place, family, factor]:.4g} ({place}, {family}, h = {factor})"
        )
    return "\n".join(f"- {part}" for part in parts)
