"""A federated ensemble on an in-process grid: the numbers of one process, whoever is away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grid
import memoa
import reference
import reference_federated
import reference_robust
from helpers import assert_close, assert_same_bits, series
from memoa.federated import Client, Server

SIZES = (8, 6, 7)
PLAIN: dict[str, Any] = {
    "forgetting": (0.97, 0.99, 0.998),
    "ridge": 0.1,
    "lags": 0,
    "season": None,
    "bounded": False,
}


def federation(
    sizes: tuple[int, ...] = SIZES, initial: np.ndarray | None = None, **settings: Any
) -> tuple[Server, dict[int, Client]]:
    """A server and its clients, of which every second has an echo state."""
    encoders = (memoa.RandomFeatures(6), memoa.EchoState(6))
    clients = {k: Client(n, encoders[k % 2], random_state=k, **PLAIN) for k, n in enumerate(sizes)}
    server = Server(sizes, **settings)
    return (server if initial is None else server.observe(initial)), clients


def features(X: np.ndarray, sizes: tuple[int, ...] = SIZES) -> np.ndarray:
    """What the agents of `federation` encode, (T, N, 6), by the slow twins."""
    standardiser = reference_robust.Standardiser(X.shape[1])
    kinds = (reference.RandomFeatures(6), reference.EchoState(6))
    agents = [
        (kinds[k % 2], kinds[k % 2].start(k, i, X.shape[1]))
        for k, n in enumerate(sizes)
        for i in range(n)
    ]
    encoded = []
    for x in X:
        x = standardiser.step(x)
        encoded.append([kind.encode(weights, x) for kind, weights in agents])
        for (kind, weights), z in zip(agents, encoded[-1]):
            kind.commit(weights, z)
    return np.array(encoded)


def forgetting(sizes: tuple[int, ...] = SIZES) -> list[float]:
    """The agents' own: of agent i of a client, that of type i mod 3."""
    return [lam for n in sizes for lam in np.resize((0.97, 0.99, 0.998), n)]


def everything(server: Server) -> bytes:
    return server.to_bytes()


# -------------------------------------------------------------------- one process


@pytest.mark.parametrize("aggregate", ["clip", "mean", "trimmed"])
@pytest.mark.parametrize(("d", "batch"), [(1, 16), (2, 7)])
def test_it_gives_the_numbers_of_one_process(aggregate: Any, d: int, batch: int) -> None:
    X, Y, initial = series(60, n_outputs=d)
    server, clients = federation(initial=initial, aggregate=aggregate)
    shown = grid.run(server, clients, X, Y, batch)
    whole = memoa.OnlineEnsemble(
        sum(SIZES),
        memoa.Precomputed(6),
        forgetting=forgetting(),
        ridge=0.1,
        bounded=False,
        aggregate=aggregate,
    )
    run = whole.run(features(X), Y, initial=initial)
    assert_close(shown, run.predictions, 1e-12)
    assert_close(server.agent_rmse, run.agent_rmse, 1e-12)
    assert_close(server.weights, whole.weights, 1e-11)
    assert_close(server.shares, whole.shares, 1e-12)
    worst, regret = whole.under_performer
    client, agent, cost = server.under_performer
    assert sum(SIZES[:client]) + agent == worst
    assert_close(cost, regret, 1e-12)


@pytest.mark.parametrize("n_agents", [5, 300])
def test_one_client_of_all_agents_gives_the_bits_of_one_process(n_agents: int) -> None:
    X, Y, initial = series(50, n_outputs=2)
    server = Server([n_agents]).observe(initial)
    shown = grid.run(server, {0: Client(n_agents, random_state=3)}, X, Y, 17)
    whole = memoa.OnlineEnsemble(n_agents, random_state=3)
    run = whole.run(X, Y, initial=initial)
    assert_same_bits(shown, run.predictions)
    assert_same_bits(server.agent_rmse, run.agent_rmse)
    assert_same_bits(server.weights, whole.weights)


