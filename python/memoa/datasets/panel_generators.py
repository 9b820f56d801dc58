"""Generated panels: clients that move together, are alike, differ, join late, or share a shock."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memoa._deprecated import renamed_argument
from memoa._validate import as_int
from memoa.datasets.panel_inputs import panel_inputs
from memoa.datasets.panels import PanelSeries
from memoa.datasets.table import FloatArray

LAGS = 4
DAY = 24  # steps of a household's day


@renamed_argument("seed", "random_state")
def common_factor(n_clients: int = 50, n: int = 400, *, random_state: int = 0) -> PanelSeries:
    """Return clients that load differently on one stationary factor, plus their own noise.

    The factor is autoregressive, f <- 0.8 f + noise; client i sees loading_i f plus a random walk.

    Parameters
    ----------
    n_clients : int
        Number of clients, at least 1.
    n : int
        Number of steps, at least 2.
    random_state : int
        Seed of the random numbers, at least 0.
    """
    rng, n_clients, n = _begin(n_clients, n, random_state)
    factor = _autoregression(rng.normal(size=(n + 1, 1)), 0.8)
    loading = rng.uniform(0.5, 1.5, size=n_clients)
    own = np.cumsum(0.3 * rng.normal(size=(n + 1, n_clients)), axis=0)
    return _panel("common factor", loading * factor + own)


@renamed_argument("seed", "random_state")
def similar_households(n_clients: int = 50, n: int = 480, *, random_state: int = 0) -> PanelSeries:
    """Return hourly loads with a daily shape that households share, except for size and habits.

    Parameters
    ----------
    n_clients, n, random_state : int
        Number of clients, number of steps, and the seed, as in `common_factor`.
    """
    rng, n_clients, n = _begin(n_clients, n, random_state)
    hour = np.arange(n + 1)[:, None] + rng.integers(-1, 2, size=n_clients)
    phase = 2.0 * np.pi * hour / DAY
    size = rng.lognormal(sigma=0.7, size=n_clients)
    habit = 1.0 + 0.3 * rng.normal(size=n_clients)
    shape = 2.0 + np.sin(phase - 2.0) + 0.5 * habit * np.cos(2.0 * phase)
    noise = _autoregression(0.2 * rng.normal(size=(n + 1, n_clients)), 0.7)
    return _panel("households", size * (shape + noise), DAY)


@renamed_argument("seed", "random_state")
def unrelated_clients(n_clients: int = 50, n: int = 400, *, random_state: int = 0) -> PanelSeries:
    """Return autoregressions with coefficients from -0.9 to 0.9: clients cannot learn from others.

    Parameters
    ----------
    n_clients, n, random_state : int
        Number of clients, number of steps, and the seed, as in `common_factor`.
    """
    rng, n_clients, n = _begin(n_clients, n, random_state)
    coefficient = rng.uniform(-0.9, 0.9, size=n_clients)
    return _panel("unrelated", _autoregression(rng.normal(size=(n + 1, n_clients)), coefficient))


@renamed_argument("seed", "random_state")
def random_walks(n_clients: int = 50, n: int = 400, *, random_state: int = 0) -> PanelSeries:
    """Return independent random walks of different sizes: nothing beats repeating the last value.

    Parameters
    ----------
    n_clients, n, random_state : int
        Number of clients, number of steps, and the seed, as in `common_factor`.
    """
    rng, n_clients, n = _begin(n_clients, n, random_state)
    size = rng.lognormal(size=n_clients)
    return _panel("walks", np.cumsum(size * rng.normal(size=(n + 1, n_clients)), axis=0))


@renamed_argument("seed", "random_state")
def late_joiners(
    n_clients: int = 50, n: int = 480, *, share: float = 0.3, random_state: int = 0
) -> PanelSeries:
    """Return `similar_households`, of which a share begins in the second half.

    Parameters
    ----------
    n_clients, n, random_state : int
        Number of clients, number of steps, and the seed, as in `common_factor`.
    share : float
        Fraction of the clients that are late, from 0 to 1; these are the last ones.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share is {share}; expected a number from 0 to 1")
    rng, n_clients, n = _begin(n_clients, n, random_state)
    early = similar_households(n_clients, n, random_state=random_state)
    y = np.concatenate([early.initial[None, :, 0], early.Y[:, :, 0]])
    first = rng.integers(n // 2, max(n - 40, n // 2 + 1), size=n_clients)
    first[: n_clients - round(share * n_clients)] = 0
    y[np.arange(n + 1)[:, None] < first] = np.nan
    return _panel("late joiners", y, DAY)


@renamed_argument("seed", "random_state")
def common_shock(n_clients: int = 50, n: int = 400, *, random_state: int = 0) -> PanelSeries:
    """Return autoregressions whose common coefficient falls from 0.8 to -0.5 in the middle.

    Parameters
    ----------
    n_clients, n, random_state : int
        Number of clients, number of steps, and the seed, as in `common_factor`.
    """
    rng, n_clients, n = _begin(n_clients, n, random_state)
    coefficient = np.where(np.arange(n + 1) < n // 2, 0.8, -0.5)[:, None]
    own = 0.1 * rng.normal(size=n_clients)
    noise = rng.normal(size=(n + 1, n_clients))
    return _panel("common shock", _autoregression(noise, np.clip(coefficient + own, -0.95, 0.95)))


PANELS: dict[str, Callable[[], PanelSeries]] = {
    "common-factor": common_factor,
    "households": similar_households,
    "unrelated": unrelated_clients,
    "walks": random_walks,
    "late-joiners": late_joiners,
    "common-shock": common_shock,
}
"""Panels that need no file, by their names on the command line."""


def _begin(n_clients: int, n: int, random_state: int) -> tuple[np.random.Generator, int, int]:
    n_clients, n = as_int("n_clients", n_clients, 1), as_int("n", n, 2)
    return np.random.default_rng(as_int("random_state", random_state, 0)), n_clients, n


def _autoregression(noise: FloatArray, coefficient: FloatArray | float) -> FloatArray:
    """y <- coefficient y + noise, with coefficients that may change with the step."""
    steps = np.broadcast_to(coefficient, noise.shape)
    y: FloatArray = noise.copy()
    for t in range(1, len(y)):
        y[t] += steps[t] * y[t - 1]
    return y


def _panel(name: str, y: FloatArray, season: int | None = None) -> PanelSeries:
    X, columns = panel_inputs(y, LAGS, season, holt_winters=True)
    width = len(str(y.shape[1] - 1))
    ids = np.array([f"client {i:0{width}}" for i in range(y.shape[1])])
    made = (LAGS, season, True)
    times = np.arange(1, len(y))
    return PanelSeries(X[:-1], y[1:, :, None], y[0][:, None], ids, times, columns, name, made=made)
