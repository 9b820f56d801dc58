"""Combines other people's forecasts, some of which may be missing: ``memoa.Experts``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from memoa._validate import Float64, as_choice, as_float64, as_int, require_shape
from memoa.forecasters.aggregation import (
    BernsteinAggregation,
    ExponentialWeights,
    FixedShare,
    PolynomialPotential,
    Rule,
)
from memoa.mixture import ServerMixture

RULES: dict[str, Callable[[], Rule]] = {
    "ml-poly": PolynomialPotential,
    "boa": BernsteinAggregation,
    "exponential": ExponentialWeights,
    "fixed-share": FixedShare,
}
Name = Literal["ml-poly", "boa", "exponential", "fixed-share", "window"]


class Experts:
    """Combines any forecasts: it takes rows of predictions and returns one forecast.

    An engine, with O(K) operations per step. An expert whose prediction is NaN sleeps in this step:
    the others share its weight, and their combined forecast replaces its own, so its regret does
    not change.

    Parameters
    ----------
    n_experts : int
        Number K of experts, that is, of forecasts per row.
    rule : {"ml-poly", "boa", "exponential", "fixed-share", "window"}
        How experts are weighted: by the second-order rules of `forecasters.PolynomialPotential` and
        `forecasters.BernsteinAggregation`, by `forecasters.ExponentialWeights`, by
        `forecasters.FixedShare`, or as the server weights agents, theory (6.3), with weights of any
        sign.
    n_outputs : int
        Number d of values that an expert forecasts at a step.

    Notes
    -----
    Sleeping experts: Freund, Schapire, Singer and Warmuth (1997), *STOC*; Chernov and Vovk (2009),
    *ALT*. R's package opera has the same purpose.

    Examples
    --------
    >>> import numpy as np
    >>> import memoa
    >>> y = np.sin(np.arange(300.0))
    >>> X = np.column_stack([y + 0.1, y - 0.2, np.zeros(300)])
    >>> X[::3, 0] = np.nan  # the first expert sleeps now and then
    >>> experts = memoa.Experts(3)
    >>> forecasts = experts.run(X, y)
    >>> bool(np.abs(forecasts[-50:, 0] - y[-50:]).mean() < 0.1)
    True
    """

    takes_missing = True  # read by `memoa.compare`

    def __init__(self, n_experts: int, *, rule: Name = "ml-poly", n_outputs: int = 1) -> None:
        self.n_experts = as_int("n_experts", n_experts, 1)
        self.n_outputs = as_int("n_outputs", n_outputs, 1)
        self.rule = as_choice("rule", rule, (*RULES, "window"))
        made: Any = _Window(self.n_experts, self.n_outputs) if rule == "window" else RULES[rule]()
        self._rule: Rule = made
        self._began = False
        self._last: Float64 = np.zeros(self.n_outputs)
        self._pending: tuple[Float64, Float64] | None = None  # x as given, and with gaps filled

    @property
    def weights(self) -> Float64:
        """Present weights, shape (K,), if no expert sleeps."""
        if not self._began:
            return np.full(self.n_experts, 1.0 / self.n_experts)
        weights: Float64 = self._rule.weights  # type: ignore[attr-defined]
        return weights

    def predict_one(self, x: ArrayLike) -> Float64:
        """Return the combination, shape (d,), of predictions `x`, shape (K,) or (K, d).

        NaN means that an expert is silent. If all are silent, the result is the last y.
        """
        experts = self._one(x)
        asleep: Any = np.isnan(experts).any(axis=1)
        if asleep.all():
            self._pending = None
            return np.array(self._last)
        filled = np.where(asleep[:, None], experts[~asleep].mean(axis=0), experts)
        mixed = self._rule.predict(filled)
        self._began = True
        if asleep.any() and not isinstance(self._rule, _Window):
            weights = np.where(asleep, 0.0, self.weights)
            if weights.sum() > 0.0:
                mixed = weights @ filled / weights.sum()
            else:  # all weight is on sleeping experts
                mixed = filled[~asleep].mean(axis=0)
            filled = np.where(asleep[:, None], mixed, experts)
        self._pending = experts, filled
        return np.asarray(mixed)

    def learn_one(self, x: ArrayLike, y: ArrayLike) -> Experts:
        """Learn the y, shape (d,) or a number, that belongs to the predictions `x`.

        A y with NaN in any output is not learnt.
        """
        target = as_float64("y", y).reshape(-1)
        require_shape("y", target, "(n_outputs,)", (self.n_outputs,))
        experts = self._one(x)
        if np.isinf(target).any():
            raise ValueError("y is infinite; expected numbers, or nan for a missing one")
        same = self._pending is not None and np.array_equal(
            self._pending[0], experts, equal_nan=True
        )
        if not same:
            self.predict_one(x)
        if not np.isnan(target).any():
            if self._pending is not None:
                self._rule.update(self._pending[1], target)
            self._last = target.copy()
        self._pending = None
        return self

    def run(self, X: ArrayLike, Y: ArrayLike) -> Float64:
        """Return forecasts (T, d), each made before its y is learnt.

        Parameters
        ----------
        X : array_like, shape (T, K), or (T, K, d), float64
            Predictions of the experts; NaN if one is silent.
        Y : array_like, shape (T, d), or (T,) where d = 1, float64
            Values; NaN if there is none.
        """
        rows, targets = as_float64("X", X), as_float64("Y", Y)
        targets = targets[:, None] if targets.ndim == 1 else targets
        require_shape("Y", targets, "(n_steps, n_outputs)", (None, self.n_outputs))
        if rows.ndim not in (2, 3) or len(rows) != len(targets):
            raise ValueError(
                f"X has shape {rows.shape}; expected (n_steps, n_experts) = "
                f"({len(targets)}, {self.n_experts}), or with n_outputs = {self.n_outputs} added"
            )
        out = np.empty(targets.shape)
        for t, (x, y) in enumerate(zip(rows, targets)):
            out[t] = self.predict_one(x)
            self.learn_one(x, y)
        return out

    def _one(self, x: ArrayLike) -> Float64:
        experts = as_float64("x", x)
        experts = experts[:, None] if experts.ndim == 1 else experts
        shape = (self.n_experts, self.n_outputs)
        require_shape("x", experts, "(n_experts, n_outputs)", shape)
        if np.isinf(experts).any():
            raise ValueError("x holds infinite values; expected numbers, or nan if one sleeps")
        return np.array(experts)


class _Window:
    """The server's own rule, combined with the last value."""

    def __init__(self, n_experts: int, n_outputs: int) -> None:
        self.server = ServerMixture(n_experts, n_outputs, window=64, rivals=False, start=0)

    @property
    def weights(self) -> Float64:
        return np.asarray(self.server.weights)

    def predict(self, experts: Float64) -> Float64:
        return self.server.predict(experts)

    def update(self, experts: Float64, y: Float64) -> None:
        self.server.update(experts, y)
