"""The plot of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from memoa.forecasters.standard import GREEDY, MEMOA, REPEAT
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

    from memoa.forecasters import Comparison

MARKERS = {
    "server_rmse": ("server", "o"),
    "mean_agent_rmse": ("mean agent", "s"),
    "worst_agent_rmse": ("worst agent", "^"),
}
OTHERS = ("#009e73", "#cc79a7", "#e69f00")
MOST_STEPS = 500
MOST_DRAWN = 3  # number of the best other forecasters
PARTS = {"mixture": "#0072b2", "agents": "#56b4e9", "season": "#e69f00", "last value": "#999999"}
FAR = 1.0  # differences as large as the sum itself are cut off


def plot_comparison(found: Comparison, *, path: str | Path) -> Figure:
    """Draw the errors of all forecasters, and their growth over time, into a PNG file.

    Left: errors of server, mean and worst agent, best server first; those beyond three times the
    median server error are arrows at the edge. Right: sum of squared errors up to each step minus
    memoa's (or the first forecaster's, without memoa), relative to its final sum, for greedy,
    repeating the last value and the three best others. Below, if memoa is among them: shares of its
    server's rivals in the forecasts, means over outputs.

    Parameters
    ----------
    found : Comparison
        The result of `memoa.compare`.
    path : str or Path
        The file to write, overwritten if it exists.

    Returns
    -------
    matplotlib.figure.Figure
    """
    order = sorted(found.scores, key=lambda name: found.quantile(name, "server_rmse"))
    height, has_shares = 1.4 + max(2.6, 0.24 * len(order)), MEMOA in found.shares
    figure = new_figure(11.0, height + 1.6 * has_shares)
    axes = figure.subplot_mosaic(
        [["errors", "sums"], ["shares", "shares"]] if has_shares else [["errors", "sums"]],
        width_ratios=[3, 4],
        height_ratios=[height, 1.6] if has_shares else [1.0],
    )
    left, right = axes["errors"], axes["sums"]
    heights = np.arange(len(order))[::-1]
    edge = 3.0 * float(np.median([found.quantile(name, "server_rmse") for name in order]))
    drawn = [name for name in order if name not in (MEMOA, GREEDY, REPEAT)][:MOST_DRAWN]
    colours = dict(zip(drawn, OTHERS)) | {
        MEMOA: COLOURS["memoa"],
        GREEDY: COLOURS["greedy"],
        REPEAT: COLOURS["repeat"],
    }
    for name, height in zip(order, heights):
        colour = colours.get(name, "#777777")
        for measure, (_, marker) in MARKERS.items():
            value = found.quantile(name, measure)
            if np.isnan(value):
                continue
            shown = ">" if value > edge else marker
            left.plot(
                min(value, edge),
                height,
                shown,
                ms=5,
                color=colour,
                mfc=colour if marker == "o" else "none",
            )
    for label, marker in MARKERS.values():
        left.plot(
            [], [], marker, color="#555555", mfc="#555555" if marker == "o" else "none", label=label
        )
    legend_above(left)
    left.xaxis.set_major_locator(MaxNLocator(5))
    left.set_yticks(heights, order)
    left.set_xlabel("root-mean-square error", fontsize=9)
    finish_axes(left)

    _draw_differences(right, found, colours)
    # Above the axes, because the lines may be anywhere within them.
    right.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, fontsize=8)
    if has_shares:
        _draw_shares(axes["shares"], found)
    figure.suptitle(found.series.name, x=0.01, ha="left", fontsize=11, parse_math=False)
    save(figure, path)
    return figure


def _draw_differences(axes: Axes, found: Comparison, colours: Mapping[str, str]) -> None:
    series = found.series
    sums = {
        name: np.cumsum(np.nansum(np.square(forecasts - series.Y), axis=1))
        for name, forecasts in found.predictions.items()
        if name in colours
    }
    reference = MEMOA if MEMOA in sums else next(iter(sums))
    unit = float(sums[reference][-1]) or 1.0
    axis = np.arange(len(series.Y)) if series.index is None else series.index
    top = 0.01
    for name in sorted(sums, key=lambda name: float(sums[name][-1])):
        difference = (sums[name] - sums[reference]) / unit
        style: dict[str, Any] = {"color": colours[name], "lw": 1.0, "label": f"{name}: "}
        if name == reference:
            style |= {"lw": 1.6, "label": name, "zorder": 4}
        else:
            style["label"] += f"{difference[-1]:+.2%}"
        if name == REPEAT:
            style |= {"ls": ":", "lw": 1.6, "zorder": 3}
        if np.abs(difference).max() > FAR:
            style["label"] += ", off the scale"
            axes.plot([], [], **style)
            continue
        top = max(top, float(np.abs(difference).max()))
        axes.plot(*outline(axis, difference), **style)
    axes.set_ylim(-1.1 * top, 1.1 * top)
    axes.set_ylabel(f"sum of squared errors so far,\nminus that of {reference}")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    finish_axes(axes)
    if series.index is None:
        axes.set_xlabel("step", fontsize=9)
    else:
        date_axis(axes)


def _draw_shares(axes: Axes, found: Comparison) -> None:
    shares = found.shares[MEMOA].mean(axis=2)
    n = max(1, len(shares) // MOST_STEPS)  # steps that are drawn as their mean
    edges = np.arange(0, len(shares), n)
    counts = np.diff(np.append(edges, len(shares)))
    means = np.add.reduceat(shares, edges, axis=0) / counts[:, None]
    axes.stackplot(edges, means.T, labels=PARTS, colors=PARTS.values(), lw=0)
    axes.set_xlim(0, max(len(shares) - 1, 1))
    axes.set_ylim(0.0, 1.0)
    axes.set_ylabel("shares in the\nforecast")
    axes.set_xlabel("step", fontsize=9)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    finish_axes(axes)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, frameon=False, fontsize=8)
