"""The common style of all plots. Needs matplotlib, from the extra ``memoa[cli]``.

Figures are built without pyplot, so nothing global changes and no display is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memoa._files import whole

try:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError('memoa.plots needs matplotlib: pip install "memoa[cli]"') from error

# Okabe and Ito's palette: distinct for colour-blind readers, and by lightness in grey.
COLOURS = {"series": "#b5b5b5", "memoa": "#0072b2", "greedy": "#d55e00", "repeat": "#333333"}
MAX_POINTS = 4000


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of that size in inches, without a display."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: str | Path, dpi: float | None = None) -> None:
    """Write the plot, completely or not at all."""
    with whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi or figure.dpi)


def finish_axes(axes: Axes) -> None:
    """Apply the common style to a panel."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e4e4", lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    axes.yaxis.label.set_fontsize(9)


def date_axis(axes: Axes) -> None:
    """Show few and short dates along x."""
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.xaxis.get_offset_text().set_fontsize(8)


def legend_above(axes: Axes, ncols: int = 3) -> None:
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=ncols,
        frameon=False,
        fontsize=9,
        borderaxespad=0.2,
        handlelength=1.6,
        columnspacing=1.6,
    )


def blocks(n_steps: int) -> NDArray[np.intp]:
    """Return the first steps of the blocks that summarise a long line."""
    n_blocks = min(n_steps, MAX_POINTS // 2)
    return (np.arange(n_blocks) * n_steps) // n_blocks


def outline(
    axis: NDArray[Any], values: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return the line itself if it is short, else the extremes of each block.

    A million points look the same this way, including peaks, and are drawn fast.
    """
    if values.size <= MAX_POINTS:
        return axis, values
    starts = blocks(values.size)
    low, high = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
    return np.repeat(axis[starts], 2), np.stack([low, high], axis=1).ravel()
