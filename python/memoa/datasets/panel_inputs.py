"""Inputs of a panel's clients, from their own past: increments, level, season."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from memoa._validate import as_float64, as_int
from memoa.datasets.table import FloatArray

LEVEL_WEIGHT = 0.1  # of the newest value, in the average that values are compared with
SMOOTH_LEVEL, SMOOTH_INDEX = 0.2, 0.3  # of the newest value, additive Holt-Winters


def seasonal_inputs(y: ArrayLike, season: int | Literal["auto"]) -> FloatArray:
    """Compute seasonal inputs from additive Holt-Winters smoothing; theory (8.8).

    With a level and one seasonal index per phase, the three inputs at t, for the target y[t + 1]:

    1. the increment that the smoothing forecasts, ``level + index[next phase] - y[t]``;
    2. the change of the index, ``index[next phase] - index[phase]``;
    3. the mean of the increments into the next phase so far.

    Nothing looks ahead. A missing value changes nothing, and inputs before a client's first value
    are 0.

    Parameters
    ----------
    y : array_like, shape (T,) or (T, N), float64
        One series, or one per client; NaN means no value.
    season : int or "auto"
        Steps in a season, at least 2. "auto", for one series: the season whose repetition has the
        smallest error over the first third of the series. All inputs are 0 if repeating the last
        value is better than any season.

    Returns
    -------
    ndarray, shape (T, 3) or (T, N, 3)

    Raises
    ------
    ValueError, TypeError
        If `y` has another number of dimensions or infinite values, or `season` is not such an
        integer.

    Examples
    --------
    >>> import numpy as np
    >>> from memoa import datasets
    >>> y = np.tile([0.0, 1.0, 3.0, 2.0], 30)
    >>> change = np.diff(y)[-4:]
    >>> float(np.abs(datasets.seasonal_inputs(y, 4)[-5:-1, 0] - change).max().round(3))
    0.0
    """
    values = as_float64("y", y)
    if season != "auto":
        season = as_int("season", season, 2)
    if values.ndim not in (1, 2) or values.size == 0:
        raise ValueError(f"y has shape {values.shape}; expected (T,) or (T, N), none of them 0")
    if np.isinf(values).any():
        raise ValueError("y holds infinite values; expected numbers, or NaN for none")
    columns = values[:, None] if values.ndim == 1 else values
    if season == "auto":
        if columns.shape[1] > 1:
            raise ValueError(f"season is 'auto', for one series; y has {columns.shape[1]}")
        found = _find_season(columns[:, 0])
        if found is None:
            return np.zeros((*values.shape, 3))
        season = found
    inputs = _seasonal(columns, season)
    return inputs[:, 0] if values.ndim == 1 else inputs


def _find_season(y: FloatArray) -> int | None:
    """Return the lag with the smallest repetition error over the first third of a series."""
    known = fill_forward(y[:, None])[:, 0]
    known = known[~np.isnan(known)]
    known = known[: max(len(known) // 3, 8)]
    errors = {
        lag: float(np.mean(np.square(known[lag:] - known[:-lag])))
        for lag in range(1, len(known) // 2 + 1)
    }
    best = min(errors, key=errors.__getitem__, default=1)
    return best if best > 1 else None


def _seasonal(y: FloatArray, season: int, delay: int = 0) -> FloatArray:
    n_steps, n_clients = y.shape
    out = np.zeros((n_steps, n_clients, 3))
    level, last = np.full((2, n_clients), np.nan)
    index, sums, counts = np.zeros((3, season, n_clients))
    for t in range(n_steps):
        phase, following = t % season, (t + 1 + delay) % season
        between = (t + 1 + np.arange(delay + 1)) % season  # phases up to the target's
        now = y[t]
        seen, started = ~np.isnan(now), ~np.isnan(level)
        smooth = (1.0 - SMOOTH_LEVEL) * level + SMOOTH_LEVEL * (now - index[phase])
        level = np.where(seen, np.where(started, smooth, now), level)
        smooth = (1.0 - SMOOTH_INDEX) * index[phase] + SMOOTH_INDEX * (now - level)
        index[phase] = np.where(seen, smooth, index[phase])
        grown = seen & ~np.isnan(last)
        sums[phase] += np.where(grown, now - last, 0.0)
        counts[phase] += grown
        last = np.where(seen, now, last)
        known = ~np.isnan(last)
        out[t, :, 0] = np.where(known, level + index[following] - last, 0.0)
        out[t, :, 1] = np.where(known, index[following] - index[phase], 0.0)
        out[t, :, 2] = (sums[between] / np.maximum(counts[between], 1)).sum(axis=0)
    return out


def panel_inputs(
    y: FloatArray, lags: int, season: int | None, holt_winters: bool, delay: int = 0
) -> tuple[FloatArray, tuple[str, ...]]:
    """Return inputs (T, N, dx), known at t for the target at t + 1 + delay, and their names."""
    filled = fill_forward(y)
    columns = [_change(filled, lag, lag + 1) for lag in range(lags)]
    names = [f"increment lag {lag}" if lag else "increment" for lag in range(lags)]
    columns.append(_level_deviation(filled))
    names.append("level deviation")
    if season is not None:
        ago = season * (delay // season + 1)  # the latest season that is known, theory (10.8)
        same = ago - 1 - delay
        columns += [_change(filled, same, 0), _change(filled, same, ago)]
        names += ["seasonal gap", "seasonal increment"]
        if holt_winters:
            columns += list(np.moveaxis(_seasonal(y, season, delay), 2, 0))
            names += ["Holt-Winters increment", "seasonal index change", "mean seasonal increment"]
    return np.stack(columns, axis=2), tuple(names)


def fill_forward(y: FloatArray) -> FloatArray:
    """Fill gaps with the last value; NaN stays before the first one."""
    rows = np.where(np.isnan(y), -1, np.arange(len(y))[:, None])
    latest = np.maximum.accumulate(rows, axis=0)
    return np.where(latest >= 0, np.take_along_axis(y, np.maximum(latest, 0), axis=0), np.nan)


def _change(filled: FloatArray, newer: int, older: int) -> FloatArray:
    """Return y[t - newer] - y[t - older], and 0 if one of them is not known."""
    change = _lag(filled, newer) - _lag(filled, older)
    return np.where(np.isnan(change), 0.0, change)


def _lag(values: FloatArray, lag: int) -> FloatArray:
    before = np.full((min(lag, len(values)), values.shape[1]), np.nan)
    return np.concatenate([before, values[: len(values) - len(before)]])


def _level_deviation(filled: FloatArray) -> FloatArray:
    """Return the value minus its exponential average."""
    out = np.zeros_like(filled)
    average = np.full(filled.shape[1], np.nan)
    for t, now in enumerate(filled):
        smooth = (1.0 - LEVEL_WEIGHT) * average + LEVEL_WEIGHT * now
        average = np.where(np.isnan(average), now, smooth)
        out[t] = np.where(np.isnan(now), 0.0, now - average)
    return out
