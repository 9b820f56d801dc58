"""Slow NumPy twins of what an agent sees of the past, and of the server that aggregates rivals.

The inputs (6.12) and (6.13) and the server (6.14) and (6.15) of theory section 6.
"""

from __future__ import annotations

import numpy as np

from reference_robust import Coordinate

# ---------------------------------------------------------------- step 1: the past of y


class Season:
    """The period of one output: the lag whose repetitions had the smallest discounted error."""

    LONGEST, DECAY, MOST, EXACT = 60, 0.99, 8.0, 1e-9

    def __init__(self, period, delay=0):
        """`period` in steps, or "auto"."""
        self.delay = delay
        self.known = None if period == "auto" else period
        self.past = []  # values, latest first
        length = self.LONGEST if self.known is None else self.known
        self.errors, self.weights = np.zeros(length), np.zeros(length)
        self.matches, self.misses = np.zeros(length, int), np.zeros(length, int)

    @property
    def period(self):
        """The lag to repeat; 0 while none is known."""
        if self.known is not None:
            return self.known if len(self.past) >= self.known else 0
        tried = self.weights > 0.0
        if not tried.any():
            return 0
        means = np.full(len(self.errors), np.inf)
        means[tried] = self.errors[tried] / self.weights[tried]
        return int(np.argmin(means)) + 1

    def reach(self, period):
        """Steps back to what repeats: the first multiple that is known in time, (10.8)."""
        return next(r for r in range(period, 10**7, period) if r > self.delay)

    def increment(self):
        """What repetition says of the step to come, from the last value."""
        if not self.period:
            return 0.0
        return self.past[self.reach(self.period) - 1 - self.delay] - self.past[0]

    def is_exact(self):
        """Has the period always matched, and no lag both matched and missed?"""
        if self.period < 2 or self.matches[self.period - 1] == 0:
            return False
        return (
            self.misses[self.period - 1] == 0 and not ((self.matches > 0) & (self.misses > 0)).any()
        )

    def restart(self):
        for numbers in (self.errors, self.weights, self.matches, self.misses):
            numbers[:] = 0

    def observe(self, y):
        self.past = [y, *self.past[: len(self.errors) + self.delay - 1]]

    def learn(self, y, scale):
        """Judge every lag on y; `scale` is the root mean square of increments, y's included."""
        lags = [lag for lag in range(1, len(self.errors) + 1) if self.reach(lag) <= len(self.past)]
        misses = np.array([abs(self.past[self.reach(lag) - 1] - y) for lag in lags])
        seen = np.array(lags, int) - 1
        self.errors *= self.DECAY
        self.weights *= self.DECAY
        self.errors[seen] += np.minimum(misses, self.MOST * scale) ** 2
        self.weights[seen] += 1.0
        matched = misses <= self.EXACT * scale
        self.matches[seen] += matched
        self.misses[seen] += ~matched
        self.observe(y)


class Past:
    """Inputs that all agents have beside x: lagged increments and the seasonal one, (6.12)."""

    SHRINKS = 16.0  # the usual increment in one step: its moments have restarted
    FAR, JUDGED = 12.0, 10  # usual increments; increments before any is far

    def __init__(self, n_outputs, lags, season, delay=0):
        self.increments = np.zeros((lags, n_outputs))  # latest first
        self.scales = [Coordinate() for _ in range(n_outputs)]
        self.leaps = [Coordinate() for _ in range(n_outputs)] if delay else self.scales
        self.largest = np.zeros(n_outputs)
        seasons = [Season(season, delay) for _ in range(n_outputs)] if season is not None else None
        self.seasons = seasons

    def scale(self, of=None):
        """Root mean square of the increments so far, (d,)."""
        return np.array(
            [
                np.sqrt(c.known.squares / max(c.known.count, 1) + c.known.mean**2)
                for c in of or self.scales
            ]
        )

    def bounded(self, change):
        """What is learnt of increments (d,), theory (6.13)."""
        usual = self.scale(self.leaps)
        counts = np.array([c.known.count for c in self.leaps])
        judged = (counts >= self.JUDGED) & (usual > 0.0)
        limit = np.where(judged, self.FAR * usual, np.inf)
        return np.clip(change, -limit, limit)

    def seasonal(self):
        """Increments by seasonal repetition, (d,)."""
        return np.array([s.increment() for s in self.seasons])

    def inputs(self):
        rows = list(self.increments)
        if self.seasons is not None:
            rows.append(self.seasonal())
        scale = self.scale()
        scaled = [np.divide(r, scale, out=np.zeros_like(r), where=scale > 0.0) for r in rows]
        return np.clip(np.concatenate(scaled), -4.0, 4.0) if rows else np.zeros(0)

    def observe(self, y):
        for season, value in zip(self.seasons or (), y):
            season.observe(float(value))

    def learn(self, y, base, source=None):
        """Take in y (d,); where it is missing the base stays, and nothing else counts.

        `source` is the base that its forecast had, where y comes late.
        """
        seen, before = ~np.isnan(y), self.scale()
        change = np.where(seen, y - base, 0.0)
        leap = np.where(seen, y - (base if source is None else source), 0.0)
        self.largest = np.maximum(self.largest, abs(self.bounded(leap)))
        for o in np.flatnonzero(seen):
            self.scales[o].count(float(change[o]))
            if self.leaps is not self.scales:
                self.leaps[o].count(float(leap[o]))
        self.restarted = self.scale() < before / self.SHRINKS
        for season, restarted in zip(self.seasons or (), self.restarted):
            if restarted:
                season.restart()
        if len(self.increments):
            self.increments = np.concatenate([change[None], self.increments[:-1]])
        for o, season in enumerate(self.seasons or ()):
            if seen[o]:
                season.learn(float(y[o]), self.scale()[o])
            else:
                season.observe(float(base[o]))


