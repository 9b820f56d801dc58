"""The plot of a run: the forecasts above, their errors below."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from memoa.plots.style import (
    COLOURS,
    date_axis,
    finish_axes,
    legend_above,
    new_figure,
    outline,
    save,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from memoa.datasets import Series
    from memoa.run import Run

MAX_PANELS = 4
ZOOM_FROM, ZOOM_STEPS = 600, 200
STRETCHES = 300  # of a long series
RECENT = 50  # steps in the running errors


def repeat_cost(run: Run) -> NDArray[np.float64]:
    """Return the sum of squared errors of repeating the last value, up to each step.

    Parameters
    ----------
    run : Run
        Any run over the series; only its targets (T, d) and initial value (d,) are used.

    Returns
    -------
    ndarray of float64, shape (T,)
        In squared units of the target, summed over the outputs.
    """
    changes = run.targets - run.last_known
    return np.cumsum(np.nansum(changes**2, axis=1))


def best_and_worst(run: Run) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the recorded predictions of the agents with the smallest and the largest RMSE.

    Parameters
    ----------
    run : Run
        A run that recorded both: all agents, or ``record=[best_agent, worst_agent]``.

    Returns
    -------
    tuple of two ndarrays of float64, shape (T, d)

    Raises
    ------
    ValueError
        If one of them is not among ``run.record``.
    """
    columns = {int(agent): column for column, agent in enumerate(run.record)}
    for agent in (run.best_agent, run.worst_agent):
        if agent not in columns:
            raise ValueError(
                f"the {run.policy} run has not recorded agent {agent}; expected "
                f"run(..., record=[{run.best_agent}, {run.worst_agent}]), its best and worst"
            )
    best, worst = columns[run.best_agent], columns[run.worst_agent]
    return run.recorded[:, best], run.recorded[:, worst]


def plot_run(
    series: Series,
    memoa_run: Run | None,
    greedy_run: Run | None,
    *,
    path: str | Path,
    policy: Literal["memoa", "greedy"] = "memoa",
) -> Figure:
    """Draw the forecasts of one policy, and the worst agent's cost under both, into a PNG file.

    One panel per output (the first four) shows the series, the server's forecast and its intervals;
    of a series longer than 600 steps it shows the range between the smallest and the largest value
    of every stretch, and a second panel shows the last 200 steps. Below, the error of the server,
    the best and the worst agent over the last steps; and, up to each step, the largest sum of
    squared errors of one agent, summed over the outputs.

    Parameters
    ----------
    series : Series
        The series that was forecast: its name, target names and axis are used.
    memoa_run, greedy_run : Run or None
        The runs over `series`. The one that is drawn is required and must have recorded its best
        and its worst agent, see `best_and_worst`. Without the other run, its cost is not drawn.
    path : str or Path
        The file to write, overwritten if it exists.
    policy : {"memoa", "greedy"}
        The policy whose forecasts are drawn.

    Returns
    -------
    matplotlib.figure.Figure
        The figure that was written.

    Raises
    ------
    ValueError
        If the drawn run is missing or has not recorded its best and its worst agent.
    """
    runs = {"memoa": memoa_run, "greedy": greedy_run}
    run = runs[policy]
    if run is None:
        raise ValueError(f"{policy}_run is None; expected the run of the policy that is drawn")
    n_steps, n_outputs = run.targets.shape
    rows, zoomed = min(n_outputs, MAX_PANELS), n_steps > ZOOM_FROM
    figure = new_figure(10.0, 1.0 + 2.4 * rows + 3.8)
    grid = figure.add_gridspec(
        rows + 2,
        2 if zoomed else 1,
        width_ratios=[1, 1][: 1 + zoomed],
        height_ratios=[2.4] * rows + [1.9, 1.9],
    )
    axis = np.arange(n_steps) if series.index is None else series.index
    for output in range(rows):
        whole = figure.add_subplot(grid[output, 0])
        if zoomed:
            _draw_envelope(whole, axis, run, output)
        else:
            _draw_forecasts(whole, axis, run, output, slice(None))
        whole.set_ylabel(series.targets[output], parse_math=False)
        if output == 0:
            legend_above(whole, ncols=3 if zoomed else 4)
        if zoomed:
            tail = slice(n_steps - ZOOM_STEPS, None)
            whole.axvspan(axis[tail][0], axis[-1], color="#f0f0f0", zorder=0)
            close = figure.add_subplot(grid[output, 1])
            _draw_forecasts(close, axis, run, output, tail)
            if output == 0:
                close.lines[0].set_label(f"the last {ZOOM_STEPS} steps")
                legend_above(close, ncols=2)
    there = {name: one for name, one in runs.items() if one is not None}
    _draw_errors(figure.add_subplot(grid[rows, :]), axis, run)
    _draw_cost(figure.add_subplot(grid[rows + 1, :]), axis, there)
    shown = "" if rows == n_outputs else f"  (the first {rows} of {n_outputs} outputs)"
    title = f"{series.name}: {run.n_agents} agents, policy {policy}"
    title += f", server RMSE {_four_digits(run.server_rmse)}{shown}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)
    save(figure, path)
    return figure


