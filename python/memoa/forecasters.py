"""The forecasters that are compared by default: the rows of the forecasting table, by name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from memoa.aggregation import BernsteinAggregation, ExponentialWeights, Rule
from memoa.baselines import Aggregated, Forecaster, OnlineRidge, RepeatLast, Seasonal
from memoa.ensemble import OnlineEnsemble
from memoa.mixture import Mixture

Factory = Callable[..., Forecaster]

MEMOA, GREEDY, REPEAT = "memoa", "greedy", "repeat the last value"
EWA, BOA = "EWA of greedy agents", "BOA of greedy agents"
RIVER = {
    "river: linear, SGD": "linear",
    "river: linear, Bayesian": "bayesian",
    "river: nearest neighbours": "nearest",
    "river: Hoeffding adaptive tree": "adaptive_tree",
    "river: adaptive random forest": "adaptive_forest",
}


def standard_forecasters(**settings: Any) -> dict[str, Factory]:
    """Forecasters by name, memoa first; what differs by seed has an argument `seed`.

    Parameters
    ----------
    **settings
        Of every `memoa.OnlineEnsemble` among them, such as ``n_agents=20``. Where a row is about a
        setting (policy, mixture), it is the row's.

    Returns
    -------
    dict of str to callable
    """

    def ensemble(seed: int, **own: Any) -> OnlineEnsemble:
        return OnlineEnsemble(**{**settings, **own, "random_state": seed})

    def aggregated(seed: int, rule: Callable[[], Rule], with_last: bool = False) -> Aggregated:
        return Aggregated(ensemble(seed, policy="greedy"), rule(), with_last=with_last)

    equal = Mixture(window=0, fallback=False)
    one_step = Mixture(window=1, absolute=True, ridge=1.0, fallback=False)
    return {
        MEMOA: ensemble,
        GREEDY: partial(ensemble, policy="greedy"),
        "memoa, equal weights": partial(ensemble, mixture=equal),
        "greedy, one-step weights": partial(ensemble, policy="greedy", mixture=one_step),
        EWA: partial(aggregated, rule=ExponentialWeights),
        BOA: partial(aggregated, rule=BernsteinAggregation),
        "EWA, and the last value": partial(aggregated, rule=ExponentialWeights, with_last=True),
        "BOA, and the last value": partial(aggregated, rule=BernsteinAggregation, with_last=True),
        REPEAT: RepeatLast,
        "seasonal repetition": Seasonal,
        "online ridge": OnlineRidge,
        **{name: _river(function) for name, function in RIVER.items()},
    }


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


def _river(function: str) -> Factory:
    """Imports river where it is used; only those that are seeded there have a seed here."""

    def plain() -> Forecaster:
        made: Forecaster = getattr(importlib.import_module("memoa.baselines_river"), function)()
        return made

    def seeded(seed: int) -> Forecaster:
        module = importlib.import_module("memoa.baselines_river")
        made: Forecaster = getattr(module, function)(seed=seed)
        return made

    return seeded if function.startswith("adaptive") else plain
