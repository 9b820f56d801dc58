"""The series of the study against their equations, and the study itself."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest

import memoa
from experiments import study, study_series
from experiments.study import Study
from helpers import assert_close, assert_same_bits
from memoa import datasets

GENERATORS = [
    study.sine_with_drift,
    study.ar2,
    study.mackey_glass,
    study.lorenz,
    study.random_walk,
    study.walk_among_walks,
    study.narma10,
    study.regime_switches,
    study.cycle,
    study.smooth_curve,
    study.ricker,
    study.henon,
    study.daily_load,
]


@pytest.mark.parametrize("generate", GENERATORS, ids=lambda g: g.__name__)
def test_a_series_is_its_seeds(generate: Any) -> None:
    first, again, other = generate(60, seed=3), generate(60, seed=3), generate(60, seed=4)
    assert_same_bits(first.X, again.X)
    assert_same_bits(first.Y, again.Y)
    assert not np.any(first.Y == other.Y)
    assert len(first.Y) == 60
    # what was last seen is the first of the inputs
    d = first.Y.shape[1]
    assert_same_bits(first.X[1:, :d].copy(), first.Y[:-1].copy())
    assert_same_bits(first.X[0, :d].copy(), first.initial.copy())


def test_the_study_leaves_the_forecasting_table_alone() -> None:
    drawn = [make(0) for make in study.SERIES.values()]
    assert {series.name for series in drawn}.isdisjoint(datasets.BUILTIN)
    assert all(200 <= len(series.Y) <= 2000 for series in drawn)
    assert {series.Y.shape[1] for series in drawn} == {1, 2, 3}
    assert set(study.WALKS) == {"random walk 500", "random walk 2000", "walk among walks 2000"}


def test_a_cycle_repeats_itself() -> None:
    y = study.cycle(200, seed=4).Y[:, 0]
    period = next(p for p in range(1, 60) if np.all(y[p:] == y[:-p]))
    assert 3 <= period <= 12
    noisy = study.cycle(2000, seed=4, noise=0.1).Y[:, 0]
    assert (noisy[period:] - noisy[:-period]).std() == pytest.approx(0.1 * 2**0.5, rel=0.1)


def test_a_smooth_curve_is_three_sines() -> None:
    y = study.smooth_curve(200, seed=1).Y[:, 0]
    for _ in range(3):  # the second difference of a sine is it, times 2 cos - 2
        y = y[2:] - 2.0 * y[1:-1] + y[:-2]
    assert np.abs(y).max() < 3 * 1.5 * (2 * np.pi / 20) ** 6


def test_maps_are_their_equations() -> None:
    series = study.ricker(300, seed=2)
    x, y = series.X[:, 0], series.Y[:, 0]
    sure = np.abs(1.0 - x) > 0.05
    rate = (np.log(y / x) / np.where(sure, 1.0 - x, 1.0))[sure]
    assert (rate > 2.3 - 1e-9).all()
    assert (rate < 2.9 + 1e-9).all()
    series = study.henon(300, seed=2)
    y = np.concatenate([series.initial, series.Y[:, 0]])
    assert_close(y[2:], 1.0 - 1.4 * y[1:-1] ** 2 + 0.3 * y[:-2], 1e-9)


def test_a_daily_load_has_a_day_and_a_week() -> None:
    y = study.daily_load(2000, seed=0).Y[:, 0]
    day, week = ((y[p:] - y[:-p]).std() for p in (24, 168))
    assert week < day < y.std()
    assert week < 0.2


def test_sine_with_drift() -> None:
    series = study.sine_with_drift(2000, seed=1)
    t = np.arange(2, 2002)
    waves = (1 + t / 2000) * np.sin(2 * np.pi * t / 25) + 0.5 * np.sin(2 * np.pi * t / 7)
    noise = series.Y[:, 0] - waves - 2 * t / 2000
    assert abs(noise.mean()) < 0.01
    assert noise.std() == pytest.approx(0.1, rel=0.07)


def test_ar2() -> None:
    series = study.ar2(4000, seed=1)
    noise = series.Y[:, 0] - series.X @ [2 * 0.9 * np.cos(np.pi / 6), -0.81]
    assert noise.std() == pytest.approx(1.0, rel=0.05)
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 0.05


def test_mackey_glass_against_short_euler_steps() -> None:
    start = 1.2 + 0.2 * float(np.random.default_rng(2).uniform(-1.0, 1.0))
    step, delay = 0.005, 3400
    x = np.full(delay + 1 + round((300 + 6 * 5) / step), start)
    for k in range(delay, len(x) - 1):
        late = x[k - delay]
        x[k + 1] = x[k] + step * (0.2 * late / (1.0 + late**10) - 0.1 * x[k])
    sampled = x[delay + round(300 / step) :: round(6 / step)]
    series = study.mackey_glass(2, seed=2)
    np.testing.assert_allclose(series.X[0, ::-1], sampled[:4], rtol=0.01)
    np.testing.assert_allclose(series.Y[:, 0], sampled[4:6], rtol=0.01)


def test_lorenz_flows_for_a_twentieth_from_a_row_to_the_next() -> None:
    solve_ivp = pytest.importorskip("scipy.integrate").solve_ivp
    series = study.lorenz(50, seed=1)

    def slope(_: float, state: np.ndarray) -> list[float]:
        x, y, z = state
        return [10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z]

    for x, y in zip(series.X, series.Y):
        end = solve_ivp(slope, (0.0, 0.05), x, rtol=1e-10, atol=1e-10).y[:, -1]
        assert_close(y, end, 1e-5)


def test_random_walks() -> None:
    walks = study.random_walk(4000, seed=1, n_outputs=2)
    steps = walks.Y - walks.X[:, :2]
    np.testing.assert_allclose(np.cov(steps.T), np.eye(2), atol=0.1)
    assert abs(np.corrcoef(steps[1:, 0], steps[:-1, 0])[0, 1]) < 0.05
    moving = study.random_walk(4000, seed=1, momentum=0.5)
    steps = moving.Y - moving.X[:, :1]
    assert_close(moving.X[1:, 1], moving.X[:-1, 0])
    assert np.corrcoef(steps[1:, 0], steps[:-1, 0])[0, 1] == pytest.approx(0.5, abs=0.05)


def test_walk_among_walks() -> None:
    series = study.walk_among_walks(4000, seed=1)
    steps = series.X[:, :4] - series.X[:, 4:]
    assert_close(series.Y[:-1], series.X[1:, :1])
    correlations = np.corrcoef(steps.T)[np.triu_indices(4, 1)]
    np.testing.assert_allclose(correlations, 0.5, atol=0.1)
    sizes = np.log(np.mean(steps**2, axis=1))  # quiet and wild stretches
    assert np.corrcoef(sizes[1:], sizes[:-1])[0, 1] > 0.1


def test_narma10() -> None:
    series = study.narma10(60, seed=1)
    y = np.concatenate([series.initial, series.Y[:, 0]])
    for t in range(9, 60):
        u = series.X[t, 1:]
        expected = 0.3 * y[t] + 0.05 * y[t] * y[t - 9 : t + 1].sum() + 1.5 * u[9] * u[0] + 0.1
        assert y[t + 1] == pytest.approx(expected, rel=1e-12)
        assert_same_bits(series.X[t, 2:].copy(), series.X[t - 1, 1:-1].copy())


def test_regime_switches() -> None:
    series = study.regime_switches(3000, seed=1)
    last = series.X[:, 0]
    misses = series.Y[:, 0] - np.array([0.95 * last, 1.0 - 0.6 * last])
    second = np.abs(misses[1]) < np.abs(misses[0])
    assert 0.2 < second.mean() < 0.8
    assert np.sqrt(np.mean(np.min(misses**2, axis=0))) == pytest.approx(0.3, rel=0.25)


@pytest.mark.parametrize("generate", GENERATORS, ids=lambda g: g.__name__)
def test_bad_arguments(generate: Any) -> None:
    with pytest.raises(ValueError, match="n is 0; expected an integer of at least 1"):
        generate(0)
    with pytest.raises(TypeError, match="seed is 1.5 of type float; expected an integer"):
        generate(10, seed=1.5)


def test_bad_momentum() -> None:
    with pytest.raises(ValueError, match=r"momentum is 1.0; expected a number between -1 and 1"):
        study.random_walk(10, momentum=1)


# ---------------------------------------------------------------- the study


MAKERS = {
    "random walk 500": lambda seed: study.random_walk(40, seed),
    "sine 200": lambda seed: study.sine_with_drift(50, seed),
}
SMALL = Study(
    MAKERS,
    ("random walk 500",),
    {k: study.SETTINGS[k] for k in ("default", "ridge 0.1", "equal weights")},
)


def test_every_setting_is_one_that_can_be_made() -> None:
    plain = memoa.OnlineEnsemble().get_params(deep=False)
    for name, setting in study.SETTINGS.items():
        params = memoa.OnlineEnsemble(**setting).get_params(deep=False)
        changed = [k for k in plain if params[k] != plain[k]]
        assert len(changed) == (0 if name == "default" else 1)


def test_the_study_is_ratios_of_errors_of_runs() -> None:
    told: list[tuple[int, int]] = []
    table = study.study_defaults(
        [4, 5], lambda *counts: told.append(counts), study=SMALL, n_threads=2
    )
    assert told == [(k + 1, 12) for k in range(12)]
    assert table.how == study.HOW
    assert table.seeds == (4, 5)
    default, ridge, _ = table.rows
    assert (default["mean agent"], default["worst agent"]) == (1.0, 1.0)
    servers, agents, walks = [], [], []
    for name, make in MAKERS.items():
        logs = []
        for seed in (4, 5):
            series = make(seed)
            runs = [
                memoa.OnlineEnsemble(random_state=seed, follow="mean", **changes).run(
                    series.X, series.Y, initial=series.initial
                )
                for changes in ({"ridge": 0.1}, {}, {"policy": "greedy"})
            ]
            plain = np.sqrt(np.mean((runs[2].mean_field - series.Y) ** 2))
            errors = [runs[0].server_rmse, plain, runs[0].repeat_last_rmse]
            logs.append(np.log([*errors, runs[0].mean_agent_rmse, runs[1].mean_agent_rmse]))
        server, plain, repeat, own, theirs = np.mean(logs, axis=0)
        servers.append(server - min(plain, repeat))
        agents.append(own - theirs)
        walks.append(server - repeat if name in SMALL.walks else -np.inf)
    assert ridge["server"] == pytest.approx(np.exp(np.mean(servers)), rel=1e-9)
    assert ridge["hardest"] == pytest.approx(np.exp(max(servers)), rel=1e-9)
    assert ridge["walks"] == pytest.approx(np.exp(max(walks)), rel=1e-9)
    assert ridge["mean agent"] == pytest.approx(np.exp(np.mean(agents)), rel=1e-9)


def test_the_study_does_not_depend_on_threads_and_prints_as_markdown() -> None:
    one, many = (study.study_defaults([1], study=SMALL, n_threads=n) for n in (1, 3))
    assert one.rows == many.rows
    lines = str(one).splitlines()
    assert len(lines) == 2 + 3
    assert all(line.count("|") == len(study.COLUMNS) + 2 for line in lines)
    assert lines[3].startswith("| ridge 0.1 |")


@pytest.mark.parametrize(
    ("seeds", "error", "message"),
    [
        ([], ValueError, "seeds is empty; expected at least one seed"),
        ([-1], ValueError, "seeds is -1; expected an integer of at least 0"),
        ([0.5], TypeError, "seeds is 0.5 of type float; expected an integer"),
    ],
)
def test_the_study_refuses(seeds: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        study.study_defaults(seeds)


def test_an_error_of_a_run_or_of_progress_comes_out() -> None:
    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.study_defaults([1], stop, study=SMALL)


@pytest.mark.parametrize("module", [study, study_series])
def test_the_examples_run(module: Any) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
