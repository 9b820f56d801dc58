"""The step in NumPy, twice: agents innermost in tiles that stay in cache, and batched LAPACK."""

from __future__ import annotations

import numpy as np
from peers import SETTINGS, Array, Case, relative_game

LAM, RIDGE, EFFORT = SETTINGS["forgetting"], SETTINGS["ridge"], SETTINGS["effort"]
HORIZON, CONSENSUS = int(SETTINGS["horizon"]), SETTINGS["consensus"]


class _Population:
    """What both layouts do alike: the policy and the costs, on arrays with agents last."""

    def __init__(self, case: Case, weights: tuple[Array, Array], initial: Array, threads: int):
        self.case, self.dtype = case, case.float_type
        self.base = self.shown = initial.astype(self.dtype)
        n, d = case.n_agents, case.n_outputs
        self.norm = self.dtype(np.sqrt(2.0 / case.n_features))
        self.lam, self.ridge = self.dtype(LAM), self.dtype(RIDGE)
        self.energy = np.zeros(n, self.dtype)
        self.forecast, self.increment = np.zeros((d, n), self.dtype), np.zeros((d, n), self.dtype)
        self.cost = np.zeros(n, self.dtype)

    def act(self) -> Array:
        """Theory (6.1), (6.2); returns the mean increment."""
        c, e = self.forecast, self.energy
        K, L, ko, km = relative_game(float(e.mean()), HORIZON, CONSENSUS, EFFORT)
        cbar = c.mean(axis=1)
        F = e / (self.dtype(K) * e + self.dtype(EFFORT))
        mean_f = float(F.mean())
        mean_next = -(ko * (c @ F) / len(F) + km * cbar * mean_f) / (1.0 + L * mean_f)
        pull = (L * mean_next + km * cbar).astype(self.dtype)
        np.multiply(c, self.dtype(ko), out=self.increment)
        self.increment += pull[:, None]
        self.increment *= -F
        return mean_next

    def count_costs(self, change: Array) -> None:
        for o in range(len(change)):
            self.cost += (change[o] - self.increment[o]) ** 2
        self.worst = self.cost.max()

    def step(self, x: Array, y: Array) -> Array:
        self.shown, change = self.base, y - self.base
        self.forecast_all(x)
        mean_field = self.base + self.act()
        self.count_costs(change)
        self.learn(change)
        self.base = y
        return mean_field

    def predictions(self) -> Array:
        return self.shown + self.increment.T

    def costs(self) -> Array:
        return self.cost


class NumPyLanes(_Population):
    """Tiles of agents as contiguous lanes: every operation runs over a tile that stays in cache."""

    name, runs = "NumPy", False
    TILE = 32768  # features of a tile: long enough for NumPy's calls, short enough for the cache

    def __init__(self, case: Case, weights: tuple[Array, Array], initial: Array, threads: int):
        super().__init__(case, weights, initial, threads)
        n, p, d = case.n_agents, case.n_features, case.n_outputs
        self.tiles = []
        tile = self.TILE // p
        for first in range(0, n, tile):
            part = slice(first, min(first + tile, n))
            size = part.stop - first
            V = np.ascontiguousarray(weights[0][part].transpose(2, 1, 0))  # (dx, p, size)
            v = np.ascontiguousarray(weights[1][part].T)
            gram = [np.zeros((p - k, size), self.dtype) for k in range(p)]  # lower columns of H
            cross = np.zeros((d, p, size), self.dtype)
            self.tiles.append((part, V, v, gram, cross, np.zeros((p, size), self.dtype)))
        size = min(n, tile)
        self.factor = [np.zeros((p - k, size), self.dtype) for k in range(p)]
        self.scratch = np.zeros((p, size), self.dtype)

    def forecast_all(self, x: Array) -> None:
        for part, V, v, gram, cross, z in self.tiles:
            size = part.stop - part.start
            scratch = self.scratch[:, :size]
            np.multiply(V[0], x[0], out=z)
            for j in range(1, len(x)):
                z += np.multiply(V[j], x[j], out=scratch)
            z += v
            np.maximum(z, 0.0, out=z)
            z *= self.norm
            np.einsum("kl,kl->l", z, z, out=self.energy[part])
            solution = self.solve(gram, z, size)
            np.einsum("okl,kl->ol", cross, solution, out=self.forecast[:, part])

    def solve(self, gram: list[Array], z: Array, size: int) -> Array:
        """(H + ridge I)^-1 z by a right-looking Cholesky over columns, all lanes at once."""
        p = len(gram)
        factor = [one[:, :size] for one in self.factor]
        for k in range(p):
            np.copyto(factor[k], gram[k])
            factor[k][0] += self.ridge
        scratch, w = self.scratch[:, :size], z.copy()
        for k in range(p):
            column = factor[k]  # its first entry becomes the reciprocal pivot
            np.sqrt(column[0], out=column[0])
            np.divide(self.dtype(1.0), column[0], out=column[0])
            column[1:] *= column[0]
            w[k] *= column[0]
            for j in range(k + 1, p):  # column j loses l_{j:,k} l_jk
                factor[j] -= np.multiply(column[j - k :], column[j - k], out=scratch[: p - j])
            w[k + 1 :] -= np.multiply(column[1:], w[k], out=scratch[: p - k - 1])
        for k in range(p - 1, -1, -1):
            if k + 1 < p:
                w[k] -= np.einsum("kl,kl->l", factor[k][1:], w[k + 1 :])
            w[k] *= factor[k][0]
        return w

    def learn(self, change: Array) -> None:
        for part, _, _, gram, cross, z in self.tiles:
            scratch = self.scratch[:, : part.stop - part.start]
            for k, column in enumerate(gram):
                column *= self.lam
                column += np.multiply(z[k:], z[k], out=scratch[: len(column)])
            for o, one in enumerate(cross):
                one *= self.lam
                one += np.multiply(z, change[o], out=scratch)


class NumPyBatched(_Population):
    """Agents outermost, full Gram matrices, `numpy.linalg.solve` on the batch."""

    name, runs = "NumPy, batched LAPACK", False

    def __init__(self, case: Case, weights: tuple[Array, Array], initial: Array, threads: int):
        super().__init__(case, weights, initial, threads)
        n, p, d = case.n_agents, case.n_features, case.n_outputs
        self.V, self.v = weights
        self.gram = np.zeros((n, p, p), self.dtype)
        self.cross = np.zeros((n, p, d), self.dtype)
        self.eye = RIDGE * np.eye(p, dtype=self.dtype)

    def forecast_all(self, x: Array) -> None:
        self.z = np.maximum(self.V @ x + self.v, 0.0) * self.norm
        np.einsum("nk,nk->n", self.z, self.z, out=self.energy)
        solution = np.linalg.solve(self.gram + self.eye, self.z[:, :, None])[:, :, 0]
        np.einsum("nko,nk->on", self.cross, solution, out=self.forecast)

    def learn(self, change: Array) -> None:
        self.gram *= self.lam
        self.gram += self.z[:, :, None] * self.z[:, None, :]
        self.cross *= self.lam
        self.cross += self.z[:, :, None] * change
