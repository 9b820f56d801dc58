"""The command ``memoa compare``: the forecasting table for a series of one's own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from memoa import build_info
from memoa.cli.series import Data, File, Lags, Start, Target, load_series
from memoa.cli.terminal import lowest_in_bold, progress_bar, wide_console
from memoa.forecasters.comparison import MEASURES, Comparison, compare
from memoa.forecasters.protocol import Factory, load_factory
from memoa.forecasters.standard import standard_forecasters

COLUMNS = ("server", "mean agent", "worst agent", "regret", "seconds")


def compare_command(
    data: Data,
    target: Target = None,
    file: File = None,
    start: Start = None,
    lags: Lags = None,
    forecaster: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE:FACTORY",
            help="One more row: what FACTORY() or FACTORY(seed=...) returns has predict_one(x) "
            "and learn_one(x, y). May be repeated.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, 2, ...")] = 3,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where files go.", show_default="memoa-out/NAME-compare"),
    ] = None,
) -> None:
    """Compare memoa with greedy agents, other aggregations and baselines on a series.

    Writes comparison.csv, comparison.png and settings.json.
    """
    series, source = load_series(data, target=target, file=file, start=start, lags=lags)
    forecasters = rows(forecaster or [])
    folder = out if out is not None else Path("memoa-out", f"{series.name}-compare")
    folder.mkdir(parents=True, exist_ok=True)
    typer.echo(f"{series!r}; medians over {seeds} seed{'s' * (seeds != 1)}")
    with progress_bar("comparing") as progress:
        found = compare(series, forecasters, seeds=range(seeds), progress=progress)
    write_files(folder, found, {"series": source, "seeds": seeds, "forecasters": forecaster or []})
    print_table(found)
    typer.echo(f"comparison.csv, comparison.png and settings.json are in {folder}")


def rows(forecasters: list[str]) -> dict[str, Factory]:
    """The standard forecasters, and those the user names, found from the present folder too."""
    out = standard_forecasters()
    if "" not in sys.path:
        sys.path.insert(0, "")
    for name in forecasters:
        label, factory = load_factory(name)
        if label in out:
            raise ValueError(f"--forecaster {name}: there is a row {label!r} already")
        out[label] = factory
    return out


def write_files(folder: Path, found: Comparison, settings: Mapping[str, Any]) -> None:
    """Write comparison.csv, comparison.png and settings.json into an existing folder."""
    from memoa.plots.comparison import plot_comparison

    found.to_csv(folder / "comparison.csv")
    plot_comparison(found, path=folder / "comparison.png")
    report = {"memoa": build_info()["version"], **settings, "left out": dict(found.skipped)}
    text = json.dumps(report, indent=2, default=str, ensure_ascii=False)
    (folder / "settings.json").write_text(text + "\n", encoding="utf-8")


def print_table(found: Comparison) -> None:
    """Medians over the seeds, the best of each column in bold green; what was left out and why."""
    medians = {
        name: [found.quantile(name, measure) for measure in MEASURES] for name in found.scores
    }
    console = wide_console(100)
    console.print(lowest_in_bold("RMSE", COLUMNS, medians, lambda x: f"{x:#.4g}"))
    lowest = min(medians, key=lambda name: medians[name][0])
    console.print(f"lowest server error: {lowest}", highlight=False)
    for name, why in found.skipped.items():
        console.print(f"{name}: left out, {why}", markup=False)
