"""Intervals of memoa beside river's jackknife and the best fixed width: coverage and width.

    python bench/intervals.py [--cost]

Needs the extra `experiments` for river. For every series of 5000 steps, forecast by an ensemble of
16 agents: the share of the outcomes that lie within, the largest distance from the level in any 500
steps in a row, and the mean width over that of the best fixed quantile, which knows all errors.
With --cost instead what intervals cost, as a share of a step of 10^5 agents.
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import process_time

import numpy as np

import memoa

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "python"))
from test_interval import LEVELS, SERIES, STEPS

WINDOW = 500


def jackknife(forecasts: np.ndarray, y: np.ndarray, level: float) -> np.ndarray:
    """river's online jackknife around forecasts that are made already; shape (T, 2)."""
    from river import base, conf

    class Made(base.Regressor):  # type: ignore[misc]
        def learn_one(self, x: dict, y: float) -> None:
            pass

        def predict_one(self, x: dict) -> float:
            return float(x["forecast"])

    model = conf.RegressionJackknife(Made(), confidence_level=level, window_size=WINDOW)
    bounds = np.full((len(y), 2), np.nan)
    for t, (forecast, value) in enumerate(zip(forecasts, y)):
        found = model.predict_one({"forecast": forecast}, with_interval=True)
        if not isinstance(found, float):
            bounds[t] = found.lower, found.upper
        model.learn_one({"forecast": forecast}, float(value))
    return bounds


def measures(bounds: np.ndarray, y: np.ndarray, level: float, fixed: float) -> str:
    known = np.isfinite(bounds).all(axis=1)
    low, high = bounds[known].T
    inside = (low <= y[known]) & (y[known] <= high)
    worst = np.abs(np.convolve(inside, np.ones(WINDOW), "valid") / WINDOW - level).max()
    return f"{inside.mean():7.3f} {worst:7.3f} {(high - low).mean() / 2 / fixed:7.3f}"


def cost(n_agents: int = 100_000, n_steps: int = 64, rounds: int = 5) -> None:
    """Processor time of two intervals, as a share of that of a step of so many agents."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(n_steps, 2)), rng.normal(size=(n_steps, 1)).cumsum(axis=0)
    model = memoa.OnlineEnsemble(n_agents, n_threads=1)
    model.run(X, Y, initial=Y[0])
    bands = memoa.Intervals(LEVELS)
    shares = []
    for _ in range(rounds):  # one after the other: the machine has other work
        began = process_time()
        model.run(X, Y)
        step = (process_time() - began) / n_steps
        began = process_time()
        bands.run(np.repeat(Y, 200, axis=0), np.repeat(Y, 200, axis=0) + 1.0)
        shares.append((process_time() - began) / (200 * n_steps) / step)
    share = float(np.median(shares))
    print(f"two intervals take {share:.2%} of a step of {n_agents} agents on one thread")


def main() -> None:
    if sys.argv[1:] == ["--cost"]:
        return cost()
    print(
        f"{'':20}{'level':>6}{'memoa: share, worst, width':>28}{'river: share, worst, width':>30}"
    )
    for name, make in SERIES.items():
        y = make(np.random.default_rng(0), STEPS + 2)
        X, Y = np.stack([y[1:-1], y[:-2]], axis=1), y[2:, None]
        run = memoa.OnlineEnsemble(16, intervals=LEVELS).run(X, Y, initial=y[1:2])
        forecasts, y = run.predictions[:, 0], Y[:, 0]
        assert run.prediction_intervals is not None
        for k, level in enumerate(LEVELS):
            fixed = float(np.quantile(np.abs(forecasts - y), level))
            ours = measures(run.prediction_intervals[:, k, :, 0], y, level, fixed)
            theirs = measures(jackknife(forecasts, y, level), y, level, fixed)
            print(f"{name:20}{level:6.2f}     {ours}       {theirs}", flush=True)


if __name__ == "__main__":
    main()
