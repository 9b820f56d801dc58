"""The theory in pictures: rates, the worst agent's cost and the time of solves against N."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from experiments.figures import PICTURE_DPI, WORST_POLICIES, plot_worst
from experiments.pieces import Method, Piece, Result
from experiments.section import (
    Context,
    Experiment,
    Section,
    Verdict,
    image,
    spread,
    table,
    write_csv,
)
from memoa import (
    Game,
    Policy,
    certify,
    simulate,
    solve_mean_field,
    solve_myopic,
    solve_nash,
    solve_social_optimum,
)
from memoa.plots.style import save
from memoa.plots.verification import plot_verification
from memoa.verify import Check, Verification, random_game, verify

GAME = 0  # of random_game, which is that of `memoa verify`
WORST_NOTE = (
    "The cost of the worst of N simulated agents, in two games: the random game above, and the "
    "consensus game of [the theory, checked](theory-checked.md), in which a greedy agent tracks "
    "the wave as if it were alone. The theorem is about the largest *expected* cost, which is "
    "the same for identical agents (left), when one agent deviates. A planner, and in some games "
    "a greedy crowd, gives everybody lower costs. The worst draw (right) also depends on luck, "
    "and no theorem orders the policies by it."
)
TARGETS = {"gain_gap": -1.0, "exploitability": -2.0}
TOLERANCE = 0.05


def rates(game: int, **options: Any) -> Result:
    """`memoa.verify.verify` of a random game, as plain values."""
    found = verify(random_game(game), random_state=game, **options)
    return {
        "table": {name: column.tolist() for name, column in found.table.items()},
        "centralized": {name: column.tolist() for name, column in found.centralized.items()},
        "slopes": found.slopes,
        "checks": [
            (check.name, float(check.measured), check.expected, bool(check.passed))
            for check in found.checks
        ],
    }


def the_random_game() -> tuple[Game, Game]:
    """The game of `memoa verify`, greedy agents in it too."""
    return (random_game(GAME),) * 2


def consensus_game() -> tuple[Game, Game]:
    """The game of docs/theory-checked.md, and the game of one agent alone.

    Agents track a wave with weight 1 and stay near each other with weight 2, which is (1.3). A
    greedy agent tracks the wave and has no neighbours.
    """
    stages, d, p = 8, 2, 4
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(1, stages + 1)[:, None] / 2 + np.arange(d))
    moments = rng.normal(size=(d, p)) / 2, np.tile(0.1 * np.eye(d), (p, 1, 1))
    rest: dict[str, Any] = {"effort": 0.2, "discount": 0.05, "horizon": stages}
    return (
        Game(*moments, wave / 3.0, tracking=3.0, coupling=2.0 / 3.0, **rest),
        Game(*moments, wave, tracking=1.0, **rest),
    )


class Played(NamedTuple):
    """A game: its title, and what makes it and the game that its greedy agents play."""

    title: str
    make: Callable[[], tuple[Game, Game]]


GAMES = {
    "random": Played("the random game", the_random_game),
    "consensus": Played("track a wave and stay together", consensus_game),
}


def worst(game: str, n_agents: int, seed: int) -> Result:
    """Expected cost of an agent, and cost of the worst of N simulated ones, under four policies."""
    played, alone = GAMES[game].make()
    policies: dict[str, Policy] = {
        "mean_field": solve_mean_field(played),
        "nash": solve_nash(played, n_agents),
        "social": solve_social_optimum(played, n_agents),
        "greedy": solve_myopic(alone),
    }
    d = played.n_outputs
    start: dict[str, Any] = {"mean": np.zeros(d), "cov": np.eye(d)}
    return {
        name: {
            "expected": certify(played, policy, n_agents, **start).cost,
            "worst": simulate(
                played, policy, n_agents, random_state=seed, n_threads=1, **start
            ).worst_cost,
        }
        for name, policy in policies.items()
    }


RATES, WORST = Method("theory.rates", 2, rates), Method("theory.worst", 1, worst)


@dataclass(frozen=True)
class Theory(Experiment):
    """The verification in one piece, since it takes times; then one per game, size and seed.

    Attributes
    ----------
    sizes : tuple of int
        Numbers of agents that are simulated.
    verification : dict
        Arguments of `memoa.verify.verify`.
    """

    name: ClassVar[str] = "theory"
    alone: ClassVar[bool] = True
    sizes: tuple[int, ...] = (2, 3, 10, 30, 100, 300, 1_000, 10_000, 100_000)
    verification: Mapping[str, Any] = field(default_factory=dict)

    def pieces(self, context: Context) -> list[Piece]:
        """The verification first."""
        worst = [
            Piece(WORST, {"game": game, "n_agents": n_agents, "seed": seed})
            for game in GAMES
            for n_agents in self.sizes
            for seed in context.seeds
        ]
        return [Piece(RATES, {"game": GAME, **self.verification}), *worst]

    def section(self, context: Context, results: Sequence[Result]) -> Section:
        """The pictures, the fitted slopes and the verification's checks."""
        found, rest = rebuilt(results[0]), results[1:]
        costs: dict[tuple[str, str, str], dict[int, list[float]]] = {}
        lines = []
        for piece, result in zip(self.pieces(context)[1:], rest, strict=True):
            n_agents, game = piece.settings["n_agents"], piece.settings["game"]
            for name, _, _ in WORST_POLICIES:
                lines.append({**piece.settings, "policy": name, **result[name]})
                for kind, cost in result[name].items():
                    costs.setdefault((game, name, kind), {}).setdefault(n_agents, []).append(cost)
        columns = [
            dict(zip(found.table, row, strict=True))
            for row in zip(*found.table.values(), strict=True)
        ]
        write_csv(context.folder / "theory.csv", columns)
        write_csv(context.folder / "theory-worst.csv", lines)
        picture = context.folder / "theory.png"
        save(plot_verification(found, path=picture), picture, dpi=PICTURE_DPI)
        titles = {name: game.title for name, game in GAMES.items()}
        plot_worst(costs, titles, path=context.folder / "theory-worst.png")
        out = Section(
            self.name, "The theory in pictures", settings={"game": f"random_game({GAME})"}
        )
        names = {
            "gain_gap": "gap between the gains of mean field and exact Nash",
            "exploitability": "exploitability of the mean-field policy",
        }
        for column, slope in TARGETS.items():
            fitted = found.slopes[column]
            met = abs(fitted - slope) <= TOLERANCE
            target = f"{names[column]}: slope {slope:g} within {TOLERANCE:g}"
            out.verdicts.append(Verdict(target, f"{fitted:.4f}", met))
        stacked = found.centralized
        worst = [
            [
                game,
                f"{n:,}",
                *(spread(costs[game, name, "worst"][n]) for name, _, _ in WORST_POLICIES),
            ]
            for game in GAMES
            for n in self.sizes
        ]
        out.blocks += [
            f"The game is `memoa.verify.random_game({GAME})`. [The theory, "
            "checked](theory-checked.md) explains every number, and `memoa verify` computes them "
            "for your own game.",
            image(context, "theory.png", "Rates, seconds and costs against the number of agents"),
            f"The centralized solve of N = {stacked['n_agents'][-1]:.0f} players took "
            f"{stacked['seconds'][-1]:.3g} s; the mean-field policy takes "
            f"{found.table['seconds_mean_field'][0]:.2g} s for any number of agents.",
            WORST_NOTE,
            image(context, "theory-worst.png", "Expected cost, and that of the worst agent"),
            "The checks of `memoa verify` on this game:",
            table(
                ("check", "measured", "expected", ""),
                [
                    (c.name, f"{c.measured:.4g}", c.expected, "pass" if c.passed else "**fail**")
                    for c in found.checks
                ],
            ),
        ]
        out.tables += [
            "Cost of the worst of N simulated agents, median and quartiles over the seeds:",
            table(("game", "N", *(label for _, label, _ in WORST_POLICIES)), worst),
        ]
        return out


def rebuilt(result: Result) -> Verification:
    """The verification that `rates` described."""
    game = random_game(GAME)
    d = game.n_outputs
    values = json.loads(json.dumps(result))  # the same types, stored or not
    table, centralized = (
        {name: np.array(column) for name, column in values[part].items()}
        for part in ("table", "centralized")
    )
    checks = tuple(Check(*check) for check in values["checks"])
    return Verification(
        game, np.zeros(d), np.eye(d), GAME, table, centralized, values["slopes"], checks
    )
