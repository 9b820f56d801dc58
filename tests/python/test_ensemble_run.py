"""What a run returns and reports while it goes, and that it can be interrupted."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

import memoa
from helpers import assert_close, assert_same_bits, ensemble, series, steps
from memoa._engines import Engines


@pytest.fixture
def run() -> memoa.Run:
    x, y, initial = series(30, 2, 2)
    return ensemble(9).run(x, y, initial=initial, record=range(9))


def test_the_errors_are_those_of_the_recorded_predictions(run: memoa.Run) -> None:
    squares = ((run.recorded - run.targets[:, None]) ** 2).sum(axis=2)
    costs = np.cumsum(squares, axis=0)
    assert_close(run.agent_rmse, np.sqrt(costs[-1] / run.targets.size), 1e-12)
    assert_close(run.worst_cost, costs.max(axis=1), 1e-12)
    assert_close(run.mean_field, run.recorded.mean(axis=1), 1e-12)
    assert run.worst_agent == costs[-1].argmax()
    assert run.best_agent == costs[-1].argmin()
    assert run.regret == pytest.approx(costs[-1].max(), rel=1e-12)
    assert run.worst_agent_rmse == run.agent_rmse.max()
    assert run.best_agent_rmse == run.agent_rmse.min()
    assert run.mean_agent_rmse == pytest.approx(run.agent_rmse.mean(), rel=1e-15)
    expected = np.sqrt(np.mean((run.predictions - run.targets) ** 2))
    assert run.server_rmse == pytest.approx(expected, rel=1e-15)
    last = np.vstack([run.initial, run.targets[:-1]])
    expected = np.sqrt(np.mean((last - run.targets) ** 2))
    assert run.repeat_last_rmse == pytest.approx(expected, rel=1e-15)


def test_the_ensemble_counts_all_runs_and_a_run_its_own() -> None:
    x, y, initial = series(40, 2, 2)
    model = ensemble(9)
    first = model.run(x[:25], y[:25], initial=initial, record=range(9))
    second = model.run(x[25:], y[25:], record=range(9))
    assert_same_bits(second.initial, y[24])
    own = ((second.recorded - y[25:, None]) ** 2).sum(axis=2).cumsum(axis=0)
    assert_close(second.worst_cost, own.max(axis=1), 1e-11)
    assert_close(second.agent_rmse, np.sqrt(own[-1] / y[25:].size), 1e-11)
    total = ((first.recorded - y[:25, None]) ** 2).sum(axis=(0, 2)) + own[-1]
    assert_close(model.agent_rmse, np.sqrt(total / y.size), 1e-12)
    agent, regret = model.under_performer
    assert agent == total.argmax()
    assert regret == pytest.approx(total.max(), rel=1e-12)


def test_without_an_initial_value_the_first_step_is_not_scored() -> None:
    x, y, _ = series(30, 2, 2)
    run = ensemble(9).run(x, y, record=range(9))
    scored = slice(1, None)
    costs = ((run.recorded - y[:, None])[scored] ** 2).sum(axis=2).cumsum(axis=0)
    assert_close(run.agent_rmse, np.sqrt(costs[-1] / y[scored].size), 1e-12)
    assert_close(run.worst_cost[scored], costs.max(axis=1), 1e-12)
    assert run.worst_cost[0] == 0.0
    expected = np.sqrt(np.mean((run.predictions - y)[scored] ** 2))
    assert run.server_rmse == pytest.approx(expected, rel=1e-15)
    expected = np.sqrt(np.mean(np.diff(y, axis=0) ** 2))
    assert run.repeat_last_rmse == pytest.approx(expected, rel=1e-15)
    assert run.summary().splitlines()[0] == "memoa: 9 agents, 30 steps (29 scored), 2 outputs"


@pytest.mark.parametrize("record", [[4], [2, 0, 2], (8,), np.array([1, 3], np.int8), range(9)])
def test_record_chooses_the_agents(run: memoa.Run, record: Any) -> None:
    x, y, initial = series(30, 2, 2)
    chosen = ensemble(9).run(x, y, initial=initial, record=record)
    assert_same_bits(chosen.recorded, run.recorded[:, list(record)])
    assert chosen.record.tolist() == list(record)


@pytest.mark.parametrize("record", [None, [], np.zeros(0, int)])
def test_nothing_need_be_recorded(record: Any) -> None:
    x, y, _ = series(5)
    assert ensemble().run(x, y, record=record).recorded.shape == (5, 0, 1)


def test_a_run_keeps_no_hold_on_the_callers_arrays() -> None:
    x, y, initial = series(6)
    record = np.array([1, 2], np.intp)
    run = ensemble().run(x, y, initial=initial, record=record)
    kept = run.targets.copy()
    for array in (x, y, initial, record):
        array[...] = 0  # they are still writeable
    assert_same_bits(run.targets, kept)
    assert run.record.tolist() == [1, 2]


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))])
def test_a_run_is_immutable_and_so_are_its_copies(run: memoa.Run, clone: Any) -> None:
    twin = clone(run)
    for field in dataclasses.fields(run):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(twin, field.name, None)
        value = getattr(twin, field.name)
        assert_same_bits(value, getattr(run, field.name))
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable


def test_summary_and_repr_tell_the_errors(run: memoa.Run) -> None:
    lines = run.summary().splitlines()
    assert lines[0] == "memoa: 9 agents, 30 steps, 2 outputs"
    numbers = {
        "server": run.server_rmse,
        "mean agent": run.mean_agent_rmse,
        "best agent": run.best_agent_rmse,
        "worst agent": run.worst_agent_rmse,
        "repeat last value": run.repeat_last_rmse,
        "under-performer regret": run.regret,
        "mean absolute error of the server": run.server_mae,
    }
    for name, value in numbers.items():
        (line,) = (line for line in lines if line.strip().startswith(name))
        assert f"{value:.6g}" in line
    assert f"agent {run.worst_agent}" in run.summary()
    assert repr(run).startswith("Run(memoa, n_agents=9, n_steps=30, n_outputs=2, server_rmse=")


# ---------------------------------------------------------------- progress


def test_progress_counts_up_to_the_end() -> None:
    x, y, initial = series(300)
    calls: list[tuple[int, int]] = []
    run = ensemble().run(x, y, initial=initial, progress=lambda *call: calls.append(call))
    done = [one for one, _ in calls]
    assert {total for _, total in calls} == {300}
    assert done == sorted(set(done))
    assert done[0] >= 1
    assert done[-1] == 300
    assert_same_bits(run.predictions, ensemble().run(x, y, initial=initial).predictions)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_run_has_learnt_the_steps_done(error: type[BaseException]) -> None:
    x, y, initial = series(2000)
    model, twin = ensemble(), ensemble()
    done = 0

    def stop(now: int, total: int) -> None:
        nonlocal done
        done = now
        if now > 5:
            raise error

    with pytest.raises(error):
        model.run(x, y, initial=initial, progress=stop)
    assert 5 < done < 2000
    twin.run(x[:done], y[:done], initial=initial)
    assert_same_bits(model.agent_rmse, twin.agent_rmse)
    rest = model.run(x[done:], y[done:])
    expected = twin.run(x[done:], y[done:])
    assert_same_bits(rest.predictions, expected.predictions)
    assert_same_bits(rest.worst_cost, expected.worst_cost)


def test_progress_may_look_at_the_ensemble() -> None:
    x, y, initial = series(300)
    model, seen = ensemble().observe(initial), []
    steps(model, x[:9], y[:9])

    def look(done: int, total: int) -> None:
        seen.append((done, model.agent_rmse.shape, model.predict(x[:1]).shape))

    run = model.run(x[9:], y[9:], progress=look)
    assert seen[-1] == (291, (6,), (1, 1))
    assert_same_bits(run.predictions, ensemble().run(x, y, initial=initial).predictions[9:])


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RuntimeError])
@pytest.mark.parametrize("where", ["draw", "run"])
def test_a_fit_that_fails_restores_what_was_learnt(
    error: type[BaseException], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y, _ = series(40)
    model, twin = ensemble().fit(x, y), ensemble().fit(x, y)
    for one in (model, twin):
        one.predict_one(x[0])

    whole = Engines.run

    def half(self: Engines, X: Any, Y: Any, *rest: Any) -> None:
        whole(self, X[:20], Y[:20], *rest)
        raise error

    def build(self: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        if where == "draw":
            patch.setattr(Engines, "_build", build)
        else:
            patch.setattr(Engines, "run", half)
        with pytest.raises(error):
            model.fit(x[:, :1], np.column_stack([y, y]))
    assert model.n_features_in_ == 2
    for one in (model, twin):
        one.learn_one(x[0], y[0])
    assert_same_bits(model.predict(x), twin.predict(x))
    assert_same_bits(model.agent_rmse, twin.agent_rmse)


def test_an_ensemble_that_cannot_be_drawn_has_seen_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say, for want of memory."""
    x, y, initial = series(10, 2, 2)

    def build(self: Any) -> None:
        raise MemoryError

    model = ensemble()
    with monkeypatch.context() as patch:
        patch.setattr(Engines, "_build", build)
        for attempt in (
            lambda: model.predict_one(x[0]),
            lambda: model.learn_one(x[0], y[0]),
            lambda: model.run(x, y, initial=initial),
        ):
            with pytest.raises(MemoryError):
                attempt()
    assert not hasattr(model, "n_features_in_")
    assert not hasattr(model, "n_outputs_")
    assert_same_bits(model.run(x[:, :1], y[:, 0]).predictions[:1], np.zeros((1, 1)))


