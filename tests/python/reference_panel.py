"""Slow NumPy twin of the panel, docs/theory.md section 8, one function per equation.

Nothing here imports memoa. Formulas are taken literally: p x p solves per client and output, sorts
for trimmed means, one client after the other for the inputs.
"""

from __future__ import annotations

from copy import copy

import numpy as np

from reference import ACTIVATIONS, agent_normals, agent_uniforms

# ---------------------------------------------------------------- the game and its equilibrium


def client_cost(gram, cross, ridge, pooling, readout, mean_readout):
    """Cost of one client, theory (8.1), without the terms that no readout changes."""
    fit = readout @ gram @ readout - 2.0 * cross @ readout
    apart = readout - mean_readout
    return fit + ridge * readout @ readout + pooling * apart @ apart


def best_readout(gram, cross, ridge, pooling, mean_readout):
    """The readout that minimises `client_cost` for a given mean readout, theory (8.1)."""
    system = gram + (ridge + pooling) * np.eye(len(gram))
    return np.linalg.solve(system, cross + pooling * mean_readout)


def equilibrium(gram, cross, ridge, pooling):
    """Mean readout and readouts of the Nash equilibrium, theory (8.2).

    gram (N, p, p), cross (N, p): a client's own, in its own units.
    """
    p = cross.shape[1]
    inverses = np.array([np.linalg.inv(h + (ridge + pooling) * np.eye(p)) for h in gram])
    own = np.mean([a @ q for a, q in zip(inverses, cross)], axis=0)
    mean_readout = np.linalg.solve(np.eye(p) - pooling * inverses.mean(axis=0), own)
    readouts = [best_readout(h, q, ridge, pooling, mean_readout) for h, q in zip(gram, cross)]
    return mean_readout, np.array(readouts)


def joint_minimiser(gram, cross, ridge, pooling):
    """The minimiser of the sum of costs over all readouts and the mean readout, one big solve."""
    n_clients, p = cross.shape
    size = (n_clients + 1) * p
    system, right, eye = np.zeros((size, size)), np.zeros(size), np.eye(p)
    last = slice(n_clients * p, size)
    for i in range(n_clients):
        rows = slice(i * p, (i + 1) * p)
        system[rows, rows] = gram[i] + (ridge + pooling) * eye
        system[rows, last] = system[last, rows] = -pooling * eye
        right[rows] = cross[i]
    system[last, last] = n_clients * pooling * eye
    solution = np.linalg.solve(system, right).reshape(n_clients + 1, p)
    return solution[-1], solution[:-1]


def deviation_gain(gram, cross, ridge, pooling, client):
    """What a client gains by using that it is one Nth of the mean readout, theory (8.4)."""
    n_clients, p = cross.shape
    mean_readout, readouts = equilibrium(gram, cross, ridge, pooling)
    own = readouts[client]
    others = mean_readout - own / n_clients
    share = 1.0 - 1.0 / n_clients  # readout - mean readout = share * readout - others
    system = gram[client] + (ridge + pooling * share**2) * np.eye(p)
    best = np.linalg.solve(system, cross[client] + pooling * share * others)
    settings = (gram[client], cross[client], ridge, pooling)
    at_nash = client_cost(*settings, own, mean_readout)
    return at_nash - client_cost(*settings, best, others + best / n_clients)


def effort_step(system, weight, effort):
    """Share of the way to its target that a readout goes where change has a price, theory (8.5)."""
    values, vectors = np.linalg.eigh(system)
    w = weight * values
    k = 0.5 * (w + np.sqrt(w**2 + 4.0 * w * effort))
    return vectors @ np.diag(k / (k + effort)) @ vectors.T


def effort_step_by_riccati(system, weight, effort, horizon):
    """The same from the backward Riccati recursion of the stages' costs."""
    value, eye = np.zeros_like(system), np.eye(len(system))
    for _ in range(horizon):
        total = value + weight * system
        gain = np.linalg.solve(total + effort * eye, total)
        value = total - total @ gain
    return gain


# ---------------------------------------------------------------- sums over the crowd


def trimmed_mean(values):
    """Mean over axis 0 of what is left without the lowest and the highest fifth."""
    ordered = np.sort(values, axis=0)
    cut = len(ordered) // 5
    return ordered[cut : len(ordered) - cut].mean(axis=0)


