"""The result of running an ensemble over a series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memoa._validate import Float64
from memoa.interval import Intervals


class AgentErrors(NamedTuple):
    """Root-mean-square errors of agents that several processes share."""

    n_agents: int
    mean: float
    best: float
    best_agent: int
    worst: float
    worst_agent: int


class Errors(NamedTuple):
    """Errors of one output's forecasts: in its units, and relative to the last value."""

    rmse: float
    mae: float
    mase: float


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """Forecasts and errors of an ensemble over T steps of a series, an immutable value.

    Errors are root-mean-square over steps and outputs, in units of the target. They leave out the
    steps of the warm-up, and the first step if its y was the first ever seen: it could not be
    predicted, and was observed, not learnt. If no step is left, errors are NaN.

    Attributes
    ----------
    predictions : ndarray, shape (T, d)
        The server's forecast of every step.
    targets : ndarray, shape (T, d)
        The values of the series.
    initial : ndarray, shape (d,)
        The last value seen before the run; 0 if there was none.
    mean_field : ndarray, shape (T, d)
        Mean of the agents' predictions.
    shares : ndarray, shape (T, 4, d)
        Shares in the server's forecasts, see `OnlineEnsemble.shares`; all 0 if no y was known.
    agent_rmse : ndarray, shape (N,)
        Error of every agent of this process, over the steps at which it was awake. NaN if it never
        was; such an agent counts in no mean, and is neither the best nor the worst.
    worst_cost : ndarray, shape (T,)
        Largest sum of squared errors of an agent up to and including each step; its last entry is
        the under-performer regret.
    recorded : ndarray, shape (T, len(record), d)
        Predictions of the agents in `record`.
    record : ndarray of int
        Numbers of the agents whose predictions were kept.
    policy : str
        The policy that the agents played, "memoa" or "greedy".
    unscored : int
        Number of steps at the start that are not scored: 0 or 1, or those of the warm-up.
    agents : range, optional
        Numbers of the agents of this process; None: all.
    errors : AgentErrors, optional
        The errors of all processes' agents; None if this process has all agents.
    next : ndarray, shape (d,), optional
        Forecast of the step after the last one, if its inputs were given.
    levels : tuple of float
        Levels of the intervals around the server's forecasts.
    prediction_intervals : ndarray, shape (T, levels, 2, d), optional
        Lower and upper bounds, made before y was seen; NaN before the first error.
    next_intervals : ndarray, shape (levels, 2, d), optional
        Lower and upper bounds around `next`.
    bases : ndarray, shape (T, d), optional
        If y arrives late, the last known value at each step, NaN if there was none; else None.
    delay : int
        Number of forecasts made before a y was known.

    Examples
    --------
    >>> import memoa
    >>> series = memoa.datasets.logistic_map(400)
    >>> run = memoa.OnlineEnsemble().run(series.X, series.Y, initial=series.initial)
    >>> run.predictions.shape, run.agent_rmse.shape
    ((400, 1), (64,))
    >>> run.best_agent_rmse < run.mean_agent_rmse < run.worst_agent_rmse < run.repeat_last_rmse
    True
    """

    predictions: Float64
    targets: Float64
    initial: Float64
    mean_field: Float64
    shares: Float64
    agent_rmse: Float64
    worst_cost: Float64
    recorded: Float64
    record: NDArray[np.intp]
    policy: str
    unscored: int = 0
    agents: range | None = None
    errors: AgentErrors | None = None
    next: Float64 | None = None
    levels: tuple[float, ...] = ()
    prediction_intervals: Float64 | None = None
    next_intervals: Float64 | None = None
    bases: Float64 | None = None
    delay: int = 0

    def __post_init__(self) -> None:
        for one in fields(self):
            value: Any = getattr(self, one.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the constructor's arguments, so that a copy is read-only too."""
        return type(self), tuple(getattr(self, one.name) for one in fields(self))

    @property
    def n_scored(self) -> int:
        """Number of scored steps: those with some y, after the warm-up."""
        return int(np.count_nonzero(~np.isnan(self.targets[self.unscored :]).all(axis=1)))

    @property
    def server_rmse(self) -> float:
        """Error of the server's forecasts."""
        return self._rmse(self.predictions - self.targets)

    @property
    def repeat_last_rmse(self) -> float:
        """Error of repeating the last value, a strong baseline."""
        return self._rmse(self._changes())

    @property
    def per_output(self) -> tuple[Errors, ...]:
        """Errors of the server's forecasts, for each output."""
        return self._errors_of(self.predictions - self.targets)

    @property
    def repeat_last_per_output(self) -> tuple[Errors, ...]:
        """Errors of repeating the last value, for each output."""
        return self._errors_of(self._changes())

    @property
    def server_mae(self) -> float:
        """Mean absolute error of the server's forecasts, the mean over outputs."""
        return _mean(np.array([one.mae for one in self.per_output]))

    @property
    def server_mase(self) -> float:
        """Mean absolute scaled error of the server's forecasts, the mean over outputs.

        The scale is the mean absolute error of repeating the last value over the same steps, so
        values below 1 are better than that. NaN if an output never changes.
        """
        return _mean(np.array([one.mase for one in self.per_output]))

    @property
    def repeat_last_mae(self) -> float:
        """Mean absolute error of repeating the last value, the mean over outputs."""
        return _mean(np.array([one.mae for one in self.repeat_last_per_output]))

    @property
    def coverage(self) -> Float64:
        """Share of the scored y inside each interval, shape (levels, d)."""
        if self.prediction_intervals is None:
            return np.empty((0, self.targets.shape[1]))
        bounds, y = self.prediction_intervals[self.unscored :], self.targets[self.unscored :]
        low, high = bounds[:, :, 0], bounds[:, :, 1]
        known = np.isfinite(low) & ~np.isnan(y[:, None])
        inside = known & (low <= y[:, None]) & (y[:, None] <= high)
        counts = known.sum(axis=0)
        shares = np.full(counts.shape, np.nan)
        np.divide(inside.sum(axis=0), counts, out=shares, where=counts > 0)
        return shares

    def recorded_intervals(self, levels: Sequence[float] | None = None) -> Float64:
        """Compute intervals of the recorded agents, shape (T, levels, 2, n_recorded, d).

        Parameters
        ----------
        levels : sequence of float, optional
            Levels of the intervals. Default: those of the run.
        """
        wanted = self.levels if levels is None else tuple(levels)
        steps, recorded, d = self.recorded.shape
        bands = Intervals(wanted, recorded * d)
        knew = slice(min(self.unscored, 1), None)
        if self.bases is not None:
            knew = slice(int(np.count_nonzero(np.isnan(self.bases).any(axis=1))), None)
        bounds = np.full((steps, len(wanted), 2, recorded * d), np.nan)
        targets = np.tile(self.targets, recorded)
        shown = self.recorded.reshape(steps, -1)[knew]
        bounds[knew] = bands.run(shown, targets[knew], delay=self.delay)
        return bounds.reshape(steps, len(wanted), 2, recorded, d)

    @property
    def mean_agent_rmse(self) -> float:
        """Mean over agents of their errors."""
        return _mean(self.agent_rmse) if self.errors is None else self.errors.mean

    @property
    def worst_agent_rmse(self) -> float:
        """Error of the worst agent, the under-performer."""
        if self.errors is not None:
            return self.errors.worst
        return float(self.agent_rmse[self.worst_agent])

    @property
    def best_agent_rmse(self) -> float:
        """Error of the best agent."""
        if self.errors is not None:
            return self.errors.best
        return float(self.agent_rmse[self.best_agent])

    @property
    def worst_agent(self) -> int:
        """Number of the worst agent."""
        if self.errors is not None:
            return self.errors.worst_agent
        return int(np.where(np.isnan(self.agent_rmse), -np.inf, self.agent_rmse).argmax())

    @property
    def best_agent(self) -> int:
        """Number of the best agent."""
        if self.errors is not None:
            return self.errors.best_agent
        return int(np.where(np.isnan(self.agent_rmse), np.inf, self.agent_rmse).argmin())

    @property
    def n_agents(self) -> int:
        """Number of agents of all processes."""
        return len(self.agent_rmse) if self.errors is None else self.errors.n_agents

    @property
    def regret(self) -> float:
        """Under-performer regret: the worst agent's sum of squared errors (theory (6.6))."""
        return float(self.worst_cost[-1])

    def summary(self) -> str:
        """Return a few lines to print."""
        steps, outputs = self.targets.shape
        counted = f"{steps} steps"
        if self.delay > 0:
            counted += f", y known {self.delay} late"
        if self.n_scored < steps:
            counted += f" ({self.n_scored} scored)"
        rows = [
            ("server", self.server_rmse, ""),
            ("mean agent", self.mean_agent_rmse, ""),
            ("best agent", self.best_agent_rmse, f"agent {self.best_agent}"),
            ("worst agent", self.worst_agent_rmse, f"agent {self.worst_agent}"),
            ("repeat last value", self.repeat_last_rmse, ""),
        ]
        return "\n".join(
            [
                f"{self.policy}: {self.n_agents} agents, {counted}, {outputs} outputs",
                "root-mean-square error of",
                *(f"  {name:<18} {value:>12.6g}  {note}".rstrip() for name, value, note in rows),
                f"under-performer regret {self.regret:>10.6g}",
                *(
                    f"interval of {level:.4g} holds {share:.4g} of the outcomes"
                    for level, share in zip(self.levels, self.coverage.mean(axis=1))
                ),
                f"mean absolute error of the server {self.server_mae:.6g}, scaled "
                f"{self.server_mase:.4g}",
            ]
        )

    def __repr__(self) -> str:
        """Show sizes and the three errors."""
        steps, outputs = self.targets.shape
        return (
            f"Run({self.policy}, n_agents={self.n_agents}, n_steps={steps}, "
            f"n_outputs={outputs}, server_rmse={self.server_rmse:.4g}, "
            f"mean_agent_rmse={self.mean_agent_rmse:.4g}, "
            f"worst_agent_rmse={self.worst_agent_rmse:.4g})"
        )

    def _scored(self, errors: Float64) -> Float64:
        """Return the scored errors of (T, d); a single NaN if there are none."""
        scored = errors[self.unscored :]
        return scored if scored.size else np.full((1, errors.shape[1]), np.nan)

    def _rmse(self, errors: Float64) -> float:
        return float(np.sqrt(_mean(self._scored(errors) ** 2)))

    def _changes(self) -> Float64:
        """Errors of repeating the last value."""
        return self.targets - self.last_known

    @property
    def last_known(self) -> Float64:
        """Return the last known value at each step, shape (T, d); NaN if none was known."""
        return last_seen(self.targets, self.initial) if self.bases is None else self.bases

    def _errors_of(self, errors: Float64) -> tuple[Errors, ...]:
        """Return the scores of errors (T, d), for each output."""
        found = []
        for misses, changes in zip(self._scored(errors).T, self._scored(self._changes()).T):
            mae, scale = _mean(np.abs(misses)), _mean(np.abs(changes))
            mase = mae / scale if scale > 0.0 else float("nan")
            found.append(Errors(float(np.sqrt(_mean(misses**2))), mae, mase))
        return tuple(found)


def last_seen(targets: Float64, initial: Float64) -> Float64:
    """Return the last value seen before each step, shape (T, d), skipping missing ones."""
    before = np.vstack([initial, targets[:-1]])
    rows = np.where(np.isnan(before), 0, np.arange(len(before))[:, None])
    return np.take_along_axis(before, np.maximum.accumulate(rows, axis=0), axis=0)


def _mean(values: Float64) -> float:
    """Return the mean of the present values; NaN if there are none."""
    there = values[~np.isnan(values)]
    return float(np.mean(there)) if there.size else float("nan")
