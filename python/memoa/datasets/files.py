"""Series from files: two real series of the literature, and any table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from memoa._validate import as_int
from memoa.datasets.cells import FloatArray, Writing
from memoa.datasets.dates import Dates, next_date, spacing
from memoa.datasets.panel_inputs import fill_forward
from memoa.datasets.seasons import NAMES, calendar_inputs, chosen_season, season_columns
from memoa.datasets.series import Series, as_names
from memoa.datasets.table import FilePath, Table


def load_ett(path: FilePath, *, start: int = 0, n: int = 2000) -> Series:
    """Read the oil temperature of ETTh1.csv, prepared as in the literature.

    Inputs are HUFL, HULL, MUFL, MULL, LUFL, LULL of row k, then of row k - 1, then of row k - 2,
    then OT of rows k and k - 1 (zeros before the file begins); the target is OT of row k + 1. The
    n + 1 rows of inputs are divided by their largest value, and those of OT by theirs. Both look
    ahead within the window; this is kept so that errors can be compared with published ones.

    Parameters
    ----------
    path : path-like
        ETTh1.csv of the ETDataset (Zhou et al., Informer, AAAI 2021).
    start : int
        First row k; 3500 is the validation window.
    n : int
        Number of steps to forecast.

    Raises
    ------
    FileNotFoundError, ValueError
        As `load_csv`.
    """
    loads = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL")
    return _benchmark("ett", path, loads, 3, "OT", start, n, scaled=True)


def load_boc(path: FilePath, *, start: int = 0, n: int = 2000) -> Series:
    """Read the US dollar of the Bank of Canada's rates, prepared as in the literature.

    Inputs are AUD, EUR, GBP, JPY of row k, then of row k - 1, then USD of rows k and k - 1 (zeros
    before the file begins); the target is USD of row k + 1. Nothing is scaled: the unit is
    Canadian dollars.

    Parameters
    ----------
    path : path-like
        Daily closing rates with the columns AUD_CLOSE, EUR_CLOSE, GBP_CLOSE, JPY_CLOSE, USD_CLOSE.
    start : int
        First row k; 1600 is the validation window.
    n : int
        Number of steps to forecast.

    Raises
    ------
    FileNotFoundError, ValueError
        As `load_csv`.
    """
    currencies = ("AUD_CLOSE", "EUR_CLOSE", "GBP_CLOSE", "JPY_CLOSE")
    return _benchmark("boc", path, currencies, 2, "USD_CLOSE", start, n, scaled=False)


def load_csv(
    path: FilePath,
    *,
    target: str | Sequence[str],
    lags: int = 2,
    date: str | None = None,
    inputs: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    dayfirst: bool | None = None,
    sep: str = ",",
    decimal: str = ".",
    thousands: str | None = None,
    percent: bool = False,
    season: int | Literal["auto"] | None = None,
    calendar: bool = False,
) -> Series:
    """Read a table as a series that predicts the next row's target.

    The inputs of a step are the other numeric columns of row k and the target's values at rows
    k, k - 1, ..., k - lags + 1; the target is its value at row k + 1. Rows without all their lags
    are dropped. An empty cell is a missing value, NaN. If the target has one, its lags repeat the
    value before it. A column without any number is text and is left out, and so is a first column
    without a name that counts the rows. `Series.left_out` says which and why.

    The first column of dates (typed as such, or text of which at least half is dates) becomes
    `Series.index` and is not an input. Dates are in ISO 8601, or all in one format with a
    four-digit year. If both readings of 01/02/2020 are possible, readings with increasing dates are
    preferred, of these the one with the most even spacing, and month first if they are equal. If
    dates have time zones, `Series.index` is in UTC and `Series.zone` is the zone. `Series.notes`
    lists what is unusual.

    Parameters
    ----------
    path : path-like
        A Parquet file if it ends in .parquet or .pq, else CSV, which may be compressed (.gz):
        UTF-8, names in line 1.
    target : str or sequence of str
        The column or columns to predict.
    lags : int
        Number of past values of the target that are inputs, at least 1.
    date : str, optional
        The column of dates, instead of the first one found.
    inputs : sequence of str, optional
        The columns that are inputs in addition to the lags; none if it is empty. Default: all
        numeric columns.
    drop : sequence of str
        Columns that are not inputs.
    dayfirst : bool, optional
        Whether 01/02/2020 is the first of February. Default: the reading that fits the dates best.
    sep : str
        The character between two cells of a line.
    decimal : str
        The character before the decimals of a number.
    thousands : str, optional
        The character between groups of three digits.
    percent : bool
        Whether numbers may end in a percent sign: 12% is 12.
    season : int, "auto" or None
        Steps in a season. It adds four inputs for every target: those of `seasonal_inputs`, and the
        change that repeating the value of one season ago would give. "auto": the season that the
        spacing of the dates suggests, such as 24 for hours and 12 for months, if there are at least
        three seasons.
    calendar : bool
        Whether the dates of the targets are inputs, see `calendar_inputs`.

    Returns
    -------
    Series
        Named after the file, with T = rows - lags steps, and the inputs of the step after them.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file cannot be read, names are unknown or double, there are fewer than lags + 2
        rows, a column of numbers has an infinite or textual cell, a column of dates has a cell that
        is not a date, or dates do not increase.
    TypeError
        If an option is of the wrong type.
    ImportError
        If pandas (for Parquet also pyarrow) is missing: ``pip install "memoa[cli]"``.
    """
    targets = as_names("target", (target,) if isinstance(target, str) else target)
    lags = as_int("lags", lags, 1)
    if len(set(targets)) < len(targets):
        raise ValueError(f"target is {target!r}; expected different columns")
    if date in targets:
        raise ValueError(f"date is {date!r}; expected another column than target")
    wanted = None if inputs is None else _other_columns("inputs", inputs, (*targets, date))
    dropped = _other_columns("drop", drop, (*targets, date, *(wanted or ())))
    table = Table.read(
        path, min_rows=lags + 2, writing=Writing(sep, decimal, thousands, bool(percent))
    )
    past = np.column_stack([table.numbers(name, gaps=True) for name in targets])
    dates = table.find_dates(dayfirst) if date is None else (date, table.dates(date, dayfirst))
    columns, left_out = _inputs(table, (*targets, dates[0] if dates else date), wanted, dropped)
    others = [table.numbers(name, gaps=True) for name in columns]
    gaps = dict(zip((*targets, *columns), (*past.T, *others), strict=True))
    index, zone = (None, None) if dates is None else (dates[1].values, dates[1].zone)
    found = chosen_season(season, index, len(past))
    n_others = len(columns)
    seasonal = 0
    for name, y in zip(targets, past.T):
        more = season_columns(y, found)
        others += list(more.T)
        columns += [f"{name}: {part}" for part in NAMES[: more.shape[1]]]
        seasonal += more.shape[1]
    if calendar:
        if index is None or len(index) < 2:
            raise ValueError(f"{table.file}: calendar needs a column of dates, and there is none")
        following = np.append(index[1:], np.array([next_date(index, zone)], index.dtype))
        more, names = calendar_inputs(following, zone)
        others += list(more.T)
        columns += names
    now = np.column_stack([*others, _lagged(fill_forward(past), lags)])
    return Series(
        _stem(path),
        now[lags - 1 : -1],
        past[lags:],
        fill_forward(past[:lags])[-1],
        (*columns, *_lag_names(targets, lags)),
        targets,
        None if index is None else index[lags:],
        zone,
        now[-1],
        left_out,
        (*_notes(dates), *_gaps(gaps)),
        (*range(n_others, n_others + seasonal), *range(len(columns), now.shape[1])),
        lags=lags,
        season=found,
    )


def _other_columns(
    name: str, value: Sequence[str], taken: tuple[str | None, ...]
) -> tuple[str, ...]:
    """Return names of columns, and check that none is used for something else."""
    names = as_names(name, value) if len(value) else ()
    for one in names:
        if one in taken:
            raise ValueError(f"{name} names {one!r}, which is already used otherwise")
    return names


def _inputs(
    table: Table,
    taken: tuple[str | None, ...],
    wanted: tuple[str, ...] | None,
    dropped: tuple[str, ...],
) -> tuple[list[str], dict[str, str]]:
    """Return the columns that are inputs, and why the others are not."""
    for name in (*(wanted or ()), *dropped):
        table.require(name)
    columns, left_out = [], {}
    for name in table.cells:
        if name in taken or name in dropped or (wanted is not None and name not in wanted):
            continue
        why = None if wanted is not None else table.why_no_input(name)
        if why is None:
            columns.append(name)
        else:
            left_out[name] = why
    return columns, left_out


def _notes(dates: tuple[str, Dates] | None) -> tuple[str, ...]:
    """Return notes on unusual dates."""
    if dates is None:
        return ()
    name, found = dates
    notes: tuple[str, ...] = ()
    if found.order is not None:
        first = np.datetime_as_string(found.values[0], unit="D")
        notes = (f"dates of {name!r} are read {found.order}: the first is {first}",)
    odd = spacing(found.values, found.zone)
    return notes if odd is None else (*notes, f"dates of {name!r}: {odd}")


def _gaps(columns: dict[str, FloatArray]) -> list[str]:
    """Return notes on columns with empty cells, and their numbers."""
    counts = {name: int(np.isnan(values).sum()) for name, values in columns.items()}
    return [
        f"{count} of {len(columns[name])} cells of {name!r} are empty: treated as missing"
        for name, count in counts.items()
        if count
    ]


def _stem(path: FilePath) -> str:
    """Return the file's name without its endings."""
    path = Path(path)
    return Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem


