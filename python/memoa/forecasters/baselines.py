"""Online forecasters to compare with, each an object with ``predict_one`` and ``learn_one``.

>>> import memoa
>>> from memoa.forecasters import RepeatLast
>>> series = memoa.datasets.periodic()
>>> found = memoa.compare(series, {"repeat": RepeatLast})
>>> round(found.scores["repeat"][0].server_rmse, 3)
1.083
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from memoa._validate import Float64, as_int, as_number
from memoa.ensemble import OnlineEnsemble
from memoa.forecasters.aggregation import Rule
from memoa.forecasters.last_value import LastValue

CLIP = 4.0  # standardised inputs beyond it are clipped, as in step 1 of theory section 6


class RepeatLast(LastValue):
    """Repeat the last value: exact on a constant, unbeaten on a random walk.

    Before any value was seen the forecast is a single 0.

    Examples
    --------
    >>> from memoa.forecasters import RepeatLast
    >>> forecaster = RepeatLast()
    >>> forecaster.learn_one([0.0], [3.0])
    >>> forecaster.predict_one([0.0])
    array([3.])
    """

    def predict_one(self, x: ArrayLike) -> Float64:
        """Return the last value, shape (d,)."""
        return np.array(self._last)

    def learn_one(self, x: ArrayLike, y: ArrayLike) -> None:
        """Take y, shape (d,), as the last value."""
        self.observe(y)


class Seasonal(LastValue):
    """Repeat the value of one period ago; the period is known, or found online.

    An unknown period is found by trying every lag from 1 to `longest` at every step. The lag whose
    repetitions had the smallest discounted mean of squared errors so far is used. Lag 1 repeats the
    last value, so a series without a season gets that.

    Parameters
    ----------
    period : int, optional
        Number of steps, at least 1. Default: found online. Until a whole period was seen, the last
        value is repeated.
    longest : int
        Longest period to try, in steps.
    decay : float
        Weight of a step relative to the next later one in these means, in (0, 1].

    Examples
    --------
    >>> from memoa.forecasters import Seasonal
    >>> forecaster = Seasonal(period=3)
    >>> for y in (1.0, 5.0, 2.0, 1.0, 5.0):
    ...     forecaster.learn_one([0.0], [y])
    >>> forecaster.predict_one([0.0])  # the value three steps before
    array([2.])
    """

    def __init__(
        self, period: int | None = None, *, longest: int = 60, decay: float = 0.99
    ) -> None:
        super().__init__()
        self.longest = as_int("longest", longest, 1)
        self.decay = as_number("decay", decay)
        if not 0.0 < self.decay <= 1.0:
            raise ValueError(f"decay is {self.decay}; expected a number in (0, 1]")
        self._known = None if period is None else as_int("period", period, 1)
        self._length = self._known or self.longest
        self._past: Float64 | None = None  # (up to `_length`, d), latest first
        self._errors = np.zeros(self._length)
        self._weights = np.zeros(self._length)

    @property
    def period(self) -> int:
        """The known period, or the one that has been best so far."""
        if self._known is not None:
            return self._known
        tried = self._weights > 0.0
        if not tried.any():
            return 1
        errors, weights = self._errors[tried], self._weights[tried]
        return int(np.flatnonzero(tried)[np.argmin(errors / weights)]) + 1

    def observe(self, y: ArrayLike) -> None:
        """Take y, shape (d,), as the last value."""
        super().observe(y)
        value = self._last[None]
        past = value[:0] if self._past is None else self._past
        self._past = np.concatenate([value, past[: self._length - 1]])

    def predict_one(self, x: ArrayLike) -> Float64:
        """Return the value of one period ago, shape (d,)."""
        if self._past is None:
            return np.zeros(1)
        period = self.period
        return np.array(self._past[period - 1 if period <= len(self._past) else 0])

    def learn_one(self, x: ArrayLike, y: ArrayLike) -> None:
        """Update the error of every lag, then use y, shape (d,), as the last value."""
        target = self._check_y(y)
        if self._past is not None:
            seen = len(self._past)
            self._errors *= self.decay
            self._weights *= self.decay
            errors = np.square(self._past - target).sum(axis=1)
            self._errors[:seen] += errors
            self._weights[:seen] += 1.0
        self.observe(target)


class OnlineRidge(LastValue):
    """Exponentially weighted ridge regression of ``y - (the last y)`` on the inputs themselves.

    The inputs are standardised and clipped like the ensemble's, and there is an intercept.
    Recursive: H <- forgetting H + z z', q <- forgetting q + z (y - last)', and H + ridge I is
    solved at every step. Applying the forgetting to its inverse instead (plain recursive least
    squares) is unstable if the data do not vary.

    Parameters
    ----------
    forgetting : float
        Weight of a step relative to the next later one, in (0, 1].
    ridge : float
        Penalty > 0, in the units of standardised inputs; it is never forgotten.

    Examples
    --------
    >>> import memoa
    >>> from memoa.forecasters import OnlineRidge
    >>> found = memoa.compare(memoa.datasets.logistic_map(), {"ridge": OnlineRidge})
    >>> bool(found.quantile("ridge", "server_rmse") < 0.2)
    True
    """

    def __init__(self, *, forgetting: float = 0.99, ridge: float = 1.0) -> None:
        super().__init__()
        self.forgetting, self.ridge = as_number("forgetting", forgetting), as_number("ridge", ridge)
        if not 0.0 < self.forgetting <= 1.0:
            raise ValueError(f"forgetting is {self.forgetting}; expected a number in (0, 1]")
        if not self.ridge > 0.0:
            raise ValueError(f"ridge is {self.ridge}; expected a positive number")
        self._gram: Float64 | None = None

    def predict_one(self, x: ArrayLike) -> Float64:
        """Forecast the y, shape (d,), that belongs to x, shape (dx,), without learning."""
        inputs = self._check_x(x)
        if self._gram is None:
            return np.array(self._last)
        z = self._encode(inputs, *self._count(inputs))
        return np.asarray(self._last + z @ np.linalg.solve(self._regular(), self._cross))

    def learn_one(self, x: ArrayLike, y: ArrayLike) -> None:
        """Learn the y, shape (d,), that belongs to x, shape (dx,)."""
        inputs, target = self._check(x, y)
        if self._gram is None:
            width = inputs.size + 1
            self._steps, self._mean = 0, np.zeros(inputs.size)
            self._squares = np.zeros(inputs.size)
            self._gram, self._cross = np.zeros((width, width)), np.zeros((width, target.size))
        self._steps, self._mean, self._squares = self._count(inputs)
        z = self._encode(inputs, self._steps, self._mean, self._squares)
        self._gram = self.forgetting * self._gram + np.outer(z, z)
        self._cross = self.forgetting * self._cross + np.outer(z, target - self._last)
        self._last = target

    def _regular(self) -> Float64:
        assert self._gram is not None
        return self._gram + self.ridge * np.eye(len(self._gram))

    def _count(self, x: Float64) -> tuple[int, Float64, Float64]:
        """Update and return Welford's running mean and sum of squares, including x."""
        steps = self._steps + 1
        distance = x - self._mean
        mean = self._mean + distance / steps
        return steps, mean, self._squares + distance * (x - mean)

    @staticmethod
    def _encode(x: Float64, steps: int, mean: Float64, squares: Float64) -> Float64:
        spread = np.sqrt(squares / steps)
        scaled = np.divide(x - mean, spread, out=np.zeros_like(x), where=spread > 0.0)
        return np.append(np.clip(scaled, -CLIP, CLIP), 1.0)


