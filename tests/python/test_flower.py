"""`memoa.flower`: on a grid in this process, in Flower's simulation engine, and deployed."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

import grid
import memoa
from helpers import assert_close, assert_same_bits
from memoa.federated import Client, PanelClient, PanelServer, Server

if sys.version_info < (3, 11):
    pytest.skip("Flower needs Python 3.11", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("flwr", "1.42", reason="needs the extra memoa[flower]")
    from flwr.app import Context, RecordDict
    from flwr.app import Message as Envelope
    from flwr.serverapp import Grid
    from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
    from flwr.supercore.task_identity import TaskIdentity

    from memoa import flower


@pytest.fixture(autouse=True)
def _in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Flower's own processes set before an app runs."""
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 0)


SERIES = memoa.datasets.logistic_map()
SIZES = (5, 6, 5)


class Node:
    """A SuperNode: its context, and how it fails."""

    def __init__(self, number: int, size: int) -> None:
        config = {"partition-id": number, "num-partitions": size}
        self.context = Context(0, 100 + number, config, RecordDict(), {})  # type: ignore[arg-type]
        self.silent = self.broken = self.late = False


class LocalGrid(Grid):
    """Calls the ClientApp in this process; replies come in another order than the messages."""

    def __init__(self, app: Any, nodes: Iterable[Node]) -> None:
        self.app, self.nodes = app, {node.context.node_id: node for node in nodes}
        self.replies: dict[str, Envelope] = {}
        self.sent = 0

    def set_run(self, run: Any) -> None: ...
    @property
    def run(self) -> Any: ...
    def create_message(self, *args: Any, **kwargs: Any) -> Any: ...
    def send_and_receive(self, *args: Any, **kwargs: Any) -> Any: ...
    def get_node_ids(self) -> list[int]:
        return list(self.nodes)

    def push_messages(self, messages: Iterable[Envelope]) -> list[str]:
        ids = []
        for message in messages:
            self.sent += 1
            node = self.nodes[message.metadata.dst_node_id]
            name = str(self.sent)
            message.metadata.__dict__["_message_id"] = name
            ids.append(name)
            if node.silent:
                continue
            reply = self.app(message, node.context)
            reply.metadata.__dict__["_reply_to_message_id"] = name
            reply.metadata.__dict__["_src_node_id"] = message.metadata.dst_node_id
            if node.broken:
                reply.content["arrays"].pop("energies", None)
            self.replies[name] = reply
            if node.late:  # it has learnt, and its reply comes when nobody waits for it any more
                self.replies[f"late {name}"] = self.replies.pop(name)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Envelope]:
        return [self.replies.pop(k) for k in reversed(list(message_ids)) if k in self.replies]


def make_client(context: Context) -> Client:
    k = int(context.node_config["partition-id"])
    return Client(SIZES[k], random_state=k)


def run_app(app: Any, local: LocalGrid) -> None:
    app(local, Context(0, 0, {}, RecordDict(), {}))


def ensemble_app(found: dict[str, Any], **settings: Any) -> Any:
    def after(context: Context, server: Any, result: Any) -> None:
        found["server"], found["result"] = server, result

    return flower.server_app(
        lambda context: Server(SIZES),
        lambda context: SERIES,
        after=after,
        **({"deadline": 0.3, "patience": 5.0} | settings),
    )


def expected(**losses: Any) -> np.ndarray:
    clients = {k: Client(n, random_state=k) for k, n in enumerate(SIZES)}
    return grid.run(Server(SIZES).observe(SERIES.initial), clients, SERIES.X, SERIES.Y, **losses)


def local_grid(client: Any = None) -> LocalGrid:
    return LocalGrid(client or flower.client_app(make_client), [Node(k, 3) for k in range(3)])


def test_it_gives_the_bits_of_the_federation_itself() -> None:
    found: dict[str, Any] = {}
    run_app(ensemble_app(found), local_grid())
    assert_same_bits(found["result"], expected())


