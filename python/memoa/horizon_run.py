"""The result of several leads on a series, with one table; `plots.horizon` draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from memoa._validate import Float64, as_float64, as_int, require_shape
from memoa.run import Run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class MultiHorizonRun:
    """Forecasts of several leads over T rows of a series, an immutable value.

    Attributes
    ----------
    leads : tuple of int
        Number of steps ahead of each lead.
    runs : tuple of Run
        The run of each lead. Row t of ``predictions`` is the forecast made at row t, and row t of
        ``targets`` is its y, ``Y[t + lead - 1]``; NaN if it is not known yet.
    Y : ndarray, shape (T, d)
        The values of the series.

    Examples
    --------
    >>> import memoa
    >>> series = memoa.datasets.logistic_map(400)
    >>> model = memoa.MultiHorizon(memoa.OnlineEnsemble(n_agents=20), leads=(1, 3))
    >>> run = model.run(series.X, series.Y, initial=series.initial)
    >>> run.run_of(3).predictions.shape
    (400, 1)
    >>> run.unseen(3).shape  # of steps after the end of the series
    (2, 1)
    """

    leads: tuple[int, ...]
    runs: tuple[Run, ...]
    Y: Float64

    def __post_init__(self) -> None:
        self.Y.setflags(write=False)

    @property
    def predictions(self) -> Float64:
        """Forecasts at every row, shape (leads, T, d)."""
        return np.array([run.predictions for run in self.runs])

    def run_of(self, lead: int) -> Run:
        """Return the run of a lead."""
        if lead not in self.leads:
            raise ValueError(f"lead is {lead!r}; expected one of {self.leads}")
        return self.runs[self.leads.index(lead)]

    def unseen(self, lead: int) -> Float64:
        """Return forecasts after the end of the series, ``Y[T]``, ``Y[T + 1]``, ..., shape (n, d).

        n is lead - 1, or lead if the inputs of the next row were given; less in a short series.
        """
        run = self.run_of(lead)
        made = run.predictions[self._n_seen(lead) :]
        return made if run.next is None else np.concatenate([made, run.next[None]])

    def unseen_intervals(self, lead: int) -> Float64:
        """Return the bounds around `unseen`, shape (n, levels, 2, d)."""
        run = self.run_of(lead)
        if run.prediction_intervals is None:
            return np.empty((len(self.unseen(lead)), 0, 2, self.Y.shape[1]))
        made = run.prediction_intervals[self._n_seen(lead) :]
        return (
            made if run.next_intervals is None else np.concatenate([made, run.next_intervals[None]])
        )

    def season_ago(self, lead: int, season: int) -> Float64:
        """Return the forecasts of repeating the same phase of the last known season, shape (T, d).

        NaN in the first seasons.
        """
        season = as_int("season", season, 1)
        back = ((lead - 1) // season + 1) * season - (lead - 1)  # from row t to the repeated value
        values = np.full(self.Y.shape, np.nan)
        values[back:] = self.Y[: max(len(self.Y) - back, 0)]
        return values

    def to_frame(self, *, season: int | None = None, **others: ArrayLike) -> pd.DataFrame:
        """Return one row per lead: root-mean-square errors, and shares inside the intervals.

        Parameters
        ----------
        season : int, optional
            Adds the error of repeating the value of one season ago, over the rows that have one.
        **others : array_like, shape (leads, T, d)
            Other forecasts by name, such as those of `recursive_forecasts`; NaN if there is none.

        Returns
        -------
        pandas.DataFrame
            Columns ``server``, ``mean agent``, ``worst agent``, ``repeat last``, then
            ``season ago`` and the others if given, and ``coverage LEVEL``; NaN if nothing was
            scored.
        """
        import pandas as pd

        given = {name: as_float64(name, values) for name, values in others.items()}
        for name, values in given.items():
            require_shape(name, values, "(leads, n_rows, n_outputs)", self.predictions.shape)
        rows = []
        for k, (lead, run) in enumerate(zip(self.leads, self.runs)):
            row: dict[str, Any] = {
                "server": run.server_rmse,
                "mean agent": run.mean_agent_rmse,
                "worst agent": run.worst_agent_rmse,
                "repeat last": run.repeat_last_rmse,
            }
            if season is not None:
                row["season ago"] = self._rmse(run, self.season_ago(lead, season))
            row |= {name: self._rmse(run, values[k]) for name, values in given.items()}
            shares = run.coverage.mean(axis=1)
            row |= {f"coverage {level:g}": share for level, share in zip(run.levels, shares)}
            rows.append(row)
        frame: pd.DataFrame = pd.DataFrame(rows, index=pd.Index(self.leads, name="lead"))
        return frame

    def _n_seen(self, lead: int) -> int:
        """Return the rows whose y was seen."""
        return max(len(self.Y) - (lead - 1), 0)

    @staticmethod
    def _rmse(run: Run, forecasts: Float64) -> float:
        errors = (forecasts - run.targets)[run.unscored :]
        there = errors[~np.isnan(errors)]
        return float(np.sqrt(np.mean(there**2))) if there.size else float("nan")

    def __repr__(self) -> str:
        """Show the leads and their errors."""
        errors = ", ".join(f"{h}: {run.server_rmse:.4g}" for h, run in zip(self.leads, self.runs))
        return f"MultiHorizonRun({len(self.Y)} rows, server_rmse of leads {{{errors}}})"
