"""Reads dates in common formats; finds their time zone and spacing."""

from __future__ import annotations

import re
import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memoa.datasets.cells import is_empty

DateArray = NDArray[np.datetime64]
_OFFSET = re.compile(r"[0-9][T ][0-9:.,]+ ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2}|[+-][0-9]{2})$", re.I)
_ORDERED = re.compile(r"[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{4}")


class Dates(NamedTuple):
    """A column of dates.

    Attributes
    ----------
    values : ndarray of datetime64
        The dates, in UTC if there is a time zone; NaT if a cell is not a date.
    zone : str or None
        The time zone in which they were written; "UTC" if there were several.
    order : str or None
        "day first" or "month first" if the cells do not determine the order.
    """

    values: DateArray
    zone: str | None = None
    order: str | None = None


def read_dates(cells: NDArray[Any], dayfirst: bool | None = None) -> Dates:
    """Read the cells as dates, in the format that fits best.

    Of several readings that fit, those with increasing dates are preferred, of these the one with
    the most even spacing, of these month first.
    """
    import pandas as pd
    from pandas.tseries.api import guess_datetime_format

    if cells.dtype.kind == "M":
        return Dates(cells)
    text = [str(cell).strip() for cell in cells]

    def read(style: str) -> DateArray:
        dates = pd.to_datetime(text, format=style, errors="coerce", utc=True)
        return dates.tz_localize(None).to_numpy()

    iso = read("ISO8601")
    if not np.isnat(iso).any():
        return Dates(iso, _zone(text))
    sample = next((cell for cell in text if not is_empty(cell)), "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns if only one order of day and month fits
        orders = (False, True) if dayfirst is None else (dayfirst,)
        styles = {first: guess_datetime_format(sample, dayfirst=first) for first in orders}
    readings = [(iso, None)] + [(read(s), first) for first, s in styles.items() if s]
    dates, first = min(readings, key=lambda reading: _misfit(reading[0]))
    told = None
    if _ORDERED.match(sample) and first is not None:
        told = "day first" if first else "month first"
    return Dates(dates, _zone(text), told)


def parse_dates(cells: NDArray[Any], dayfirst: bool | None = None) -> DateArray:
    """Return only the values of `read_dates`."""
    return read_dates(cells, dayfirst).values


def _misfit(dates: DateArray) -> tuple[int, bool, float]:
    """Return how badly a reading fits; the smallest is the best."""
    missing = int(np.isnat(dates).sum())
    if missing or len(dates) < 2:
        return missing, False, 0.0
    steps = np.diff(dates)
    if not (steps > np.timedelta64(0)).all():
        return 0, True, 0.0
    return 0, False, float(steps.max() / np.median(steps))


def _zone(text: list[str]) -> str | None:
    """Return the offset from UTC of all cells; UTC if there are several, None if there is none.

    Cells without a time of day have no offset.
    """
    found = {match[1].upper() for cell in text if (match := _OFFSET.search(cell))}
    if not found:
        return None
    if len(found) > 1 or found & {"Z", "UTC", "+00", "+0000", "+00:00"}:
        return "UTC"
    (offset,) = found
    hours, minutes = offset[:3], offset[3:].lstrip(":") or "00"
    return f"UTC{hours}:{minutes}"


def in_zone(index: DateArray, zone: str | None) -> Any:
    """Return the dates as a pandas index, with their time zone."""
    import pandas as pd

    found = pd.DatetimeIndex(index)
    return found if zone is None else found.tz_localize("UTC").tz_convert(zone)


def next_date(index: DateArray, zone: str | None = None) -> np.datetime64 | None:
    """Return the date after the last one: one more calendar step, or else one more usual step.

    Months, quarters and years follow the calendar, and so do working days. None if there are fewer
    than two dates.
    """
    import pandas as pd

    if len(index) < 2:
        return None
    dates = in_zone(index, zone)
    usual = usual_step(index)
    following = dates[-1] + pd.Timedelta(usual)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what infer_freq will return one day
        try:
            step = pd.infer_freq(dates[-60:]) if len(dates) > 2 else None
        except ValueError:
            step = None
    if step is not None:
        following = pd.date_range(dates[-1], periods=2, freq=step)[-1]
    elif usual == np.timedelta64(1, "D") and (dates.day_of_week < 5).all():
        following = dates[-1] + pd.offsets.BDay(1)
    elif is_calendar(index):
        months = int(np.round(usual / np.timedelta64(1, "D") / 30.44))
        following = dates[-1] + pd.DateOffset(months=months)
    if following.tzinfo is not None:
        following = following.tz_convert("UTC").tz_localize(None)
    found: np.datetime64 = following.to_datetime64()
    return found


def usual_step(index: DateArray) -> np.timedelta64:
    """Return the most frequent step; of equally frequent ones the shortest."""
    steps, counts = np.unique(np.diff(index), return_counts=True)
    found: np.timedelta64 = steps[np.argmax(counts)]
    return found


def is_calendar(index: DateArray) -> bool:
    """Return whether steps are one or several months, of any length."""
    days = np.diff(index) / np.timedelta64(1, "D")
    months = np.round(days / 30.44)
    return bool((months >= 1).all() and (abs(days - months * 30.44) <= 2.5).all())


def spacing(index: DateArray, zone: str | None = None) -> str | None:
    """Describe irregular steps between dates in one sentence; None if there are none.

    Months and working days of the calendar are regular, and so are changes to and from summer time.
    """
    if zone is not None and _odd(in_zone(index, zone).tz_localize(None).to_numpy()) is None:
        return None
    return _odd(index)


def _odd(index: DateArray) -> str | None:
    if len(index) < 3 or is_calendar(index):
        return None
    steps = np.diff(index)
    usual = usual_step(index)
    odd = steps != usual
    if usual == np.timedelta64(1, "D"):
        weekday = (index.astype("M8[D]").astype(np.int64) + 3) % 7  # Monday is 0
        if (weekday < 5).all():
            odd &= ~((weekday[:-1] == 4) & (steps == np.timedelta64(3, "D")))
    if not odd.any():
        return None
    longest = int(np.argmax(np.where(odd, steps, steps.min())))
    since, until = np.datetime_as_string(index[[longest, longest + 1]], unit="auto")
    are = "is" if odd.sum() == 1 else "are"
    return (
        f"{odd.sum()} of {len(steps)} steps {are} not the usual {length(usual)}; the longest is "
        f"{length(steps[longest])}, from {since} to {until}"
    )


def length(step: np.timedelta64) -> str:
    """Describe a time span in words."""
    seconds = float(step / np.timedelta64(1, "s"))
    for unit, size in (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0), ("second", 1.0)):
        if seconds >= size:
            count = seconds / size
            return f"{count:g} {unit}" + ("" if count == 1 else "s")
    return f"{seconds:g} seconds"
