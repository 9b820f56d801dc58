"""Federations on Flower: `memoa.federated` over its Message API. Needs the extra ``memoa[flower]``.

A ServerApp sends every client a batch of steps and uses the replies that arrive in time. A
ClientApp keeps its client in ``context.state``, because each message may be handled by a new
process.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memoa.datasets import PanelSeries, Series
from memoa.federated import Client, PanelClient, PanelServer, Server
from memoa.federated.messages import Message
from memoa.panel_run import PanelRun

try:
    from flwr.app import Array, ArrayRecord, ConfigRecord, Context, RecordDict
    from flwr.app import Message as Envelope
    from flwr.clientapp import ClientApp
    from flwr.serverapp import Grid, ServerApp
except ImportError as error:
    raise ImportError(
        "memoa.flower needs Flower 1.42 or newer, on Python 3.11 or newer: "
        "pip install 'memoa[flower]'"
    ) from error

__all__ = ["client_app", "server_app"]

_KIND = "query"
_log = logging.getLogger("memoa.flower")


def pack(message: Mapping[str, Any]) -> RecordDict:
    """Convert a message of `memoa.federated` to Flower's records."""
    arrays = {name: np.asarray(v) for name, v in message.items() if isinstance(v, np.ndarray)}
    numbers: Any = {name: int(v) for name, v in message.items() if name not in arrays}
    return RecordDict(
        {
            "arrays": ArrayRecord({name: Array(value) for name, value in arrays.items()}),
            "numbers": ConfigRecord(numbers),
        }
    )


def unpack(content: RecordDict) -> Message:
    """Return the message that was packed.

    Raises
    ------
    ValueError
        If the records were not made by `pack`.
    """
    try:
        records: Mapping[str, Any] = content
        arrays = {name: value.numpy() for name, value in records["arrays"].items()}
        return {**records["numbers"], **arrays}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this is not a message of a federation: {error!r}") from error


# -------------------------------------------------------------------- the client


def client_app(
    make: Callable[[Context], Client | PanelClient],
    series: Callable[[Context], PanelSeries] | None = None,
    *,
    after: Callable[[Context, PanelClient, PanelRun], object] | None = None,
) -> ClientApp:
    """Make a ClientApp that runs a client of a federation.

    Its number is ``context.node_config["partition-id"]``. Its state, with the seed of its encoders,
    is kept in ``context.state``.

    Parameters
    ----------
    make : callable(context)
        Makes the `Client`, or the `PanelClient`, at the first message.
    series : callable(context), optional
        For a `PanelClient`: returns the series of its members, a `memoa.datasets.PanelSeries`,
        which never leaves this process. The server says how many of its steps have passed.
    after : callable(context, client, run), optional
        For a `PanelClient`: called with the members' forecasts of each exchange. Use the forecasts
        here; the server does not see them.

    Returns
    -------
    flwr.clientapp.ClientApp
    """

    def answer(envelope: Envelope, context: Context) -> Envelope:
        message = unpack(envelope.content)
        number = int(context.node_config["partition-id"])
        if "hello" in message:
            return Envelope(pack({"client": number}), reply_to=envelope)
        client = _restored(context) or make(context)
        if isinstance(client, Client):
            reply = client.answer(message)
        else:
            if series is None:
                raise TypeError("series is None; expected the series of the members of a panel")
            reply = _step(context, client, message, series(context), after)
        if not (isinstance(client, Client) and len(reply["forecasts"]) == 0):  # it learnt something
            kind = type(client).__name__
            context.state["memoa"] = ConfigRecord({"kind": kind, "state": client.to_bytes()})
        return Envelope(pack({"client": number, **reply}), reply_to=envelope)

    app = ClientApp()
    app.query()(answer)
    return app


def _restored(context: Context) -> Client | PanelClient | None:
    if "memoa" not in context.state:
        return None
    kept = context.state["memoa"]
    state: Any = kept["state"]
    return Client.from_bytes(state) if kept["kind"] == "Client" else PanelClient.from_bytes(state)


