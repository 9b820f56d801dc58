"""What every peer of the population benchmark shares: the problem, its scalar game, the check.

A peer is one step of the online ensemble (docs/theory.md, section 6) as a competent user of another
library would write it: relu random features, exponentially weighted ridge regressions solved by
Cholesky, the mean-field policy, every agent's cost and the largest of them. The mixture is left out
(equal weights, so the forecast of the server is the mean field), and inputs arrive standardised:
that is n_inputs numbers a step, and peers are not charged for it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

import memoa
from memoa import _core

Array = np.ndarray
SETTINGS = {"consensus": 1.0, "effort": 0.01, "horizon": 8, "forgetting": 0.98, "ridge": 0.1}
N_INPUTS = 4
TOLERANCE = {"float64": 1e-8, "float32": 1e-3}  # relative to the largest expected number
DRAWN = 1000  # agents drawn by memoa for a peer; a larger population repeats them


@dataclass(frozen=True)
class Case:
    """Sizes of one measurement."""

    n_agents: int
    n_features: int = 8
    n_outputs: int = 1
    dtype: str = "float64"
    n_inputs: int = N_INPUTS

    @property
    def float_type(self) -> Any:
        """The NumPy scalar type, which also rounds a Python number to it."""
        return np.float64 if self.dtype == "float64" else np.float32


@dataclass(frozen=True)
class Stream:
    """Inputs as they come and as the ensemble standardises them, targets, and the value before."""

    X: Array
    standardised: Array
    Y: Array
    initial: Array


class Peer(Protocol):
    """One population under another library; a class with `name`, `runs` and this constructor."""

    def __init__(self, case: Case, weights: tuple[Array, Array], initial: Array, threads: int):
        """Agents with weights (N, p, dx) and (N, p), at rest; `initial` (d,) is the base."""

    def step(self, x: Array, y: Array) -> Array:
        """Predict from the standardised x (dx,), then learn y (d,); the mean field (d,)."""

    def predictions(self) -> Array:
        """The agents' last predictions, (N, d)."""

    def costs(self) -> Array:
        """The agents' sums of squared errors, (N,)."""


def make_stream(n_steps: int, n_inputs: int, n_outputs: int, seed: int = 0) -> Stream:
    """A slowly wandering input and targets that partly follow it."""
    rng = np.random.default_rng(seed)
    X = np.cumsum(0.3 * rng.normal(size=(n_steps, n_inputs)), axis=0)
    Y = np.sin(X @ rng.normal(size=(n_inputs, n_outputs)))
    Y += 0.1 * rng.normal(size=Y.shape)
    return Stream(X, standardise(X), Y, rng.normal(size=n_outputs))


def standardise(X: Array) -> Array:
    """Step 1 of theory section 6 for all rows: Welford, the row itself counted first."""
    mean, squares, out = np.zeros(X.shape[1]), np.zeros(X.shape[1]), np.zeros_like(X)
    for count, x in enumerate(X, start=1):
        delta = x - mean
        mean = mean + delta / count
        squares = squares + delta * (x - mean)
        deviation = np.sqrt(squares / count)
        usable = np.where(deviation > 0.0, deviation, 1.0)
        out[count - 1] = np.where(deviation > 0.0, np.clip((x - mean) / usable, -4.0, 4.0), 0.0)
    return out


def encoder_weights(case: Case, seed: int = 0) -> tuple[Array, Array]:
    """The weights that memoa draws, V (N, p, dx) and v (N, p); beyond DRAWN agents they repeat."""
    encoder = memoa.RandomFeatures(case.n_features)._to_core()
    drawn = [
        _core.draw_weights(encoder, seed, agent, case.n_inputs)
        for agent in range(min(case.n_agents, DRAWN))
    ]
    repeat = np.arange(case.n_agents) % len(drawn)
    shape = (len(drawn), case.n_features, case.n_inputs)
    V = np.reshape([one["input"] for one in drawn], shape)[repeat]
    v = np.reshape([one["bias"] for one in drawn], shape[:2])[repeat]
    return V.astype(case.float_type), v.astype(case.float_type)


