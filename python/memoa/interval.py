"""How sure a forecast is: intervals that hold a wanted share of the outcomes."""

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
    """Intervals around the forecasts of anybody, which learn from their errors.

    A half-width, in units of a running scale of the errors, grows after a miss and shrinks after a
    hit, so that in the long run the wanted share of the outcomes lies within, whatever the
    forecasts are and whatever becomes of the series: theory (10.1) to (10.3). An engine.

    Parameters
    ----------
    levels : sequence of float
        Wanted shares, each in (0, 1) and above the one before.
    n_outputs : int
        d. Every output is treated alone.

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
        """Lower and upper bounds around a forecast of shape (d,); shape (levels, 2, d).

        nan as long as no error was seen.
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
            nan where there is none.
        bounds : array_like, shape (levels, 2, d), float64, optional
            Those that the forecast had, where others were asked for since.
        delay : int
            Forecasts made since, at most.
        """
        own = None if bounds is None else as_float64("bounds", bounds)
        self._core.learn(self._one("forecast", forecast), self._one("y", y), own, delay)

    def run(self, forecasts: ArrayLike, targets: ArrayLike, *, delay: int = 0) -> Float64:
        """Bounds of forecasts, shape (T, d), each before its outcome is learnt; (T, levels, 2, d).

        Parameters
        ----------
        forecasts, targets : array_like, shape (T, d), float64
            A target that is nan teaches nothing.
        delay : int
            An outcome is known after so many further forecasts.
        """
        shape = (None, self.n_outputs)
        own, y = as_float64("forecasts", forecasts), as_float64("targets", targets)
        require_shape("forecasts", own, "(n_steps, n_outputs)", shape)
        require_shape("targets", y, "(n_steps, n_outputs)", shape)
        if as_int("delay", delay, 0) > 0:
            return LateIntervals(self, delay).run(own, y)
        return self._core.run(own, y)

    def __copy__(self) -> Intervals:
        """Others that have learnt the same."""
        twin = object.__new__(Intervals)
        twin.levels, twin.n_outputs, twin._core = self.levels, self.n_outputs, copy(self._core)
        return twin

    def memory(self) -> list[float]:
        """All that was learnt."""
        return self._core.memory()

    def restore(self, memory: Sequence[float]) -> None:
        """Go on with what `memory` gave; ValueError where it is none."""
        self._core.restore(list(memory))

    def __getstate__(self) -> dict[str, Any]:
        """Settings and all that was learnt."""
        return {"levels": self.levels, "n_outputs": self.n_outputs, "memory": self.memory()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Go on with the same bits."""
        self.__init__(state["levels"], state["n_outputs"])  # type: ignore[misc]
        self.restore(state["memory"])

    def _one(self, name: str, value: ArrayLike) -> Float64:
        array = as_float64(name, value)
        require_shape(name, array, "(n_outputs,)", (self.n_outputs,))
        return array


class Waits(NamedTuple):
    """A forecast whose outcome is not known yet: its bounds, and the y that a run has told."""

    forecast: Float64  # (d,)
    bounds: Float64  # (levels, 2, d)
    told: Float64 | None  # (d,)


class LateIntervals:
    """Intervals whose outcomes come after further forecasts, each judged by its own bounds.

    Parameters
    ----------
    bands : Intervals
    delay : int
        Forecasts that may come in between.
    """

    def __init__(self, bands: Intervals, delay: int) -> None:
        self.bands = bands
        self.delay = delay
        self.waiting: deque[Waits | None] = deque()  # None where nothing is to be learnt

    def __copy__(self) -> LateIntervals:
        """Others that have learnt the same, and for whose outcomes the same forecasts wait."""
        twin = LateIntervals(copy(self.bands), self.delay)
        twin.waiting = self.waiting.copy()
        return twin

    def add(self, forecast: Float64 | None, bounds: Float64, told: Float64 | None = None) -> None:
        """A forecast with its bounds joins those that wait; None where nothing was known."""
        self.waiting.append(None if forecast is None else Waits(forecast, bounds, told))

    def learn(self, y: Float64 | None = None) -> None:
        """The oldest forecast leaves; y is told before where none is given."""
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
        """Bounds (T, levels, 2, d) of a series of forecasts; `knew`: was anything known then?

        Where targets are `arriving`, each is that of the oldest forecast that waits.
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
        """So many forecasts wait, of which nothing is to be learnt."""
        self.waiting = deque([None] * n_waiting)

    def memory(self) -> list[Any]:
        """What waits, as JSON can hold it."""
        return [None if one is None else [_listed(part) for part in one] for one in self.waiting]

    def restore(self, memory: Any, n_waiting: int) -> None:
        """Go on with what `memory` gave; ValueError where it is none."""
        if not isinstance(memory, list) or len(memory) != n_waiting:
            raise ValueError(f"waits is no list of {n_waiting}; expected one of each forecast")
        d, levels = self.bands.n_outputs, len(self.bands.levels)
        self.waiting.clear()
        for one in memory:
            if one is None:
                self.waiting.append(None)
                continue
            if not isinstance(one, list) or len(one) != 3:
                raise ValueError("waits holds something else than a forecast, bounds and y")
            forecast, bounds, told = one
            self.waiting.append(Waits(
                _array(forecast, (d,)), _array(bounds, (levels, 2, d)),
                None if told is None else _array(told, (d,)),
            ))  # fmt: skip


def _listed(values: Float64 | None) -> list[float | None] | None:
    """Numbers in a row, None for nan."""
    if values is None:
        return None
    return [None if np.isnan(value) else float(value) for value in values.ravel()]


def _array(values: Any, shape: tuple[int, ...]) -> Float64:
    known = (int, float, type(None))
    if not isinstance(values, list) or not all(type(value) in known for value in values):
        raise ValueError("waits holds something else than numbers")
    array = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    if array.size != int(np.prod(shape)):
        raise ValueError(f"waits holds {array.size} numbers where {shape} are expected")
    return array.reshape(shape)
