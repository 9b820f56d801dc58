"""Numerical checks of the panel's theorems, theory section 8, on random clients."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from memoa._deprecated import renamed_argument
from memoa._validate import Float64, as_int
from memoa.panel_equilibrium import solve_panel_equilibrium
from memoa.verify.judge import Check

RIDGE, POOLING = 1.0, 10.0
COPIES = (1, 4, 16, 64)  # of the clients, for crowds of growing size


@renamed_argument("seed", "random_state")
def verify_panel(
    random_state: int = 0, *, n_clients: int = 12, n_features: int = 4
) -> tuple[Check, ...]:
    """Check the theory of the panel on random clients, each theorem as a number with a bound.

    Parameters
    ----------
    random_state : int
        Seed of the random clients, at least 0.
    n_clients, n_features : int
        Number of clients, at least 2, and width of a readout.

    Returns
    -------
    tuple of Check
        ``(name, measured, expected, passed)`` for each theorem.
    """
    rng = np.random.default_rng(as_int("random_state", random_state, 0))
    gram, cross = _clients(
        rng, as_int("n_clients", n_clients, 2), as_int("n_features", n_features, 1)
    )
    mean_readout, readouts = solve_panel_equilibrium(gram, cross, ridge=RIDGE, pooling=POOLING)
    return (
        _at_most(
            "equilibrium is the joint minimiser: relative distance",
            1e-10,
            _distance(_joint_minimiser(gram, cross), np.vstack([readouts, mean_readout])),
        ),
        _influence(gram, cross),
        _at_most(
            "without pooling, each client's own ridge: relative distance",
            1e-8,
            _distance(_at(gram, cross, 1e-10)[1], _private(gram, cross)),
        ),
        _at_most(
            "with infinite pooling, the pooled ridge: relative distance",
            1e-6,
            _distance(_at(gram, cross, 1e9)[0], _pooled(gram, cross)),
        ),
        _at_most(
            "without a ridge, generalised least squares: relative distance",
            1e-10,
            _least_squares(rng),
        ),
        *_exchange(gram, cross, mean_readout),
        _at_most(
            "a price of change, Riccati against its eigen formula: distance",
            1e-12,
            _price_of_change(gram[0]),
        ),
    )


def _clients(rng: np.random.Generator, n_clients: int, p: int) -> tuple[Float64, Float64]:
    features = rng.normal(size=(n_clients, 4 * p, p)) / 2.0
    readouts = rng.normal(size=p) + 0.5 * rng.normal(size=(n_clients, p))
    noise = rng.normal(size=features.shape[:2])
    targets = np.einsum("ntp,np->nt", features, readouts) + noise
    gram = np.einsum("ntp,ntq->npq", features, features)
    return gram, np.einsum("ntp,nt->np", features, targets)


def _at_most(name: str, bound: float, measured: float) -> Check:
    return Check(name, measured, f"at most {bound:.0e}", bool(measured <= bound))


def _distance(found: Float64, wanted: Float64) -> float:
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def _at(gram: Float64, cross: Float64, pooling: float) -> tuple[Float64, Float64]:
    return solve_panel_equilibrium(gram, cross, ridge=RIDGE, pooling=pooling)


def _private(gram: Float64, cross: Float64) -> Float64:
    eye = np.eye(cross.shape[1])
    return np.array([np.linalg.solve(h + RIDGE * eye, q) for h, q in zip(gram, cross)])


def _pooled(gram: Float64, cross: Float64) -> Float64:
    system = gram.mean(axis=0) + RIDGE * np.eye(cross.shape[1])
    return np.linalg.solve(system, cross.mean(axis=0))


def _joint_minimiser(gram: Float64, cross: Float64) -> Float64:
    """Return all readouts, and the crowd's as a separate variable, from one stacked system."""
    n_clients, p = cross.shape
    apart = np.hstack([np.eye(n_clients), -np.ones((n_clients, 1))])  # readout i - the crowd's
    system = POOLING * np.kron(apart.T @ apart, np.eye(p))
    for i, one in enumerate(gram):
        rows = slice(i * p, (i + 1) * p)
        system[rows, rows] += one + RIDGE * np.eye(p)
    right = np.concatenate([cross.ravel(), np.zeros(p)])
    return np.linalg.solve(system, right).reshape(n_clients + 1, p)