class Aggregated(LastValue):
    """The agents of an ensemble as experts, with a rule of online learning as the server.

    Parameters
    ----------
    ensemble : OnlineEnsemble
        A new ensemble, whose agents are the experts; its own mixture is not used.
    rule : Rule
        A new rule: `ExponentialWeights` or `BernsteinAggregation`.
    with_last : bool
        Whether repeating the last value is one more expert.

    Examples
    --------
    >>> import memoa
    >>> from memoa.forecasters import Aggregated, BernsteinAggregation
    >>> def boa():
    ...     agents = memoa.OnlineEnsemble(20, policy="greedy")
    ...     return Aggregated(agents, BernsteinAggregation())
    >>> found = memoa.compare(memoa.datasets.logistic_map(), {"boa": boa})
    >>> bool(found.quantile("boa", "server_rmse") < 0.2)
    True
    """

    def __init__(self, ensemble: OnlineEnsemble, rule: Rule, *, with_last: bool = False) -> None:
        super().__init__()
        self.ensemble, self.rule, self.with_last = ensemble, rule, with_last

    def observe(self, y: ArrayLike) -> None:
        """Take y, shape (d,), as the last value."""
        super().observe(y)
        self.ensemble.observe(self._last)

    def predict_one(self, x: ArrayLike) -> Float64:
        """Mix the agents' predictions by the rule's present weights; shape (d,)."""
        self.ensemble.predict_one(x)
        experts = self.ensemble.agent_predictions
        self._experts = np.vstack([experts, self._last]) if self.with_last else experts
        return self.rule.predict(self._experts)

    def learn_one(self, x: ArrayLike, y: ArrayLike) -> None:
        """Learn the y, shape (d,), that belongs to the x last given to `predict_one`."""
        inputs, target = self._check(x, y)
        self.ensemble.learn_one(inputs, target)
        self._last = target
        self.rule.update(self._experts, self._last)

    @property
    def agent_rmse(self) -> Float64:
        """Root-mean-square error of every agent, shape (N,)."""
        return self.ensemble.agent_rmse