def test_without_a_first_value_the_first_step_is_observed_as_in_one_process() -> None:
    X, Y, _ = series(30)
    server, clients = federation()
    shown = grid.run(server, clients, X, Y, 8)
    whole = memoa.OnlineEnsemble(
        sum(SIZES), memoa.Precomputed(6), forgetting=forgetting(), ridge=0.1, bounded=False
    )
    run = whole.run(features(np.concatenate([X[:0], X[1:]])), Y[1:], initial=Y[0])
    assert shown[0] == 0.0
    assert_close(shown[1:], run.predictions, 1e-12)
    assert_close(server.agent_rmse, run.agent_rmse, 1e-12)


def test_the_bits_do_not_depend_on_the_batches() -> None:
    X, Y, initial = series(40)
    shown = [grid.run(*federation(initial=initial), X, Y, batch) for batch in (1, 13, 40)]
    assert_same_bits(shown[1], shown[0])
    assert_same_bits(shown[2], shown[0])


def test_a_forecast_may_be_asked_for_before_its_value_is_known() -> None:
    X, Y, initial = series(30)
    expected = grid.run(*federation(initial=initial), X, Y)
    server, clients = federation(initial=initial)
    shown, _ = grid.exchange(server, clients, X[:10], Y[:9])
    assert (shown.first, shown.learnt, server.steps) == (0, 9, 9)
    assert_same_bits(shown.predictions, expected[:10])
    for t in range(10, 30):
        shown, _ = grid.exchange(server, clients, X[t : t + 1], Y[t - 1 : t])
        assert (shown.first, shown.learnt) == (t - 1, 1)
        assert_same_bits(shown.predictions, expected[t - 1 : t + 1])


def test_who_forecast_a_step_is_charged_for_it_and_nobody_else() -> None:
    """Client 0 forecasts step 9 and is away when its y comes; client 1 the other way round."""
    X, Y, initial = series(20)
    server, clients = federation(initial=initial)
    shown, _ = grid.exchange(server, clients, X[:10], Y[:9], away=[1])
    again, _ = grid.exchange(server, clients, X[10:11], Y[9:10], away=[0])
    assert_same_bits(again.predictions[0], shown.predictions[9])
    assert_same_bits(server._scored, np.repeat([10.0, 0.0, 10.0], SIZES))


# -------------------------------------------------------------------- k of n


@pytest.mark.parametrize("aggregate", ["clip", "mean", "trimmed"])
@pytest.mark.parametrize("sizes", [(8, 6, 7, 8), (2, 3, 2)])
@pytest.mark.parametrize("rivals", [True, False])
def test_some_present_are_an_ensemble_of_those(
    aggregate: Any, sizes: tuple[int, ...], rivals: bool
) -> None:
    X, Y, initial = series(60, n_outputs=2)
    ours: dict[str, Any] = {"mixture": memoa.Mixture(rivals=rivals)}
    theirs = {"consensus": 10.0, "window": 48, "rivals": rivals, "season": "auto", "start": 2}
    server, clients = federation(sizes, initial, aggregate=aggregate, **ours)
    slow = reference_federated.Server(sum(sizes), 2, base=initial, aggregate=aggregate, **theirs)
    rng = np.random.default_rng(5)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    for first in range(0, 60, 5):
        steps = slice(first, first + 5)
        away = [k for k in clients if first >= 10 and rng.random() < 0.4]
        away = list(clients) if first == 30 else away
        shown, replies = grid.exchange(server, clients, X[steps], Y[steps], away=away)
        assert shown.present == tuple(sorted(set(clients) - set(away)))
        c, energies = np.full((5, ends[-1], 2), np.nan), np.full((5, ends[-1]), np.nan)
        for k, reply in replies.items():
            c[:, ends[k] : ends[k + 1]] = reply["forecasts"]
            energies[:, ends[k] : ends[k + 1]] = reply["energies"]
        for t in range(5):
            expected = slow.hear(c[t], energies[t], ~np.isnan(energies[t]))
            assert_close(shown.predictions[t], expected, 1e-9)
            assert_close(shown.mean_field[t], slow.mean_field, 1e-10)
            slow.learn(Y[first + t])
    assert_close(server.costs, slow.cost)


def test_without_anybody_the_server_repeats_the_last_value() -> None:
    X, Y, initial = series(12)
    server, clients = federation(initial=initial, season=None)
    shown = grid.run(server, clients, X, Y, 4, away=clients)
    assert_close(shown, np.concatenate([initial[None], Y[:-1]]), 1e-12)
    assert np.isnan(server.agent_rmse).all()