# ---------------------------------------------------------------- against plain baselines


def test_the_agents_learn_what_can_be_learnt(policy: str) -> None:
    """A linear trend of the input: after a while the error is a fraction of repeating."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 2))
    y = np.cumsum(x @ [0.7, -0.4])
    run = ensemble(30, 12, policy=policy).run(x, y, initial=0.0)
    late = slice(200, None)
    errors = np.abs(run.predictions - run.targets)[late].mean()
    repeat = np.abs(np.diff(run.targets, axis=0))[late].mean()
    assert errors < 0.2 * repeat


@pytest.mark.parametrize("kind", ["series", "noise", "walk"])
def test_consensus_raises_neither_the_mean_error_nor_the_largest(kind: str) -> None:
    """Theory (6.16), where moving is free and all are counted."""
    rng = np.random.default_rng(4)
    x, y, initial = series(80, 2, 2)
    if kind != "series":
        y = rng.normal(size=y.shape)
        y = y.cumsum(axis=0) if kind == "walk" else y
    settings = {"effort": 1e-12, "aggregate": "mean", "n_agents": 12}
    greedy = memoa.OnlineEnsemble(policy="greedy", **settings).run(x, y, initial=initial)  # type: ignore[arg-type]
    for consensus in (0.0, 1.0, 10.0, 1000.0):
        run = memoa.OnlineEnsemble(consensus=consensus, **settings).run(x, y, initial=initial)  # type: ignore[arg-type]
        for error in ("mean_agent_rmse", "worst_agent_rmse"):
            found = getattr(run, error)
            assert found <= getattr(greedy, error) * (1 + 1e-9)
    assert run.worst_agent_rmse <= greedy.mean_agent_rmse
