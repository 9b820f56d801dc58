"""The theory in pictures: rates, the worst agent's cost and the time of solves against N."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from memoa import (
    Policy,
    simulate,
    solve_mean_field,
    solve_myopic,
    solve_nash,
    solve_social_optimum,
)
from memoa.experiments.pieces import Piece, Result
from memoa.experiments.section import (
    Context,
    Section,
    Verdict,
    image,
    spread,
    table,
    write_csv,
)
from memoa.verify import Check, Verification, random_game, verify

NAME = "theory"
GAME = 0  # of random_game, which is that of `memoa verify`
SIZES = (2, 3, 10, 30, 100, 300, 1_000, 10_000, 100_000)
POLICIES = ("mean_field", "nash", "social", "greedy")
TARGETS = {"gain_gap": -1.0, "exploitability": -2.0}
TOLERANCE = 0.05


def pieces(context: Context) -> list[Piece]:
    """The verification in one piece, since it takes times; then one per size and seed."""
    worst = [
        Piece("theory:worst", {"n_agents": n_agents, "seed": seed})
        for n_agents in SIZES
        for seed in context.seeds
    ]
    return [Piece("theory:rates", {"game": GAME}), *worst]


def rates(game: int) -> Result:
    """`memoa.verify.verify` of a random game, as plain values."""
    found = verify(random_game(game), seed=game)
    return {
        "table": {name: column.tolist() for name, column in found.table.items()},
        "centralized": {name: column.tolist() for name, column in found.centralized.items()},
        "slopes": found.slopes,
        "checks": [
            (check.name, float(check.measured), check.expected, bool(check.passed))
            for check in found.checks
        ],
    }


def worst(n_agents: int, seed: int) -> Result:
    """Cost of the worst of N simulated agents, under four policies and the same dice."""
    game = random_game(GAME)
    policies: dict[str, Policy] = {
        "mean_field": solve_mean_field(game),
        "nash": solve_nash(game, n_agents),
        "social": solve_social_optimum(game, n_agents),
        "greedy": solve_myopic(game),
    }
    d = game.n_outputs
    start: dict[str, Any] = {"mean": np.zeros(d), "cov": np.eye(d), "n_threads": 1}
    return {
        name: simulate(game, policy, n_agents, seed=seed, **start).worst_cost
        for name, policy in policies.items()
    }


def section(context: Context, results: Sequence[Result]) -> Section:
    """The pictures, the fitted slopes and the verification's checks."""
    from memoa.experiments.figures import plot_worst
    from memoa.plots_verify import POLICY_LABELS, plot_verification

    found, rest = rebuilt(results[0]), results[1:]
    costs: dict[str, dict[int, list[float]]] = {name: {} for name in POLICIES}
    lines = []
    for piece, result in zip(pieces(context)[1:], rest, strict=True):
        n_agents, seed = piece.settings["n_agents"], piece.settings["seed"]
        lines.append({"n_agents": n_agents, "seed": seed, **result})
        for name in POLICIES:
            costs[name].setdefault(n_agents, []).append(result[name])
    columns = [
        dict(zip(found.table, row, strict=True)) for row in zip(*found.table.values(), strict=True)
    ]
    write_csv(context.folder / "theory.csv", columns)
    write_csv(context.folder / "theory-worst.csv", lines)
    plot_verification(found, path=context.folder / "theory.png")
    plot_worst(costs, found.table, path=context.folder / "theory-worst.png")
    out = Section(NAME, "The theory in pictures", settings={"game": f"random_game({GAME})"})
    names = {"gain_gap": "gap between the gains of mean field and exact Nash",
             "exploitability": "exploitability of the mean-field law"}  # fmt: skip
    for column, slope in TARGETS.items():
        fitted = found.slopes[column]
        met = abs(fitted - slope) <= TOLERANCE
        target = f"{names[column]}: slope {slope:g} within {TOLERANCE:g}"
        out.verdicts.append(Verdict(target, f"{fitted:.4f}", met))
    stacked = found.centralized
    out.blocks += [
        f"The game is `memoa.verify.random_game({GAME})`; [the theory, checked](theory-checked.md) "
        "explains every number, and `memoa verify` computes them for a game of one's own.",
        image(context, "theory.png", "Rates, seconds and costs against the number of agents"),
        f"The centralized solve of N = {stacked['n_agents'][-1]:.0f} players took "
        f"{stacked['seconds'][-1]:.3g} s; the mean-field policy takes "
        f"{found.table['seconds_mean_field'][0]:.2g} s for any number of agents.",
        "Cost of the worst of N simulated agents, median and quartiles over the seeds. The "
        "theorem is about the largest *expected* cost, which is the same for identical agents "
        "(left); the worst draw (right) is luck as well, and no theorem orders the policies by it.",
        image(context, "theory-worst.png", "Expected cost, and that of the worst agent"),
        table(
            ("N", *POLICY_LABELS.values()),
            [[f"{n:,}", *(spread(costs[name][n]) for name in POLICY_LABELS)] for n in SIZES],
        ),
        "The checks of `memoa verify` on this game:",
        table(
            ("check", "measured", "expected", ""),
            [(c.name, f"{c.measured:.4g}", c.expected, "pass" if c.passed else "**fail**")
             for c in found.checks],
        ),
    ]  # fmt: skip
    return out


def rebuilt(result: Result) -> Verification:
    """The verification that `rates` described."""
    game = random_game(GAME)
    d = game.n_outputs
    values = json.loads(json.dumps(result))  # the same types, stored or not
    return Verification(
        game, np.zeros(d), np.eye(d), GAME,
        *({name: np.array(column) for name, column in values[part].items()}
          for part in ("table", "centralized")),
        values["slopes"],
        tuple(Check(*check) for check in values["checks"]),
    )  # fmt: skip