def _draw_forecasts(axes: Axes, axis: NDArray[Any], run: Run, output: int, steps: slice) -> None:
    target, server = run.targets[steps, output], run.predictions[steps, output]
    axis, colour = axis[steps], COLOURS[run.policy]
    # A broad pale line under a thin one, so that both are visible.
    axes.plot(axis, target, color=COLOURS["series"], lw=2.2, label="series", zorder=2)
    axes.plot(axis, server, color=colour, lw=0.9, label="server forecast", zorder=3)
    bounds = run.prediction_intervals
    for k, level in reversed(list(enumerate(run.levels))):
        assert bounds is not None
        axes.fill_between(
            axis,
            bounds[steps, k, 0, output],
            bounds[steps, k, 1, output],
            color=colour,
            alpha=0.12 if level == run.levels[-1] else 0.22,
            linewidth=0,
            zorder=1,
            label=f"{level:.0%} interval",
        )
    axes.set_ylim(*_limits(target, server))
    _finish(axes, axis)


def _draw_envelope(axes: Axes, axis: NDArray[Any], run: Run, output: int) -> None:
    """Draw a long series: the range of each stretch, and its means."""
    target, server = run.targets[:, output], run.predictions[:, output]
    starts = (np.arange(STRETCHES) * target.size) // STRETCHES
    counts = np.diff(np.append(starts, target.size))
    low, high = np.fmin.reduceat(target, starts), np.fmax.reduceat(target, starts)
    axes.fill_between(
        axis[starts],
        low,
        high,
        color=COLOURS["series"],
        alpha=0.55,
        linewidth=0,
        label="series, smallest to largest",
        zorder=1,
    )
    axes.plot(
        axis[starts],
        np.add.reduceat(server, starts) / counts,
        color=COLOURS[run.policy],
        lw=1.0,
        label="server forecast, mean",
        zorder=2,
    )
    axes.set_ylim(*_limits(target, server))
    _finish(axes, axis)


def _draw_errors(axes: Axes, axis: NDArray[Any], run: Run) -> None:
    """Draw root-mean-square errors over the last steps: server, best and worst agent."""
    window = max(min(RECENT, len(axis) // 4), 1)
    best, worst = best_and_worst(run)
    lines = {
        f"worst agent (no. {run.worst_agent})": (worst, {"color": COLOURS["repeat"], "ls": ":"}),
        f"best agent (no. {run.best_agent})": (best, {"color": COLOURS["repeat"], "lw": 0.9}),
        "server": (run.predictions, {"color": COLOURS[run.policy], "lw": 1.4}),
    }
    for name, (forecasts, style) in lines.items():
        squares = np.nan_to_num(np.mean((forecasts - run.targets) ** 2, axis=1))
        sums = np.cumsum(np.insert(squares, 0, 0.0))
        recent = np.sqrt(np.maximum(sums[window:] - sums[:-window], 0.0) / window)
        axes.plot(*outline(axis[window - 1 :], recent), label=name, **style)  # type: ignore[arg-type]
    axes.plot(axis[[0, -1]], [0.0, 0.0], lw=0.0)  # makes it as wide as the panel below
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel(f"RMSE of the\nlast {window} steps")
    legend_above(axes)
    _finish(axes, axis)


def _draw_cost(axes: Axes, axis: NDArray[Any], runs: Mapping[str, Run]) -> None:
    repeat = repeat_cost(next(iter(runs.values())))
    top = 1.1 * max(run.worst_cost[-1] for run in runs.values())
    lines: dict[str, tuple[str, NDArray[np.float64], dict[str, Any]]] = {
        name: (name, run.worst_cost, {"lw": 1.6, "zorder": 3 if name == "memoa" else 2})
        for name, run in runs.items()
    }
    lines["repeat"] = ("repeat the last value", repeat, {"lw": 0.9, "ls": ":"})
    for key, (name, cost, style) in lines.items():
        # The baseline may cost many times more; this panel compares the two policies.
        note = " (off the scale)" if cost[-1] > 2.0 * top else ""
        label = f"{name}: {_four_digits(cost[-1])}{note}"
        axes.plot(*outline(axis, cost), color=COLOURS[key], label=label, **style)
    top = max(top, 1.05 * repeat[-1]) if repeat[-1] <= 2.0 * top else top
    axes.set_ylim(0.0, top if top > 0.0 else 1.0)
    axes.set_ylabel("worst agent's sum of\nsquared errors so far")
    legend_above(axes)
    _finish(axes, axis)


def _finish(axes: Axes, axis: NDArray[Any]) -> None:
    axes.margins(x=0.01)
    finish_axes(axes)
    if np.issubdtype(axis.dtype, np.datetime64):
        date_axis(axes)
    else:
        axes.set_xlabel("step", fontsize=9)


def _four_digits(number: float) -> str:
    return f"{number:#.4g}".rstrip(".")


def _limits(target: NDArray[np.float64], forecasts: NDArray[np.float64]) -> tuple[float, float]:
    """Return limits that include the series, and forecasts within half its range of it."""
    target = target[~np.isnan(target)]
    if target.size == 0:
        target = forecasts
    low, high = float(target.min()), float(target.max())
    room = (high - low) or max(abs(high), 1.0)
    bottom = max(min(low, float(forecasts.min())), low - 0.5 * room)
    top = min(max(high, float(forecasts.max())), high + 0.5 * room)
    return bottom - 0.04 * room, top + 0.04 * room
