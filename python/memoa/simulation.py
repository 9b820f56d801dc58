"""Simulate a policy with many agents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from memoa import _core
from memoa._deprecated import renamed_argument
from memoa._shards import check, shard, share, threads
from memoa._validate import Float64, as_choice, as_float64, as_int, require_shape
from memoa.equilibrium import Policy, as_shares
from memoa.game import Game


@dataclass(frozen=True, eq=False)
class Simulation:
    """The result of one simulated run of a policy.

    Attributes
    ----------
    cost : ndarray, shape (N,)
        Cost of every agent of this process; its expectation is the game's cost. With K types,
        agents of one type are adjacent, in the order of the types.
    mean_path : ndarray, shape (T+1, K d)
        Mean prediction of every type's agents.
    type_sizes : tuple of K int
        Number of agents of every type.
    mean_cost, worst_cost : float
        Mean and largest of the agents' costs.
    worst_agent : int
        The agent with the largest cost; if several are equal, the first of them.
    agents : range
        Numbers of the agents in `cost`: all, or the share of this process. All other attributes
        describe all agents.

    Examples
    --------
    >>> import memoa
    >>> game = memoa.Game([[1.0, 0.5]], [0.2, 0.2], [1.0], coupling=0.5, horizon=4)
    >>> policy = memoa.solve_mean_field(game)
    >>> rollout = memoa.simulate(game, policy, 1000, mean=[0.0], cov=[[1.0]])
    >>> rollout.cost.shape, rollout.mean_path.shape
    ((1000,), (5, 1))
    >>> bool(rollout.cost[rollout.worst_agent] == rollout.worst_cost)
    True
    """

    cost: Float64 = field(repr=False)
    mean_path: Float64 = field(repr=False)
    type_sizes: tuple[int, ...]
    mean_cost: float
    worst_cost: float
    worst_agent: int
    agents: range

    def __repr__(self) -> str:
        """Show sizes and costs; the arrays are too long."""
        return (
            f"Simulation(n_agents={sum(self.type_sizes)}, horizon={len(self.mean_path) - 1}, "
            f"mean_cost={self.mean_cost:.6g}, worst_cost={self.worst_cost:.6g}, "
            f"worst_agent={self.worst_agent})"
        )


@renamed_argument("seed", "random_state")
def simulate(
    game: Game | Sequence[Game],
    policy: Policy | Sequence[Policy],
    n_agents: int,
    *,
    mean: ArrayLike,
    cov: ArrayLike,
    shares: ArrayLike | None = None,
    random_state: int = 0,
    mean_field: str = "empirical",
    n_threads: int | None = None,
    communicator: Any = None,
) -> Simulation:
    """Simulate a policy once, for N agents with Gaussian features and initial predictions.

    Parameters
    ----------
    game : Game, or a sequence of K Games
        The game of the agents of each type.
    policy : Policy, or a sequence of K Policies
        One policy for each type of agents.
    n_agents : int
        Number N of agents, up to some 10^7: the memory is N (d + 1) numbers.
    mean : array_like, shape (d,) or (K, d), float64
        Mean of the initial predictions, for all types or for each.
    cov : array_like, shape (d, d) or (K, d, d), float64
        Their covariance, symmetric and positive semi-definite.
    shares : array_like, shape (K,), optional
        Positive fractions of the population that sum to one, rounded to whole agents by largest
        remainder. Default: equal shares.
    random_state : int
        Seed of all random numbers, from 0 to 2^64 - 1. They depend only on this, the agent and the
        stage.
    mean_field : {"empirical", "limit"}
        What agents use as the mean field. "empirical": the means of the types' predictions.
        "limit": the path that the policy itself predicts from `mean`, so no agent
        communicates. Dynamics and costs always use the empirical mean.
    n_threads : int, optional
        Default: all that the process may use. The result has the same bits for any number.
    communicator : memoa.mpi.Communicator, optional
        Communicator of the processes that share the agents. All of them call this with the same
        arguments, and the result has the bits of one process.

    Returns
    -------
    Simulation

    Raises
    ------
    NumericalError
        If predictions or costs overflow.

    Notes
    -----
    Dynamics (1.1) and cost (1.2), docs/theory.md. A control is chosen before its features Z are
    seen. So, given the past, Z b is Gaussian with mean M b and covariance sum_k b_k^2 C[k]. Drawing
    it directly needs d normals instead of the p d of Z, and all results have the same distribution.

    Examples
    --------
    >>> import memoa
    >>> game = memoa.Game([[1.0, 0.5]], [0.2, 0.2], [1.0], coupling=0.5, horizon=4)
    >>> policy = memoa.solve_mean_field(game)
    >>> rollout = memoa.simulate(game, policy, 100_000, mean=[0.0], cov=[[1.0]])
    >>> exact = memoa.certify(game, policy, 100_000, mean=[0.0], cov=[[1.0]])
    >>> abs(rollout.mean_cost - exact.cost) < 0.03
    True
    """
    games = [game] if isinstance(game, Game) else list(game)
    policies = [policy] if isinstance(policy, Policy) else list(policy)
    for name, kind, values in (("game", Game, games), ("policy", Policy, policies)):
        for value in values:
            if not isinstance(value, kind):
                raise TypeError(
                    f"{name} holds a {type(value).__name__}; expected a {kind.__name__} or a "
                    f"sequence of them"
                )
    if not games:
        raise ValueError("game is an empty sequence; expected at least one Game")
    if len(policies) != len(games):
        raise ValueError(f"policy holds {len(policies)} policies; expected {len(games)}")
    n_types, d = len(games), games[0].n_outputs
    seed = as_int("random_state", random_state, 0, below=2**64)
    check(communicator)
    total = as_int("n_agents", n_agents, 1)
    agents = share("n_agents", total, communicator)
    n_threads = threads(n_threads, communicator)
    core = _core.simulate(
        [one._core for one in games],
        [one._core for one in policies],
        as_shares(shares, n_types).tolist(),
        len(agents),
        mean=_per_type("mean", mean, n_types, (d,)),
        cov=_per_type("cov", cov, n_types, (d, d)),
        seed=seed,
        limit=as_choice("mean_field", mean_field, ("empirical", "limit")) == "limit",
        n_threads=0 if n_threads is None else as_int("n_threads", n_threads, 1, below=2**31),
        shard=shard(agents, total, communicator),
    )
    return Simulation(
        cost=core.cost,
        mean_path=core.mean_path,
        type_sizes=tuple(core.type_sizes),
        mean_cost=core.mean_cost,
        worst_cost=core.worst_cost,
        worst_agent=core.worst_agent,
        agents=agents,
    )


def _per_type(name: str, value: ArrayLike, n_types: int, shape: tuple[int, ...]) -> Float64:
    """Return shape (K, *shape), from one array for all types or one for each."""
    array = as_float64(name, value)
    labels = ", ".join(["n_outputs"] * len(shape))
    if array.ndim == len(shape):
        require_shape(name, array, f"({labels}{',' if len(shape) == 1 else ''})", shape)
        return np.ascontiguousarray(np.broadcast_to(array, (n_types, *shape)))
    require_shape(name, array, f"(number of games, {labels})", (n_types, *shape))
    return array
