"""The policy with another mean field than the core's: several types, a stale one, a noisy one.

Learning does not depend on the policy. So the agents' local forecasts c^i come from a greedy
population in the core, and steps 3 and 4 of theory section 6 are done here, for all steps at once,
in NumPy. With one type and the mean field of the same step this is what the core plays; a test
compares them. Arrays: T steps, N agents, K types, d outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memoa import Mixture, OnlineEnsemble, Precomputed, RandomFeatures, ServerMixture, _core
from memoa._validate import Float64
from memoa.datasets import Series

Types = NDArray[np.intp]

#: The ensemble of these experiments: dense features of x alone, and one mixture. What agents hear
#: of each other is the same matter for all encoders.
PLAIN = OnlineEnsemble(
    encoder=RandomFeatures(),
    consensus=1.0,
    forgetting=(0.97, 0.99, 0.998),
    ridge=0.1,
    lags=0,
    season=None,
    bounded=False,
    mixture=Mixture(64, rivals=False, start=0),
)


@dataclass(frozen=True)
class Play:
    """The game's settings, by default those of `PLAIN`."""

    consensus: float = PLAIN.consensus
    effort: float = PLAIN.effort
    horizon: int = PLAIN.horizon
    discount: float = PLAIN.discount


@dataclass(frozen=True)
class Locals:
    """What the agents know by themselves.

    Attributes
    ----------
    forecasts : ndarray, shape (T, N, d)
        c^i, the increments on the base that they forecast alone.
    energies : ndarray, shape (T, N)
        |z^i|^2 of their features.
    base : ndarray, shape (T, d)
        The last value before each step.
    targets : ndarray, shape (T, d)
    """

    forecasts: Float64
    energies: Float64
    base: Float64
    targets: Float64


@dataclass(frozen=True)
class Summary:
    """What the agents are told of each other, by step and type.

    Attributes
    ----------
    nu : ndarray, shape (T, K)
        Mean energy.
    cbar : ndarray, shape (T, K, d)
        Mean local forecast.
    moved : ndarray, shape (T, K, d)
        m+, the mean of the predictions relative to the base.
    """

    nu: Float64
    cbar: Float64
    moved: Float64

    def stale(self, every: int) -> Summary:
        """The same, heard of at steps 0, every, 2 every, ... and remembered in between."""
        steps = np.arange(len(self.nu))
        heard = steps - steps % every
        return Summary(self.nu[heard], self.cbar[heard], self.moved[heard])


def standardise(X: Float64) -> Float64:
    """Step 1 for a whole series (T, dx): each input is counted before it is standardised."""
    count = np.arange(1, len(X) + 1)[:, None]
    mean, squares = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    means, sums = np.empty_like(X), np.empty_like(X)
    for t, x in enumerate(X):
        distance = x - mean
        mean = mean + distance / (t + 1)
        squares = squares + distance * (x - mean)
        means[t], sums[t] = mean, squares
    std = np.sqrt(sums / count)
    scaled = np.divide(X - means, std, out=np.zeros_like(X), where=std > 0.0)
    return np.clip(scaled, -4.0, 4.0)


def encode(
    X: Float64, encoders: Sequence[RandomFeatures], types: Types, seed: int, gains: Float64
) -> Float64:
    """Features (T, N, p) of agents of several types; the narrower ones end in zeros.

    Agent i is the agent i of an ensemble with its type's encoder and this seed; its features are
    multiplied by the gain of its type.
    """
    inputs = standardise(X)
    width = max(one.n_features for one in encoders)
    features = np.zeros((len(X), len(types), width))
    activations: dict[str, Callable[[Float64], Float64]] = {
        "relu": lambda a: np.maximum(a, 0.0),
        "tanh": np.tanh,
        "cos": np.cos,
    }
    for agent, kind in enumerate(types):
        one, p = encoders[kind], encoders[kind].n_features
        drawn = _core.draw_weights(one._to_core(), seed, agent, X.shape[1])
        a = inputs @ (one.scale * drawn["input"].reshape(p, -1).T) + drawn["bias"]
        features[:, agent, :p] = gains[kind] * np.sqrt(2.0 / p) * activations[one.activation](a)
    return features


def learn(features: Float64, series: Series) -> Locals:
    """Let a greedy population learn the series from these features (T, N, p)."""
    n_agents, width = features.shape[1:]
    own: dict[str, Any] = {
        "n_agents": n_agents,
        "encoder": Precomputed(width),
        "policy": "greedy",
        "n_threads": 1,
    }
    greedy = OnlineEnsemble(**{**PLAIN.get_params(deep=False), **own})
    run = greedy.run(features, series.Y, initial=series.initial, record=np.arange(n_agents))
    base = np.vstack([series.initial, series.Y[:-1]])
    energies = np.square(features).sum(axis=2)
    return Locals(run.recorded - base[:, None], energies, base, series.Y)


