"""Table 1: memoa, its rivals and strong baselines, on eight series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from experiments import refitted
from experiments.benchmarks import PUBLISHED, load
from experiments.figures import plot_forecasting
from experiments.forecasting_text import OTHERS, ROWS
from experiments.pieces import Method, Piece, Result, Store
from experiments.refitted import REFITTED
from experiments.section import (
    Context,
    Experiment,
    Section,
    Verdict,
    image,
    number,
    quartiles,
    spread,
    table,
    write_csv,
)
from memoa.forecasters.comparison import evaluate
from memoa.forecasters.protocol import make, takes_seed
from memoa.forecasters.standard import (
    BOA,
    EWA,
    GREEDY,
    MEMOA,
    REPEAT,
    RIVER,
    standard_forecasters,
)

MEASURES = ("server_rmse", "mean_agent_rmse", "worst_agent_rmse", "regret", "seconds")
MEASURE_NAMES = ("server", "mean agent", "worst agent", "under-performer regret", "seconds")

Scores = Mapping[tuple[str, str], Mapping[str, Sequence[float]]]


def river_version() -> str | None:
    """The version of river that is installed, or None."""
    try:
        return version("river")
    except PackageNotFoundError:
        return None


def score(series: str, forecaster: str, seed: int, data: Path | None = None) -> Result:
    """Scores of one forecaster on one series."""
    factory = standard_forecasters(n_threads=1)[forecaster]
    found, _, _ = evaluate(forecaster, make(forecaster, factory, seed), load(series, data))
    return {measure: getattr(found, measure) for measure in MEASURES}


def score_refitted(series: str, forecaster: str, data: Path | None = None) -> Result:
    """The same of a model that is fitted anew at every step, and how often that failed."""
    made = REFITTED[forecaster]()
    found, _, _ = evaluate(forecaster, made, load(series, data))
    scores = {measure: getattr(found, measure) for measure in MEASURES}
    return {**scores, "failures": made.failures}


SCORE = Method("forecasting.score", 4, score)
REFIT = Method("forecasting.refitted", 1, score_refitted)


class Row(NamedTuple):
    """A forecaster of the table: its seeds, and what else its results depend on."""

    name: str
    seeds: tuple[int, ...]
    versions: dict[str, str]


@dataclass(frozen=True)
class Forecasting(Experiment):
    """One piece per series, forecaster and seed.

    Attributes
    ----------
    series : tuple of str
        Of the eight.
    few_seeds : dict of str to int
        Forecasters that run with the first seeds only: river's forest takes seconds a run. The
        table says how many.
    river, statsforecast : str or None
        Their versions; None leaves their rows out. Without statsforecast its stored results are
        shown, and a dash where there is none.
    """

    name: ClassVar[str] = "forecasting"
    series: tuple[str, ...] = tuple(PUBLISHED)
    few_seeds: Mapping[str, int] = field(
        default_factory=lambda: {"river: adaptive random forest": 5}
    )
    river: str | None = field(default_factory=river_version)
    statsforecast: str | None = field(
        default_factory=lambda: refitted.installed() or refitted.stored()
    )

    def pieces(self, context: Context) -> list[Piece]:
        """For the series and forecasters that are available."""
        return [
            piece
            for series in context.series(self.series)
            for row in self._rows(context)
            for piece in _pieces(context, series, row)
        ]

    def section(self, context: Context, results: Sequence[Result]) -> Section:
        """The tables, their verdicts and the picture."""
        scores: dict[tuple[str, str], dict[str, list[float]]] = {}
        for piece, result in zip(self.pieces(context), results, strict=True):
            cell = (str(piece.settings["series"]), str(piece.settings["forecaster"]))
            for measure in MEASURES:
                scores.setdefault(cell, {}).setdefault(measure, []).append(result[measure])
        names, rows = context.series(self.series), [row.name for row in self._rows(context)]
        write_csv(context.folder / "forecasting.csv", _lines(scores))
        met = verdicts(scores, self.series)
        for cell in ((name, row) for name in names for row in rows):
            scores.setdefault(cell, {measure: [np.nan] for measure in MEASURES})
        plot_forecasting(scores, names, rows, path=context.folder / "forecasting.png")
        out = Section(
            self.name,
            "Forecasting: eight series, one default",
            verdicts=met,
            left_out=context.absent(self.series) + self._missing_rows(rows),
            settings={
                "published": {name: PUBLISHED[name] for name in self.series},
                "river": self.river,
                "statsforecast": self.statsforecast,
            },
        )
        out.blocks += [
            "Root-mean-square errors of the server over all steps and outputs, medians over the "
            f"{len(context.seeds)} seeds, lowest in bold. Every forecaster has its default "
            "settings for all series. *Published* are the figures listed for arXiv:2605.05492. "
            f"river is version {self.river or '(not installed)'}, statsforecast version "
            f"{self.statsforecast or '(not installed)'}.",
            summary_table(scores, names, rows),
            ROWS,
            image(context, "forecasting.png", "Errors relative to repeating the last value"),
            "What the game changes. *Worst agent* is the under-performer, the agent with the "
            "largest error. The policy helps the weak agents, the mixture lowers the error of the "
            "server:",
            policy_table(scores, names),
            " ".join(OTHERS.split()),
            *_against_refits(scores, names, rows),
        ]
        for name in names:
            out.tables += [
                f"### {name}",
                f"Published: {PUBLISHED[name]}.",
                _detail(scores, name, rows),
            ]
        return out

    def _rows(self, context: Context) -> list[Row]:
        """Available forecasters."""
        out = []
        for name, factory in standard_forecasters().items():
            if name in RIVER and self.river is None:
                continue
            seeds = context.seeds if takes_seed(factory) else context.seeds[:1]
            seeds = seeds[: self.few_seeds.get(name, len(seeds))]
            versions = {"river": self.river} if name in RIVER and self.river else {}
            out.append(Row(name, seeds, versions))
        if self.statsforecast is None:
            return out
        versions = {"statsforecast": self.statsforecast}
        rows = [Row(name, context.seeds[:1], versions) for name in REFITTED]
        series = context.series(self.series)
        return out + [row for row in rows if any(_pieces(context, name, row) for name in series)]

    @staticmethod
    def _missing_rows(rows: Sequence[str]) -> list[str]:
        return [
            f'{name}: left out, {package} is not installed (pip install "memoa[{extra}]")'
            for names, package, extra in (
                (RIVER, "river", "experiments"),
                (REFITTED, "statsforecast", "statsforecast"),
            )
            for name in names
            if name not in rows
        ]


def _pieces(context: Context, series: str, row: Row) -> list[Piece]:
    """The work of one cell of the table; none where it can be neither done nor looked up."""
    if row.name in REFITTED:
        piece = context.piece(REFIT, series, row.versions, forecaster=row.name)
        known = refitted.installed() or Store(refitted.STORED).get(piece) is not None
        return [piece] if known else []
    return [
        context.piece(SCORE, series, row.versions, forecaster=row.name, seed=seed)
        for seed in row.seeds
    ]


def verdicts(scores: Scores, series: Sequence[str] = tuple(PUBLISHED)) -> list[Verdict]:
    """The targets of the forecasting table, from its medians; `series` are all there might be."""
    names = [name for name in series if (name, MEMOA) in scores]
    everything = len(series)
    all_there = len(names) == everything

    def median(name: str, row: str, measure: str = "server_rmse") -> float:
        return quartiles(scores[name, row][measure])[0]

    def count(target: str, ratios: Mapping[str, float], bound: float, needed: int) -> Verdict:
        missed = {k: v for k, v in ratios.items() if not v <= bound}
        met = len(ratios) - len(missed)
        found = f"{met} of {len(ratios)}"
        if missed:
            found += "; not " + ", ".join(f"{k} ({v:.5g} times)" for k, v in missed.items())
        # An absent series may change the verdict, unless the count is already decided.
        certain = all_there or met >= needed or met + everything - len(ratios) < needed
        return Verdict(target, found, met >= needed if certain else None)

    below = {
        # To as many digits as the figure is published with.
        k: round(median(k, MEMOA), len(PUBLISHED[k].split(".")[1])) / float(PUBLISHED[k])
        for k in names
    }
    repeat = {k: median(k, MEMOA) / median(k, REPEAT) for k in names}
    rivals = {k: median(k, MEMOA) / min(median(k, EWA), median(k, BOA)) for k in names}
    out = [
        count(
            "server at or below the published figure (to its digits) in all eight",
            below,
            1.0,
            everything,
        ),
        count(
            "server at most 1.01 times repeat-the-last-value in all eight", repeat, 1.01, everything
        ),
    ]
    of_greedy = {
        agent: {
            k: median(k, MEMOA, f"{agent}_agent_rmse") / median(k, GREEDY, f"{agent}_agent_rmse")
            for k in names
        }
        for agent in ("mean", "worst")
    }
    for agent, ratios in of_greedy.items():
        # Strictly below: a ratio of 1 does not do.
        out.append(
            count(f"{agent} agent below greedy's in all eight", ratios, 1.0 - 1e-12, everything)
        )
    out.append(count("server at or below the best of EWA and BOA in at least six", rivals, 1.0, 6))
    every = {
        k: median(k, MEMOA) / min(median(k, row) for name, row in scores if name == k)
        for k in names
    }
    out += [
        count("server at or below every row of the table in at least seven", every, 1.0, 7),
        count("server at most 1.001 times every row in all eight", every, 1.001, everything),
        count(
            "server at most 1.002 times repeat-the-last-value in all eight",
            repeat,
            1.002,
            everything,
        ),
    ]
    for agent, ratios in of_greedy.items():
        target = f"{agent} agent at least 5 % below greedy's in all eight"
        out.append(count(target, ratios, 0.95, everything))
    return out


def summary_table(scores: Scores, names: Sequence[str], rows: Sequence[str]) -> str:
    """Server RMSE of every forecaster on every series."""
    medians = {(n, r): quartiles(scores[n, r]["server_rmse"])[0] for n in names for r in rows}
    best = {name: np.nanmin([medians[name, row] for row in rows]) for name in names}
    lines = [["*published*", *(PUBLISHED[name] for name in names)]]
    for row in rows:
        cells = [number(medians[name, row]) for name in names]
        wins = [medians[name, row] == best[name] for name in names]
        lines.append([row, *(f"**{x}**" if win else x for x, win in zip(cells, wins))])
    return table(("server RMSE", *names), lines)


def _against_refits(scores: Scores, names: Sequence[str], rows: Sequence[str]) -> list[str]:
    """A line for each model that is fitted anew at every step: its error over the server's."""
    out = []
    for row in rows:
        if row not in REFITTED:
            continue
        ratios = {
            name: quartiles(scores[name, row]["server_rmse"])[0]
            / quartiles(scores[name, MEMOA]["server_rmse"])[0]
            for name in names
        }
        known = {name: ratio for name, ratio in ratios.items() if not np.isnan(ratio)}
        least, most = (pick(known, key=lambda name: known[name]) for pick in (min, max))
        wins = [name for name, ratio in known.items() if ratio < 1.0]
        out.append(
            f"*{row}*: its error is {known[least]:.4g} ({least}) to {known[most]:.4g} ({most}) "
            f"times the server's; it is better on {', '.join(wins) or 'none'} of "
            f"{len(known)} series."
        )
    if any(np.isnan(scores[name, row]["server_rmse"][0]) for name in names for row in rows):
        out.append("A dash: not computed, because such a row takes minutes a series.")
    return out