def _step(
    context: Context,
    client: PanelClient,
    message: Message,
    series: PanelSeries,
    after: Callable[[Context, PanelClient, PanelRun], object] | None,
) -> Message:
    """Run the members' own steps up to the one that the server names."""
    client.receive(message)
    start, until = client.steps, min(int(message["until"]), len(series.Y))
    if until > start:
        run = client.run(
            series.X[start:until],
            series.Y[start:until],
            initial=None if start else series.initial,
        )
        if after is not None:
            after(context, client, run)
    return client.reply()


# -------------------------------------------------------------------- the server


def server_app(
    make: Callable[[Context], Server | PanelServer],
    series: Callable[[Context], Series | int],
    *,
    batch: int | Callable[[Context], int] = 16,
    least: int | None = None,
    deadline: float = 60.0,
    patience: float = 600.0,
    checkpoint: Callable[[Context], str | os.PathLike[str] | None] = lambda context: None,
    after: Callable[[Context, Any, Any], object] | None = None,
) -> ServerApp:
    """Make a ServerApp that runs a federation over a series, with one exchange per batch.

    Parameters
    ----------
    make : callable(context)
        Makes the `Server`, or the `PanelServer`.
    series : callable(context)
        For a `Server`: returns the series, a `memoa.datasets.Series`, whose inputs and values are
        sent to the clients. For a `PanelServer`: returns the number of steps.
    batch : int or callable(context)
        Steps between exchanges. A deployed exchange takes seconds, whatever its size.
    least : int, optional
        Number of clients to wait for before the first exchange. Default: all.
    deadline : float
        Seconds that an exchange waits for replies. A client that has not replied by then is absent
        from this exchange, and may come back in any later one.
    patience : float
        Seconds that the first exchange waits, while Flower starts its processes.
    checkpoint : callable(context), optional
        Returns the path of a file for the server's state. It is written after each exchange,
        completely or not at all. If the file exists at the start, the server continues from it.
        None: no checkpoints.
    after : callable(context, server, result), optional
        Called at the end. For a `Server` the result are the forecasts (T, d) of the steps since the
        start or the checkpoint, for a `PanelServer` the crowd's readout (p, d).

    Returns
    -------
    flwr.serverapp.ServerApp

    Raises
    ------
    TimeoutError
        When it runs, if fewer than `least` clients come within `patience`.
    """

    def main(grid: Grid, context: Context) -> None:
        path = checkpoint(context)
        server = make(context)
        if path is not None and Path(path).exists():
            server = type(server).from_bytes(Path(path).read_bytes())
        size = len(server.agents if isinstance(server, Server) else server.members)
        link = _Link(grid, size, deadline, patience)
        link.meet(size if least is None else least)
        save = _saver(server, path)
        data, steps = series(context), batch(context) if callable(batch) else batch
        result: Any
        if isinstance(server, Server):
            if isinstance(data, int):
                raise TypeError(f"series is {data}; expected a memoa.datasets.Series")
            result = _lead(server, link, data, steps, save)
        else:
            n_steps = data if isinstance(data, int) else len(data.Y)
            result = _lead_panel(server, link, n_steps, steps, save)
        if after is not None:
            after(context, server, result)

    app = ServerApp()
    app.main()(main)
    return app


def _lead(
    server: Server, link: _Link, series: Series, batch: int, save: Callable[[], None]
) -> np.ndarray:
    """Return forecasts (T, d) of the steps that the server has not learnt yet."""
    if server.steps == 0:
        server.observe(series.initial)
    shown = [np.zeros((0, series.Y.shape[1]))]
    for first in range(server.steps, len(series.Y), batch):
        steps = slice(first, first + batch)
        replies = link.exchange(server, server.ask(series.X[steps], series.Y[steps]))
        shown.append(server.hear(replies).predictions)
        save()
    return np.concatenate(shown)


def _lead_panel(
    server: PanelServer, link: _Link, n_steps: int, batch: int, save: Callable[[], None]
) -> np.ndarray:
    """Return the crowd's readout (p, d) after the steps."""
    for first in range(server.exchanges * batch, n_steps, batch):
        until = min(first + batch, n_steps)
        messages = {k: {**message, "until": until} for k, message in server.ask().items()}
        server.hear(link.exchange(server, messages))
        save()
    return server.mean_readout


