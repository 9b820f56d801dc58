"""Slow twin of the intervals, theory (10.1) to (10.3): one output, one step after the other."""

from __future__ import annotations

import math


class Intervals:
    """Half-widths in units of a running scale of the errors."""

    STEP, MEMORY, FAR, LONGEST = 0.2, 0.95, 4.0, 60

    def __init__(self, levels):
        self.levels = levels
        self.widths = [math.log(1.0 / (1.0 - level)) for level in levels]
        self.errors = []  # all of them, whatever it costs
        self.scale, self.run = 0.0, 0

    def half_widths(self):
        """(10.1): of every level, none below that of a lower one."""
        return [max(self.widths[: k + 1]) * self.scale for k in range(len(self.levels))]

    def learn(self, error):
        error = abs(error)
        if math.isnan(error):
            return
        if self.errors:
            for k, (level, shown) in enumerate(zip(self.levels, self.half_widths())):
                missed = 1.0 if error > shown else 0.0
                self.widths[k] = max(self.widths[k] + self.STEP * (missed - (1 - level)), 0.0)
        self.errors.append(error)
        if self.scale == 0.0:
            self.scale = error
            return
        most = self.FAR * self.scale * 2.0 ** min(self.run, self.LONGEST)
        self.run = self.run + 1 if error > most else 0
        keep = min(self.MEMORY, 1 - 1 / len(self.errors))
        self.scale = keep * self.scale + (1 - keep) * min(error, most)
