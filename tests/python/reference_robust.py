"""Slow NumPy twins of what keeps a bad value from costing the rest of a series.

The standardiser of theory section 6, step 1; the fallback (6.7); and the crowd's limits of (6.9)
and (6.10), which the averages over agents and the mixture use.
"""

from __future__ import annotations

import numpy as np

# ---------------------------------------------------------------- step 1: inputs


class Moments:
    """Count, mean and sum of squared deviations of numbers (Welford)."""

    def __init__(self):
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def add(self, x):
        self.count += 1
        delta = x - self.mean
        self.mean += delta / self.count
        self.squares += delta * (x - self.mean)

    def deviation(self):
        return np.sqrt(self.squares / self.count) if self.count else 0.0


class Coordinate:
    """One coordinate of an input: what is known of it, and when that is given up."""

    FAR, COUNTS_AS, SEEN = 8.0, 4.0, 10  # deviations; values before any is far
    TAKEN = 4  # of a run of far values these are taken in
    RUN = 32  # far values more than near ones: the level or the scale has moved
    QUIET, NEAR, SHARE, LEAST = 32.0, 0.25, 0.25, 16  # a stretch so narrow, and so long

    def __init__(self):
        self.age, self.excess = 0, 0
        self.known, self.far, self.near = Moments(), Moments(), Moments()

    def count(self, x):
        known, deviation, away = self.known, self.known.deviation(), x - self.known.mean
        is_far = known.count >= self.SEEN and 0 < self.FAR * deviation < abs(away)
        self.age += 1
        self.excess = self.excess + 1 if is_far else max(self.excess - 1, 0)
        if self.excess == 0:
            self.far = Moments()
        else:
            self.far.add(x)
        if not is_far:
            known.add(x)
        elif self.excess <= self.TAKEN:
            known.add(known.mean + np.copysign(self.COUNTS_AS * deviation, away))
        if abs(x - self.near.mean) > self.NEAR * known.deviation():
            self.near = Moments()
        self.near.add(x)
        if self.excess == self.RUN:
            self.restart(self.far)
        elif (
            self.near.count >= max(self.LEAST, self.SHARE * self.age)
            and 0 < self.near.deviation() < known.deviation() / self.QUIET
        ):
            self.restart(self.near)

    def restart(self, moments):
        self.known, self.far, self.near, self.excess = moments, Moments(), Moments(), 0

    def standardised(self, x):
        deviation = self.known.deviation()
        return np.clip((x - self.known.mean) / deviation, -4, 4) if deviation > 0 else 0.0


class Standardiser:
    """Theory section 6, step 1, one coordinate after the other."""

    def __init__(self, n_inputs):
        self.coordinates = [Coordinate() for _ in range(n_inputs)]

    def step(self, x):
        """Count x, then standardise it."""
        for coordinate, value in zip(self.coordinates, x):
            if not np.isnan(value):  # (10.4)
                coordinate.count(float(value))
        shown = [c.standardised(float(v)) for c, v in zip(self.coordinates, x)]
        return np.where(np.isnan(x), 0.0, shown)


# ---------------------------------------------------------------- step 7: the last value


