"""Which settings suit my series? A grid search that scores forecasts as they are used, online."""

from __future__ import annotations

import copy
from typing import Any

from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

import memoa


def online_score(model: memoa.OnlineEnsemble, X: Any, y: Any) -> float:
    """Minus the error of forecasts that go on learning; of a copy, for scoring must not train."""
    return -copy.deepcopy(model).run(X, y).server_rmse


series = memoa.datasets.logistic_map(300)
grid = {"encoder__n_features": [8, 16], "consensus": [0.0, 1.0]}
search = GridSearchCV(memoa.OnlineEnsemble(16), grid, cv=TimeSeriesSplit(3), scoring=online_score)
search.fit(series.X, series.Y)
print(search.best_params_, f"error {-search.best_score_:.4f}")
