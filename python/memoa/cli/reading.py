"""The options for reading a file, which all commands share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_type_hints

import typer

Date = Annotated[
    str | None,
    typer.Option(metavar="COL", help="Column of the dates.", show_default="the first with dates"),
]
Inputs = Annotated[
    str | None,
    typer.Option(metavar="COL[,COL]", help="Columns that are inputs.", show_default="all numeric"),
]
Drop = Annotated[str | None, typer.Option(metavar="COL[,COL]", help="Columns that are not inputs.")]
Sep = Annotated[
    str | None, typer.Option(metavar="CHAR", help="Separator of cells (CSV).", show_default=",")
]
Decimal = Annotated[
    str | None, typer.Option(metavar="CHAR", help="Decimal point (CSV).", show_default=".")
]
Thousands = Annotated[
    str | None, typer.Option(metavar="CHAR", help="Separator of thousands (CSV).")
]
Percent = Annotated[
    bool | None, typer.Option("--percent", help="Read 12% as 12 (CSV).", show_default=False)
]
DayFirst = Annotated[
    bool | None,
    typer.Option(
        "--dayfirst/--monthfirst", help="How to read 01/02/2020.", show_default="what fits best"
    ),
]
Season = Annotated[
    str | None,
    typer.Option(
        metavar="STEPS", help="Steps in a season; auto: from the dates; none.", show_default="auto"
    ),
]
Calendar = Annotated[
    bool | None,
    typer.Option("--calendar", help="Use hour, week and year as inputs.", show_default=False),
]

# The format of a file's cells, and the options for a single series.
WRITING: Mapping[str, Any] = {
    "dayfirst": DayFirst,
    "sep": Sep,
    "decimal": Decimal,
    "thousands": Thousands,
    "percent": Percent,
}
READING: Mapping[str, Any] = {
    "date": Date,
    "inputs": Inputs,
    "drop": Drop,
    **WRITING,
    "season": Season,
    "calendar": Calendar,
}


def takes(options: Mapping[str, Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command these options instead of its argument `reading`.

    The command gets one dict of the given options; the help shows each of them.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def told(**given: Any) -> None:
            reading = {name: given.pop(name) for name in options}
            command(**given, reading={k: v for k, v in reading.items() if v is not None})

        hints = get_type_hints(command, include_extras=True)
        parameters: list[inspect.Parameter] = []
        for name, parameter in inspect.signature(command).parameters.items():
            if name != "reading":
                parameters.append(parameter.replace(annotation=hints[name]))
                continue
            parameters += [
                parameter.replace(name=option, annotation=kind, default=None)
                for option, kind in options.items()
            ]
        told.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        told.__annotations__ = {one.name: one.annotation for one in parameters}
        del told.__wrapped__
        return told

    return decorate