class Aggregate:
    """Mean, trimmed mean, or mean of the values clipped about the last result, theory (8.6)."""

    def __init__(self, kind):
        self.kind, self.center, self.spread = kind, 0.0, 0.0

    def __call__(self, values):
        if self.kind == "mean":
            return values.mean(axis=0)
        if self.kind == "trimmed":
            return trimmed_mean(values)
        limit = np.where(self.spread > 0.0, 3.0 * np.asarray(self.spread), np.inf)
        apart = values - self.center
        self.spread = np.minimum(np.abs(apart), limit).mean(axis=0)
        self.center = self.center + np.clip(apart, -limit, limit).mean(axis=0)
        return self.center


# ---------------------------------------------------------------- encoders, one for all clients


class Linear:
    """z = (1, x) / sqrt(dx + 1)."""

    def start(self, seed, n_inputs):
        self.p = n_inputs + 1

    def encode(self, x):
        return np.concatenate([[1.0], x]) / np.sqrt(self.p)


class RandomFeatures:
    """z = sqrt(2/p) act(scale V x + v), with the weights of agent 0."""

    def __init__(self, n_features=12, activation="relu", scale=1.0):
        self.p, self.activation, self.scale = n_features, activation, scale

    def start(self, seed, n_inputs):
        v = agent_normals(seed, 0, 0, self.p * n_inputs).reshape(self.p, n_inputs)
        u = agent_uniforms(seed, 0, 1, self.p)
        self.V = v / np.sqrt(n_inputs)
        self.v = 2.0 * np.pi * u if self.activation == "cos" else 2.0 * u - 1.0

    def encode(self, x):
        pre = self.scale * self.V @ x + self.v
        return np.sqrt(2.0 / self.p) * ACTIVATIONS[self.activation](pre)


class Precomputed:
    """Features from the caller."""

    def __init__(self, n_features):
        self.p = n_features

    def start(self, seed, n_inputs):
        pass

    def encode(self, x):
        return x


# ---------------------------------------------------------------- the online panel


def bounded(value, mean, squares, count, least):
    """A value no farther from its mean than 12 deviations, once `least` were counted."""
    deviation = np.sqrt(squares / max(count, 1.0))
    judged = (count >= least) & (deviation > 0.0)
    reach = np.where(judged, 12.0 * deviation, np.inf)
    return np.where(np.abs(value - mean) <= reach, value, mean + np.copysign(reach, value - mean))


