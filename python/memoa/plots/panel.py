"""The plot of a panel compared with clients on their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memoa._validate import Float64
from memoa.forecasters.panel_comparison import ALONE, PANEL
from memoa.plots.style import COLOURS, date_axis, finish_axes, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from memoa.datasets import PanelSeries
    from memoa.forecasters.panel_comparison import PanelComparison

WORST = 3  # clients whose series are drawn
SHOWN = 120  # number of their last steps
FEWEST = 30  # scored steps for a point of the curve by history


def plot_panel(found: PanelComparison, *, path: str | Path) -> Figure:
    """Draw which clients gain, the worst clients, and when pooling helps, into a PNG file.

    Left: every client's error in the panel against its error alone, both over that of repeating its
    last value; below the diagonal it gains. Middle: the end of the series of the worst clients.
    Right: error of the panel over that of private ridges, by the number of values that a client had
    seen; clients that joined later have a separate line.

    Parameters
    ----------
    found : PanelComparison
        The result of `memoa.forecasters.panel_comparison.compare_panel`.
    path : str or Path
        The file to write, overwritten if it exists.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(12.0, 4.0)
    rows = _n_worst(found)
    grid = figure.add_gridspec(rows, 3, width_ratios=[3, 4, 3])
    _draw_clients(figure.add_subplot(grid[:, 0]), found)
    _draw_worst([figure.add_subplot(grid[row, 1]) for row in range(rows)], found)
    _draw_history(figure.add_subplot(grid[:, 2]), found)
    figure.suptitle(found.series.name, x=0.01, ha="left", fontsize=11, parse_math=False)
    save(figure, path)
    return figure


def _draw_clients(axes: Axes, found: PanelComparison) -> None:
    mine, alone = found.errors[PANEL], found.errors[ALONE]
    compared = ~np.isnan(mine - alone)
    if compared.any():
        both = np.concatenate([mine[compared], alone[compared]])
        low, high = both.min(), both.max()
        axes.plot([low, high], [low, high], color=COLOURS["repeat"], lw=0.8)
        many = compared.sum() > 200
        axes.plot(
            alone[compared],
            mine[compared],
            "o",
            ms=2.5 if many else 4,
            mew=0,
            alpha=0.5 if many else 0.8,
            color=COLOURS["memoa"],
        )
    share = found.better_than_alone(PANEL)
    title = "too few steps to compare" if np.isnan(share) else f"{share:.0%} of the clients gain"
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xlabel("error alone (private ridge)", fontsize=9)
    axes.set_ylabel("error in the panel")
    finish_axes(axes)


def _n_worst(found: PanelComparison) -> int:
    return max(1, min(WORST, int((~np.isnan(found.errors[PANEL])).sum())))


def _draw_worst(rows: list[Axes], found: PanelComparison) -> None:
    series, run = found.series, found.runs[PANEL]
    errors = np.nan_to_num(found.errors[PANEL], nan=-1.0)
    for axes, client in zip(rows, np.argsort(-errors, kind="stable")):
        seen = np.flatnonzero(~np.isnan(series.Y[:, client, 0]))
        steps = slice(max(0, seen[-1] + 1 - SHOWN), seen[-1] + 1) if len(seen) else slice(0)
        times = series.times[steps]
        axes.plot(times, series.Y[steps, client, 0], color="#8a8a8a", lw=1.6, label="series")
        axes.plot(
            times,
            run.predictions[steps, client, 0],
            color=COLOURS["memoa"],
            lw=0.9,
            label="forecast",
        )
        axes.set_title(
            f"{series.ids[client]}: {max(errors[client], 0.0):.3g}",
            fontsize=8,
            loc="left",
            parse_math=False,
            pad=3,
        )
        if series.times.dtype.kind == "M":
            date_axis(axes)
        finish_axes(axes)
    rows[0].legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=2,
        frameon=False,
        fontsize=8,
        borderaxespad=0.2,
    )


def _draw_history(axes: Axes, found: PanelComparison) -> None:
    late = joined_late(found.series)
    axes.axhline(1.0, color=COLOURS["repeat"], lw=0.8)
    points = 0
    for clients, style, name in ((~late, "o-", "from the start"), (late, "s--", "joined later")):
        history, ratio = by_history(found, clients)
        points += len(history)
        axes.plot(history, ratio, style, ms=4, lw=1.2, color=COLOURS["memoa"], label=name)
    if points > 1:
        axes.set_xscale("log")
    if late.any():
        axes.legend(frameon=False, fontsize=8)
    axes.set_xlabel("values that a client had seen", fontsize=9)
    axes.set_ylabel("error in the panel / alone")
    finish_axes(axes)


def joined_late(series: PanelSeries) -> NDArray[np.bool_]:
    """Return which clients (N,) started after a tenth of the steps, when a crowd existed."""
    before = series.before.reshape(-1, *series.initial.shape)
    values = np.concatenate([before, series.Y])[:, :, 0]
    first: NDArray[np.intp] = np.argmax(~np.isnan(values), axis=0)
    return np.asarray(first > len(values) / 10)


def by_history(
    found: PanelComparison, clients: NDArray[np.bool_] | None = None
) -> tuple[Float64, Float64]:
    """Return counts of values seen, and the panel's error over that of private ridges there.

    Errors are in units of each client's repeat-last error; counts are doubled from bin to bin.
    `clients` (N,) selects clients; default: all.
    """
    series = found.series
    unit = found.runs[PANEL].repeat_last_rmse[:, None]
    unit = np.where(unit > 0.0, unit, np.nan)
    squares = [(found.runs[name].predictions - series.Y) ** 2 / unit**2 for name in (PANEL, ALONE)]
    scored = ~np.isnan(squares[0] - squares[1])
    if clients is not None:
        scored &= clients[:, None]
    counts = np.cumsum(scored, axis=0)
    edges = 2.0 ** np.arange(0, np.log2(max(counts.max(), 1)) + 1)
    history, ratios = [], []
    for low in edges:
        inside = scored & (counts > low) & (counts <= 2.0 * low)
        if inside.sum() < FEWEST:
            continue
        mine, alone = (square[inside].sum() for square in squares)
        history.append(float(counts[inside].mean()))
        ratios.append(float(np.sqrt(mine / alone)) if alone > 0.0 else 1.0)
    return np.array(history), np.array(ratios)
