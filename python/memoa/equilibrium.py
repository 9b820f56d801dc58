"""Policies of a game: Nash equilibria, the social optimum, and a short-sighted baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from memoa import _core
from memoa._core import Policy as CorePolicy
from memoa._validate import Float64, as_int, as_number, with_shape
from memoa.game import Game


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Policy:
    """A linear policy of an agent's own prediction and the mean field, an immutable value.

    ``control = gain prediction + mean_gain mean + offset`` (theory (3.4)). With K types of
    agents, the mean field stacks the types' means, K d numbers.

    Parameters
    ----------
    gain : array_like, shape (T, p, d), float64
        Coefficients of the agent's own prediction, for each of the T stages.
    mean_gain : array_like, shape (T, p, K d), float64
        Coefficients of the mean field.
    offset : array_like, shape (T, p), float64
        The constant part of the control.
    mean_map : array_like, shape (T, K d, K d), float64
        The matrix Phi of the flow of the mean field under the policy, ``m+ = Phi m + phi`` (theory
        (3.2)).
    mean_shift : array_like, shape (T, K d), float64
        The constant phi of that flow.
    rcond : float, optional
        Smallest reciprocal condition number, in the 1-norm, of the stages' linear systems. If it is
        near machine epsilon, the equilibrium is almost not unique.

    Examples
    --------
    >>> import memoa
    >>> game = memoa.Game([[1.0]], [0.1], [1.0], coupling=0.5, horizon=5)
    >>> policy = memoa.solve_mean_field(game)
    >>> policy.horizon, policy.gain.shape
    (5, (5, 1, 1))
    >>> policy.act(0, prediction=[[0.0], [2.0]], mean=[1.0]).shape  # controls of two agents
    (2, 1)
    >>> policy.mean_path([0.0]).shape  # the mean field before each stage and at the end
    (6, 1)
    """

    gain: Float64
    mean_gain: Float64
    offset: Float64
    mean_map: Float64
    mean_shift: Float64
    rcond: float
    _core: CorePolicy = field(repr=False)

    def __init__(
        self,
        gain: ArrayLike,
        mean_gain: ArrayLike,
        offset: ArrayLike,
        *,
        mean_map: ArrayLike,
        mean_shift: ArrayLike,
        rcond: float = float("nan"),
    ) -> None:
        own = with_shape("gain", gain, "(horizon, n_features, n_outputs)", (None, None, None))
        stages, p, _ = own.shape
        on_mean = with_shape(
            "mean_gain", mean_gain, "(horizon, n_features, mean size)", (stages, p, None)
        )
        size = on_mean.shape[2]
        core = _core.Policy(
            gain=own,
            mean_gain=on_mean,
            offset=with_shape("offset", offset, "(horizon, n_features)", (stages, p)),
            mean_map=with_shape(
                "mean_map", mean_map, "(horizon, mean size, mean size)", (stages, size, size)
            ),
            mean_shift=with_shape("mean_shift", mean_shift, "(horizon, mean size)", (stages, size)),
            rcond=as_number("rcond", rcond),
        )
        self._adopt(core)

    @classmethod
    def _of(cls, core: CorePolicy) -> Policy:
        policy = cls.__new__(cls)
        policy._adopt(core)
        return policy

    def _adopt(self, core: CorePolicy) -> None:
        object.__setattr__(self, "_core", core)
        for name in ("gain", "mean_gain", "offset", "mean_map", "mean_shift", "rcond"):
            object.__setattr__(self, name, getattr(core, name))

    @property
    def horizon(self) -> int:
        """Number of stages T."""
        return int(self.gain.shape[0])

    @property
    def n_features(self) -> int:
        """Width p of a control."""
        return int(self.gain.shape[1])

    @property
    def n_outputs(self) -> int:
        """Dimension d of a prediction."""
        return int(self.gain.shape[2])

    def mean_path(self, m0: ArrayLike) -> Float64:
        """Return the path of the mean field from `m0` under the policy.

        Parameters
        ----------
        m0 : array_like, shape (K d,), float64
            The mean field before the first stage.

        Returns
        -------
        ndarray, shape (T+1, K d)
        """
        size = self.mean_shift.shape[1]
        return self._core.mean_path(with_shape("m0", m0, "(mean size,)", (size,)))

    def act(self, t: int, prediction: ArrayLike, mean: ArrayLike) -> Float64:
        """Return the controls of N agents at stage `t`.

        Parameters
        ----------
        t : int
            Number of the stage, from 0 to T - 1.
        prediction : array_like, shape (N, d), float64
            The present predictions of the N agents: their states.
        mean : array_like, shape (K d,), float64
            The present mean field.

        Returns
        -------
        ndarray, shape (N, p)
        """
        stage = as_int("t", t, 0)
        if stage >= self.horizon:
            raise ValueError(f"t is {stage}; expected a stage from 0 to {self.horizon - 1}")
        states = with_shape("prediction", prediction, "(N, n_outputs)", (None, self.n_outputs))
        size = self.mean_shift.shape[1]
        return self._core.act(stage, states, with_shape("mean", mean, "(mean size,)", (size,)))

    def __repr__(self) -> str:
        """Show sizes and condition."""
        return (
            f"Policy(horizon={self.horizon}, n_outputs={self.n_outputs}, "
            f"n_features={self.n_features}, rcond={self.rcond:.3g})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the constructor's arguments."""
        keywords = {name: getattr(self, name) for name in ("mean_map", "mean_shift", "rcond")}
        return _rebuild, ((self.gain, self.mean_gain, self.offset), keywords)


