"""The series that a command is given: a built-in one, a benchmark's file, or any table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer

from memoa.datasets import BUILTIN, Series, load_boc, load_csv, load_ett

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
File = Annotated[
    Path | None, typer.Option(metavar="PATH", help="The file that ett or boc is read from.")
]
Start = Annotated[
    int | None,
    typer.Option(min=0, help="First row of ett or boc (2000 steps).", show_default="0"),
]
Lags = Annotated[
    int | None,
    typer.Option(min=1, help="Past target values that are inputs (files).", show_default="2"),
]


def load_series(
    data: str, *, target: str | None, file: Path | None, start: int | None, lags: int | None
) -> tuple[Series, dict[str, Any]]:
    """Find the series that `data` names, and say where from; refuse options without effect."""
    options = {"--target": target, "--file": file, "--start": start, "--lags": lags}
    if data in BUILTIN:
        _refuse_others(data, options, ())
        return BUILTIN[data](), {"data": data}
    if data in BENCHMARKS:
        _refuse_others(data, options, ("--file", "--start"))
        if file is None:
            raise ValueError(f"{data} needs --file PATH: the CSV file that holds it")
        start = start or 0
        return BENCHMARKS[data](file, start=start), {"data": data, "file": file, "start": start}
    path = Path(data)
    if not path.exists():
        is_path = path.suffix or len(path.parts) > 1
        raise ValueError(f"{data}: there is no such file" if is_path else _unknown(data))
    _refuse_others(data, options, ("--target", "--lags"))
    if target is None:
        raise ValueError(f"{data} needs --target COLUMN; its columns are {_column_names(path)}")
    columns = [name.strip() for name in target.split(",")]
    lags = 2 if lags is None else lags
    series = load_csv(path, target=columns, lags=lags)
    return series, {"data": data, "target": columns, "lags": lags}


def _refuse_others(data: str, options: Mapping[str, object], allowed: tuple[str, ...]) -> None:
    for option, value in options.items():
        if value is not None and option not in allowed:
            raise ValueError(f"{option} has no meaning for {data}")


def _column_names(path: Path) -> str:
    import pandas as pd

    parquet = path.suffix.lower() in (".parquet", ".pq")
    try:
        frame = pd.read_parquet(path) if parquet else pd.read_csv(path, nrows=0)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return ", ".join(map(repr, frame.columns))


def _unknown(data: str) -> str:
    names = [*BUILTIN, *BENCHMARKS]
    close = get_close_matches(data.lower(), names, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return (
        f"no series or file is called {data!r}{hint}; there are {', '.join(BUILTIN)}; with --file "
        f"{', '.join(BENCHMARKS)}; and any CSV or Parquet file with --target"
    )