def test_a_client_that_comes_back_has_caught_up_to_the_bit() -> None:
    X, Y, initial = series(60)
    server, clients = federation(initial=initial)
    grid.run(server, clients, X[:20], Y[:20])
    grid.run(server, clients, X[20:40], Y[20:40], away=[1])
    message = server.ask(X[40:], Y[40:])
    assert message[1]["first"] == 20
    assert message[0]["first"] == 40
    _, replies = grid.exchange(server, clients, X[40:], Y[40:])
    never_away = federation(initial=initial)
    grid.run(*never_away, X[:40], Y[:40])
    _, expected = grid.exchange(*never_away, X[40:], Y[40:])
    for k in clients:
        assert_same_bits(replies[k]["forecasts"], expected[k]["forecasts"])
        assert_same_bits(replies[k]["energies"], expected[k]["energies"])


def test_a_straggler_is_absent_and_is_sent_nothing_that_it_cannot_use() -> None:
    """Its reply comes too late: it has learnt what the server believes that it has not."""
    X, Y, initial = series(60)
    late, away = federation(initial=initial), federation(initial=initial)
    shown = [grid.run(*late, X[:20], Y[:20]), grid.run(*late, X[20:40], Y[20:40], late=[2])]
    same = [grid.run(*away, X[:20], Y[:20]), grid.run(*away, X[20:40], Y[20:40], away=[2])]
    assert_same_bits(shown, same)
    assert_same_bits(grid.run(*late, X[40:], Y[40:]), grid.run(*away, X[40:], Y[40:]))


def test_a_message_may_come_twice() -> None:
    X, Y, initial = series(20)
    server, clients = federation(initial=initial)
    message = server.ask(X, Y[:-1])[0]
    first, second = clients[0].answer(message), clients[0].answer(message)
    assert first["steps"] == second["steps"] == 19
    assert_same_bits(first["forecasts"], second["forecasts"])


# -------------------------------------------------------------------- restarts


def test_a_server_goes_on_from_its_last_checkpoint() -> None:
    """It dies in the middle of an exchange that followed another since the checkpoint."""
    X, Y, initial = series(80)
    expected = grid.run(*federation(initial=initial), X, Y, 8)
    server, clients = federation(initial=initial)
    grid.run(server, clients, X[:16], Y[:16], 8)
    checkpoint = server.to_bytes()
    grid.run(server, clients, X[16:32], Y[16:32], 8)
    message = server.ask(X[32:40], Y[32:40])
    clients[0].answer(message[0])
    server = Server.from_bytes(checkpoint)
    assert server.steps == 16
    shown = grid.run(server, clients, X[16:], Y[16:], 8)
    assert_same_bits(shown, expected[16:])
    server.to_bytes()  # a checkpoint later than the one that it comes back from
    grid.exchange(server, clients, X[:8], Y[:8])
    server = Server.from_bytes(checkpoint)
    with pytest.raises(ValueError, match="asks for step 16 again, of which nothing is kept"):
        clients[0].answer(server.ask(X[16:20], Y[16:20])[0])


@pytest.mark.parametrize("batch", [5, 24])
def test_a_server_that_comes_back_may_ask_in_other_batches(batch: int) -> None:
    X, Y, initial = series(60)
    expected = grid.run(*federation(initial=initial), X, Y, 10)
    server, clients = federation(initial=initial)
    grid.run(server, clients, X[:10], Y[:10], 10)
    checkpoint = server.to_bytes()
    grid.run(server, clients, X[10:30], Y[10:30], 10)
    server = Server.from_bytes(checkpoint)
    assert_same_bits(grid.run(server, clients, X[10:], Y[10:], batch), expected[10:])


def test_a_checkpoint_keeps_a_forecast_whose_value_is_still_to_come() -> None:
    X, Y, initial = series(30)
    server, clients = federation(initial=initial)
    grid.exchange(server, clients, X[:10], Y[:9], away=[1])
    again = Server.from_bytes(server.to_bytes())
    shown = [grid.exchange(one, clients, X[10:], Y[9:])[0] for one in (server, again)]
    assert_same_bits(shown[1].predictions, shown[0].predictions)