def stage(
    nu: Float64, shares: Float64, game: Play
) -> tuple[Float64, Float64, Float64, Float64, float]:
    """First stage of (3.1)-(3.3) for K types in scalars; nu (T, K). With one type it is (6.1).

    Returns K, ko of shape (T, K), and L, km of shape (T, K, K), whose last axis is the type that
    the coefficient multiplies; and the weight w.
    """
    n_steps, n_types = nu.shape
    l1, so = np.zeros((2, n_steps, n_types))
    l2, sm = np.zeros((2, n_steps, n_types, n_types))
    eye = np.eye(n_types)
    for t in reversed(range(game.horizon)):
        w = float(np.exp(-game.discount * (game.horizon - 1 - t)))
        k, ko, km = l1 + w * (1.0 + game.consensus), so - w, sm
        l = l2 - w * game.consensus * shares
        f = _response(nu, k, w, game)
        closed = 1.0 - k * f
        joint = eye + f[..., None] * l
        phi_map = np.linalg.solve(joint, closed[..., None] * eye)
        phi_shift = -np.linalg.solve(joint, f[..., None] * (ko[..., None] * eye + km))
        l1, so = closed * k, closed * ko
        l2 = closed[..., None] * (l @ phi_map)
        sm = closed[..., None] * (l @ phi_shift + km)
    return k, l, ko, km, w


def act(
    known: Locals, types: Types, game: Play, told: Summary | None = None
) -> tuple[Float64, Summary]:
    """Step 4, (6.2) by types: increments (T, N, d), and the summary of this very population.

    Parameters
    ----------
    known : Locals
    types : ndarray of int, shape (N,)
        Types that the policy tells apart, 0 to K-1.
    game : Play
    told : Summary, optional
        What the agents are told; it may differ by agent where its arrays have shapes (T, K),
        (T, N, K, d) and (T, N, K, d). Default: the truth.
    """
    n_types = int(types.max()) + 1
    members = np.eye(n_types)[types]  # (N, K)
    counts = members.sum(axis=0)
    average = members / counts

    nu = known.energies @ average
    cbar = np.einsum("tnd,nk->tkd", known.forecasts, average)
    k, l, ko, km, w = stage(nu if told is None else told.nu, counts / len(types), game)

    f = _response(known.energies, k[:, types], w, game)
    if told is None:
        mean_f = f @ average
        pull = ko[..., None] * np.einsum("tn,tnd,nk->tkd", f, known.forecasts, average)
        pull += mean_f[..., None] * (km @ cbar)
        moved = -np.linalg.solve(np.eye(n_types) + mean_f[..., None] * l, pull)
        told = Summary(nu, cbar, moved)
    field = _per_agent(l, told.moved, types) + _per_agent(km, told.cbar, types)
    increments = -f[..., None] * (field + ko[:, types, None] * known.forecasts)
    return increments, told


def alone(known: Locals, game: Play) -> Float64:
    """Increments of agents who never hear of each other and take all others for copies of theirs.

    The mean of copies of one's own is phi c of (6.1).
    """
    e = known.energies.reshape(-1, 1)  # every agent at every step is a population of its own
    k, l, ko, km, w = stage(e, np.ones(1), game)
    f = _response(e, k, w, game)
    phi = -f * (ko + km[..., 0]) / (1.0 + f * l[..., 0])
    return np.asarray(phi.reshape(known.energies.shape)[..., None] * known.forecasts)


def errors(known: Locals, increments: Float64) -> dict[str, float]:
    """Server, mean-agent and worst-agent RMSE, with the default mixture."""
    n_steps, n_agents, d = increments.shape
    server = ServerMixture(n_agents, d, **asdict(PLAIN.mixture), n_threads=1)
    predictions = known.base[:, None] + increments
    mixed = np.empty((n_steps, d))
    for t in range(n_steps):
        mixed[t] = server.predict(predictions[t])
        server.update(predictions[t], known.targets[t])
    squares = np.square(predictions - known.targets[:, None]).mean(axis=(0, 2))
    return {
        "server_rmse": float(np.sqrt(np.mean(np.square(mixed - known.targets)))),
        "mean_agent_rmse": float(np.sqrt(squares).mean()),
        "worst_agent_rmse": float(np.sqrt(squares.max())),
    }


def _response(energy: Float64, k: Float64, w: float, game: Play) -> Float64:
    """F of (6.1) and (6.2): what an agent of that energy can do; nothing without energy."""
    price = k * energy + w * game.effort
    return np.divide(energy, price, out=np.zeros_like(energy), where=energy > 0.0)


def _per_agent(coefficient: Float64, told: Float64, types: Types) -> Float64:
    """Sum over types of a coefficient (T, K, K) with what is told, (T, N, d) for every agent."""
    if told.ndim == 3:  # the same for all
        return np.asarray((coefficient @ told)[:, types])
    return np.asarray(np.einsum("tnk,tnkd->tnd", coefficient[:, types], told))
