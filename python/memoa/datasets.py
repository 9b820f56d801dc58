"""Series to forecast: four synthetic ones, two real ones read from their files, and any table.

Every function returns a `Series`, ready for ``OnlineEnsemble.run(s.X, s.Y, initial=s.initial)``.

>>> from memoa import datasets
>>> datasets.periodic()
Series('periodic': 200 steps, 1 input, target y)
"""

from __future__ import annotations

import csv
import io
import operator
import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "BUILTIN",
    "Series",
    "concept_drift",
    "load_boc",
    "load_csv",
    "load_ett",
    "logistic_map",
    "periodic",
]

FloatArray = NDArray[np.float64]
DateArray = NDArray[np.datetime64]
FilePath = str | os.PathLike[str]

# Compared in lower case. These are the spellings pandas, R and Excel write for a missing value.
_EMPTY = frozenset(("", "na", "n/a", "nan", "-nan", "nat", "null", "none", "<na>", "#na", "#n/a"))


@dataclass(frozen=True, eq=False, repr=False)
class Series:
    """Inputs and targets in the order in which a forecaster meets them.

    The arrays are copied on construction and read-only. Two series are equal only if they are
    the same object.

    Parameters
    ----------
    name : str
        Short name, used in tables and titles.
    X : array_like, shape (T, dx)
        Inputs. Row t is all that is known when ``Y[t]`` is to be predicted.
    Y : array_like, shape (T, d)
        Targets. ``Y[t]`` belongs to ``X[t]``.
    initial : array_like, shape (d,)
        The target's value just before ``Y[0]``; a forecaster observes it first.
    columns : sequence of str, length dx
        Names of the columns of X.
    targets : sequence of str, length d
        Names of the columns of Y.
    index : array_like of datetime64, shape (T,), optional
        Dates of the rows of Y; None where there are none.

    Raises
    ------
    ValueError
        If shapes do not fit, a dimension is empty, or a value is NaN, infinite or NaT.
    TypeError
        If an array does not hold real numbers, or `index` does not hold datetime64.
    """

    name: str
    X: FloatArray
    Y: FloatArray
    initial: FloatArray
    columns: tuple[str, ...]
    targets: tuple[str, ...]
    index: DateArray | None = None

    def __post_init__(self) -> None:
        _names("name", (self.name,))
        X = _frozen_floats("X", self.X, ("T", "dx"))
        Y = _frozen_floats("Y", self.Y, ("T", "d"))
        initial = _frozen_floats("initial", self.initial, ("d",))
        columns, targets = _names("columns", self.columns), _names("targets", self.targets)
        n_steps, n_outputs = Y.shape
        if len(X) != n_steps:
            raise ValueError(f"X has {len(X)} rows; expected one per row of Y: {n_steps}")
        if len(initial) != n_outputs:
            raise ValueError(f"initial has shape {initial.shape}; expected (d,) = ({n_outputs},)")
        if len(columns) != X.shape[1]:
            raise ValueError(f"columns has {len(columns)} names; X has {X.shape[1]} columns")
        if len(targets) != n_outputs:
            raise ValueError(f"targets has {len(targets)} names; Y has {n_outputs} columns")
        index = None if self.index is None else _frozen_dates(self.index, n_steps)
        fields = {"X": X, "Y": Y, "initial": initial, "index": index}
        for field, value in (fields | {"columns": columns, "targets": targets}).items():
            object.__setattr__(self, field, value)

    def __repr__(self) -> str:
        n_steps, n_inputs = self.X.shape
        plural = "" if n_inputs == 1 else "s"
        text = f"{n_steps} steps, {n_inputs} input{plural}, target {', '.join(self.targets)}"
        if self.index is not None:
            first, last = np.datetime_as_string(self.index[[0, -1]], unit="auto")
            text += f", {first} to {last}"
        return f"Series({self.name!r}: {text})"


def periodic(n: int = 200) -> Series:
    """Return the cycle 6, 12, 20, 5, mapped linearly from [5, 20] to [-0.9, 0.9].

    The input is the value before the target.

    Parameters
    ----------
    n : int
        Number of predictions, at least 1; the series has n + 1 values.
    """
    n = _at_least("n", n, 1)
    cycle = -0.9 + 1.8 * (np.array([6.0, 12.0, 20.0, 5.0]) - 5.0) / 15.0
    return _autonomous("periodic", np.resize(cycle, n + 1))


