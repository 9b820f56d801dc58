"""What client and server know of the data: `flwr run --run-config` says which."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from flwr.app import Context

import memoa

AGENTS = 8  # of each client, where there is one series


def is_panel(context: Context) -> bool:
    return str(context.run_config["series"]) == "panel"


def series() -> memoa.datasets.Series:
    return memoa.datasets.logistic_map()


def panel(context: Context) -> memoa.datasets.PanelSeries:
    """The whole panel. In a real federation every client has a file of its own members only."""
    config = context.run_config
    return _panel(str(config["panel"]), int(config["season"]), bool(config["log"]))


@lru_cache(maxsize=1)  # a process answers many messages
def _panel(path: str, season: int, log: bool) -> memoa.datasets.PanelSeries:
    if not path:
        return memoa.datasets.similar_households(n_clients=40, n=240)
    if not log:
        return memoa.datasets.load_long(path, season=season or None)
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]

    table = pd.read_csv(path)
    table["y"] = np.log(table["y"])
    return memoa.datasets.load_long(table, season=season or None)


def members(context: Context) -> list[int]:
    """How many members of the panel each client has."""
    clients = int(context.run_config["clients"])
    return [len(ids) for ids in np.array_split(panel(context).ids, clients)]


def part(context: Context) -> memoa.datasets.PanelSeries:
    """The members of this client."""
    whole = panel(context)
    sizes = members(context)
    k = int(context.node_config["partition-id"])
    at = slice(sum(sizes[:k]), sum(sizes[: k + 1]))
    return memoa.datasets.PanelSeries(
        whole.X[:, at],
        whole.Y[:, at],
        whole.initial[at],
        whole.ids[at],
        whole.times,
        whole.columns,
    )
