"""Forecast a series one step at a time, as the values arrive."""

from __future__ import annotations

import memoa

series = memoa.datasets.concept_drift()
ensemble = memoa.OnlineEnsemble(n_agents=200, random_state=1)
ensemble.observe(series.initial)

squared = 0.0
for x, y in zip(series.X, series.Y):
    forecast = ensemble.predict_one(x)  # before y is known
    squared += float(((forecast - y) ** 2).sum())
    ensemble.learn_one(x, y)

agent, regret = ensemble.under_performer
print(f"server RMSE {(squared / series.Y.size) ** 0.5:.4f}")
print(f"worst agent {agent}, RMSE {ensemble.agent_rmse[agent]:.4f}, regret {regret:.2f}")
