"""The server's online weights of the agents' predictions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from numpy.typing import ArrayLike

from memoa import _core
from memoa._deprecated import warn_renamed
from memoa._validate import (
    Float64,
    as_float64,
    as_int,
    as_number,
    require_shape,
    season_of,
    with_shape,
)


@dataclass(frozen=True)
class Mixture:
    """How the server weights the agents: settings for an ensemble.

    :func:`mixture_weights` is the formula of the weights. :class:`ServerMixture` is the engine that
    applies these settings to any predictions.

    Parameters
    ----------
    window : int
        Number of past steps that count. 0 always means equal weights.
    decay : float
        Weight of a step relative to the next later one, in (0, 1].
    ridge : float
        Pull towards equal weights, > 0, in units of N times the mean squared error of the agents
        in the window.
    total : float
        Sum of the weights, at most 1e100 in size.
    absolute : bool
        Whether the ridge is the penalty itself, in squared units of the target. With ``window=1``
        and without `fallback` this is the one-step rule of arXiv:2505.00216.
    fallback : bool
        Without `rivals`: average the mixture with the last value seen, by exponential weights of
        their past squared errors, theory (6.7). If the agents know nothing, the server repeats the
        last value.
    rivals : bool
        Use the mixture as one of several rivals, theory (6.15), instead of `fallback`. The others
        are the agents with exponential weights of their errors, seasonal repetition, and the last
        value. The server follows the best of them, also if it changes.
    start : int
        Number of steps that are learnt before the server begins; until then it repeats the last
        value.

    Examples
    --------
    >>> import memoa
    >>> series = memoa.datasets.logistic_map()
    >>> plain = memoa.Mixture(window=0, rivals=False, fallback=False)  # the mean of all agents
    >>> ensemble = memoa.OnlineEnsemble(20, mixture=plain)
    >>> run = ensemble.run(series.X, series.Y, initial=series.initial)
    >>> bool(abs(ensemble.weights - 1 / 20).max() < 1e-12)
    True
    """

    window: int = 48
    decay: float = 0.99
    ridge: float = 0.1
    total: float = 1.0
    absolute: bool = False
    fallback: bool = True
    rivals: bool = True
    start: int = 2

    def __post_init__(self) -> None:
        self._to_core()

    def _to_core(self, season: int = 0, delay: int = 0) -> _core.Mixture:
        """Return the core's settings; `season` in steps, 0 for none, -1 to find it online."""
        return _core.Mixture(
            window=as_int("window", self.window, 0),
            decay=as_number("decay", self.decay),
            ridge=as_number("ridge", self.ridge),
            total=as_number("total", self.total),
            absolute=bool(self.absolute),
            fallback=bool(self.fallback),
            rivals=bool(self.rivals),
            season=season,
            start=as_int("start", self.start, 0),
            delay=delay,
        )


def mixture_weights(
    predictions: ArrayLike,
    targets: ArrayLike,
    *,
    ridge: float = 0.1,
    total: float = 1.0,
    decay: float = 1.0,
    absolute: bool = False,
) -> Float64:
    """Compute the weights of N agents that were best over the last W steps.

    Minimises ``sum_s decay^(age of s) |y_s - sum_i u_i yhat^i_s|^2 + kappa |u|^2`` over weights u
    that sum to `total`, with ``kappa = ridge N (mean squared error)``, or ``kappa = ridge`` with
    `absolute`. It is solved in the dual, with W d unknowns instead of N.

    Parameters
    ----------
    predictions : array_like, shape (W, N, d), or (N, d) for one step, float64
        Predictions of the N agents in the last W steps, the latest step last.
    targets : array_like, shape (W, d), or (d,) for one step, float64
        The values that belong to these predictions.
    ridge : float
        Pull towards equal weights, > 0: see kappa above.
    total : float
        Sum of the weights.
    decay : float
        Weight of a step relative to the next later one, in (0, 1].
    absolute : bool
        Whether `ridge` is kappa itself, or relative to the agents' errors.

    Returns
    -------
    ndarray, shape (N,)
        The weights; they are equal if no agent has made any error.

    Raises
    ------
    NumericalError
        If the weights overflow.

    Notes
    -----
    Theory (6.3)-(6.5), docs/theory.md. One step with ``absolute=True`` is the rule of
    arXiv:2505.00216.

    Examples
    --------
    >>> import memoa
    >>> memoa.mixture_weights([[1.0], [3.0]], [1.5], ridge=1e-9).round(6)
    array([0.75, 0.25])
    """
    shown = as_float64("predictions", predictions)
    if shown.ndim == 2:
        shown = shown[None]
        wanted = with_shape("targets", targets, "(n_outputs,)", (shown.shape[2],))[None]
    else:
        wanted = as_float64("targets", targets)
    require_shape("predictions", shown, "(window, n_agents, n_outputs)", (None, None, None))
    window, _, d = shown.shape
    require_shape("targets", wanted, "(window, n_outputs)", (window, d))
    settings = Mixture(window=window, decay=decay, ridge=ridge, total=total, absolute=absolute)
    return _core.mixture_weights(shown, wanted, settings._to_core())


