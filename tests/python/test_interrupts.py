"""Ctrl-C comes through while the core computes, and leaves what was learnt usable."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from interrupts import WORKS

import memoa
from helpers import assert_same_bits, ensemble

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer signals here")

CPU_SECONDS = 1.0  # of half a second by the clock on an idle machine, two threads at work


class Heard(Exception):
    """What the handler of these tests raises."""


def send_signal() -> None:
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGUSR1)


@contextmanager
def interrupted(after: float = 0.2) -> Iterator[None]:
    """The block is interrupted, soon after the signal by the CPU's time."""
    sent: list[float] = []

    def handle(number: int, frame: Any) -> None:
        raise Heard

    def send() -> None:
        sent.append(time.process_time())
        send_signal()

    before = signal.signal(signal.SIGUSR1, handle)
    timer = threading.Timer(after, send)
    timer.start()
    try:
        with pytest.raises(Heard):
            yield
        assert time.process_time() - sent[0] < CPU_SECONDS
    finally:
        timer.cancel()
        timer.join()
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("name", WORKS)
def test_whatever_lasts_can_be_interrupted(name: str) -> None:
    call = WORKS[name]()
    with interrupted():
        call()


def test_drawing_agents_leaves_the_ensemble_as_it_was() -> None:
    model = memoa.OnlineEnsemble(2000, memoa.EchoState(60), random_state=1)
    with interrupted():
        model.predict_one([1.0, 2.0])
    assert not hasattr(model, "n_features_in_")
    model.set_params(n_agents=5)
    twin = memoa.OnlineEnsemble(5, memoa.EchoState(60), random_state=1)
    model.observe(1.0)
    twin.observe(1.0)
    assert_same_bits(model.predict_one([1.0, 2.0, 3.0]), twin.predict_one([1.0, 2.0, 3.0]))


def test_predict_leaves_what_was_learnt() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20_000, 2)), rng.normal(size=20_000)
    model, twin = ensemble(2000, 30), ensemble(2000, 30)
    for one in (model, twin):
        one.run(x[:20], y[:20])
        one.predict_one(x[20])
    with interrupted():
        model.predict(x)
    for one in (model, twin):
        one.learn_one(x[20], y[20])
    assert_same_bits(
        model.run(x[21:40], y[21:40]).predictions, twin.run(x[21:40], y[21:40]).predictions
    )


def test_waiting_for_another_thread_can_be_interrupted() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20_000, 2)), rng.normal(size=20_000)
    model = ensemble(2000, 30)
    model.run(x[:20], y[:20])
    stop = threading.Event()

    def tell(done: int, total: int) -> None:
        if stop.is_set():
            raise Heard

    def work() -> None:
        with pytest.raises(Heard):
            model.run(x, y, progress=tell)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        with interrupted(0.5):
            while True:
                model.weights  # noqa: B018 - waits for the run
    finally:
        stop.set()
        worker.join()


def test_a_signal_handler_may_not_use_the_engine_it_interrupts() -> None:
    model = ensemble(2000, 30)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 2))
    model.run(x[:20], x[:20, 0])
    before = signal.signal(signal.SIGUSR1, lambda number, frame: model.weights)
    timer = threading.Timer(0.2, send_signal)
    timer.start()
    try:
        with pytest.raises(RuntimeError, match="at work already, in this very thread"):
            model.predict(x)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    assert np.isfinite(model.weights).all()
