"""Five pollsters, some of them silent: what is the best single number, and how sure is it?"""

from __future__ import annotations

import numpy as np

import memoa

rng = np.random.default_rng(3)
truth = 45 + np.cumsum(rng.normal(0, 0.3, 500))
bias, noise = np.array([1.0, -0.5, 0.0, 2.0, 0.2]), np.array([0.5, 1.0, 2.0, 0.5, 1.5])
polls = truth[:, None] + bias + noise * rng.normal(size=(500, 5))
polls[:, 1:][rng.uniform(size=(500, 4)) < 0.3] = np.nan  # no poll that day, but for the first

experts = memoa.Experts(5)
mixed = experts.run(polls, truth)
bounds = memoa.Intervals((0.9,)).run(mixed, truth[:, None])


def rmse(forecasts: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean((np.asarray(forecasts) - truth) ** 2)))


print(f"mixed {rmse(mixed[:, 0]):.2f}, plain mean {rmse(np.nanmean(polls, axis=1)):.2f}")
print("each on its days:", [round(rmse(polls[:, k]), 2) for k in range(5)])
print("weights now:", experts.weights.round(2))
inside = (bounds[1:, 0, 0, 0] <= truth[1:]) & (truth[1:] <= bounds[1:, 0, 1, 0])
print(f"inside the 90 % interval: {inside.mean():.3f}")