def test_a_client_goes_on_from_its_bytes() -> None:
    X, Y, initial = series(40)
    expected = grid.run(*federation(initial=initial), X, Y, 8)
    server, clients = federation(initial=initial)
    shown = []
    for first in range(0, 40, 8):
        shown.append(grid.run(server, clients, X[first : first + 8], Y[first : first + 8], 8))
        states = {k: client.to_bytes() for k, client in clients.items()}
        clients = {k: Client.from_bytes(state) for k, state in states.items()}
    assert_same_bits(np.concatenate(shown), expected)


def test_a_client_that_lost_its_last_steps_says_so_and_is_sent_them() -> None:
    X, Y, initial = series(40)
    server, clients = federation(initial=initial)
    grid.run(server, clients, X[:8], Y[:8], 8)
    old = clients[1].to_bytes()
    grid.run(server, clients, X[8:24], Y[8:24], 8)
    clients[1] = Client.from_bytes(old)
    shown, replies = grid.exchange(server, clients, X[24:32], Y[24:32])
    assert shown.present == (0, 2)
    assert replies[1]["steps"] == 8
    shown, _ = grid.exchange(server, clients, X[32:], Y[32:])
    assert shown.present == (0, 1, 2)
    assert clients[1].steps == 40


@pytest.mark.parametrize("learnt", [0, 8])
def test_a_client_that_lost_steps_is_sent_them_in_the_same_exchange(learnt: int) -> None:
    X, Y, initial = series(40)
    never_lost = federation(initial=initial)
    expected = grid.run(*never_lost, X, Y, 8)
    server, clients = federation(initial=initial)
    grid.run(server, clients, X[:8], Y[:8], 8)
    old = clients[1].to_bytes()
    grid.run(server, clients, X[8:32], Y[8:32], 8)
    fresh = Client(SIZES[1], memoa.EchoState(6), random_state=1, **PLAIN)
    clients[1] = Client.from_bytes(old) if learnt else fresh
    replies = {k: clients[k].answer(m) for k, m in server.ask(X[32:], Y[32:]).items()}
    again = server.ask_again(replies)
    assert {k: message["first"] for k, message in again.items()} == {1: learnt}
    replies[1] = clients[1].answer(again[1])
    assert server.ask_again(replies) == {}
    assert_same_bits(server.hear(replies).predictions, expected[32:])
    with pytest.raises(ValueError, match="ask_again was called before ask"):
        server.ask_again(replies)


def test_a_client_with_nothing_learnt_takes_another_ones_place() -> None:
    X, Y, initial = series(40)
    server, clients = federation(initial=initial)
    grid.run(server, clients, X[:16], Y[:16], 8)
    clients[1] = Client(SIZES[1], memoa.EchoState(6), random_state=1, **PLAIN)
    grid.exchange(server, clients, X[16:24], Y[16:24])
    _, replies = grid.exchange(server, clients, X[24:], Y[24:])
    never_lost = federation(initial=initial)
    grid.run(*never_lost, X[:24], Y[:24])
    _, expected = grid.exchange(*never_lost, X[24:], Y[24:])
    assert_same_bits(replies[1]["forecasts"], expected[1]["forecasts"])


# -------------------------------------------------------------------- lies


def lie(k: int, reply: grid.Reply) -> grid.Reply:
    if k != 2:
        return reply
    return reply | {"forecasts": np.full_like(reply["forecasts"], 1e6)}


@pytest.mark.parametrize("aggregate", ["clip", "trimmed"])
def test_a_client_that_lies_harms_nobody(aggregate: Any) -> None:
    data = memoa.datasets.logistic_map()
    sizes = (6,) * 10
    rmse = {}
    for name, change in {"clean": lambda k, reply: reply, "lie": lie}.items():
        server, clients = federation(sizes, data.initial, aggregate=aggregate)
        shown = grid.run(server, clients, data.X, data.Y, 20, change=change)
        honest = np.arange(60) // 6 != 2
        rmse[name] = np.sqrt(np.mean((shown - data.Y) ** 2)), server.agent_rmse[honest].mean()
    assert rmse["lie"][0] < 1.1 * rmse["clean"][0]
    assert rmse["lie"][1] < 1.1 * rmse["clean"][1]