def policy_table(scores: Scores, names: Sequence[str]) -> str:
    """Server, mean and worst agent of memoa and of greedy: the table of docs/evidence.md."""
    header = [
        "series",
        "published",
        "repeat",
        "server",
        "mean agent",
        "worst agent",
        "greedy server",
        "greedy mean",
        "greedy worst",
    ]
    lines = []
    for name in names:
        cells = [quartiles(scores[name, REPEAT]["server_rmse"])[0]]
        for row in (MEMOA, GREEDY):
            cells += [quartiles(scores[name, row][measure])[0] for measure in MEASURES[:3]]
        lines.append([name, PUBLISHED[name], *map(number, cells)])
    return table(header, lines)


def _detail(scores: Scores, name: str, rows: Sequence[str]) -> str:
    """Every measure of one series: median and, where there are several runs, quartiles."""
    lines = []
    for row in rows:
        cells = scores[name, row]
        runs = np.count_nonzero(~np.isnan(cells["server_rmse"]))
        lines.append([row, str(runs), *(spread(cells[measure]) for measure in MEASURES)])
    return table(("forecaster", "runs", *MEASURE_NAMES), lines)


def _lines(scores: Scores) -> list[dict[str, Any]]:
    """One line per series, forecaster and run."""
    return [
        {
            "series": series,
            "published": PUBLISHED[series],
            "forecaster": row,
            "run": run,
            **{measure: cells[measure][run] for measure in MEASURES},
        }
        for (series, row), cells in scores.items()
        for run in range(len(cells["seconds"]))
    ]