def logistic_map(n: int = 200) -> Series:
    """Return a logistic map whose rate drifts in and out of chaos.

    Y_0 = 0.6 and Y_k = r_k Y_{k-1} (1 - Y_{k-1}), where
    r_k = 3.6 + 0.13 (sin 10 pi s + sin 22 pi s + sin 26 pi s) and s = k / (n + 2). The input is
    the value before the target.

    Parameters
    ----------
    n : int
        Number of predictions, at least 1. For n = 200 this is the benchmark series, s = k / 202;
        another n runs through the same rates in more or fewer steps.
    """
    n = _at_least("n", n, 1)
    phase = np.pi * np.arange(n + 1) / (n + 2)
    rate = 3.6 + 0.13 * (np.sin(10 * phase) + np.sin(22 * phase) + np.sin(26 * phase))
    y = np.empty(n + 1)
    y[0] = 0.6
    for k in range(1, n + 1):
        y[k] = rate[k] * y[k - 1] * (1.0 - y[k - 1])
    return _autonomous("logistic", y)


def concept_drift(n: int = 200, *, output: Literal[1] | None = None) -> Series:
    """Return two functions of g in [0, 2 pi] that fade into two others around g = pi.

    With r = sqrt(g) and a weight a = 1 up to g = 7 pi / 8, cos(2 (g - 7 pi / 8)) up to 9 pi / 8
    and 0 after:

    | y1 = a (g^2 + sin g + g r + 0.5 cos 10 g) + (1 - a) (2 g - sin r)
    | y2 = a (g cos g + r - exp(-g)) + (1 - a) (cos g sin g + r^2 + 0.25 cos 10 g)

    The input (g, g, r) is taken at the point of the target: it holds what generates it.

    Parameters
    ----------
    n : int
        Number of predictions, at least 1. The first n + 1 of n + 2 even points of [0, 2 pi] are
        used, the first of them for `initial`; n = 200 (202 points) is the benchmark series.
    output : {None, 1}
        None for both outputs ("drift"), 1 for y2 alone ("drift-1d").
    """
    n = _at_least("n", n, 1)
    if output not in (None, 1):
        raise ValueError(f"output is {output!r}; expected None (y1 and y2) or 1 (y2 alone)")
    g = np.linspace(0.0, 2.0 * np.pi, n + 2)[: n + 1]
    r = np.sqrt(g)
    start, end = 7.0 * np.pi / 8.0, 9.0 * np.pi / 8.0
    a = np.select([g <= start, g <= end], [1.0, np.cos(2.0 * (g - start))], 0.0)
    ripple = np.cos(10.0 * g)
    y1 = a * (g**2 + np.sin(g) + g * r + 0.5 * ripple) + (1.0 - a) * (2.0 * g - np.sin(r))
    y2 = a * (g * np.cos(g) + r - np.exp(-g)) + (1.0 - a) * (
        np.cos(g) * np.sin(g) + r**2 + 0.25 * ripple
    )
    X = np.column_stack([g, g, r])
    columns = ("g", "g", "sqrt g")
    if output is None:
        Y = np.column_stack([y1, y2])
        return Series("drift", X[1:], Y[1:], Y[0], columns, ("y1", "y2"))
    return Series("drift-1d", X[1:], y2[1:, None], y2[:1], columns, ("y2",))


BUILTIN: dict[str, Callable[[], Series]] = {
    "periodic": periodic,
    "logistic": logistic_map,
    "drift": concept_drift,
    "drift-1d": partial(concept_drift, output=1),
}
"""Series that need no file, by the name that the command line knows them by."""


def load_ett(path: FilePath, *, start: int = 0, n: int = 2000) -> Series:
    """Read the oil temperature of ETTh1.csv, prepared as in the literature.

    Inputs are HUFL, HULL, MUFL, MULL, LUFL, LULL of row k, then of row k - 1, then of row k - 2,
    then OT of rows k and k - 1 (zeros before the file begins); the target is OT of row k + 1. The
    n + 1 rows of inputs are divided by their one largest value, and those of OT by theirs: both
    look ahead within the window, and are kept so that errors compare with published ones.

    Parameters
    ----------
    path : path-like
        ETTh1.csv of the ETDataset (Zhou et al., Informer, AAAI 2021).
    start : int
        First row k; 3500 is the validation window.
    n : int
        Number of predictions.

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
        Number of predictions.

    Raises
    ------
    FileNotFoundError, ValueError
        As `load_csv`.
    """
    currencies = ("AUD_CLOSE", "EUR_CLOSE", "GBP_CLOSE", "JPY_CLOSE")
    return _benchmark("boc", path, currencies, 2, "USD_CLOSE", start, n, scaled=False)