def test_the_plain_mean_follows_a_liar() -> None:
    """What the test above would see if nobody was judged, and nobody followed the server."""
    data = memoa.datasets.logistic_map()
    server, clients = federation((6,) * 10, data.initial, aggregate="mean", follow="mean")
    grid.run(server, clients, data.X, data.Y, 20, change=lie)
    assert server.agent_rmse[:6].min() > 1e3


# -------------------------------------------------------------------- what is refused

BAD_REPLIES: dict[str, tuple[Any, str]] = {
    "no field": (lambda r: {k: v for k, v in r.items() if k != "steps"}, "client 1 has no 'steps'"),
    "no dict": (lambda r: 3, "client 1 is a int; expected a dict"),
    "too few agents": (lambda r: r | {"forecasts": r["forecasts"][:, 1:]}, "forecasts of client 1"),
    "too few steps": (lambda r: r | {"energies": r["energies"][1:]}, "energies of client 1"),
    "text": (lambda r: r | {"forecasts": "none"}, "forecasts of client 1 has dtype"),
    "no number": (lambda r: r | {"forecasts": r["forecasts"] * np.nan}, "forecasts of client 1"),
    "infinite": (lambda r: r | {"energies": r["energies"] + np.inf}, "energies of client 1"),
    "negative": (lambda r: r | {"energies": r["energies"] - 1e3}, "expected numbers >= 0"),
    "other steps": (lambda r: r | {"first": r["first"] + 1}, "tells of steps from 9 on"),
    "learnt too few": (lambda r: r | {"steps": r["steps"] - 1}, "expected 8 and at least 16"),
    "no whole number": (lambda r: r | {"steps": 1.5}, "steps of client 1 is 1.5"),
}


@pytest.mark.parametrize("name", BAD_REPLIES)
def test_a_malformed_reply_changes_nothing(name: str) -> None:
    spoil, match = BAD_REPLIES[name]
    X, Y, initial = series(24)
    server, clients = federation(initial=initial)
    grid.run(server, clients, X[:8], Y[:8], 8)
    messages = server.ask(X[8:16], Y[8:16])
    replies = {k: client.answer(messages[k]) for k, client in clients.items()}
    before = everything(server)
    with pytest.raises((ValueError, TypeError), match=match):
        server.hear(replies | {1: spoil(replies[1])})
    assert everything(server) == before
    assert_same_bits(  # and the same question can be answered still
        server.hear(replies).predictions, grid.run(*federation(initial=initial), X[:16], Y[:16])[8:]
    )


def test_a_reply_of_nobody_is_refused() -> None:
    X, Y, initial = series(8)
    server, clients = federation(initial=initial)
    reply = clients[0].answer(server.ask(X, Y)[0])
    with pytest.raises(ValueError, match="a reply is of client 3; expected 0 to 2"):
        server.hear({3: reply})
    server.hear({})
    with pytest.raises(ValueError, match="hear was called before ask"):
        server.hear({0: reply})


BAD_MESSAGES: dict[str, tuple[Any, str]] = {
    "no field": (lambda m: {k: v for k, v in m.items() if k != "X"}, "the server has no 'X'"),
    "no dict": (lambda m: [m], "the server is a list; expected a dict"),
    "width": (lambda m: m | {"X": m["X"][:, 1:]}, "X of the server has shape"),
    "outputs": (lambda m: m | {"Y": np.hstack([m["Y"]] * 2)}, "Y of the server has shape"),
    "lengths": (lambda m: m | {"Y": m["Y"][2:]}, "Y of the server has 6 steps; expected"),
    "no number": (lambda m: m | {"Y": m["Y"] * np.nan}, "Y of the server"),
    "too large": (lambda m: m | {"X": m["X"] * 1e200}, "X of the server"),
    "other steps": (lambda m: m | {"digest": m["digest"] + 1}, "are not those learnt here"),
    "negative": (lambda m: m | {"first": -1}, "first of the server is -1"),
    "report": (lambda m: m | {"report": 0}, "report of the server is 0"),
}