@pytest.mark.parametrize("fault", ["silent", "broken", "late"])
def test_who_does_not_reply_well_is_absent(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    found: dict[str, Any] = {}
    local = local_grid()
    link = flower._Link(local, 3, 0.2, 5.0)
    link.meet(3)
    setattr(local.nodes[101], fault, True)
    server = Server(SIZES).observe(SERIES.initial)
    link._begun = True
    with caplog.at_level(logging.WARNING):
        found = flower._lead(server, link, SERIES, 100, lambda: None)
    assert ("client 1 has no 'energies'" in caplog.text) == (fault == "broken")
    assert_same_bits(found, expected(batch=100, away=[1]))
    setattr(local.nodes[101], fault, False)
    messages = server.ask(SERIES.X[:16], SERIES.Y[:16])  # it is back, and has caught up
    assert server.hear(link.exchange(server, messages)).present == (0, 1, 2)


def test_a_node_cannot_take_the_place_of_another_one(caplog: pytest.LogCaptureFixture) -> None:
    local = local_grid()
    for node_id, number in ((900, 1), (901, 7)):
        local.nodes[node_id] = Node(number, 3)
    link = flower._Link(local, 3, 0.2, 5.0)
    link.meet(3)
    assert link._nodes == {0: 100, 1: 101, 2: 102}
    assert "node 900 says it is client 1, which is here already" in caplog.text
    assert "node 901 says it is client 7 of 3" in caplog.text
    del local.nodes[101], local.nodes[901]
    link._strangers.clear()
    link._greet(0.2)
    assert link._nodes[1] == 900  # once it has left


def test_too_few_clients_are_an_error() -> None:
    local = local_grid()
    del local.nodes[102]
    with pytest.raises(TimeoutError, match="2 clients came within 0.1 s; expected 3"):
        run_app(ensemble_app({}, patience=0.1), local)
    found: dict[str, Any] = {}
    run_app(ensemble_app(found, patience=0.1, least=2), local)
    assert_same_bits(found["result"], expected(away=[2]))


@pytest.mark.parametrize("new", [False, True])
def test_a_server_goes_on_from_its_checkpoint(new: bool, tmp_path: Any) -> None:
    """And so it does in a new run of Flower, for which the nodes' contexts are new."""
    file = tmp_path / "server.npz"
    local, found = local_grid(), {}
    half = memoa.datasets.Series(
        "half", SERIES.X[:96], SERIES.Y[:96], SERIES.initial, SERIES.columns, SERIES.targets
    )
    app = flower.server_app(lambda c: Server(SIZES), lambda c: half, checkpoint=lambda c: file)
    run_app(app, local)
    app = ensemble_app(found, checkpoint=lambda context: file)
    run_app(app, local_grid() if new else local)
    assert_same_bits(found["result"], expected()[96:])


def panel_of(seed: int = 0) -> memoa.datasets.PanelSeries:
    return memoa.datasets.similar_households(n_clients=9, n=96, random_state=seed)


def test_a_panel_goes_by_its_own_series() -> None:
    whole, shown, found = panel_of(), np.zeros((96, 9, 1)), {}

    def part(context: Context) -> memoa.datasets.PanelSeries:
        at = slice(3 * int(context.node_config["partition-id"]), None)
        ids = whole.ids[at][:3]
        return memoa.datasets.PanelSeries(
            whole.X[:, at][:, :3],
            whole.Y[:, at][:, :3],
            whole.initial[at][:3],
            ids,
            whole.times,
            whole.columns,
        )

    def keep(context: Context, client: PanelClient, run: memoa.PanelRun) -> None:
        first = 3 * int(context.node_config["partition-id"])
        at = slice(client.steps - len(run.predictions), client.steps)
        shown[at, first : first + 3] = run.predictions

    client = flower.client_app(lambda context: PanelClient(3), part, after=keep)
    app = flower.server_app(
        lambda context: PanelServer([3] * 3, whole.X.shape[2] + 1),
        lambda context: 96,
        batch=12,
        after=lambda context, server, result: found.update(readout=result),
    )
    run_app(app, local_grid(client))
    awake = np.zeros((96, 9), bool)
    awake[11::12] = True
    panel = memoa.Panel(9, consensus=0.0)
    run = panel.run(whole.X, whole.Y, initial=whole.initial, awake=awake)
    assert_close(shown, run.predictions, 1e-12)
    panel.predict_one(whole.X[-1])  # forms the readout of the last exchange
    assert_close(found["readout"], panel.mean_readout, 1e-12)


def test_other_records_are_no_message() -> None:
    with pytest.raises(ValueError, match="this is not a message of a federation"):
        flower.unpack(RecordDict())


def test_the_bytes_of_the_documentation_are_those_sent() -> None:
    """docs/many-machines.md: eight agents, 16 steps of the logistic series."""
    server, client = Server([8]).observe(SERIES.initial), Client(8, random_state=0)
    message = server.ask(SERIES.X[:16], SERIES.Y[:16])[0]
    for fields, expected in ((message, 296), (client.answer(message), 2064)):
        arrays = [value for value in fields.values() if isinstance(value, np.ndarray)]
        assert sum(value.nbytes for value in arrays) + 8 * (len(fields) - len(arrays)) == expected
        envelope = Envelope(flower.pack(fields), dst_node_id=1, message_type="query", ttl=60.0)
        objects = get_all_nested_objects(envelope).values()
        added = sum(len(one.deflate()) for one in objects) - expected
        assert added / (len(arrays) + 1) == pytest.approx(460, abs=30)
