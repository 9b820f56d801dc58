"""Statistical models that are fitted anew at every step: statsforecast's AutoETS and AutoTheta.

They take minutes a series, so their results are kept in the repository, in ``STORED``, and shown
also where statsforecast is not installed. They are lines of ``results.jsonl``:

    grep forecasting.refitted OUT/experiments/results.jsonl > bench/results/refitted.jsonl
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from memoa._validate import Float64
from memoa.forecasters import Seasonal
from memoa.forecasters.last_value import LastValue

STORED = Path(__file__).resolve().parents[1] / "results" / "refitted.jsonl"
LONGEST = 24  # steps; AutoETS leaves longer seasons out
LEAST, MOST = 10, 500  # values before the first fit; values that are fitted to


class Refitted(LastValue):
    """A model that is fitted to the last 500 values at every step, one per output.

    It does not see the inputs. Its season is the period that `Seasonal` finds, none where that is
    1 or two seasons have not been seen. Where there are too few values for the model, or it fails,
    the last value is repeated.

    Parameters
    ----------
    model : callable
        Called with ``season_length=``; has statsforecast's ``forecast(y=, h=)``.
    """

    def __init__(self, model: Callable[..., Any]) -> None:
        super().__init__()
        self._model = model
        self._past: list[Float64] = []
        self._seasons: list[Seasonal] = []
        self.failures = 0

    def observe(self, y: ArrayLike) -> None:
        """Use y, shape (d,), as the last value."""
        super().observe(y)
        self._take(self._last)

    def predict_one(self, x: ArrayLike) -> Float64:
        """Forecast the next y, shape (d,)."""
        self._check_x(x)
        if len(self._past) < LEAST:
            return np.array(self._last)
        past = np.array(self._past[-MOST:])
        return np.array([self._next(past[:, o], s) for o, s in enumerate(self._seasons)])

    def learn_one(self, x: ArrayLike, y: ArrayLike) -> None:
        """Keep y, shape (d,)."""
        _, self._last = self._check(x, y)
        self._take(self._last)

    def _take(self, y: Float64) -> None:
        self._past.append(y)
        self._seasons = self._seasons or [Seasonal(longest=LONGEST) for _ in y]
        for season, value in zip(self._seasons, y, strict=True):
            season.learn_one([0.0], [value])

    def _next(self, past: Float64, season: Seasonal) -> float:
        """The forecast of one output."""
        period = season.period if len(past) >= 2 * season.period else 1
        try:
            found = float(self._model(season_length=period).forecast(y=past, h=1)["mean"][0])
        except Exception:  # it says by a plain Exception that no model could be fitted
            found = np.nan
        if np.isfinite(found):
            return found
        self.failures += 1
        return float(past[-1])


def _made(name: str) -> Refitted:
    models = importlib.import_module("statsforecast.models")
    return Refitted(getattr(models, name))


REFITTED: dict[str, Callable[[], Refitted]] = {
    "statsforecast: AutoETS": partial(_made, "AutoETS"),
    "statsforecast: AutoTheta": partial(_made, "AutoTheta"),
}


def installed() -> str | None:
    """The version of statsforecast that is installed, or None."""
    try:
        return version("statsforecast")
    except PackageNotFoundError:
        return None


def stored() -> str | None:
    """The version that made the results in ``STORED``, or None where there are none."""
    if not STORED.exists():
        return None
    with STORED.open(encoding="utf-8") as file:
        identity: dict[str, str] = json.loads(file.readline())["identity"]
    return identity["statsforecast"]
