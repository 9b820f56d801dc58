"""The goals of the population's speed, each the worst case of the rows that it speaks of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Results = dict[str, list[Row]]


@dataclass(frozen=True)
class Goal:
    """`field` of every row of `section` that `holds` selects, against a bound."""

    what: str
    section: str
    field: str
    bound: float
    least: bool  # the bound is a least value, or a greatest one
    holds: Callable[[dict[str, Any]], bool]

    def verdict(self, results: Results) -> tuple[str, str, str]:
        """The goal, the worst median with its case, and met / NOT MET / not measured."""
        sign = ">=" if self.least else "<="
        rows = [r for r in results.get(self.section, []) if self.holds(r["case"])]
        if not rows:
            return f"{sign} {self.bound:g}", "-", "not measured"
        pick = min if self.least else max
        worst = pick(rows, key=lambda row: median(row[self.field]))
        value = median(worst[self.field])
        met = value >= self.bound if self.least else value <= self.bound
        where = ", ".join(describe(worst["case"])) if len(rows) > 1 else ""
        number = f"{value:.3g}" + (f" ({where})" if where else "")
        return f"{sign} {self.bound:g}", number, "met" if met else "NOT MET"


def median(value: Any) -> float:
    """Of quartiles, or the number itself."""
    return float(value["median"] if isinstance(value, dict) else value)


def describe(case: dict[str, Any]) -> list[str]:
    """The parts of a case that tell it from its neighbours."""
    labels = (("n_agents", "N"), ("n_features", "p"), ("n_outputs", "d"))
    return [f"{label} = {case[key]:,}" for key, label in labels if key in case] + [
        str(case["dtype"])
    ] * ("dtype" in case)


def _peer(*names: str) -> Callable[[dict[str, Any]], bool]:
    return lambda case: case["peer"] in names


def _jax(least: int, most: int) -> Callable[[dict[str, Any]], bool]:
    return lambda case: case["peer"] == "jax" and least <= case["n_agents"] <= most


def _numba(least: int, most: int, *dtypes: str) -> Callable[[dict[str, Any]], bool]:
    return lambda case: (
        case["peer"] == "numba" and least <= case["n_agents"] <= most and case["dtype"] in dtypes
    )


def _size(n_agents: int, threads: int | None = None) -> Callable[[dict[str, Any]], bool]:
    return lambda case: (
        case["n_agents"] == n_agents and (threads is None or case["threads"] == threads)
    )


BOTH, ANY = ("float64", "float32"), 10**12
GOALS = (
    Goal(
        "stepping, N = 10^6, 2 threads: fraction of the update bandwidth",
        "step",
        "fraction",
        0.70,
        True,
        _size(10**6, 2),
    ),
    Goal("stepping, N = 10^5, 1 thread: the same", "step", "fraction", 0.70, True, _size(10**5, 1)),
    Goal(
        "x86-64-v3 kernel against v4, N = 10^6: times slower",
        "levels",
        "times the best",
        1.25,
        False,
        lambda case: case["level"] == "x86-64-v3" and case["n_agents"] == 10**6,
    ),
    Goal(
        "N = 10^4, 2 threads against 1: times faster",
        "step",
        "times one thread",
        1.8,
        True,
        _size(10**4, 2),
    ),
    Goal(
        "run against stepping, N = 10^6: times faster per step",
        "run",
        "times faster",
        2.5,
        True,
        _size(10**6),
    ),
    Goal(
        "against NumPy, the better layout: times faster",
        "peers",
        "times faster",
        5.0,
        True,
        _peer("numpy", "numpy-lapack"),
    ),
    Goal("against PyTorch", "peers", "times faster", 7.0, True, _peer("torch")),
    Goal("against torch.compile", "peers", "times faster", 3.0, True, _peer("torch-compile")),
    Goal("against JAX jit, N = 10^3", "peers", "times faster", 10.0, True, _jax(1, 10**3)),
    Goal("against JAX jit, N = 10^4", "peers", "times faster", 7.0, True, _jax(10**4, 10**4)),
    Goal("against JAX jit, N >= 10^5", "peers", "times faster", 4.0, True, _jax(10**5, ANY)),
    Goal("run against JAX lax.scan", "peers", "times faster", 3.5, True, _peer("jax-scan")),
    Goal(
        "against Numba, hand-written, N <= 10^4",
        "peers",
        "times faster",
        4.0,
        True,
        _numba(1, 10**4, *BOTH),
    ),
    Goal(
        "against Numba, hand-written, N >= 10^5, float64",
        "peers",
        "times faster",
        1.3,
        True,
        _numba(10**5, ANY, "float64"),
    ),
    Goal(
        "against Numba, hand-written, N >= 10^5, float32",
        "peers",
        "times faster",
        2.0,
        True,
        _numba(10**5, ANY, "float32"),
    ),
    Goal(
        "run of N = 100, p = 8, 10^4 steps: times its kernel work",
        "small",
        "run / kernel",
        1.5,
        False,
        lambda case: True,
    ),
    Goal(
        "a Python step loop of N = 100 adds, microseconds a step",
        "small",
        "loop adds us",
        10.0,
        False,
        lambda case: True,
    ),
    Goal(
        "memory of an agent, N = 10^6: times the arithmetic minimum",
        "memory",
        "times least",
        1.10,
        False,
        _size(10**6),
    ),
)
