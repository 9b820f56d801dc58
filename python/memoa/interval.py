"""How sure a forecast is: intervals that hold a wanted share of the outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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

    def learn(self, forecast: ArrayLike, y: ArrayLike) -> None:
        """Learn the outcome `y` of a forecast, shape (d,) each; nan where there is none."""
        self._core.learn(self._one("forecast", forecast), self._one("y", y))

    def run(self, forecasts: ArrayLike, targets: ArrayLike) -> Float64:
        """Bounds of forecasts, shape (T, d), each before its outcome is learnt; (T, levels, 2, d).

        Parameters
        ----------
        forecasts, targets : array_like, shape (T, d), float64
            A target that is nan teaches nothing.
        """
        shape = (None, self.n_outputs)
        arrays = [as_float64("forecasts", forecasts), as_float64("targets", targets)]
        for name, array in zip(("forecasts", "targets"), arrays):
            require_shape(name, array, "(n_steps, n_outputs)", shape)
        return self._core.run(*arrays)

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
