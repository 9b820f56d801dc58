"""Intervals around forecasts that contain a chosen share of the outcomes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from memoa import _core
from memoa._validate import Float64, as_float64, as_int, as_numbers, require_shape


class Intervals:
    """Intervals around any forecasts, learnt from the forecasts' errors.

    Each interval has a half-width, in units of a running scale of the errors. It grows after a miss
    and shrinks after a hit. So in the long run the chosen share of the outcomes is inside, for any
    forecasts and any series: theory (10.1) to (10.3). An engine.

    Parameters
    ----------
    levels : sequence of float
        Shares of the outcomes to contain, in (0, 1) and increasing.
    n_outputs : int
        Number d of outputs. Each is treated separately.

    Examples
    --------
    >>> import numpy as np
    >>> import memoa
    >>> y = np.random.default_rng(0).normal(size=(5000, 1))
    >>> bounds = memoa.Intervals((0.8, 0.95)).run(np.zeros_like(y), y)
    >>> inside = (bounds[1:, :, 0] <= y[1:, None]) & (y[1:, None] <= bounds[1:, :, 1])
    >>> inside.mean(axis=0)[:, 0].round(2).tolist()
    [0.8, 0.95]
    """

    def __init__(self, levels: Sequence[float], n_outputs: int = 1) -> None:
        self.levels = tuple(as_numbers("levels", levels))
        self.n_outputs = as_int("n_outputs", n_outputs, 1)
        self._core = _core.Intervals(list(self.levels), self.n_outputs)

    def bounds(self, forecast: ArrayLike) -> Float64:
        """Return lower and upper bounds, shape (levels, 2, d), around a forecast of shape (d,).

        NaN until an error was seen.
        """
        return self._core.bounds(self._one("forecast", forecast))

    def learn(
        self,
        forecast: ArrayLike,
        y: ArrayLike,
        bounds: ArrayLike | None = None,
        *,
        delay: int = 0,
    ) -> None:
        """Learn the outcome of a forecast.

        Parameters
        ----------
        forecast, y : array_like, shape (d,), float64
            NaN means no value.
        bounds : array_like, shape (levels, 2, d), float64, optional
            The bounds of this forecast, if others were requested since.
        delay : int
            Largest number of forecasts made since.
        """
        own = None if bounds is None else as_float64("bounds", bounds)
        self._core.learn(self._one("forecast", forecast), self._one("y", y), own, delay)

    def run(self, forecasts: ArrayLike, targets: ArrayLike, *, delay: int = 0) -> Float64:
        """Return the bounds (T, levels, 2, d) of forecasts, each before its outcome is learnt.

        Parameters
        ----------
        forecasts, targets : array_like, shape (T, d), float64
            Forecasts and outcomes; NaN outcomes are not learnt.
        delay : int
            Number of further forecasts after which an outcome is known.
        """
        shape = (None, self.n_outputs)
        own, y = as_float64("forecasts", forecasts), as_float64("targets", targets)
        require_shape("forecasts", own, "(n_steps, n_outputs)", shape)
        require_shape("targets", y, "(n_steps, n_outputs)", shape)
        if as_int("delay", delay, 0) > 0:
            return LateIntervals(self, delay).run(own, y)
        return self._core.run(own, y)

    def __copy__(self) -> Intervals:
        """Return a copy with the same state."""
        twin = object.__new__(Intervals)
        twin.levels, twin.n_outputs, twin._core = self.levels, self.n_outputs, copy(self._core)
        return twin

    def memory(self) -> list[float]:
        """Return all that was learnt."""
        return self._core.memory()

    def restore(self, memory: Sequence[float]) -> None:
        """Restore the result of `memory`; ValueError if it is not one."""
        self._core.restore(list(memory))

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings and all that was learnt."""
        return {"levels": self.levels, "n_outputs": self.n_outputs, "memory": self.memory()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state, with the same bits."""
        self.__init__(state["levels"], state["n_outputs"])  # type: ignore[misc]
        self.restore(state["memory"])

    def _one(self, name: str, value: ArrayLike) -> Float64:
        array = as_float64(name, value)
        require_shape(name, array, "(n_outputs,)", (self.n_outputs,))
        return array


class Waits(NamedTuple):
    """A forecast whose outcome is not learnt yet: its bounds, and its y if a run has it."""

    forecast: Float64  # (d,)
    bounds: Float64  # (levels, 2, d)
    told: Float64 | None  # (d,)


class LateIntervals:
    """Intervals whose outcomes arrive after further forecasts; each has its own bounds.

    Parameters
    ----------
    bands : Intervals
        The intervals.
    delay : int
        Number of forecasts that may come in between.
    """

    def __init__(self, bands: Intervals, delay: int) -> None:
        self.bands = bands
        self.delay = delay
        self.waiting: deque[Waits | None] = deque()  # None if nothing is to be learnt

    def __copy__(self) -> LateIntervals:
        """Return a copy with the same state and the same waiting forecasts."""
        twin = LateIntervals(copy(self.bands), self.delay)
        twin.waiting = self.waiting.copy()
        return twin

    def add(self, forecast: Float64 | None, bounds: Float64, told: Float64 | None = None) -> None:
        """Add a forecast with its bounds to those that wait; None if nothing was known."""
        self.waiting.append(None if forecast is None else Waits(forecast, bounds, told))

    def learn(self, y: Float64 | None = None) -> None:
        """Learn the oldest waiting forecast; without y, use the one that was set before."""
        oldest = self.waiting.popleft()
        outcome = y if y is not None or oldest is None else oldest.told
        if oldest is not None and outcome is not None:
            self.bands.learn(oldest.forecast, outcome, oldest.bounds, delay=self.delay)

    def run(
        self,
        forecasts: Float64,
        targets: Float64,
        knew: Any = None,
        arriving: bool = False,
    ) -> Float64:
        """Return bounds (T, levels, 2, d) of forecasts; `knew`: whether anything was known then.

        If targets are `arriving`, each belongs to the oldest waiting forecast.
        """
        shape = (len(self.bands.levels), 2, self.bands.n_outputs)
        bounds = np.full((len(forecasts), *shape), np.nan)
        for t, (forecast, y) in enumerate(zip(forecasts, targets)):
            if knew is None or knew[t]:
                bounds[t] = self.bands.bounds(forecast)
                told = None if arriving else y.copy()
                self.add(forecast.copy(), bounds[t].copy(), told)
            else:
                self.add(None, bounds[t])
            if len(self.waiting) > self.delay:
                self.learn(y if arriving else None)
        return bounds

    def forget(self, n_waiting: int) -> None:
        """Let so many forecasts wait, of which nothing is to be learnt."""
        self.waiting = deque([None] * n_waiting)

    def memory(self) -> list[Any]:
        """Return what waits, as JSON values."""
        return [None if one is None else [_listed(part) for part in one] for one in self.waiting]

    def restore(self, memory: Any, n_waiting: int) -> None:
        """Restore the result of `memory`; ValueError if it is not one."""
        if not isinstance(memory, list) or len(memory) != n_waiting:
            raise ValueError(f"waits is not a list of {n_waiting}; expected one entry per forecast")
        d, levels = self.bands.n_outputs, len(self.bands.levels)
        self.waiting.clear()
        for one in memory:
            if one is None:
                self.waiting.append(None)
                continue
            if not isinstance(one, list) or len(one) != 3:
                raise ValueError("waits has an entry that is not a forecast, bounds and y")
            forecast, bounds, told = one
            self.waiting.append(
                Waits(
                    _array(forecast, (d,)),
                    _array(bounds, (levels, 2, d)),
                    None if told is None else _array(told, (d,)),
                )
            )


def _listed(values: Float64 | None) -> list[float | None] | None:
    """Return the numbers as a flat list, None for NaN."""
    if values is None:
        return None
    return [None if np.isnan(value) else float(value) for value in values.ravel()]


def _array(values: Any, shape: tuple[int, ...]) -> Float64:
    known = (int, float, type(None))
    if not isinstance(values, list) or not all(type(value) in known for value in values):
        raise ValueError("waits has an entry that is not a number")
    array = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    if array.size != int(np.prod(shape)):
        raise ValueError(f"waits has {array.size} numbers; expected shape {shape}")
    return array.reshape(shape)
