"""river's streaming regressors (https://riverml.xyz) as forecasters. Needs the extra `experiments`.

A river model predicts one number, so an adapter has one model per output. Like the ensemble's
agents, they learn ``y - (the last y)`` from the inputs, so they know the last value from the start.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from memoa._validate import Float64
from memoa.forecasters.last_value import LastValue

try:
    from river import forest, linear_model, neighbors, preprocessing, tree
except ImportError as error:
    raise ImportError('river is not installed: pip install "memoa[experiments]"') from error

VERSION = version("river")


class RiverForecaster(LastValue):
    """One river regressor per output.

    Parameters
    ----------
    model : callable
        Called without arguments for a new regressor; the first forecast makes one per output.
    """

    def __init__(self, model: Callable[[], Any]) -> None:
        super().__init__()
        self._model = model
        self._models: list[Any] = []

    def predict_one(self, x: ArrayLike) -> Float64:
        """Forecast the y, shape (d,), that belongs to x, shape (dx,)."""
        inputs = _named(self._check_x(x))
        changes = [model.predict_one(inputs) for model in self._per_output(self._last.size)]
        # Some start from NaN, and gradient descent may diverge: then no change is forecast.
        return self._last + np.nan_to_num(np.array(changes, dtype=np.float64), posinf=0, neginf=0)

    def learn_one(self, x: ArrayLike, y: ArrayLike) -> None:
        """Learn the y, shape (d,), that belongs to x, shape (dx,)."""
        inputs, target = self._check(x, y)
        for model, change in zip(self._per_output(target.size), target - self._last, strict=False):
            model.learn_one(_named(inputs), float(change))
        self._last = target

    def _per_output(self, n_outputs: int) -> list[Any]:
        if len(self._models) != n_outputs:
            self._models = [self._model() for _ in range(n_outputs)]
        return self._models


def linear() -> RiverForecaster:
    """Linear regression by stochastic gradient descent."""
    return RiverForecaster(lambda: preprocessing.StandardScaler() | linear_model.LinearRegression())


def bayesian() -> RiverForecaster:
    """Bayesian linear regression with forgetting."""

    def model() -> Any:
        forgetful = linear_model.BayesianLinearRegression(smoothing=0.99)
        return preprocessing.StandardScaler() | forgetful

    return RiverForecaster(model)


def nearest() -> RiverForecaster:
    """Nearest neighbours among the latest inputs."""
    return RiverForecaster(lambda: preprocessing.StandardScaler() | neighbors.KNNRegressor())


def adaptive_tree(seed: int = 0) -> RiverForecaster:
    """Hoeffding adaptive tree."""

    def model() -> Any:
        return preprocessing.StandardScaler() | tree.HoeffdingAdaptiveTreeRegressor(seed=seed)

    return RiverForecaster(model)


def adaptive_forest(seed: int = 0) -> RiverForecaster:
    """Adaptive random forest of ten trees."""
    return RiverForecaster(lambda: preprocessing.StandardScaler() | forest.ARFRegressor(seed=seed))


def _named(x: Float64) -> dict[str, float]:
    return {f"x{k}": float(value) for k, value in enumerate(x)}
