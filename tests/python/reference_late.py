"""Slow NumPy twin of an ensemble whose y comes late, theory (10.7) and (10.8)."""

from __future__ import annotations

from collections import deque

import numpy as np

from reference import Ensemble
from reference_robust import Fallback
from reference_rows import Past, Rivals

# What a forecast leaves behind, and its y is compared with.
PARTS = ("z", "c", "forecast", "heard", "mixed", "said", "base")


class LateEnsemble(Ensemble):
    """The online ensemble whose y is known after `delay` further forecasts."""

    def __init__(self, *args, delay, **settings):
        super().__init__(*args, **settings)
        self.delay = delay
        if not self.mixture["absolute"]:  # theory (10.9)
            self.mixture["ridge"] *= 1.0 + delay

    def start(self, n_inputs, d, base=None):
        super().start(n_inputs, d, None)
        self.past = Past(d, self.lags, self.season, self.delay)
        self.rivals = Rivals(self.n, d, self.season, self.delay)
        self.fallback = Fallback(d, self.delay)
        self.waiting, self.scored = deque(), 0
        if base is not None:
            self.observe(base)

    @property
    def knows(self):
        return self.base is not None and not np.isnan(self.base).any()

    def observe(self, y):
        before = np.full(len(y), np.nan) if self.base is None else self.base
        self.base = np.where(np.isnan(y), before, y)
        if self.knows:
            self.past.observe(self.base)
            self.rivals.past.observe(self.base)

    def predict(self, x):
        """A forecast that joins those that wait; its x counts from now on."""
        knew = self.knows
        shown = super().predict(x)
        step = {name: getattr(self, name, None) for name in PARTS} if knew else None
        if knew:
            # where nobody has learnt, the base to the last bit: it is no rival then
            step["mixed"] = self.base + self.agent_weights() @ (self.heard - self.base)
            step["rivals"] = getattr(self.rivals, "shown", None)
            self.limit = self.crowd_limit()
            for encoder, weights, z in zip(self.encoders, self.weights, self.z):
                encoder.commit(weights, z)
        self.waiting.append(step)
        return shown

    def crowd_limit(self):
        """What a recent loss counts at most, (6.9), as known at the last forecast."""
        usual = np.median(self.crowd.record)
        return self.crowd.LARGEST * usual / self.crowd.weight if usual > 0.0 else np.inf

    def learn_oldest(self, y):
        step, seen = self.waiting.popleft(), ~np.isnan(y)
        if not seen.any():
            return
        if step is None:  # nothing was known
            self.observe(y)
            return
        change = y - step["base"]
        bounded = self.past.bounded(change) if self.bounded else change
        for i in range(self.n):
            z, keep = step["z"][i], self.forgetting[i]
            self.gram[i] = keep * self.gram[i] + np.outer(z, z)
            learnt = np.where(seen, bounded, step["c"][i])
            self.cross[i] = keep * self.cross[i] + np.outer(z, learnt)
        self.cost += np.nansum((y - step["forecast"]) ** 2, axis=1)
        self.scored += np.count_nonzero(seen)
        self.fallback.compare(change, y - step["mixed"])
        losses = np.minimum(np.nansum((change - step["c"]) ** 2, axis=1), self.limit)
        self.crowd.record = self.crowd.FORGETTING * self.crowd.record + losses
        self.crowd.weight = self.crowd.FORGETTING * self.crowd.weight + 1.0
        row = np.where(seen, step["heard"] - y, 0.0), np.where(seen, y, 0.0)
        self.history = [*self.history, row][-max(self.window, 1) :]
        latest = np.where(seen, y, self.base)
        self.past.learn(y, self.base, step["base"])
        if self.has_rivals:
            self.rivals.shown = step["rivals"]
            self.rivals.learn(y, step["base"], step["said"], known=self.base)
        self.base = latest
        self.steps += 1

    def run(self, xs, ys, initial=None):
        """Server forecasts, agents' RMSE over what was learnt, mean field, agents."""
        initial = None if initial is None else np.atleast_2d(initial)
        self.start(
            xs.shape[-1] if xs.ndim == 2 else 0,
            ys.shape[1],
            None if initial is None else initial[0],
        )
        rest = [] if initial is None else list(initial[1:])
        told, server, means, agents = deque(), [], [], []
        for x, y in zip(xs, ys):
            server.append(self.predict(x))
            means.append(self.mean_field)
            agents.append(self.forecast)
            told.append(y)
            if rest:
                self.observe(rest.pop(0))
            if len(told) > self.delay:
                self.learn_oldest(told.popleft())
        rmse = np.sqrt(self.cost / max(self.scored, 1))
        return np.array(server), rmse, np.array(means), np.array(agents)
