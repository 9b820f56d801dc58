"""The command ``memoa panel``: forecasts many clients, each with its own series."""

from __future__ import annotations

import json
import math
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich import box
from rich.table import Table

from memoa import build_info
from memoa._files import prepare, whole, write_text
from memoa.cli.reading import WRITING, takes
from memoa.cli.series import Delay, Force, sign_of
from memoa.cli.terminal import progress_bar, wide_console
from memoa.datasets import PANELS, PanelSeries, load_long
from memoa.forecasters.panel_comparison import LEVELS, PANEL, PanelComparison, compare_panel

FILES = ("clients.csv", "panel.png", "settings.json")


class Format(str, Enum):
    csv = "csv"
    parquet = "parquet"


class Aggregate(str, Enum):
    trimmed = "trimmed"
    mean = "mean"
    clip = "clip"


@takes(WRITING)
def panel_command(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help=f"{', '.join(PANELS)}; or a CSV or Parquet file, one row per client and time.",
        ),
    ],
    id: Annotated[
        str | None,
        typer.Option("--id", metavar="COL", help="Column of the client.", show_default="unique_id"),
    ] = None,
    time: Annotated[
        str | None, typer.Option(metavar="COL", help="Column of the time.", show_default="ds")
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="COL", help="Column to forecast.", show_default="y")
    ] = None,
    reading: Any = None,
    season: Annotated[
        int | None, typer.Option(min=2, help="Steps in a season.", show_default="none")
    ] = None,
    lags: Annotated[
        int | None,
        typer.Option(min=1, help="Number of past increments as inputs.", show_default="4"),
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Forecast the logarithm.")] = False,
    pooling: Annotated[
        float, typer.Option(min=0, help="Price of a readout's distance from the crowd's.")
    ] = 10.0,
    ridge: Annotated[float, typer.Option(help="Penalty on the size of a readout, above 0.")] = 1.0,
    aggregate: Annotated[
        Aggregate, typer.Option(help="How to average the clients' readouts.")
    ] = Aggregate.trimmed,
    delay: Delay = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of threads.", show_default="all available")
    ] = None,
    format: Annotated[
        Format, typer.Option("--format", help="Format of the forecasts' file.")
    ] = Format.csv,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder for the files.", show_default="memoa-out/NAME-panel"
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Forecast every client's next value, and compare with clients on their own.

    Writes forecasts.csv (or .parquet) in long form, clients.csv, panel.png and settings.json.
    """
    options = {
        "--id": id,
        "--time": time,
        "--target": target,
        "--season": season,
        "--lags": lags,
        "--log": log or None,
        **{f"--{name}": value for name, value in reading.items()},
    }
    series, source = load_panel(data, options)
    folder = out if out is not None else Path("memoa-out", f"{series.name}-panel")
    prepare(folder, [f"forecasts.{format.value}", *FILES], force=force)
    settings = {"pooling": pooling, "ridge": ridge, "aggregate": aggregate.value}
    typer.echo(repr(series))
    series = series.late(delay)
    report = source | settings | ({"delay": delay} if delay else {})
    with progress_bar("comparing") as progress:
        found = compare_panel(series, n_threads=threads, progress=progress, **settings)  # type: ignore[arg-type]
    file = write_files(folder, found, report, format)
    print_table(found)
    typer.echo(f"{file}, clients.csv, panel.png and settings.json are in {folder}")


def load_panel(data: str, options: dict[str, Any]) -> tuple[PanelSeries, dict[str, Any]]:
    """Return the panel that `data` names, and its source; refuse options without effect."""
    given = {name: value for name, value in options.items() if value is not None}
    if data in PANELS:
        for name in given:
            raise ValueError(f"{name} has no meaning for {data}")
        return PANELS[data](), {"data": data}
    path = Path(data)
    if not path.exists():
        known = ", ".join(PANELS)
        what = "there is no such file" if path.suffix else f"expected a file, or one of {known}"
        raise ValueError(f"{data}: {what}")
    words = {name[2:]: value for name, value in given.items()}
    words |= sign_of(words)
    return load_long(path, **words), {"data": path, **words}


def write_files(
    folder: Path, found: PanelComparison, settings: dict[str, Any], format: Format
) -> str:
    """Write the four files into an existing folder; return the name of the forecasts' file."""
    import pandas as pd

    from memoa.plots.panel import plot_panel

    frame = found.to_frame()
    file = f"forecasts.{format.value}"
    with whole(folder / file) as temporary:
        if format is Format.parquet:
            frame.to_parquet(temporary, index=False)
        else:
            frame.to_csv(temporary, index=False)
    clients = {found.series.names[0]: found.series.ids} | dict(found.errors)
    with whole(folder / "clients.csv") as temporary:
        pd.DataFrame(clients).to_csv(temporary, index=False)
    plot_panel(found, path=folder / "panel.png")
    report = {"memoa": build_info()["version"], **settings}
    text = json.dumps(report, indent=2, default=str, ensure_ascii=False)
    write_text(folder / "settings.json", text + "\n")
    return file


def print_table(found: PanelComparison) -> None:
    """Print one row per forecaster: mean client, worst client, and how many gain."""
    console = wide_console(80)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("error / repeat last", no_wrap=True)
    for title in ("mean client", "worst client", "better than alone"):
        table.add_column(title, justify="right", no_wrap=True)
    for name in found.runs:
        share = found.better_than_alone(name)
        table.add_row(
            name,
            _number(found.mean(name)),
            _number(found.worst(name)),
            "-" if math.isnan(share) else f"{share:.0%}",
            style="bold" if name == PANEL else "",
        )
    console.print(table)
    shares = found.runs[PANEL].coverage(LEVELS)
    for level, share in zip(LEVELS, shares):
        if not np.isnan(share).all():
            console.print(
                f"the interval of {level:.0%} holds {np.nanmean(share):.1%} of the outcomes, "
                f"for the worst client {np.nanmin(share):.1%}"
            )


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"
