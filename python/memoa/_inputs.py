"""Checks the inputs of an ensemble, and converts them to float64 of the right shape and names.

The core checks the numbers themselves when it reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memoa._frames import Names, names_of, real_array, real_row, require_names
from memoa._validate import Flags, Float64, as_array, require_shape
from memoa.encoder import Encoders, precomputed


class Inputs(NamedTuple):
    """The inputs that an ensemble accepts, given its encoder and what it has seen so far.

    Attributes
    ----------
    owner : str
        Name of the class, for messages.
    encoder : Encoder or sequence of Encoder
    n_agents : int
    n_inputs : int or None
        None until an input was seen.
    names : ndarray of object or None
        None if no input was seen, or the inputs had no names.
    """

    owner: str
    encoder: Encoders
    n_agents: int
    n_inputs: int | None
    names: Names | None

    def row(self, x: Any) -> tuple[Float64, Names | None]:
        """Return one step's input, and its names, which only a dict has."""
        names = None
        if isinstance(x, Mapping):
            self._require_names_fit()
            array, names = real_row("x", x, self.names)
        else:
            array = real_array("x", x)
        shape = self._shape()
        require_shape("x", array, f"({self._labels()}{',' if len(shape) == 1 else ''})", shape)
        return array, names

    def rows(self, X: Any) -> tuple[Float64, Names | None]:
        """Return many steps' inputs, and the names of their columns."""
        names = None if self._given() else names_of(X)
        if self.n_inputs is not None:
            require_names(self.owner, self.names, names)
        array = real_array("X", X)
        self._require_rows(array)
        return array, names

    def _given(self) -> bool:
        return precomputed(self.encoder) is not None

    def _labels(self) -> str:
        return "n_agents, n_features" if self._given() else "n_inputs"

    def _shape(self) -> tuple[int | None, ...]:
        if (given := precomputed(self.encoder)) is not None:
            return self.n_agents, given.n_features
        return (self.n_inputs,)

    def _require_names_fit(self) -> None:
        if self._given():
            raise TypeError(
                "x is a dict; expected an array of the agents' features, shape (n_agents, "
                f"n_features) = {self._shape()}"
            )
        if self.n_inputs is not None and self.names is None:
            raise ValueError(
                f"x has names, but {self.owner} has seen inputs without names; expected an array "
                f"of shape (n_inputs,) = ({self.n_inputs},)"
            )

    def _require_rows(self, array: Float64) -> None:
        """Raise errors for the usual mistakes, as scikit-learn does."""
        shape = self._shape()
        if array.ndim == 1 and len(shape) == 1:
            raise ValueError(
                f"X has shape {array.shape}. Reshape your data: expected (n_steps, n_inputs), "
                "X.reshape(-1, 1) for a single input"
            )
        if array.ndim == 2 and array.shape[1] == 0:
            raise ValueError(
                f"X has 0 feature(s) (shape={array.shape}) while a minimum of 1 is required."
            )
        if array.ndim == 2 and len(shape) == 1 and shape[0] not in (None, array.shape[1]):
            raise ValueError(
                f"X has {array.shape[1]} features, but {self.owner} is expecting {shape[0]} "
                "features as input: its shape is (n_steps, n_inputs)"
            )
        require_shape("X", array, f"(n_steps, {self._labels()})", (None, *shape))


def one_target(name: str, y: Any, n_outputs: int | None) -> Float64:
    """Return one step's y, shape (d,); a number is a y with one output."""
    target = real_array(name, y)
    target = target.reshape(1) if target.ndim == 0 else target
    require_shape(name, target, "(n_outputs,)", (n_outputs,))
    return target


def awake_of(awake: Any, labels: str, shape: tuple[int, ...]) -> Flags | None:
    """Who is awake, a copy that the core reads; None where all are."""
    if awake is None:
        return None
    flags = as_array("awake", awake)
    if flags.dtype != np.bool_:
        raise TypeError(f"awake has dtype {flags.dtype}; expected bool")
    require_shape("awake", flags, labels, shape)
    return np.array(flags, order="C").view(np.uint8)


def initial_of(initial: Any, n_outputs: int, delay: int) -> Float64:
    """Return the value before a series, shape (d,), or the last delay + 1 values."""
    values = real_array("initial", initial)
    if delay == 0 or values.ndim != 2:
        return one_target("initial", initial, n_outputs)
    require_shape("initial", values, "(delay + 1, n_outputs)", (delay + 1, n_outputs))
    return values


def targets_of(
    Y: Any, n_steps: int, n_outputs: int | None, *, one_less: bool = False
) -> tuple[Float64, bool]:
    """Return every step's y, shape (T, d), and whether it was given as (T,).

    With `one_less` the y of the last step may be omitted.
    """
    targets = real_array("Y", Y)
    flat = targets.ndim == 1
    targets = targets[:, None] if flat else targets
    if one_less and n_steps > 1 and targets.shape[:1] == (n_steps - 1,):
        n_steps -= 1
    require_shape("Y", targets, "(n_steps, n_outputs)", (n_steps, n_outputs))
    return targets, flat


def recorded_agents(record: Any) -> NDArray[np.intp]:
    """Return the numbers of the agents to record, as a new array."""
    agents = np.asarray([] if record is None else record)
    if agents.size == 0:
        return np.zeros(0, dtype=np.intp)
    if agents.ndim != 1 or agents.dtype.kind not in "iu":
        raise TypeError(
            f"record has dtype {agents.dtype} and shape {agents.shape}; expected a sequence of "
            "agents' numbers"
        )
    return np.array(agents, dtype=np.intp)  # a copy: a Run makes its arrays read-only
