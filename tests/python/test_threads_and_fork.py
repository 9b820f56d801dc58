"""Several Python threads, and forked children of a process that computed on many threads."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

import memoa
from helpers import assert_same_bits, ensemble, series

X, Y, INITIAL = series(20, 3, 2)


def large(n_threads: int | None = None) -> memoa.OnlineEnsemble:
    """Large enough that the core really uses its threads."""
    return ensemble(5000, 12, n_threads=n_threads)


def forecast(n_threads: int | None) -> np.ndarray:
    return large(n_threads).run(X[:6], Y[:6], initial=INITIAL).predictions


def child(model: memoa.OnlineEnsemble, answers: Any) -> None:
    answers.put((model.run(X[6:], Y[6:]).predictions, forecast(None)))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_computes_after_its_parent_used_threads() -> None:
    model = large(2)
    before = model.run(X[:6], Y[:6], initial=INITIAL).predictions
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=child, args=(model, answers))
    process.start()
    try:
        continued, alone = answers.get(timeout=60)
        process.join(timeout=60)
        assert process.exitcode == 0
    finally:
        if process.is_alive():
            process.kill()
    assert_same_bits(alone, before)
    assert_same_bits(continued, model.run(X[6:], Y[6:]).predictions)


def square_of(seed: int) -> bytes:
    """What a worker of a pool computes: on two threads where it can."""
    return large(2).set_params(random_state=seed).fit(X[:6], Y[:6]).weights.tobytes()


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_pool_of_every_start_method_after_a_run(method: str) -> None:
    expected = [square_of(seed) for seed in (0, 1)]
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        assert pool.map_async(square_of, [0, 1]).get(timeout=120) == expected


DURING = """
import os, sys, threading, time
import numpy as np, memoa
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(20000, 3)), rng.normal(size=(20000, 1))
model, other = (memoa.OnlineEnsemble(3000, n_threads=2) for _ in range(2))
for one in (model, other):
    one.run(X[:5], Y[:5])
begun = threading.Event()
worker = threading.Thread(
    target=lambda: model.run(X, Y, progress=lambda done, total: begun.set()), daemon=True
)
worker.start()
begun.wait()
time.sleep(0.05)
child = os.fork()
if child == 0:
    other.run(X[:20], Y[:20])  # what nobody was at work on goes on
    try:
        model.predict(X[:1])  # its thread does not exist here: half of a run, or between two slices
    except RuntimeError as error:
        assert "forked" in str(error)
    os._exit(0)
for _ in range(600):
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        os._exit(os.waitstatus_to_exitcode(status))
    time.sleep(0.1)
os.kill(child, 9)
os._exit(77)
"""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_child_forked_during_a_run_of_another_thread_does_not_hang() -> None:
    command = [sys.executable, "-W", "ignore", "-c", DURING]
    for _ in range(3):
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr


def test_two_ensembles_on_two_python_threads() -> None:
    results: dict[int, np.ndarray] = {}

    def work(key: int) -> None:
        results[key] = forecast(key)

    workers = [threading.Thread(target=work, args=(key,)) for key in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert set(results) == {1, 2}
    assert_same_bits(results[1], results[2])


def test_other_python_threads_go_on_while_the_core_computes() -> None:
    """One call into the core of some tenths of a second; this thread ticks meanwhile."""
    n_agents, n_features = 4000, 20
    features = np.random.default_rng(0).normal(size=(60, n_agents, n_features))
    game = ensemble(n_agents, encoder=memoa.Precomputed(n_features), n_threads=1)
    game.run(features[:1], Y[:1, 0])
    done = threading.Event()
    times: list[float] = []

    def compute() -> None:
        times.append(time.perf_counter())
        game.predict(features)  # a single call, not in slices
        times.append(time.perf_counter())
        done.set()

    worker = threading.Thread(target=compute)
    ticks = []
    worker.start()
    while not done.is_set():
        ticks.append(time.perf_counter())
        time.sleep(0.001)
    worker.join()
    began, ended = times
    inside = [tick for tick in ticks if began + 0.1 * (ended - began) < tick < ended - 1e-3]
    assert len(inside) >= 3


def test_one_ensemble_on_two_python_threads_stays_whole() -> None:
    """The order of the steps is nobody's promise, but every step is taken once and none is torn."""
    model = ensemble(300, 8)
    model.run(X, Y, initial=INITIAL)
    errors: list[Exception] = []

    def work(kind: str) -> None:
        try:
            for _ in range(10):
                if kind == "run":
                    assert np.isfinite(model.run(X, Y).predictions).all()
                else:
                    assert np.isfinite(model.predict(X)).all()
                    assert np.isfinite(model.weights).all()
                    assert np.isfinite(model.agent_predictions).all()
        except Exception as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(kind,)) for kind in ("run", "run", "predict")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert errors == []
    assert model._learnt("steps").core.steps == 21 * len(X)
    assert np.isfinite(model.predict_one(X[0])).all()
