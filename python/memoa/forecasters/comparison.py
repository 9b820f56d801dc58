"""Compares forecasters on one series: ``memoa.compare``."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from memoa._files import whole
from memoa._validate import Float64, as_int
from memoa.datasets.panel_inputs import fill_forward
from memoa.datasets.series import Series
from memoa.ensemble import OnlineEnsemble
from memoa.forecasters.protocol import (
    Factory,
    Forecaster,
    ForecasterError,
    make,
    one_line,
    takes_seed,
)
from memoa.forecasters.standard import standard_forecasters
from memoa.forecasters.turns import TakingTurns
from memoa.run import last_seen

ProgressCallback = Callable[[int, int, str], object]


@dataclass(frozen=True)
class Score:
    """Errors of one forecaster on one series, and its time.

    Errors are root-mean-square errors over steps and outputs, in units of the target. Those of the
    agents are NaN for a forecaster without agents.

    Attributes
    ----------
    server_rmse : float
        Error of the forecasts themselves.
    mean_agent_rmse, worst_agent_rmse : float
        Mean and largest error of the agents.
    regret : float
        Under-performer regret: the worst agent's sum of squared errors (theory (6.6)).
    seconds : float
        Wall-clock time of all steps, predicting and learning.
    server_mae : float
        Mean absolute error of the forecasts, the mean over outputs.
    server_mase : float
        The same, for each output relative to repeating the last value.

    Examples
    --------
    >>> import memoa
    >>> from memoa.forecasters import RepeatLast
    >>> found = memoa.compare(memoa.datasets.logistic_map(100), {"repeat": RepeatLast})
    >>> (score,) = found.scores["repeat"]
    >>> score.server_mase
    1.0
    """

    server_rmse: float
    mean_agent_rmse: float
    worst_agent_rmse: float
    regret: float
    seconds: float
    server_mae: float = float("nan")
    server_mase: float = float("nan")


MEASURES = tuple(one.name for one in fields(Score))[:5]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """The result of `compare`: scores and forecasts of every forecaster.

    Attributes
    ----------
    series : Series
        The series that was forecast.
    scores : dict of str to tuple of Score
        One score per seed, in the order of the seeds; a single one if the forecaster takes no seed.
    predictions : dict of str to ndarray, shape (T, d)
        Forecasts with the first seed.
    shares : dict of str to ndarray, shape (T, 4, d)
        The shares in the servers' forecasts, of ensembles with the first seed, see
        `memoa.OnlineEnsemble.shares`.
    skipped : dict of str to str
        Forecasters that could not be made because a package is missing, and why.
    failed : dict of str to str
        With ``keep_going``: forecasters that raised or returned no forecast, and the error.
    warmup : int
        Steps at the start that no error counts.

    Examples
    --------
    >>> import memoa
    >>> from memoa.forecasters import RepeatLast, Seasonal
    >>> rows = {"repeat": RepeatLast, "season of 4": lambda: Seasonal(4)}
    >>> found = memoa.compare(memoa.datasets.periodic(), rows)
    >>> found.quantile("season of 4", "server_rmse") < found.quantile("repeat", "server_rmse")
    True
    """

    series: Series
    scores: Mapping[str, tuple[Score, ...]]
    predictions: Mapping[str, Float64]
    shares: Mapping[str, Float64]
    skipped: Mapping[str, str]
    failed: Mapping[str, str] = field(default_factory=dict)
    warmup: int = 0

    def per_target(self, name: str) -> Float64:
        """Return the root-mean-square error of a forecaster's first run, per output, shape (d,)."""
        errors = self.predictions[name] - self.series.Y
        return np.asarray(np.sqrt(np.nanmean(np.square(errors[self.warmup :]), axis=0)))

    def quantile(self, name: str, measure: str, level: float = 0.5) -> float:
        """Return a quantile, over the seeds, of one of the fields of `Score`."""
        return float(np.quantile([getattr(one, measure) for one in self.scores[name]], level))

    def summary(self) -> str:
        """Return medians over the seeds, one forecaster per line."""
        width = max(map(len, self.scores), default=0)
        columns = ("server", "mean agent", "worst agent", "regret", "seconds")
        lines = [" ".join([f"{self.series.name:<{width}}", *(f"{c:>11}" for c in columns)])]
        for name in self.scores:
            values = (self.quantile(name, measure) for measure in MEASURES)
            cells = (f"{'-' if np.isnan(value) else format(value, '.4g'):>11}" for value in values)
            lines.append(" ".join([f"{name:<{width}}", *cells]))
        lines += [f"{name}: left out, {why}" for name, why in self.skipped.items()]
        lines += [f"failed: {why}" for why in self.failed.values()]
        return "\n".join(lines)

    def to_csv(self, path: str | Path) -> None:
        """Write one line per forecaster and seed; a cell is empty if there is no number."""
        with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("forecaster", "run", *(one.name for one in fields(Score))))
            for name, scores in self.scores.items():
                for run, score in enumerate(scores):
                    values = asdict(score).values()
                    writer.writerow((name, run, *("" if np.isnan(x) else x for x in values)))

    def __repr__(self) -> str:
        """Show the series and the number of forecasters."""
        return f"Comparison({self.series.name!r}: {len(self.scores)} forecasters)"


