"""Forecasters that learn from the y of their last step alone, where y comes late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from memoa._validate import Float64
from memoa.forecasters.protocol import Forecaster


class TakingTurns:
    """As many copies of a forecaster as steps may wait for their y: each has its own steps.

    When the turn of a copy comes, the y of its last step has just become known: whatever it takes
    for granted about that, such as a last value, it may. Each learns from one step in ``delay + 1``
    (Weinberger and Ordentlich 2002; Joulani, György and Szepesvári 2013).

    Parameters
    ----------
    copies : sequence of Forecaster
        Of one kind; ``delay + 1`` of them.
    before : ndarray, shape (delay + 1, d)
        The value known last when the first step of each comes.
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
        """The forecast of the copy whose turn it is."""
        self._predicted += 1
        return self.copies[(self._predicted - 1) % len(self.copies)].predict_one(x)

    def learn_one(self, x: Float64, y: Float64) -> None:
        """The y of the oldest step that waits for one."""
        self.copies[self._learnt % len(self.copies)].learn_one(x, y)
        self._learnt += 1

    def skip(self) -> None:
        """The oldest step has no y."""
        self._learnt += 1

    @property
    def agent_rmse(self) -> Any:
        """Of the agents behind all copies, which are alike."""
        errors = [getattr(one, "agent_rmse", [np.nan]) for one in self.copies]
        return np.sqrt(np.mean(np.square(errors), axis=0))
