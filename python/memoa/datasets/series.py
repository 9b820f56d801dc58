"""A series to forecast: inputs, targets, and the value before the first target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from memoa import _core
from memoa._validate import as_float64, as_int, require_shape
from memoa.datasets.table import DateArray, FloatArray


@dataclass(frozen=True, eq=False, repr=False)
class Series:
    """Inputs and targets of a series, in the order of time.

    The arrays are copied on construction and read-only. Two series are equal only if they are
    the same object.

    Parameters
    ----------
    name : str
        Short name, used in tables and titles.
    X : array_like, shape (T, dx)
        Inputs. Row t is all that is known when ``Y[t]`` is predicted. Here, and in all other
        arrays, NaN means a missing value.
    Y : array_like, shape (T, d)
        Targets: the values to forecast. ``Y[t]`` belongs to ``X[t]``.
    initial : array_like, shape (d,)
        The target's value just before ``Y[0]``; a forecaster observes it first.
    columns : sequence of str, length dx
        Names of the columns of X.
    targets : sequence of str, length d
        Names of the columns of Y.
    index : array_like of datetime64, shape (T,), optional
        Dates of the rows of Y; None if there are none.
    zone : str, optional
        Time zone in which they were written; then `index` itself is in UTC.
    next_x : array_like, shape (dx,), optional
        Inputs of the step after the last one, whose target is not known yet.
    left_out : dict of str to str, optional
        Columns of the file that are not inputs, and why.
    notes : sequence of str, optional
        What else a user of the file should know.
    past : sequence of int, optional
        Columns of X that contain past values of Y: see `late`.
    earlier : array_like, shape (k, d), optional
        Values just before `initial`, which become known one after the other if y arrives late.
    lags, season : int, optional
        If the series was read from a table: the number of past target values among the inputs, and
        the steps of the season that inputs were made for; None if there are none.

    Raises
    ------
    ValueError
        If shapes do not fit, a dimension is empty, or a value is infinite or NaT.
    TypeError
        If an array does not hold real numbers, or `index` does not hold datetime64.

    Examples
    --------
    >>> import numpy as np
    >>> from memoa.datasets import Series
    >>> y = np.sin(np.arange(50.0))[:, None]
    >>> series = Series("sine", X=y[:-1], Y=y[1:], initial=y[0], columns=["last"], targets=["y"])
    >>> series
    Series('sine': 49 steps, 1 input, target y)
    """

    name: str
    X: FloatArray
    Y: FloatArray
    initial: FloatArray
    columns: tuple[str, ...]
    targets: tuple[str, ...]
    index: DateArray | None = None
    zone: str | None = None
    next_x: FloatArray | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    past: tuple[int, ...] = ()
    earlier: FloatArray | None = None
    lags: int | None = None
    season: int | None = None

    def __post_init__(self) -> None:
        as_names("name", (self.name,))
        X = _frozen_floats("X", self.X, ("T", "dx"))
        Y = _frozen_floats("Y", self.Y, ("T", "d"))
        initial = _frozen_floats("initial", self.initial, ("d",))
        columns, targets = as_names("columns", self.columns), as_names("targets", self.targets)
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
        next_x = None
        if self.next_x is not None:
            next_x = _frozen_floats("next_x", self.next_x, ("dx",))
            require_shape("next_x", next_x, "(dx,)", (X.shape[1],))
        past = tuple(as_int("past", column, 0, below=X.shape[1]) for column in self.past)
        earlier = None
        if self.earlier is not None:
            earlier = _frozen_floats("earlier", self.earlier, ("k", "d"))
            require_shape("earlier", earlier, "(k, d)", (None, n_outputs))
        kept: dict[str, object] = {"X": X, "Y": Y, "initial": initial, "index": index}
        kept |= {"next_x": next_x, "columns": columns, "targets": targets}
        kept |= {"past": past, "earlier": earlier}
        kept |= {"left_out": MappingProxyType(dict(self.left_out)), "notes": tuple(self.notes)}
        for name, value in kept.items():
            object.__setattr__(self, name, value)

    @property
    def before(self) -> FloatArray:
        """The argument ``initial`` of `OnlineEnsemble.run`: shape (d,), or (k + 1, d) if late."""
        return self.initial if self.earlier is None else np.vstack([self.earlier, self.initial])

    def late(self, delay: int) -> Series:
        """Return the same series with every y known only after `delay` further steps.

        The columns of X that contain past values are shifted by `delay` steps; the others stay. The
        first `delay` steps become `earlier` values.

        Raises
        ------
        ValueError
            If the series is not longer than `delay`, or late already.
        """
        delay = as_int("delay", delay, 0, below=len(self.Y))
        if delay == 0:
            return self
        if self.earlier is not None:
            raise ValueError(f"{self.name} is late already")
        rows = self.X if self.next_x is None else np.vstack([self.X, self.next_x])
        X, past = rows[delay:].copy(), list(self.past)
        X[:, past] = rows[: len(rows) - delay, past]
        values = np.vstack([self.initial, self.Y[:delay]])
        return replace(
            self,
            X=X[: len(self.Y) - delay],
            Y=self.Y[delay:],
            initial=values[-1],
            earlier=values[:-1],
            index=None if self.index is None else self.index[delay:],
            next_x=None if self.next_x is None else X[-1],
        )

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by the constructor's arguments, so that a copy is read-only too."""
        values = (getattr(self, one.name) for one in fields(self))
        return type(self), tuple(dict(v) if isinstance(v, Mapping) else v for v in values)

    def __repr__(self) -> str:
        n_steps, n_inputs = self.X.shape
        plural = "" if n_inputs == 1 else "s"
        text = f"{n_steps} steps, {n_inputs} input{plural}, target {', '.join(self.targets)}"
        if self.index is not None:
            first, last = np.datetime_as_string(self.index[[0, -1]], unit="auto")
            text += f", {first} to {last}"
        return f"Series({self.name!r}: {text})"


def as_names(name: str, value: Sequence[str]) -> tuple[str, ...]:
    """Return the entries of `value`, checked to be one or more str."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"{name} is of type {type(value).__name__}; expected a sequence of str")
    for entry in value:
        if not isinstance(entry, str):
            raise TypeError(f"{name} holds {entry!r}; expected str")
    if not value:
        raise ValueError(f"{name} is empty; expected at least one name")
    return tuple(value)


def _frozen_floats(name: str, value: ArrayLike, shape: tuple[str, ...]) -> FloatArray:
    """Return a read-only float64 copy of real numbers or NaN with the named dimensions."""
    array: FloatArray = as_float64(name, value).copy()
    require_shape(name, array, f"({', '.join(shape)})", (None,) * len(shape))
    if np.isinf(array).any():
        _core.require_finite(name, np.where(np.isnan(array), 0.0, array))
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
