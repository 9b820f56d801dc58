"""Games of N different players, and their centralized Nash policy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from memoa import _core
from memoa._validate import Float64, as_float64, as_int, as_number, require_shape

_EMPTY = np.zeros(0)


@dataclass(frozen=True, eq=False, init=False, repr=False)
class NPlayerGame:
    """A game of N players who see every prediction and may all be different; immutable.

    Player i has its own dynamics and cost, those of a :class:`memoa.Game` in which the mean field
    is the mean of all N predictions. With server weights u_t it also pays
    ``w^i_t server_tracking |server_target_t - sum_j u_tj y^j_{t+1}|^2``, the cost of
    arXiv:2505.00216.

    Parameters
    ----------
    feature_mean : array_like, shape (N, T, d, p), float64
        Mean of the random features of every player at every stage.
    feature_cov : array_like, shape (N, T, p, d, d), or (N, T, p) when d = 1, float64
        Covariance of each column of these features; columns are independent.
    target : array_like, shape (N, T, d), or (T, d) for one target of all, float64
        Target of the next prediction.
    tracking : array_like, shape (N, d, d) or (d, d), or float, optional
        Weight of the tracking error. Default: the identity.
    coupling : array_like, shape (N, d, d) or (d, d), or float
        How much a player tracks the mean of all predictions rather than its target.
    effort : float or array_like, shape (N,)
        Price of the squared control, positive.
    discount : float or array_like, shape (N, T) or (T,)
        A rate, which means weights ``exp(-a (T - 1 - t))``, or the positive weights.
    transition, mean_transition : array_like, shape (N, T, d, d), (T, d, d) or (d, d), or float
        How a player's own prediction, and the mean of all, enter the next stage. Defaults: the
        identity, and zero.
    drift : array_like, shape (N, T, d) or (T, d), optional
        A known change of the prediction at each stage. Default: zero.
    server_weights : array_like, shape (T, N) or (N,), optional
        Weights u of the players' predictions in the server's. Default: no server.
    server_tracking : float
        Weight of the server's error, >= 0.
    server_target : array_like, shape (T, d), optional
        Target of the server. Default: `target`, if all players have the same.

    Attributes
    ----------
    n_players, horizon, n_outputs, n_features : int
        Number N of players, T of stages, d of outputs, and p of features.

    Raises
    ------
    TypeError, ValueError
        For bad data. The message names the argument and the player.

    Notes
    -----
    Theory section 2, docs/theory.md. The arrays are read-only and complete: they have every player
    and every stage.

    Examples
    --------
    >>> import memoa
    >>> features = [[[[1.0, 0.5]]] * 4, [[[0.2, 1.0]]] * 4]  # two players, four stages
    >>> memoa.NPlayerGame(features, [[[0.2, 0.2]] * 4] * 2, [[1.0]] * 4, coupling=0.5)
    NPlayerGame(n_players=2, horizon=4, n_outputs=1, n_features=2)
    """

    feature_mean: Float64
    feature_cov: Float64
    target: Float64
    tracking: Float64
    coupling: Float64
    effort: Float64
    discount: Float64
    transition: Float64
    mean_transition: Float64
    drift: Float64
    server_weights: Float64 | None
    server_tracking: float
    server_target: Float64 | None
    _core: _core.NPlayerGame = field(repr=False)

    def __init__(
        self,
        feature_mean: ArrayLike,
        feature_cov: ArrayLike,
        target: ArrayLike,
        *,
        tracking: ArrayLike = 1.0,
        coupling: ArrayLike = 0.0,
        effort: ArrayLike = 1.0,
        discount: ArrayLike = 0.0,
        transition: ArrayLike = 1.0,
        mean_transition: ArrayLike = 0.0,
        drift: ArrayLike = 0.0,
        server_weights: ArrayLike | None = None,
        server_tracking: float = 0.0,
        server_target: ArrayLike | None = None,
    ) -> None:
        mean = as_float64("feature_mean", feature_mean)
        require_shape(
            "feature_mean", mean, "(N, horizon, n_outputs, n_features)", (None, None, None, None)
        )
        n, stages, d, p = mean.shape
        cov = as_float64("feature_cov", feature_cov)
        if d == 1 and cov.ndim == 3:
            cov = cov.reshape(*cov.shape, 1, 1)
        require_shape(
            "feature_cov",
            cov,
            "(N, horizon, n_features, n_outputs, n_outputs)",
            (n, stages, p, d, d),
        )
        targets = as_float64("target", target)
        square, staged = (n, d, d), (n, stages, d, d)
        arrays = {
            "feature_mean": mean,
            "feature_cov": cov,
            "target": _spread("target", targets, (n, stages, d), least=2),
            "tracking": _spread("tracking", _times_identity("tracking", tracking, d), square),
            "coupling": _spread("coupling", _times_identity("coupling", coupling, d), square),
            "effort": _spread("effort", as_float64("effort", effort), (n,), least=0),
            "discount": _weights(discount, n, stages),
            "transition": _spread(
                "transition", _times_identity("transition", transition, d), staged
            ),
            "mean_transition": _spread(
                "mean_transition", _times_identity("mean_transition", mean_transition, d), staged
            ),
            "drift": _spread("drift", as_float64("drift", drift), (n, stages, d), least=0),
        }
        server: dict[str, Float64 | None] = {"server_weights": None, "server_target": None}
        if server_weights is not None:
            weights = as_float64("server_weights", server_weights)
            server["server_weights"] = _spread("server_weights", weights, (stages, n), least=1)
            server["server_target"] = _server_target(server_target, targets, (stages, d))
        elif server_target is not None or server_tracking != 0.0:
            raise ValueError(
                "server_weights is None; expected weights where server_target or server_tracking "
                "is given"
            )
        number = as_number("server_tracking", server_tracking)
        core = _core.NPlayerGame(
            **arrays,
            server_tracking=number,
            **{name: _EMPTY if array is None else array for name, array in server.items()},
        )
        for name, array in {**arrays, **server}.items():
            object.__setattr__(self, name, _read_only(array))
        object.__setattr__(self, "server_tracking", number)
        object.__setattr__(self, "_core", core)

    @property
    def n_players(self) -> int:
        """Number of players N."""
        return int(self.feature_mean.shape[0])

    @property
    def horizon(self) -> int:
        """Number of stages T."""
        return int(self.feature_mean.shape[1])

    @property
    def n_outputs(self) -> int:
        """Dimension d of a prediction."""
        return int(self.feature_mean.shape[2])

    @property
    def n_features(self) -> int:
        """Width p of a control."""
        return int(self.feature_mean.shape[3])

    def __repr__(self) -> str:
        """Show only sizes; the arrays are too long."""
        return (
            f"NPlayerGame(n_players={self.n_players}, horizon={self.horizon}, "
            f"n_outputs={self.n_outputs}, n_features={self.n_features})"
        )


@dataclass(frozen=True, eq=False)
class CentralizedPolicy:
    """The control of every player as a function of all predictions.

    ``control[i] = gain[t, i] Y + offset[t, i]`` with Y the N predictions one after the other.

    Attributes
    ----------
    gain : ndarray, shape (T, N, p, N d)
        Coefficients of all predictions, for every stage and player.
    offset : ndarray, shape (T, N, p)
        The constant part of every control.
    rcond : float
        Smallest reciprocal condition number (1-norm, estimated) of the stages' linear systems.

    Examples
    --------
    >>> import memoa
    >>> pair = memoa.NPlayerGame([[[[1.0]]] * 3] * 2, [[[0.1]] * 3] * 2, [[1.0]] * 3, coupling=0.5)
    >>> policy = memoa.solve_centralized_nash(pair)
    >>> policy.gain.shape  # three stages, two players, one feature, two predictions
    (3, 2, 1, 2)
    """

    gain: Float64
    offset: Float64
    rcond: float

    def __repr__(self) -> str:
        """Show sizes and condition."""
        stages, n, p = self.offset.shape
        return (
            f"CentralizedPolicy(horizon={stages}, n_players={n}, n_features={p}, "
            f"rcond={self.rcond:.3g})"
        )


def solve_centralized_nash(game: NPlayerGame, *, n_threads: int | None = None) -> CentralizedPolicy:
    """Compute the Nash policy of N different players who see everything, in one stacked system.

    The backward recursion solves for N d unknowns at each stage, in O(T N^4 d^3) time and
    O(N^2 d^2) memory per player. The tests check the cheaper solvers against it.

    Parameters
    ----------
    game : NPlayerGame
        The players, their dynamics and costs.
    n_threads : int, optional
        Default: all that the process may use. The result has the same bits for any number.

    Returns
    -------
    CentralizedPolicy

    Raises
    ------
    NumericalError
        If a stage's linear system is singular (there is no unique equilibrium) or overflows; the
        message names the stage.

    Notes
    -----
    Theory (2.1)-(2.3), docs/theory.md.

    Examples
    --------
    Two identical players give the result of :func:`memoa.solve_nash`.

    >>> import memoa
    >>> stages = dict(coupling=0.5, effort=0.5)
    >>> pair = memoa.NPlayerGame([[[[1.0]]] * 3] * 2, [[[0.1]] * 3] * 2, [[1.0]] * 3, **stages)
    >>> stacked = memoa.solve_centralized_nash(pair)
    >>> game = memoa.Game([[[1.0]]] * 3, [[0.1]] * 3, [[1.0]] * 3, **stages)
    >>> policy = memoa.solve_nash(game, 2)
    >>> own = policy.gain[0, 0, 0] + policy.mean_gain[0, 0, 0] / 2
    >>> bool(abs(stacked.gain[0, 0, 0, 0] - own) < 1e-12)
    True
    """
    if not isinstance(game, NPlayerGame):
        raise TypeError(f"game is a {type(game).__name__}; expected an NPlayerGame")
    threads = 0 if n_threads is None else as_int("n_threads", n_threads, 1, below=2**31)
    core = _core.solve_centralized_nash(game._core, n_threads=threads)
    return CentralizedPolicy(core.gain, core.offset, core.rcond)


def _times_identity(name: str, value: ArrayLike, d: int) -> Float64:
    """Return an array, or a number times the identity."""
    array = as_float64(name, value)
    return array * np.eye(d) if array.ndim == 0 else array


def _spread(name: str, array: Float64, shape: tuple[int, ...], least: int | None = None) -> Float64:
    """Repeat `array` over the leading axes that it omits; it has at least `least` axes."""
    least = min(2, len(shape)) if least is None else least
    if least <= array.ndim <= len(shape) and array.shape == shape[len(shape) - array.ndim :]:
        return np.ascontiguousarray(np.broadcast_to(array, shape))
    raise ValueError(
        f"{name} has shape {array.shape}; expected {shape}, or that without leading axes"
    )


def _weights(discount: ArrayLike, n: int, stages: int) -> Float64:
    weights = as_float64("discount", discount)
    if weights.ndim == 0:
        weights = _core.discount_weights(float(weights), stages)
    return _spread("discount", weights, (n, stages), least=1)


def _server_target(value: ArrayLike | None, targets: Float64, shape: tuple[int, int]) -> Float64:
    if value is not None:
        return _spread("server_target", as_float64("server_target", value), shape)
    if targets.ndim != 2:
        raise ValueError(
            "server_target is None; expected a target, because every player has its own"
        )
    return targets


def _read_only(array: Float64 | None) -> Float64 | None:
    """Return a read-only copy."""
    if array is None:
        return None
    copied: Float64 = array.copy()
    copied.setflags(write=False)
    return copied
