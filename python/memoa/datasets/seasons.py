"""Seasons and the calendar as inputs of a single series."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memoa._validate import as_int
from memoa.datasets.cells import FloatArray
from memoa.datasets.dates import DateArray, in_zone, is_calendar, usual_step
from memoa.datasets.panel_inputs import fill_forward, seasonal_inputs

NAMES = (
    "Holt-Winters increment",
    "seasonal index change",
    "mean seasonal increment",
    "seasonal gap",
)
LEAST_SEASONS = 3  # in a series, to use the season of its dates
SECONDS = {60: 60, 300: 288, 600: 144, 900: 96, 1800: 48, 3600: 24, 86400: 7, 604800: 52}
MONTHS = {1: 12, 2: 6, 3: 4, 6: 2}
_DAY, _SECOND = np.timedelta64(1, "D"), np.timedelta64(1, "s")


def season_of(index: DateArray) -> int | None:
    """Return the steps in the usual season of dates with this spacing; None if there is none.

    A minute: the hour; minutes and hours: the day; days: the week; weeks and months: the year.
    """
    if len(index) < 3:
        return None
    usual = usual_step(index)
    if is_calendar(index):
        return MONTHS.get(int(np.round(usual / _DAY / 30.44)))
    return SECONDS.get(int(np.round(usual / _SECOND)))


def chosen_season(
    season: int | Literal["auto"] | None, index: DateArray | None, n_steps: int
) -> int | None:
    """Return the season in steps: the one given or, for "auto", that of the dates, or None.

    The dates choose one only if the series has three seasons of it.
    """
    if season != "auto":
        return None if season is None else as_int("season", season, 2)
    found = None if index is None else season_of(index)
    return None if found is None or n_steps < LEAST_SEASONS * found else found


def season_columns(y: FloatArray, season: int | None) -> FloatArray:
    """Return the inputs of a season for one target, shape (T, 4), or (T, 0) without a season.

    These are the `seasonal_inputs`, and the change that repeating the last season would give.
    """
    if season is None:
        return np.empty((len(y), 0))
    filled = fill_forward(y[:, None])[:, 0]
    gap = np.zeros(len(y))
    gap[season - 1 :] = filled[: max(len(y) - season + 1, 0)] - filled[season - 1 :]
    return np.column_stack([seasonal_inputs(y, season), np.nan_to_num(gap)])


def calendar_inputs(times: ArrayLike, zone: str | None = None) -> tuple[FloatArray, list[str]]:
    """Return sine and cosine of hour, day of the week and day of the year, and their names.

    The hour is used if steps are shorter than a day, the day of the week if they are not longer.

    Parameters
    ----------
    times : array_like of datetime64, shape (T,)
        Dates of the values to forecast, which are known before the values.
    zone : str, optional
        Time zone to use; then `times` are in UTC.

    Returns
    -------
    inputs : ndarray, shape (T, k)
        Sines and cosines.
    names : list of str, length k
        Names of the columns.

    Raises
    ------
    TypeError, ValueError
        If `times` are not dates, or fewer than two.

    Examples
    --------
    >>> import numpy as np
    >>> from memoa import datasets
    >>> hours = np.arange("2024-01-01T00", "2024-01-01T12", dtype="datetime64[h]")
    >>> inputs, names = datasets.calendar_inputs(hours)
    >>> names
    ['hour sin', 'hour cos', 'week sin', 'week cos', 'year sin', 'year cos']
    >>> inputs[6, :2].round(3).tolist()
    [1.0, 0.0]
    """
    dates: NDArray[np.datetime64] = np.asarray(times)
    if dates.dtype.kind != "M":
        raise TypeError(f"times has dtype {dates.dtype}; expected datetime64")
    if dates.ndim != 1 or len(dates) < 2 or np.isnat(dates).any():
        raise ValueError(f"times has shape {dates.shape}; expected (T,), two or more, without NaT")
    local = in_zone(dates, zone)
    step = usual_step(dates)
    hours = (local.hour + local.minute / 60.0 + local.second / 3600.0).to_numpy(float)
    days = local.day_of_week.to_numpy(float) + hours / 24.0
    of_year = local.day_of_year.to_numpy(float) - 1.0 + hours / 24.0
    turns = {"year": of_year / 365.25}
    if step <= _DAY:
        turns = {"week": days / 7.0, **turns}
    if step < _DAY:
        turns = {"hour": hours / 24.0, **turns}
    columns = [f(2.0 * np.pi * part) for part in turns.values() for f in (np.sin, np.cos)]
    return np.column_stack(columns), [f"{name} {f}" for name in turns for f in ("sin", "cos")]
