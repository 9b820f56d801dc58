"""A mix of encoders: what the game does for the weakest where whole kinds of agents are weak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from experiments.benchmarks import load
from experiments.pieces import Method, Piece, Result
from experiments.section import Context, Experiment, Section, number, quartiles, table, write_csv
from memoa import EchoState, Linear, Mixture, OnlineEnsemble, RandomFeatures
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
KINKED = "drift-1d"  # where the server of the mix is worse than that of each encoder
INTRODUCTION = (
    "The default ensemble with other encoders: its own waves, `EchoState(12)`, `Linear()`, "
    "`RandomFeatures(12)` of relu, and all four as a mix, of which agent i has number i mod 4. "
    "Errors of the worst of the 64 agents, of the mean agent and of the server, medians over the "
    "seeds; *ratio* is the worst agent's error by memoa over that by greedy, the median of the "
    "seeds' ratios. The second table names the kind of the mix's worst agent, and how often it is."
)
KINK = (
    "On drift-1d the server of the mix is worse than that of each encoder alone. One step does it. "
    "The error of the server, by memoa, without its two worst steps:"
)


def run(
    series: str, population: str, policy: Policy, seed: int, data: Path | None = None
) -> Result:
    """Errors of one population, and the kind of its worst agent."""
    loaded, encoder = load(series, data), POPULATIONS[population]
    ensemble = OnlineEnsemble(encoder=encoder, policy=policy, random_state=seed, n_threads=1)
    found = ensemble.run(loaded.X, loaded.Y, initial=loaded.initial)
    kinds = list(KINDS) if population == MIX else [population]
    squares = np.square(found.predictions - found.targets).mean(axis=1)
    return {
        "worst": found.worst_agent_rmse,
        "mean": found.mean_agent_rmse,
        "server": found.server_rmse,
        "rest": float(np.sqrt(np.sort(squares)[:-2].mean())),
        "kind": kinds[found.worst_agent % len(kinds)],
    }


def worst_step(series: str, seed: int, data: Path | None = None) -> Result:
    """The step at which the window's mixture of the mix errs most, and what it thinks of the kinds.

    Two numbers each, for the step before and that step: the error, and by kind of agent the sum of
    the weights and the mean of the agents' errors. One output.
    """
    loaded = load(series, data)
    ensemble = OnlineEnsemble(
        encoder=POPULATIONS[MIX],
        policy="greedy",
        mixture=Mixture(OnlineEnsemble().mixture.window, rivals=False, fallback=False),
        random_state=seed,
        n_threads=1,
    )
    ensemble.observe(loaded.initial)
    errors, weights, agents = [], [], []
    for x, y in zip(loaded.X, loaded.Y, strict=True):
        errors.append(float(ensemble.predict_one(x)[0] - y[0]))
        weights.append([float(ensemble.weights[k :: len(KINDS)].sum()) for k in range(len(KINDS))])
        of_agents = ensemble.agent_predictions[:, 0] - y[0]
        agents.append([float(of_agents[k :: len(KINDS)].mean()) for k in range(len(KINDS))])
        ensemble.learn_one(x, y)
    at = int(np.argmax(np.abs(errors)))
    return {
        "step": at,
        "error": errors[at - 1 : at + 1],
        "weights": weights[at - 1 : at + 1],
        "agents": agents[at - 1 : at + 1],
    }


RUN, WORST_STEP = Method("encoders.run", 3, run), Method("encoders.worst_step", 1, worst_step)


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
        """In the table's order; then the worst steps."""
        return self._runs(context) + [
            context.piece(WORST_STEP, KINKED, seed=seed)
            for seed in (context.seeds if KINKED in context.series(self.series) else ())
        ]

    def _runs(self, context: Context) -> list[Piece]:
        return [
            context.piece(RUN, series, population=population, policy=policy, seed=seed)
            for series in context.series(self.series)
            for population in POPULATIONS
            for policy in POLICIES
            for seed in context.seeds
        ]

    def section(self, context: Context, results: Sequence[Result]) -> Section:
        """The tables, and every run in a CSV file."""
        runs = self._runs(context)
        lines = [
            {**piece.settings, **result}
            for piece, result in zip(runs, results[: len(runs)], strict=True)
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
        if KINKED in names:
            alone = [
                [
                    number(quartiles(column(KINKED, kind, "memoa", measure))[0])
                    for kind in POPULATIONS
                ]
                for measure in ("server", "rest")
            ]
            rows = [["all steps", *alone[0]], ["without the two worst", *alone[1]]]
            out.blocks += [
                KINK,
                table(("server RMSE", *POPULATIONS), rows),
                _worst_steps(results[len(runs) :]),
            ]
        out.tables.append(table(header, errors))
        return out


def _worst_steps(found: Sequence[Result]) -> str:
    """What the window's mixture did at its worst step, in words; medians over the seeds."""

    def median(name: str, step: int, kind: int | None = None) -> str:
        values = [one[name][step] for one in found]
        return f"{np.median([one if kind is None else one[kind] for one in values]):.2g}"

    def kinds(name: str, step: int) -> str:
        return ", ".join(f"{median(name, step, k)} ({kind})" for k, kind in enumerate(KINDS))

    steps = [one["step"] for one in found]
    usual = max(set(steps), key=steps.count)
    mean = np.median([np.mean(one["agents"][1]) for one in found])
    return " ".join(
        f"""The formula of the series has a kink there. The window's mixture errs most at step
        {usual} (with {steps.count(usual)} of {len(steps)} seeds). At the step before, all agents
        miss the kink: the mean errors by kind are {kinds("agents", 0)}. That step is so much larger
        than the others of the window that the weights are fitted to it: their sums by kind go from
        {kinds("weights", 0)} to {kinds("weights", 1)}. Then the kinds err in different ways,
        {kinds("agents", 1)}, and the mixture's error is {median("error", 1)}, while the mean of all
        agents has {mean:.2g}.""".split()
    )


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