class Panel:
    """The panel, a loop over clients at every step.

    `tamper(values, step)` changes what clients send, (N, k); for clients that lie.
    """

    def __init__(
        self,
        n_clients,
        encoder=None,
        *,
        pooling=10.0,
        ridge=1.0,
        consensus="learned",
        aggregate="trimmed",
        forgetting=0.998,
        seed=0,
        tamper=None,
    ):
        self.n, self.encoder = n_clients, Linear() if encoder is None else encoder
        self.pooling, self.ridge, self.forgetting = pooling, ridge, forgetting
        self.consensus, self.seed = consensus, seed
        self.aggregate = aggregate
        self.tamper = (lambda values, step: values) if tamper is None else tamper
        self.started, self.steps, self.prior = False, 0, 5.0

    def start(self, n_inputs, n_outputs):
        self.encoder.start(self.seed, n_inputs)
        n, p, d = self.n, self.encoder.p, n_outputs
        self.d = d
        self.gram, self.cross = np.zeros((n, p, p)), np.zeros((n, d, p))
        self.squares, self.learnt = np.zeros((n, d)), np.zeros(n)  # of increments
        self.counted, self.mean = np.zeros(n), np.zeros((n, n_inputs))
        self.deviations = np.zeros((n, n_inputs))
        self.base = np.full((n, d), np.nan)
        self.agree_a, self.agree_b = np.zeros((n, d)), np.zeros((n, d))
        self.cost, self.scored = np.zeros(n), np.zeros(n)
        self.awake = np.ones(n, bool)
        self.of_readouts = [Aggregate(self.aggregate) for _ in range(d)]
        self.of_forecasts = [Aggregate(self.aggregate) for _ in range(d)]
        self.agreed = list(self.of_forecasts)
        self.due = False
        self.mean_readout = np.zeros((d, p))
        self.known = np.zeros((n, d, p))  # the mean readout that a client has last been sent
        self.readouts = np.zeros((n, d, p))
        self.started = True

    def add_clients(self, count):
        """Clients without history, awake."""
        zeros = {
            "gram": 0.0,
            "cross": 0.0,
            "squares": 0.0,
            "learnt": 0.0,
            "counted": 0.0,
            "mean": 0.0,
            "deviations": 0.0,
            "base": np.nan,
            "agree_a": 0.0,
            "agree_b": 0.0,
            "cost": 0.0,
            "scored": 0.0,
            "awake": True,
            "known": 0.0,
            "readouts": 0.0,
        }
        for name, value in zeros.items():
            old = getattr(self, name)
            new = np.full((count, *old.shape[1:]), value, dtype=old.dtype)
            setattr(self, name, np.concatenate([old, new]))
        self.n += count

    def observe(self, y):
        seen = ~np.isnan(y)
        self.base[seen] = y[seen]

    def scale(self):
        """s_i of theory (8.1), (N, d)."""
        return np.sqrt(self.squares / np.maximum(self.learnt, 1.0)[:, None])

    def standardise(self, i, x):
        """Moments with x counted, and x by them; section 6, step 1."""
        x = bounded(x, self.mean[i], self.deviations[i], self.counted[i], 40)
        count = self.counted[i] + 1.0
        mean = self.mean[i] + (x - self.mean[i]) / count
        deviations = self.deviations[i] + (x - self.mean[i]) * (x - mean)
        std = np.sqrt(deviations / count)
        scaled = np.where(std > 0.0, (x - mean) / np.where(std > 0.0, std, 1.0), 0.0)
        return mean, deviations, np.clip(scaled, -4.0, 4.0)

    def predict(self, X):
        given = isinstance(self.encoder, Precomputed)
        s = self.scale()
        present = self.awake[:, None] & (s > 0.0)  # (N, d): who counts in the averages
        # step 1, with the readouts of the step before; once per step
        for o in range(self.d):
            if self.due and present[:, o].any():
                sent = self.tamper(self.readouts[:, o], self.steps)
                self.mean_readout[o] = self.of_readouts[o](sent[present[:, o]])
        self.due = False
        self.known[self.awake] = self.mean_readout
        # step 2
        self.moments, self.z = [], np.zeros((self.n, self.encoder.p))
        self.c = np.zeros((self.n, self.d))
        for i in range(self.n):
            seen = not np.isnan(self.base[i]).all()
            x = X[i] if seen else np.zeros_like(X[i])
            moments = None if given else self.standardise(i, x)
            self.moments.append(moments)
            self.z[i] = self.encoder.encode(x if given else moments[2]) if seen else 0.0
            for o in range(self.d):
                own = self.cross[i, o] / s[i, o] if s[i, o] > 0.0 else np.zeros(self.encoder.p)
                self.readouts[i, o] = best_readout(
                    self.gram[i], own, self.ridge, self.pooling, self.known[i, o]
                )
                self.c[i, o] = self.readouts[i, o] @ self.z[i]
        # step 3
        self.apart, self.s = np.zeros((self.n, self.d)), s
        sent = self.tamper(self.c, self.steps)
        for o in range(self.d):
            here = present[:, o]
            if here.any():
                self.agreed[o] = copy(self.of_forecasts[o])
                cbar = self.agreed[o](sent[here, o])
                self.apart[:, o] = np.where(s[:, o] > 0.0, cbar - self.c[:, o], 0.0)
        self.present = present
        forecast = self.base + s * (self.c + self.consensus_weights() * self.apart)
        self.forecast = forecast
        return forecast

    def consensus_weights(self):
        """beta_i of theory (8.3), (N, d)."""
        if self.consensus != "learned":
            share = self.consensus / (1.0 + self.consensus)
            return np.full((self.n, self.d), share)
        weights = np.zeros((self.n, self.d))
        for o in range(self.d):
            here = self.present[:, o]
            a, b = self.agree_a[:, o], self.agree_b[:, o]
            crowd = np.clip(b[here].sum() / (a[here].sum() + self.prior), 0.0, 1.0)
            weights[:, o] = np.clip((b + self.prior * crowd) / (a + self.prior), 0.0, 1.0)
        return weights

    def learn(self, y, awake=None):
        for i in range(self.n):
            seen, known = ~np.isnan(y[i]), ~np.isnan(self.base[i])
            change = y[i] - self.base[i]
            error = (y[i] - self.forecast[i])[seen & known]
            self.cost[i] += error @ error
            self.scored[i] += error.size
            if known.any() and self.moments[i] is not None:  # x counts, whatever y is
                self.mean[i], self.deviations[i], _ = self.moments[i]
                self.counted[i] += 1.0
            if (seen & known).all():
                self.learn_client(i, change)
            self.base[i, seen] = y[i, seen]
        self.awake = np.ones(self.n, bool) if awake is None else np.array(awake, bool)
        self.of_forecasts = list(self.agreed)
        self.steps, self.due = self.steps + 1, True

    def learn_client(self, i, change):
        for o in range(self.d):
            if self.s[i, o] > 0.0 and self.present[:, o].any():  # (8.3)
                surprise = np.clip(change[o] / self.s[i, o] - self.c[i, o], -6.0, 6.0)
                apart = self.apart[i, o]
                self.agree_a[i, o] = 0.998 * self.agree_a[i, o] + apart**2
                self.agree_b[i, o] = 0.998 * self.agree_b[i, o] + apart * surprise
        change = bounded(change, 0.0, self.squares[i], self.learnt[i], 10)
        for o in range(self.d):
            self.cross[i, o] = self.forgetting * self.cross[i, o] + self.z[i] * change[o]
        self.gram[i] = self.forgetting * self.gram[i] + np.outer(self.z[i], self.z[i])
        self.squares[i] += change**2
        self.learnt[i] += 1.0

    def run(self, X, Y, *, initial=None, awake=None):
        """Forecasts (T, N, d)."""
        if not self.started:
            self.start(X.shape[2], Y.shape[2])
        if initial is not None:
            self.observe(initial)
        forecasts = []
        for t in range(len(Y)):
            forecasts.append(self.predict(X[t]))
            self.learn(Y[t], None if awake is None else awake[t])
        return np.array(forecasts)


