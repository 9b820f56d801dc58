"""The pictures of the experiments, in the colours of `memoa.plots`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from experiments.knobs import Knob
from experiments.section import quartiles
from memoa.forecasters.standard import GREEDY, MEMOA, REPEAT
from memoa.plots.style import COLOURS, finish_axes, new_figure, save
from memoa.plots.verification import POLICY_COLOURS, POLICY_LABELS

MEASURE_STYLES: dict[str, tuple[str, str]] = {
    "server_rmse": ("server", "o"),
    "mean_agent_rmse": ("mean agent", "s"),
    "worst_agent_rmse": ("worst agent", "^"),
}
#: Name, label and colour of the policies of `experiments.theory`. Greedy agents ignore the others.
WORST_POLICIES = tuple(
    (name.replace("myopic", "greedy"), POLICY_LABELS[name].replace("myopic", "greedy"), colour)
    for name, colour in POLICY_COLOURS.items()
)
PICTURE_DPI = 110
EXPERTS_COLOUR = "#009e73"
SERIES_COLOURS = ("#0072b2", "#009e73", "#cc79a7")


def plot_forecasting(
    scores: Mapping[tuple[str, str], Mapping[str, Sequence[float]]],
    names: Sequence[str],
    rows: Sequence[str],
    *,
    path: Path,
) -> None:
    """One panel per series: errors of every forecaster relative to repeating the last value."""
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    figure = new_figure(2.2 + 2.3 * columns, 0.7 + (0.24 * len(rows) + 0.7) * lines)
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    heights = np.arange(len(rows))[::-1]
    for axes, name in zip(panels, names):
        unit = quartiles(scores[name, REPEAT]["server_rmse"])[0]
        found = {
            (row, measure): np.array(quartiles(scores[name, row][measure])) / unit
            for row in rows
            for measure in MEASURE_STYLES
        }
        ours = [found[row, measure][2] for row in (MEMOA, GREEDY) for measure in MEASURE_STYLES]
        # What is far worse than all of these would press them together: an arrow at the edge.
        edge = 1.0 + 1.25 * (max(1.0, *ours) - 1.0) if max(ours) > 1.0 else 1.1
        for row, height in zip(rows, heights):
            for measure, (_, marker) in MEASURE_STYLES.items():
                _draw_error(axes, found[row, measure], height, edge, _row_colour(row), marker)
        axes.axvline(1.0, color=COLOURS["repeat"], lw=0.8, ls=":", zorder=0)
        axes.set_xscale("log")
        axes.set_xlim(right=edge * (edge / axes.get_xlim()[0]) ** 0.03)
        _plain_ticks(axes.xaxis, axes.get_xlim())
        axes.set_title(name, fontsize=9, loc="left")
        finish_axes(axes)
        axes.set_yticks(heights, rows, fontsize=8)
        axes.set_ylim(-0.7, len(rows) - 0.3)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for label, marker in MEASURE_STYLES.values():
        panels[0].plot(
            [], [], marker, color="#555555", label=label, mfc="#555555" if marker == "o" else "none"
        )
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside upper right",
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    figure.supxlabel("error / error of repeating the last value", fontsize=9)
    save(figure, path, dpi=PICTURE_DPI)


def plot_knob(
    knob: Knob,
    curves: Mapping[tuple[str, str, str, str], Mapping[float, Sequence[float]]],
    unit: Mapping[str, float],
    *,
    path: Path,
    silence: str | None = None,
) -> None:
    """One panel per series: server, mean and worst agent against a setting's values.

    `silence` names the curve of agents that hear nothing in between.
    """
    figure = new_figure(0.8 + 2.9 * len(unit), 3.3)
    panels = figure.subplots(1, len(unit), squeeze=False).ravel()
    for axes, series in zip(panels, unit):
        for policy in (MEMOA, GREEDY):
            for measure, (label, marker) in MEASURE_STYLES.items():
                if policy == GREEDY and measure == "mean_agent_rmse":
                    continue
                style: dict[str, Any] = {
                    "color": COLOURS[policy],
                    "marker": marker,
                    "ms": 4,
                    "lw": 1.2,
                }
                if measure != "server_rmse":
                    style |= {"mfc": "none"}
                if policy == GREEDY and not knob.changes_greedy:
                    level = quartiles(curves[series, "", GREEDY, measure][0])[0] / unit[series]
                    ls = "-" if measure == "server_rmse" else "--"
                    axes.axhline(
                        level,
                        color=COLOURS[GREEDY],
                        lw=1.0,
                        ls=ls,
                        alpha=0.8,
                        label=f"{label}, greedy",
                    )
                    continue
                _band(
                    axes,
                    curves[series, knob.name, policy, measure],
                    unit[series],
                    label=f"{label}, {policy}",
                    **style,
                )
        if silence is not None:
            silent = curves[series, silence, MEMOA, "worst_agent_rmse"]
            _band(
                axes,
                silent,
                unit[series],
                color="#009e73",
                marker="v",
                ms=4,
                lw=1.2,
                mfc="none",
                label="worst agent, silence in between",
            )
        default = _position(knob.default, knob.values)
        axes.axvline(default, color="#999999", lw=0.9, ls=":", zorder=0)
        _value_axis(axes, sorted(curves[series, knob.name, MEMOA, "server_rmse"]))
        axes.set_title(series, fontsize=9, loc="left")
        axes.set_xlabel(knob.axis, fontsize=9)
        axes.set_yscale("log")
        _plain_ticks(axes.yaxis, axes.get_ylim())
        finish_axes(axes)
    panels[0].set_ylabel("error / that of repeating", fontsize=9)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=6,
        frameon=False,
        fontsize=9,
    )
    save(figure, path, dpi=PICTURE_DPI)


def plot_worst(
    costs: Mapping[tuple[str, str, str], Mapping[int, Sequence[float]]],
    titles: Mapping[str, str],
    *,
    path: Path,
) -> None:
    """Expected cost of an agent, and the worst simulated one's, under four policies; by game."""
    figure = new_figure(10.0, 3.3 * len(titles))
    panels = figure.subplots(len(titles), 2, sharex=True)
    for (game, title), pair in zip(titles.items(), panels):
        for axes, kind, words in zip(
            pair, ("expected", "worst"), ("expected cost", "worst agent's cost, by seeds")
        ):
            for name, label, colour in WORST_POLICIES:
                values = costs[game, name, kind]
                sizes = np.array(sorted(values), dtype=float)
                found = np.array([quartiles(values[int(n)]) for n in sizes])
                line = "--" if name == "nash" else "-"
                axes.plot(
                    sizes,
                    found[:, 0],
                    line,
                    color=colour,
                    lw=1.4,
                    marker="o",
                    ms=3,
                    label=label,
                )
                axes.fill_between(sizes, found[:, 1], found[:, 2], color=colour, alpha=0.15, lw=0)
            axes.set(xscale="log", yscale="log")
            _plain_ticks(axes.yaxis, axes.get_ylim())
            axes.set_title(f"{title}: {words}", fontsize=9, loc="left")
            finish_axes(axes)
    for axes in panels[-1]:
        axes.set_xlabel("number of agents N", fontsize=9)
    figure.legend(
        *panels[0, 0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=4,
        frameon=False,
        fontsize=9,
    )
    save(figure, path, dpi=PICTURE_DPI)


def plot_heterogeneity(
    ratios: Mapping[tuple[str, str], Mapping[int, Mapping[str, Sequence[float]]]],
    labels: Mapping[str, str],
    *,
    path: Path,
) -> None:
    """The worst agent relative to greedy's, against how much the agents differ; by policy."""
    families = list(dict.fromkeys(family for _, family in ratios))
    places = list(dict.fromkeys(place for place, _ in ratios))
    figure = new_figure(1.0 + 2.7 * len(places), 3.8)
    panels = figure.subplots(1, len(places), squeeze=False).ravel()
    styles = {"one": ("o", "-"), "alike": ("s", ":"), "types": ("^", "--")}
    colours = dict(zip(families, SERIES_COLOURS))
    factors = sorted({factor for cells in ratios.values() for factor in cells})
    for axes, place in zip(panels, places):
        for family, colour in colours.items():
            cells = ratios[place, family]
            at = [_position(factor, factors) for factor in cells]
            for policy, (marker, line) in styles.items():
                found = np.array([quartiles(cells[factor][policy]) for factor in cells])
                axes.plot(
                    at, found[:, 0], line, marker=marker, ms=5, lw=1.2, color=colour, mfc="none"
                )
        axes.axhline(1.0, color=COLOURS["greedy"], lw=1.0)
        what = "cost of the worst type" if place == "game" else "worst agent's RMSE"
        axes.set_title(f"{place}: {what}", fontsize=9, loc="left")
        axes.set_yscale("log")
        _plain_ticks(axes.yaxis, axes.get_ylim())
        _value_axis(axes, factors)
        axes.set_xlabel("factor h", fontsize=9)
        finish_axes(axes)
    panels[0].set_ylabel("relative to greedy agents", fontsize=9)
    for family, colour in colours.items():
        panels[0].plot([], [], color=colour, lw=2.5, label=f"agents differ in {family}")
    for policy, (marker, line) in styles.items():
        panels[0].plot(
            [], [], line, marker=marker, mfc="none", color="#555555", label=labels[policy]
        )
    panels[0].plot([], [], color=COLOURS["greedy"], lw=1.0, label="greedy")
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=4,
        frameon=False,
        fontsize=9,
    )
    save(figure, path, dpi=PICTURE_DPI)


