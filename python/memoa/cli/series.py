"""The series of a command: a built-in one, a benchmark's file, or any table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer

from memoa.datasets import BUILTIN, Series, load_boc, load_csv, load_ett
from memoa.datasets.cells import Writing
from memoa.datasets.table import Table, separator_hint

BENCHMARKS: dict[str, Callable[..., Series]] = {"ett": load_ett, "boc": load_boc}

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help=f"{', '.join(BUILTIN)}; a CSV or Parquet file; or ett, boc with --file.",
    ),
]
Target = Annotated[
    str | None, typer.Option(metavar="COL[,COL]", help="Column(s) of the file to forecast.")
]
File = Annotated[Path | None, typer.Option(metavar="PATH", help="The file of ett or boc.")]
Start = Annotated[
    int | None,
    typer.Option(min=0, help="First row of ett or boc (2000 steps).", show_default="0"),
]
Lags = Annotated[
    int | None,
    typer.Option(min=1, help="Number of past target values as inputs (files).", show_default="2"),
]

Warmup = Annotated[
    int, typer.Option(min=0, metavar="STEPS", help="Steps at the start that are not scored.")
]
Delay = Annotated[
    int,
    typer.Option(min=0, metavar="STEPS", help="Number of steps by which values arrive late."),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing files.")]


def load_series(
    data: str,
    *,
    target: str | None,
    file: Path | None,
    start: int | None,
    lags: int | None,
    reading: Mapping[str, Any] | None = None,
) -> tuple[Series, dict[str, Any]]:
    """Return the series that `data` names, and its source; refuse options without effect.

    `reading` has options of `load_csv`; None means not given.
    """
    given = {name: value for name, value in (reading or {}).items() if value is not None}
    options = {"--target": target, "--file": file, "--start": start, "--lags": lags}
    options |= {f"--{name}": value for name, value in given.items()}
    if data in BUILTIN:
        _refuse_others(data, options, ())
        return BUILTIN[data](), {"data": data}
    if data in BENCHMARKS:
        _refuse_others(data, options, ("--file", "--start"))
        if file is None:
            raise ValueError(f"{data} needs --file PATH: the CSV file with this series")
        start = start or 0
        return BENCHMARKS[data](file, start=start), {"data": data, "file": file, "start": start}
    path = Path(data)
    if not path.exists():
        is_path = path.suffix or len(path.parts) > 1
        raise ValueError(f"{data}: there is no such file" if is_path else _unknown(data))
    _refuse_others(data, options, ("--target", "--lags", *(f"--{name}" for name in given)))
    given |= sign_of(given)
    if target is None:
        names = _column_names(path, given)
        raise ValueError(f"{data} needs --target COLUMN; its columns are {names}")
    for name in ("inputs", "drop"):
        if name in given:
            given[name] = _split(given[name])
    chosen = [
        name
        for name, value in (("lags", lags), ("season", given.get("season")))
        if value in (None, "auto")
    ]
    given["season"] = _season(given.get("season", "auto"))
    words = {"target": _split(target), "lags": 2 if lags is None else lags, **given}
    series = load_csv(path, **words)
    kept: dict[str, Any] = {"season": series.season, "chosen": chosen}
    kept |= {"left_out": dict(series.left_out), "notes": series.notes}
    return series, {"data": data, **words, **kept}


def sign_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the tab character, which is hard to write in a shell."""
    return {"sep": "\t"} if options.get("sep") in ("\\t", "tab") else {}


def tell(series: Series, source: Mapping[str, Any]) -> None:
    """Print the choice of lags and season, which columns were left out, and notes on the file."""
    if series.lags is not None:
        typer.echo(f"inputs: {_choice(series, source['chosen'])}")
    for name, why in series.left_out.items():
        typer.echo(f"left out: {name!r}, {why}")
    for note in series.notes:
        typer.echo(note)


def _choice(series: Series, chosen: Sequence[str]) -> str:
    """Describe the number of lags, the season and why, and the options that change them."""
    text = f"{series.lags} lag{'' if series.lags == 1 else 's'} and "
    text += "no season" if series.season is None else f"a season of {series.season} steps"
    if "season" in chosen:
        text += " (by the dates)" if series.index is not None else " (there are no dates)"
    others = " and ".join(f"--{name}" for name in chosen)
    return f"{text}; change with {others}" if others else text


def _season(text: str) -> int | str | None:
    if text in ("auto", "none"):
        return "auto" if text == "auto" else None
    if not text.isdecimal():
        raise ValueError(f"--season is {text!r}; expected a number of steps, auto or none")
    return int(text)


def _split(names: str) -> list[str]:
    """Split names at commas; a name with a comma must be quoted."""
    return [name.strip() for name in next(csv.reader([names], skipinitialspace=True), [])]


def _refuse_others(data: str, options: Mapping[str, object], allowed: tuple[str, ...]) -> None:
    for option, value in options.items():
        if value is not None and option not in allowed:
            raise ValueError(f"{option} has no meaning for {data}")


def _column_names(path: Path, given: Mapping[str, Any]) -> str:
    table = Table.read(path, min_rows=0, writing=Writing(given.get("sep", ",")))
    return ", ".join(map(repr, table.cells)) + separator_hint(list(table.cells))


def _unknown(data: str) -> str:
    names = [*BUILTIN, *BENCHMARKS]
    close = get_close_matches(data.lower(), names, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return (
        f"no series or file is called {data!r}{hint}; there are {', '.join(BUILTIN)}; with --file "
        f"{', '.join(BENCHMARKS)}; and any CSV or Parquet file with --target"
    )
