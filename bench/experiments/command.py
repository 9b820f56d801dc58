"""The command line: every table and figure, with progress, resumed if stopped."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from experiments.pieces import ProgressCallback
from experiments.report import EXPERIMENTS, run_experiments
from experiments.section import Experiment, Section
from memoa import build_info
from memoa.cli.terminal import APP, OneLineCommand, wide_console

STYLES = {True: "[green]met[/]", False: "[bold red]not met[/]", None: "[yellow]open[/]"}


def make_app(suite: Sequence[Experiment] = EXPERIMENTS) -> typer.Typer:
    """The program that makes these experiments."""
    app = typer.Typer(**APP)  # it evaluates annotations: as text they would not know `suite`

    @app.command(cls=OneLineCommand)
    def experiments(
        only: Annotated[
            list[str] | None,
            typer.Option(
                metavar="NAME",
                help=f"One of {', '.join(one.name for one in suite)}; may be repeated.",
            ),
        ] = None,
        seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, 2, ...")] = 20,
        data: Annotated[
            Path | None,
            typer.Option(
                metavar="DIR",
                envvar="MEMOA_DATA",
                help="Folder of the real series, ETTh1.csv and bank_of_canada_exchange_rates.csv.",
                show_default="they are left out",
            ),
        ] = None,
        jobs: Annotated[
            int | None, typer.Option(min=1, help="Processes.", show_default="one per processor")
        ] = None,
        out: Annotated[
            Path, typer.Option(metavar="DIR", help="Where experiments.md and its folder go.")
        ] = Path("memoa-out"),
    ) -> None:
        """Make every table and figure, and the report that shows them.

        What is computed is kept: after an interruption, or with more seeds, only the rest is.
        """
        with _progress_bars() as progress:
            sections = run_experiments(
                out,
                only=only or (),
                seeds=seeds,
                data=data,
                jobs=jobs or _processors(),
                progress=progress,
                experiments=suite,
            )
        _print_verdicts(sections)
        typer.echo(f"experiments.md and the folder experiments are in {out}")

    return app


def _print_verdicts(sections: Sequence[Section]) -> None:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for name in ("target", "found", ""):
        table.add_column(name)
    for section in sections:
        for verdict in section.verdicts:
            table.add_row(verdict.target, verdict.found, STYLES[verdict.met])
    if table.row_count:
        wide_console(100).print(table)
    for section in sections:
        for line in section.left_out:
            typer.echo(f"{section.name}: {line}")


def _processors() -> int:
    """Those that this process may use."""
    return int(build_info()["threads"])


@contextmanager
def _progress_bars() -> Iterator[ProgressCallback]:
    """A bar per experiment on stderr, where somebody watches; elsewhere a line each."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description:<13}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    tasks = {}
    with bar:

        def progress(done: int, total: int, what: str) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
                if not console.is_terminal:
                    typer.echo(f"{what}: {done} of {total} pieces known", err=True)
            bar.update(tasks[what], completed=done, total=total)

        yield progress