def _draw_error(
    axes: Axes, found: NDArray[np.float64], height: float, edge: float, colour: str, marker: str
) -> None:
    """Median and quartiles of one error, the server's filled; an arrow if it is off the scale."""
    middle, low, high = found
    if np.isnan(middle):
        return
    if middle > edge:
        axes.plot(edge, height, ">", ms=5, color=colour, clip_on=False)
        return
    is_server = marker == "o"
    face, alpha = (colour, 1.0) if is_server else ("none", 0.7)
    axes.plot(middle, height, marker, ms=5, color=colour, mfc=face, alpha=alpha, zorder=3)
    axes.plot([low, min(high, edge)], [height] * 2, color=colour, lw=1.2)


def _row_colour(row: str) -> str:
    for start, colour in ((MEMOA, COLOURS["memoa"]), (GREEDY, COLOURS["greedy"])):
        if row.startswith(start):
            return colour
    return EXPERTS_COLOUR if row.startswith(("EWA", "BOA")) else "#555555"


def _band(
    axes: Axes, values: Mapping[float, Sequence[float]], unit: float, *, color: str, **style: Any
) -> None:
    """Medians with a band between the quartiles."""
    at = sorted(values)
    found = np.array([quartiles(values[value]) for value in at]) / unit
    places = [_position(value, at) for value in at]
    axes.plot(places, found[:, 0], color=color, **style)
    axes.fill_between(places, found[:, 1], found[:, 2], color=color, alpha=0.13, lw=0)