def relative_game(nu: Any, horizon: int, consensus: float, effort: float) -> tuple[Any, ...]:
    """First stage's K, L, ko, km of theory (6.1) without discount; scalars of any library."""
    l1 = l2 = so = sm = 0.0
    for _ in range(horizon):
        K, L, ko, km = l1 + 1.0 + consensus, l2 - consensus, so - 1.0, sm
        F = nu / (K * nu + effort)
        W, joint = 1.0 - K * F, 1.0 + F * L
        l1, l2, so = W * K, W * L * (W / joint), W * ko
        sm = W * (L * (-F * (ko + km) / joint) + km)
    return K, L, ko, km


def make_ensemble(
    case: Case, threads: int | None, window: int = 0, history: dict[str, Any] | None = None
) -> memoa.OnlineEnsemble:
    """memoa's ensemble of the same problem; `window` = 0 leaves the server out."""
    options: dict[str, Any] = {} if case.dtype == "float64" else {"dtype": case.dtype}
    return memoa.OnlineEnsemble(
        case.n_agents,
        memoa.RandomFeatures(case.n_features),
        mixture=memoa.Mixture(
            **{"window": window, "rivals": window > 0, "start": 0, **(history or {})}
        ),
        n_threads=threads,
        aggregate="mean",  # as the peers average
        lags=0,
        season=None,
        bounded=False,
        **SETTINGS,
        **options,
    )


def disagreement(make: Callable[..., Peer], case: Case, threads: int, n_steps: int = 30) -> float:
    """Largest difference from memoa in predictions, costs and mean field, relative to the largest.

    The reference is the float64 ensemble, also for float32.
    """
    if case.n_agents > DRAWN:
        raise ValueError(f"n_agents is {case.n_agents}; expected at most {DRAWN}, as many as drawn")
    stream = make_stream(n_steps, case.n_inputs, case.n_outputs)
    reference = Case(case.n_agents, case.n_features, case.n_outputs, "float64", case.n_inputs)
    ensemble = make_ensemble(reference, threads).observe(stream.initial)
    peer = make(case, encoder_weights(case), stream.initial, threads)
    worst = 0.0
    for x, z, y in zip(stream.X, stream.standardised, stream.Y):
        ensemble.predict_one(x)
        mean_field = peer.step(z.astype(case.float_type), y.astype(case.float_type))
        worst = max(
            worst,
            _relative(mean_field, ensemble.mean_field),
            _relative(peer.predictions(), ensemble.agent_predictions),
        )
        ensemble.learn_one(x, y)
    costs = ensemble.agent_rmse**2 * n_steps * case.n_outputs
    return max(worst, _relative(peer.costs(), costs))


def _relative(actual: Any, expected: Array) -> float:
    difference = np.abs(np.asarray(actual, np.float64) - expected).max()
    return float(difference / np.abs(expected).max())


# name, module beside this file, class
REGISTRY = {
    "numpy": ("peers_numpy", "NumPyLanes"),
    "numpy-lapack": ("peers_numpy", "NumPyBatched"),
    "numba": ("peers_numba", "NumbaBlocks"),
    "numba-unrolled": ("peers_numba_unrolled", "NumbaUnrolled"),
    "jax": ("peers_jax", "JaxStep"),
    "jax-scan": ("peers_jax", "JaxScan"),
    "torch": ("peers_torch", "TorchEager"),
    "torch-compile": ("peers_torch", "TorchCompiled"),
}


def load(name: str) -> Callable[..., Peer]:
    """The class of a peer; ImportError where its library is not installed."""
    module, attribute = REGISTRY[name]
    made: Callable[..., Peer] = getattr(importlib.import_module(module), attribute)
    return made
