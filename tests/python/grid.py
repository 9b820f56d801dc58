"""An in-process grid: carries the messages of a federation, and loses some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from memoa.federated import Client, Exchange, Server

Reply = dict[str, Any]


def exchange(
    server: Server,
    clients: Mapping[int, Client],
    X: np.ndarray,
    Y: np.ndarray,
    *,
    away: Iterable[int] = (),
    late: Iterable[int] = (),
    change: Callable[[int, Reply], Reply] = lambda k, reply: reply,
) -> tuple[Exchange, dict[int, Reply]]:
    """One exchange, and the replies: who is away hears nothing, who is late answers for nothing."""
    replies = {}
    messages = server.ask(X, Y)
    for k, client in reversed(list(clients.items())):  # replies come in any order
        if k not in away:
            replies[k] = change(k, client.answer(messages[k]))
    for k in late:
        replies.pop(k)
    return server.hear(replies), replies


def run(
    server: Server,
    clients: Mapping[int, Client],
    X: np.ndarray,
    Y: np.ndarray,
    batch: int = 16,
    **losses: Any,
) -> np.ndarray:
    """Forecasts (T, d) of a whole series, a batch after the other."""
    shown = []
    for first in range(0, len(X), batch):
        steps = slice(first, first + batch)
        shown.append(exchange(server, clients, X[steps], Y[steps], **losses)[0].predictions)
    return np.concatenate(shown)
