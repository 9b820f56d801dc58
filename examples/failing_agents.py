"""A quarter of the agents fails now and then. What do the others and the server lose?"""

from __future__ import annotations

import numpy as np

import memoa

rng = np.random.default_rng(0)
values = np.sin(0.2 * np.arange(700)) + 0.1 * rng.normal(size=700)
lags = np.array([rng.choice(np.arange(1, 20), 4, replace=False) for _ in range(40)])
times = np.arange(100, 700)
sound = values[times[:, None, None] - lags]  # (steps, agents, features)
failing = sound.copy()
failing[rng.uniform(size=600) < 0.02, :10] *= 1e4  # ten agents fail in one step of fifty

for aggregate in ("mean", "trimmed"):
    for name, features in (("all well", sound), ("ten fail", failing)):
        model = memoa.OnlineEnsemble(40, memoa.Precomputed(4), aggregate=aggregate)
        run = model.run(features, values[times], initial=[values[99]])
        others = run.agent_rmse[10:].mean()
        print(f"{aggregate:8s} {name:10s} server {run.server_rmse:.3f}  others {others:.3f}")