def compare(
    series: Series,
    forecasters: Mapping[str, Factory] | None = None,
    *,
    seeds: Sequence[int] = (0,),
    progress: ProgressCallback | None = None,
    keep_going: bool = False,
    warmup: int = 0,
    delay: int = 0,
) -> Comparison:
    """Run forecasters over a series, one step at a time, without looking ahead.

    Parameters
    ----------
    series : Series
        The series to forecast, from `memoa.datasets` or your own.
    forecasters : dict of str to callable, optional
        Factories by name. Called without arguments, or with ``seed=`` if it has such an argument,
        each returns a new object with ``predict_one(x)`` and ``learn_one(x, y)``
        (see `memoa.forecasters.Forecaster`; x has shape (dx,) and y has shape (d,)). A class is
        such a factory. Default: `memoa.forecasters.standard_forecasters`, memoa and its
        baselines.
    seeds : sequence of int
        Seeds. Forecasters that take a seed run once with each; the others run once.
    progress : callable, optional
        Called as ``progress(done, total, name)`` before every run.
    keep_going : bool
        Whether to continue with the others if one fails; `Comparison.failed` has the error.
    warmup : int
        Number of steps at the start that are learnt but not scored.
    delay : int
        Each y is known only after so many further forecasts; the series becomes
        ``series.late(delay)``. An `OnlineEnsemble` then has this delay. Of every other forecaster,
        ``delay + 1`` copies take turns, so that each knows the y of its last step before the next.

    Returns
    -------
    Comparison

    Raises
    ------
    TypeError
        If a factory cannot be called, or its result is not a forecaster.
    ImportError
        If packages are missing for all forecasters.
    ValueError
        If there are no forecasters or seeds, or a forecaster raises, or its forecast has another
        shape than (d,), or is not finite: the message names forecaster and step.

    Examples
    --------
    >>> import memoa
    >>> from memoa.forecasters import RepeatLast, Seasonal
    >>> rows = {"memoa": lambda seed: memoa.OnlineEnsemble(random_state=seed),
    ...         "repeat": RepeatLast, "season of 4": lambda: Seasonal(4)}
    >>> found = memoa.compare(memoa.datasets.periodic(), rows, seeds=range(3))
    >>> min(found.scores, key=lambda name: found.quantile(name, "server_rmse"))
    'season of 4'
    """
    delay = as_int("delay", delay, 0)
    series = series.late(delay)
    warmup = as_int("warmup", warmup, 0, below=len(series.Y))
    rows = standard_forecasters() if forecasters is None else dict(forecasters)
    seeds = [as_int("seeds", seed, 0) for seed in seeds]
    for argument, values in (("forecasters", rows), ("seeds", seeds)):
        if not values:
            raise ValueError(f"{argument} is empty; expected at least one")
    for name, factory in rows.items():
        if not callable(factory):
            raise TypeError(
                f"forecasters[{name!r}] is of type {type(factory).__name__}; expected something "
                "that makes a forecaster when it is called, such as its class"
            )
    runs = [
        (name, factory, seed)
        for name, factory in rows.items()
        for seed in (seeds if takes_seed(factory) else seeds[:1])
    ]
    scores: dict[str, tuple[Score, ...]] = {}
    predictions: dict[str, Float64] = {}
    shares: dict[str, Float64] = {}
    skipped: dict[str, str] = {}
    failed: dict[str, str] = {}
    for done, (name, factory, seed) in enumerate(runs):
        if progress is not None:
            progress(done, len(runs), name)
        if name in failed:
            continue
        try:
            made = make(name, factory, seed)
            if isinstance(made, OnlineEnsemble):
                made.set_params(delay=delay)
            elif delay > 0:
                others = (make(name, factory, seed) for _ in range(delay))
                made = TakingTurns((made, *others), series.before)
            score, forecasts, parts = evaluate(name, made, series, warmup)
        except ImportError as error:
            skipped[name] = one_line(error)
            continue
        except (ForecasterError, TypeError) as error:
            if not keep_going:
                raise
            failed[name] = one_line(error)
            scores.pop(name, None)
            predictions.pop(name, None)
            shares.pop(name, None)
            continue
        predictions.setdefault(name, forecasts)
        if parts is not None:
            shares.setdefault(name, parts)
        scores[name] = (*scores.get(name, ()), score)
    if not scores and not failed:
        raise ImportError("; ".join(f"{name}: {why}" for name, why in skipped.items()))
    if progress is not None:
        progress(len(runs), len(runs), "done")
    if not scores:
        raise ValueError("; ".join(failed.values()))
    return Comparison(series, scores, predictions, shares, skipped, failed, warmup)


