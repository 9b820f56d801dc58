"""What will tomorrow's sales be? From a CSV file to a forecast with an interval."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import memoa

days = pd.date_range("2024-01-01", periods=300)
week = np.array([1.0, 0.9, 0.95, 1.0, 1.3, 1.6, 0.3])[days.day_of_week]
noise = np.random.default_rng(0).lognormal(0, 0.1, len(days))
table = pd.DataFrame({"day": days, "sales": (100 * week * noise).round()})

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "sales.csv"
    table.to_csv(path, index=False)
    series = memoa.datasets.load_csv(path, target="sales", season=7, calendar=True)

ensemble = memoa.OnlineEnsemble(intervals=(0.8,))
assert series.next_x is not None
inputs = np.vstack([series.X, series.next_x])  # the last row has no value yet
run = ensemble.run(inputs, series.Y, initial=series.initial, warmup=28)
assert run.next is not None and run.next_intervals is not None
low, high = run.next_intervals[0, :, 0]
print(f"tomorrow {run.next[0]:.0f}, with 80 % between {low:.0f} and {high:.0f}")
print(f"error {run.server_rmse:.1f}, of repeating the last value {run.repeat_last_rmse:.1f}")
