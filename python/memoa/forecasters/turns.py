"""Adapts forecasters that need the y of their last step to late values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from memoa._validate import Float64
from memoa.forecasters.protocol import Forecaster


class TakingTurns:
    """Uses one copy of a forecaster for each step that may wait for its y.

    The copies take turns. When it is a copy's turn, the y of its last step is already known. So the
    forecaster may rely on knowing it, for example as the last value. Each copy learns from one step
    in ``delay + 1`` (Weinberger and Ordentlich 2002; Joulani, György and Szepesvári 2013).

    Parameters
    ----------
    copies : sequence of Forecaster
        ``delay + 1`` forecasters of one kind.
    before : ndarray, shape (delay + 1, d)
        The last known value at the first step of each copy.
    """

    def __init__(self, copies: Sequence[Forecaster], before: Float64) -> None:
        self.copies = copies
        self.delay = len(copies) - 1
        self.takes_missing = getattr(copies[0], "takes_missing", False)
        self._predicted = self._learnt = 0
        for one, y in zip(copies, before, strict=True):
            observe: Any = getattr(one, "observe", None)
            if callable(observe):
                observe(np.nan_to_num(y))

    def predict_one(self, x: Float64) -> Any:
        """Return the forecast of the copy whose turn it is."""
        self._predicted += 1
        return self.copies[(self._predicted - 1) % len(self.copies)].predict_one(x)

    def learn_one(self, x: Float64, y: Float64) -> None:
        """Learn the y of the oldest waiting step."""
        self.copies[self._learnt % len(self.copies)].learn_one(x, y)
        self._learnt += 1

    def skip(self) -> None:
        """Skip the oldest waiting step, which has no y."""
        self._learnt += 1

    @property
    def agent_rmse(self) -> Any:
        """Errors of the agents, over all copies."""
        errors = [getattr(one, "agent_rmse", [np.nan]) for one in self.copies]
        return np.sqrt(np.mean(np.square(errors), axis=0))
