"""Checks of the theorems: a number, a bound, and whether it passed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memoa import Game
from memoa._validate import Float64

# Rates are fitted where N is large enough for the first term and small enough for the digits.
FIT_FROM, FIT_TO = 100, 10**7
RATES = {"gain_gap": -1.0, "exploitability": -2.0, "limit_exploitability": -1.0}
# Relative values above these have correct digits. An exploitability is a sum of squares of
# differences of controls (theory (5.3)), which fall as 1/N if those of the policies do.
DIGITS = {"gain_gap": 1e-12, "exploitability": 1e-18, "limit_exploitability": 1e-12}
ROUNDING = 1e-12
SQUARED = ROUNDING**2
COST_ROUNDING = 1e-13  # of a cost, for a usual number of stages


class Check(NamedTuple):
    """One theorem: the measured number, the expected one in words, and whether it passed.

    Examples
    --------
    >>> from memoa.verify import Check
    >>> Check("slope of the gap", -1.0, "-1 within 0.05", True).passed
    True
    """

    name: str
    measured: float
    expected: str
    passed: bool


def size_of(game: Game, mean: Float64, cov: Float64) -> float:
    """Return the size of a cost's terms before they cancel, the scale of its rounding."""
    q = game.tracking
    targets = np.einsum("ti,ij,tj->t", game.target, q, game.target)
    start = mean @ q @ mean + np.sum(q * cov)
    return float(game.discount @ (targets + start))


def relative(table: dict[str, Float64], column: str, size: float) -> Float64:
    """Return a column without units: exploitabilities over the cost, or the size if larger.

    A start at the target has only rounding errors as its cost.
    """
    if "exploitability" not in column:
        return table[column]
    cost = table["cost_nash" if column.startswith("nash") else "cost_mean_field"]
    scale = np.maximum(np.abs(cost), size)
    return np.divide(table[column], scale, out=np.zeros_like(scale), where=scale > 0.0)


def fitted(table: dict[str, Float64], column: str, size: float) -> tuple[Float64, Float64]:
    """Return sizes and relative values in the range of the fit."""
    agents = table["n_agents"]
    inside = (agents >= FIT_FROM) & (agents <= FIT_TO)
    return agents[inside], relative(table, column, size)[inside]


def slopes_of(table: dict[str, Float64], size: float) -> dict[str, float]:
    """Return least-squares slopes in double logarithms; NaN with fewer than two exact values."""
    slopes = {}
    for column in RATES:
        agents, values = fitted(table, column, size)
        real = values > DIGITS[column]
        slopes[column] = np.nan
        if real.sum() >= 2:
            line = np.polyfit(np.log(agents[real]), np.log(values[real]), 1)
            slopes[column] = float(line[0])
    return slopes


def judge(
    table: dict[str, Float64],
    slopes: dict[str, float],
    centralized: dict[str, Float64],
    deviation: float,
    size: float,
) -> tuple[Check, ...]:
    """Return every theorem's check, in the order of docs/theory-checked.md."""
    agents = [f"{n:.0f}" if n < 1e4 else f"{n:.0e}" for n in table["n_agents"]]
    largest = float(np.max(np.abs(relative(table, "nash_exploitability", size))))
    smallest, apart = float(np.min(table["least_difference"])), float(np.max(table["apart"]))
    difference, up_to = float(np.max(centralized["difference"])), centralized["n_agents"][-1]
    anarchy = float(np.min(table["price_of_anarchy"]))
    times = table["seconds_nash"]
    ratio = float(times[-1] / times[0])
    return (
        _rate(
            "gap of the gains falls as 1/N: slope",
            table,
            "gain_gap",
            slopes,
            size,
            within=0.05,
        ),
        _rate(
            "mean-field policy's exploitability falls as 1/N^2: slope",
            table,
            "exploitability",
            slopes,
            size,
            within=0.1,
        ),
        _rate(
            "limit policy's exploitability falls as 1/N or faster: slope",
            table,
            "limit_exploitability",
            slopes,
            size,
            within=0.05,
            or_faster=True,
        ),
        Check(
            "exact Nash cannot be exploited: largest exploitability / cost",
            largest,
            f"at most {SQUARED:.0e}",
            largest <= SQUARED,
        ),
        Check(
            "no policy beats its best response: least difference / cost",
            smallest,
            f"at least {-COST_ROUNDING:.0e}",
            smallest >= -COST_ROUNDING,
        ),
        Check(
            "exploitability is that difference: largest distance / cost",
            apart,
            f"at most {COST_ROUNDING:.0e}",
            apart <= COST_ROUNDING,
        ),
        Check(
            f"centralized Nash, N = 2 to {up_to:.0f}, is solve_nash: relative difference",
            difference,
            "at most 1e-10",
            difference <= 1e-10,
        ),
        Check(
            "simulated mean costs are the certified ones: standard errors apart",
            deviation,
            "at most 4",
            deviation <= 4.0,
        ),
        Check(
            "the social optimum costs no more than Nash: price of anarchy",
            anarchy,
            "at least 1",
            anarchy >= 1.0 - ROUNDING,
        ),
        Check(
            f"solve_nash costs the same for any N: time at {agents[-1]} / time at {agents[0]}",
            ratio,
            "at most 2",
            ratio <= 2.0,
        ),
    )


def _rate(
    name: str,
    table: dict[str, Float64],
    column: str,
    slopes: dict[str, float],
    size: float,
    *,
    within: float,
    or_faster: bool = False,
) -> Check:
    """Check the fitted slope, or the largest value if no value is exact enough for a fit."""
    slope, rate = slopes[column], RATES[column]
    if np.isnan(slope):
        # One value may be above the rounding, by the change of the rate up to the next size.
        agents, values = fitted(table, column, size)
        bound = DIGITS[column] * float(agents[1] / agents[0]) ** -rate
        largest = float(np.max(values))
        name = name.replace("slope", "nothing to fit, largest")
        return Check(name, largest, f"at rounding, {bound:.0e}", largest <= bound)
    if or_faster:
        return Check(name, slope, f"at most {rate + within:g}", slope <= rate + within)
    return Check(name, slope, f"{rate:g} within {within:g}", abs(slope - rate) <= within)
