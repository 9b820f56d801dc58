"""The programs of examples/cpp compute what Python computes, and share its files.

They are built by whoever runs these tests: MEMOA_CPP_EXAMPLES names the folder.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import memoa

FOLDER = os.environ.get("MEMOA_CPP_EXAMPLES", "")
needs_programs = pytest.mark.skipif(not FOLDER, reason="MEMOA_CPP_EXAMPLES names no folder")


def run_program(name: str, *args: str, lines: str = "") -> str:
    program = subprocess.run(
        [Path(FOLDER) / name, *args], input=lines, capture_output=True, text=True, check=True
    )
    return program.stdout


def numbers(text: str) -> list[float]:
    return [float(word) for word in re.findall(r"(?<![\w.])-?(?:\d[\w.+-]*|nan|inf)", text)]


def series(n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n_steps, 2))
    return X, np.sin(X[:, 0]) + 0.3 * X[:, 1] + 0.1 * rng.normal(size=n_steps)


def lines_of(X: np.ndarray, y: np.ndarray) -> str:
    return "".join(f"{a!r} {b!r} {c!r}\n" for (a, b), c in zip(X.tolist(), y.tolist()))


def follow(model: memoa.OnlineEnsemble, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Forecasts and intervals as `live` writes them."""
    rows = []
    for x, target in zip(X, y):
        forecast = model.predict_one(x)
        rows.append([forecast[0], *model.prediction_intervals[0, :, 0]])
        model.learn_one(x, target)
    return np.array(rows)


def table(text: str) -> np.ndarray:
    return np.array([[float(word) for word in line.split()] for line in text.splitlines()])


@needs_programs
def test_what_python_saved_goes_on_in_cpp_and_back(tmp_path: Path) -> None:
    X, y = series(90)
    X[17, 0] = y[23] = np.nan  # the file tells how many values were scored
    path = str(tmp_path / "state.npz")
    model = memoa.OnlineEnsemble(n_agents=20, intervals=[0.9], random_state=4)
    follow(model, X[:30], y[:30])
    waiting = X[30]
    model.predict_one(waiting)  # waits for its y in the file
    model.save(path)
    there = table(run_program("live", path, lines=lines_of(X[30:60], y[30:60])))
    np.testing.assert_array_equal(there, follow(model, X[30:60], y[30:60]))
    back = memoa.OnlineEnsemble.load(path)
    assert back.get_params()["random_state"] == 4
    np.testing.assert_array_equal(follow(back, X[60:], y[60:]), follow(model, X[60:], y[60:]))
    np.testing.assert_array_equal(back.agent_rmse, model.agent_rmse)
    np.testing.assert_array_equal(back.weights, model.weights)


@needs_programs
def test_what_cpp_began_goes_on_in_python(tmp_path: Path) -> None:
    X, y = series(60)
    path, whole = str(tmp_path / "state.npz"), str(tmp_path / "whole.npz")
    run_program("live", path, lines=lines_of(X[:30], y[:30]))
    expected = table(run_program("live", whole, lines=lines_of(X, y)))
    model = memoa.OnlineEnsemble.load(path)
    assert model.n_agents == 50
    assert list(model.get_params()["intervals"]) == [0.9]
    np.testing.assert_array_equal(follow(model, X[30:], y[30:]), expected[30:])
    model.save(path)
    ends = memoa.OnlineEnsemble.load(whole)
    np.testing.assert_array_equal(ends.agent_rmse, model.agent_rmse)


def follow_late(
    model: memoa.OnlineEnsemble, X: np.ndarray, y: np.ndarray, first: int, last: int
) -> np.ndarray:
    """Forecasts and intervals as `late` writes them, of the steps [first, last)."""
    rows = []
    for t in range(first, last):
        forecast = model.predict_one(X[t])
        rows.append([forecast[0], *model.prediction_intervals[0, :, 0]])
        if t >= model.delay:
            model.learn_one(X[t - model.delay], y[t - model.delay])
    return np.array(rows)


@needs_programs
@pytest.mark.parametrize("began_in_cpp", [False, True])
def test_what_waits_for_its_y_goes_on_in_the_other_language(
    tmp_path: Path, began_in_cpp: bool
) -> None:
    X, y = series(90)
    y[23] = np.nan
    known = np.concatenate([[np.nan] * 3, y[:-3]])  # at each step
    path, whole = str(tmp_path / "state.npz"), str(tmp_path / "whole.npz")
    if began_in_cpp:
        first = table(run_program("late", path, lines=lines_of(X[:30], known[:30])))
    else:
        model = memoa.OnlineEnsemble(n_agents=50, intervals=[0.9], delay=3, random_state=0)
        first = follow_late(model, X, y, 0, 30)
        model.save(path)
    second = table(run_program("late", path, lines=lines_of(X[30:60], known[30:60])))
    model = memoa.OnlineEnsemble.load(path)
    assert model.delay == 3
    third = follow_late(model, X, y, 60, 90)
    expected = table(run_program("late", whole, lines=lines_of(X, known)))
    np.testing.assert_array_equal(np.concatenate([first, second, third]), expected)
    ends = memoa.OnlineEnsemble.load(whole)
    np.testing.assert_array_equal(ends.agent_rmse, model.agent_rmse)
    np.testing.assert_array_equal(ends.weights, model.weights)


@needs_programs
def test_what_a_run_told_waits_in_the_file(tmp_path: Path) -> None:
    """C++ learns it once more, from its own lines."""
    X, y = series(60)
    path = str(tmp_path / "state.npz")
    model = memoa.OnlineEnsemble(n_agents=20, intervals=[0.9], delay=3, random_state=4)
    model.run(X[:30], y[:30])
    model.save(path)
    there = table(run_program("late", path, lines=lines_of(X[30:], y[27:57])))
    np.testing.assert_array_equal(there, follow_late(model, X, y, 30, 60))


@needs_programs
def test_a_state_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    path.write_bytes(b"no state")
    program = subprocess.run(
        [Path(FOLDER) / "live", path], input="", capture_output=True, text=True
    )
    assert program.returncode == 1
    assert program.stderr.startswith(f"{path}: ")


@needs_programs
def test_the_game() -> None:
    game = memoa.Game(
        feature_mean=[[1.0, 0.5]],
        feature_cov=np.full((2, 1, 1), 0.2),
        target=np.ones((10, 1)),
        coupling=[[0.5]],
    )
    policy = memoa.solve_mean_field(game)
    expected = list(policy.gain[0].ravel())
    for n_agents in (2, 100, 10**6):
        found = memoa.certify(game, policy, n_agents, mean=[0.0], cov=[[1.0]])
        expected += [n_agents, found.cost, found.exploitability]
    np.testing.assert_array_equal(numbers(run_program("game")), expected)


@needs_programs
def test_the_panel() -> None:
    week = [1.0, 0.9, 1.1, 1.2, 1.6, 2.0, 0.4]

    def sales(shop: int, day: int) -> float:
        return 10.0 * (shop + 1) * week[(day + 7) % 7] - 0.05 * day

    days, shops = range(60), range(3)
    X = np.array([[[sales(i, t - 1), sales(i, t - 7)] for i in shops] for t in days])
    Y = np.array([[sales(i, t) for i in shops] for t in days])
    Y[:30, 2] = np.nan
    panel = memoa.Panel(n_clients=3, random_state=1)
    run = panel.run(X, Y)
    told = numbers(run_program("panel"))
    np.testing.assert_array_equal(told[:3], run.predictions[-1].ravel())
    np.testing.assert_array_equal(told[4::3], panel.client_rmse)
