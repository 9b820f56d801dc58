"""Numerical checks of the theorems on any game: ``from memoa.verify import verify``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from memoa import Game
from memoa._deprecated import RenamedKeys, renamed_argument
from memoa._validate import Float64, as_int, as_number, with_shape
from memoa.verify.judge import FIT_FROM, FIT_TO, Check, judge, size_of, slopes_of
from memoa.verify.measure import Measure

ProgressCallback = Callable[[int, int, str], None]

SIZES = (2, *(10**k for k in range(1, 10)))
RENAMED = {
    name.format("greedy"): name.format("myopic")
    for name in ("{}_exploitability", "cost_{}", "worst_{}")
}


@dataclass(frozen=True, eq=False)
class Verification:
    """What `verify` measured, and the result of each check.

    Attributes
    ----------
    game : Game
        The game whose theorems were checked.
    mean, cov : ndarray, shapes (d,) and (d, d)
        Mean and covariance of the agents' initial predictions.
    seed : int
        Seed of the simulations.
    table : dict of str to ndarray, shape (sizes,)
        One row per N.

        - ``n_agents``
        - ``gain_gap``, the largest relative difference between the exact Nash policy and the
          mean-field policy, and ``gain_gap_times_n``
        - ``exploitability`` of the mean-field policy on the empirical mean, and
          ``exploitability_times_n2``
        - ``limit_exploitability``, if agents follow the precomputed flow
        - ``P_exploitability`` and ``cost_P``, an agent's exploitability and expected cost if all
          play policy P (``nash``, ``social``, ``myopic``, and ``cost_mean_field``)
        - ``least_difference``, the smallest, over all these policies, of the relative difference
          between the cost of the policy and that of the best response
        - ``apart``, the largest distance of the exploitability from that difference
        - ``price_of_anarchy``, the cost of Nash over that of the social optimum, in the game (1.2)
        - ``worst_P``, the largest cost of an agent in one simulation (NaN if N is too large to
          simulate)
        - ``seconds_mean_field`` and ``seconds_nash``, the fastest of several solves
    centralized : dict of str to ndarray
        ``n_agents``, ``seconds`` and ``difference`` (largest relative difference to `solve_nash`)
        of the stacked N-player solves.
    slopes : dict of str to float
        Fitted slopes in double logarithms of ``gain_gap``, ``exploitability`` and
        ``limit_exploitability`` against N; NaN if they are only rounding errors.
    checks : tuple of Check
        ``(name, measured, expected, passed)`` for each theorem.

    Examples
    --------
    >>> from memoa.verify import random_game, verify
    >>> found = verify(random_game(0), sizes=(2, 100, 10_000), simulate_up_to=100,
    ...                centralized_seconds=0.0)
    >>> found.table["n_agents"].astype(int)
    array([    2,   100, 10000])
    >>> [check.name for check in found.checks if not check.passed]
    []
    """

    game: Game
    mean: Float64
    cov: Float64
    seed: int
    table: dict[str, Float64]
    centralized: dict[str, Float64]
    slopes: dict[str, float]
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def summary(self) -> str:
        """The checks, one per line."""
        width = max(len(check.name) for check in self.checks)
        lines = [
            f"{'pass' if check.passed else 'FAIL'}  {check.name:<{width}}  "
            f"{check.measured:< 11.4g} {check.expected}"
            for check in self.checks
        ]
        done = sum(check.passed for check in self.checks)
        return "\n".join([*lines, f"{done} of {len(self.checks)} checks passed"])


@renamed_argument("seed", "random_state")
def verify(
    game: Game,
    *,
    mean: ArrayLike | None = None,
    cov: ArrayLike | None = None,
    random_state: int = 0,
    sizes: Sequence[int] = SIZES,
    simulate_up_to: int = 10**6,
    centralized_seconds: float = 10.0,
    monte_carlo_runs: int = 400,
    n_threads: int | None = None,
    progress: ProgressCallback | None = None,
) -> Verification:
    """Check every claim of the theory on one game, each as a number with a bound.

    Parameters
    ----------
    game : Game
        One type of agents.
    mean : array_like, shape (d,), float64, optional
        Mean of the initial predictions, which are independent over agents. Default: zero.
    cov : array_like, shape (d, d), float64, optional
        Their covariance. Default: the identity.
    random_state : int
        Seed of the simulations.
    sizes : sequence of int
        Numbers of agents. At least two of them must be from 100 to 10**7, where the rates are
        fitted.
    simulate_up_to : int
        Largest number of agents for which the worst agent is simulated.
    centralized_seconds : float
        The centralized game is solved for N = 2, 3, 4, 6, 8, 12, ... until a solve takes longer
        than this, or the next would need more than 2 GB.
    monte_carlo_runs : int
        Number of simulations of a hundred agents, at least 2. Their mean costs are compared with
        the certificates.
    n_threads : int, optional
        Threads of the simulations. Default: all that the process may use.
    progress : callable, optional
        Called as ``progress(done, total, what)`` before each step.

    Returns
    -------
    Verification

    Raises
    ------
    NumericalError
        If the mean-field game, or the game of one of the sizes, has no unique equilibrium.

    Notes
    -----
    Theory sections 2 to 5 and 7 in docs/theory.md; docs/theory-checked.md explains the
    numbers. All costs are those of (1.2). If its coupling stands for a consensus weight by (1.3), a
    term in y^i / N was dropped: the price of anarchy is that of (1.2), not of the consensus cost.

    Examples
    --------
    >>> from memoa.verify import random_game, verify
    >>> found = verify(random_game(0), sizes=(2, 100, 10_000), simulate_up_to=100,
    ...                centralized_seconds=0.0)
    >>> round(found.slopes["gain_gap"], 2), round(found.slopes["exploitability"], 2)
    (-1.0, -2.0)
    """
    d = game.n_outputs
    start = with_shape("mean", np.zeros(d) if mean is None else mean, "(n_outputs,)", (d,))
    cov = np.eye(d) if cov is None else cov
    spread = with_shape("cov", cov, "(n_outputs, n_outputs)", (d, d))
    agents = _sizes(sizes)
    limit = as_int("simulate_up_to", simulate_up_to, 0)
    patience = as_number("centralized_seconds", centralized_seconds)
    runs = as_int("monte_carlo_runs", monte_carlo_runs, 2)
    size = size_of(game, start, spread)
    seed = as_int("random_state", random_state, 0)
    measure = Measure(game, start, spread, size, seed, n_threads)
    total, tell = len(agents) + 3, progress or (lambda done, total, what: None)

    rows = []
    for done, n_agents in enumerate(agents):
        tell(done, total, f"{n_agents:,} agents")
        rows.append(measure.row(n_agents, n_agents <= limit))
    table = {name: np.array([row[name] for row in rows], dtype=float) for name in rows[0]}
    tell(total - 3, total, "solve times")
    table |= measure.seconds(agents)
    tell(total - 2, total, "simulation against certificate")
    deviation = measure.monte_carlo(runs)
    tell(total - 1, total, "centralized solves")
    centralized = measure.centralized(patience)
    tell(total, total, "done")
    slopes = slopes_of(table, size)
    checks = judge(table, slopes, centralized, deviation, size)
    columns = RenamedKeys(table, RENAMED)
    return Verification(game, start, spread, seed, columns, centralized, slopes, checks)


@renamed_argument("seed", "random_state")
def random_game(random_state: int = 0) -> Game:
    """Return a random game of moderate size that uses every field: d = 2, p = 4, T = 6.

    Parameters
    ----------
    random_state : int
        Seed of `numpy.random.default_rng`, at least 0.

    Returns
    -------
    Game
    """
    rng = np.random.default_rng(as_int("random_state", random_state, 0))
    d, p, stages = 2, 4, 6

    def covariances(*shape: int) -> Float64:
        root = rng.normal(size=(*shape, d, d)) / np.sqrt(d)
        return np.asarray(root @ np.swapaxes(root, -1, -2))

    return Game(
        rng.normal(size=(stages, d, p)) / np.sqrt(p),
        covariances(stages, p) / p,
        rng.normal(size=(stages, d)),
        tracking=covariances() + 0.5 * np.eye(d),
        coupling=rng.uniform(0.2, 0.6) * np.eye(d) + 0.1 * rng.normal(size=(d, d)),
        effort=float(rng.uniform(0.05, 1.0)),
        discount=float(rng.uniform(0.05, 0.3)),
        transition=np.eye(d) + 0.2 * rng.normal(size=(stages, d, d)),
        mean_transition=0.2 * rng.normal(size=(stages, d, d)),
        drift=0.2 * rng.normal(size=(stages, d)),
    )


def _sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    agents = tuple(sorted({as_int("sizes", n, 1) for n in sizes}))
    fitted = sum(FIT_FROM <= n <= FIT_TO for n in agents)
    if fitted < 2:
        raise ValueError(
            f"sizes has {fitted} entries from {FIT_FROM} to {FIT_TO}; expected at least two, "
            "between which the rates are fitted"
        )
    return agents
