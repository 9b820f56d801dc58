"""The step in Numba: blocks of agents as contiguous lanes, one fused pass, threads by `prange`.

A block's state is one array (rows, lanes), so that a step streams it through the processor once:
learning of the last step, encoding, factorising and forecasting happen while the block is in cache;
a second, light pass is the policy's. What it took to get vectors out of LLVM (look at the
assembly): unsigned indices, for signed ones are tested for negative wraparound, and a run-time
number of at least 64 lanes, for short constant loops are unrolled into scalar code before they are
vectorised.

`peers_numba_unrolled` is the same with the innermost pass generated as straight-line code.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import njit, prange
from peers import SETTINGS, Array, Case, relative_game

LAM, RIDGE, EFFORT = SETTINGS["forgetting"], SETTINGS["ridge"], SETTINGS["effort"]
HORIZON, CONSENSUS = int(SETTINGS["horizon"]), SETTINGS["consensus"]
CHUNKS = 16  # per thread: pieces of work that prange deals out

index = np.uint64
ONE, TWO = index(1), index(2)


@njit(error_model="numpy")
def learn(gram, cross, z, change, lam, lanes):  # type: ignore[no-untyped-def]
    """H <- lam H + z z', q <- lam q + z change'."""
    p, d = index(len(z)), index(len(change))
    n = index(0)
    for row in range(p):
        for column in range(row + ONE):
            for l in range(lanes):
                gram[n, l] = lam * gram[n, l] + z[row, l] * z[column, l]
            n += ONE
    for o in range(d):
        for k in range(p):
            for l in range(lanes):
                cross[o * p + k, l] = lam * cross[o * p + k, l] + z[k, l] * change[o]


@njit(error_model="numpy")
def encode(V, v, x, norm, z, energy, lanes):  # type: ignore[no-untyped-def]
    """z = norm relu(V x + v) and |z|^2."""
    p, dx = index(len(z)), index(len(x))
    for l in range(lanes):
        energy[l] = 0.0
    for k in range(p):
        for l in range(lanes):
            z[k, l] = v[k, l]
        for j in range(dx):
            for l in range(lanes):
                z[k, l] += V[k * dx + j, l] * x[j]
        for l in range(lanes):
            z[k, l] = norm * max(z[k, l], v.dtype.type(0.0))
            energy[l] += z[k, l] * z[k, l]


@njit(error_model="numpy")
def factorise(gram, ridge, factor, p, lanes):  # type: ignore[no-untyped-def]
    """Packed Cholesky factor of H + ridge I, the diagonal as reciprocals."""
    for row in range(p):
        r = row * (row + ONE) // TWO
        for column in range(row + ONE):
            c = column * (column + ONE) // TWO
            at = r + column
            for l in range(lanes):
                factor[at, l] = gram[at, l]
            for k in range(column):
                for l in range(lanes):
                    factor[at, l] -= factor[r + k, l] * factor[c + k, l]
            if column < row:
                for l in range(lanes):
                    factor[at, l] *= factor[c + column, l]
            else:
                for l in range(lanes):
                    factor[at, l] = factor.dtype.type(1.0) / np.sqrt(factor[at, l] + ridge[0])


@njit(error_model="numpy")
def solve(factor, z, w, p, lanes):  # type: ignore[no-untyped-def]
    """w = (H + ridge I)^-1 z."""
    for row in range(p):
        r = row * (row + ONE) // TWO
        for l in range(lanes):
            w[row, l] = z[row, l]
        for k in range(row):
            for l in range(lanes):
                w[row, l] -= factor[r + k, l] * w[k, l]
        for l in range(lanes):
            w[row, l] *= factor[r + row, l]
    for i in range(p):
        row = p - ONE - i
        for k in range(row + ONE, p):
            for l in range(lanes):
                w[row, l] -= factor[k * (k + ONE) // TWO + row, l] * w[k, l]
        for l in range(lanes):
            w[row, l] *= factor[row * (row + ONE) // TWO + row, l]


@njit(error_model="numpy")
def one_block(s, x, change, numbers, work, p, lanes):  # type: ignore[no-untyped-def]
    """Everything of a block before the policy; rows as in `Rows`."""
    d, dx, P = index(len(change)), index(len(x)), p * (p + ONE) // TWO
    gram, cross = s[:P], s[P : P + d * p]
    at = P + d * p
    V, v, z = s[at : at + p * dx], s[at + p * dx : at + p * dx + p], s[at + p * dx + p :][:p]
    at += p * dx + TWO * p
    c, energy = s[at : at + d], s[at + d]
    learn(gram, cross, z, change, numbers[0], lanes)
    encode(V, v, x, numbers[2], z, energy, lanes)
    factorise(gram, numbers[1:2], work, p, lanes)
    w = work[P:]
    solve(work, z, w, p, lanes)
    for o in range(d):
        for l in range(lanes):
            c[o, l] = 0.0
        for k in range(p):
            for l in range(lanes):
                c[o, l] += cross[o * p + k, l] * w[k, l]


@njit(error_model="numpy", parallel=True)
def sweep(state, x, change, numbers, work, p, parts):  # type: ignore[no-untyped-def]
    """All blocks; `parts` pieces, each with a workspace of its own."""
    lanes, blocks = index(state.shape[2]), state.shape[0]
    for part in prange(parts):
        piece = np.int64(part)  # prange counts in unsigned numbers, and int * uint is a float
        for b in range(blocks * piece // parts, blocks * (piece + 1) // parts):
            one_block(state[b], x, change, numbers, work[part], p, lanes)


@njit(error_model="numpy", parallel=True)
def sums(state, at, d, game, partial):  # type: ignore[no-untyped-def]
    """Sums over agents: of (c, |z|^2) where K = 0, else of (F c, F) for F = e / (K e + g)."""
    blocks, lanes, parts = state.shape[0], index(state.shape[2]), len(partial)
    K, g = game[0], game[1]
    for part in prange(parts):
        piece = np.int64(part)
        partial[part] = 0.0
        for b in range(blocks * piece // parts, blocks * (piece + 1) // parts):
            energy = state[b, at + d]
            for o in range(d):
                c, total = state[b, at + o], 0.0
                for l in range(lanes):
                    F = energy[l] / (K * energy[l] + g) if K > 0.0 else g
                    total += F * c[l]
                partial[part, o] += total
            total = 0.0
            for l in range(lanes):
                total += energy[l] / (K * energy[l] + g) if K > 0.0 else energy[l]
            partial[part, d] += total
    return partial.sum(axis=0)


@njit(error_model="numpy", parallel=True)
def act(state, at, d, n, game, pull, change, partial):  # type: ignore[no-untyped-def]
    """Increments (6.2), costs, and the largest cost of an agent."""
    blocks, lanes, parts = state.shape[0], state.shape[2], len(partial)
    K, g, ko = game[0], game[1], game[2]
    for part in prange(parts):
        piece, worst = np.int64(part), 0.0
        for b in range(blocks * piece // parts, blocks * (piece + 1) // parts):
            energy, cost = state[b, at + d], state[b, at + 2 * d + 1]
            for o in range(d):
                c, increment = state[b, at + o], state[b, at + d + 1 + o]
                for l in range(index(lanes)):
                    F = energy[l] / (K * energy[l] + g)
                    increment[l] = -F * (pull[o] + ko * c[l])
                    cost[l] += (change[o] - increment[l]) ** 2
            for l in range(min(lanes, n - b * lanes)):
                worst = max(worst, cost[l])
        partial[part, 0] = worst
    return partial[:, 0].max()


class NumbaBlocks:
    """The rival to beat."""

    name, runs = "Numba", False

    def __init__(self, case: Case, weights: tuple[Array, Array], initial: Array, threads: int):
        self.case, self.dtype, self.threads = case, case.float_type, threads
        n, p, d, dx = case.n_agents, case.n_features, case.n_outputs, case.n_inputs
        self.lanes = self.choose_lanes()
        packed, blocks = p * (p + 1) // 2, -(-n // self.lanes)
        self.at = packed + d * p + p * dx + 2 * p  # row of the forecasts
        self.state = np.zeros((blocks, self.at + 2 * d + 2, self.lanes), self.dtype)
        first = packed + d * p
        self._fill(first, weights[0].reshape(n, p * dx))
        self._fill(first + p * dx, weights[1])
        self.parts = max(1, min(blocks, CHUNKS * threads if blocks > CHUNKS * threads else threads))
        self.work = np.zeros((self.parts, packed + p, self.lanes), self.dtype)
        self.partial = np.zeros((self.parts, d + 1))
        norm = np.sqrt(2.0 / p)
        self.numbers = np.array([LAM, RIDGE, norm], self.dtype)
        self.base = self.shown = initial.astype(self.dtype)
        self.change = np.zeros(d, self.dtype)

    def choose_lanes(self) -> int:
        """512 bytes a row: eight AVX-512 vectors."""
        return 512 // np.dtype(self.dtype).itemsize

    def _fill(self, row: int, values: Array) -> None:
        """Rows of per-agent values (N, k) into the blocks."""
        n, k = values.shape
        padded = np.zeros((len(self.state) * self.lanes, k), self.dtype)
        padded[:n] = values
        self.state[:, row : row + k] = padded.reshape(-1, self.lanes, k).transpose(0, 2, 1)

    def _read(self, row: int, k: int) -> Array:
        rows = self.state[:, row : row + k].transpose(0, 2, 1)
        return rows.reshape(-1, k)[: self.case.n_agents]

    def sweep(self, x: Array) -> None:
        p = index(self.case.n_features)
        sweep(self.state, x, self.change, self.numbers, self.work, p, self.parts)

    def step(self, x: Array, y: Array) -> Array:
        n, d = self.case.n_agents, self.case.n_outputs
        numba.set_num_threads(self.threads)
        self.sweep(x)
        game: Any = np.array([0.0, 1.0, 0.0], self.dtype)
        total = sums(self.state, self.at, d, game, self.partial) / n
        K, L, ko, km = relative_game(total[d], HORIZON, CONSENSUS, EFFORT)
        game[:] = K, EFFORT, ko
        cbar, mean = total[:d], sums(self.state, self.at, d, game, self.partial) / n
        mean_next = -(ko * mean[:d] + km * cbar * mean[d]) / (1.0 + L * mean[d])
        pull = (L * mean_next + km * cbar).astype(self.dtype)
        self.change, self.shown = y - self.base, self.base
        self.worst = act(self.state, self.at, d, n, game, pull, self.change, self.partial)
        self.base = y
        return self.shown + mean_next

    def predictions(self) -> Array:
        d = self.case.n_outputs
        return self.shown + self._read(self.at + d + 1, d)

    def costs(self) -> Array:
        return self._read(self.at + 2 * self.case.n_outputs + 1, 1)[:, 0]