def load_csv(
    path: FilePath, *, target: str | Sequence[str], lags: int = 2, date: str | None = None
) -> Series:
    """Read a table and predict the next row's target.

    The inputs of a step are every other numeric column of row k and the target's values at rows
    k, k - 1, ..., k - lags + 1; the target is its value at row k + 1. Rows without all their lags
    are dropped. A column without a single number is text and is left out.

    The first column of dates (typed as such, or text of which every cell is a date) becomes
    `Series.index` and is no input. Dates are ISO 8601 or all of one format with a four-digit year;
    where both readings of 01/02/2020 are possible, the one in which the dates increase is taken,
    month first if both do. Time zones are converted to UTC.

    Parameters
    ----------
    path : path-like
        A Parquet file if it ends in .parquet or .pq, else CSV: UTF-8, commas, names in line 1.
    target : str or sequence of str
        The column or columns to predict.
    lags : int
        How many past values of the target are inputs, at least 1.
    date : str, optional
        The column that holds the dates, instead of looking for one.

    Returns
    -------
    Series
        Named after the file, with T = rows - lags steps.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file cannot be read, names are unknown or double, there are fewer than lags + 2
        rows, a column of numbers has an empty, infinite or textual cell, or dates do not increase.
    TypeError
        If `target` or `lags` is of the wrong type.
    ImportError
        If pandas (for Parquet also pyarrow) is missing: ``pip install "memoa[cli]"``.
    """
    targets = _names("target", (target,) if isinstance(target, str) else target)
    lags = _at_least("lags", lags, 1)
    if len(set(targets)) < len(targets):
        raise ValueError(f"target is {target!r}; expected different columns")
    if date in targets:
        raise ValueError(f"date is {date!r}; expected another column than target")
    table = _Table.read(path, min_rows=lags + 2)
    past = np.column_stack([table.numbers(name) for name in targets])
    index = table.find_dates() if date is None else table.dates(date)
    columns = [name for name in table.numeric_columns() if name not in (*targets, date)]
    inputs = np.column_stack([*(table.numbers(name) for name in columns), _lagged(past, lags)])
    return Series(
        Path(path).stem,
        inputs[lags - 1 : -1],
        past[lags:],
        past[lags - 1],
        (*columns, *_lag_names(targets, lags)),
        targets,
        None if index is None else index[lags:],
    )


def _autonomous(name: str, y: FloatArray) -> Series:
    """Return the series whose only input is its own last value."""
    return Series(name, y[:-1, None], y[1:, None], y[:1], ("y",), ("y",))


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
    start, n = _at_least("start", start, 0), _at_least("n", n, 1)
    table = _Table.read(path, min_rows=start + n + 1)
    now = np.column_stack([table.numbers(column) for column in inputs])
    y = table.numbers(target)[:, None]
    rows = slice(start, start + n + 1)
    X, Y = np.hstack([_lagged(now, lags), _lagged(y, 2)])[rows], y[rows]
    if scaled:
        X, Y = X / X.max(), Y / Y.max()
    columns = (*_lag_names(inputs, lags), *_lag_names((target,), 2))
    return Series(name, X[:-1], Y[1:], Y[0], columns, (target,), table.dates("date")[rows][1:])


def _lagged(values: FloatArray, lags: int) -> FloatArray:
    """Stack rows k, k - 1, ..., k - lags + 1 side by side, zeros before the first row."""
    n_rows, width = values.shape
    padded = np.concatenate([np.zeros((lags - 1, width)), values])
    return np.hstack([padded[lags - 1 - lag :][:n_rows] for lag in range(lags)])


def _lag_names(names: Sequence[str], lags: int) -> tuple[str, ...]:
    return tuple(f"{name} lag {lag}" if lag else name for lag in range(lags) for name in names)


