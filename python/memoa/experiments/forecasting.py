"""Table 1: memoa, its rivals and the baselines that hurt, on eight series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from memoa.experiments.benchmarks import PUBLISHED, load
from memoa.experiments.pieces import Piece, Result
from memoa.experiments.section import (
    Context,
    Section,
    Verdict,
    image,
    number,
    quartiles,
    spread,
    table,
    write_csv,
)
from memoa.forecasters.comparison import MEASURES, evaluate
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

NAME = "forecasting"
# river's forest takes seconds a run: fewer seeds, and the table says how many.
FEW_SEEDS = {"river: adaptive random forest": 5}
MEASURE_NAMES = ("server", "mean agent", "worst agent", "under-performer regret", "seconds")

ROWS = """What the rows are:

- *greedy*: the same population and server without the game. *Equal weights*: the plain mean of
  memoa's agents. *One-step weights*: greedy agents under the predecessor's rule
  (arXiv:2505.00216), one step of history and an absolute ridge of 1.
- *EWA*: the exponentially weighted average of the greedy agents, its rate the one of a grid that
  would have done best so far. *BOA*: Bernstein online aggregation of them (Wintenberger 2017),
  second-order, with a rate for each agent. *And the last value*: repeating it is one more expert.
- *Seasonal repetition*: the value of one period ago, the period being the lag from 1 to 60 whose
  repetitions had the smallest discounted error so far.
- *Online ridge*: a ridge regression on the very inputs with forgetting 0.99. *river*: its streaming
  regressors as they come, on the same inputs. All of these learn the change from the last value,
  as the agents do.

