"""The plot of forecasts after the end of a series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memoa.plots.style import finish_axes, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from memoa.horizon_run import MultiHorizonRun

FEWEST = 48


def plot_fan(found: MultiHorizonRun, *, path: str | Path, last: int | None = None) -> Figure:
    """Draw the last rows of a series, and the forecasts of each lead after them, into a PNG file.

    The line of a lead has its forecasts after the end of the series. Its last point, which is
    marked, is the newest forecast. Bands are the intervals of all levels, bars those around the
    marked points.

    Parameters
    ----------
    found : MultiHorizonRun
        The result of `memoa.MultiHorizon.run`.
    path : str or Path
        The file to write, overwritten if it exists.
    last : int, optional
        How many of the last rows are drawn; by default twice the longest lead, at least 48.

    Returns
    -------
    matplotlib.figure.Figure
    """
    n_rows, n_outputs = found.Y.shape
    shown = min(n_rows, max(2 * found.leads[-1], FEWEST) if last is None else last)
    figure = new_figure(9.0, 2.2 + 1.6 * n_outputs)
    grid = figure.add_gridspec(n_outputs, 1)
    colours = [f"C{k}" for k in range(10)]
    for output in range(n_outputs):
        axes = figure.add_subplot(grid[output, 0])
        axes.plot(np.arange(-shown, 0), found.Y[n_rows - shown :, output], color="0.3", lw=1.0)
        for k, lead in enumerate(found.leads):
            values = found.unseen(lead)[:, output]
            if not len(values):
                continue
            at = np.arange(len(values))
            colour = colours[k % len(colours)]
            axes.plot(at, values, color=colour, lw=1.0, label=f"lead {lead}")
            axes.plot(at[-1:], values[-1:], "o", ms=4, color=colour)
            bounds = found.unseen_intervals(lead)[:, :, :, output]
            for level in range(bounds.shape[1]):
                low, high = bounds[:, level].T
                axes.fill_between(at, low, high, color=colour, alpha=0.12, lw=0)
                axes.plot(at[[-1, -1]], [low[-1], high[-1]], color=colour, lw=1.0)
        axes.axvline(-0.5, color="0.7", lw=0.8)
        if output == 0:
            axes.legend(fontsize=8, frameon=False, ncols=min(len(found.leads), 4))
        finish_axes(axes)
    axes.set_xlabel("steps after the end of the series", fontsize=9)
    save(figure, path)
    return figure