@dataclass(frozen=True, eq=False)
class _Table:
    """The columns of one file as they came, the same as numbers, and the CSV text they stood in.

    `cells` holds float64, integer, bool or datetime64 columns, or text as objects; `values` is
    float64 with NaN where a cell is no number; `text` is None for Parquet.
    """

    file: str
    cells: dict[str, NDArray[Any]]
    values: dict[str, FloatArray]
    text: str | None

    @classmethod
    def read(cls, path: FilePath, *, min_rows: int) -> _Table:
        path = Path(path)
        try:
            import pandas  # noqa: F401
        except ImportError as error:
            raise ImportError('reading a file needs pandas: pip install "memoa[cli]"') from error
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: there is no such file") from None
        except OSError as error:
            raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
        if path.suffix.lower() in (".parquet", ".pq"):
            names, columns, text = *_parse_parquet(path.name, data), None
        else:
            text = _decode(path.name, data)
            names, columns = _parse_csv(path.name, text)
        for name, count in Counter(names).items():
            if count > 1:
                raise ValueError(f"{path.name}: the column name {name!r} occurs {count} times")
        n_rows = len(columns[0]) if columns else 0
        if n_rows < min_rows:
            raise ValueError(
                f"{path.name}: the file has {n_rows} rows of data; at least {min_rows} are needed"
            )
        cells = dict(zip(names, columns, strict=True))
        return cls(path.name, cells, {name: _floats(cells[name]) for name in names}, text)

    def error(self, column: str, row: int, problem: str) -> ValueError:
        """Say what is wrong with a cell and where it stands."""
        if self.text is None:
            return ValueError(f"{self.file}: column {column!r}, row {row + 1}: {problem}")
        # A quoted cell may span lines, so the records before this one are read again to count.
        records = csv.reader(io.StringIO(self.text, newline=None), skipinitialspace=True)
        for _ in islice(records, row + 1):
            pass
        place = f"line {records.line_num + 1}: {problem} (data row {row + 1})"
        return ValueError(f"{self.file}: column {column!r}, {place}")

    def _not_a(self, kind: str, column: str, row: int) -> str:
        cell = str(self.cells[column][row])
        return "the cell is empty" if _is_empty(cell) else f"{cell[:60]!r} is not a {kind}"

    def require(self, column: str) -> None:
        if column not in self.cells:
            known = ", ".join(map(repr, self.cells))
            raise ValueError(f"{self.file}: no column {column!r}; the columns are {known}")

    def numeric_columns(self) -> list[str]:
        return [name for name, values in self.values.items() if not np.isnan(values).all()]

    def numbers(self, column: str) -> FloatArray:
        """Return a column of which every cell is a finite number."""
        self.require(column)
        values = self.values[column]
        good = np.isfinite(values)
        if np.isnan(values).all():
            raise ValueError(f"{self.file}: column {column!r} holds no numbers")
        if not good.all():
            row = int(np.argmin(good))
            infinite = "the value is infinite" if np.isinf(values[row]) else None
            raise self.error(column, row, infinite or self._not_a("number", column, row))
        return values

    def find_dates(self) -> DateArray | None:
        """Return the first column of dates, if there is one. Numbers never count as dates."""
        numeric = set(self.numeric_columns())
        for column in self.cells:
            if column in numeric:
                continue
            dates = _parse_dates(self.cells[column])
            no_date = self.cells[column][np.isnat(dates)]
            if len(no_date) < len(dates) and all(map(_is_empty, no_date)):
                return self._increasing(column, dates)
        return None

    def dates(self, column: str) -> DateArray:
        """Return a column of which every cell is a date, each later than the one before."""
        self.require(column)
        return self._increasing(column, _parse_dates(self.cells[column]))

    def _increasing(self, column: str, dates: DateArray) -> DateArray:
        missing = np.isnat(dates)
        if missing.any():
            row = int(np.argmax(missing))
            raise self.error(column, row, self._not_a("date", column, row))
        later = dates[1:] > dates[:-1]
        if not later.all():
            row = int(np.argmin(later)) + 1
            before, here = np.datetime_as_string(dates[[row - 1, row]], unit="auto")
            raise self.error(column, row, f"the date {here} is not later than {before} before it")
        return dates


def _decode(file: str, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{file}: not a CSV file in UTF-8") from None
    if "\0" in text:
        raise ValueError(f"{file}: not a CSV file; it holds binary data")
    return text.rstrip()


def _parse_csv(file: str, text: str) -> tuple[list[str], list[NDArray[Any]]]:
    """Split CSV text into names and columns of text.

    The names are read as a row like the others and blank lines are kept: otherwise pandas renames
    double columns, takes the first of too many cells for an index and skips gaps in silence.
    """
    import pandas as pd

    if not text:
        return [], []
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            header=None,
            dtype=str,
            na_filter=False,
            skip_blank_lines=False,
            skipinitialspace=True,
        )
    except ValueError as error:
        reason = " ".join(str(error).split("C error: ")[-1].split())
        raise ValueError(f"{file}: not a CSV file: {reason}") from None
    columns = [frame[i].to_numpy(dtype=object) for i in frame]
    names = [column[0].strip() or f"Unnamed: {i}" for i, column in enumerate(columns)]
    return names, [column[1:] for column in columns]


