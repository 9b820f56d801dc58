"""The result of running a panel over a series of steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memoa._validate import Float64
from memoa.interval import Intervals


@dataclass(frozen=True, eq=False, repr=False)
class PanelRun:
    """Forecasts and errors of the clients of a panel over T steps, an immutable value.

    A step counts for a client if the client has seen a value before it, and its next value is
    known.

    Attributes
    ----------
    predictions : ndarray, shape (T, N, d)
        Forecasts; NaN before a client's first value.
    targets : ndarray, shape (T, N, d)
        Values; NaN if there is none.
    initial : ndarray, shape (N, d)
        Last values seen before the run; NaN if there were none.
    delay : int
        Number of further forecasts after which a value is known.
    bases : ndarray, shape (T, N, d), optional
        Last values known at each forecast, NaN if there were none; only with a `delay`.

    Examples
    --------
    >>> import memoa
    >>> series = memoa.datasets.similar_households(n_clients=20, n=200)
    >>> run = memoa.Panel(n_clients=20).run(series.X, series.Y, initial=series.initial)
    >>> run.predictions.shape
    (200, 20, 1)
    >>> run.worst_client_rmse >= run.mean_client_rmse
    True
    """

    predictions: Float64
    targets: Float64
    initial: Float64
    delay: int = 0
    bases: Float64 | None = None

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the constructor's arguments, so that a copy is read-only too."""
        return type(self), tuple(getattr(self, one.name) for one in fields(self))

    @property
    def client_rmse(self) -> Float64:
        """Root-mean-square error of every client, shape (N,); NaN if nothing was scored."""
        return _rmse(self.predictions - self.targets)

    @property
    def repeat_last_rmse(self) -> Float64:
        """The same for repeating the last value known, a strong baseline."""
        return _rmse(self._changes)

    def relative_rmse(self, *, skip: int = 2, least: int = 20, last: int | None = None) -> Float64:
        """Every client's error over that of repeating its last value, shape (N,).

        Parameters
        ----------
        skip : int
            Number of a client's first scored steps that are left out.
        least : int
            The result is NaN for a client with fewer scored steps than this.
        last : int, optional
            Compare only so many last steps of the run; then `skip` has no effect.
        """
        scored: NDArray[np.bool_] = np.any(~np.isnan(self.predictions - self.targets), axis=2)
        if last is None:
            counts = scored & (np.cumsum(scored, axis=0) > skip)
        else:
            counts = scored & (np.arange(len(scored)) >= len(scored) - last)[:, None]
        steps = np.where(counts[:, :, None], 1.0, np.nan)
        error = _rmse((self.predictions - self.targets) * steps)
        repeat = _rmse(self._changes * steps)
        enough = (counts.sum(axis=0) >= least) & (repeat > 0.0)
        return np.where(enough, error / np.where(repeat > 0.0, repeat, 1.0), np.nan)

    def prediction_intervals(self, levels: Sequence[float] = (0.8, 0.95)) -> Float64:
        """Intervals around every client's forecasts, each made before its y was seen.

        Every client has its own half-widths, learnt from its own errors in this run: theory (10.1)
        to (10.3).

        Parameters
        ----------
        levels : sequence of float
            Shares of the outcomes that the intervals should contain, in (0, 1) and increasing.

        Returns
        -------
        ndarray, shape (T, levels, 2, N, d)
            Lower and upper bounds; NaN before a client's first error.
        """
        steps, clients, d = self.targets.shape
        bands = Intervals(levels, clients * d)
        bounds = bands.run(
            self.predictions.reshape(steps, -1), self.targets.reshape(steps, -1), delay=self.delay
        )
        return bounds.reshape(steps, len(bands.levels), 2, clients, d)

    def coverage(self, levels: Sequence[float] = (0.8, 0.95)) -> Float64:
        """Share of every client's y inside its `prediction_intervals`, shape (levels, N).

        NaN if a client never has an interval and y at the same step.
        """
        bounds, y = self.prediction_intervals(levels), self.targets[:, None]
        known = np.isfinite(bounds[:, :, 0]) & ~np.isnan(y)
        inside = known & (bounds[:, :, 0] <= y) & (y <= bounds[:, :, 1])
        counts = known.sum(axis=(0, 3))
        shares = np.full(counts.shape, np.nan)
        np.divide(inside.sum(axis=(0, 3)), counts, out=shares, where=counts > 0)
        return shares

    @property
    def mean_client_rmse(self) -> float:
        """Mean over clients of their errors."""
        return float(np.nanmean(self.client_rmse))

    @property
    def worst_client_rmse(self) -> float:
        """Error of the client with the largest one."""
        return float(np.nanmax(self.client_rmse))

    @property
    def worst_client(self) -> int:
        """Number of the client with the largest error."""
        return int(np.nanargmax(self.client_rmse))

    def summary(self) -> str:
        """Return a few lines to print."""
        steps, clients, outputs = self.targets.shape
        relative = self.relative_rmse()
        lines = [f"{clients} clients, {steps} steps, {outputs} outputs"]
        if np.isnan(relative).all():
            return lines[0] + "; too few steps to compare"
        worst = int(np.nanargmax(relative))
        lines += [
            f"error over that of repeating the last {'known ' * (self.delay > 0)}value",
            f"  mean client   {np.nanmean(relative):>10.4g}",
            f"  worst client  {relative[worst]:>10.4g}  client {worst}",
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Show sizes and errors."""
        steps, clients, outputs = self.targets.shape
        return (
            f"PanelRun(n_clients={clients}, n_steps={steps}, n_outputs={outputs}, "
            f"mean_client_rmse={self.mean_client_rmse:.4g}, "
            f"worst_client_rmse={self.worst_client_rmse:.4g})"
        )

    @cached_property
    def _changes(self) -> Float64:
        """Return the targets minus the last value known before each."""
        if self.bases is not None:
            late: Float64 = self.targets - self.bases
            return late
        values = np.concatenate([self.initial[None], self.targets])
        rows = np.where(np.isnan(values), -1, np.arange(len(values))[:, None, None])
        latest: NDArray[np.intp] = np.maximum.accumulate(rows, axis=0)[:-1]
        base: Float64 = np.take_along_axis(values, np.maximum(latest, 0), axis=0)
        changes: Float64 = self.targets - np.where(latest >= 0, base, np.nan)
        return changes


def _rmse(errors: Float64) -> Float64:
    """Return the mean over steps and outputs, for every client."""
    known = ~np.isnan(errors)
    count = known.sum(axis=(0, 2))
    squares = np.where(known, errors, 0.0) ** 2
    means: Float64 = squares.sum(axis=(0, 2)) / np.where(count > 0, count, np.nan)
    return np.sqrt(means)