# ---------------------------------------------------------------- inputs of the measurement


def series_inputs(y, lags=4, season=None):
    """Inputs (T, lags + 1 or lags + 3) of one series y (T,) with NaN where it is not known."""
    filled = y.copy()
    for t in range(1, len(y)):
        if np.isnan(filled[t]):
            filled[t] = filled[t - 1]

    def between(later, earlier):
        if earlier < 0 or later < 0 or np.isnan(filled[earlier]) or np.isnan(filled[later]):
            return 0.0
        return filled[later] - filled[earlier]

    rows, average = [], np.nan
    for t in range(len(y)):
        average = filled[t] if np.isnan(average) else 0.9 * average + 0.1 * filled[t]
        row = [between(t - k, t - k - 1) for k in range(lags)]
        row.append(0.0 if np.isnan(filled[t]) else filled[t] - average)
        if season is not None:
            row += [between(t + 1 - season, t), between(t + 1 - season, t - season)]
        rows.append(row)
    return np.array(rows)


def seasonal_inputs(y, season):
    """Additive Holt-Winters inputs (T, 3) of one series, NaN where it is not known."""
    level, last = np.nan, np.nan
    index, sums, counts = np.zeros(season), np.zeros(season), np.zeros(season)
    rows = []
    for t in range(len(y)):
        now, following = t % season, (t + 1) % season
        if not np.isnan(y[t]):
            level = y[t] if np.isnan(level) else 0.8 * level + 0.2 * (y[t] - index[now])
            index[now] = 0.7 * index[now] + 0.3 * (y[t] - level)
            if not np.isnan(last):
                sums[now] += y[t] - last
                counts[now] += 1
            last = y[t]
        if np.isnan(last):
            rows.append([0.0, 0.0, 0.0])
            continue
        rows.append(
            [
                level + index[following] - last,
                index[following] - index[now],
                sums[following] / max(counts[following], 1),
            ]
        )
    return np.array(rows)


def relative_errors(forecasts, Y, initial, *, skip=2, least=20, last=None):
    """A client's RMSE over its repeat-last RMSE, NaN where fewer than `least` steps are scored."""
    base, ratios = initial.copy(), []
    errors, changes = np.full(Y.shape, np.nan), np.full(Y.shape, np.nan)
    for t in range(len(Y)):
        errors[t], changes[t] = Y[t] - forecasts[t], Y[t] - base
        base = np.where(np.isnan(Y[t]), base, Y[t])
    for i in range(Y.shape[1]):
        steps = np.flatnonzero(~np.isnan(errors[:, i, 0]))
        steps = steps[skip:] if last is None else steps[steps >= len(Y) - last]
        if len(steps) < least:
            ratios.append(np.nan)
            continue
        square = np.sum(errors[steps, i] ** 2) / np.sum(changes[steps, i] ** 2)
        ratios.append(np.sqrt(square))
    return np.array(ratios)
