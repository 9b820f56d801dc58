"""The step in PyTorch: eager, and under `torch.compile`.

Agents are innermost, but for the Gram matrices of the eager one: where nothing is fused, batched
LAPACK on (N, p, p) is the faster way to solve.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from peers import SETTINGS, Array, Case, relative_game

LAM, RIDGE, EFFORT = SETTINGS["forgetting"], SETTINGS["ridge"], SETTINGS["effort"]
HORIZON, CONSENSUS = int(SETTINGS["horizon"]), SETTINGS["consensus"]


def solve_lanes(gram: Any, z: Any) -> Any:
    """(H + ridge I)^-1 z for gram (p, p, N), z (p, N): right-looking, a column at a time."""
    p = len(z)
    a = gram + RIDGE * torch.eye(p, dtype=gram.dtype)[:, :, None]
    columns, pivots, w = [], [], []
    for _ in range(p):
        pivot = torch.rsqrt(a[0, 0])
        column = a[1:, 0] * pivot
        first = z[0] * pivot
        a = a[1:, 1:] - column[:, None] * column[None, :]
        z = z[1:] - column * first
        columns.append(column)
        pivots.append(pivot)
        w.append(first)
    for k in reversed(range(p)):
        for j in range(k + 1, p):
            w[k] = w[k] - columns[k][j - k - 1] * w[j]
        w[k] = w[k] * pivots[k]
    return torch.stack(w)


def solve_batched(gram: Any, z: Any) -> Any:
    """The same for gram (N, p, p) by batched LAPACK."""
    a = gram + RIDGE * torch.eye(len(z), dtype=gram.dtype)
    return torch.cholesky_solve(z.T[:, :, None], torch.linalg.cholesky_ex(a)[0])[:, :, 0].T


def forecast(V: Any, v: Any, gram: Any, cross: Any, x: Any, solve: Any) -> tuple[Any, ...]:
    """z, |z|^2, c and the means that the game needs."""
    z = torch.relu((V * x[:, None, None]).sum(0) + v) * (2.0 / len(v)) ** 0.5
    energy = (z * z).sum(0)
    c = (cross * solve(gram, z)).sum(1)
    return z, energy, c, energy.mean(), c.mean(1)


def response(energy: Any, c: Any, K: Any) -> tuple[Any, ...]:
    """F and its two averages."""
    F = energy / (K * energy + EFFORT)
    return F, F.mean(), (F * c).mean(1)


def learn_lanes(gram: Any, z: Any) -> None:
    """H <- lam H + z z', in place."""
    gram.mul_(LAM).addcmul_(z[:, None], z[None])


def learn_batched(gram: Any, z: Any) -> None:
    """The same for gram (N, p, p)."""
    gram.mul_(LAM).addcmul_(z.T[:, :, None], z.T[:, None])


def settle(
    gram: Any,
    cross: Any,
    cost: Any,
    z: Any,
    F: Any,
    c: Any,
    pull: Any,
    ko: Any,
    change: Any,
    learn: Any,
) -> tuple[Any, ...]:
    """Increments (6.2), costs and learning, the state in place."""
    increment = -F * (pull[:, None] + ko * c)
    cost.add_(((change[:, None] - increment) ** 2).sum(0))
    learn(gram, z)
    cross.mul_(LAM).addcmul_(z[None], change[:, None, None])
    return increment, cost.max()


class TorchEager:
    """Operation by operation."""

    name, runs = "PyTorch", False
    batch_first = True
    solve, learn = staticmethod(solve_batched), staticmethod(learn_batched)

    def __init__(self, case: Case, weights: tuple[Array, Array], initial: Array, threads: int):
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        n, p, d = case.n_agents, case.n_features, case.n_outputs
        dtype = torch.float64 if case.dtype == "float64" else torch.float32
        self.threads = threads
        self.V = torch.tensor(np.ascontiguousarray(weights[0].transpose(2, 1, 0)))
        self.v = torch.tensor(np.ascontiguousarray(weights[1].T))
        self.gram = torch.zeros((n, p, p) if self.batch_first else (p, p, n), dtype=dtype)
        self.cross = torch.zeros((d, p, n), dtype=dtype)
        self.cost = torch.zeros(n, dtype=dtype)
        self.increment = torch.zeros((d, n), dtype=dtype)
        self.base = self.shown = initial.astype(case.float_type)
        self.forecast, self.response, self.settle = forecast, response, settle

    def step(self, x: Array, y: Array) -> Array:
        torch.set_num_threads(self.threads)
        dtype = self.v.dtype
        z, energy, c, nu, cbar = self.forecast(
            self.V, self.v, self.gram, self.cross, torch.from_numpy(x), self.solve
        )
        K, L, ko, km = relative_game(nu.item(), HORIZON, CONSENSUS, EFFORT)
        F, mean_f, mean_fc = self.response(energy, c, torch.tensor(K, dtype=dtype))
        mean_next = -(ko * mean_fc + km * cbar * mean_f) / (1.0 + L * mean_f)
        pull, change = L * mean_next + km * cbar, torch.from_numpy(y - self.base)
        own = torch.tensor(ko, dtype=dtype)
        self.increment, self.worst = self.settle(
            self.gram, self.cross, self.cost, z, F, c, pull, own, change, self.learn
        )
        self.shown, self.base = self.base, y
        return self.shown + mean_next.numpy()

    def predictions(self) -> Array:
        return self.shown + self.increment.numpy().T

    def costs(self) -> Array:
        return self.cost.numpy()


@lru_cache
def compiled() -> tuple[Any, Any, Any]:
    """The three functions under inductor, once for every N and anew for each p, d and dtype."""
    torch._dynamo.config.recompile_limit = 64
    torch._dynamo.config.fail_on_recompile_limit_hit = True  # rather than fall back to eager
    return tuple(torch.compile(one, dynamic=True) for one in (forecast, response, settle))


class TorchCompiled(TorchEager):
    """Three functions fused by inductor; the scalar game between them stays in Python."""

    name, runs = "torch.compile", False
    batch_first = False
    solve, learn = staticmethod(solve_lanes), staticmethod(learn_lanes)

    def __init__(self, case: Case, weights: tuple[Array, Array], initial: Array, threads: int):
        super().__init__(case, weights, initial, threads)
        self.forecast, self.response, self.settle = compiled()