@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_a_malformed_message_changes_nothing(name: str) -> None:
    spoil, match = BAD_MESSAGES[name]
    X, Y, initial = series(24)
    server, clients = federation(initial=initial)
    grid.run(server, clients, X[:8], Y[:8], 8)
    message = server.ask(X[8:16], Y[8:16])[0]
    before = clients[0].to_bytes()
    with pytest.raises((ValueError, TypeError), match=match):
        clients[0].answer(spoil(message))
    assert clients[0].to_bytes() == before


def test_a_new_client_refuses_a_malformed_first_message() -> None:
    X, Y, initial = series(8)
    message = Server([8]).observe(initial).ask(X, Y)[0]
    client = Client(8)
    with pytest.raises(ValueError, match="base of the server has shape"):
        client.answer(message | {"base": np.zeros(3)})
    with pytest.raises(ValueError, match="no columns"):
        client.answer(message | {"Y": np.zeros((8, 0)), "base": np.zeros(0)})
    assert client.steps == 0
    assert client.answer(message)["steps"] == 8


@pytest.mark.parametrize(
    ("X", "Y", "match"),
    [
        (np.zeros((3, 3)), np.zeros((3, 1)), "X has shape"),
        (np.zeros((3, 2)), np.zeros((3, 2)), "Y has shape"),
        (np.zeros((3, 2)), np.zeros((1, 1)), "X makes it 11 steps and Y 9"),
        (np.zeros((3, 2)), np.zeros((4, 1)), "X makes it 11 steps and Y 12"),
        (np.full((3, 2), np.nan), np.zeros((3, 1)), "X"),
        (np.zeros((3, 2)), np.full((3, 1), np.inf), "Y"),
        (np.zeros((0, 2)), np.zeros((0, 1)), "X has shape"),
    ],
)
def test_a_malformed_question_changes_nothing(X: np.ndarray, Y: np.ndarray, match: str) -> None:
    data = series(16)
    server, clients = federation(initial=data[2])
    grid.run(server, clients, data[0][:8], data[1][:8], 8)
    before = everything(server)
    with pytest.raises(ValueError, match=match):
        server.ask(X, Y)
    assert everything(server) == before


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="agents is empty"):
        Server([])
    with pytest.raises(TypeError, match=r"agents\[1\] is 2.5"):
        Server([1, 2.5])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="aggregate is 'median'"):
        Server([1], aggregate="median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="encoder is Precomputed"):
        Client(1, memoa.Precomputed(3))
    with pytest.raises(ValueError, match="n_agents is 0"):
        Client(0)
    X, Y, initial = series(4)
    server, clients = federation(initial=initial)
    grid.exchange(server, clients, X, Y)
    with pytest.raises(ValueError, match="y was observed after the first step"):
        server.observe(initial)


def test_what_is_not_known_yet_is_an_error() -> None:
    for ask in (lambda: Client(2).to_bytes(), lambda: Server([2]).to_bytes()):
        with pytest.raises(ValueError, match="before the first"):
            ask()
    for name in ("weights", "costs", "agent_rmse", "under_performer", "shares"):
        with pytest.raises(ValueError, match="before the first exchange"):
            getattr(Server([2]), name)


def test_other_bytes_are_no_state() -> None:
    X, Y, initial = series(8)
    server, clients = federation(initial=initial)
    grid.exchange(server, clients, X, Y)
    state = clients[0].to_bytes()
    with pytest.raises(ValueError, match="the state"):
        Client.from_bytes(state[:-30])
    with pytest.raises(ValueError, match="not one of a Client"):
        Client.from_bytes(server.to_bytes())
    with pytest.raises(ValueError, match="not one of a Server"):
        Server.from_bytes(state)
    with pytest.raises(TypeError, match="expected bytes"):
        Server.from_bytes("state")  # type: ignore[arg-type]


def test_seeds_that_nobody_chose_differ() -> None:
    X, Y, initial = series(8)
    message = Server([8, 8]).observe(initial).ask(X, Y)[0]
    told = [Client(8).answer(message)["energies"] for _ in range(2)]
    assert not np.array_equal(told[0], told[1])