def _benchmark(
    name: str,
    path: FilePath,
    inputs: tuple[str, ...],
    lags: int,
    target: str,
    start: int,
    n: int,
    *,
    scaled: bool,
) -> Series:
    """Cut a window of n + 1 rows: `inputs` with `lags` lags, then the target with two."""
    start, n = as_int("start", start, 0), as_int("n", n, 1)
    table = Table.read(path, min_rows=start + n + 1)
    now = np.column_stack([table.numbers(column) for column in inputs])
    y = table.numbers(target)[:, None]
    rows = slice(start, start + n + 1)
    X, Y = np.hstack([_lagged(now, lags), _lagged(y, 2)])[rows], y[rows]
    if scaled:
        X, Y = X / X.max(), Y / Y.max()
    columns = (*_lag_names(inputs, lags), *_lag_names((target,), 2))
    index = table.dates("date").values[rows][1:]
    width = X.shape[1]
    return Series(
        name,
        X[:-1],
        Y[1:],
        Y[0],
        columns,
        (target,),
        index,
        next_x=X[-1],
        past=(width - 2, width - 1),
    )


def _lagged(values: FloatArray, lags: int) -> FloatArray:
    """Stack rows k, k - 1, ..., k - lags + 1 side by side, zeros before the first row."""
    n_rows, width = values.shape
    padded = np.concatenate([np.zeros((lags - 1, width)), values])
    return np.hstack([padded[lags - 1 - lag :][:n_rows] for lag in range(lags)])


def _lag_names(names: Sequence[str], lags: int) -> tuple[str, ...]:
    return tuple(f"{name} lag {lag}" if lag else name for lag in range(lags) for name in names)
