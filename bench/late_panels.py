"""Panels whose values come late: the table of docs/panel.md.

    python bench/late_panels.py [FOLDER] [--delays 0 1 6 24]

FOLDER as for bench/panel_study.py. Numbers are RMSEs over that of repeating the client's last known
value, mean client / worst client, of the panel and of a private ridge for each client.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from panel_study import panels

import memoa
from memoa.datasets import PanelSeries

ALONE = {"pooling": 0.0, "consensus": 0.0}


def errors(series: PanelSeries, **settings: float) -> str:
    """Mean and worst client of a panel with these settings."""
    panel = memoa.Panel(len(series.ids), delay=series.delay, **settings)
    run = panel.run(series.X, series.Y, initial=series.before, awake=series.awake)
    ratios = run.relative_rmse()
    return f"{np.nanmean(ratios):.3f}/{np.nanmax(ratios):.3f}"


def main() -> None:
    """Print the table in markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--delays", type=int, nargs="+", default=[0, 1, 6, 24])
    arguments = parser.parse_args()
    names = [f"{kind}, {k}" for k in arguments.delays for kind in ("panel", "alone")]
    print("| " + " | ".join(["panel of", *names]) + " |")
    print("|---" * (len(names) + 1) + "|")
    for name, series in panels(arguments.folder):
        cells = []
        for delay in arguments.delays:
            late = series.late(delay)
            cells += [errors(late), errors(late, **ALONE)]
        print("| " + " | ".join([name, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
