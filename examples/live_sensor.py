"""How do I run for months? A live loop with lost readings, saved and resumed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import memoa

rng = np.random.default_rng(1)
readings = np.cumsum(rng.normal(0, 0.1, 600)) + np.sin(0.1 * np.arange(600))
readings[rng.uniform(size=600) < 0.1] = np.nan  # lost on the way

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "sensor.npz"
    model = memoa.OnlineEnsemble(n_agents=30, intervals=(0.9,), random_state=0)
    last, inside = np.zeros(2), []
    for t, y in enumerate(readings):
        model.predict_one(last)  # before y is known
        low, high = model.prediction_intervals[0, :, 0]
        model.learn_one(last, [y])  # a nan is not learnt
        if not np.isnan(y):
            inside.append(low <= y <= high)
            last = np.array([y, last[0]])  # the last two that came
        if t % 200 == 199:
            model.save(path)
            model = memoa.OnlineEnsemble.load(path)  # as after a restart: the same bits
print(f"{len(inside)} readings, {np.mean(inside):.3f} of them inside the 90 % interval")
