"""One ensemble, many threads: one caller at a time, whole steps, nothing lost, nothing torn."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import memoa
from helpers import assert_same_bits, ensemble, series

X, Y, INITIAL = series(40, 3, 2)


def together(*works: Callable[[], object]) -> None:
    """Each on a thread of its own, begun at the same moment; errors come out."""
    barrier, errors = threading.Barrier(len(works)), []

    def begin(work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=begin, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def test_a_step_is_its_forecast_and_its_lesson() -> None:
    whole, halves = ensemble(6), ensemble(6)
    for x, y in zip(X, Y):
        forecast = whole.step_one(x, y)
        halves.predict_one(x)
        halves.learn_one(x, y)
        assert forecast.shape == (2,)
        assert_same_bits(whole.agent_predictions, halves.agent_predictions)
    assert_same_bits(whole.weights, halves.weights)
    named = ensemble(6)
    named.step_one({"a": 1.0, "b": 2.0}, 3.0)
    assert list(named.feature_names_in_) == ["a", "b"]


@pytest.mark.parametrize("bad", [np.inf, [1.0, 2.0, 3.0], "x", None])
def test_a_refused_step_changes_nothing(bad: Any) -> None:
    model, twin = ensemble(6), ensemble(6)
    for one in (model, twin):
        one.run(X[:5], Y[:5])
        one.predict_one(X[5])
    with pytest.raises((ValueError, TypeError)):
        model.step_one(X[6], bad)
    with pytest.raises((ValueError, TypeError)):
        model.step_one(np.full(3, np.inf), Y[6])
    assert_same_bits(model.agent_predictions, twin.agent_predictions)
    assert_same_bits(model.learn_one(X[5], Y[5]).weights, twin.learn_one(X[5], Y[5]).weights)


def test_no_run_is_lost_on_first_use() -> None:
    """Both threads find no engines yet; the second must not put its own in their place."""
    for _ in range(30):
        model = ensemble(6)
        model.observe(INITIAL)
        run = partial(model.run, X[:8], Y[:8])
        together(run, run)
        assert model._learnt("steps").core.steps == 16


def test_steps_of_two_threads_are_whole_and_none_is_lost() -> None:
    model = ensemble(6, n_threads=1)
    model.observe(INITIAL)

    def step() -> None:
        for x, y in zip(X, Y):
            assert np.isfinite(model.step_one(x, y)).all()

    together(step, step, step)
    assert model._learnt("steps").core.steps == 3 * len(X)


def test_predictions_of_a_second_thread_change_nothing() -> None:
    model, alone = ensemble(6, n_threads=1), ensemble(6, n_threads=1)
    for one in (model, alone):
        one.run(X[:10], Y[:10], initial=INITIAL)
    done = threading.Event()

    def follow() -> None:
        for x, y in zip(X[10:], Y[10:]):
            model.predict_one(x)
            model.learn_one(x, y)
        done.set()

    def look() -> None:
        while not done.is_set():
            model.predict(X)

    together(follow, look)
    alone.run(X[10:], Y[10:])
    assert_same_bits(model.weights, alone.weights)
    assert_same_bits(model.agent_rmse, alone.agent_rmse)


@pytest.mark.parametrize("way", ["pickle", "save"])
def test_a_copy_made_meanwhile_is_of_one_step(way: str, tmp_path: Path) -> None:
    """Population and server have learnt the same number of steps in every copy."""
    model = ensemble(50, n_threads=1)
    model.run(X[:2], Y[:2], initial=INITIAL)
    done = threading.Event()
    copies: list[memoa.OnlineEnsemble] = []

    def follow() -> None:
        for _ in range(5):
            for x, y in zip(X, Y):
                model.step_one(x, y)
        done.set()

    def copy() -> None:
        while not done.is_set():
            if way == "pickle":
                copies.append(pickle.loads(pickle.dumps(model)))
            else:
                model.save(tmp_path / "a.npz")
                copies.append(memoa.OnlineEnsemble.load(tmp_path / "a.npz"))

    together(follow, copy)
    assert copies
    for found in copies:
        of_population, of_server = found._learnt("steps").core.memory()
        assert of_population["steps"] == of_server["steps"]


def test_an_input_that_is_overwritten_meanwhile_leaves_no_nan() -> None:
    x, y, initial = series(4000, 3, 1)
    done = threading.Event()
    model = ensemble(30, n_threads=1)

    def follow() -> None:
        try:
            for _ in range(5):
                try:
                    model.run(x, y, initial=initial)
                except ValueError as error:
                    assert "holds nan" in str(error)
        finally:
            done.set()

    def overwrite() -> None:
        clean = x[2000:2100].copy()
        while not done.is_set():
            x[2000:2100] = np.nan
            x[2000:2100] = clean

    together(follow, overwrite)
    assert np.isfinite(model.predict_one(np.zeros(3))).all()
    assert np.isfinite(model.agent_rmse).all()


def test_progress_may_look_at_the_ensemble() -> None:
    model = ensemble(6)
    seen = []
    model.run(X, Y, initial=INITIAL, progress=lambda done, total: seen.append(model.weights.sum()))
    np.testing.assert_allclose(seen, 1.0)
