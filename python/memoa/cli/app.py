"""The command line ``memoa``: its commands print tables, write files and report one-line errors.

pandas and matplotlib are imported when they are used. They take a second, and ``memoa --version``
should be fast.
"""

from __future__ import annotations

from typing import Annotated

import typer

from memoa import build_info
from memoa.cli.compare import compare_command
from memoa.cli.info import info_command
from memoa.cli.panel import panel_command
from memoa.cli.run import run_command
from memoa.cli.terminal import APP, OneLineGroup
from memoa.cli.verify import verify_command

app = typer.Typer(cls=OneLineGroup, **APP)


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
    """Online forecasting by many small agents that share a mean field."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command("run")(run_command)
app.command("info")(info_command)
app.command("verify")(verify_command)
app.command("compare")(compare_command)
app.command("panel")(panel_command)
