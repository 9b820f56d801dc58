"""Agents with encoders of your own: here every agent sees other lags of a noisy sine."""

from __future__ import annotations

import numpy as np

import memoa

rng = np.random.default_rng(0)
values = np.sin(0.2 * np.arange(600)) + 0.1 * rng.normal(size=600)
n_agents, n_features, n_steps = 50, 4, 500

lags = np.array([rng.choice(np.arange(1, 40), n_features, replace=False) for _ in range(n_agents)])
times = np.arange(len(values) - n_steps, len(values))
features = values[times[:, None, None] - lags]  # (T, N, p): all that is known before time t

ensemble = memoa.OnlineEnsemble(n_agents, memoa.Precomputed(n_features))
run = ensemble.run(features, values[times], initial=[values[times[0] - 1]])
print(run.summary())
