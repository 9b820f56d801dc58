"""The command ``memoa compare``: the forecasting table for any series."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from memoa import build_info
from memoa._files import prepare, write_text
from memoa.cli.reading import READING, takes
from memoa.cli.series import (
    Data,
    Delay,
    File,
    Force,
    Lags,
    Start,
    Target,
    Warmup,
    load_series,
    tell,
)
from memoa.cli.terminal import lowest_in_bold, progress_bar, wide_console
from memoa.forecasters.comparison import Comparison, compare
from memoa.forecasters.protocol import Factory, load_factory
from memoa.forecasters.standard import standard_forecasters

FILES = ("comparison.csv", "comparison.png", "settings.json")
MOST_SEEDS = 10_000
COLUMNS = {
    "server_rmse": "server",
    "mean_agent_rmse": "mean agent",
    "worst_agent_rmse": "worst agent",
    "regret": "regret",
    "server_mae": "MAE",
    "server_mase": "MASE",
    "seconds": "seconds",
}


@takes(READING)
def compare_command(
    data: Data,
    target: Target = None,
    file: File = None,
    start: Start = None,
    lags: Lags = None,
    reading: Any = None,
    forecaster: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE:FACTORY",
            help="One more row: FACTORY() or FACTORY(seed=...) returns an object with "
            "predict_one(x) and learn_one(x, y). May be repeated.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=MOST_SEEDS, help="Seeds 0, 1, 2, ...")] = 3,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder for the files.", show_default="memoa-out/NAME-compare"
        ),
    ] = None,
    delay: Delay = 0,
    warmup: Warmup = 0,
    force: Force = False,
) -> None:
    """Compare memoa with greedy agents, other aggregations and baselines on a series.

    Writes comparison.csv, comparison.png and settings.json.
    """
    series, source = load_series(
        data, target=target, file=file, start=start, lags=lags, reading=reading
    )
    forecasters = rows(forecaster or [])
    shown = out if out is not None else Path("memoa-out", f"{series.name}-compare")
    folder = shown.absolute()  # a forecaster may change the folder
    prepare(shown, FILES, force=force)
    typer.echo(f"{series!r}; medians over {seeds} seed{'s' * (seeds != 1)}")
    tell(series, source)
    with progress_bar("comparing") as progress:
        found = compare(
            series,
            forecasters,
            seeds=range(seeds),
            progress=progress,
            keep_going=True,
            warmup=warmup,
            delay=delay,
        )
    settings = {"series": source, "seeds": seeds, "forecasters": forecaster or [], "warmup": warmup}
    settings |= {"delay": delay} if delay else {}
    write_files(folder, found, settings)
    print_table(found)
    typer.echo(f"comparison.csv, comparison.png and settings.json are in {shown}")
    for why in found.failed.values():
        typer.echo(f"memoa: {why}", err=True)
    if found.failed:
        raise typer.Exit(2)


def rows(forecasters: list[str]) -> dict[str, Factory]:
    """Return the standard forecasters and the user's, also found in the current folder."""
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
    report = {
        "memoa": build_info()["version"],
        **settings,
        "left out": dict(found.skipped),
        "failed": dict(found.failed),
    }
    text = json.dumps(report, indent=2, default=str, ensure_ascii=False)
    write_text(folder / "settings.json", text + "\n")


def print_table(found: Comparison) -> None:
    """Print medians over the seeds, the best of each column in bold green, and what is missing."""
    medians = {
        name: [found.quantile(name, measure) for measure in COLUMNS] for name in found.scores
    }
    console = wide_console(120)
    console.print(lowest_in_bold("RMSE", list(COLUMNS.values()), medians, _text))
    targets = found.series.targets
    if len(targets) > 1:
        rows = {name: found.per_target(name).tolist() for name in found.scores}
        console.print(lowest_in_bold("server RMSE of", targets, rows, _text))
    lowest = min(medians, key=lambda name: medians[name][0])
    console.print(f"lowest server error: {lowest}", highlight=False)
    for name, why in found.skipped.items():
        console.print(f"{name}: left out, {why}", markup=False)
    for name in found.failed:
        console.print(f"{name}: failed", markup=False)


def _text(value: float) -> str:
    return f"{value:#.4g}"
