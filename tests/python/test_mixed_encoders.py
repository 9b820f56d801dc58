"""A mix of encoders: each agent is that of a population of its encoder, and the crowd is one."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import memoa
import reference
from helpers import assert_close, assert_same_bits, ensemble, series, steps
from mpi_program import INITIAL, MIX, X, Y, digest
from mpi_program import ensemble as of_many
from ranks import Ranks
from test_missing import gappy

KINDS = [
    memoa.RandomFeatures(9, "wave", n_raw=3, n_columns=2),
    memoa.EchoState(4),
    memoa.Linear(),
    memoa.RandomFeatures(3, "tanh"),
]


def twins(n_encoded: int) -> list[Any]:
    """The same encoders for the slow loop, of so many inputs."""
    return [
        reference.RandomFeatures(9, "wave", n_raw=3, n_columns=2),
        reference.EchoState(4),
        reference.Linear(n_encoded),
        reference.RandomFeatures(3, "tanh"),
    ]


# ---------------------------------------------------------------- the numbers


@pytest.mark.parametrize("n_agents", [4, 21])  # one of each and no crowd, and one that judges
@pytest.mark.parametrize("d", [1, 2])
def test_the_default_with_a_mix_is_its_twin(n_agents: int, d: int, policy: Any) -> None:
    x, y, initial = series(60, 2, d)
    y[30] += 1e4  # beyond the bound of what is learnt
    run = memoa.OnlineEnsemble(n_agents, KINDS, policy=policy, random_state=3).run(
        x, y, initial=initial, record=range(n_agents)
    )
    twin = reference.Ensemble(
        n_agents,
        twins(2 + 7 * d),
        policy=policy,
        seed=3,
        **reference.DEFAULT,
    )
    server, rmse, mean_field, agents = twin.run(x, y, initial)
    assert_close(run.recorded, agents, 1e-9)
    assert_close(run.mean_field, mean_field, 1e-9)
    assert_close(run.predictions, server, 1e-9)
    assert_close(run.agent_rmse, rmse, 1e-9)


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("aggregate", ["mean", "trimmed", "clip"])
def test_with_gaps_it_is_its_twin(d: int, aggregate: Any) -> None:
    x, y = gappy(d)
    run = ensemble(20, encoder=KINDS, aggregate=aggregate).run(x, y, record=range(20))
    twin = reference.Ensemble(20, twins(d + 1), aggregate=aggregate)
    server, rmse, mean_field, agents = twin.run(x, y)
    assert_close(run.recorded, agents)
    assert_close(run.mean_field, mean_field)
    assert_close(run.predictions, server)
    assert_close(run.agent_rmse, rmse)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_agent_is_that_of_a_population_of_its_encoder(dtype: Any) -> None:
    x, y, initial = series(20, 3, 2)
    options: dict[str, Any] = {"policy": "greedy", "dtype": dtype, "ridge": (0.1, 1.0, 3.0)}

    def agents(encoder: Any) -> np.ndarray:
        return (
            ensemble(41, encoder=encoder, **options)
            .run(x, y, initial=initial, record=range(41))
            .recorded
        )

    mixed = agents(KINDS)
    for k, encoder in enumerate(KINDS):
        assert_same_bits(mixed[:, k :: len(KINDS)], agents(encoder)[:, k :: len(KINDS)])


def test_types_are_those_of_forgetting_and_ridge_where_there_are_as_many() -> None:
    x, y, initial = series(20, 3, 1)
    mixed = ensemble(9, encoder=KINDS[:3], forgetting=(0.9, 0.95, 0.99), ridge=(0.1, 1.0, 2.0))
    found = mixed.run(x, y, initial=initial, record=range(9)).recorded
    twin = reference.Ensemble(9, twins(3)[:3], forgetting=(0.9, 0.95, 0.99), ridge=(0.1, 1.0, 2.0))
    assert_close(found, twin.run(x, y, initial)[3])


@pytest.mark.parametrize("encoder", [[KINDS[0]], (memoa.EchoState(4),)], ids=str)
def test_a_list_of_one_is_that_one(encoder: Any) -> None:
    x, y, initial = series(20, 3, 2)
    listed, alone = (ensemble(20, encoder=one) for one in (encoder, encoder[0]))
    assert_same_bits(
        listed.run(x, y, initial=initial).predictions, alone.run(x, y, initial=initial).predictions
    )
    features = np.random.default_rng(0).normal(size=(8, 5, 3))
    given = ensemble(5, encoder=[memoa.Precomputed(3)]).run(features, y[:8])
    assert given.predictions.shape == (8, 2)


# ---------------------------------------------------------------- the same bits


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_steps_threads_and_looks_do_not_show(dtype: Any) -> None:
    x, y, initial = series(40, 3, 2)
    y[7, 1] = y[21, 0] = np.nan
    options: dict[str, Any] = {"encoder": KINDS, "dtype": dtype, "mixture": memoa.Mixture(8)}
    whole = memoa.OnlineEnsemble(2003, n_threads=1, **options)
    run = whole.run(x, y, initial=initial)
    for n_threads in (1, 2, 3):
        model = memoa.OnlineEnsemble(2003, n_threads=n_threads, **options).observe(initial)
        first = steps(model, x[:9], y[:9])
        model.predict(x[:3])  # leaves no trace
        assert model.agent_rmse.shape == (2003,)  # what was put off is done
        rest = model.run(x[9:], y[9:]).predictions
        assert_same_bits(np.concatenate([first, rest]), run.predictions)
        assert_same_bits(model.agent_predictions, whole.agent_predictions)
        assert_same_bits(model.agent_rmse, whole.agent_rmse)
        assert_same_bits(model.weights, whole.weights)


def test_a_scale_and_a_shift_of_y_and_of_x_change_nothing() -> None:
    x, y, initial = series(50, 3, 2)
    plain = memoa.OnlineEnsemble(24, KINDS).run(x, y, initial=initial, record=range(24))
    scaled = memoa.OnlineEnsemble(24, KINDS).run(
        4.0 * x - 1.0, 0.5 * y + 3.0, initial=0.5 * initial + 3.0, record=range(24)
    )
    assert_close(scaled.recorded, 0.5 * plain.recorded + 3.0, 1e-8)
    assert_close(scaled.predictions, 0.5 * plain.predictions + 3.0, 1e-8)


@pytest.mark.parametrize("delay", [0, 2])
@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_files_pickles_and_copies_go_on(
    delay: int, pending: bool, dtype: Any, tmp_path: Path
) -> None:
    x, y, _ = series(40, 3, 2)
    model = memoa.OnlineEnsemble(300, KINDS, delay=delay, dtype=dtype, intervals=(0.8,))
    model.run(x[:20], y[:20])
    if pending:
        model.predict_one(x[20])
    model.save(tmp_path / "a.npz")
    loaded = memoa.OnlineEnsemble.load(tmp_path / "a.npz", n_threads=2)
    assert loaded.get_params()["encoder"] == tuple(KINDS)
    others = [loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    if pending and delay == 0:
        for one in (model, *others):
            one.learn_one(x[20], y[20])
    first = 21 if pending else 20
    for one in others if not (pending and delay) else ():
        assert_same_bits(one.agent_predictions, model.agent_predictions)
    rows = [one.predict(x[first:]) for one in (model, *others)]
    for one in rows[1:]:
        assert_same_bits(one, rows[0])
    if not (pending and delay):
        runs = [one.run(x[first:], y[first:]) for one in (model, *others)]
        for run in runs[1:]:
            assert_same_bits(run.predictions, runs[0].predictions)
            assert_same_bits(run.prediction_intervals, runs[0].prediction_intervals)
        assert_same_bits(loaded.agent_rmse, model.agent_rmse)
        loaded.save(tmp_path / "b.npz")
        assert memoa.OnlineEnsemble.load(tmp_path / "b.npz").get_params() == loaded.get_params()


def test_processes_go_on_with_what_others_saved(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"

    def begin(communicator: Any) -> None:
        model = of_many(communicator, encoder=MIX)
        model.observe(INITIAL).run(X[:20], Y[:20])
        model.save(path)

    def go_on(communicator: Any) -> str:
        model = memoa.OnlineEnsemble.load(path, communicator=communicator, n_threads=1)
        return digest(model.run(X[20:], Y[20:], record=[0, 1700]).recorded, model.mean_field)

    begin(None)
    expected = go_on(None)
    Ranks(3).run(begin)
    assert Ranks(2).run(go_on) == [expected] * 2


def test_a_client_of_a_federation_may_have_a_mix() -> None:
    from memoa.federated import Client, Server

    x, y, initial = series(30, 3, 1)
    server = Server([9], aggregate="mean").observe(initial)
    client = Client(9, KINDS, random_state=0)
    with pytest.raises(ValueError, match="encoder is .*Precomputed"):
        Client(9, [memoa.Precomputed(2)])
    found = []
    for first in (0, 10, 20):
        rows = slice(first, first + 10)
        replies = {0: client.answer(server.ask(x[rows], y[rows])[0])}
        found.append(server.hear(replies).predictions)
        client = Client.from_bytes(client.to_bytes())
    whole = memoa.OnlineEnsemble(9, KINDS, aggregate="mean")
    assert_same_bits(np.concatenate(found), whole.run(x, y, initial=initial).predictions)


# ---------------------------------------------------------------- parameters


def test_a_list_of_encoders_is_a_parameter_like_any_other() -> None:
    clone = pytest.importorskip("sklearn.base").clone
    kinds = list(KINDS)
    model = memoa.OnlineEnsemble(8, kinds)
    assert model.get_params()["encoder"] is kinds
    assert "encoder__n_features" not in model.get_params()
    assert repr(model) == f"OnlineEnsemble(n_agents=8, encoder={kinds!r})"
    assert eval(repr(model), vars(memoa)).get_params() == model.get_params()
    for twin in (clone(model), model.clone()):
        assert twin.get_params() == model.get_params()
        assert twin.encoder is not kinds
    with pytest.raises(ValueError, match="'encoder__n_features' is not a parameter"):
        model.set_params(encoder__n_features=3)
    x, y, _ = series(20)
    before = model.fit(x, y).predict(x)
    kinds.reverse()  # agents that are drawn stay as they are
    assert_same_bits(model.predict(x), before)
    assert_same_bits(copy.deepcopy(model).predict(x), before)
    assert np.any(model.fit(x, y).predict(x) != before)
    model.set_params(encoder=memoa.EchoState(3))
    assert model.get_params()["encoder__n_features"] == 3


@pytest.mark.parametrize(
    ("encoder", "error", "message"),
    [
        ([], ValueError, "encoder is empty; expected an encoder, or one per type"),
        ((), ValueError, "encoder is empty"),
        ([memoa.Linear(), 3], TypeError, r"encoder\[1\] is 3; expected RandomFeatures, EchoState"),
        ([memoa.Linear(), [memoa.Linear()]], TypeError, r"encoder\[1\] is \[Linear\(\)\]"),
        ({"a": memoa.Linear()}, TypeError, "encoder is {'a'.*expected RandomFeatures"),
        (
            [memoa.Precomputed(2), memoa.Linear()],
            ValueError,
            r"encoder\[0\] is Precomputed; expected it for all agents or for none",
        ),
        ([memoa.Precomputed(2)] * 2, ValueError, r"encoder\[0\] is Precomputed"),
        ([memoa.Linear()] * 6, ValueError, "n_agents is 5; expected at least 6, one for each enc"),
    ],
)
def test_what_is_no_mix_is_refused(encoder: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        memoa.OnlineEnsemble(5, encoder)
    model = memoa.OnlineEnsemble(5)
    with pytest.raises(error, match=message):
        model.set_params(encoder=encoder)
    assert repr(model) == "OnlineEnsemble(n_agents=5)"


def test_a_panel_has_one_encoder() -> None:
    with pytest.raises(TypeError, match=r"encoder is \[Linear\(\)\]; expected Linear, Random"):
        memoa.Panel(5, [memoa.Linear()])  # type: ignore[arg-type]
