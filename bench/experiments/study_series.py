"""The series of `experiments.study`: every one has its equation and its source in its docstring.

>>> from experiments import study
>>> study.mackey_glass(300)
Series('mackey-glass': 300 steps, 4 inputs, target y)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from memoa._validate import as_int, as_number
from memoa.datasets import Series

__all__ = [
    "SERIES",
    "ar2",
    "from_lags",
    "lorenz",
    "mackey_glass",
    "narma10",
    "random_walk",
    "regime_switches",
    "sine_with_drift",
    "start",
    "walk_among_walks",
]


def sine_with_drift(n: int = 500, seed: int = 0) -> Series:
    """Return two sines whose level and amplitude drift, in noise, from two lags.

    ``y_t = (1 + t/n) sin(2 pi t/25) + sin(2 pi t/7)/2 + 2 t/n + e_t/10`` with e_t ~ N(0, 1).

    Parameters
    ----------
    n : int
        Number of predictions, at least 1.
    seed : int
        Seed of the noise.
    """
    n, rng = start(n, seed)
    t = np.arange(n + 2)
    waves = (1 + t / n) * np.sin(2 * np.pi * t / 25) + 0.5 * np.sin(2 * np.pi * t / 7)
    return from_lags("sine", waves + 2 * t / n + 0.1 * rng.normal(size=n + 2), 2)


def ar2(n: int = 1000, seed: int = 0) -> Series:
    """Return an autoregression with roots 0.9 exp(+-i pi/6), from two lags.

    ``y_t = 1.8 cos(pi/6) y_{t-1} - 0.81 y_{t-2} + e_t`` with e_t ~ N(0, 1): Box, Jenkins and
    Reinsel, *Time Series Analysis*, section 3.2.

    Parameters
    ----------
    n : int
        Number of predictions, at least 1.
    seed : int
        Seed of the noise.
    """
    n, rng = start(n, seed)
    y = list(rng.normal(size=2))
    for e in rng.normal(size=n + 100):
        y.append(1.8 * np.cos(np.pi / 6) * y[-1] - 0.81 * y[-2] + e)
    return from_lags("ar2", y[100:], 2)


def mackey_glass(n: int = 1000, seed: int = 0) -> Series:
    """Return the Mackey-Glass equation six time units ahead, from four lags six units apart.

    ``x'(t) = 0.2 x(t - 17) / (1 + x(t - 17)^10) - 0.1 x(t)``: Mackey and Glass, *Science* 197
    (1977). Heun's method with steps of 0.1 from a constant history near 1.2; the first 300 units
    are left out.

    Parameters
    ----------
    n : int
        Number of predictions, at least 1.
    seed : int
        Seed of the history.
    """
    n, rng = start(n, seed)
    step, delay, sample = 0.1, 170, 60
    x = [1.2 + 0.2 * float(rng.uniform(-1.0, 1.0))] * (delay + 1)
    source = [0.2 * one / (1.0 + one**10) for one in x]
    for k in range(3000 + sample * (n + 4)):
        slope = source[k] - 0.1 * x[-1]
        ahead = source[k + 1] - 0.1 * (x[-1] + step * slope)
        x.append(x[-1] + 0.5 * step * (slope + ahead))
        source.append(0.2 * x[-1] / (1.0 + x[-1] ** 10))
    return from_lags("mackey-glass", x[3000 + delay :: sample][: n + 4], 4)


def lorenz(n: int = 1000, seed: int = 0) -> Series:
    """Return the Lorenz system 0.05 time units ahead, all three coordinates from all three.

    ``x' = 10 (y - x), y' = x (28 - z) - y, z' = x y - 8 z / 3``: Lorenz, *Journal of the
    Atmospheric Sciences* 20 (1963). Runge-Kutta of order four with steps of 0.01; the first 10
    units are left out.

    Parameters
    ----------
    n : int
        Number of predictions, at least 1.
    seed : int
        Seed of the initial state.
    """
    n, rng = start(n, seed)

    def slope(state: list[float]) -> list[float]:
        x, y, z = state
        return [10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 * z / 3.0]

    state = [float(v) for v in np.array([1.0, 1.0, 25.0]) + rng.normal(size=3)]
    path, step = [], 0.01
    for _ in range(1000 + 5 * (n + 1)):
        path.append(state)
        total = latest = slope(state)
        for reach, weight in ((0.5, 2.0), (0.5, 2.0), (1.0, 1.0)):
            latest = slope([v + reach * step * s for v, s in zip(state, latest)])
            total = [a + weight * b for a, b in zip(total, latest)]
        state = [v + step / 6.0 * s for v, s in zip(state, total)]
    return from_lags("lorenz", path[1000::5][: n + 1], 1)


def random_walk(n: int = 2000, seed: int = 0, n_outputs: int = 1, momentum: float = 0.0) -> Series:
    """Return independent random walks from their last two values.

    ``y_t = y_{t-1} + s_t`` with steps ``s_t = momentum s_{t-1} + e_t``, e_t ~ N(0, I). Without
    momentum no forecast is better than the last value; with little of it few are.

    Parameters
    ----------
    n : int
        Number of predictions, at least 1.
    seed : int
        Seed of the noise.
    n_outputs : int
        Number of walks, at least 1.
    momentum : float
        In (-1, 1).
    """
    n, rng = start(n, seed)
    momentum = as_number("momentum", momentum)
    if not -1.0 < momentum < 1.0:
        raise ValueError(f"momentum is {momentum}; expected a number between -1 and 1")
    steps = rng.normal(size=(n + 2, as_int("n_outputs", n_outputs, 1)))
    for t in range(1, n + 2):
        steps[t] += momentum * steps[t - 1]
    name = "walk with momentum" if momentum else "random walk"
    return from_lags(name, np.cumsum(steps, axis=0), 2)


def walk_among_walks(n: int = 2000, seed: int = 0) -> Series:
    """Return one of four random walks of correlated steps, from two lags of all four.

    Half of the variance of a step is common to all. The steps' scale wanders as that of a
    stochastic-volatility model, ``h_t = 0.95 h_{t-1} + 0.2 e_t``, steps ``exp(h_t / 2) N(0, 1)``:
    Taylor, *Modelling Financial Time Series* (1986). No forecast is better than the last value.

    Parameters
    ----------
    n : int
        Number of predictions, at least 1.
    seed : int
        Seed of the noise.
    """
    n, rng = start(n, seed)
    h = np.zeros(n + 2)
    for t, e in enumerate(rng.normal(size=n + 1)):
        h[t + 1] = 0.95 * h[t] + 0.2 * e
    steps = rng.normal(size=(n + 2, 4)) + rng.normal(size=(n + 2, 1))
    walks = np.cumsum(np.exp(h / 2)[:, None] * steps / np.sqrt(2), axis=0)
    lagged = from_lags("walk among walks", walks, 2)
    return Series(
        "walk among walks",
        lagged.X,
        lagged.Y[:, :1],
        lagged.initial[:1],
        lagged.columns,
        ("y1",),
    )


def narma10(n: int = 1000, seed: int = 0) -> Series:
    """Return the tenth-order NARMA system, from its last value and ten lags of its input.

    ``y_{t+1} = 0.3 y_t + 0.05 y_t (y_t + ... + y_{t-9}) + 1.5 u_{t-9} u_t + 0.1`` with u_t uniform
    on (0, 1/2): Atiya and Parlos, *IEEE Transactions on Neural Networks* 11 (2000).

    Parameters
    ----------
    n : int
        Number of predictions, at least 1.
    seed : int
        Seed of the input.
    """
    n, rng = start(n, seed)
    length = n + 50
    u, y = rng.uniform(0.0, 0.5, size=length), np.zeros(length + 1)
    for t in range(9, length):
        past = y[t] * y[t - 9 : t + 1].sum()
        y[t + 1] = 0.3 * y[t] + 0.05 * past + 1.5 * u[t - 9] * u[t] + 0.1
    lags = np.arange(50, length)[:, None] - np.arange(10)
    return Series(
        "narma10",
        np.column_stack([y[50:length], u[lags]]),
        y[51:, None],
        y[50:51],
        ("y lag 1", *(f"u lag {k}" for k in range(10))),
        ("y",),
    )


def regime_switches(n: int = 800, seed: int = 0) -> Series:
    """Return an autoregression that switches between two regimes, from two lags.

    ``y_t = 0.95 y_{t-1} + 0.3 e_t`` or ``y_t = 1 - 0.6 y_{t-1} + 0.3 e_t`` with e_t ~ N(0, 1); the
    regime changes with probability 0.01 a step: Hamilton, *Econometrica* 57 (1989).

    Parameters
    ----------
    n : int
        Number of predictions, at least 1.
    seed : int
        Seed of the noise and of the switches.
    """
    n, rng = start(n, seed)
    second = np.cumsum(rng.uniform(size=n + 2) < 0.01) % 2 == 1
    y = [0.0]
    for t, e in enumerate(0.3 * rng.normal(size=n + 1)):
        y.append(e + (1.0 - 0.6 * y[-1] if second[t + 1] else 0.95 * y[-1]))
    return from_lags("regimes", y, 2)


#: The study: each takes the seed of the series.
SERIES: dict[str, Callable[[int], Series]] = {
    "sine 200": lambda seed: sine_with_drift(200, seed),
    "sine 1000": lambda seed: sine_with_drift(1000, seed),
    "ar2 200": lambda seed: ar2(200, seed),
    "ar2 1000": lambda seed: ar2(1000, seed),
    "mackey-glass 300": lambda seed: mackey_glass(300, seed),
    "mackey-glass 2000": lambda seed: mackey_glass(2000, seed),
    "lorenz 800": lambda seed: lorenz(800, seed),
    "random walk 500": lambda seed: random_walk(500, seed, 2),
    "random walk 2000": lambda seed: random_walk(2000, seed),
    "walk with momentum 1000": lambda seed: random_walk(1000, seed, momentum=0.2),
    "walk among walks 2000": lambda seed: walk_among_walks(2000, seed),
    "narma10 1000": lambda seed: narma10(1000, seed),
    "regimes 800": lambda seed: regime_switches(800, seed),
}


def start(n: int, seed: int) -> tuple[int, np.random.Generator]:
    """The checked length and the generator of a series."""
    return as_int("n", n, 1), np.random.default_rng(as_int("seed", seed, 0))


def from_lags(name: str, values: ArrayLike, lags: int) -> Series:
    """Rows of `values` to be predicted from the `lags` rows before, the latest first."""
    y = np.asarray(values, dtype=np.float64)
    y = y.reshape(len(y), -1)
    n, d = len(y) - lags, y.shape[1]
    targets = ("y",) if d == 1 else tuple(f"y{o + 1}" for o in range(d))
    return Series(
        name,
        np.column_stack([y[lags - k : lags - k + n] for k in range(1, lags + 1)]),
        y[lags:],
        y[lags - 1],
        tuple(f"{target} lag {k}" for k in range(1, lags + 1) for target in targets),
        targets,
    )
