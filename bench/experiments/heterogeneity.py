"""Agents that differ in kind: does the weakest still gain, told apart or taken for one type?

Twice: in the game of the theory, where the distribution of each type's features is known and
expected costs can be compared; and online, where agents with three sorts of encoders forecast a
series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from experiments.figures import plot_heterogeneity
from experiments.mixed import FAMILIES, Family, forecast, play
from experiments.pieces import Method, Piece, Result
from experiments.section import (
    Context,
    Experiment,
    Section,
    image,
    number,
    quartiles,
    table,
    write_csv,
)

INTRODUCTION = (
    "The agents form three groups of equal size with different features. Either their *scale* "
    "differs by factors 1/h, 1, h; or their *width* is 12/h, 12, 12h; or their *kind* is relu, "
    "tanh, cos, and scale and width differ too (h = 1: only the kind). The numbers are ratios to "
    "greedy agents with the same features: below 1 the policy is better for the weakest.\n\n"
    "- *one type*: everybody plays the policy of the average agent (online: the deployed policy, "
    "with the average energy of all)\n"
    "- *others taken for alike*: every agent assumes a population of copies of itself (online: no "
    "message at all)\n"
    "- *three types*: the game with the right number of types, in which the mean field is three "
    "means"
)
WEAKEST = (
    "In the game of the theory, the weakest is the type with the largest expected cost. Online, "
    "it is the agent with the largest error on the series, in a population whose agents see x "
    "alone and have a consensus of 1; [a mix of encoders](#a-mix-of-encoders) has the default's "
    "agents."
)
POLICIES = {
    "greedy": "greedy",
    "one": "one type",
    "alike": "others taken for alike",
    "types": "three types",
}


PLAY = Method("heterogeneity.play", 1, play)
FORECAST = Method("heterogeneity.forecast", 2, forecast)
Ratios = Mapping[tuple[str, str], Mapping[int, Mapping[str, Sequence[float]]]]


class Cell(NamedTuple):
    """Where a piece belongs, and which of its numbers is that of the weakest."""

    place: str
    family: str
    factor: int
    measure: str
    piece: Piece


@dataclass(frozen=True)
class Heterogeneity(Experiment):
    """One piece per family, factor and seed, in the game and on every series.

    Attributes
    ----------
    series : tuple of str
        Of the eight.
    families : tuple of Family
    n_agents : int
        Of the game. With 30 000 the standard error of a type's mean cost is a hundredth of it.
    most_seeds, most_online_seeds : int
        Seeds of the game, and of the series.
    """

    name: ClassVar[str] = "heterogeneity"
    series: tuple[str, ...] = ("logistic", "drift-1d", "boc", "ett")
    families: tuple[Family, ...] = FAMILIES
    n_agents: int = 30_000
    most_seeds: int = 5
    most_online_seeds: int = 10

    def pieces(self, context: Context) -> list[Piece]:
        """The game first."""
        return [cell.piece for cell in self._cells(context)]

    def _cells(self, context: Context) -> list[Cell]:
        grid = [(family, factor) for family in self.families for factor in family.factors]
        played = [
            Cell(
                "game",
                family.name,
                factor,
                "worst_type",
                Piece(
                    PLAY, {"sorts": family.sorts(factor), "seed": seed, "n_agents": self.n_agents}
                ),
            )
            for family, factor in grid
            for seed in context.seeds[: self.most_seeds]
        ]
        return played + [
            Cell(
                series,
                family.name,
                factor,
                "worst_agent_rmse",
                context.piece(FORECAST, series, sorts=family.sorts(factor), seed=seed),
            )
            for series in context.series(self.series)
            for family, factor in grid
            for seed in context.seeds[: self.most_online_seeds]
        ]

    def section(self, context: Context, results: Sequence[Result]) -> Section:
        """Both halves: a picture of the ratios to greedy, and their tables."""
        ratios: dict[tuple[str, str], dict[int, dict[str, list[float]]]] = {}
        lines = []
        for cell, result in zip(self._cells(context), results, strict=True):
            found = ratios.setdefault((cell.place, cell.family), {}).setdefault(cell.factor, {})
            for policy, errors in result.items():
                worst = errors[cell.measure]
                found.setdefault(policy, []).append(worst / result["greedy"][cell.measure])
                lines.append(
                    {
                        "place": cell.place,
                        "family": cell.family,
                        "factor": cell.factor,
                        "seed": cell.piece.settings["seed"],
                        "policy": policy,
                        "worst": worst,
                    }
                )
        write_csv(context.folder / "heterogeneity.csv", lines)
        plot_heterogeneity(ratios, POLICIES, path=context.folder / "heterogeneity.png")
        places = ["game", *context.series(self.series)]
        out = Section(self.name, "Heterogeneous agents", left_out=context.absent(self.series))
        out.blocks += [
            INTRODUCTION,
            f"{WEAKEST} Medians over {len(context.seeds[: self.most_seeds])} seeds in the game, "
            f"{len(context.seeds[: self.most_online_seeds])} online.",
            image(context, "heterogeneity.png", "Worst agent relative to greedy, by heterogeneity"),
            _sentence(ratios, self.families, places),
        ]
        out.tables.append(_table(ratios, self.families, places))
        return out


def _table(ratios: Ratios, families: Sequence[Family], places: Sequence[str]) -> str:
    rows = []
    for family in families:
        for factor in family.factors:
            for policy, label in POLICIES.items():
                if policy == "greedy":
                    continue
                cells = (
                    quartiles(ratios[place, family.name][factor][policy])[0] for place in places
                )
                rows.append([f"{family.name}, h = {factor}", label, *map(number, cells)])
    return table(("agents differ in", "policy", *places), rows)


def _sentence(ratios: Ratios, families: Sequence[Family], places: Sequence[str]) -> str:
    """How many cells stay below 1, and the largest ratio, by policy."""
    parts = []
    for policy, label in POLICIES.items():
        if policy == "greedy":
            continue
        medians = {
            (place, family.name, factor): quartiles(ratios[place, family.name][factor][policy])[0]
            for family in families
            for factor in family.factors
            for place in places
        }
        below = sum(value < 1.0 for value in medians.values())
        place, name, factor = max(medians, key=lambda at: medians[at])
        parts.append(
            f"{label}: below 1 in {below} of {len(medians)} cells, at most "
            f"{medians[place, name, factor]:.4g} ({place}, {name}, h = {factor})"
        )
    return "\n".join(f"- {part}" for part in parts)