def _influence(gram: Float64, cross: Float64) -> Check:
    """Check the gain of a client that uses its influence of 1/N on the crowd's readout."""
    gains = []
    for copies in COPIES:
        crowd = np.tile(gram, (copies, 1, 1)), np.tile(cross, (copies, 1))
        mean_readout, readouts = _at(*crowd, POOLING)
        share = 1.0 - 1.0 / len(readouts)
        others = mean_readout - readouts[0] / len(readouts)
        system = gram[0] + (RIDGE + POOLING * share**2) * np.eye(cross.shape[1])
        best = np.linalg.solve(system, cross[0] + POOLING * share * others)
        change = best - readouts[0]
        gains.append(float(change @ system @ change))  # a quadratic less its minimum
    slope = float(np.polyfit(np.log(COPIES), np.log(gains), 1)[0])
    passed = abs(slope + 2.0) <= 0.1
    return Check("gain from own influence falls as 1/N^2: slope", slope, "-2 +- 0.1", passed)


def _least_squares(rng: np.random.Generator) -> float:
    noise, spread, p = 0.7, 0.2, 3
    features, y = rng.normal(size=(9, 6, p)), rng.normal(size=(9, 6))
    covariance = spread * features @ features.swapaxes(1, 2) + noise * np.eye(6)
    weighted = np.linalg.solve(covariance, features)
    wanted = np.linalg.solve(
        np.einsum("ntp,ntq->pq", features, weighted), np.einsum("ntp,nt->p", weighted, y)
    )
    gram = np.einsum("ntp,ntq->npq", features, features)
    cross = np.einsum("ntp,nt->np", features, y)
    found, _ = solve_panel_equilibrium(gram, cross, ridge=0.0, pooling=noise / spread)
    return _distance(found, wanted)


def _exchange(gram: Float64, cross: Float64, wanted: Float64) -> tuple[Check, Check]:
    """Check the exchange: the crowd's readout is that of the previous step's readouts."""
    eye = np.eye(cross.shape[1])
    inverses = np.linalg.inv(gram + (RIDGE + POOLING) * eye)
    mean_readout, gaps = np.zeros_like(wanted), []
    for _ in range(400):
        pull = cross + POOLING * mean_readout
        mean_readout = np.einsum("npq,nq->p", inverses, pull) / len(gram)
        gaps.append(float(np.linalg.norm(mean_readout - wanted)))
    rates = [later / gap for gap, later in pairwise(gaps) if later > 1e-9 * gaps[0]]
    bound = POOLING / (RIDGE + POOLING)
    return (
        Check(
            "the exchange contracts: largest rate",
            max(rates),
            f"at most {bound:.4f}",
            max(rates) <= bound,
        ),
        _at_most("the exchange converges to the equilibrium: distance", 1e-12, gaps[-1]),
    )


def _price_of_change(gram: Float64) -> float:
    """Return how far a readout moves, for a long horizon."""
    effort, weight, eye = 2.0, 0.5, np.eye(len(gram))
    system = weight * (gram + (RIDGE + POOLING) * eye)
    value = np.zeros_like(system)
    for _ in range(2000):
        total = value + system
        gain = np.linalg.solve(total + effort * eye, total)
        value = total - total @ gain
    v, vectors = np.linalg.eigh(system)
    k = 0.5 * (v + np.sqrt(v**2 + 4.0 * v * effort))
    return float(np.abs(gain - (vectors * (k / (k + effort))) @ vectors.T).max())
