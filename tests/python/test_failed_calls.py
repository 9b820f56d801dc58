"""Calls that fail half-way leave an ensemble as it was, and no argument ends the process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import memoa
from helpers import assert_same_bits, ensemble, everything, series, steps

X, Y, INITIAL = series(40)


def learnt(n_steps: int = 10, **settings: Any) -> memoa.OnlineEnsemble:
    model = ensemble(**settings)
    steps(model, X[:n_steps], Y[:n_steps])
    return model


# ---------------------------------------------------------------------- refused and failed calls


@pytest.mark.parametrize("start", [0, 10])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"progress": "x"}, TypeError, "progress is 'x'; expected a function"),
        ({"initial": [3.0], "record": [6]}, ValueError, "record holds agent 6"),
        ({"initial": [3.0], "record": [-1]}, ValueError, "record holds agent -1"),
        ({"initial": [3.0], "record": [0.5]}, TypeError, "record has dtype float64"),
    ],
)
def test_a_refused_run_changes_nothing(
    start: int, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    model = learnt(start)
    before = everything(model)
    with pytest.raises(error, match=message):
        model.run(X[:20], Y[:20], **arguments)
    assert everything(model) == before


def overflowing() -> tuple[memoa.OnlineEnsemble, np.ndarray, np.ndarray]:
    x, y = np.random.default_rng(0).normal(size=(20, 6, 2)), Y[:20]
    model = ensemble(encoder=memoa.Precomputed(2))
    steps(model, x[:8], y[:8])
    x[10:15, 3] = 9e153
    return model, x, y


@pytest.mark.parametrize("call", ["run", "partial_fit", "fit"])
def test_a_warning_that_is_an_error_changes_nothing(call: str) -> None:
    model, x, y = overflowing()
    model.predict_one(x[8])
    before, shown = everything(model), model.agent_predictions
    twin = pickle.loads(pickle.dumps(model))
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(RuntimeWarning, match="agent 3 overflowed"):
                getattr(model, call)(x[8:], y[8:])
        assert everything(model) == before
        assert_same_bits(model.agent_predictions, shown)
    assert_same_bits(steps(model, x[8:10], y[8:10]), steps(twin, x[8:10], y[8:10]))


@pytest.mark.parametrize("intervals", [(), (0.8,)])
def test_a_late_forecast_whose_warning_is_an_error_changes_nothing(intervals: Any) -> None:
    _, x, y = overflowing()
    model = ensemble(encoder=memoa.Precomputed(2), delay=2, intervals=intervals)
    model.run(x[:8], y[:8])
    before = everything(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="agent 3 overflowed"):
            model.predict_one(x[10])
    assert everything(model) == before
    model.predict_one(x[8])


def test_a_first_run_whose_warning_is_an_error_leaves_nothing() -> None:
    _, x, y = overflowing()
    model = ensemble(encoder=memoa.Precomputed(2))
    before = everything(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="agent 3 overflowed"):
            model.run(x, y)
    assert everything(model) == before


# ---------------------------------------------------------------------- arguments


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    here = str(Path(__file__).parent)
    paths = os.pathsep.join([here, *(path for path in sys.path if path)])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def first_forecast(**settings: Any) -> Callable[[], object]:
    return lambda: ensemble(**settings).predict_one([1.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (first_forecast(mixture=memoa.Mixture(window=2**58)), "window = 288230376151711744"),
        (
            first_forecast(encoder=memoa.RandomFeatures(2**63 - 1)),
            "n_features = 9223372036854775807",
        ),
        (first_forecast(encoder=memoa.EchoState(10**8)), "n_features = 100000000"),
        (first_forecast(n_agents=2**60), "n_agents = 1152921504606846976"),
        (first_forecast(horizon=2**62), "horizon = 4611686018427387904"),
        (lambda: memoa.Game([[1.0]], [0.1], [1.0], horizon=10**12), "horizon = 1000000000000"),
        (
            lambda: memoa.Game([[1.0]], [0.1], [1.0], horizon=10**12, discount=0.1),
            "horizon = 1000000000000",
        ),
    ],
)
def test_memory_that_nobody_has_is_told_with_sizes_and_bytes(
    call: Callable[[], object], message: str
) -> None:
    with pytest.raises(MemoryError, match=message) as told:
        call()
    assert "bytes of memory" in str(told.value)


@pytest.mark.parametrize("n_threads", [100_000, 2**31 - 1])
def test_more_threads_than_there_are_compute_the_same(n_threads: int) -> None:
    few = ensemble(200, n_threads=1).run(X, Y)
    done = python(f"""
        import sys
        from helpers import ensemble, series
        X, Y, _ = series(40)
        run = ensemble(200, n_threads={n_threads}).run(X, Y)
        sys.stdout.write(run.predictions.tobytes().hex())
    """)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == few.predictions.tobytes().hex()


LIMITED = """
import resource
from memoa import *  # reads NumPy and the core before memory is short
import memoa
resource.setrlimit(resource.{what}, ({limit}, {limit}))
try:
    {call}
    print("done")
except MemoryError as error:
    print("MemoryError:", error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits of memory")
@pytest.mark.parametrize("megabytes", [220, 260, 300])
def test_echo_states_near_the_memory_limit_end_in_an_exception(megabytes: int) -> None:
    call = (
        "memoa.OnlineEnsemble(8, encoder=memoa.EchoState(700), random_state=0, n_threads=2)"
        ".predict_one([1.0])"
    )
    done = python(LIMITED.format(what="RLIMIT_AS", limit=megabytes << 20, call=call))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "n_features = 700" in done.stdout
    assert "bytes of memory" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits of memory")
def test_a_game_says_at_once_what_it_would_take() -> None:
    call = "memoa.Game([[1.0, 0.5]], [0.2, 0.2], [1.0], horizon=10**9, discount=0.1)"
    done = python(LIMITED.format(what="RLIMIT_AS", limit=4 << 30, call=call))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "horizon = 1000000000" in done.stdout
    assert "bytes of memory" in done.stdout
