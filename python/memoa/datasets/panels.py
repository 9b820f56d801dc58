"""Panels of many clients, each with its own series, and how to read them from long tables."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memoa._validate import as_float64, as_int, require_shape
from memoa.datasets.cells import Writing
from memoa.datasets.dates import next_date
from memoa.datasets.panel_inputs import panel_inputs
from memoa.datasets.table import FilePath, FloatArray, Table, is_empty, parse_dates, to_floats


@dataclass(frozen=True, eq=False, repr=False)
class PanelSeries:
    """Inputs and targets of N clients, in the order of time.

    The arrays are copied on construction and read-only. Two panels are equal only if they are the
    same object.

    Parameters
    ----------
    X : array_like, shape (T, N, dx)
        Inputs. ``X[t, i]`` is all that client i knows when it predicts ``Y[t, i]``.
    Y : array_like, shape (T, N, d)
        Targets; NaN means no value.
    initial : array_like, shape (N, d)
        Values just before ``Y[0]``, which are observed first; NaN if a client has none yet.
    ids : array_like, shape (N,)
        Names of the clients.
    times : array_like, shape (T,)
        Times of the rows of Y, increasing: datetime64 or numbers.
    columns : sequence of str, length dx
        Names of the columns of X.
    name : str
        Short name, used in tables and titles.
    names : tuple of str, length 3
        Names of the long table's columns: client, time and target.
    next_X : array_like, shape (N, dx), optional
        Inputs of the step after the last one, whose targets are not known yet.
    earlier : array_like, shape (delay, N, d), optional
        The values before `initial`, if a value is known only after `delay` further steps; see
        `late`.
    made : tuple (lags, season, holt_winters), optional
        How the inputs were computed from the values, for `late`.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, a dimension is empty, X is not finite or Y or `initial` is infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from memoa.datasets import PanelSeries
    >>> y = np.cumsum(np.random.default_rng(0).normal(size=(30, 4, 1)), axis=0)  # four clients
    >>> steps, names = np.arange(1, 30), ["a", "b", "c", "d"]
    >>> panel = PanelSeries(X=y[:-1], Y=y[1:], initial=y[0], ids=names, times=steps)
    >>> panel.Y.shape
    (29, 4, 1)
    """

    X: FloatArray
    Y: FloatArray
    initial: FloatArray
    ids: NDArray[Any]
    times: NDArray[Any]
    columns: tuple[str, ...] = ()
    name: str = "panel"
    names: tuple[str, str, str] = ("unique_id", "ds", "y")
    next_X: FloatArray | None = None
    earlier: FloatArray | None = None
    made: tuple[int, int | None, bool] | None = None

    def __post_init__(self) -> None:
        X, Y, initial = (as_float64(k, getattr(self, k)).copy() for k in ("X", "Y", "initial"))
        ids, times = np.array(self.ids), np.array(self.times)
        require_shape("X", X, "(n_steps, n_clients, n_inputs)", (None, None, None))
        n_steps, n_clients, n_inputs = X.shape
        require_shape("Y", Y, "(n_steps, n_clients, n_outputs)", (n_steps, n_clients, None))
        require_shape("initial", initial, "(n_clients, n_outputs)", Y.shape[1:])
        require_shape("ids", ids, "(n_clients,)", (n_clients,))
        require_shape("times", times, "(n_steps,)", (n_steps,))
        columns = tuple(self.columns) or tuple(f"x{j}" for j in range(n_inputs))
        if len(columns) != n_inputs:
            raise ValueError(f"columns has {len(columns)} names; X has {n_inputs} columns")
        if not np.isfinite(X).all():
            raise ValueError("X holds values that are not finite; expected finite numbers")
        for name, array in (("Y", Y), ("initial", initial)):
            if np.isinf(array).any():
                raise ValueError(f"{name} holds infinite values; expected numbers or NaN")
        fields = {"X": X, "Y": Y, "initial": initial, "ids": ids, "times": times}
        if self.next_X is not None:
            fields["next_X"] = as_float64("next_X", self.next_X).copy()
            require_shape("next_X", fields["next_X"], "(n_clients, n_inputs)", X.shape[1:])
        if self.earlier is not None:
            fields["earlier"] = as_float64("earlier", self.earlier).copy()
            labels = "(delay, n_clients, n_outputs)"
            require_shape("earlier", fields["earlier"], labels, (None, *Y.shape[1:]))
        for name, array in fields.items():
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "columns", columns)

    @property
    def delay(self) -> int:
        """Number of further steps after which a value is known."""
        return 0 if self.earlier is None else len(self.earlier)

    @property
    def before(self) -> FloatArray:
        """Argument ``initial`` of `Panel.run`: shape (N, d), or (delay + 1, N, d) if late."""
        if self.earlier is None:
            return self.initial
        return np.concatenate([self.earlier, self.initial[None]])

    def late(self, delay: int) -> PanelSeries:
        """Return the same series with every value known only after `delay` further steps.

        The inputs are computed from the values known then: increments end `delay` steps earlier,
        and seasonal inputs refer to the latest season that is known. The first `delay` steps become
        `earlier` values.

        Parameters
        ----------
        delay : int
            Number of further steps after which a value is known, at least 0.

        Raises
        ------
        ValueError
            If the series is not longer than `delay`, is late already, or its inputs were not
            computed from its values by `load_long` or a generator.

        Examples
        --------
        >>> import memoa
        >>> series = memoa.datasets.similar_households(n_clients=3, n=100).late(24)
        >>> series.Y.shape, series.before.shape
        ((76, 3, 1), (25, 3, 1))
        """
        delay = as_int("delay", delay, 0, below=len(self.Y))
        if delay == 0:
            return self
        if self.earlier is not None:
            raise ValueError(f"{self.name} is late already")
        if self.made is None:
            raise ValueError(
                f"the inputs of {self.name} were given, and may contain values that are not known "
                "yet; expected a series from load_long or a generator"
            )
        values = np.concatenate([self.initial[None], self.Y])[:, :, 0]
        inputs, _ = panel_inputs(values, *self.made, delay)
        known = len(self.Y) - delay  # rows of inputs whose target is there
        return replace(
            self,
            X=inputs[:known],
            Y=self.Y[delay:],
            initial=values[delay][:, None],
            times=self.times[delay:],
            next_X=None if self.next_X is None else inputs[known],
            earlier=values[:delay, :, None],
        )

    @property
    def awake(self) -> NDArray[np.bool_]:
        """Whether a client is active, shape (T, N): from its first value to its last."""
        seen = ~np.isnan(self.Y).all(axis=2)
        before = ~np.isnan(self.before.reshape(-1, *self.initial.shape)).all(axis=(0, 2))
        began = np.maximum.accumulate(seen, axis=0) | before
        goes_on = np.flip(np.maximum.accumulate(np.flip(seen, axis=0), axis=0), axis=0)
        return np.logical_and(began, goes_on)

    def to_frame(self, **columns: FloatArray) -> Any:
        """Return the panel as a long pandas frame, with results beside the target.

        Parameters
        ----------
        **columns : ndarray, shape (T, N) or (T, N, 1)
            More columns by name, such as ``forecast=run.predictions``.

        Returns
        -------
        pandas.DataFrame
            One row per client and step that has a value, client by client.

        Raises
        ------
        ValueError
            If the panel has several outputs, or a column has another shape.
        ImportError
            If pandas is missing: ``pip install "memoa[cli]"``.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError('a long frame needs pandas: pip install "memoa[cli]"') from error
        n_steps, n_clients, n_outputs = self.Y.shape
        if n_outputs != 1:
            raise ValueError(f"the panel has {n_outputs} outputs; a long frame has one target")
        seen = ~np.isnan(self.Y[:, :, 0].T)
        of_client, time = (np.broadcast_to(a, (n_clients, n_steps))[seen] for a in self._axes())
        id, ds, target = self.names
        data = {id: of_client, ds: time, target: self.Y[:, :, 0].T[seen]}
        for name, values in columns.items():
            array = np.asarray(values)
            array = array[:, :, 0] if array.shape == self.Y.shape else array
            require_shape(name, array, "(n_steps, n_clients)", (n_steps, n_clients))
            data[name] = array.T[seen]
        return pd.DataFrame(data)

    def next_frame(self, **columns: FloatArray) -> Any:
        """Return the step after the last one as a long pandas frame; its target is NaN.

        Parameters
        ----------
        **columns : ndarray, shape (N,) or (N, 1)
            Columns by name, such as ``forecast=panel.predict_one(series.next_X)``.

        Returns
        -------
        pandas.DataFrame
            One row per client whose series continues to the end.
        """
        import pandas as pd

        goes_on = self.awake[-1]
        id, ds, target = self.names
        data = {id: self.ids[goes_on], ds: self.next_time, target: np.nan}
        for name, values in columns.items():
            array = np.asarray(values).reshape(-1)
            require_shape(name, array, "(n_clients,)", (len(self.ids),))
            data[name] = array[goes_on]
        return pd.DataFrame(data)

    @property
    def next_time(self) -> Any:
        """Return the time after the last one: the next of the calendar, or one more step."""
        if len(self.times) < 2:
            return None
        if self.times.dtype.kind == "M":
            return next_date(self.times)
        return self.times[-1] + (self.times[-1] - self.times[-2])

    def _axes(self) -> tuple[NDArray[Any], NDArray[Any]]:
        return self.ids[:, None], self.times[None, :]

    def __repr__(self) -> str:
        n_steps, n_clients, n_inputs = self.X.shape
        gaps = int(np.isnan(self.Y).sum())
        text = f"{n_clients} clients, {n_steps} steps, {n_inputs} inputs"
        return f"PanelSeries({self.name!r}: {text}{f', {gaps} values missing' * (gaps > 0)})"