def _rebuild(data: tuple[Float64, ...], keywords: dict[str, Any]) -> Policy:
    return Policy(*data, **keywords)


@overload
def solve_mean_field(game: Game, *, shares: None = None) -> Policy: ...
@overload
def solve_mean_field(
    game: Sequence[Game], *, shares: ArrayLike | None = None
) -> tuple[Policy, ...]: ...


def solve_mean_field(
    game: Game | Sequence[Game], *, shares: ArrayLike | None = None
) -> Policy | tuple[Policy, ...]:
    """Compute the decentralized mean-field Nash policy, by a backward Riccati recursion.

    The cost, O(T p d^2), does not depend on the number of agents. Given the mean field that the
    policy itself generates, the policy is the only optimum of each agent. Therefore it minimises
    the worst agent's cost over all decentralized policies.

    Parameters
    ----------
    game : Game, or a sequence of K Games
        One game per type of agents. Types share ``horizon`` and ``n_outputs``; everything else
        may differ.
    shares : array_like, shape (K,), optional
        Positive fractions of the population, summing to one. Default: equal shares.

    Returns
    -------
    Policy, or a tuple of K of them if a sequence was given
        ``mean_gain``, ``mean_map`` and ``mean_shift`` act on the stacked means of the K types.

    Raises
    ------
    NumericalError
        If a stage's linear system is singular to working precision (there is no unique
        equilibrium) or overflows; the message names the stage.

    Notes
    -----
    Theory (3.1)-(3.4) with the Woodbury form (1.6), docs/theory.md; arXiv:2605.05492.

    Examples
    --------
    >>> import memoa
    >>> game = memoa.Game([[1.0]], [0.0], [1.0], effort=1.0, horizon=20)
    >>> policy = memoa.solve_mean_field(game)
    >>> float(-policy.gain[0, 0, 0].round(6))  # the golden ratio minus one
    0.618034
    """
    if isinstance(game, Game):
        if shares is not None:
            raise ValueError("shares was given with one Game; expected a sequence of Games")
        return Policy._of(_core.solve_mean_field(game._core))
    if not isinstance(game, Sequence) or not all(isinstance(one, Game) for one in game):
        raise TypeError(f"game is a {type(game).__name__}; expected a Game or a sequence of Games")
    if not game:
        raise ValueError("game is an empty sequence; expected at least one Game")
    fractions = as_shares(shares, len(game)).tolist()
    solved = _core.solve_mean_field_types([one._core for one in game], fractions)
    return tuple(Policy._of(core) for core in solved)


def as_shares(shares: ArrayLike | None, n_types: int) -> Float64:
    """Return the fractions of the population, one per type; None means equal ones."""
    if shares is None:
        return np.full(n_types, 1.0 / n_types)
    return with_shape("shares", shares, "(number of games,)", (n_types,))


