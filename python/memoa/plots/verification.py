"""The plot of a verification: rates, costs and solve times against the number of agents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator
from numpy.typing import NDArray

from memoa.plots.style import COLOURS, finish_axes, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from memoa.verify import Verification

FloatArray = NDArray[np.float64]

# The palette of the other plots: blue is memoa, vermilion the policy without foresight.
POLICY_COLOURS = {
    "mean_field": COLOURS["memoa"],
    "nash": COLOURS["repeat"],
    "social": "#009e73",
    "myopic": COLOURS["greedy"],
}
POLICY_LABELS = {
    "mean_field": "mean field",
    "nash": "exact Nash",
    "social": "social optimum",
    "myopic": "myopic",
}
RATE_STYLES = {
    "gain_gap": ("gap of the gains", COLOURS["memoa"], "o", -1),
    "limit_exploitability": ("exploitability, limit policy", "#009e73", "s", -1),
    "exploitability": ("exploitability, mean-field policy", COLOURS["greedy"], "^", -2),
}


def plot_verification(found: Verification, *, path: str | Path) -> Figure:
    """Draw four panels into a PNG file, all in double logarithms against the number of agents.

    Gap of the gains and exploitabilities with lines of slope -1 and -2; seconds of the solvers;
    expected cost, and cost of the worst simulated agent, of four policies.

    Parameters
    ----------
    found : Verification
        The result of `memoa.verify.verify`.
    path : str or Path
        The file to write, overwritten if it exists.

    Returns
    -------
    matplotlib.figure.Figure
        The figure that was written.
    """
    figure = new_figure(10.0, 7.6)
    rates, seconds, expected, worst = figure.subplots(2, 2).ravel()
    _draw_rates(rates, found)
    _draw_seconds(seconds, found)
    _draw_costs(expected, found, "cost", "expected cost of an agent")
    _draw_costs(worst, found, "worst", "cost of the worst agent, simulated")
    game = found.game
    done = sum(check.passed for check in found.checks)
    sizes = f"T = {game.horizon}, d = {game.n_outputs}, p = {game.n_features}"
    title = f"{done} of {len(found.checks)} checks passed  ({sizes})"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    save(figure, path)
    return figure


def _draw_rates(axes: Axes, found: Verification) -> None:
    agents = found.table["n_agents"]
    for column, (name, colour, marker, rate) in RATE_STYLES.items():
        values = found.table[column]
        shown = values > 0.0
        if not shown.any():
            axes.plot([], [], color=colour, label=f"{name}: 0")
            continue
        slope = found.slopes[column]
        label = f"{name}: at rounding" if np.isnan(slope) else f"{name}: slope {slope:.3f}"
        # Hollow, because the gap and the limit policy's exploitability may coincide.
        axes.plot(
            agents[shown],
            values[shown],
            marker,
            ms=6,
            mfc="none",
            color=colour,
            label=label,
            zorder=3,
        )
        start = int(np.argmax(shown & (agents >= 100))) if np.isfinite(slope) else None
        if start is not None:
            line = values[start] * (agents / agents[start]) ** rate
            drawn = line >= 0.3 * values[shown].min()
            axes.plot(agents[drawn], line[drawn], "-", lw=0.9, color=colour, alpha=0.6)
    _finish(axes, "gap and exploitability\n(lines: slopes -1 and -2)")


def _draw_seconds(axes: Axes, found: Verification) -> None:
    agents = found.table["n_agents"]
    for column, label, colour, style in (
        ("seconds_mean_field", "mean field", COLOURS["memoa"], "-"),
        ("seconds_nash", "exact Nash, d x d", COLOURS["repeat"], "--"),
    ):
        axes.plot(agents, found.table[column], style, marker="o", ms=3, color=colour, label=label)
    stacked = found.centralized
    axes.plot(
        stacked["n_agents"],
        stacked["seconds"],
        marker="o",
        ms=4,
        color=COLOURS["greedy"],
        label="centralized, N players at once",
    )
    _finish(axes, "seconds to solve")


def _draw_costs(axes: Axes, found: Verification, kind: str, ylabel: str) -> None:
    agents = found.table["n_agents"]
    for policy, colour in POLICY_COLOURS.items():
        values = found.table[f"{kind}_{policy}"]
        shown = values > 0.0
        # Nash covers the mean field for all but the smallest N; dashes keep both visible.
        style = "--" if policy == "nash" else "-"
        axes.plot(
            agents[shown],
            values[shown],
            style,
            lw=1.4,
            marker="o",
            ms=3,
            color=colour,
            label=POLICY_LABELS[policy],
        )
    _finish(axes, ylabel)
    # Costs span one or two decades: plain numbers instead of powers of ten.
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(LogLocator(subs=()))


def _finish(axes: Axes, ylabel: str) -> None:
    if not any(np.size(line.get_xdata()) for line in axes.lines):
        # If every value is 0, a logarithmic axis has no range.
        axes.set(xlim=(1.0, 1e9), ylim=(1e-3, 1.0))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("number of agents N", fontsize=9)
    axes.set_ylabel(ylabel, fontsize=9)
    finish_axes(axes)
    axes.legend(frameon=False, fontsize=8)
