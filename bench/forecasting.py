"""Forecasting errors on eight standard series, with one default for all of them.

    python bench/forecasting.py [--seeds 20] [--data ../shared/data] [--out bench/results]

Every series is run with ``memoa.OnlineEnsemble()`` as it is constructed by default, once with
policy="memoa" and once with policy="greedy", for seeds 0, 1, 2, ...; the table shows medians over
seeds, beside the figures published for arXiv:2605.05492 and the error of repeating the last value.
The four real series need their files (ETTh1.csv, bank_of_canada_exchange_rates.csv) in --data and
are left out, with a line, where those are absent.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import memoa
from memoa import datasets

PUBLISHED = {
    "periodic": 0.9171,
    "logistic": 0.1883,
    "drift": 0.32,
    "drift-1d": 0.247,
    "boc": 0.0067,
    "boc validation": 0.0049,
    "ett": 0.0263,
    "ett validation": 0.0514,
}


def load(data: Path) -> dict[str, Callable[[], datasets.Series]]:
    """The eight series by name."""
    etth1, boc = data / "ETTh1.csv", data / "bank_of_canada_exchange_rates.csv"
    return {
        **datasets.BUILTIN,
        "boc": lambda: datasets.load_boc(boc),
        "boc validation": lambda: datasets.load_boc(boc, start=1600),
        "ett": lambda: datasets.load_ett(etth1),
        "ett validation": lambda: datasets.load_ett(etth1, start=3500),
    }


def measure(series: datasets.Series, policy: str, seeds: int) -> tuple[np.ndarray, float]:
    """Median server, mean-agent and worst-agent RMSE, and the RMSE of repeating the last value."""
    errors = []
    for seed in range(seeds):
        ensemble = memoa.OnlineEnsemble(policy=policy, random_state=seed)
        run = ensemble.run(series.X, series.Y, initial=series.initial)
        errors.append((run.server_rmse, run.mean_agent_rmse, run.worst_agent_rmse))
    return np.median(errors, axis=0), run.repeat_last_rmse


def main() -> None:
    """Print the table and write it as CSV and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    options = parser.parse_args()

    rows = []
    for name, load_series in load(options.data).items():
        try:
            series = load_series()
        except FileNotFoundError as error:
            print(f"{name}: left out, {error}")
            continue
        ours, repeat = measure(series, "memoa", options.seeds)
        greedy, _ = measure(series, "greedy", options.seeds)
        rows.append(
            {
                "series": name,
                "published": PUBLISHED[name],
                "repeat last": repeat,
                **dict(zip(("server", "mean agent", "worst agent"), ours)),
                **dict(zip(("greedy server", "greedy mean", "greedy worst"), greedy)),
                "server / repeat": ours[0] / repeat,
            }
        )
    table = pd.DataFrame(rows).set_index("series")
    print(table.to_string(float_format=lambda v: f"{v:.4g}"))
    print(
        f"\nmedians over {options.seeds} seeds; {memoa.OnlineEnsemble().n_agents} agents; "
        f"memoa {memoa.__version__}, NumPy {np.__version__}, {platform.machine()}"
    )
    options.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.out / "forecasting.csv")


if __name__ == "__main__":
    main()
