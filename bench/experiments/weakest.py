"""What serves the weakest agent: the rules of `experiments.weakest_rules`, compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from experiments import study
from experiments.benchmarks import PUBLISHED, load
from experiments.pieces import Method, Piece, Result
from experiments.section import Context, Experiment, Section, table, write_csv
from experiments.weakest_rules import CHOICE, DEFAULT, ENCODERS, MEAN, RULES, SHOWN, judge


def of_study(series: str, population: str, seed: int) -> Result:
    """On a series of the defaults' study."""
    return judge(study.SERIES[series](seed), population, seed)


def of_report(series: str, population: str, seed: int, data: Path | None = None) -> Result:
    """On one of the eight series of the forecasting table, those of `SHOWN`."""
    return judge(load(series, data), population, seed, SHOWN)


STUDY = Method("weakest.study", 2, of_study)
REPORT = Method("weakest.report", 2, of_report)

INTRODUCTION = """\
The server mixes local forecasts, so the policy is free to serve the weak agents: no rule here
changes the server's error. By (6.16) and (3.9) of [the theory](theory.md), an agent's error is at
most h times its own local one plus 1 - h times that of the mean field, h = 1/(1 + l). So other mean
fields were tried, and a consensus that is learnt."""
LIST = """\
- *mean*: the trimmed mean of the agents.
- *weighted*: their average by the exponential weights that the server has, (6.14) with forgetting
  0.99.
- *server*: the server's forecast, which is a weighted mean too.
- *best of the three*: the average of these three by exponential weights with forgetting 0.998.
- *l by type* (by agent): l is chosen online, as a panel's clients choose theirs, (8.3): the
  regression of the errors on the distance to the mean field, over the agents of a type, from l = 10
  as if it had been seen for twenty steps. Types are agents with the same settings."""

REASONS = """\
A consensus that is learnt changes little beside that, and is worse on some series. So agents follow
the server by default, (6.17), with the l of all agents."""
FINAL = (
    "The server's forecast as the mean field, chosen on the study, was then looked at once on the "
    "eight series. It is worse on drift-1d, where the server is worse than the mean of the agents "
    "in the steps after the concept changes. Errors over those with the plain mean, the default's "
    "population, geometric means over the seeds:"
)


@dataclass(frozen=True)
class Weakest(Experiment):
    """One piece per series of the study, population and seed; then the eight series.

    Attributes
    ----------
    series : tuple of str
        Of the study.
    report : tuple of str
        Of the eight.
    most_seeds : int
    """

    name: ClassVar[str] = "weakest"
    series: tuple[str, ...] = tuple(study.SERIES)
    report: tuple[str, ...] = tuple(PUBLISHED)
    most_seeds: int = 3

    def pieces(self, context: Context) -> list[Piece]:
        """The study first."""
        return self._study(context) + [
            context.piece(REPORT, series, population=DEFAULT, seed=seed)
            for series in context.series(self.report)
            for seed in context.seeds[: self.most_seeds]
        ]

    def _study(self, context: Context) -> list[Piece]:
        return [
            Piece(STUDY, {"series": series, "population": population, "seed": seed})
            for series in self.series
            for population in ENCODERS
            for seed in context.seeds[: self.most_seeds]
        ]

    def section(self, context: Context, results: Sequence[Result]) -> Section:
        """What each rule does to the mean and the worst agent, on the study and on the eight."""
        pieces = self.pieces(context)
        lines = [
            {**piece.settings, "rule": rule.name, **result[rule.name], "server": result["server"]}
            for piece, result in zip(pieces, results, strict=True)
            for rule in RULES
            if rule.name in result
        ]
        write_csv(context.folder / "weakest.csv", lines)
        first = len(self._study(context)) * len(RULES)
        of_study, of_report = lines[:first], lines[first:]  # names of series differ
        seeds = len(context.seeds[: self.most_seeds])
        out = Section(
            self.name,
            "What serves the weakest agent",
            left_out=context.absent(self.report),
            settings={"seeds used": seeds, "study": list(self.series)},
        )
        out.blocks += [
            " ".join(INTRODUCTION.split()),
            LIST,
            f"On the {len(self.series)} series of [the study](#one-default-for-all), {seeds} "
            "seeds: errors over those with the plain mean and l = 10, geometric means over series "
            "and seeds; the largest of these ratios over the series; and on how many series the "
            "worst agent is better. *Mix* is the mix of encoders [above](#a-mix-of-encoders).",
            _summary(of_study, self.series),
            _conclusion(of_study, self.series),
        ]
        names = context.series(self.report)
        if names:
            out.blocks += [FINAL, _by_series(of_report, names)]
        return out


Lines = Sequence[Mapping[str, Any]]


def _ratios(lines: Lines, population: str, rule: str, measure: str) -> dict[str, float]:
    """By series, the geometric mean over the seeds of errors over those with the plain mean."""
    logs: dict[str, list[float]] = {}
    for line in lines:
        if line["population"] != population or line["rule"] not in (rule, MEAN):
            continue
        sign = (line["rule"] == rule) - (line["rule"] == MEAN)
        logs.setdefault(line["series"], []).append(sign * np.log(line[measure]))
    return {name: float(np.exp(2.0 * np.mean(found))) for name, found in logs.items()}


def _summary(lines: Lines, series: Sequence[str]) -> str:
    header = ["mean field and consensus"]
    for population in ENCODERS:
        header += [
            f"{population}: mean agent",
            "worst agent",
            "worst agent, its worst series",
            "series with a better worst agent",
        ]
    rows = []
    for rule in RULES:
        cells = [rule.name]
        for population in ENCODERS:
            mean, worst = (
                np.array(list(_ratios(lines, population, rule.name, measure).values()))
                for measure in ("mean", "worst")
            )
            better = int((worst < 1.0 - 1e-9).sum())
            cells += [f"{np.exp(np.log(v).mean()):.3f}" for v in (mean, worst)]
            cells += [f"{worst.max():.3f}", f"{better} of {len(series)}"]
        rows.append(cells)
    return table(header, rows)


def _conclusion(lines: Lines, series: Sequence[str]) -> str:
    """What the choice does, in words."""
    parts = []
    for population in ENCODERS:
        worst = np.array(list(_ratios(lines, population, CHOICE, "worst").values()))
        better = int((worst < 1.0 - 1e-9).sum())
        gain = 1.0 - np.exp(np.log(worst).mean())
        parts.append(
            f"with the {population} population it is better on {better} of {len(series)} series, "
            f"by {100 * gain:.0f} % in the geometric mean"
        )
    return (
        "The server's forecast is the mean field that serves the weakest agent best: with l = 10, "
        f"{', and '.join(parts)}. {' '.join(REASONS.split())}"
    )


def _by_series(lines: Lines, series: Sequence[str]) -> str:
    rows = []
    for measure in ("mean", "worst"):
        found = _ratios(lines, DEFAULT, CHOICE, measure)
        rows.append([f"{measure} agent", *(f"{found[name]:.3f}" for name in series)])
    return table((f"{CHOICE}, over the plain mean", *series), rows)