def solve_nash(game: Game, n_agents: int) -> Policy:
    """Compute the exact Nash policy of N identical agents, by a recursion in d x d matrices.

    Every agent knows that its own move shifts the mean by 1/N. The cost, O(T p d^2), does not
    depend on N.

    Parameters
    ----------
    game : Game
        What the agents are, and what they pay for.
    n_agents : int
        Number N of agents, at least 1. One agent gets its linear-quadratic optimum.

    Returns
    -------
    Policy
        A function of the own prediction and the mean of all N, own agent included. ``mean_map`` and
        ``mean_shift`` are the flow of the expected mean. As N grows, the policy tends to that of
        :func:`solve_mean_field`, at rate 1/N.

    Raises
    ------
    NumericalError
        If a stage's linear system is singular (there is no unique equilibrium) or overflows; the
        message names the stage.

    Notes
    -----
    Theory (4.1)-(4.3), docs/theory.md.

    Examples
    --------
    >>> import memoa
    >>> game = memoa.Game([[1.0]], [0.0], [1.0], coupling=0.5, horizon=5)
    >>> limit = memoa.solve_mean_field(game)
    >>> for n in (10, 100, 1000):
    ...     gap = abs(memoa.solve_nash(game, n).gain - limit.gain).max()
    ...     print(f"{n:5d} {n * gap:.3f}")
       10 0.128
      100 0.125
     1000 0.125
    """
    return Policy._of(_core.solve_nash(_one(game), as_int("n_agents", n_agents, 1)))


def solve_social_optimum(game: Game, n_agents: float = math.inf) -> Policy:
    """Compute the policy with the least average cost of N identical agents, if all play it.

    The price of anarchy compares the cost of an equilibrium with the cost of this policy.

    Parameters
    ----------
    game : Game
        What the agents are, and what they pay for.
    n_agents : int or inf
        Number N of agents, at least 1; the default is the limit of many agents.

    Returns
    -------
    Policy
        It exists and is unique for every coupling. ``mean_map`` and ``mean_shift`` are the flow
        of the expected mean.

    Raises
    ------
    NumericalError
        If the value overflows; the message names the stage.

    Notes
    -----
    Theory (7.2)-(7.4), docs/theory.md.

    Examples
    --------
    >>> import memoa
    >>> game = memoa.Game([[1.0]], [0.1], [1.0], coupling=0.8, horizon=5)
    >>> start = dict(mean=[0.0], cov=[[1.0]])
    >>> best = memoa.certify(game, memoa.solve_social_optimum(game, 50), 50, **start).cost
    >>> nash = memoa.certify(game, memoa.solve_nash(game, 50), 50, **start).cost
    >>> best < nash
    True
    """
    unlimited = isinstance(n_agents, float) and n_agents == math.inf
    number = math.inf if unlimited else float(as_int("n_agents", n_agents, 1))
    return Policy._of(_core.solve_social_optimum(_one(game), number))


def solve_myopic(game: Game) -> Policy:
    """Compute a short-sighted baseline: at each stage the best control for that stage alone.

    Later stages and the other agents are ignored: it minimises ``E |y+ - e|_Q^2 + g |b|^2``
    stage by stage. (``OnlineEnsemble(policy="greedy")`` is another baseline: it plays no game.)

    Parameters
    ----------
    game : Game
        What the agents are, and what they pay for.

    Returns
    -------
    Policy
        ``mean_gain`` is zero unless the mean field moves the predictions.

    Raises
    ------
    NumericalError
        If a stage overflows; the message names it.

    Examples
    --------
    >>> import memoa
    >>> game = memoa.Game([[1.0]], [0.0], [1.0], coupling=0.5, horizon=5)
    >>> memoa.solve_myopic(game).gain.ravel()
    array([-0.5, -0.5, -0.5, -0.5, -0.5])
    """
    return Policy._of(_core.solve_myopic(_one(game)))


def _one(game: Game) -> _core.Game:
    if not isinstance(game, Game):
        raise TypeError(f"game is a {type(game).__name__}; expected a Game")
    return game._core