def _position(value: float, values: Iterable[float]) -> float:
    """Logarithm of a value; 0 stands one step before the smallest that has one."""
    positive = sorted(other for other in values if other > 0)
    if value > 0 or not positive:
        return float(np.log10(value)) if value > 0 else 0.0
    step = np.log10(positive[1] / positive[0]) if len(positive) > 1 else 1.0
    return float(np.log10(positive[0]) - step)


def _value_axis(axes: Axes, values: Sequence[float]) -> None:
    """A tick at every value, labelled where there is room."""
    crowded = len(values) > 8

    def label(value: float) -> str:
        if crowded and np.log10(value) % 1:
            return ""
        return f"{value:g}" if value < 1e4 else f"$10^{{{np.log10(value):.0f}}}$"

    axes.set_xticks([_position(value, values) for value in values], list(map(label, values)))


def _plain_ticks(axis: Any, limits: tuple[float, float]) -> None:
    """Plain numbers on a logarithmic axis that spans little."""
    low, high = limits
    decades = np.log10(high / low)
    steps = (1.0, 2.0, 5.0) if decades > 1.0 else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
    if decades < 0.4:
        ticks = [float(tick) for tick in MaxNLocator(4).tick_values(low, high)]
    else:
        exponents = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        ticks = [m * 10.0**k for k in exponents for m in steps]
        if decades > 2.5:
            ticks = [10.0**k for k in exponents]
    axis.set_major_locator(FixedLocator([t for t in ticks if low <= t <= high]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
