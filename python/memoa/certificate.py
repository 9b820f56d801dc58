"""Exact expected cost and exploitability of a policy."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from memoa import _core
from memoa._validate import as_choice, as_int, with_shape
from memoa.equilibrium import Policy
from memoa.game import Game


@dataclass(frozen=True)
class Certificate:
    """Expected costs of one of N identical agents.

    Attributes
    ----------
    cost : float
        Expected cost if all agents play the policy, in squared units of the target.
    best_response_cost : float
        Expected cost if this agent alone plays its best response to the others.
    exploitability : float
        What the agent would gain by that; 0 for a Nash equilibrium. It is computed as a sum of
        squares, not as the difference of the two costs, so it stays exact if that difference is
        only rounding errors. A negative value within 1e-14 of the cost is reported as 0.

    Examples
    --------
    >>> import memoa
    >>> game = memoa.Game([[1.0, 0.5]], [0.2, 0.2], [1.0], coupling=0.5, horizon=4)
    >>> policy = memoa.solve_mean_field(game)
    >>> found = memoa.certify(game, policy, 10, mean=[0.0], cov=[[1.0]])
    >>> abs(found.cost - found.best_response_cost - found.exploitability) < 1e-12
    True
    """

    cost: float
    best_response_cost: float
    exploitability: float

    def __repr__(self) -> str:
        """Show six digits of each number."""
        return (
            f"Certificate(cost={self.cost:.6g}, best_response_cost={self.best_response_cost:.6g}, "
            f"exploitability={self.exploitability:.3g})"
        )


def certify(
    game: Game,
    policy: Policy,
    n_agents: int,
    *,
    mean: ArrayLike,
    cov: ArrayLike,
    mean_field: str = "empirical",
) -> Certificate:
    """Compute the cost and exploitability of a policy of N identical agents, exact for every N.

    Parameters
    ----------
    game : Game
        Dynamics and costs of the agents.
    policy : Policy
        Any policy of one type of agents.
    n_agents : int
        Number N of agents, at least 1. The time does not depend on it.
    mean : array_like, shape (d,), float64
        Mean of the agents' independent initial predictions.
    cov : array_like, shape (d, d), float64
        Their covariance, symmetric and positive semi-definite.
    mean_field : {"empirical", "limit"}
        What agents use as the mean field. "empirical": the mean of all predictions, their own
        included. "limit": the path that the policy itself predicts from `mean`, so no agent
        communicates.

    Returns
    -------
    Certificate

    Raises
    ------
    NumericalError
        If the value overflows; the message names the stage.

    Notes
    -----
    Theory (5.1) and (5.2), docs/theory.md. The best response knows the others' policy and every
    prediction. The exploitability is the expected sum of the stages' losses
    ``(b - b*)' R (b - b*)`` against the best response b*, not a difference of two large costs. It
    falls as 1/N^2 for the mean-field policy, and still has some seven exact digits at N = 10^9. The
    two costs are computed separately. Their difference is never negative beyond rounding errors,
    and checks the exploitability.

    Examples
    --------
    >>> import memoa
    >>> game = memoa.Game([[1.0, 0.5]], [0.2, 0.2], [1.0], coupling=0.5, horizon=4)
    >>> nash = memoa.solve_nash(game, 10)
    >>> memoa.certify(game, nash, 10, mean=[0.0], cov=[[1.0]]).exploitability < 1e-25
    True
    >>> policy = memoa.solve_mean_field(game)
    >>> memoa.certify(game, policy, 10, mean=[0.0], cov=[[1.0]]).exploitability > 1e-6
    True
    """
    if not isinstance(game, Game):
        raise TypeError(f"game is a {type(game).__name__}; expected a Game")
    if not isinstance(policy, Policy):
        raise TypeError(f"policy is a {type(policy).__name__}; expected a Policy")
    d = game.n_outputs
    return Certificate(
        *_core.certify(
            game._core,
            policy._core,
            as_int("n_agents", n_agents, 1),
            mean=with_shape("mean", mean, "(n_outputs,)", (d,)),
            cov=with_shape("cov", cov, "(n_outputs, n_outputs)", (d, d)),
            limit=as_choice("mean_field", mean_field, ("empirical", "limit")) == "limit",
        )
    )
