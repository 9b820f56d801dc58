"""The data of a linear-quadratic mean-field game."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from memoa import _core
from memoa._core import Game as CoreGame
from memoa._game_file import dump_game, read_game
from memoa._validate import Float64, as_float64, as_int, as_number, require_shape

_EMPTY = np.zeros(0)


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Game:
    r"""One type of agents in a linear-quadratic mean-field game, an immutable value.

    Agent i predicts :math:`y^i` (d numbers) and steers it by its readout :math:`b^i` (p numbers)
    through random features :math:`Z^i`; :math:`m` is the mean of all agents' predictions::

        y+ = A y + Abar m + f + Z b
        J  = E sum_t w_t ( |y+ - G m+ - e|_Q^2 + g |b|^2 )

    Arrays with a leading horizon T may also be given without it, for a single stage. Then
    ``horizon`` says how often this stage repeats.

    Parameters
    ----------
    feature_mean : array_like, shape (T, d, p), float64
        Mean M of the features.
    feature_cov : array_like, shape (T, p, d, d), or (T, p) when d = 1, float64
        Covariance C[k] of column k of the features, symmetric and positive semi-definite;
        columns are independent.
    target : array_like, shape (T, d), float64
        Target e of the next prediction.
    tracking : array_like, shape (d, d), or float, optional
        Weight Q of the tracking error, symmetric and positive semi-definite; a number means that
        times the identity. Default: the identity.
    coupling : array_like, shape (d, d), or float
        How much an agent tracks the mean field rather than its target (G). A consensus weight l
        with a tracking weight q is ``tracking=q + l, coupling=l / (q + l)`` with the target
        times ``q / (q + l)``.
    effort : float
        Price g > 0 of the squared control.
    discount : float or array_like, shape (T,)
        A rate a >= 0, which means weights ``exp(-a (T - 1 - t))``, or the positive weights w.
    transition, mean_transition : array_like, shape (T, d, d), or float, optional
        How the own prediction (A) and the mean field (Abar) enter the next stage; a number means
        that times the identity. Defaults: the identity, and zero.
    drift : array_like, shape (T, d), optional
        A known change f of the prediction at each stage. Default: zero.
    horizon : int, optional
        Number T of stages; needed if no array has a leading T.

    Attributes
    ----------
    n_outputs, n_features : int
        Dimension d of a prediction, and width p of a control.
    discount : ndarray, shape (T,)
        The weights w, also if a rate was given.

    Raises
    ------
    TypeError, ValueError
        For a bad argument. The message names it, the expected value and the actual one.

    Notes
    -----
    Theory (1.1) and (1.2) in docs/theory.md; the game of arXiv:2605.05492. The arrays are
    read-only and complete: they have every optional argument and every stage.

    Examples
    --------
    >>> import memoa
    >>> game = memoa.Game([[1.0, 0.5]], [0.2, 0.2], [1.0], coupling=0.5, horizon=4)
    >>> game
    Game(horizon=4, n_outputs=1, n_features=2)
    """

    feature_mean: Float64
    feature_cov: Float64
    target: Float64
    tracking: Float64
    coupling: Float64
    effort: float
    discount: Float64
    transition: Float64
    mean_transition: Float64
    drift: Float64
    horizon: int
    n_outputs: int
    n_features: int
    _core: CoreGame = field(repr=False)

    def __init__(
        self,
        feature_mean: ArrayLike,
        feature_cov: ArrayLike,
        target: ArrayLike,
        *,
        tracking: ArrayLike | None = None,
        coupling: ArrayLike = 0.0,
        effort: float = 1.0,
        discount: ArrayLike = 0.0,
        transition: ArrayLike | None = None,
        mean_transition: ArrayLike | None = None,
        drift: ArrayLike | None = None,
        horizon: int | None = None,
    ) -> None:
        mean = as_float64("feature_mean", feature_mean)
        if mean.ndim not in (2, 3) or 0 in mean.shape:
            raise ValueError(
                f"feature_mean has shape {mean.shape}; expected (horizon, n_outputs, n_features), "
                "none of them 0, or (n_outputs, n_features) if horizon is given"
            )
        d, p = mean.shape[-2:]
        cov = _covariance(as_float64("feature_cov", feature_cov), d, p)
        staged: dict[str, tuple[Float64, tuple[int, ...], str]] = {
            "feature_mean": (mean, (d, p), "n_outputs, n_features"),
            "feature_cov": (cov, (p, d, d), "n_features, n_outputs, n_outputs"),
            "target": (as_float64("target", target), (d,), "n_outputs"),
            "transition": (_square("transition", transition, d), (d, d), "n_outputs, n_outputs"),
            "mean_transition": (
                _square("mean_transition", mean_transition, d),
                (d, d),
                "n_outputs, n_outputs",
            ),
            "drift": (
                _EMPTY if drift is None else as_float64("drift", drift),
                (d,),
                "n_outputs",
            ),
        }
        stages = _horizon(horizon, staged)
        _core.require_game_memory(stages, d, p)
        for name, (array, stage, labels) in staged.items():
            if array is _EMPTY or array.shape == stage:
                continue
            require_shape(name, array, f"(horizon, {labels})", (stages, *stage))
        tracking_array = _square("tracking", tracking, d)
        coupling_array = _square("coupling", coupling, d)
        for name, array in (("tracking", tracking_array), ("coupling", coupling_array)):
            if array is not _EMPTY:
                require_shape(name, array, "(n_outputs, n_outputs)", (d, d))
        core = _core.Game(
            horizon=stages,
            n_outputs=d,
            n_features=p,
            tracking=tracking_array,
            coupling=coupling_array,
            effort=as_number("effort", effort),
            discount=_discount(discount, stages),
            **{name: array for name, (array, _, _) in staged.items()},
        )
        object.__setattr__(self, "_core", core)
        for name in (*staged, "tracking", "coupling", "discount", "effort"):
            object.__setattr__(self, name, getattr(core, name))
        for name, value in (("horizon", stages), ("n_outputs", d), ("n_features", p)):
            object.__setattr__(self, name, value)

    def save(self, path: str | Path) -> None:
        """Write the game as readable JSON; `load` reads back the same bits.

        Parameters
        ----------
        path : str or Path
            Overwritten if it exists.

        Notes
        -----
        The keys are the constructor's arguments, plus ``"format": "memoa-game 1"``. Nested lists
        give the shapes. A file may also be written by hand, with anything that the constructor
        accepts.
        """
        dump_game(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Game:
        """Read a game from JSON; keys with a default in the constructor may be omitted.

        Parameters
        ----------
        path : str or Path
            The file to read.

        Returns
        -------
        Game

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is not a valid game; one line that names the file and the key.
        """
        data = read_game(path)
        try:
            return cls(**data)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: {textwrap.shorten(str(error), 300)}") from None

    def __repr__(self) -> str:
        """Show only sizes; the arrays are too long."""
        return (
            f"Game(horizon={self.horizon}, n_outputs={self.n_outputs}, "
            f"n_features={self.n_features})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the constructor's arguments."""
        keywords = (
            "tracking",
            "coupling",
            "effort",
            "discount",
            "transition",
            "mean_transition",
            "drift",
        )
        data = (self.feature_mean, self.feature_cov, self.target)
        return _rebuild, (data, {name: getattr(self, name) for name in keywords})


