"""Seconds until Ctrl-C is heard, in whatever can last: ``python bench/interrupts.py [NAME...]``.

Each piece of work is begun twice: the first time it is interrupted after 0.3 s, the second time it
is left to end, or to 20 s, which shows what it would have taken to hear Ctrl-C at the end only.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import memoa
from memoa.verify import random_game, verify

AFTER = 0.3
LONGEST = 20.0
D = 24  # outputs: stages that are heavy
START: dict[str, Any] = {"mean": np.zeros(2), "cov": np.eye(2)}
Work = Callable[[], object]


def wide_game(horizon: int = 3000) -> memoa.Game:
    """A game whose every stage is a system of many equations."""
    mean = np.random.default_rng(0).normal(size=(D, 2)) / D
    cov = np.stack([0.1 * np.eye(D)] * 2)
    return memoa.Game(mean, cov, np.ones(D), coupling=0.3, horizon=horizon)


def series(n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_steps, 2)), rng.normal(size=n_steps)


def predict() -> Work:
    X, Y = series(20_000)
    model = memoa.OnlineEnsemble(2000, memoa.RandomFeatures(30))
    model.run(X[:20], Y[:20])
    return lambda: model.predict(X)


def run() -> Work:
    X, Y = series(20_000)
    return lambda: memoa.OnlineEnsemble(2000, memoa.RandomFeatures(30)).run(X, Y)


def draw() -> Work:
    return lambda: memoa.OnlineEnsemble(4000, memoa.EchoState(60)).predict_one([1.0, 2.0])


def panel() -> Work:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(1000, 2000, 4)), rng.normal(size=(1000, 2000))
    return lambda: memoa.Panel(2000).run(X, Y)


def simulate() -> Work:
    game = random_game(0)
    policy = memoa.solve_mean_field(game)
    return lambda: memoa.simulate(game, policy, 10_000_000, **START)


def centralized() -> Work:
    cov = np.tile(0.1 * np.eye(2), (60, 40, 2, 1, 1))
    players = memoa.NPlayerGame(np.ones((60, 40, 2, 2)) / 2, cov, np.ones((60, 40, 2)))
    return lambda: memoa.solve_centralized_nash(players)


def certify() -> Work:
    game = wide_game()
    policy = memoa.solve_myopic(game)
    return lambda: memoa.certify(game, policy, 100, mean=np.zeros(D), cov=np.eye(D))


def of_wide_game(solve: Callable[..., object], horizon: int, *args: Any) -> Callable[[], Work]:
    def make() -> Work:
        game = wide_game(horizon)
        return lambda: solve(game, *args)

    return make


WORKS: dict[str, Callable[[], Work]] = {
    "predict": predict,
    "run": run,
    "drawing agents": draw,
    "Panel.run": panel,
    "simulate": simulate,
    "solve_mean_field": of_wide_game(memoa.solve_mean_field, 12_000),
    "solve_nash": of_wide_game(memoa.solve_nash, 3000, 100),
    "solve_social_optimum": of_wide_game(memoa.solve_social_optimum, 12_000),
    "solve_centralized_nash": centralized,
    "certify": certify,
    "verify": lambda: lambda: verify(random_game(0), **START, monte_carlo_runs=2000),
}


class Heard(Exception):
    """What Ctrl-C raises here."""


def until_heard(work: Work, after: float) -> tuple[float, float]:
    """Seconds from the signal to the exception, and those of processors; NaN if too late."""
    sent: list[float] = []

    def handle(number: int, frame: Any) -> None:
        raise Heard

    def send() -> None:
        sent.extend((time.perf_counter(), time.process_time()))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    timer = threading.Timer(after, send)
    timer.start()
    try:
        work()
    except Heard:
        return time.perf_counter() - sent[0], time.process_time() - sent[1]
    finally:
        timer.cancel()
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    return float("nan"), float("nan")


def main(names: list[str]) -> None:
    print("| work | seconds until heard | of processors | seconds of the whole |")
    print("| --- | ---: | ---: | ---: |")
    for name in names or WORKS:
        heard, of_processors = until_heard(WORKS[name](), AFTER)
        work, began = WORKS[name](), time.perf_counter()
        over = np.isnan(until_heard(work, LONGEST)[0])
        whole = f"{time.perf_counter() - began:.1f}" if over else f"more than {LONGEST:.0f}"
        print(f"| {name} | {heard:.2f} | {of_processors:.2f} | {whole} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