def evaluate(
    name: str, forecaster: Forecaster, series: Series, warmup: int = 0
) -> tuple[Score, Float64, Float64 | None]:
    """Return the score and forecasts (T, d) of a forecaster, and an ensemble's shares."""
    began, shares = perf_counter(), None
    Y = series.Y
    if isinstance(forecaster, OnlineEnsemble):  # a loop inside the core, with the same bits
        run = forecaster.run(series.X, Y, initial=series.before, warmup=warmup)
        forecasts, agents, shares = run.predictions, run.agent_rmse, run.shares
    else:
        forecasts, agents = _steps(name, forecaster, series, warmup)
    seconds = perf_counter() - began
    worst = float(agents.max())
    errors = (forecasts - Y)[warmup:]
    mae = np.nanmean(np.abs(errors), axis=0)
    scale = np.nanmean(np.abs(Y - _last_known(series))[warmup:], axis=0)
    mase = np.divide(mae, scale, out=np.full_like(mae, np.nan), where=scale > 0.0)
    score = Score(
        server_rmse=float(np.sqrt(np.nanmean(np.square(errors)))),
        mean_agent_rmse=float(agents.mean()),
        worst_agent_rmse=worst,
        regret=float(worst**2 * np.count_nonzero(~np.isnan(errors))),
        seconds=seconds,
        server_mae=float(mae.mean()),
        server_mase=float(mase.mean()),
    )
    return score, forecasts, shares


def _last_known(series: Series) -> Float64:
    """Return the last known value at each step, shape (T, d)."""
    if series.earlier is None:
        return last_seen(series.Y, series.initial)
    values = np.vstack([series.before, series.Y])
    return last_seen(values[1 : len(series.Y) + 1], values[0])


def _agent_errors(name: str, forecaster: Forecaster) -> Float64:
    """Return the (N,) errors of a forecaster's agents; a single NaN if it has none."""
    try:
        agents = np.asarray(getattr(forecaster, "agent_rmse", [np.nan]), dtype=np.float64)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ForecasterError(f"{name}: agent_rmse raised {one_line(error)}") from error
    if agents.ndim != 1 or agents.size == 0:
        raise ForecasterError(f"{name}: agent_rmse has shape {agents.shape}; expected (n_agents,)")
    return agents


def _steps(
    name: str, forecaster: Forecaster, series: Series, warmup: int
) -> tuple[Float64, Float64]:
    """Return forecasts (T, d) step by step, and the agents' errors after the warm-up.

    The forecaster is user code and may do anything. Missing values are hidden from it, unless it
    has ``takes_missing``: an input repeats its last value, and is 0 before its first; a y without a
    value is not learnt; if only a part of y is known, the forecast replaces the rest.
    """
    before = np.zeros(1)
    forecasts = np.empty(series.Y.shape)
    takes = getattr(forecaster, "takes_missing", False) is True
    inputs = series.X.view() if takes else np.nan_to_num(fill_forward(series.X))
    targets = series.Y.view()
    for array in (inputs, targets):  # the other forecasters must see the same series
        array.setflags(write=False)
    learnt: Any = ~np.isnan(series.Y).all(axis=1)
    delay = forecaster.delay if isinstance(forecaster, TakingTurns) else 0
    last = len(learnt) - delay
    counts = int(learnt[:warmup].sum()), int(learnt[warmup:last].sum())
    doing = "observe"
    try:
        observe: Any = getattr(forecaster, "observe", None)
        if callable(observe):
            observe(np.nan_to_num(series.initial))
        for step, (x, y) in enumerate(zip(inputs, targets, strict=True)):
            doing = f"predict_one, at step {step},"
            forecasts[step] = _checked(forecaster.predict_one(x), y, step)
            known = step - delay
            doing = f"learn_one, at step {step},"
            if known >= 0 and learnt[known]:
                x, y = inputs[known], targets[known]
                gaps = np.isnan(y)
                forecaster.learn_one(x, np.where(gaps, forecasts[known], y) if gaps.any() else y)
            elif known >= 0 and isinstance(forecaster, TakingTurns):
                forecaster.skip()
            if 0 < known + 1 == warmup:
                before = counts[0] * _agent_errors(name, forecaster) ** 2
    except KeyboardInterrupt:
        raise
    except ForecasterError as error:
        raise ForecasterError(f"{name}: {error}") from None
    except BaseException as error:  # sys.exit too
        raise ForecasterError(f"{name}: {doing} raised {one_line(error)}") from error
    agents = _agent_errors(name, forecaster)
    if warmup == 0:
        return forecasts, agents
    later = np.maximum(sum(counts) * agents**2 - before, 0.0) / max(counts[1], 1)
    return forecasts, np.sqrt(later)


def _checked(returned: Any, y: Float64, step: int) -> Float64:
    forecast = np.asarray(returned, dtype=np.float64)
    # A number is enough for one output, and before the first y, when the width is unknown.
    is_number = forecast.size == 1 and (y.size == 1 or step == 0)
    if forecast.shape != y.shape and not is_number:
        raise ForecasterError(
            f"predict_one returned shape {forecast.shape} at step {step}; expected "
            f"(n_outputs,) = {y.shape}"
        )
    if not np.isfinite(forecast).all():
        raise ForecasterError(f"predict_one returned {one_line(forecast)} at step {step}")
    return forecast.reshape(-1)
