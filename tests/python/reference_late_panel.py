"""Slow NumPy twin of a panel whose values come late, theory (10.11) and (10.12)."""

from __future__ import annotations

from collections import deque

import numpy as np

from reference_panel import Panel

# What a forecast leaves behind, and its values are compared with.
PARTS = ("z", "c", "s", "apart", "present", "forecast")


class LatePanel(Panel):
    """The panel whose values are known after `delay` further forecasts."""

    def __init__(self, *args, delay, **settings):
        super().__init__(*args, **settings)
        self.delay, self.prior = delay, 5.0 * (1.0 + delay)
        self.waiting, self.told = deque(), deque()

    def predict(self, X):
        """Forecasts that join those that wait; their x counts from now on."""
        if len(self.waiting) > self.delay:
            self.learn_oldest(self.told.popleft())
        forecast = super().predict(X)
        for i in range(self.n):
            if not np.isnan(self.base[i]).all() and self.moments[i] is not None:
                self.mean[i], self.deviations[i], _ = self.moments[i]
                self.counted[i] += 1.0
        self.of_forecasts = list(self.agreed)
        step = {name: getattr(self, name).copy() for name in PARTS}
        self.waiting.append(step | {"base": self.base.copy()})
        return forecast

    def learn_oldest(self, y, awake=None):
        step = self.waiting.popleft()
        n = len(step["base"])  # clients that were added since only see their first value
        for name in PARTS[:-1]:
            setattr(self, name, step[name])
        for i in range(self.n):
            base = step["base"][i] if i < n else np.full(self.d, np.nan)
            seen, known = ~np.isnan(y[i]), ~np.isnan(base)
            if known.any():
                error = (y[i] - step["forecast"][i])[seen & known]
                self.cost[i] += error @ error
                self.scored[i] += error.size
            if (seen & known).all():
                self.learn_client(i, y[i] - base)
            self.base[i, seen] = y[i, seen]
        self.awake = np.ones(self.n, bool) if awake is None else np.array(awake, bool)
        self.steps, self.due = self.steps + 1, True

    def run(self, X, Y, *, initial=None, awake=None):
        """Forecasts (T, N, d); `initial` (N, d), or (delay + 1, N, d)."""
        if not self.started:
            self.start(X.shape[2], Y.shape[2])
        rest = [] if initial is None else list(initial if np.ndim(initial) == 3 else [initial])
        if rest:
            self.observe(rest.pop(0))
        forecasts = []
        for t in range(len(Y)):
            forecasts.append(self.predict(X[t]))
            self.told.append(Y[t])
            if rest:
                self.observe(rest.pop(0))
            if len(self.waiting) > self.delay:
                self.learn_oldest(self.told.popleft(), None if awake is None else awake[t])
        return np.array(forecasts)


def late_bases(Y, initial, delay):
    """The last values known at each forecast (T, N, d); `initial` (delay + 1, N, d)."""
    base, bases = np.full(Y.shape[1:], np.nan), []
    known = [*initial, *Y]  # known[t + delay] is known before the forecast of step t + delay
    for y in known[: len(Y)]:
        base = np.where(np.isnan(y), base, y)
        bases.append(base)
    return np.array(bases)
