"""Online aggregation of experts: exponential weights, and Bernstein online aggregation.

Alternatives to the server's mixture. A rule takes the number of experts from its first prediction,
and adapts its rates to the size of their errors, so nothing has to be tuned to a series.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from memoa._validate import Float64, as_number

# Rates of the grid, in units of 1 over the largest squared error so far. Up to 1/2 the squared
# error is exp-concave on the range seen; larger rates prefer the best expert sooner.
GRID = 2.0 ** np.arange(-3, 13)


class Rule(Protocol):
    """Weights of experts that learn from their errors."""

    def predict(self, experts: Float64) -> Float64:
        """Mix predictions of shape (K, d) by the present weights; returns shape (d,)."""

    def update(self, experts: Float64, y: Float64) -> None:
        """Learn how well the experts last mixed did, on y of shape (d,)."""


class ExponentialWeights:
    """The exponentially weighted average: weights proportional to exp(-rate * sum of losses).

    The loss is the squared error, summed over outputs.

    Parameters
    ----------
    rate : float, optional
        Rate > 0, in units of 1 over squared errors. Default: at every step, the rate of a
        geometric grid whose weighted average has had the smallest loss so far.

    Notes
    -----
    Vovk (1990), "Aggregating strategies"; Cesa-Bianchi and Lugosi (2006), "Prediction, Learning,
    and Games", section 3.3: with rate 1 / (2 B^2), where B bounds the distance of predictions from
    y, the sum of losses is at most that of the best expert plus 2 B^2 log K. The grid is searched
    as in Devaine, Gaillard, Goude and Stoltz (2013), "Forecasting electricity consumption by
    aggregating specialized experts", Machine Learning 90.

    Examples
    --------
    >>> import numpy as np
    >>> from memoa.forecasters import ExponentialWeights
    >>> rule = ExponentialWeights()
    >>> for y in np.sin(np.arange(100.0)):
    ...     experts = np.array([[y + 0.1], [y - 1.0]])  # the first one is better
    ...     mixed = rule.predict(experts)
    ...     rule.update(experts, np.array([y]))
    >>> bool(rule.weights[0] > rule.weights[1])
    True
    """

    def __init__(self, rate: float | None = None) -> None:
        self.rate = None if rate is None else as_number("rate", rate)
        if self.rate is not None and not self.rate > 0.0:
            raise ValueError(f"rate is {self.rate}; expected a positive number")
        self._losses: Float64 | None = None
        self._largest = 0.0
        self._grid_losses = np.zeros(1 if self.rate is not None else len(GRID))

    @property
    def weights(self) -> Float64:
        """Present weights, shape (K,)."""
        if self._losses is None:
            raise ValueError("weights were asked for before the first prediction")
        return np.asarray(self._all_weights()[np.argmin(self._grid_losses)])

    def predict(self, experts: Float64) -> Float64:
        """Mix predictions of shape (K, d) by the present weights; returns shape (d,)."""
        if self._losses is None:
            self._losses = np.zeros(len(experts))
        return np.asarray(self.weights @ experts)

    def update(self, experts: Float64, y: Float64) -> None:
        """Learn how well the experts last mixed did, on y of shape (d,)."""
        assert self._losses is not None
        mixed = self._all_weights() @ experts
        self._grid_losses += np.square(mixed - y).sum(axis=1)
        losses = np.square(experts - y).sum(axis=1)
        self._losses = self._losses + losses
        self._largest = max(self._largest, float(losses.max()))

    def _all_weights(self) -> Float64:
        """Weights for every rate of the grid, shape (rates, K)."""
        assert self._losses is not None
        if self.rate is not None:
            rates = np.array([self.rate])
        else:
            rates = GRID / self._largest if self._largest > 0.0 else np.zeros(len(GRID))
        weights = np.exp(-rates[:, None] * (self._losses - self._losses.min()))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


class BernsteinAggregation:
    """Bernstein online aggregation (BOA): exponential weights with a second-order correction.

    Every expert has its own learning rate, adapted to the range and to the sum of squares of its
    regrets. Losses are linearised at the forecast, r_k = 2 (mixed - y)'(mixed - expert_k), so
    the sum of squared errors is close to that of the best fixed convex combination of experts.

    Notes
    -----
    Wintenberger (2017), "Optimal learning with Bernstein online aggregation", Machine Learning
    106, its adaptive version with multiple learning rates; its second-order bounds are of the kind
    of Gaillard, Stoltz and van Erven (2014), "A second-order bound with excess losses", COLT. With
    K experts, the regrets r, their largest size E rounded up to a power of two and
    rate = min(1 / E, sqrt(log K / sum r^2)), of every expert

    | R <- R + (r - (rate before) r^2 + E [(rate before) r > 1/2]) / 2
    | weight proportional to rate exp(rate R)

    Examples
    --------
    >>> import numpy as np
    >>> from memoa.forecasters import BernsteinAggregation
    >>> rule = BernsteinAggregation()
    >>> for y in np.sin(np.arange(100.0)):
    ...     experts = np.array([[y + 0.1], [y - 1.0]])  # the first one is better
    ...     mixed = rule.predict(experts)
    ...     rule.update(experts, np.array([y]))
    >>> bool(rule.weights[0] > rule.weights[1])
    True
    """

    def __init__(self) -> None:
        self._regrets: Float64 | None = None

    @property
    def weights(self) -> Float64:
        """Present weights, shape (K,)."""
        if self._regrets is None:
            raise ValueError("weights were asked for before the first prediction")
        # An expert that never differed from the forecast has no rate. It gets the largest rate, or
        # all are equal.
        known = self._rates > 0.0
        if not known.any():
            return np.full(len(self._rates), 1.0 / len(self._rates))
        rates = np.where(known, self._rates, self._rates.max())
        logs = np.log(rates) + rates * self._regrets
        weights = np.exp(logs - logs.max())
        return np.asarray(weights / weights.sum())

    def predict(self, experts: Float64) -> Float64:
        """Mix predictions of shape (K, d) by the present weights; returns shape (d,)."""
        if self._regrets is None:
            self._regrets, self._squares, self._range, self._rates = np.zeros((4, len(experts)))
        return np.asarray(self.weights @ experts)

    def update(self, experts: Float64, y: Float64) -> None:
        """Learn how well the experts last mixed did, on y of shape (d,)."""
        mixed = self.weights @ experts
        regret = 2.0 * (mixed - experts) @ (mixed - y)
        size = np.abs(regret)
        grown = size > self._range
        self._range[grown] = 2.0 ** np.ceil(np.log2(size[grown]))
        before = self._rates
        large = before * regret > 0.5
        assert self._regrets is not None
        self._regrets = self._regrets + 0.5 * (regret - before * regret**2 + self._range * large)
        self._squares = self._squares + regret**2
        known = self._squares > 0.0
        rates = np.zeros_like(before)
        by_squares = np.sqrt(np.log(len(regret)) / self._squares[known])
        rates[known] = np.minimum(1.0 / self._range[known], by_squares)
        self._rates = rates


class PolynomialPotential:
    """ML-Poly: weights proportional to the experts' positive regrets, each with its own rate.

    Losses are linearised at the forecast, r_k = 2 (mixed - y)'(mixed - expert_k), as in
    `BernsteinAggregation`. It has no parameters. If no expert has a positive regret, all weights
    are equal.

    Notes
    -----
    Gaillard, Stoltz and van Erven (2014), "A second-order bound with excess losses", COLT, their
    ML-Poly. With B the largest r^2 of any expert so far, every expert's regret R and rate are

    | R <- R + r,  1 / rate <- 1 / rate + r^2 + (growth of B)
    | weight proportional to rate max(R, 0)

    Examples
    --------
    >>> import numpy as np
    >>> from memoa.forecasters import PolynomialPotential
    >>> rule = PolynomialPotential()
    >>> for y in np.sin(np.arange(100.0)):
    ...     experts = np.array([[y + 0.1], [y - 1.0]])  # the first one is better
    ...     mixed = rule.predict(experts)
    ...     rule.update(experts, np.array([y]))
    >>> bool(rule.weights[0] > rule.weights[1])
    True
    """

    def __init__(self) -> None:
        self._regrets: Float64 | None = None

    @property
    def weights(self) -> Float64:
        """Present weights, shape (K,)."""
        if self._regrets is None:
            raise ValueError("weights were asked for before the first prediction")
        slow = np.where(self._slowness > 0.0, self._slowness, 1.0)
        parts = np.maximum(self._regrets, 0.0) / slow
        total = parts.sum()
        if not total > 0.0:
            return np.full(len(parts), 1.0 / len(parts))
        return np.asarray(parts / total)

    def predict(self, experts: Float64) -> Float64:
        """Mix predictions of shape (K, d) by the present weights; returns shape (d,)."""
        if self._regrets is None:
            self._regrets, self._slowness = np.zeros((2, len(experts)))
            self._largest = 0.0
        return np.asarray(self.weights @ experts)

    def update(self, experts: Float64, y: Float64) -> None:
        """Learn how well the experts last mixed did, on y of shape (d,)."""
        mixed = self.weights @ experts
        regret = 2.0 * (mixed - experts) @ (mixed - y)
        largest = max(self._largest, float(np.square(regret).max()))
        assert self._regrets is not None
        self._regrets = self._regrets + regret
        self._slowness = self._slowness + regret**2 + (largest - self._largest)
        self._largest = largest


class FixedShare:
    """Exponential weights with a share redistributed at each step, to follow the best expert.

    Parameters
    ----------
    share : float
        Share of the weights in [0, 1] that is redistributed: how often the best expert is expected
        to change.
    rate : float
        Rate > 0, in units of 1 over the largest squared error so far. Up to 1/2 the squared error
        is exp-concave on the range seen.

    Notes
    -----
    Herbster and Warmuth (1998), "Tracking the best expert", Machine Learning 32.

    Examples
    --------
    >>> import numpy as np
    >>> from memoa.forecasters import FixedShare
    >>> rule = FixedShare()
    >>> for y in np.sin(np.arange(100.0)):
    ...     experts = np.array([[y + 0.1], [y - 1.0]])  # the first one is better
    ...     mixed = rule.predict(experts)
    ...     rule.update(experts, np.array([y]))
    >>> bool(rule.weights[0] > rule.weights[1])
    True
    """

    def __init__(self, share: float = 0.01, rate: float = 0.5) -> None:
        self.share, self.rate = as_number("share", share), as_number("rate", rate)
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"share is {self.share}; expected a number in [0, 1]")
        if not self.rate > 0.0:
            raise ValueError(f"rate is {self.rate}; expected a positive number")
        self._weights: Float64 | None = None
        self._largest = 0.0

    @property
    def weights(self) -> Float64:
        """Present weights, shape (K,)."""
        if self._weights is None:
            raise ValueError("weights were asked for before the first prediction")
        return np.array(self._weights)

    def predict(self, experts: Float64) -> Float64:
        """Mix predictions of shape (K, d) by the present weights; returns shape (d,)."""
        if self._weights is None:
            self._weights = np.full(len(experts), 1.0 / len(experts))
        return np.asarray(self._weights @ experts)

    def update(self, experts: Float64, y: Float64) -> None:
        """Learn how well the experts last mixed did, on y of shape (d,)."""
        losses = np.square(experts - y).sum(axis=1)
        self._largest = max(self._largest, float(losses.max()))
        if self._largest == 0.0:
            return
        kept = self.weights * np.exp(-self.rate / self._largest * (losses - losses.min()))
        self._weights = (1.0 - self.share) * kept / kept.sum() + self.share / len(kept)
