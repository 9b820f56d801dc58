"""The command ``memoa experiments``: every table and figure, with progress, resumed if stopped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from memoa.experiments import EXPERIMENTS, Section, run_experiments
from memoa.experiments.pieces import ProgressCallback

STYLES = {True: "[green]met[/]", False: "[bold red]not met[/]", None: "[yellow]open[/]"}


def experiments_command(
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help=f"One of {', '.join(EXPERIMENTS)}; may be repeated."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, 2, ...")] = 20,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of the real series.",
            show_default="MEMOA_DATA, else ../shared/data",
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="one per processor")
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where experiments.md and its folder go.")
    ] = Path("memoa-out"),
) -> None:  # fmt: skip
    """Make every table and figure, and the report that shows them.

    What is computed is kept: after an interruption, or with more seeds, only the rest is computed.
    """
    processes = jobs or _processors()
    with _progress_bar() as progress:
        sections = run_experiments(
            out, only=only or (), seeds=seeds, data=data, jobs=processes, progress=progress
        )
    _print_verdicts(sections)
    typer.echo(f"experiments.md and the folder experiments are in {out}")


def _print_verdicts(sections: list[Section]) -> None:
    console = Console(highlight=False)
    console.width = max(console.width, 100)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for name in ("target", "found", ""):
        table.add_column(name)
    for section in sections:
        for verdict in section.verdicts:
            table.add_row(verdict.target, verdict.found, STYLES[verdict.met])
    if table.row_count:
        console.print(table)
    for section in sections:
        for line in section.left_out:
            typer.echo(f"{section.name}: {line}")


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _progress_bar() -> Iterator[ProgressCallback]:
    """A bar per experiment on stderr, where somebody watches; elsewhere a line each."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description:<13}"), BarColumn(), MofNCompleteColumn(),
        TimeRemainingColumn(), console=console, disable=not console.is_terminal,
    )  # fmt: skip
    tasks = {}
    with bar:

        def progress(done: int, total: int, what: str) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
                if not console.is_terminal:
                    typer.echo(f"{what}: {done} of {total} pieces known", err=True)
            bar.update(tasks[what], completed=done, total=total)

        yield progress
