"""The forecasters that are compared by default, by their names in the tables."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

from memoa.ensemble import OnlineEnsemble
from memoa.forecasters.aggregation import BernsteinAggregation, ExponentialWeights, Rule
from memoa.forecasters.baselines import Aggregated, OnlineRidge, RepeatLast, Seasonal
from memoa.forecasters.protocol import Factory, Forecaster
from memoa.mixture import Mixture

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
    """Return forecasters by name, memoa first; those that are random have an argument `seed`.

    Parameters
    ----------
    **settings
        Settings of every `memoa.OnlineEnsemble` among them, such as ``n_agents=20``. A row about a
        setting (policy, mixture) keeps its own value.

    Returns
    -------
    dict of str to callable
    """

    def ensemble(seed: int, **own: Any) -> OnlineEnsemble:
        return OnlineEnsemble(**{**settings, **own, "random_state": seed})

    def aggregated(seed: int, rule: Callable[[], Rule], with_last: bool = False) -> Aggregated:
        return Aggregated(ensemble(seed, policy="greedy"), rule(), with_last=with_last)

    equal = Mixture(window=0, fallback=False, rivals=False, start=0)
    one_step = Mixture(window=1, absolute=True, ridge=1.0, fallback=False, rivals=False, start=0)
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


def _river(function: str) -> Factory:
    """Import river when it is used; only models that river seeds have a seed here."""

    def plain() -> Forecaster:
        made: Forecaster = getattr(importlib.import_module("memoa.forecasters.river"), function)()
        return made

    def seeded(seed: int) -> Forecaster:
        module = importlib.import_module("memoa.forecasters.river")
        made: Forecaster = getattr(module, function)(seed=seed)
        return made

    return seeded if function.startswith("adaptive") else plain