def load_long(
    data: FilePath | Any,
    *,
    id: str = "unique_id",
    time: str = "ds",
    target: str = "y",
    lags: int = 4,
    season: int | None = None,
    holt_winters: bool = True,
    log: bool = False,
    dayfirst: bool | None = None,
    sep: str = ",",
    decimal: str = ".",
    thousands: str | None = None,
    percent: bool = False,
) -> PanelSeries:
    """Read a long table, one row per client and time, and compute every client's inputs.

    The steps are the times that occur, in order. If a client has no row for a time, or an empty
    cell, its target is NaN: it is not learnt and not scored, and its inputs repeat the last value.
    Clients may begin late and end early. Rows may be in any order.

    The inputs for the target y[t + 1], theory section 8: the last `lags` increments; y[t] minus its
    exponential average (weight 0.1); with a season s, ``y[t+1-s] - y[t]`` and
    ``y[t+1-s] - y[t-s]``, and the three of `seasonal_inputs`.

    Parameters
    ----------
    data : path-like, or a pandas or polars frame
        A Parquet file if it ends in .parquet or .pq, else CSV, which may be compressed (.gz).
    id, time, target : str
        Columns of the client, of the time (dates, or numbers), and of the value to predict.
    lags : int
        Number of increments that are inputs, at least 1.
    season : int, optional
        Steps in a season, at least 2.
    holt_winters : bool
        Whether a season adds the inputs of `seasonal_inputs`.
    log : bool
        Whether to replace the target by its logarithm.
    dayfirst, sep, decimal, thousands, percent
        How a file writes dates and numbers, as in `load_csv`.

    Returns
    -------
    PanelSeries
        Clients are sorted by name; there is one step less than there are times.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a column is unknown; a client or a time is empty; a value is not a number, is
        infinite, or is not positive with `log`; a client has no value, or a time twice; or there
        are too few times.
    TypeError
        If `data` is neither a path nor a frame.
    ImportError
        If pandas (for Parquet also pyarrow) is missing: ``pip install "memoa[cli]"``.

    Examples
    --------
    >>> import pandas as pd
    >>> from memoa import datasets
    >>> frame = pd.DataFrame({"unique_id": ["a", "b"] * 5, "ds": range(10), "y": range(10)})
    >>> datasets.load_long(frame, lags=2)
    PanelSeries('panel': 2 clients, 9 steps, 3 inputs, 9 values missing)
    """
    lags = as_int("lags", lags, 1)
    season = None if season is None else as_int("season", season, 2)
    table = _table(data, Writing(sep, decimal, thousands, bool(percent)))
    clients, when, values = (_cells(table, name) for name in (id, time, target))
    ids, rows = np.unique(_as_ids(table, id, clients), return_inverse=True)
    times, steps = np.unique(_as_times(table, time, when, dayfirst), return_inverse=True)
    least = 3 if season is None else season + 2
    if len(times) < least:
        raise ValueError(f"{table.name}: {len(times)} times; expected at least {least}")
    y = np.full((len(times), len(ids)), np.nan)
    cells, first = np.unique(steps * len(ids) + rows, return_index=True)
    if len(cells) < len(rows):
        again = int(np.setdiff1d(np.arange(len(rows)), first)[0])
        raise ValueError(
            f"{table.name}: client {ids[rows[again]]!s} has the time {times[steps[again]]!s} "
            "twice; expected one row per client and time"
        )
    y[steps, rows] = _as_values(table, target, values, log)
    empty = np.isnan(y).all(axis=0)
    if empty.any():
        raise ValueError(f"{table.name}: client {ids[np.argmax(empty)]!s} has no value")
    inputs, columns = panel_inputs(y, lags, season, bool(holt_winters))
    return PanelSeries(
        inputs[:-1],
        y[1:, :, None],
        y[0][:, None],
        ids,
        times[1:],
        columns,
        table.name,
        (id, time, target),
        inputs[-1],
        made=(lags, season, bool(holt_winters)),
    )


