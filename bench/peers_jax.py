"""The step in JAX: one `jit` per step with donated state, and `lax.scan` over many steps.

Agents are innermost and the Cholesky factor is written out over them, which XLA fuses and runs on
its threads. That pays up to some eight features; beyond them batched LAPACK is the faster way.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from peers import SETTINGS, Array, Case, relative_game

jax.config.update("jax_enable_x64", True)

LAM, RIDGE, EFFORT = SETTINGS["forgetting"], SETTINGS["ridge"], SETTINGS["effort"]
HORIZON, CONSENSUS = int(SETTINGS["horizon"]), SETTINGS["consensus"]


UNROLLED = 8  # features: with more, XLA's fusions of the unrolled solve grow slow


def solve_lanes(gram: Any, z: Any) -> Any:
    """(H + ridge I)^-1 z for gram (p, p, N), z (p, N): left-looking, a column at a time.

    The barriers keep XLA from computing a column anew wherever it is used.
    """
    p = len(z)
    columns, pivots, w = [], [], []
    for k in range(p):
        column = gram[k:, k].at[0].add(RIDGE)
        first = z[k]
        for j in range(k):
            column = column - columns[j][k - j :] * columns[j][k - j]
            first = first - columns[j][k - j] * w[j]
        pivot = jax.lax.rsqrt(column[0])
        made = jax.lax.optimization_barrier((column * pivot, pivot, first * pivot))
        for found, one in zip((columns, pivots, w), made):
            found.append(one)
    for k in reversed(range(p)):
        for j in range(k + 1, p):
            w[k] = w[k] - columns[k][j - k] * w[j]
        w[k] = jax.lax.optimization_barrier(w[k] * pivots[k])
    return jnp.stack(w)


def solve_batched(gram: Any, z: Any) -> Any:
    """The same for gram (N, p, p) by batched LAPACK."""
    factor = jnp.linalg.cholesky(gram + RIDGE * jnp.eye(len(z), dtype=gram.dtype))
    return jax.scipy.linalg.cho_solve((factor, True), z.T[:, :, None])[:, :, 0].T


def one_step(weights: Any, state: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Predict from x, learn y: the new state, and (mean field, worst cost)."""
    V, v = weights
    gram, cross, cost, base = state["gram"], state["cross"], state["cost"], state["base"]
    p = v.shape[0]
    lanes = p <= UNROLLED
    z = jnp.maximum(jnp.einsum("jkn,j->kn", V, x) + v, 0.0) * np.sqrt(2.0 / p).astype(v.dtype)
    energy = (z * z).sum(axis=0)
    w = solve_lanes(gram, z) if lanes else solve_batched(gram, z)
    c = (cross * w).sum(axis=1)  # (d, N)
    K, L, ko, km = relative_game(energy.mean(), HORIZON, CONSENSUS, EFFORT)
    F, cbar = energy / (K * energy + EFFORT), c.mean(axis=1)
    mean_next = -(ko * (F * c).mean(axis=1) + km * cbar * F.mean()) / (1.0 + L * F.mean())
    increment = -F * ((L * mean_next + km * cbar)[:, None] + ko * c)
    change = y - base
    cost = cost + ((change[:, None] - increment) ** 2).sum(axis=0)
    outer = z[:, None] * z[None] if lanes else z.T[:, :, None] * z.T[:, None]
    after = {
        "gram": LAM * gram + outer,
        "cross": LAM * cross + z[None] * change[:, None, None],
        "cost": cost,
        "base": y,
        "shown": base,
        "increment": increment,
    }
    return after, (base + mean_next, cost.max())


step = jax.jit(one_step, donate_argnums=1)


@functools.partial(jax.jit, donate_argnums=1)
def scan(weights: Any, state: Any, xs: Any, ys: Any) -> tuple[Any, Any]:
    """All steps inside XLA."""
    return jax.lax.scan(lambda s, xy: one_step(weights, s, *xy), state, (xs, ys))


class JaxStep:
    """One call of a jitted function per step."""

    name, runs = "JAX jit", False

    def __init__(self, case: Case, weights: tuple[Array, Array], initial: Array, threads: int):
        n, p, d, dtype = case.n_agents, case.n_features, case.n_outputs, case.float_type
        self.weights = (
            jnp.asarray(np.ascontiguousarray(weights[0].transpose(2, 1, 0))),
            jnp.asarray(np.ascontiguousarray(weights[1].T)),
        )
        self.state = {
            "gram": jnp.zeros((p, p, n) if p <= UNROLLED else (n, p, p), dtype),
            "cross": jnp.zeros((d, p, n), dtype),
            "cost": jnp.zeros(n, dtype),
            "base": jnp.asarray(initial.astype(dtype)),
            "shown": jnp.asarray(initial.astype(dtype)),
            "increment": jnp.zeros((d, n), dtype),
        }

    def step(self, x: Array, y: Array) -> Array:
        self.state, (mean_field, _) = step(self.weights, self.state, x, y)
        return np.asarray(jax.block_until_ready(mean_field))

    def predictions(self) -> Array:
        return np.asarray(self.state["shown"] + self.state["increment"].T)

    def costs(self) -> Array:
        return np.asarray(self.state["cost"])


class JaxScan(JaxStep):
    """Many steps in one call."""

    name, runs = "JAX lax.scan", True

    def run(self, xs: Array, ys: Array) -> Array:
        """The mean field of every step, (T, d)."""
        self.state, (mean_field, _) = scan(self.weights, self.state, xs, ys)
        return np.asarray(jax.block_until_ready(mean_field))

    def step(self, x: Array, y: Array) -> Array:
        return self.run(x[None], y[None])[0]