def _rebuild(data: tuple[Float64, ...], keywords: dict[str, Any]) -> Game:
    return Game(*data, **keywords)


def _covariance(cov: Float64, d: int, p: int) -> Float64:
    """Reshape (T, p) or (p,) of a single output to (T, p, 1, 1) or (p, 1, 1)."""
    if d == 1 and cov.ndim in (1, 2) and cov.shape[-1] == p:
        return cov.reshape(*cov.shape, 1, 1)
    return cov


def _square(name: str, value: ArrayLike | None, d: int) -> Float64:
    """Return an array unchanged, a number times the identity, or None."""
    if value is None:
        return _EMPTY
    array = as_float64(name, value)
    return array * np.eye(d) if array.ndim == 0 else array


def _horizon(horizon: int | None, staged: dict[str, tuple[Float64, tuple[int, ...], str]]) -> int:
    if horizon is not None:
        return as_int("horizon", horizon, 1, below=2**63)
    for array, stage, _ in staged.values():
        if array.ndim == len(stage) + 1 and array.shape[0] > 0:
            return int(array.shape[0])
    raise ValueError("horizon is None and no array has a leading horizon; expected horizon=T")


def _discount(discount: ArrayLike, stages: int) -> Float64:
    weights = as_float64("discount", discount)
    if weights.ndim == 0:
        return _core.discount_weights(float(weights), stages)
    require_shape("discount", weights, "a rate or weights of shape (horizon,)", (stages,))
    return weights
