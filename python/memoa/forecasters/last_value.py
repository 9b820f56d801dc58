"""The common base of the baselines: the last value seen, and checks of their inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from memoa import _core
from memoa._validate import Float64, as_float64, require_shape


class LastValue:
    """Holds the last y. A refused call changes nothing."""

    def __init__(self) -> None:
        self._last = np.zeros(1)
        self._n_inputs: int | None = None
        self._n_outputs: int | None = None

    def observe(self, y: ArrayLike) -> None:
        """Use y, shape (d,), as the last value."""
        self._last = self._check_y(y)
        self._n_outputs = self._last.size

    def _check_x(self, x: ArrayLike) -> Float64:
        return _checked("x", x, "(n_inputs,)", self._n_inputs)

    def _check_y(self, y: ArrayLike) -> Float64:
        """Return a copy of the last value, shape (d,)."""
        return np.array(_checked("y", y, "(n_outputs,)", self._n_outputs))

    def _check(self, x: ArrayLike, y: ArrayLike) -> tuple[Float64, Float64]:
        """Return x and y, checked; their widths must not change from now on."""
        inputs, target = self._check_x(x), self._check_y(y)
        self._n_inputs, self._n_outputs = inputs.size, target.size
        return inputs, target


def _checked(name: str, value: ArrayLike, label: str, width: int | None) -> Float64:
    array: Float64 = np.atleast_1d(as_float64(name, value))
    require_shape(name, array, label, (width,))
    _core.require_finite(name, array)
    return array
