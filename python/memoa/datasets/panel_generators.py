"""Generated panels: clients that move together, are alike, are not, join late, or share a shock."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memoa._validate import as_int
from memoa.datasets.panel_inputs import panel_inputs
from memoa.datasets.panels import PanelSeries
from memoa.datasets.table import FloatArray

LAGS = 4
DAY = 24  # steps of a household's day


def common_factor(n_clients: int = 50, n: int = 400, *, seed: int = 0) -> PanelSeries:
    """Return clients that load differently on one stationary factor, and noise of their own.

    The factor is autoregressive, f <- 0.8 f + noise; client i sees loading_i f plus a random walk.

    Parameters
    ----------
    n_clients : int
        Number of clients, at least 1.
    n : int
        Number of steps, at least 2.
    seed : int
        Of the random numbers.
    """
    rng, n_clients, n = _begin(n_clients, n, seed)
    factor = _autoregression(rng.normal(size=(n + 1, 1)), 0.8)
    loading = rng.uniform(0.5, 1.5, size=n_clients)
    own = np.cumsum(0.3 * rng.normal(size=(n + 1, n_clients)), axis=0)
    return _panel("common factor", loading * factor + own)


def similar_households(n_clients: int = 50, n: int = 480, *, seed: int = 0) -> PanelSeries:
    """Return hourly loads with a daily shape that households share up to size and habits.

    Parameters
    ----------
    n_clients, n, seed : int
        Number of clients, of steps, and the seed, as in `common_factor`.
    """
    rng, n_clients, n = _begin(n_clients, n, seed)
    hour = np.arange(n + 1)[:, None] + rng.integers(-1, 2, size=n_clients)
    phase = 2.0 * np.pi * hour / DAY
    size = rng.lognormal(sigma=0.7, size=n_clients)
    habit = 1.0 + 0.3 * rng.normal(size=n_clients)
    shape = 2.0 + np.sin(phase - 2.0) + 0.5 * habit * np.cos(2.0 * phase)
    noise = _autoregression(0.2 * rng.normal(size=(n + 1, n_clients)), 0.7)
    return _panel("households", size * (shape + noise), DAY)


def unrelated_clients(n_clients: int = 50, n: int = 400, *, seed: int = 0) -> PanelSeries:
    """Return autoregressions with coefficients from -0.9 to 0.9: nothing to learn from others.

    Parameters
    ----------
    n_clients, n, seed : int
        Number of clients, of steps, and the seed, as in `common_factor`.
    """
    rng, n_clients, n = _begin(n_clients, n, seed)
    coefficient = rng.uniform(-0.9, 0.9, size=n_clients)
    return _panel("unrelated", _autoregression(rng.normal(size=(n + 1, n_clients)), coefficient))


def random_walks(n_clients: int = 50, n: int = 400, *, seed: int = 0) -> PanelSeries:
    """Return independent random walks of different sizes: nothing beats repeating the last value.

    Parameters
    ----------
    n_clients, n, seed : int
        Number of clients, of steps, and the seed, as in `common_factor`.
    """
    rng, n_clients, n = _begin(n_clients, n, seed)
    size = rng.lognormal(size=n_clients)
    return _panel("walks", np.cumsum(size * rng.normal(size=(n + 1, n_clients)), axis=0))


def late_joiners(
    n_clients: int = 50, n: int = 480, *, share: float = 0.3, seed: int = 0
) -> PanelSeries:
    """Return `similar_households` of which a share begins in the second half.

    Parameters
    ----------
    n_clients, n, seed : int
        Number of clients, of steps, and the seed, as in `common_factor`.
    share : float
        Of the clients, from 0 to 1; the last ones are late.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share is {share}; expected a number from 0 to 1")
    rng, n_clients, n = _begin(n_clients, n, seed)
    early = similar_households(n_clients, n, seed=seed)
    y = np.concatenate([early.initial[None, :, 0], early.Y[:, :, 0]])
    first = rng.integers(n // 2, max(n - 40, n // 2 + 1), size=n_clients)
    first[: n_clients - round(share * n_clients)] = 0
    y[np.arange(n + 1)[:, None] < first] = np.nan
    return _panel("late joiners", y, DAY)


def common_shock(n_clients: int = 50, n: int = 400, *, seed: int = 0) -> PanelSeries:
    """Return autoregressions whose common coefficient falls from 0.8 to -0.5 half way.

    Parameters
    ----------
    n_clients, n, seed : int
        Number of clients, of steps, and the seed, as in `common_factor`.
    """
    rng, n_clients, n = _begin(n_clients, n, seed)
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
"""Panels that need no file, by the name that the command line knows them by."""


def _begin(n_clients: int, n: int, seed: int) -> tuple[np.random.Generator, int, int]:
    n_clients, n = as_int("n_clients", n_clients, 1), as_int("n", n, 2)
    return np.random.default_rng(as_int("seed", seed, 0)), n_clients, n


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
    return PanelSeries(
        X[:-1], y[1:, :, None], y[0][:, None], ids, np.arange(1, len(y)), columns, name
    )
