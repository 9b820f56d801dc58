"""Encoders: how an agent turns an input into features. Plain settings; the core does the work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from memoa import _core
from memoa._validate import as_choice, as_int, as_number


@runtime_checkable
class Encoder(Protocol):
    """What :class:`memoa.OnlineEnsemble` accepts as an encoder."""

    def _to_core(self) -> _core.Encoder: ...


@dataclass(frozen=True)
class RandomFeatures:
    """Random features ``z = sqrt(2 / p) act(scale V x + v)`` of the standardised input x.

    The entries of V are N(0, 1 / dx); v is uniform on (-1, 1), for "cos" and "wave" on (0, 2 pi).
    Agent i draws its weights from a counter-based generator keyed by (random_state, i): it is the
    same agent in a population of any size.

    Parameters
    ----------
    n_features : int
        Width p of a feature.
    activation : {"relu", "tanh", "cos", "wave"}
        "wave" is a cosine made of parabolas: as good, a fraction of the time, and the same bits on
        every machine.
    scale : float
        Scale of the projection, > 0.
    n_raw : int
        Below n_features. With any, the first feature is a constant and as many of the next ones are
        inputs themselves, drawn for each agent: trends and lags need no random features. Where
        there are fewer inputs, the others are random features.
    n_columns : int
        Inputs that a random feature sees, drawn for each of them: their rows of V have entries
        N(0, 1 / n_columns). 0: all inputs. A panel takes ``n_raw=0, n_columns=0`` alone.
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

    The default of :class:`memoa.Panel`. In a :class:`memoa.OnlineEnsemble` agents of one type are
    then alike.
    """

    def _to_core(self) -> _core.Encoder:
        return _core.Encoder.linear()


@dataclass(frozen=True)
class EchoState:
    """Echo state: a leaky tanh reservoir ``r <- (1 - leak) r + leak tanh(W r + V x + v)``.

    The feature is ``sqrt(2 / p) r``. W is a random matrix scaled to the spectral radius, V and v
    are those of :class:`RandomFeatures`; the reservoir starts at 0 and moves only when a step is
    learnt.

    Parameters
    ----------
    n_features : int
        Width p of the reservoir.
    leak : float
        In (0, 1]: 1 forgets the last state but for the recurrence.
    radius : float
        Spectral radius of W, >= 0; below 1 the reservoir forgets its start.
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
    """Features from the caller: any black-box model.

    The input of a step is then the agents' features, shape (N, p), used as they are.

    Parameters
    ----------
    n_features : int
        Width p of a feature.
    """

    n_features: int

    def __post_init__(self) -> None:
        self._to_core().validate()

    def _to_core(self) -> _core.Encoder:
        return _core.Encoder.precomputed(as_int("n_features", self.n_features, 1))
