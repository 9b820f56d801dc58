"""The picture of a comparison. Needs matplotlib, from the extra ``memoa[cli]``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memoa.forecasters import GREEDY, MEMOA, REPEAT
from memoa.plots import COLOURS, finish_axes, legend_above, new_figure, outline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from memoa.comparison import Comparison

MARKERS = {"server_rmse": ("server", "o"), "mean_agent_rmse": ("mean agent", "s"),
           "worst_agent_rmse": ("worst agent", "^")}  # fmt: skip
OTHERS = ("#009e73", "#cc79a7", "#e69f00")
MOST_DRAWN = 3  # of the other forecasters, the best


def plot_comparison(found: Comparison, *, path: str | Path) -> Figure:
    """Draw the errors of all forecasters, and how they built up, into a PNG file.

    Left: error of server, mean and worst agent, best server first; those beyond three times the
    median server error are arrows at the edge. Right: sum of squared errors up to each step, in
    parts of the final sum of repeating the last value, for memoa, greedy, that repetition and the
    three best others.

    Parameters
    ----------
    found : Comparison
        What `memoa.compare` returned.
    path : str or Path
        The file to write, overwritten if it exists.

    Returns
    -------
    matplotlib.figure.Figure
    """
    order = sorted(found.scores, key=lambda name: found.quantile(name, "server_rmse"))
    figure = new_figure(11.0, 1.4 + max(2.6, 0.24 * len(order)))
    left, right = figure.subplots(1, 2, width_ratios=[3, 4])
    heights = np.arange(len(order))[::-1]
    edge = 3.0 * float(np.median([found.quantile(name, "server_rmse") for name in order]))
    drawn = [name for name in order if name not in (MEMOA, GREEDY, REPEAT)][:MOST_DRAWN]
    colours = dict(zip(drawn, OTHERS)) | {
        MEMOA: COLOURS["memoa"], GREEDY: COLOURS["greedy"], REPEAT: COLOURS["repeat"]
    }  # fmt: skip
    for name, height in zip(order, heights):
        colour = colours.get(name, "#777777")
        for measure, (_, marker) in MARKERS.items():
            value = found.quantile(name, measure)
            if np.isnan(value):
                continue
            shown = ">" if value > edge else marker
            left.plot(min(value, edge), height, shown, ms=5, color=colour,
                      mfc=colour if marker == "o" else "none")  # fmt: skip
    for label, marker in MARKERS.values():
        left.plot([], [], marker, color="#555555", mfc="#555555" if marker == "o" else "none",
                  label=label)  # fmt: skip
    legend_above(left)
    left.set_yticks(heights, order)
    left.set_xlabel("root-mean-square error", fontsize=9)
    finish_axes(left)

    targets = found.series.Y
    last = np.vstack([found.series.initial, targets[:-1]])
    unit = float(np.square(targets - last).sum()) or 1.0
    axis = np.arange(len(targets)) if found.series.index is None else found.series.index
    for name in (*drawn, REPEAT, GREEDY, MEMOA):
        if name in found.predictions:
            errors = np.square(found.predictions[name] - targets).sum(axis=1)
            right.plot(*outline(axis, np.cumsum(errors) / unit), color=colours[name],
                       lw=1.6 if name == MEMOA else 1.0, ls=":" if name == REPEAT else "-",
                       label=name)  # fmt: skip
    right.set_ylabel("sum of squared errors so far /\nthat of repeating, at the end")
    right.legend(frameon=False, fontsize=8, loc="upper left")
    right.set_xlabel("step" if found.series.index is None else "date", fontsize=9)
    right.set_ylim(bottom=0.0)
    finish_axes(right)
    figure.suptitle(found.series.name, x=0.01, ha="left", fontsize=11, parse_math=False)
    figure.savefig(path, format="png")
    return figure
