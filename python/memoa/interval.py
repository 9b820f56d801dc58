"""Intervals around forecasts that contain a chosen share of the outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
        return self._core.run(own, y, as_int("delay", delay, 0))

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
