"""The terminal output of all commands: one-line errors, a progress bar, tables.

Needs the extra ``memoa[cli]``.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

QUICK_SECONDS = 0.5
#: Settings of every `typer.Typer` here.
APP: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}

if TYPE_CHECKING:
    _Base = TyperCommand
else:
    _Base = object


class OneLineErrors(_Base):
    """Commands that report errors in one line on stderr, exit code 2; Ctrl-C gives 130."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command line and end the process with its exit code."""
        name = kwargs.get("prog_name") or "memoa"
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except (ValueError, TypeError, OSError, MemoryError, ImportError) as error:
            _fail(name, _describe(error), 2)
        except Exception as error:
            # A usage error. Typer does not export its class, and moved it between versions.
            if not hasattr(error, "format_message"):
                raise  # a bug: errors in users' files and forecasters are handled elsewhere
            _fail(name, error.format_message(), 2)
        if code == 130:
            _fail(name, "interrupted", code)
        sys.exit(code)


class OneLineGroup(OneLineErrors, TyperGroup):
    """Several commands."""


class OneLineCommand(OneLineErrors, TyperCommand):
    """A program with one command."""


class Tell(Protocol):
    """The function that updates a progress bar."""

    def __call__(self, done: int, total: int, what: str = "") -> None:
        """Report the work done, the total, and what is being done now."""


@contextmanager
def progress_bar(title: str) -> Iterator[Tell]:
    """Show a bar on stderr if it is a terminal; remove it at the end.

    It appears when the work has taken half a second.
    """
    console = Console(stderr=True)
    bar = Progress(
        TextColumn(title),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    task, began = bar.add_task(""), time.monotonic()

    def progress(done: int, total: int, what: str = "") -> None:
        quick = time.monotonic() - began < QUICK_SECONDS
        if console.is_terminal and not quick and not bar.live.is_started:
            bar.start()
        bar.update(task, completed=done, total=total, description=what)

    try:
        yield progress
    finally:
        if bar.live.is_started:
            bar.stop()


def wide_console(width: int) -> Console:
    """Return a console wide enough for a table; a narrower terminal breaks lines itself."""
    console = Console(highlight=False)
    console.width = max(console.width, width)
    return console


def lowest_in_bold(
    first: str,
    columns: Sequence[str],
    rows: Mapping[str, Sequence[float]],
    text: Callable[[float], str] | Sequence[Callable[[float], str]],
) -> Table:
    """Make a table of numbers: the lowest of each column in bold green, NaN as a dash.

    `text` formats a number, or is a list with one such function per column.
    """
    writers = [text] * len(columns) if callable(text) else list(text)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column(first, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    lowest = [
        min((row[k] for row in rows.values() if not math.isnan(row[k])), default=math.nan)
        for k in range(len(columns))
    ]
    for name, row in rows.items():
        cells = (
            Text("-" if math.isnan(x) else write(x), style="bold green" if x == low else "")
            for x, low, write in zip(row, lowest, writers, strict=True)
        )
        table.add_row(name, *cells)
    return table


def _describe(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return str(error) or "not enough memory for this many agents, features and steps"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _fail(name: str, message: str, code: int) -> NoReturn:
    typer.echo(f"{name}: {' '.join(message.split())}", err=True)
    sys.exit(code)
