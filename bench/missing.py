"""What missing values cost: 48 % of y is taken away, and the error on the rest looked at.

    python bench/missing.py [ETTh1.csv]

*all* is the root-mean-square error of an ensemble that sees every y, *seen rows* that of one that
is given the rows whose y is there alone, and *nan* that of one that is given all rows with NaN for
what is missing; lags of y carry the last value on for both. All three over the same rows, medians
over ten draws of what is missing. Oil temperature of ETTh1.csv is left out where no path is given.
"""

from __future__ import annotations

import sys

import numpy as np

import memoa

SHARE, DRAWS = 0.48, 10


def ar2(n: int) -> memoa.datasets.Series:
    rng = np.random.default_rng(0)
    y = np.zeros(n + 2)
    for t in range(2, n + 2):
        y[t] = 1.6 * y[t - 1] - 0.8 * y[t - 2] + rng.normal()
    X = np.column_stack([y[1:-1], y[:-2]])
    return memoa.datasets.Series(
        "AR(2)", X, y[2:, None], y[1:2], ("y", "y lag 1"), ("y",), past=(0, 1)
    )


def with_gaps(series: memoa.datasets.Series, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs whose lags carry the last value on, and targets with NaN."""
    Y, X = series.Y.copy(), series.X.copy()
    Y[np.random.default_rng(seed).uniform(size=len(Y)) < SHARE] = np.nan
    values = np.concatenate([series.initial, Y[:, 0]])
    known = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(len(values))))
    for lag, column in enumerate(series.past):
        at = np.arange(len(Y)) - lag
        X[lag:, column] = values[known][at[lag:]]
    return X, Y


def errors(series: memoa.datasets.Series, seed: int) -> list[float]:
    X, Y = with_gaps(series, seed)
    there = ~np.isnan(Y[:, 0])

    def rmse(X: np.ndarray, Y: np.ndarray, rows: np.ndarray) -> float:
        run = memoa.OnlineEnsemble(random_state=seed).run(X, Y, initial=series.initial)
        return float(np.sqrt(np.mean(np.square(run.predictions[rows] - Y[rows]))))

    every = np.ones(int(there.sum()), bool)
    return [
        rmse(series.X, series.Y, there),
        rmse(X[there], Y[there], every),
        rmse(X, Y, there),
    ]


def main() -> None:
    series = [ar2(2000), memoa.datasets.logistic_map(2000)]
    series += [memoa.datasets.load_ett(path) for path in sys.argv[1:]]
    print(f"{'':12}{'all':>10}{'seen rows':>11}{'nan':>10}{'nan / seen rows':>17}")
    for one in series:
        found = np.array([errors(one, seed) for seed in range(DRAWS)])
        ratio = np.median(found[:, 2] / found[:, 1])
        every, seen, gaps = np.median(found, axis=0)
        print(f"{one.name:12}{every:10.4g}{seen:11.4g}{gaps:10.4g}{ratio:17.3f}", flush=True)


if __name__ == "__main__":
    main()
