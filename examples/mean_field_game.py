"""Two types of agents, one mean field: solve the game and follow it."""

from __future__ import annotations

import numpy as np

import memoa

horizon, d, p = 20, 2, 6
rng = np.random.default_rng(0)
features = rng.normal(size=(d, p)) / p**0.5
noise = np.broadcast_to(0.1 * np.eye(d), (p, d, d))
target = np.array([1.0, -1.0])

cheap = memoa.Game(features, noise, target, coupling=0.5, effort=0.1, horizon=horizon)
dear = memoa.Game(features, noise, target, coupling=0.5, effort=10.0, horizon=horizon)
for policy in memoa.solve_mean_field([cheap, dear], shares=[0.8, 0.2]):
    print(policy)
path = policy.mean_path(np.zeros(2 * d))  # the stacked means of both types
print("cheap agents end at", path[-1, :d].round(3), "and dear ones at", path[-1, d:].round(3))
