"""Is my forecaster better than the simple ones? Compare it on a series of your own."""

from __future__ import annotations

import numpy as np

import memoa
from memoa.forecasters import standard_forecasters


class Drift:
    """The last value plus the mean change so far: any object with these two methods."""

    def __init__(self) -> None:
        self.first: np.ndarray | None = None
        self.last, self.count = np.zeros(1), 0

    def predict_one(self, x: np.ndarray) -> np.ndarray:
        if self.first is None or self.count < 2:
            return self.last
        return np.asarray(self.last + (self.last - self.first) / (self.count - 1))

    def learn_one(self, x: np.ndarray, y: np.ndarray) -> None:
        self.first = y if self.first is None else self.first
        self.last, self.count = y, self.count + 1


rivals = standard_forecasters()
rows = {name: rivals[name] for name in ("memoa", "greedy", "repeat the last value", "online ridge")}
found = memoa.compare(memoa.datasets.concept_drift(), {**rows, "drift": Drift})
print(found.summary())
