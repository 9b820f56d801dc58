"""The interface of a forecaster, ``predict_one`` and ``learn_one``, and how to make one."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from memoa._validate import Float64


@runtime_checkable
class Forecaster(Protocol):
    """What `memoa.compare` accepts.

    Two members are optional. ``observe(y)`` is called once with the value before the first step.
    ``agent_rmse``, shape (N,), fills the columns of the agents.

    Examples
    --------
    >>> import memoa
    >>> class Last:
    ...     value = 0.0
    ...     def predict_one(self, x):
    ...         return self.value
    ...     def learn_one(self, x, y):
    ...         self.value = y
    >>> found = memoa.compare(memoa.datasets.logistic_map(100), {"last": Last})
    >>> list(found.scores)
    ['last']
    """

    def predict_one(self, x: Float64) -> Any:
        """Forecast the y, shape (d,) or a number, that belongs to x, shape (dx,)."""

    def learn_one(self, x: Float64, y: Float64) -> Any:
        """Learn the y, shape (d,), that belongs to x."""


Factory = Callable[..., Forecaster]
METHODS = ("predict_one", "learn_one")


class ForecasterError(ValueError):
    """A forecaster raised, or returned something that is not a forecast."""


def one_line(error: object) -> str:
    """Describe an error (type and message), or a value, in one short line."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # its __str__ is user code too
        text = ""
    if isinstance(error, BaseException) and not isinstance(error, ForecasterError | ImportError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."


def load_factory(name: str) -> tuple[str, Factory]:
    """Import ``package.module:factory``; return the factory's name and the factory.

    Raises
    ------
    ValueError
        If it has another form, or there is no such module or attribute, or it cannot be called.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ValueError(f"forecaster is {name!r}; expected package.module:factory")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # importing runs user code, which may even exit
        raise ValueError(f"forecaster {name!r} cannot be imported: {one_line(error)}") from error
    if not callable(found):
        raise ValueError(
            f"forecaster {name!r} is of type {type(found).__name__}; expected something that, "
            "called without arguments or with seed=..., returns a forecaster"
        )
    return attribute, found


def takes_seed(factory: Factory) -> bool:
    """Return whether the factory has an argument `seed` without a value so far."""
    try:
        parameters: Mapping[str, Any] = inspect.signature(factory).parameters
    except Exception:  # some builtins have no signature
        return False
    return "seed" in parameters


def make(name: str, factory: Factory, seed: int) -> Forecaster:
    """Make a new forecaster, and check it.

    Raises
    ------
    ImportError
        If a package is missing.
    ForecasterError
        If the factory raises anything else.
    TypeError
        If the result has no `predict_one` or no `learn_one`.
    """
    try:
        made = factory(seed=seed) if takes_seed(factory) else factory()
        missing = [m for m in METHODS if not callable(getattr(made, m, None))]
    except (KeyboardInterrupt, ImportError):
        raise
    except BaseException as error:
        raise ForecasterError(f"{name}: making it raised {one_line(error)}") from error
    for method in missing:
        raise TypeError(
            f"forecaster {name!r} is of type {type(made).__name__}, which has no {method}; "
            "expected an object with predict_one(x) and learn_one(x, y)"
        )
    return made
