"""Compares a panel with clients on their own, with one readout for all, and with smoothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from memoa._validate import Float64
from memoa.datasets.panels import PanelSeries
from memoa.forecasters.panel_rivals import RIVALS, repeat_last
from memoa.panel import Panel
from memoa.panel_run import PanelRun

LEVELS = (0.8, 0.95)
PANEL, ALONE, REPEAT = "panel", "private ridge", "repeat last value"
ProgressCallback = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class PanelComparison:
    """Forecasts of a panel and of other methods, and the clients' errors.

    Attributes
    ----------
    series : PanelSeries
    runs : dict of str to PanelRun
        The runs by name; ``panel`` is the first.
    errors : dict of str to ndarray, shape (N,)
        Every client's error over that of repeating its last known value; NaN if too few steps were
        scored.
    next : ndarray, shape (N, 1), optional
        The panel's forecast of the step after the last one, if its inputs are known.
    """

    series: PanelSeries
    runs: Mapping[str, PanelRun]
    errors: Mapping[str, Float64]
    next: Float64 | None = None

    def mean(self, name: str) -> float:
        """Error of the mean client."""
        return _over(np.nanmean, self.errors[name])

    def worst(self, name: str) -> float:
        """Error of the client with the largest one."""
        return _over(np.nanmax, self.errors[name])

    def better_than_alone(self, name: str) -> float:
        """Share of the clients whose error is below a private ridge's."""
        mine, alone = self.errors[name], self.errors[ALONE]
        compared = ~np.isnan(mine - alone)
        return float((mine < alone)[compared].mean()) if compared.any() else float("nan")

    def to_frame(self) -> Any:
        """Return the forecasts as a long pandas frame, one column per forecaster.

        It also has the bounds of the panel's intervals, for `LEVELS`, and after the last step the
        panel's forecast of the next one, whose target is NaN.
        """
        columns = {name.replace(" ", "_"): run.predictions for name, run in self.runs.items()}
        bounds = self.runs[PANEL].prediction_intervals(LEVELS)
        for k, level in enumerate(LEVELS):
            for side, name in enumerate(("low", "high")):
                columns[f"{PANEL}_{name}_{100 * level:g}"] = bounds[:, k, side]
        frame = self.series.to_frame(**columns)
        if self.next is None:
            return frame
        import pandas as pd

        return pd.concat([frame, self.series.next_frame(**{PANEL: self.next})], ignore_index=True)


def compare_panel(
    series: PanelSeries,
    *,
    pooling: float = 10.0,
    ridge: float = 1.0,
    aggregate: str = "trimmed",
    n_threads: int | None = None,
    progress: ProgressCallback | None = None,
) -> PanelComparison:
    """Run a panel and other methods on one series.

    Parameters
    ----------
    series : PanelSeries
        A panel with one output. If its values are late (`PanelSeries.late`), no method knows them
        earlier.
    pooling, ridge, aggregate, n_threads
        As for `memoa.Panel`.
    progress : callable, optional
        Called as ``progress(done, total, what)`` before each forecaster.
    """
    if series.Y.shape[2] != 1:
        raise ValueError(f"series has {series.Y.shape[2]} outputs; expected 1")

    following: list[Float64] = []

    def panel(series: PanelSeries, n_threads: int | None) -> Float64:
        engine = Panel(
            len(series.ids),
            pooling=pooling,
            ridge=ridge,
            aggregate=aggregate,  # type: ignore[arg-type]
            delay=series.delay,
            n_threads=n_threads,
        )
        run = engine.run(series.X, series.Y, initial=series.before, awake=series.awake)
        if series.next_X is not None:
            following.append(engine.predict_one(series.next_X))
        return run.predictions

    forecasters = {PANEL: panel, **RIVALS}
    initial = series.before.reshape(-1, *series.initial.shape)[0]
    bases = repeat_last(series, n_threads) if series.delay > 0 else None
    runs = {}
    for done, (name, forecaster) in enumerate(forecasters.items()):
        if progress is not None:
            progress(done, len(forecasters), name)
        predictions = forecaster(series, n_threads)
        runs[name] = PanelRun(predictions, series.Y, initial, series.delay, bases)
    errors = {name: run.relative_rmse() for name, run in runs.items()}
    return PanelComparison(series, runs, errors, following[0] if following else None)


def _over(measure: Callable[[Float64], Any], errors: Float64) -> float:
    return float(measure(errors)) if not np.isnan(errors).all() else float("nan")