Seconds are those of all steps of a run on one thread, while other runs may have kept the other
processors busy."""

Scores = Mapping[tuple[str, str], Mapping[str, Sequence[float]]]


def pieces(context: Context) -> list[Piece]:
    """One per series, forecaster and seed."""
    return [
        context.piece("forecasting:score", series, forecaster=name, seed=seed, **versions)
        for series in context.series(PUBLISHED)
        for name, seeds, versions in _rows(context)
        for seed in seeds
    ]


def score(
    series: str, forecaster: str, seed: int, data: Path | None = None, **identity: Any
) -> Result:
    """Scores of one forecaster on one series."""
    factory = standard_forecasters(n_threads=1)[forecaster]
    found, _ = evaluate(forecaster, make(forecaster, factory, seed), load(series, data))
    return asdict(found)


def section(context: Context, results: Sequence[Result]) -> Section:
    """The tables, their verdicts and the picture."""
    from memoa.experiments.figures import plot_forecasting

    scores: dict[tuple[str, str], dict[str, list[float]]] = {}
    for piece, result in zip(pieces(context), results, strict=True):
        cell = (str(piece.settings["series"]), str(piece.settings["forecaster"]))
        for measure in MEASURES:
            scores.setdefault(cell, {}).setdefault(measure, []).append(result[measure])
    names, rows = context.series(PUBLISHED), [name for name, _, _ in _rows(context)]
    write_csv(context.folder / "forecasting.csv", _lines(scores))
    plot_forecasting(scores, names, rows, path=context.folder / "forecasting.png")
    out = Section(
        NAME,
        "Forecasting: eight series, one default",
        verdicts=verdicts(scores),
        left_out=context.absent(PUBLISHED) + _missing_rows(),
        settings={"published": PUBLISHED, "river": _river_version()},
    )
    out.blocks += [
        "Root-mean-square errors of the server over all steps and outputs, medians over the "
        f"{len(context.seeds)} seeds, lowest in bold; every forecaster as it is constructed by "
        "default, for all series. *Published* are the figures listed for arXiv:2605.05492. river "
        f"is version {_river_version() or '(not installed)'}.",
        summary_table(scores, names, rows),
        ROWS,
        image(context, "forecasting.png", "Errors relative to repeating the last value"),
        "What the game changes. Here *worst* is the under-performer, the agent with the largest "
        "error; the policy is for the weak agents, the mixture for the mean:",
        policy_table(scores, names),
    ]
    for name in names:
        out.blocks += [f"### {name}", f"Published: {PUBLISHED[name]}.", _detail(scores, name, rows)]
    return out


def verdicts(scores: Scores) -> list[Verdict]:
    """The targets of the forecasting table, from its medians."""
    names = [name for name in PUBLISHED if (name, MEMOA) in scores]
    all_there = len(names) == len(PUBLISHED)

    def median(name: str, row: str, measure: str = "server_rmse") -> float:
        return quartiles(scores[name, row][measure])[0]

    def count(target: str, ratios: Mapping[str, float], bound: float, needed: int) -> Verdict:
        missed = {k: v for k, v in ratios.items() if not v <= bound}
        met = len(ratios) - len(missed)
        found = f"{met} of {len(ratios)}"
        if missed:
            found += "; not " + ", ".join(f"{k} ({v:.5g} times)" for k, v in missed.items())
        # What is absent may tip the scales either way, unless it cannot any more.
        certain = all_there or met >= needed or met + len(PUBLISHED) - len(ratios) < needed
        return Verdict(target, found, met >= needed if certain else None)

    everything = len(PUBLISHED)
    below = {
        # To as many digits as the figure is published with.
        k: round(median(k, MEMOA), len(PUBLISHED[k].split(".")[1])) / float(PUBLISHED[k])
        for k in names
    }
    repeat = {k: median(k, MEMOA) / median(k, REPEAT) for k in names}
    rivals = {
        k: median(k, MEMOA) / min(median(k, EWA), median(k, BOA)) for k in names
    }  # fmt: skip
    out = [
        count("server at or below the published figure (to its digits) in all eight",
              below, 1.0, everything),
        count("server at most 1.01 times repeat-the-last-value in all eight",
              repeat, 1.01, everything),
    ]  # fmt: skip
    for agent in ("mean", "worst"):
        measure = f"{agent}_agent_rmse"
        ratios = {k: median(k, MEMOA, measure) / median(k, GREEDY, measure) for k in names}
        # Strictly below: a ratio of 1 does not do.
        out.append(
            count(f"{agent} agent below greedy's in all eight", ratios, 1.0 - 1e-12, everything)
        )
    out.append(count("server at or below the best of EWA and BOA in at least six", rivals, 1.0, 6))
    return out


def summary_table(scores: Scores, names: Sequence[str], rows: Sequence[str]) -> str:
    """Server RMSE of every forecaster on every series."""
    medians = {(n, r): quartiles(scores[n, r]["server_rmse"])[0] for n in names for r in rows}
    best = {name: min(medians[name, row] for row in rows) for name in names}
    lines = [["*published*", *(PUBLISHED[name] for name in names)]]
    for row in rows:
        cells = [number(medians[name, row]) for name in names]
        wins = [medians[name, row] == best[name] for name in names]
        lines.append([row, *(f"**{x}**" if win else x for x, win in zip(cells, wins))])
    return table(("server RMSE", *names), lines)


def policy_table(scores: Scores, names: Sequence[str]) -> str:
    """Server, mean and worst agent of memoa and of greedy: the README's table."""
    header = ["series", "published", "repeat", "server", "mean agent", "worst agent",
              "greedy server", "greedy mean", "greedy worst"]  # fmt: skip
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
        runs = len(cells["server_rmse"])
        lines.append([row, str(runs), *(spread(cells[measure]) for measure in MEASURES)])
    return table(("forecaster", "runs", *MEASURE_NAMES), lines)


def _rows(context: Context) -> list[tuple[str, tuple[int, ...], dict[str, str]]]:
    """Forecasters that can be made, their seeds, and what else their results depend on."""
    out = []
    for name, factory in standard_forecasters().items():
        if name in RIVER and _river_version() is None:
            continue
        seeds = context.seeds if takes_seed(factory) else context.seeds[:1]
        seeds = seeds[: FEW_SEEDS.get(name, len(seeds))]
        versions = {"river": str(_river_version())} if name in RIVER else {}
        out.append((name, seeds, versions))
    return out


def _missing_rows() -> list[str]:
    if _river_version() is not None:
        return []
    return [
        f'{name}: left out, river is not installed (pip install "memoa[experiments]")'
        for name in RIVER
    ]


def _river_version() -> str | None:
    if find_spec("river") is None:
        return None
    from memoa.forecasters.river import VERSION

    return VERSION


def _lines(scores: Scores) -> list[dict[str, Any]]:
    """One line per series, forecaster and run."""
    return [
        {"series": series, "published": PUBLISHED[series], "forecaster": row, "run": run,
         **{measure: cells[measure][run] for measure in MEASURES}}
        for (series, row), cells in scores.items()
        for run in range(len(cells["seconds"]))
    ]  # fmt: skip
