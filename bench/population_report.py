"""Tables of the population benchmark, for the terminal and for the site; the picture."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import peers
from population_goals import GOALS, Results, Row, median
from rich.console import Console
from rich.table import Table

TITLES = {
    "limits": "Bandwidth of this machine, GB/s",
    "step": "memoa, step by step",
    "run": "memoa, whole runs of 16 steps",
    "small": "A small population: N = 100, p = 8",
    "mixture": "The mixture's cost on top, default window",
    "memory": "Memory of an agent",
    "levels": "The same step under every instruction set",
    "peers": "The same step in other libraries: how many times faster memoa is",
}


@dataclass(frozen=True)
class Sheet:
    """A table of text."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def spread(value: Any, digits: int = 3) -> str:
    """Median (lower..upper quartile)."""
    if not isinstance(value, dict):
        return f"{value:.{digits}g}"
    low, middle, high = (f"{value[k]:.{digits}g}" for k in ("q1", "median", "q3"))
    return middle if low == middle == high else f"{middle} ({low}..{high})"


def _case(case: dict[str, Any]) -> list[str]:
    n = case["n_agents"]
    return [f"{n:,}", str(case["n_features"]), str(case["n_outputs"]), case["dtype"]]


CASE = ["N", "p", "d", "dtype"]
COLUMNS: dict[str, list[tuple[str, str]]] = {
    "step": [
        ("ns / agent-step", "ns"),
        ("bytes", "bytes"),
        ("limit GB/s", "update GB/s"),
        ("fraction of limit", "fraction"),
        ("times one thread", "times one thread"),
    ],
    "run": [
        ("run, ns / agent-step", "ns"),
        ("stepping, ns", "step ns"),
        ("times faster", "times faster"),
    ],
    "small": [
        ("run, us / step", "run us"),
        ("kernel work, us", "kernel us"),
        ("run / kernel", "run / kernel"),
        ("Python loop adds, us", "loop adds us"),
    ],
    "mixture": [
        ("ns / agent-step", "ns"),
        ("window bytes", "window bytes"),
        ("GB/s", "GB/s"),
        ("limit GB/s", "update GB/s"),
    ],
    "memory": [
        ("measured bytes", "bytes"),
        ("arithmetic minimum", "least bytes"),
        ("times minimum", "times least"),
    ],
    "levels": [("ns / agent-step", "ns"), ("times the best", "times the best")],
}


def sheets(results: Results) -> list[Sheet]:
    """All tables that the results can fill, the goals first."""
    made = [
        Sheet(
            "Goals: the worst median of all cases",
            ["what", "goal", "measured", ""],
            [[goal.what, *goal.verdict(results)] for goal in GOALS],
        )
    ]
    for section, title in TITLES.items():
        rows = results.get(section, [])
        if not rows:
            continue
        if section == "limits":
            made.append(_limits(title, rows))
        elif section == "peers":
            made += [_peers(title, rows), _peers_ns(rows)]
        else:
            extra = [key for key in ("threads", "level", "window") if key in rows[0]["case"]]
            made.append(
                Sheet(
                    title,
                    CASE + extra + [label for label, _ in COLUMNS[section]],
                    [
                        _case(row["case"])
                        + [str(row["case"][key]) for key in extra]
                        + [spread(row[key], 4) for _, key in COLUMNS[section]]
                        for row in rows
                    ],
                )
            )
    return made


def _limits(title: str, rows: list[Row]) -> Sheet:
    table: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        case = row["case"]
        plural = "s" if case["threads"] > 1 else ""
        column = f"{case['kind']}, {case['threads']} thread{plural}"
        table[case["array"]][column] = spread(row["GB/s"])
    columns = sorted({column for cells in table.values() for column in cells}, reverse=True)
    cells = [[name, *(row.get(c, "-") for c in columns)] for name, row in table.items()]
    return Sheet(title, ["arrays", *columns], cells)


def _by_case(rows: list[Row]) -> dict[tuple[str, ...], dict[str, Row]]:
    table: dict[tuple[str, ...], dict[str, Row]] = defaultdict(dict)
    for row in rows:
        table[tuple(_case(row["case"]))][row["case"]["peer"]] = row
    return table


def _names(rows: list[Row]) -> list[str]:
    present = {row["case"]["peer"] for row in rows}
    return [name for name in peers.REGISTRY if name in present]


def _peers(title: str, rows: list[Row]) -> Sheet:
    names = _names(rows)
    cells = [
        [*case, *(spread(found[n]["times faster"]) if n in found else "-" for n in names)]
        for case, found in _by_case(rows).items()
    ]
    return Sheet(title, CASE + names, cells)


def _peers_ns(rows: list[Row]) -> Sheet:
    names = _names(rows)
    cells = []
    for case, found in _by_case(rows).items():
        ours = [
            next((median(r["memoa ns"]) for n, r in found.items() if (n == "jax-scan") == runs), 0)
            for runs in (False, True)
        ]
        times = [f"{median(found[n]['ns']):.3g}" if n in found else "-" for n in names]
        cells.append([*case, *(f"{v:.3g}" if v else "-" for v in ours), *times])
    return Sheet(
        "The same in nanoseconds per agent and step", [*CASE, "memoa", "memoa run", *names], cells
    )


