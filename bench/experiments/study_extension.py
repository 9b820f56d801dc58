"""More series of `experiments.study`: cycles, smooth curves, maps and a daily load.

>>> from experiments import study
>>> study.cycle(300)
Series('cycle': 300 steps, 2 inputs, target y)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from experiments.study_series import from_lags, start
from memoa._validate import as_number
from memoa.datasets import Series

__all__ = ["EXTENSION", "cycle", "daily_load", "henon", "ricker", "smooth_curve"]


def cycle(n: int = 200, seed: int = 0, noise: float = 0.0) -> Series:
    """Return a cycle of 3 to 12 values, uniform on (-1, 1), in noise, from two lags.

    Parameters
    ----------
    n : int
        Number of predictions, at least 1.
    seed : int
        Seed of the cycle and the noise.
    noise : float
        Standard deviation of the noise.
    """
    n, rng = start(n, seed)
    values = rng.uniform(-1.0, 1.0, size=int(rng.integers(3, 13)))
    return from_lags(
        "cycle", np.resize(values, n + 2) + as_number("noise", noise) * rng.normal(size=n + 2), 2
    )


def smooth_curve(n: int = 200, seed: int = 0) -> Series:
    """Return three sines of periods from 20 to 80 steps, from two lags.

    Parameters
    ----------
    n : int
        Number of predictions, at least 1.
    seed : int
        Seed of periods, phases and amplitudes.
    """
    n, rng = start(n, seed)
    turns = np.arange(n + 2)[:, None] / rng.uniform(20.0, 80.0, size=3) + rng.uniform(size=3)
    return from_lags("smooth curve", np.sin(2 * np.pi * turns) @ rng.uniform(0.5, 1.5, size=3), 2)


def ricker(n: int = 200, seed: int = 0) -> Series:
    """Return ``y_{t+1} = y_t exp(r_t (1 - y_t))``, whose rate r wanders from 2.3 to 2.9.

    ``r_t = 2.6 + 0.3 sin(2 pi (3 t/n + v))``: Ricker, *Journal of the Fisheries Research Board of
    Canada* 11 (1954).

    Parameters
    ----------
    n : int
        Number of predictions, at least 1.
    seed : int
        Seed of the first value and of the phase v.
    """
    n, rng = start(n, seed)
    y, phase = [float(rng.uniform(0.5, 1.5))], rng.uniform()
    for t in range(n):
        rate = 2.6 + 0.3 * np.sin(2 * np.pi * (3 * t / n + phase))
        y.append(y[-1] * np.exp(rate * (1.0 - y[-1])))
    return from_lags("ricker", y, 1)


def henon(n: int = 300, seed: int = 0) -> Series:
    """Return ``y_{t+1} = 1 - 1.4 y_t^2 + 0.3 y_{t-1}``, from its last value alone.

    Henon, *Communications in Mathematical Physics* 50 (1976). The first 50 values are left out.

    Parameters
    ----------
    n : int
        Number of predictions, at least 1.
    seed : int
        Seed of the first two values.
    """
    n, rng = start(n, seed)
    y = [float(v) for v in rng.uniform(-0.1, 0.1, size=2)]
    for _ in range(n + 50):
        y.append(1.0 - 1.4 * y[-1] ** 2 + 0.3 * y[-2])
    return from_lags("henon", y[-n - 1 :], 1)


def daily_load(n: int = 1000, seed: int = 0) -> Series:
    """Return a load with a day of 24 steps and a wandering level, from two lags and the hour.

    The profile is the same every day, five days of seven are higher by a half, and the rest is an
    autoregression, ``e_t = 0.9 e_{t-1} + N(0, 0.05^2)``. The hour comes as a sine and a cosine.

    Parameters
    ----------
    n : int
        Number of predictions, at least 1.
    seed : int
        Seed of the profile and of the noise.
    """
    n, rng = start(n, seed)
    t = np.arange(n + 2)
    profile = np.cumsum(rng.normal(size=24))
    profile = 1.0 + 0.3 * (profile - profile.mean()) / profile.std()
    rest = [0.0]
    for e in 0.05 * rng.normal(size=n + 1):
        rest.append(0.9 * rest[-1] + e)
    load = profile[t % 24] * np.where(t // 24 % 7 < 5, 1.5, 1.0) + rest
    lagged = from_lags("daily load", load, 2)
    turn = 2 * np.pi * t[2:, None] / 24
    return Series(
        "daily load",
        np.column_stack([lagged.X, np.sin(turn), np.cos(turn)]),
        lagged.Y,
        lagged.initial,
        (*lagged.columns, "sine of the hour", "cosine of the hour"),
        lagged.targets,
    )


#: Each takes the seed of the series.
EXTENSION: dict[str, Callable[[int], Series]] = {
    "cycle 200": lambda seed: cycle(200, seed),
    "noisy cycle 500": lambda seed: cycle(500, seed, 0.1),
    "smooth curve 200": lambda seed: smooth_curve(200, seed),
    "ricker 200": lambda seed: ricker(200, seed),
    "henon 300": lambda seed: henon(300, seed),
    "daily load 1000": lambda seed: daily_load(1000, seed),
}
