"""The command line ``memoa``: options in; a table, three files and one-line errors out.

Needs the extra ``memoa[cli]``. pandas and matplotlib are imported where they are used: they take a
second, which ``memoa --version`` should not.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from memoa import build_info
from memoa.cli.compare import compare_command
from memoa.cli.experiments import experiments_command
from memoa.cli.panel import panel_command
from memoa.cli.series import Data, File, Lags, Start, Target, load_series
from memoa.cli.verify import verify_command
from memoa.forecasters.two_policies import (
    COLUMNS,
    Encoder,
    Policy,
    ProgressCallback,
    run_and_compare,
    write_files,
)

QUICK_SECONDS = 0.5


class OneLineErrors(TyperGroup):
    """Commands whose errors are one line on stderr and exit code 2; Ctrl-C is 130."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command line and end the process with its exit code."""
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except (ValueError, TypeError, OSError, MemoryError, ImportError) as error:
            _fail(_describe(error), 2)
        except Exception as error:
            # A usage error. Typer does not export its class, and has moved it between versions.
            if not hasattr(error, "format_message"):
                raise
            _fail(error.format_message(), 2)
        if code == 130:
            _fail("interrupted", code)
        sys.exit(code)


app = typer.Typer(
    cls=OneLineErrors,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"memoa {build_info()['version']}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def _memoa(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Online forecasting by many small agents that agree with each other."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("run")
def run_command(
    data: Data,
    target: Target = None,
    file: File = None,
    start: Start = None,
    lags: Lags = None,
    agents: Annotated[int, typer.Option(min=1, help="Number of agents.")] = 64,
    features: Annotated[int, typer.Option(min=1, help="Features per agent.")] = 12,
    encoder: Annotated[Encoder, typer.Option(help="What makes the features.")] = "relu",
    policy: Annotated[
        Policy, typer.Option(help="Whose forecasts are written and drawn; both are run.")
    ] = "memoa",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the encoders.")] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads.", show_default="all that may be used")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where files go.", show_default="memoa-out/NAME"),
    ] = None,
) -> None:
    """Forecast a series online, and compare with greedy agents and with repeating the last value.

    Writes predictions.csv, plot.png and settings.json.
    """
    series, source = load_series(data, target=target, file=file, start=start, lags=lags)
    folder = out if out is not None else Path("memoa-out", series.name)
    folder.mkdir(parents=True, exist_ok=True)
    n_steps, n_inputs = series.X.shape
    typer.echo(
        f"{series.name}: {_count(n_steps, 'step')}, {_count(n_inputs, 'input')}, "
        f"{_count(series.Y.shape[1], 'output')}, {_count(agents, 'agent')}"
    )
    with _progress_bar() as progress:
        comparison = run_and_compare(
            series, agents=agents, features=features, encoder=encoder, policy=policy,
            seed=seed, threads=threads, progress=progress,
        )  # fmt: skip
    write_files(folder, series, comparison, source)
    # Wide enough for the table wherever the output goes; a narrower terminal breaks lines itself.
    console = Console(highlight=False)
    console.width = max(console.width, 80)
    console.print(_rmse_table(comparison.rmse))
    typer.echo(_verdict(comparison.rmse))
    typer.echo(f"predictions.csv, plot.png and settings.json are in {folder}")


@app.command("info")
def info_command() -> None:
    """Print the version, how it was built and the threads in use."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in build_info().items():
        table.add_row(key, value)
    Console(highlight=False, soft_wrap=True).print(table)


app.command("verify")(verify_command)
app.command("compare")(compare_command)
app.command("experiments")(experiments_command)
app.command("panel")(panel_command)


def _rmse_table(rmse: Mapping[str, Mapping[str, float]]) -> Table:
    """The RMSEs with four digits of the smallest, the best of each column in bold green."""
    smallest = min((v for row in rmse.values() for v in row.values() if v > 0.0), default=1.0)
    digits = min(max(3 - math.floor(math.log10(smallest)), 0), 9)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("RMSE", no_wrap=True)
    for name in COLUMNS.values():
        table.add_column(name, justify="right", no_wrap=True)
    best = {key: min(row[key] for row in rmse.values()) for key in COLUMNS}
    for name, row in rmse.items():
        cells = (f"{row[key]:.{digits}f}" for key in COLUMNS)
        styles = ("bold green" if row[key] == best[key] else "" for key in COLUMNS)
        table.add_row(name, *(Text(c, style=s) for c, s in zip(cells, styles, strict=True)))
    return table


def _verdict(rmse: Mapping[str, Mapping[str, float]]) -> str:
    """What the colours of the table say, for those who do not see them."""
    best = {key: min(rmse, key=lambda name: rmse[name][key]) for key in COLUMNS}
    text = "lowest: " + ", ".join(f"{COLUMNS[key]} {name}" for key, name in best.items())
    ours, greedy = rmse["memoa"], rmse["greedy"]
    if ours["server"] > greedy["server"] and ours["worst_agent"] < greedy["worst_agent"]:
        text += " (the policy is for the weak agents, the mixture for the mean)"
    return text


@contextmanager
def _progress_bar() -> Iterator[ProgressCallback]:
    """A bar on stderr that appears once the work has taken half a second, and goes at the end."""
    console = Console(stderr=True)
    columns = (TextColumn("forecasting"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
    bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
    task, began = bar.add_task(""), time.monotonic()

    def progress(done: int, total: int) -> None:
        quick = time.monotonic() - began < QUICK_SECONDS
        if console.is_terminal and not quick and not bar.live.is_started:
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield progress
    finally:
        if bar.live.is_started:
            bar.stop()


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def _describe(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory for this many agents, features and steps"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(f"memoa: {' '.join(message.split())}", err=True)
    sys.exit(code)
