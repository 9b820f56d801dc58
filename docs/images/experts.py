"""Draw experts.png: ``python docs/images/experts.py``. The forecasts are those of choose.md."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import memoa
from memoa.plots.style import finish_axes, legend_above, new_figure, save

SPREAD = (0.5, 1.0, 2.0)  # standard deviations of the experts' errors
STYLES = {"Experts": ("#0072b2", 2.0), "plain mean": ("#333333", 1.2)} | {
    f"expert with error {s}": (colour, 1.2)
    for s, colour in zip(SPREAD, ("#009e73", "#e69f00", "#cc79a7"))
}


def main(path: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.cumsum(rng.normal(size=400))
    forecasts = np.stack([y + rng.normal(0, s, 400) for s in SPREAD], axis=1)
    experts = memoa.Experts(3)
    mixed, weights = np.empty(400), np.empty((400, 3))
    for t in range(400):
        mixed[t] = experts.predict_one(forecasts[t])[0]
        weights[t] = experts.weights
        experts.learn_one(forecasts[t], y[t])
    columns = [mixed, forecasts.mean(axis=1), *forecasts.T]

    figure = new_figure(7.0, 5.6)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    for (name, (colour, width)), column in zip(STYLES.items(), columns):
        so_far = np.sqrt(np.cumsum((column - y) ** 2) / np.arange(1, 401))
        top.plot(so_far, color=colour, lw=width, label=f"{name}: {so_far[-1]:.2f}")
    top.set_ylim(0.0, 2.4)
    top.set_ylabel("root-mean-square error so far")
    colours = [colour for colour, _ in list(STYLES.values())[2:]]
    bottom.stackplot(np.arange(400), weights.T, colors=colours, lw=0)
    bottom.set_ylim(0.0, 1.0)
    bottom.set_ylabel("weights in Experts")
    bottom.set_xlabel("step", fontsize=9)
    for axes in (top, bottom):
        finish_axes(axes)
        axes.set_xlim(0, 399)
    legend_above(top, ncols=2)
    save(figure, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".png"))