def show(results: Results, console: Console) -> None:
    """Print every table."""
    for sheet in sheets(results):
        table = Table(title=sheet.title, title_justify="left", header_style="bold")
        for number, column in enumerate(sheet.columns):
            table.add_column(column, justify="left" if number == 0 else "right")
        for row in sheet.rows:
            style = {"met": "green", "NOT MET": "red"}.get(row[-1])
            table.add_row(*row, style=style)
        console.print(table)


def describe(origin: dict[str, Any]) -> str:
    """A line on the machine, the versions and the size."""
    about = [f"{key} {value}" for key, value in origin.items() if key != "quick"]
    return ", ".join([*about, "quick sizes"] if origin["quick"] else about)


def markdown(results: Results, origin: dict[str, Any]) -> str:
    """The tables: the goals for docs/performance.md, the others for docs/performance-tables.md."""
    text = [describe(origin)]
    for sheet in sheets(results):
        text += ["", f"## {sheet.title}", "", "| " + " | ".join(sheet.columns) + " |"]
        text += ["|" + "---|" * len(sheet.columns)]
        text += ["| " + " | ".join(row) + " |" for row in sheet.rows]
    return "\n".join(text) + "\n"


# ---------------------------------------------------------------------- picture


def plot(results: Results, path: Path) -> None:
    """Fractions of the limit against N, and nanoseconds of every peer against N."""
    steps, rivals = results.get("step", []), results.get("peers", [])
    if not steps and not rivals:
        return
    figure, (left, right) = plt.subplots(1, 2, figsize=(13.5, 4.8), layout="constrained")
    _plot_fractions(left, [row for row in steps if row["case"]["n_outputs"] == 1])
    _plot_peers(right, [row for row in rivals if _shown(row["case"])])
    _plot_limit(right, [row for row in steps if _shown(row["case"])])
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _shown(case: dict[str, Any]) -> bool:
    return bool(case["n_features"] == 8 and case["n_outputs"] == 1 and case["dtype"] == "float64")


def _curves(rows: list[Row], label: Any) -> dict[Any, list[Row]]:
    curves: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        curves[label(row["case"])].append(row)
    return {k: sorted(v, key=lambda row: row["case"]["n_agents"]) for k, v in curves.items()}


def _draw(axes: Any, rows: list[Row], field: str, **style: Any) -> None:
    x = [row["case"]["n_agents"] for row in rows]
    middle, low, high = ([row[field][k] for row in rows] for k in ("median", "q1", "q3"))
    (line,) = axes.plot(x, middle, marker="o", markersize=4, **style)
    axes.fill_between(x, low, high, color=line.get_color(), alpha=0.2, linewidth=0)


def _plot_fractions(axes: Any, rows: list[Row]) -> None:
    for (p, dtype, threads), curve in _curves(
        rows, lambda c: (c["n_features"], c["dtype"], c["threads"])
    ).items():
        _draw(
            axes,
            curve,
            "fraction",
            label=f"p = {p}, {dtype}, {threads} thread{'s' * (threads > 1)}",
            color=f"C{(p == 16) + 2 * (dtype == 'float32')}",
            linestyle="-" if threads > 1 else "--",
        )
    axes.axhline(0.7, color="0.5", linewidth=1, linestyle=":")
    axes.set(
        xscale="log",
        xlabel="agents N",
        ylabel="fraction of the in-place update bandwidth",
        title="memoa's step against the machine's limit, d = 1",
    )
    axes.set_ylim(bottom=0.0)
    if rows:
        axes.legend(fontsize=8)


def _plot_peers(axes: Any, rows: list[Row]) -> None:
    for name, curve in _curves(rows, lambda c: c["peer"]).items():
        _draw(axes, curve, "ns", label=name)
    for runs, label in ((False, "memoa"), (True, "memoa run")):
        curves = _curves(
            [r for r in rows if (r["case"]["peer"] == "jax-scan") == runs], lambda c: c["peer"]
        )
        if curves:
            ours = max(curves.values(), key=len)
            _draw(
                axes,
                ours,
                "memoa ns",
                label=label,
                color="black",
                linewidth=2,
                linestyle="--" if runs else "-",
            )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="agents N",
        ylabel="nanoseconds per agent and step",
        title="The same step in other libraries, p = 8, d = 1, float64",
    )


def _plot_limit(axes: Any, rows: list[Row]) -> None:
    """Nanoseconds in which the machine could move the bytes, with the most threads."""
    for threads, curve in sorted(_curves(rows, lambda c: c["threads"]).items())[-1:]:
        x = [row["case"]["n_agents"] for row in curve]
        y = [row["bytes"] / median(row["update GB/s"]) for row in curve]
        axes.plot(x, y, color="0.4", linestyle=":", label=f"bandwidth, {threads} threads")
    if axes.lines:
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
