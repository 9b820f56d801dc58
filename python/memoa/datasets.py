"""Series to forecast: four synthetic ones, two real ones read from their files, and any table.

Every function returns a `Series`, ready for ``OnlineEnsemble.run(s.X, s.Y, initial=s.initial)``.

>>> from memoa import datasets
>>> datasets.periodic()
Series('periodic': 200 steps, 1 input, target y)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from memoa import _core
from memoa._tables import DateArray, FilePath, FloatArray, Table
from memoa._validate import as_float64, as_int, require_shape

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
    n = as_int("n", n, 1)
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
    n = as_int("n", n, 1)
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
    n = as_int("n", n, 1)
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
    lags = as_int("lags", lags, 1)
    if len(set(targets)) < len(targets):
        raise ValueError(f"target is {target!r}; expected different columns")
    if date in targets:
        raise ValueError(f"date is {date!r}; expected another column than target")
    table = Table.read(path, min_rows=lags + 2)
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
    start, n = as_int("start", start, 0), as_int("n", n, 1)
    table = Table.read(path, min_rows=start + n + 1)
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
    array: FloatArray = as_float64(name, value).copy()
    require_shape(name, array, f"({', '.join(shape)})", (None,) * len(shape))
    _core.require_finite(name, array)
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
