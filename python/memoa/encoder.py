"""Encoders turn an input into features. These classes are settings; the core does the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from memoa import _core
from memoa._validate import as_choice, as_int, as_number


@runtime_checkable
class Encoder(Protocol):
    """The interface of an encoder of :class:`memoa.OnlineEnsemble`."""

    def _to_core(self) -> _core.Encoder: ...


Encoders = Encoder | Sequence[Encoder]  # of all agents, or one per type


def encoders_of(value: Any) -> tuple[Encoder, ...]:
    """Return one encoder for all agents, or one per type.

    Raises
    ------
    TypeError
        If one of them is not an encoder.
    ValueError
        If there are none.
    """
    words = "RandomFeatures, EchoState, Linear or Precomputed"
    if not isinstance(value, (list, tuple)):
        if not isinstance(value, Encoder):
            raise TypeError(
                f"encoder is {value!r}; expected {words}, or a list of such, one per type"
            )
        return (value,)
    if not value:
        raise ValueError("encoder is empty; expected an encoder, or one per type")
    for k, one in enumerate(value):
        if not isinstance(one, Encoder):
            raise TypeError(f"encoder[{k}] is {one!r}; expected {words}")
    return tuple(value)


def precomputed(value: Encoders) -> Precomputed | None:
    """Return the encoder if the caller gives the agents' features, else None."""
    first = value[0] if isinstance(value, (list, tuple)) and value else value
    return first if isinstance(first, Precomputed) else None


@dataclass(frozen=True)
class RandomFeatures:
    """Random features ``z = sqrt(2 / p) act(scale V x + v)`` of the standardised input x.

    The entries of V are N(0, 1 / dx); v is uniform on (-1, 1), for "cos" and "wave" on (0, 2 pi).
    Agent i draws its weights from a counter-based generator keyed by (random_state, i): so it is
    the same agent in a population of any size.

    Parameters
    ----------
    n_features : int
        Number p of features of each agent.
    activation : {"relu", "tanh", "cos", "wave"}
        The nonlinear function. "wave" is a cosine made of parabolas: as good, much faster, and with
        the same bits on every machine.
    scale : float
        Scale of the projection, > 0: large values make features that vary quickly with the input.
    n_raw : int
        Number of features that are unchanged inputs, chosen at random for each agent; less than
        n_features. If it is not 0, the first feature is a constant. Trends and lags need no random
        features. With fewer inputs than this, the rest are random features.
    n_columns : int
        Number of inputs of each random feature, chosen at random; its row of V has entries
        N(0, 1 / n_columns). 0 means all inputs. A panel accepts only
        ``n_raw=0, n_columns=0``.

    Examples
    --------
    >>> import memoa
    >>> series = memoa.datasets.logistic_map()
    >>> ensemble = memoa.OnlineEnsemble(20, memoa.RandomFeatures(16, activation="cos"))
    >>> run = ensemble.run(series.X, series.Y, initial=series.initial)
    >>> run.server_rmse < run.repeat_last_rmse
    True
    """

    n_features: int = 12
    activation: Literal["relu", "tanh", "cos", "wave"] = "relu"
    scale: float = 1.0
    n_raw: int = 0
    n_columns: int = 0

    def __post_init__(self) -> None:
        as_choice("activation", self.activation, ("relu", "tanh", "cos", "wave"))
        self._to_core().validate()

    def _to_core(self) -> _core.Encoder:
        return _core.Encoder.random_features(
            as_int("n_features", self.n_features, 1),
            self.activation,
            as_number("scale", self.scale),
            as_int("n_raw", self.n_raw, 0),
            as_int("n_columns", self.n_columns, 0),
        )


@dataclass(frozen=True)
class Linear:
    """The standardised input itself: ``z = (1, x) / sqrt(dx + 1)``, of width dx + 1.

    The default of :class:`memoa.Panel`. In a :class:`memoa.OnlineEnsemble` it makes all agents of
    one type equal.

    Examples
    --------
    >>> import memoa
    >>> series = memoa.datasets.similar_households(n_clients=10, n=100)
    >>> panel = memoa.Panel(10, memoa.Linear())
    >>> run = panel.run(series.X, series.Y, initial=series.initial)
    >>> panel.mean_readout.shape  # a constant and the inputs
    (11, 1)
    """

    def _to_core(self) -> _core.Encoder:
        return _core.Encoder.linear()


@dataclass(frozen=True)
class EchoState:
    """Echo state: a leaky tanh reservoir ``r <- (1 - leak) r + leak tanh(W r + V x + v)``.

    Its state r is a fading memory of past inputs, and the features are ``sqrt(2 / p) r``. W is a
    random matrix scaled to the spectral radius, V and v are those of :class:`RandomFeatures`. The
    reservoir starts at 0 and moves only when a step is learnt.

    Parameters
    ----------
    n_features : int
        Number p of units of the reservoir.
    leak : float
        How quickly the state follows the inputs, in (0, 1]. With 1 the last state has an effect
        only through W.
    radius : float
        Spectral radius of W, >= 0: how long the memory lasts. Below 1 the reservoir forgets its
        start.

    Examples
    --------
    >>> import memoa
    >>> series = memoa.datasets.periodic()
    >>> ensemble = memoa.OnlineEnsemble(20, memoa.EchoState(16, leak=0.5))
    >>> run = ensemble.run(series.X, series.Y, initial=series.initial)
    >>> run.server_rmse < run.repeat_last_rmse
    True
    """

    n_features: int = 12
    leak: float = 0.3
    radius: float = 0.9

    def __post_init__(self) -> None:
        self._to_core().validate()

    def _to_core(self) -> _core.Encoder:
        return _core.Encoder.echo_state(
            as_int("n_features", self.n_features, 1),
            as_number("leak", self.leak),
            as_number("radius", self.radius),
        )


@dataclass(frozen=True)
class Precomputed:
    """Features that you compute yourself, with any model.

    The input of a step is then the agents' features, shape (N, p), which are used unchanged.

    Parameters
    ----------
    n_features : int
        Number p of features of each agent.

    Examples
    --------
    >>> import memoa
    >>> import numpy as np
    >>> series = memoa.datasets.logistic_map()
    >>> centres = np.linspace(0.0, 1.0, 10)[:, None]  # ten agents, each with a centre of its own
    >>> distance = series.X[:, None, :] - centres  # (steps, agents, 1)
    >>> features = np.concatenate([distance, distance**2], axis=2)
    >>> ensemble = memoa.OnlineEnsemble(10, memoa.Precomputed(2))
    >>> run = ensemble.run(features, series.Y, initial=series.initial)
    >>> run.server_rmse < run.repeat_last_rmse
    True
    """

    n_features: int

    def __post_init__(self) -> None:
        self._to_core().validate()

    def _to_core(self) -> _core.Encoder:
        return _core.Encoder.precomputed(as_int("n_features", self.n_features, 1))
