"""The server of a federated ensemble, slow and plain: theory section 6 among those present."""

from __future__ import annotations

import numpy as np

from reference import Ensemble, Precomputed
from reference_robust import Crowd, Fallback
from reference_rows import Rivals


class Server(Ensemble):
    """It hears forecasts c (N, d) and energies (N,) of those `present` (N,) instead of encoding."""

    def __init__(self, n_agents, n_outputs, *, base=None, **settings):
        super().__init__(n_agents, Precomputed(1), **settings)
        self.base, self.steps = base, 0
        self.cost, self.record = np.zeros(n_agents), np.zeros(n_agents)
        self.fallback, self.weight = Fallback(n_outputs), 0.0
        self.d = n_outputs
        self.rivals = Rivals(n_agents, n_outputs, self.season)
        if base is not None:
            self.rivals.past.observe(base)

    def hear(self, c, energies, present):
        self.on = np.flatnonzero(present)
        if self.base is None:
            self.forecast = np.zeros((self.n, self.d))
            self.mean_field = np.zeros(self.d)
            return self.mean_field
        increments, mean = np.zeros((self.n, self.d)), np.zeros(self.d)
        used = np.zeros((self.n, self.d), bool)
        forecasts, usual = np.zeros((self.n, self.d)), np.zeros(self.d)
        self.c = c[self.on]
        self.crowd = Crowd(len(self.on), self.aggregate)
        self.awake = all_on = np.ones(len(self.on), bool)  # of those that are heard
        if len(self.on):
            self.crowd.record, self.crowd.weight = self.record[self.on], self.weight
            used[self.on], counted = self.crowd.used(self.c, energies[self.on], all_on)
            forecasts[self.on] = self.c
            usual = np.array([v[on].mean() for v, on in zip(self.c.T, counted.T)])
        served = None
        if self.has_rivals:
            self.said = np.where(used, forecasts, usual)
            served = self.serve()
        if len(self.on):
            increments[self.on], mean = self.play(self.c, energies[self.on], counted, served)
        self.forecast, self.mean_field = self.base + increments, self.base + mean
        if self.has_rivals:
            return self.base + served
        self.heard = self.base + np.where(used, increments, mean)
        self.mixed = self.agent_weights() @ self.heard
        if self.steps < self.wait:
            return self.base
        weight = self.fallback.weight() if self.has_fallback else 1.0
        return self.base + weight * (self.mixed - self.base)

    def learn(self, y):
        if self.base is None:
            self.base = y
            self.rivals.past.observe(y)
            return
        self.cost[self.on] += ((y - self.forecast[self.on]) ** 2).sum(axis=1)
        self.fallback.compare(y - self.base, y - self.mixed)
        if self.crowd.aggregate != "mean":  # those present were a crowd
            self.crowd.learn(self.c, y - self.base, self.awake)
            self.record[self.on] = self.crowd.record
        self.weight = Crowd.FORGETTING * self.weight + 1.0
        if self.has_rivals:
            self.rivals.learn(y, self.base, self.said)
        self.history = [*self.history, (self.heard - y, y)][-max(self.window, 1) :]
        self.base = y
        self.steps += 1