def _parse_parquet(file: str, data: bytes) -> tuple[list[str], list[NDArray[Any]]]:
    """Split a Parquet file into names and columns; an index of dates or with a name is a column."""
    import pandas as pd

    try:
        frame = pd.read_parquet(io.BytesIO(data), engine="pyarrow")
        if isinstance(frame.index, pd.DatetimeIndex) or any(frame.index.names):
            frame = frame.reset_index()
    except ImportError as error:
        raise ImportError('reading Parquet needs pyarrow: pip install "memoa[cli]"') from error
    except Exception as error:  # a damaged file makes pyarrow raise errors of many types
        reason = " ".join(str(error).split())
        raise ValueError(f"{file}: not a Parquet file: {reason}") from None
    columns: list[NDArray[Any]] = []
    for i in range(frame.shape[1]):
        column = frame.iloc[:, i]
        if pd.api.types.is_datetime64_any_dtype(column.dtype):
            columns.append(pd.to_datetime(column, utc=True).dt.tz_localize(None).to_numpy())
        elif pd.api.types.is_numeric_dtype(column.dtype) and not column.hasnans:
            columns.append(column.to_numpy())
        elif pd.api.types.is_numeric_dtype(column.dtype):
            columns.append(column.to_numpy(np.float64, na_value=np.nan))
        else:
            columns.append(column.astype(object).where(column.notna(), "").to_numpy(dtype=object))
    return [str(name) for name in frame.columns], columns


def _parse_dates(cells: NDArray[Any]) -> DateArray:
    """Return the cells as datetime64, NaT where a cell is no date in the best-fitting format."""
    import pandas as pd
    from pandas.tseries.api import guess_datetime_format

    if cells.dtype.kind == "M":
        return cells
    text = [str(cell).strip() for cell in cells]
    sample = next((cell for cell in text if not _is_empty(cell)), "")

    def read(style: str) -> DateArray:
        dates = pd.to_datetime(text, format=style, errors="coerce", utc=True)
        return dates.tz_localize(None).to_numpy()

    def misfit(dates: DateArray) -> tuple[int, bool]:
        return int(np.isnat(dates).sum()), not bool((dates[1:] > dates[:-1]).all())

    readings = [read("ISO8601")]
    if np.isnat(readings[0]).any():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where only one order of day and month fits
            styles = [guess_datetime_format(sample, dayfirst=first) for first in (False, True)]
        readings += [read(style) for style in styles if style]
    return min(readings, key=misfit)


def _floats(cells: NDArray[Any]) -> FloatArray:
    """Return the cells as float64, NaN where a cell is no number."""
    if cells.dtype.kind == "M":
        return np.full(len(cells), np.nan)
    if cells.dtype.kind in "biuf":
        return cells.astype(np.float64)
    return np.fromiter((_number(str(cell)) for cell in cells), np.float64, len(cells))


def _number(cell: str) -> float:
    try:
        # float() reads 1_000 as a number; in a table it is more likely a label.
        return float(cell) if "_" not in cell else np.nan
    except ValueError:
        return {"true": 1.0, "false": 0.0}.get(cell.strip().lower(), np.nan)


def _is_empty(cell: object) -> bool:
    return str(cell).strip().lower() in _EMPTY


def _at_least(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} is of type {type(value).__name__}; expected an integer")
    if value < least:
        raise ValueError(f"{name} is {value}; expected at least {least}")
    return operator.index(value)


def _names(name: str, value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"{name} is of type {type(value).__name__}; expected a sequence of str")
    for entry in value:
        if not isinstance(entry, str):
            raise TypeError(f"{name} holds {entry!r}; expected str")
    if not value:
        raise ValueError(f"{name} is empty; expected at least one name")
    return tuple(value)


def _frozen_floats(name: str, value: ArrayLike, shape: tuple[str, ...]) -> FloatArray:
    """Return a read-only float64 copy of finite real numbers with the named dimensions."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {array.dtype}; expected real numbers")
    if array.ndim != len(shape) or 0 in array.shape:
        expected = f"({', '.join(shape)}{',' if len(shape) == 1 else ''})"
        raise ValueError(f"{name} has shape {array.shape}; expected {expected}, none of them 0")
    array = np.array(array, dtype=np.float64, order="C")
    if not np.isfinite(array).all():
        where = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
        raise ValueError(f"{name} is {array[where]} at index {where}; expected finite numbers")
    array.setflags(write=False)
    return array


def _frozen_dates(value: ArrayLike, n_steps: int) -> DateArray:
    dates = np.array(value)
    if dates.dtype.kind != "M":
        raise TypeError(f"index has dtype {dates.dtype}; expected datetime64")
    if dates.shape != (n_steps,) or np.isnat(dates).any():
        raise ValueError(f"index has shape {dates.shape}; expected ({n_steps},) without NaT")
    dates.setflags(write=False)
    return dates