class Fallback:
    """The last value as the mixture's rival, theory (6.7), one output after the other."""

    def __init__(self, n_outputs, delay=0):
        self.slow = 1.0 + delay
        self.sums, self.lead = np.zeros((2, n_outputs)), np.zeros(n_outputs)  # base, mixture
        self.largest = np.zeros((2, 2, n_outputs))  # of each, the two largest
        self.learnt = 0

    def noise(self, o):
        """The variance of the better one's error, without the two largest of each."""
        compared = self.learnt - 1
        if compared < 3:
            return self.sums[:, o].min() / max(compared, 1)
        others = self.sums[:, o] - self.largest[:, :, o].sum(axis=1)
        return max(others.min(), 0.0) / (compared - 2)

    def weight(self):
        """Weight of the mixture, shape (d,); the rest is that of the base."""
        if self.learnt == 0:
            return np.ones(len(self.lead))
        weights = []
        for o, lead in enumerate(self.lead):
            noise = self.noise(o)
            if noise > 0.0:
                weights.append(1.0 / (1.0 + np.exp(-lead / (8.0 * noise * self.slow))))
            else:
                weights.append(0.5 + 0.5 * np.sign(lead))
        return np.array(weights)

    def compare(self, base_error, mixture_error):
        """Count the squared errors (d,) of a step; the first step is left out."""
        self.learnt += 1
        if self.learnt == 1:
            return
        for o, (of_base, of_mixture) in enumerate(zip(base_error**2, mixture_error**2)):
            if np.isnan(of_base):  # no y
                continue
            self.learnt -= 1
            noise, least = self.noise(o), min(of_base, of_mixture)
            self.learnt += 1
            by = min(1.0, 4.0 * noise / least) if noise > 0.0 and least > 0.0 else 1.0
            for rival, squared in enumerate((of_base, of_mixture)):
                self.sums[rival, o] += by * squared
                self.largest[rival, :, o] = sorted([*self.largest[rival, :, o], by * squared])[1:]
            self.lead[o] += by * (of_base - of_mixture)
            noise = self.noise(o)
            if noise > 0.0:  # a weight of at least 1 / (1 + sqrt(count + 1))
                count = self.learnt - 1
                least = -8.0 * noise * self.slow * np.log(np.sqrt(count + 1.0))
                self.lead[o] = max(self.lead[o], least)


# ---------------------------------------------------------------- step 3: averages over agents


class Crowd:
    """Which agents the averages of step 3 and the mixture use, theory (6.9) and (6.10).

    Every agent is of the jury, as where there are at most 256 of them.
    """

    LEAST, FORGETTING, WORSE, LARGEST, RANGE, CUT = 16, 0.99, 4.0, 100.0, 5.0, 0.2

    def __init__(self, n_agents, aggregate):
        self.aggregate = aggregate if n_agents >= self.LEAST else "mean"
        self.record, self.weight = np.zeros(n_agents), 0.0

    def energy(self, energies, awake):
        """Mean of |z|^2 of those awake, which few cannot raise without limit."""
        energies = energies[awake]
        if len(energies) == 0:
            return 0.0
        typical = np.median(energies[energies > 0]) if (energies > 0).any() else 0.0
        mean = energies.mean()
        return min(mean, 16.0 * typical) if self.judges(awake) and typical > 0 else mean

    def judges(self, awake):
        """Fewer than 16 that are awake are no crowd."""
        return self.aggregate != "mean" and np.count_nonzero(awake) >= self.LEAST

    def usual(self, awake):
        """The median of the recent losses of those awake; of all where nobody is."""
        return np.median(self.record[awake] if awake.any() else self.record)

    def used(self, c, energies, awake):
        """Agents that the mixture uses, and agents that the averages count, (N, d) each."""
        everybody = np.ones(c.shape, bool) & awake[:, None]
        if not self.judges(awake):
            return everybody, everybody
        usual = self.usual(awake)
        trusted = ((self.record <= self.WORSE * usual) | (usual == 0.0)) & awake
        jury = trusted & (energies > 0)
        used, counted = everybody & trusted[:, None], everybody & trusted[:, None]
        for o in range(c.shape[1]):
            if not jury.any():
                continue
            centre = np.median(c[jury, o])
            spread = 1.4826 * np.median(abs(c[jury, o] - centre))
            if spread > 0.0:
                used[:, o] &= abs(c[:, o] - centre) <= self.RANGE * spread
            counted[:, o] = used[:, o]
            if self.aggregate == "trimmed":
                ordered = np.sort(c[jury & used[:, o], o])
                cut = int(self.CUT * len(ordered))
                low, high = ordered[cut], ordered[len(ordered) - 1 - cut]
                counted[:, o] &= (c[:, o] >= low) & (c[:, o] <= high)
        return used, counted

    def learn(self, c, change, awake):
        """Count the squared error of every local forecast, c (N, d), change = y - base (d,)."""
        errors = np.nansum((change - c) ** 2, axis=1)
        usual = self.usual(awake)
        if usual > 0.0:
            errors = np.minimum(errors, self.LARGEST * usual / self.weight)
        self.record = np.where(awake, self.FORGETTING * self.record + errors, self.record)
        self.weight = self.FORGETTING * self.weight + 1.0
