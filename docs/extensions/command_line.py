"""The page of the command line, from the options that the program itself declares."""

from __future__ import annotations

from sphinx.application import Sphinx

PAGE = "reference/command-line"


def command_line() -> str:
    import typer
    from typer.cli import get_docs_for_click

    from memoa.cli.app import app as program

    command = typer.main.get_command(program)
    with command.make_context("memoa", [], resilient_parsing=True) as context:
        text: str = get_docs_for_click(obj=command, ctx=context, name="memoa")
    return text.partition("\n")[2]  # the page has a title of its own


def append(app: Sphinx, docname: str, source: list[str]) -> None:
    if docname == PAGE:
        source[0] += "\n" + command_line()


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", append)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