@dataclass(frozen=True)
class _Columns:
    """Return the columns of a file or a frame, unchanged."""

    name: str
    cells: dict[str, Any]
    writing: Writing = field(default_factory=Writing)


def _table(data: Any, writing: Writing) -> _Columns:
    if hasattr(data, "columns") and hasattr(data, "__getitem__"):
        return _Columns("panel", {str(name): data[name] for name in data.columns})
    if not isinstance(data, (str, Path)) and not hasattr(data, "__fspath__"):
        raise TypeError(f"data is of type {type(data).__name__}; expected a path or a frame")
    table = Table.read(data, min_rows=1, writing=writing)
    return _Columns(Path(data).name.split(".")[0], dict(table.cells), writing)


def _cells(table: _Columns, column: str) -> NDArray[Any]:
    if column not in table.cells:
        known = ", ".join(map(repr, table.cells))
        raise ValueError(f"{table.name}: no column {column!r}; the columns are {known}")
    cells = table.cells[column]
    if hasattr(getattr(cells, "dt", None), "tz") and cells.dt.tz is not None:  # of pandas
        cells = cells.dt.tz_convert("UTC").dt.tz_localize(None)
    array: NDArray[Any] = np.asarray(cells)
    return array


def _as_ids(table: _Columns, column: str, cells: NDArray[Any]) -> NDArray[Any]:
    if cells.dtype.kind in "iu":
        return cells
    text = np.array([str(cell).strip() for cell in cells])
    missing = np.array([is_empty(cell) for cell in text])
    if missing.any():
        row = int(np.argmax(missing)) + 1
        raise ValueError(f"{table.name}: column {column!r}, row {row}: the client is empty")
    return text


