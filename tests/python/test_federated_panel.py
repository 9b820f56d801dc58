"""A federated panel: the readouts of one process, whoever is away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import memoa
from helpers import assert_close, assert_same_bits
from memoa.federated import PanelClient, PanelServer

SIZES = (3, 2, 4, 3)
ENDS = np.cumsum((0, *SIZES))
BATCH = 6


def panel_series(n: int = 61, d: int = 1, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Inputs (n, N, 2), targets (n, N, d) with gaps, and values before them."""
    rng = np.random.default_rng(seed)
    N = sum(SIZES)
    X = rng.normal(size=(n, N, 2))
    Y = np.cumsum(X @ rng.normal(size=(2, d)) + 0.5 * rng.normal(size=(n, N, d)), axis=0)
    Y *= 10.0 ** rng.integers(-2, 3, N)[:, None]
    Y[rng.random((n, N)) < 0.05] = np.nan
    initial = rng.normal(size=(N, d))
    Y[:9, 1], initial[1] = np.nan, np.nan  # who comes later
    return X, Y, initial


def mine(k: int) -> slice:
    return slice(ENDS[k], ENDS[k + 1])


class Federation:
    """Clients with a part of a panel's series each, and their server."""

    def __init__(self, X: np.ndarray, Y: np.ndarray, initial: np.ndarray, **settings: Any) -> None:
        self.X, self.Y, self.initial = X, Y, initial
        self.server = PanelServer(SIZES, X.shape[2] + 1, Y.shape[2], **settings)
        self.clients = {k: PanelClient(n) for k, n in enumerate(SIZES)}
        self.shown = np.full(Y.shape, np.nan)

    def exchange(self, until: int, away: Any = (), change: Any = lambda k, reply: reply) -> None:
        """Everybody steps on; who is away does so on its own."""
        messages, replies = self.server.ask(), {}
        for k, client in self.clients.items():
            if k not in away:
                client.receive(messages[k])
            at = slice(client.steps, until)
            start = None if client.steps else self.initial[mine(k)]
            run = client.run(self.X[at, mine(k)], self.Y[at, mine(k)], initial=start)
            self.shown[at, mine(k)] = run.predictions
            if k not in away:
                replies[k] = change(k, client.reply())
        self.server.hear(replies)


def one_process(
    X: np.ndarray, Y: np.ndarray, initial: np.ndarray, away: dict[int, tuple[int, ...]], **kw: Any
) -> tuple[np.ndarray, memoa.Panel]:
    """A panel whose clients are awake at exchanges alone, and go by what they were last sent."""
    panel = memoa.Panel(len(initial), consensus=0.0, **kw)
    panel.observe(initial)
    shown = []
    held = np.zeros((len(initial), Y.shape[2], X.shape[2] + 1))
    for number, first in enumerate(range(0, len(X), BATCH)):
        last = min(first + BATCH, len(X))
        awake = np.zeros((last - first, len(initial)), bool)
        for k in range(len(SIZES)):
            awake[-1, mine(k)] = k not in away.get(number, ())
        if number:
            memory = panel._engine.memory()  # type: ignore[union-attr]
            memory |= _exchanged(panel, memory)
            for k in set(range(len(SIZES))) - set(away.get(number, ())):
                held[mine(k)] = memory["mean_readout"]
            memory |= {"held": held, "asleep": np.ones(len(initial))}
            panel._engine.restore(memory)  # type: ignore[union-attr]
        shown.append(panel.run(X[first:last], Y[first:last], awake=awake).predictions)
    memory = panel._engine.memory()  # type: ignore[union-attr]
    panel._engine.restore(memory | _exchanged(panel, memory))  # type: ignore[union-attr]
    return np.concatenate(shown), panel


def _exchanged(panel: memoa.Panel, memory: dict[str, Any]) -> dict[str, Any]:
    """The exchange that is due, by a copy that forecasts a step which nobody learns."""
    import copy

    twin = copy.deepcopy(panel)
    twin._engine.predict(np.zeros((panel.n_clients, 2)))  # type: ignore[union-attr]
    after = twin._engine.memory()  # type: ignore[union-attr]
    return {name: after[name] for name in ("mean_readout", "center", "spread", "due")}


@pytest.mark.parametrize("aggregate", ["trimmed", "mean", "clip"])
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("away", [{}, {1: (0,), 3: (0, 2), 4: (2, 3), 6: (0, 1, 2, 3)}])
def test_it_gives_the_numbers_of_one_process(aggregate: Any, d: int, away: Any) -> None:
    X, Y, initial = panel_series(d=d)
    federation = Federation(X, Y, initial, aggregate=aggregate)
    for number, first in enumerate(range(0, len(X), BATCH)):
        federation.exchange(min(first + BATCH, len(X)), away.get(number, ()))
    shown, panel = one_process(X, Y, initial, away, aggregate=aggregate)
    assert np.isfinite(shown).mean() > 0.9
    assert_close(np.nan_to_num(federation.shown), np.nan_to_num(shown), 1e-12)
    assert_close(federation.server.mean_readout, panel.mean_readout, 1e-12)
    assert federation.server.exchanges == number + 1


def test_an_exchange_is_worth_it() -> None:
    """Late joiners gain most: what they are sent is more than they know."""
    series = memoa.datasets.similar_households(n_clients=sum(SIZES), n=200)
    one = Federation(series.X, series.Y, series.initial)
    for until in range(10, 201, 10):
        one.exchange(until)
    alone = Federation(series.X, series.Y, series.initial)
    alone.exchange(200)
    scores = [np.sqrt(np.nanmean((part.shown - series.Y)[:60] ** 2)) for part in (one, alone)]
    assert scores[0] < scores[1]


