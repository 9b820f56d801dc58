"""The command ``memoa info``."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from memoa import build_info


def info_command() -> None:
    """Print the version, the build and the threads in use."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in build_info().items():
        table.add_row(key, value)
    Console(highlight=False, soft_wrap=True).print(table)