def _as_times(
    table: _Columns, column: str, cells: NDArray[Any], dayfirst: bool | None
) -> NDArray[Any]:
    if cells.dtype.kind == "O" and len(cells) and not isinstance(cells[0], str):
        cells = cells.astype("datetime64[ns]")  # dates of Python
    if cells.dtype.kind in "iuM":
        times = cells
    else:
        numbers = to_floats(cells)
        times = _parse_repeated(cells, dayfirst) if np.isnan(numbers).all() else numbers
    missing = np.isnat(times) if times.dtype.kind == "M" else ~np.isfinite(times)
    if missing.any():
        row = int(np.argmax(missing))
        raise ValueError(
            f"{table.name}: column {column!r}, row {row + 1}: {str(cells[row])[:60]!r} is neither "
            "a date nor a number"
        )
    if times.dtype.kind == "f" and (times == np.round(times)).all():
        times = times.astype(np.int64)
    return times


def _parse_repeated(cells: NDArray[Any], dayfirst: bool | None) -> NDArray[np.datetime64]:
    """Return each date once, in order of occurrence, which helps to tell days from months."""
    places = {cell: k for k, cell in enumerate(dict.fromkeys(cells.tolist()))}
    dates = parse_dates(np.array(list(places), dtype=object), dayfirst)
    return dates[[places[cell] for cell in cells.tolist()]]


def _as_values(table: _Columns, column: str, cells: NDArray[Any], log: bool) -> FloatArray:
    values = to_floats(cells, table.writing)
    bad = np.isinf(values) | (log & (values <= 0.0))
    if cells.dtype.kind not in "biuf":
        bad |= np.isnan(values) & ~np.array([is_empty(cell) for cell in cells])
    if bad.any():
        row = int(np.argmax(bad))
        wanted = "a positive number" if log else "a finite number"
        raise ValueError(
            f"{table.name}: column {column!r}, row {row + 1}: {str(cells[row])[:60]!r} is not "
            f"{wanted}"
        )
    return np.log(values) if log else values