def test_restarts_change_no_bit() -> None:
    X, Y, initial = panel_series()
    expected, again = Federation(X, Y, initial), Federation(X, Y, initial)
    for until in range(BATCH, 61, BATCH):
        expected.exchange(until)
        again.exchange(until)
        again.server = PanelServer.from_bytes(again.server.to_bytes())
        states = {k: client.to_bytes() for k, client in again.clients.items()}
        again.clients = {k: PanelClient.from_bytes(state) for k, state in states.items()}
    assert_same_bits(again.shown, expected.shown)
    assert_same_bits(again.server.mean_readout, expected.server.mean_readout)


def test_a_straggler_catches_up_by_its_own_series() -> None:
    """What is learnt does not depend on the exchanges: only the readouts do."""
    X, Y, initial = panel_series()
    federations = [Federation(X, Y, initial), Federation(X, Y, initial)]
    for until in range(BATCH, 61, BATCH):
        federations[0].exchange(until)
        federations[1].exchange(until, away=(2,) if until < 48 else ())
    memories = [one.clients[2].panel._engine.memory() for one in federations]
    for name in ("gram", "cross", "squares", "base", "mean", "deviations"):
        assert_same_bits(memories[1][name], memories[0][name])


def test_a_client_that_lies_moves_nothing() -> None:
    series = memoa.datasets.similar_households(n_clients=sum(SIZES), n=200)

    def lie(k: int, reply: dict[str, Any]) -> dict[str, Any]:
        return reply | {"readouts": np.full_like(reply["readouts"], 1e3)} if k == 1 else reply

    found = {}
    for name, change in {"clean": lambda k, reply: reply, "lie": lie}.items():
        for aggregate in ("trimmed", "mean"):
            federation = Federation(series.X, series.Y, series.initial, aggregate=aggregate)
            for until in range(10, 201, 10):
                federation.exchange(until, change=change)
            honest = np.delete(federation.shown - series.Y, mine(1), axis=1)
            found[name, aggregate] = np.sqrt(np.nanmean(honest**2))
    assert found["lie", "trimmed"] < 1.02 * found["clean", "trimmed"]
    assert found["lie", "mean"] > 1.5 * found["clean", "mean"]


def test_a_client_tells_its_readouts_and_nothing_else() -> None:
    X, Y, initial = panel_series()
    federation = Federation(X, Y, initial)
    federation.exchange(20)
    reply = federation.clients[0].reply()
    assert set(reply) == {"readouts", "present"}
    assert_same_bits(reply["readouts"], federation.clients[0].panel.readouts)


BAD_REPLIES: dict[str, tuple[Any, str]] = {
    "no field": (lambda r: {"present": r["present"]}, "client 1 has no 'readouts'"),
    "no dict": (lambda r: None, "client 1 is a NoneType; expected a dict"),
    "members": (lambda r: r | {"readouts": r["readouts"][1:]}, "readouts of client 1 has shape"),
    "no number": (lambda r: r | {"readouts": r["readouts"] * np.nan}, "readouts of client 1"),
    "flags": (lambda r: r | {"present": r["present"] + 1}, "other numbers than 0 and 1"),
    "shape": (lambda r: r | {"present": r["present"][:, 0]}, "present of client 1 has shape"),
}


@pytest.mark.parametrize("name", BAD_REPLIES)
def test_a_malformed_reply_changes_nothing(name: str) -> None:
    spoil, match = BAD_REPLIES[name]
    federation = Federation(*panel_series())
    federation.exchange(20)
    before = federation.server.to_bytes()
    replies = {k: client.reply() for k, client in federation.clients.items()}
    with pytest.raises((ValueError, TypeError), match=match):
        federation.server.hear(replies | {1: spoil(replies[1])})
    with pytest.raises(ValueError, match="a reply is of client 4; expected 0 to 3"):
        federation.server.hear({4: replies[0]})
    assert federation.server.to_bytes() == before


@pytest.mark.parametrize(
    ("message", "match"),
    [
        ({}, "the server has no 'mean_readout'"),
        ({"mean_readout": np.zeros((2, 1))}, "mean_readout has shape"),
        ({"mean_readout": np.zeros(3)}, "mean_readout of the server has shape"),
        ({"mean_readout": np.full((3, 1), np.nan)}, "mean_readout of the server"),
        ({"mean_readout": "none"}, "mean_readout of the server has dtype"),
    ],
)
def test_a_malformed_message_changes_nothing(message: Any, match: str) -> None:
    federation = Federation(*panel_series())
    federation.exchange(20)
    before = federation.clients[0].to_bytes()
    with pytest.raises((ValueError, TypeError), match=match):
        federation.clients[0].receive(message)
    assert federation.clients[0].to_bytes() == before


def test_arguments_and_states_are_checked() -> None:
    with pytest.raises(ValueError, match="members is empty"):
        PanelServer([], 3)
    with pytest.raises(ValueError, match="n_features is 0"):
        PanelServer([1], 0)
    with pytest.raises(ValueError, match="aggregate is 'median'"):
        PanelServer([1], 3, aggregate="median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="before the first"):
        PanelClient(2).reply()
    federation = Federation(*panel_series())
    federation.exchange(20)
    client = federation.clients[0].to_bytes()
    with pytest.raises(ValueError, match="not one of a PanelServer"):
        PanelServer.from_bytes(client)
    with pytest.raises(ValueError, match="the state"):
        PanelServer.from_bytes(client[:-10])
    with pytest.raises(ValueError, match="the state"):
        PanelClient.from_bytes(federation.server.to_bytes())