class ServerMixture:
    """The server's online mixture: an engine that owns the window of past predictions.

    A step reads the window once (W N d numbers). Weights are computed only on request. Until three
    steps are learnt (one with `absolute`), the weights are equal.

    Parameters
    ----------
    n_agents, n_outputs : int
        Number N of agents, and number d of values that each predicts.
    window, decay, ridge, total, absolute, fallback, rivals, start
        See :class:`Mixture`. The last value seen is the last target. Before the first target, the
        forecast is the plain mixture.
    season : {"auto"}, int or None
        Period of seasonal repetition in steps; "auto": found online among lags of up to 60 steps.
    n_threads : int, optional
        Default: all that the process may use. The results do not depend on it.

    Examples
    --------
    >>> import memoa
    >>> server = memoa.ServerMixture(n_agents=2, ridge=0.1, decay=1.0)
    >>> for y in range(20):
    ...     forecast = server.predict([[y], [y + 1.0]])  # the first agent is right
    ...     server.update([[y], [y + 1.0]], [y])
    >>> forecast.round(3), server.shares[3].round(3)  # the last value has no share
    (array([19.001]), array([0.]))
    """

    def __init__(
        self,
        n_agents: int,
        n_outputs: int = 1,
        *,
        window: int = 48,
        decay: float = 0.99,
        ridge: float = 0.1,
        total: float = 1.0,
        absolute: bool = False,
        fallback: bool = True,
        rivals: bool = True,
        start: int = 2,
        season: Literal["auto"] | int | None = "auto",
        n_threads: int | None = None,
    ) -> None:
        self.n_agents = as_int("n_agents", n_agents, 1)
        self.n_outputs = as_int("n_outputs", n_outputs, 1)
        self.settings = Mixture(window, decay, ridge, total, absolute, fallback, rivals, start)
        self.season = season
        self.n_threads = (
            None if n_threads is None else as_int("n_threads", n_threads, 1, below=2**31)
        )
        self._build()

    def _build(self) -> None:
        settings = self.settings._to_core(season_of(self.season))
        self._core = _core.ServerMixture(
            self.n_agents, self.n_outputs, settings, self.n_threads or 0
        )

    @property
    def weights(self) -> Float64:
        """The present weights, shape (N,), a new array."""
        return self._core.weights()

    @property
    def mixture_weight(self) -> Float64:
        """Deprecated, use `shares`: this is ``1 - shares[3]``, shape (d,)."""
        warn_renamed("mixture_weight", "shares: this is 1 - shares[3]")
        return self._core.mixture_weight()

    @property
    def shares(self) -> Float64:
        """Shares in the forecast, shape (4, d), see `OnlineEnsemble.shares`."""
        return self._core.shares()

    @property
    def forecast_weights(self) -> Float64:
        """Weights in the forecast, shape (N, d), see `OnlineEnsemble.forecast_weights`."""
        return self._core.forecast_weights()

    def predict(self, predictions: ArrayLike) -> Float64:
        """Return the server's forecast, shape (d,), from predictions of shape (N, d)."""
        return self._core.predict(self._shown(predictions))

    def update(self, predictions: ArrayLike, target: ArrayLike) -> None:
        """Add a step's predictions (N, d) and target (d,) to the window."""
        wanted = with_shape("target", target, "(n_outputs,)", (self.n_outputs,))
        self._core.update(self._shown(predictions), wanted)

    def _shown(self, predictions: ArrayLike) -> Float64:
        return with_shape(
            "predictions", predictions, "(n_agents, n_outputs)", (self.n_agents, self.n_outputs)
        )

    def __repr__(self) -> str:
        """Show the settings and the number of learnt steps."""
        settings = ", ".join(f"{k}={v}" for k, v in asdict(self.settings).items())
        return (
            f"ServerMixture(n_agents={self.n_agents}, n_outputs={self.n_outputs}, {settings}; "
            f"{self._core.steps} steps learnt)"
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings and all that was learnt."""
        state = {k: v for k, v in self.__dict__.items() if k != "_core"}
        return {**state, "memory": self._core.memory()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state, with the same bits."""
        memory = state.pop("memory")
        self.__dict__.update(state)
        self._build()
        self._core.restore(memory)
