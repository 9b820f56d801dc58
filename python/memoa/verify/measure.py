"""Measures the theorems' numbers on one game: gaps, costs, deviations and seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from memoa import (
    Certificate,
    Game,
    NPlayerGame,
    Policy,
    certify,
    simulate,
    solve_centralized_nash,
    solve_mean_field,
    solve_myopic,
    solve_nash,
    solve_social_optimum,
)
from memoa._validate import Float64
from memoa.verify.judge import ROUNDING

POLICIES = ("mean_field", "nash", "social", "myopic")
MONTE_CARLO_AGENTS = 100
# The values of N players are N matrices of size N d, before and after a stage.
MAX_CENTRALIZED_BYTES = 2e9


@dataclass(frozen=True, eq=False)
class Measure:
    """Computes every number of the table, for one game with its initial predictions."""

    game: Game
    mean: Float64
    cov: Float64
    size: float
    seed: int
    n_threads: int | None

    def policies(self, n_agents: int) -> dict[str, Policy]:
        return {
            "mean_field": solve_mean_field(self.game),
            "nash": solve_nash(self.game, n_agents),
            "social": solve_social_optimum(self.game, n_agents),
            "myopic": solve_myopic(self.game),
        }

    def row(self, n_agents: int, simulated: bool) -> dict[str, float]:
        policies = self.policies(n_agents)
        start: dict[str, Any] = {"mean": self.mean, "cov": self.cov}
        certified = {
            name: certify(self.game, policy, n_agents, **start) for name, policy in policies.items()
        }
        limit = certify(self.game, policies["mean_field"], n_agents, mean_field="limit", **start)
        gap = relative_gap(policies["nash"], policies["mean_field"])
        exploitability = certified["mean_field"].exploitability
        differences = [self._difference(found) for found in (*certified.values(), limit)]
        row = {
            "n_agents": float(n_agents),
            "gain_gap": gap,
            "gain_gap_times_n": gap * n_agents,
            "exploitability": exploitability,
            "exploitability_times_n2": exploitability * float(n_agents) ** 2,
            "limit_exploitability": limit.exploitability,
        }
        for name in POLICIES[1:]:
            row[f"{name}_exploitability"] = certified[name].exploitability
        row["least_difference"] = min(least for least, _ in differences)
        row["apart"] = max(apart for _, apart in differences)
        row |= {f"cost_{name}": found.cost for name, found in certified.items()}
        nash, social = row["cost_nash"], row["cost_social"]
        # The price of anarchy of a game without costs is 1.
        nothing = max(nash, social) <= ROUNDING * self.size
        row["price_of_anarchy"] = 1.0 if nothing else nash / social if social > 0.0 else np.inf
        for name, policy in policies.items():
            worst = np.nan
            if simulated:
                worst = simulate(
                    self.game,
                    policy,
                    n_agents,
                    random_state=self.seed,
                    n_threads=self.n_threads,
                    **start,
                ).worst_cost
            row[f"worst_{name}"] = worst
        return row

    def _difference(self, found: Certificate) -> tuple[float, float]:
        """Return (5.2) as the difference of two costs, and its relative distance from (5.3)."""
        scale = max(abs(found.cost), self.size) or 1.0
        difference = found.cost - found.best_response_cost
        return difference / scale, abs(difference - found.exploitability) / scale

    def seconds(self, agents: Sequence[int]) -> dict[str, Float64]:
        """Return the fastest of several interleaved solves, so that noise affects all sizes."""
        once = _timed(lambda: solve_nash(self.game, agents[0]))
        repeats = int(np.clip(0.5 / (once * (len(agents) + 1)), 3, 50))
        found = np.array(
            [
                [
                    _timed(lambda: solve_mean_field(self.game)),
                    *(_timed(lambda n=n: solve_nash(self.game, n)) for n in agents),  # type: ignore[misc]
                ]
                for _ in range(repeats)
            ]
        ).min(axis=0)
        return {
            "seconds_mean_field": np.full(len(agents), found[0]),
            "seconds_nash": found[1:],
        }

    def monte_carlo(self, runs: int) -> float:
        """Return the largest deviation of simulated mean costs from certified ones.

        The unit is the standard error. Agents of one run share its mean field, so only the runs are
        independent samples.
        """
        n_agents, worst = MONTE_CARLO_AGENTS, 0.0
        start: dict[str, Any] = {"mean": self.mean, "cov": self.cov}
        policies = self.policies(n_agents)
        informed = [(policy, "empirical") for policy in policies.values()]
        # A separate stream, independent of the runs of the table's worst agents.
        seeds = np.random.default_rng([self.seed, 1]).integers(2**32, size=runs)
        for policy, known in [*informed, (policies["mean_field"], "limit")]:
            expected = certify(self.game, policy, n_agents, mean_field=known, **start).cost
            costs = [
                simulate(
                    self.game,
                    policy,
                    n_agents,
                    random_state=int(one),
                    mean_field=known,
                    n_threads=1,
                    **start,
                ).mean_cost
                for one in seeds
            ]
            error = float(np.std(costs, ddof=1)) / np.sqrt(len(costs))
            # Without noise nothing is random, and only rounding errors remain.
            rounding = 1e-13 * max(abs(expected), self.size)
            error = max(error, rounding, np.finfo(float).tiny)
            worst = max(worst, abs(float(np.mean(costs)) - expected) / error)
        return float(worst)

    def centralized(self, patience: float) -> dict[str, Float64]:
        """Solve the stacked game of N identical agents, N = 2, 3, 4, 6, 8, 12, ..."""
        rows, n_agents, d = [], 2, self.game.n_outputs
        while 16.0 * n_agents * (n_agents * d) ** 2 <= MAX_CENTRALIZED_BYTES:
            players = repeated(self.game, n_agents)
            began = perf_counter()
            stacked = solve_centralized_nash(players, n_threads=self.n_threads)
            seconds = perf_counter() - began
            own, other = stacked.gain[:, 0, :, :d], stacked.gain[:, 0, :, d : 2 * d]
            exact = solve_nash(self.game, n_agents)
            pairs = (
                (own - other, exact.gain),
                (n_agents * other, exact.mean_gain),
                (stacked.offset[:, 0], exact.offset),
            )
            rows.append((n_agents, seconds, _largest_difference(pairs)))
            if seconds > patience:
                break
            # Steps by a half keep the last solve within some five times the time limit.
            n_agents += n_agents // 2 if n_agents & (n_agents - 1) == 0 else n_agents // 3
        columns = np.array(rows, dtype=float).T
        return dict(zip(("n_agents", "seconds", "difference"), columns))


def repeated(game: Game, n_agents: int) -> NPlayerGame:
    """Return the N-player game of `n_agents` identical agents."""
    shape = (n_agents, *game.feature_mean.shape)
    return NPlayerGame(
        np.broadcast_to(game.feature_mean, shape),
        np.broadcast_to(game.feature_cov, (n_agents, *game.feature_cov.shape)),
        game.target,
        tracking=game.tracking,
        coupling=game.coupling,
        effort=game.effort,
        discount=game.discount,
        transition=game.transition,
        mean_transition=game.mean_transition,
        drift=game.drift,
    )


def relative_gap(policy: Policy, reference: Policy) -> float:
    """Return the largest relative difference of gain, mean gain and offset."""
    names = ("gain", "mean_gain", "offset")
    return _largest_difference([(getattr(policy, n), getattr(reference, n)) for n in names])


def _largest_difference(pairs: Sequence[tuple[Float64, Float64]]) -> float:
    """Gains have a common scale, offsets another one; rounding errors are not a scale."""
    sizes = [float(np.abs(reference).max()) for _, reference in pairs]
    gains = max(sizes[:2])
    scales = (gains, gains, max(sizes[2], 1e-9 * gains))
    worst = 0.0
    for (found, reference), scale in zip(pairs, scales):
        difference = float(np.abs(found - reference).max())
        worst = max(worst, difference / scale if scale > 0.0 else difference)
    return worst


def _timed(solve: Callable[[], object]) -> float:
    began = perf_counter()
    solve()
    return perf_counter() - began