def _saver(server: Server | PanelServer, path: Any) -> Callable[[], None]:
    def save() -> None:
        if path is None:
            return
        beside = Path(f"{path}.new")
        with beside.open("wb") as file:
            file.write(server.to_bytes())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)

    return save


class _Link:
    """Knows which node is which client, and exchanges messages with them within a time."""

    PAUSE = 0.02  # seconds between two checks for replies

    def __init__(self, grid: Grid, size: int, deadline: float, patience: float) -> None:
        self._grid, self._size = grid, size
        self._deadline, self._patience = deadline, patience
        self._nodes: dict[int, int] = {}  # by client
        self._strangers: set[int] = set()  # nodes that are not clients of this federation
        self._begun = False

    def meet(self, least: int) -> None:
        """Wait until that many clients have identified themselves."""
        end = time.monotonic() + self._patience
        while len(self._nodes) < least:
            self._greet(max(end - time.monotonic(), 1.0))
            if len(self._nodes) < least and time.monotonic() > end:
                raise TimeoutError(
                    f"{len(self._nodes)} clients came within {self._patience} s; expected {least}"
                )
            time.sleep(0.0 if len(self._nodes) >= least else 0.5)

    def _greet(self, seconds: float) -> None:
        """Ask new nodes which client they are. A place is free once its node has left."""
        here = set(self._grid.get_node_ids())
        self._nodes = {k: node for k, node in self._nodes.items() if node in here}
        new = here - set(self._nodes.values()) - self._strangers
        replies = self._carry({node: {"hello": 1} for node in new}, seconds)
        for node, reply in sorted(replies.items()):
            k = reply.get("client")
            if not isinstance(k, int) or k not in range(self._size):
                _log.warning("node %s says it is client %r of %s", node, k, self._size)
                self._strangers.add(node)
            elif k in self._nodes:
                _log.warning("node %s says it is client %s, which is here already", node, k)
                self._strangers.add(node)
            else:
                self._nodes[k] = node

    def exchange(
        self, server: Server | PanelServer, messages: Mapping[int, Message]
    ) -> dict[int, Message]:
        """Return the replies of the present clients that answer in time, each of them checked."""
        self._greet(min(self._deadline, 10.0))
        seconds = self._deadline if self._begun else max(self._patience, self._deadline)
        self._begun = True
        end = time.monotonic() + seconds
        good = self._ask(server, messages, seconds)
        if isinstance(server, Server):
            left = end - time.monotonic()
            again = server.ask_again(good)
            if again and left > 0.0:  # they have lost their state, as in a new run
                good |= self._ask(server, again, left)
        return good

    def _ask(
        self, server: Server | PanelServer, messages: Mapping[int, Message], seconds: float
    ) -> dict[int, Message]:
        """Return the valid replies of the present clients that have a message."""
        nodes = {k: node for k, node in self._nodes.items() if k in messages}
        replies = self._carry({node: messages[k] for k, node in nodes.items()}, seconds)
        good = {}
        for k, node in nodes.items():
            if node not in replies:
                continue
            try:
                server.check(k, replies[node])
                good[k] = replies[node]
            except (TypeError, ValueError) as error:
                _log.warning("a reply is left out: %s", error)
        return good

    def _carry(self, messages: Mapping[int, Message], seconds: float) -> dict[int, Message]:
        """Return replies by node; later replies are ignored and expire."""
        sent = [
            Envelope(pack(message), dst_node_id=node, message_type=_KIND, ttl=seconds)
            for node, message in messages.items()
        ]
        waiting = {one for one in self._grid.push_messages(sent) if one}
        replies: dict[int, Message] = {}
        end = time.monotonic() + seconds
        while waiting and time.monotonic() < end:
            for envelope in self._grid.pull_messages(list(waiting)):
                waiting.discard(envelope.metadata.reply_to_message_id)
                node = envelope.metadata.src_node_id
                if envelope.has_error():
                    _log.warning("node %s failed: %s", node, envelope.error.reason)
                    continue
                try:
                    replies[node] = unpack(envelope.content)
                except ValueError as error:
                    _log.warning("node %s: %s", node, error)
            if waiting:
                time.sleep(self.PAUSE)
        return replies
