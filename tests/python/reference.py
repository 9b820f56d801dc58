"""Slow NumPy twins of the formulas in docs/theory.md, one function per equation.

Nothing here imports memoa: these are the oracles that the compiled core is tested against.
They follow the theory literally (p x p solves, loops over agents, primal weights), and share
no algebraic shortcut with the core.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from reference_robust import Crowd, Fallback, Standardiser
from reference_rows import Past, Rivals

# ---------------------------------------------------------------- section 9: sums over agents


def exact_sum(values) -> float:
    """The exact sum, rounded once; +0 where it is 0, infinite where no number holds it."""
    try:
        return math.fsum(values) + 0.0
    except OverflowError:  # of a partial sum
        total = sum(map(Fraction, values), Fraction(0))
    try:
        return float(total)
    except OverflowError:
        return math.inf if total > 0 else -math.inf


# ---------------------------------------------------------------- section 1: the game


@dataclass
class GameData:
    """Plain arrays of one type's game, shapes as in theory section 1."""

    feature_mean: np.ndarray  # (T, d, p)
    feature_cov: np.ndarray  # (T, p, d, d)
    target: np.ndarray  # (T, d)
    tracking: np.ndarray  # (d, d)
    coupling: np.ndarray  # (d, d)
    effort: float
    weights: np.ndarray  # (T,)
    transition: np.ndarray  # (T, d, d)
    mean_transition: np.ndarray  # (T, d, d)
    drift: np.ndarray  # (T, d)


def discount_weights(rate: float, horizon: int) -> np.ndarray:
    """w_t = exp(-a (T-1-t)), theory (1.2)."""
    return np.exp(-rate * (horizon - 1 - np.arange(horizon)))


