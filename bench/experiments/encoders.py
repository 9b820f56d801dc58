"""A mix of encoders: what the game does for the weakest where whole kinds of agents are weak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.benchmarks import load
from experiments.pieces import Method, Piece, Result
from experiments.section import Context, Experiment, Section, number, quartiles, table, write_csv
from memoa import EchoState, Linear, OnlineEnsemble, RandomFeatures
from memoa.forecasters.two_policies import Policy

KINDS: dict[str, Any] = {
    "waves": RandomFeatures(16, "wave", n_raw=4, n_columns=2),
    "echo": EchoState(12),
    "linear": Linear(),
    "relu": RandomFeatures(12),
}
MIX = "mix"
POPULATIONS = {**KINDS, MIX: list(KINDS.values())}
POLICIES: tuple[Policy, ...] = ("greedy", "memoa")
INTRODUCTION = (
    "The default ensemble with other encoders: its own waves, `EchoState(12)`, `Linear()`, "
    "`RandomFeatures(12)` of relu, and all four as a mix, of which agent i has number i mod 4. "
    "Errors of the worst of the 64 agents, of the mean agent and of the server, medians over the "
    "seeds; *ratio* is the worst agent's error by memoa over that by greedy, the median of the "
    "seeds' ratios. The second table names the kind of the mix's worst agent, and how often it is."
)


def run(
    series: str, population: str, policy: Policy, seed: int, data: Path | None = None
) -> Result:
    """Errors of one population, and the kind of its worst agent."""
    loaded, encoder = load(series, data), POPULATIONS[population]
    ensemble = OnlineEnsemble(encoder=encoder, policy=policy, random_state=seed, n_threads=1)
    found = ensemble.run(loaded.X, loaded.Y, initial=loaded.initial)
    kinds = list(KINDS) if population == MIX else [population]
    return {
        "worst": found.worst_agent_rmse,
        "mean": found.mean_agent_rmse,
        "server": found.server_rmse,
        "kind": kinds[found.worst_agent % len(kinds)],
    }


RUN = Method("encoders.run", 1, run)


@dataclass(frozen=True)
class Encoders(Experiment):
    """One piece per series, population, policy and seed.

    Attributes
    ----------
    series : tuple of str
        Of the eight.
    """

    name: ClassVar[str] = "encoders"
    series: tuple[str, ...] = ("periodic", "logistic", "drift", "drift-1d")

    def pieces(self, context: Context) -> list[Piece]:
        """In the table's order."""
        return [
            context.piece(RUN, series, population=population, policy=policy, seed=seed)
            for series in context.series(self.series)
            for population in POPULATIONS
            for policy in POLICIES
            for seed in context.seeds
        ]

    def section(self, context: Context, results: Sequence[Result]) -> Section:
        """Two tables, and every run in a CSV file."""
        lines = [
            {**piece.settings, **result}
            for piece, result in zip(self.pieces(context), results, strict=True)
        ]
        write_csv(context.folder / "encoders.csv", lines)

        def column(series: str, population: str, policy: str, measure: str) -> list[Any]:
            wanted = {"series": series, "population": population, "policy": policy}
            return [line[measure] for line in lines if wanted.items() <= line.items()]

        errors, worst = [], []
        names = context.series(self.series)
        for series in names:
            for population in POPULATIONS:
                cells = []
                for measure in ("worst", "mean", "server"):
                    greedy, ours = (column(series, population, p, measure) for p in POLICIES)
                    cells += [number(quartiles(found)[0]) for found in (greedy, ours)]
                    if measure == "worst":
                        ratios = [b / a for a, b in zip(greedy, ours, strict=True)]
                        cells.append(number(quartiles(ratios)[0]))
                errors.append([series, population, *cells])
        for policy in POLICIES:
            cells = []
            for series in names:
                kinds = column(series, MIX, policy, "kind")
                most = max(KINDS, key=kinds.count)
                cells.append(f"{most} ({kinds.count(most)} of {len(kinds)})")
            worst.append([policy, *cells])
        header = (
            "series",
            "encoder",
            "worst, greedy",
            "worst, memoa",
            "ratio",
            "mean, greedy",
            "mean, memoa",
            "server, greedy",
            "server, memoa",
        )
        out = Section(self.name, "A mix of encoders", left_out=context.absent(self.series))
        out.blocks += [
            INTRODUCTION,
            table(header, [row for row in errors if row[1] == MIX]),
            table(("worst of the mix", *names), worst),
            "\n".join(_against_one(errors, name) for name in names),
        ]
        out.tables.append(table(header, errors))
        return out


def _against_one(errors: Sequence[Sequence[str]], series: str) -> str:
    """The mix and its encoders alone: the server, and the worst agent by memoa."""
    rows = {row[1]: row[2:] for row in errors if row[0] == series}
    parts = []
    for name, place in (("server", 6), ("worst agent by memoa", 1)):
        alone = {kind: rows[kind][place] for kind in KINDS}
        best, last = (pick(alone, key=lambda kind: float(alone[kind])) for pick in (min, max))
        parts.append(
            f"{name} {rows[MIX][place]}, of one encoder {alone[best]} ({best}) to "
            f"{alone[last]} ({last})"
        )
    return f"- {series}: {'; '.join(parts)}"