# ---------------------------------------------------------------- step 5: the server


class Exponential:
    """Exponential weights of K rivals in one output, theory (6.14); discounted by `rho`."""

    MOST = 100.0  # in units of the noise: what a squared error counts for at most

    def __init__(self, n_rivals, rho, delay=0):
        self.losses, self.count, self.rho = np.zeros(n_rivals), 0.0, rho
        self.slow = 1.0 + delay

    def weights(self, prior=1.0):
        least = self.losses.min()
        noise = least / self.count if self.count else 0.0
        if noise > 0.0:
            raw = prior * np.exp(-(self.losses - least) / (8.0 * noise * self.slow))
        else:
            raw = prior * (self.losses == least)
        return raw / raw.sum()

    def compare(self, errors):
        noise = self.losses.min() / self.count if self.count else 0.0
        least = (errors**2).min()
        kappa = min(1.0, 4.0 * noise / least) if noise > 0.0 and least > 0.0 else 1.0
        usual = noise if noise > 0.0 else least
        most = self.MOST * usual if usual > 0.0 else np.inf
        self.losses = self.rho * self.losses + np.minimum(kappa * errors**2, most)
        self.count = self.rho * self.count + 1.0


class Rivals:
    """The mixture and its rivals, theory (6.14) and (6.15); increments from the base."""

    EXACT, LEVELS, AGENTS, OUTER = 16.0, (0.8, 0.998), 0.99, 0.998

    def __init__(self, n_agents, n_outputs, season, delay=0):
        self.has_season = season is not None
        self.past = Past(n_outputs, 0, season, delay)
        rivals = 3 if self.has_season else 2
        outputs = range(n_outputs)
        self.agents = [Exponential(n_agents, self.AGENTS, delay) for _ in outputs]
        self.levels = [[Exponential(rivals, rho, delay) for rho in self.LEVELS] for _ in outputs]
        self.outer = [Exponential(3, self.OUTER, delay) for _ in outputs]
        self.steps = 0

    def forecast(self, mixture, heard):
        """From the mixture's increments (d,) and the agents' (N, d)."""
        self.shown, out = [], []
        self.shares = np.zeros((4, len(mixture)))
        seasonal = self.past.seasonal() if self.has_season else None
        for o, agents in enumerate(self.agents):
            exact = self.has_season and self.past.seasons[o].is_exact()
            rivals = [mixture[o], agents.weights() @ heard[:, o]]
            prior = [1.0, 1.0]
            if self.has_season:
                rivals.append(seasonal[o])
                prior.append(self.EXACT if exact else 1.0)
            within = [level.weights(np.array(prior)) for level in self.levels[o]]
            levels = np.array([*(w @ rivals for w in within), 0.0])
            among = self.outer[o].weights(np.array([1.0, 1.0, 1.0 / self.EXACT if exact else 1.0]))
            out.append(among @ levels)
            self.shares[: len(rivals), o] = among[0] * within[0] + among[1] * within[1]
            self.shares[3, o] = among[2]
            self.shown.append((np.array(rivals), levels))
        return np.array(out)

    def learn(self, y, base, heard, known=None):
        """Compare all with y (d,), the first step excepted; `known`: the y before a late one."""
        change = y - base
        for o, (rivals, levels) in enumerate(self.shown):
            if self.steps > 0 and not np.isnan(change[o]):
                self.agents[o].compare(heard[:, o] - change[o])
                for level in self.levels[o]:
                    level.compare(rivals - change[o])
                self.outer[o].compare(levels - change[o])
        self.past.learn(y, base if known is None else known, base)
        for o, restarted in enumerate(self.past.restarted):
            for engine in (self.agents[o], *self.levels[o], self.outer[o]) if restarted else ():
                engine.losses[:], engine.count = 0.0, 0.0
        self.steps += 1