def random_psd(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random symmetric positive semi-definite matrices of shape (..., d, d)."""
    root = rng.normal(size=shape) / np.sqrt(shape[-1])
    return root @ np.swapaxes(root, -1, -2)


def random_game(rng: np.random.Generator, d: int, p: int, horizon: int) -> GameData:
    """A random game of moderate scale, every field of it in use."""
    return GameData(
        feature_mean=rng.normal(size=(horizon, d, p)) / np.sqrt(p),
        feature_cov=random_psd(rng, horizon, p, d, d) / p,
        target=rng.normal(size=(horizon, d)),
        tracking=random_psd(rng, d, d) + 0.2 * np.eye(d),
        coupling=0.5 * rng.uniform() * np.eye(d) + 0.1 * rng.normal(size=(d, d)),
        effort=float(rng.uniform(0.05, 2.0)),
        weights=discount_weights(float(rng.uniform(0.0, 0.3)), horizon),
        transition=np.eye(d) + 0.2 * rng.normal(size=(horizon, d, d)),
        mean_transition=0.2 * rng.normal(size=(horizon, d, d)),
        drift=0.2 * rng.normal(size=(horizon, d)),
    )


def second_moment(mean: np.ndarray, cov: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """E[Z'PZ] = M'PM + diag_k tr(P C[k]), theory (1.4)."""
    noise = [np.trace(weight @ cov_k) for cov_k in cov]
    return mean.T @ weight @ mean + np.diag(noise)


# ---------------------------------------------------------------- section 3: the mean field


@dataclass
class PolicyData:
    """Gains of one type, theory (3.4), and the flow of the mean field, theory (3.2)."""

    gain: np.ndarray
    mean_gain: np.ndarray
    offset: np.ndarray
    mean_map: np.ndarray
    mean_shift: np.ndarray
    rcond: float
    values: list = field(default_factory=list)  # (L1, L2, s) after (3.3), first stage first


def solve_mean_field(games: list[GameData], shares: np.ndarray) -> list[PolicyData]:
    """Backward recursion (3.1)-(3.4) over K types, with plain p x p solves."""
    n_types, horizon, d = len(games), *games[0].target.shape
    size = n_types * d
    average = np.kron(shares[None, :], np.eye(d))  # Pi: mbar = Pi m
    values = [(np.zeros((d, d)), np.zeros((d, size)), np.zeros(d)) for _ in games]
    stages: list[list[tuple]] = [[] for _ in games]
    histories: list[list[tuple]] = [[] for _ in games]
    rcond = np.inf
    for t in reversed(range(horizon)):
        joint, linear, shift, parts = np.eye(size), np.zeros((size, size)), np.zeros(size), []
        for k, (game, (l1, l2, s)) in enumerate(zip(games, values)):
            w, mean = game.weights[t], game.feature_mean[t]
            big_k = l1 + w * game.tracking  # (3.1)
            big_l = l2 - w * game.tracking @ game.coupling @ average
            small_k = s - w * game.tracking @ game.target[t]
            r = second_moment(mean, game.feature_cov[t], big_k) + w * game.effort * np.eye(
                mean.shape[1]
            )
            r_inv_mt = np.linalg.solve(r, mean.T)
            f = mean @ r_inv_mt  # (1.5), hidden
            rows = slice(k * d, (k + 1) * d)
            own = np.zeros((d, size))
            own[:, rows] = np.eye(d)
            closed = np.eye(d) - f @ big_k
            joint[rows] += f @ big_l  # (3.2)
            linear[rows] = closed @ (game.transition[t] @ own + game.mean_transition[t] @ average)
            shift[rows] = closed @ game.drift[t] - f @ small_k
            parts.append((big_k, big_l, small_k, f, r_inv_mt))
        rcond = min(rcond, require_regular(joint, t))
        phi_map, phi_shift = np.linalg.solve(joint, linear), np.linalg.solve(joint, shift)
        for k, (game, (big_k, big_l, small_k, f, r_inv_mt)) in enumerate(zip(games, parts)):
            a, abar, drift = game.transition[t], game.mean_transition[t], game.drift[t]
            on_mean = big_k @ abar @ average + big_l @ phi_map
            affine = big_k @ drift + big_l @ phi_shift + small_k
            stages[k].append(
                (-r_inv_mt @ big_k @ a, -r_inv_mt @ on_mean, -r_inv_mt @ affine)  # (3.4)
            )
            w_matrix = np.eye(d) - big_k @ f
            values[k] = (
                a.T @ w_matrix @ big_k @ a,  # (3.3)
                a.T @ w_matrix @ on_mean,
                a.T @ w_matrix @ affine,
            )
            histories[k].append((*values[k], phi_map, phi_shift))
    return [
        PolicyData(
            *(np.array([stage[j] for stage in stages[k]][::-1]) for j in range(3)),
            mean_map=np.array([h[3] for h in histories[k]][::-1]),
            mean_shift=np.array([h[4] for h in histories[k]][::-1]),
            rcond=float(rcond),
            values=[h[:3] for h in histories[k]][::-1],
        )
        for k in range(n_types)
    ]


def require_regular(matrix: np.ndarray, stage: int) -> float:
    """The reciprocal condition number; LinAlgError where (3.6) fails: I + FL is but rounding."""
    norm, of_inverse = np.linalg.norm(matrix, 1), np.linalg.norm(np.linalg.inv(matrix), 1)
    if not 1.0 / (max(1.0, norm) * of_inverse) > 10 * len(matrix) * np.finfo(float).eps:
        raise np.linalg.LinAlgError(f"stage {stage}: singular")
    return 1.0 / (norm * of_inverse)


# ---------------------------------------------------------------- section 6: the online ensemble


def mixture_weights(errors, offsets, *, ridge, total, decay, absolute=False):
    """Weights (6.3) by the primal optimality conditions, N + 1 unknowns.

    errors (W, N, d): predictions relative to that step's target; offsets (W, d): y (1 - total).
    """
    window, n, d = errors.shape
    kappa = ridge if absolute else ridge * n * np.mean(errors**2)  # (6.5)
    if kappa == 0.0:
        return np.full(n, total / n)
    system, right = np.zeros((n + 1, n + 1)), np.zeros(n + 1)
    system[:n, :n] = kappa * np.eye(n)
    for s in range(window):
        root = decay ** ((window - 1 - s) / 2)
        for o in range(d):
            row = root * errors[s, :, o]
            system[:n, :n] += np.outer(row, row)
            right[:n] += root * row * offsets[s, o]
    system[:n, n] = system[n, :n] = 1.0
    right[n] = total
    return np.linalg.solve(system, right)[:n]


def agent_stream(seed: int, agent: int, stream: int, count: int) -> np.ndarray:
    """Raw 64-bit words of an agent: Philox4x64-10 keyed by (seed, agent)."""
    key = np.array([seed, agent], dtype=np.uint64)  # int64 would not hold half of the seeds
    bits = np.random.Philox(key=key, counter=[0, stream, 0, 0])
    return bits.random_raw(count)


def agent_uniforms(seed, agent, stream, count):
    """Uniforms on [0, 1) from the upper 53 bits of each word."""
    return (agent_stream(seed, agent, stream, count) >> np.uint64(11)) * 2.0**-53


def agent_normals(seed, agent, stream, count):
    """Standard normals, Box-Muller on consecutive pairs of uniforms."""
    u = agent_uniforms(seed, agent, stream, count + count % 2).reshape(-1, 2)
    radius, angle = np.sqrt(-2.0 * np.log(1.0 - u[:, 0])), 2.0 * np.pi * u[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:count]


def wave(a):
    """A cosine made of parabolas, theory (6.11)."""
    u = a / (2.0 * np.pi) + 0.25
    u = u - np.floor(u + 0.5)
    return 16.0 * u * (0.5 - abs(u))


ACTIVATIONS = {
    "relu": lambda a: np.maximum(a, 0.0),
    "tanh": np.tanh,
    "cos": np.cos,
    "wave": wave,
}


class RandomFeatures:
    """Step 1 with z = sqrt(2/p) (1, raw inputs, act(scale V x + v))."""

    def __init__(self, n_features=12, activation="relu", scale=1.0, n_raw=0, n_columns=0):
        self.p, self.activation, self.scale = n_features, activation, scale
        self.n_raw, self.n_columns = n_raw, n_columns

    def start(self, seed, agent, n_inputs, n_own=0):
        """The first `n_own` inputs are those that every second sparse row sees alone."""
        uniforms = iter(agent_uniforms(seed, agent, 3, 2 + self.n_raw + self.p * n_inputs))

        def draw(count, n):
            left = list(range(n))
            return [left.pop(int(next(uniforms) * len(left))) for _ in range(min(count, n))]

        raw = draw(self.n_raw, n_inputs)
        q = self.p - (1 + len(raw) if self.n_raw else 0)
        size = min(self.n_columns or n_inputs, n_inputs)
        entries = agent_normals(seed, agent, 0, q * size).reshape(q, size) / np.sqrt(size)
        V = np.zeros((q, n_inputs)) if self.n_columns else entries
        for k in range(q if self.n_columns else 0):
            columns = draw(size, n_own if k % 2 == 1 and n_own else n_inputs)
            V[k, columns] = entries[k, : len(columns)]
        u = agent_uniforms(seed, agent, 1, q)
        angles = self.activation in ("cos", "wave")
        return {"V": V, "v": 2.0 * np.pi * u if angles else 2.0 * u - 1.0, "raw": raw}

    def encode(self, weights, x):
        random = ACTIVATIONS[self.activation](self.scale * weights["V"] @ x + weights["v"])
        plain = [1.0, *x[weights["raw"]]] if self.n_raw else []
        return np.sqrt(2.0 / self.p) * np.concatenate([plain, random])

    def commit(self, weights, z):
        pass


class EchoState:
    """Step 1 with a leaky tanh reservoir."""

    def __init__(self, n_features=12, leak=0.3, radius=0.9):
        self.p, self.leak, self.radius = n_features, leak, radius

    def start(self, seed, agent, n_inputs, n_own=0):
        weights = RandomFeatures(self.p, "tanh").start(seed, agent, n_inputs)
        w = agent_normals(seed, agent, 2, self.p**2).reshape(self.p, self.p)
        weights["W"] = w * self.radius / np.abs(np.linalg.eigvals(w)).max()
        weights["r"] = np.zeros(self.p)
        return weights

    def encode(self, weights, x):
        r = weights["r"]
        pre = weights["W"] @ r + weights["V"] @ x + weights["v"]
        return np.sqrt(2.0 / self.p) * ((1.0 - self.leak) * r + self.leak * np.tanh(pre))

    def commit(self, weights, z):
        weights["r"] = z / np.sqrt(2.0 / self.p)


class Linear:
    """Step 1 with z = (1, x) / sqrt(dx + 1), the same for all agents."""

    def __init__(self, n_inputs):
        self.p = n_inputs + 1

    def start(self, seed, agent, n_inputs, n_own=0):
        return {}

    def encode(self, weights, x):
        return np.concatenate([[1.0], x]) / np.sqrt(self.p)

    def commit(self, weights, z):
        pass


class Precomputed:
    """Features from the caller, one row per agent."""

    def __init__(self, n_features):
        self.p = n_features

    def start(self, seed, agent, n_inputs, n_own=0):
        return {"agent": agent}

    def encode(self, weights, x):
        return x[weights["agent"]]

    def commit(self, weights, z):
        pass


def relative_game(nu, *, consensus, effort, horizon, discount):
    """Scalar recursion (6.1): K and M of the first stage, in units of that stage's weight."""
    k = m = 0.0
    grows = np.exp(discount)  # the next stage's weight in units of this one's
    for _ in range(horizon):
        k = (1.0 + consensus) + grows * effort * k / (k * nu + effort)
        m = 1.0 + grows * effort * m / (m * nu + effort)
    return k, m


def average(values):
    """Their mean; 0, the increment of the base, where there are none."""
    return values.mean() if len(values) else 0.0


# The parameters of the default ensemble, but for agents and encoder.
DEFAULT = {
    "consensus": 10.0,
    "forgetting": (0.95, 0.99, 0.998),
    "ridge": (0.001, 0.01, 0.1),
    "window": 48,
    "lags": 6,
    "season": "auto",
    "bounded": True,
    "rivals": True,
    "start": 2,
}


class Ensemble:
    """The online ensemble of section 6, a loop over agents at every step."""

    def __init__(
        self,
        n_agents,
        encoder,
        *,
        policy="memoa",
        consensus=1.0,
        effort=0.01,
        horizon=8,
        discount=0.0,
        forgetting=(0.97, 0.99, 0.998),
        ridge=0.1,
        window=64,
        decay=0.99,
        mixture_ridge=0.1,
        total=1.0,
        absolute=False,
        fallback=True,
        aggregate="trimmed",
        lags=0,
        season=None,
        bounded=False,
        rivals=False,
        start=0,
        follow="server",
        seed=0,
    ):
        self.n, self.policy = n_agents, policy
        self.game = dict(consensus=consensus, effort=effort, horizon=horizon, discount=discount)
        # agent i is of type i mod K
        kinds = encoder if isinstance(encoder, list) else [encoder]
        self.encoders = [kinds[i % len(kinds)] for i in range(n_agents)]
        self.forgetting, self.ridge = np.resize(forgetting, n_agents), np.resize(ridge, n_agents)
        self.window, self.seed = window, seed
        self.lags, self.season, self.bounded = lags, season, bounded
        self.has_rivals, self.wait = rivals, start
        # a mixture of forecasts after the policy cannot be what the policy follows
        self.follows_server = follow == "server" and rivals and policy != "greedy"
        self.mixture = dict(decay=decay, ridge=mixture_ridge, total=total, absolute=absolute)
        self.has_fallback, self.aggregate = fallback, aggregate
        self.weights = None
        self.history: list[tuple[np.ndarray, np.ndarray]] = []

    def start(self, n_inputs, d, base=None):
        """The base is the value seen before the first step; None where none was."""
        self.past = Past(d, self.lags, self.season)
        self.rivals = Rivals(self.n, d, self.season)
        if base is not None and not np.isnan(base).any():
            self.past.observe(base)
            self.rivals.past.observe(base)
        n_own = n_inputs if self.lags or self.season else 0
        inputs = n_inputs + (len(self.past.inputs()) if n_inputs else 0)
        self.weights = [
            encoder.start(self.seed, i, inputs, n_own) for i, encoder in enumerate(self.encoders)
        ]
        self.gram = [np.zeros((encoder.p, encoder.p)) for encoder in self.encoders]
        self.cross = [np.zeros((encoder.p, d)) for encoder in self.encoders]
        self.base, self.cost = base, np.zeros(self.n)
        self.fallback, self.crowd = Fallback(d), Crowd(self.n, self.aggregate)
        self.steps, self.standardiser = 0, Standardiser(n_inputs)
        self.scored = np.zeros(self.n, int)  # values of y that costs count

    def predict(self, x, awake=None):
        self.awake = np.ones(self.n, bool) if awake is None else awake  # (10.10)
        if self.base is None or np.isnan(self.base).any():  # nothing is known, nothing is counted
            self.forecast = np.zeros((self.n, self.cross[0].shape[1]))
            self.mean_field = self.forecast.mean(axis=0)
            return self.mean_field
        if not isinstance(self.encoders[0], Precomputed):
            x = np.concatenate([self.standardiser.step(x), self.past.inputs()])
        self.z = [encoder.encode(w, x) for encoder, w in zip(self.encoders, self.weights)]
        c = np.array(
            [  # step 2
                np.linalg.solve(h + ridge * np.eye(len(z)), q).T @ z
                for h, ridge, q, z in zip(self.gram, self.ridge, self.cross, self.z)
            ]
        )
        if self.bounded:
            c = np.clip(c, -self.past.largest, self.past.largest)  # (6.13)
        self.c, energies = c, np.array([z @ z for z in self.z])
        used, counted = self.crowd.used(c, energies, self.awake)
        if self.has_rivals:  # which mix what agents forecast by themselves
            self.said = np.where(used, c, [average(v[on]) for v, on in zip(c.T, counted.T)])
            served = self.serve()
            self.play(c, energies, counted, served)
            return self.base + served
        said = np.where(used, *self.play(c, energies, counted))
        self.heard = self.base + said
        self.mixed = self.agent_weights() @ self.heard
        weight = self.fallback.weight() if self.has_fallback else 1.0
        if self.steps < self.wait:
            return self.base
        return self.base + weight * (self.mixed - self.base)

    def serve(self):
        """The increment that a server with rivals forecasts from what the agents said."""
        self.heard = self.base + self.said
        self.mixed = self.agent_weights() @ self.heard
        served = self.rivals.forecast(self.mixed - self.base, self.said)
        return np.zeros_like(served) if self.steps < self.wait else served

    def play(self, c, energies, counted, served=None):
        """Steps 3 and 4; the increments after the policy, and their mean."""
        field = served if self.follows_server else None
        increments, mean = self.act(c, energies, counted, field)
        self.forecast, self.mean_field = self.base + increments, self.base + mean
        return increments, mean

    def act(self, c, energies, counted, field=None):
        """Theory (6.2), one output after the other: increments and their mean. With a `field` (d,)
        agents follow it as (6.17) has it."""
        if self.policy == "greedy":
            return c, np.array([average(column[on]) for column, on in zip(c.T, counted.T)])
        k, m = relative_game(self.crowd.energy(energies, self.awake), **self.game)
        price, share, own = self.game["effort"] / k, m / k, 1.0 / (1.0 + self.game["consensus"])
        strength = energies / (energies + price)
        rest = (share * energies + price) / (energies + price)
        increments, means = np.zeros_like(c), np.zeros(c.shape[1])
        for o, on in enumerate(counted.T):
            if field is None:
                pull = own * c[:, o] + (share - own) * average(c[on, o])
                mean = average((strength * pull)[on]) / average(rest[on]) if on.any() else 0.0
                pull += (1.0 - share) * mean
            else:
                pull = own * c[:, o] + (1.0 - own) * field[o]
            increments[:, o] = strength * pull
            means[o] = average(increments[on, o])
        return increments, means

    def agent_weights(self):
        """Step 5."""
        settings = self.mixture
        total = settings["total"]
        least = 1 if settings["absolute"] else 3
        if self.window == 0 or self.steps < least:
            return np.full(self.n, total / self.n)
        errors = np.array([e for e, _ in self.history])
        offsets = np.array([y * (1.0 - total) for _, y in self.history])
        return mixture_weights(errors, offsets, **settings)

    def learn(self, y):
        seen = ~np.isnan(y)
        if self.base is None or np.isnan(self.base).any():  # observed, not learnt
            self.base = np.where(seen, y, np.nan if self.base is None else self.base)
            if not np.isnan(self.base).any():
                self.past.observe(self.base)
                self.rivals.past.observe(self.base)
            return
        change = y - self.base
        learnt = self.past.bounded(change) if self.bounded else change
        for i in range(self.n):
            self.encoders[i].commit(self.weights[i], self.z[i])
            keep = self.forgetting[i]
            self.gram[i] = keep * self.gram[i] + np.outer(self.z[i], self.z[i])
            taken = np.where(seen, learnt, self.c[i])  # (10.6)
            self.cross[i] = keep * self.cross[i] + np.outer(self.z[i], taken)
        self.cost += self.awake * np.nansum((y - self.forecast) ** 2, axis=1)  # step 6
        self.scored += self.awake * np.count_nonzero(seen)
        self.fallback.compare(y - self.base, y - self.mixed)
        self.crowd.learn(self.c, y - self.base, self.awake)
        row = np.where(seen, self.heard - y, 0.0), np.where(seen, y, 0.0)
        self.history = [*self.history, row][-max(self.window, 1) :]
        latest = np.where(seen, y, self.base)  # (10.5)
        self.past.learn(y, self.base)
        if self.has_rivals:
            self.rivals.learn(y, self.base, self.said)
        self.base = latest
        self.steps += 1

    def run(self, xs, ys, initial=None, awake=None):
        """Predict, learn, repeat; returns server forecasts, agents' RMSE, mean field, agents."""
        n_inputs = 0 if isinstance(self.encoders[0], Precomputed) else xs.shape[1]
        self.start(n_inputs, ys.shape[1], initial)
        server, means, agents = [], [], []
        for t, (x, y) in enumerate(zip(xs, ys)):
            leaves_no_trace = np.isnan(y).all()
            one = copy.deepcopy(self) if leaves_no_trace else self
            server.append(one.predict(x, None if awake is None else awake[t]))
            means.append(one.mean_field)
            agents.append(one.forecast)
            if not leaves_no_trace:
                self.learn(y)
        divisor = np.where(self.scored > 0, self.scored, np.nan)
        rmse = np.sqrt(self.cost / divisor)
        return np.array(server), rmse, np.array(means), np.array(agents)
