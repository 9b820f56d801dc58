"""What a forecaster is, and how one is made: ``predict_one`` and ``learn_one``."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from memoa._validate import Float64


@runtime_checkable
class Forecaster(Protocol):
    """What `memoa.compare` accepts.

    ``observe(y)``, where there is one, is called once with the value before the first step; and
    ``agent_rmse``, shape (N,), where there is one, fills the columns of the agents.
    """

    def predict_one(self, x: Float64) -> Any:
        """Forecast the y, shape (d,) or a number, that belongs to x, shape (dx,)."""

    def learn_one(self, x: Float64, y: Float64) -> Any:
        """Learn the y, shape (d,), that belongs to x."""


Factory = Callable[..., Forecaster]


def load_factory(name: str) -> tuple[str, Factory]:
    """Import ``package.module:factory``; returns the row's name, which is the factory's, and it.

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
    except (ImportError, AttributeError) as error:
        raise ValueError(f"forecaster {name!r} cannot be imported: {error}") from error
    if not callable(found):
        raise ValueError(
            f"forecaster {name!r} is of type {type(found).__name__}; expected something that, "
            "called without arguments or with seed=..., returns a forecaster"
        )
    return attribute, found


def takes_seed(factory: Factory) -> bool:
    """Whether it has an argument `seed` that is still free."""
    try:
        parameters: Mapping[str, Any] = inspect.signature(factory).parameters
    except (TypeError, ValueError):  # some builtins have no signature
        return False
    return "seed" in parameters


def make(name: str, factory: Factory, seed: int) -> Forecaster:
    """A new forecaster, checked to be one."""
    made = factory(seed=seed) if takes_seed(factory) else factory()
    for method in ("predict_one", "learn_one"):
        if not callable(getattr(made, method, None)):
            raise TypeError(
                f"forecaster {name!r} is of type {type(made).__name__}, which has no {method}; "
                "expected an object with predict_one(x) and learn_one(x, y)"
            )
    return made
