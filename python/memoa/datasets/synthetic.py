"""Computed series: periodic, logistic and drifting."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from memoa._validate import as_int
from memoa.datasets.series import Series
from memoa.datasets.table import FloatArray


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

    The input (g, g, r) is taken at the point of the target: it determines the target.

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
"""Series that need no file, by their names on the command line."""


def _autonomous(name: str, y: FloatArray) -> Series:
    """Return the series whose only input is its own last value."""
    return Series(name, y[:-1, None], y[1:, None], y[:1], ("y",), ("y",), next_x=y[-1:], past=(0,))
