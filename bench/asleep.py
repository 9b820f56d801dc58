"""What agents that are away cost the server: half of them drop out for half of a series.

    python bench/asleep.py [ETTh1.csv]

Root-mean-square errors of the server over the whole series and over its second half. *all awake*:
nobody is away. *half away*: every second agent is away in the second half. *by turns*: each agent
is away at half of the steps of the second half, each at its own. *half as many*: an ensemble that
has only the other half of the agents, from the start. Medians over ten seeds of the agents. Oil
temperature of ETTh1.csv is left out where no path is given.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import memoa

SEEDS, AGENTS = 10, 64
COLUMNS = ("all awake", "half away", "by turns", "half as many")


def errors(series: memoa.datasets.Series, seed: int) -> np.ndarray:
    """Of the four, over all steps and over the second half: shape (2, 4)."""
    n = len(series.Y)
    half_away, by_turns = np.ones((2, n, AGENTS), bool)
    half_away[n // 2 :, ::2] = False
    by_turns[n // 2 :] = np.random.default_rng(seed).uniform(size=(n - n // 2, AGENTS)) < 0.5

    def rmse(agents: int, awake: Any = None) -> list[float]:
        model = memoa.OnlineEnsemble(agents, random_state=seed)
        run = model.run(series.X, series.Y, initial=series.initial, awake=awake)
        squares = np.square(run.predictions - run.targets)
        return [float(np.sqrt(squares[first:].mean())) for first in (0, n // 2)]

    found = [rmse(AGENTS), rmse(AGENTS, half_away), rmse(AGENTS, by_turns), rmse(AGENTS // 2)]
    return np.transpose(found)


def main() -> None:
    series = [memoa.datasets.BUILTIN[name]() for name in ("logistic", "drift", "drift-1d")]
    series += [memoa.datasets.load_ett(path) for path in sys.argv[1:]]
    print(f"{'':24}" + "".join(f"{name:>14}" for name in COLUMNS))
    for one in series:
        found = np.median([errors(one, seed) for seed in range(SEEDS)], axis=0)
        for stretch, row in zip(("whole", "second half"), found):
            cells = "".join(f"{value:14.4g}" for value in row)
            print(f"{one.name + ', ' + stretch:24}{cells}", flush=True)


if __name__ == "__main__":
    main()
