"""What agents see of the past of y: the core against its twin, and what does not matter."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import memoa
import reference
from helpers import assert_close, assert_same_bits, ensemble, series, steps
from reference_rows import Season

PASTS: list[dict[str, Any]] = [
    {"lags": 3},
    {"season": "auto"},
    {"season": 4},
    {"bounded": True},
    {"lags": 2, "season": "auto", "bounded": True},
]
ENCODERS = {
    "relu": (memoa.RandomFeatures(5), reference.RandomFeatures(5)),
    "sparse": (
        memoa.RandomFeatures(9, "wave", n_raw=3, n_columns=2),
        reference.RandomFeatures(9, "wave", n_raw=3, n_columns=2),
    ),
    "echo": (memoa.EchoState(4), reference.EchoState(4)),
    "precomputed": (memoa.Precomputed(3), reference.Precomputed(3)),
    "mix": (
        [memoa.RandomFeatures(9, "wave", n_raw=3, n_columns=2), memoa.EchoState(4)],
        [reference.RandomFeatures(9, "wave", n_raw=3, n_columns=2), reference.EchoState(4)],
    ),
}


def cycles(n_steps: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A series (T, 2), (T, d) with a period of 5 in some noise, and the value before it."""
    x, y, initial = series(n_steps, 2, d)
    return x, 0.3 * y + np.resize([0.0, 2.0, 1.0, -1.0, 0.5], n_steps)[:, None], initial


@pytest.mark.parametrize("past", PASTS, ids=str)
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("first_known", [True, False])
def test_a_run_is_that_of_the_twin(encoder: str, past: dict[str, Any], first_known: bool) -> None:
    ours, slow = ENCODERS[encoder]
    for d in (1, 2):
        x, y, initial = cycles(40, d)
        start = initial if first_known else None
        if encoder == "precomputed":
            x = np.random.default_rng(5).normal(size=(40, 6, 3))
        oracle = reference.Ensemble(6, slow, seed=3, **past)
        server, _, mean_field, agents = oracle.run(x, y, start)
        run = ensemble(encoder=ours, random_state=3, **past).run(
            x, y, initial=start, record=range(6)
        )
        assert_close(run.recorded, agents)
        assert_close(run.mean_field, mean_field)
        assert_close(run.predictions, server)


@pytest.mark.parametrize("encoder", ["sparse", "precomputed"])
def test_bad_targets_are_learnt_as_the_twin_does(encoder: str) -> None:
    ours, slow = ENCODERS[encoder]
    x, y, initial = cycles(70, 2)
    y[[3, 30], 0] = [50.0, -1e4]
    y[45:, 1] *= 30.0
    if encoder == "precomputed":
        x = np.random.default_rng(5).normal(size=(70, 6, 3))
    oracle = reference.Ensemble(6, slow, seed=3, lags=2, bounded=True)
    server, _, mean_field, agents = oracle.run(x, y, initial)
    run = ensemble(encoder=ours, random_state=3, lags=2, bounded=True).run(
        x, y, initial=initial, record=range(6)
    )
    assert_close(run.recorded, agents, 1e-8)
    assert_close(run.mean_field, mean_field, 1e-8)
    assert_close(run.predictions, server, 1e-7)
    assert_close(run.agent_rmse, np.sqrt(oracle.cost / 140), 1e-8)  # of the y that came


@pytest.mark.parametrize("past", PASTS, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_same_bits_in_a_run_in_steps_and_from_a_copy(
    past: dict[str, Any], dtype: Any, tmp_path: Path
) -> None:
    x, y, initial = cycles(60, 2)
    encoder = ENCODERS["sparse"][0]

    def model(n_threads: int) -> memoa.OnlineEnsemble:
        made = ensemble(300, encoder=encoder, n_threads=n_threads, dtype=dtype, **past)
        return made.observe(initial)

    run = model(1).run(x, y)
    assert_same_bits(model(3).run(x, y).predictions, run.predictions)
    stepped = model(2)
    first = steps(stepped, x[:21], y[:21])
    stepped.predict_one(x[21])
    stepped.predict(x[30:33])  # leaves no trace
    stepped.save(tmp_path / "state.npz")
    for restored in (
        pickle.loads(pickle.dumps(stepped)),
        memoa.OnlineEnsemble.load(tmp_path / "state.npz"),
        stepped,
    ):
        assert restored.get_params() == stepped.get_params()
        rest = restored.run(x[21:], y[21:])
        assert_same_bits(np.concatenate([first, rest.predictions]), run.predictions)


def test_a_scale_and_a_shift_of_y_change_nothing() -> None:
    x, y, initial = cycles(80, 2)
    encoder = ENCODERS["sparse"][0]
    settings: dict[str, Any] = {"lags": 3, "season": "auto", "bounded": True, "encoder": encoder}
    plain = ensemble(20, **settings).run(x, y, initial=initial)
    other = ensemble(20, **settings).run(x, 5.0 + 3.0 * y, initial=5.0 + 3.0 * initial)
    assert_close(other.predictions, 5.0 + 3.0 * plain.predictions, 1e-8)
    apart = np.array([0.01, 100.0])  # outputs have scales of their own, but they share features
    third = ensemble(20, policy="greedy", aggregate="mean", **settings)
    fourth = ensemble(20, policy="greedy", aggregate="mean", **settings)
    third_run = third.run(x, y, initial=initial, record=range(20))
    fourth_run = fourth.run(x, apart * y, initial=apart * initial, record=range(20))
    assert_close(fourth_run.recorded / apart, third_run.recorded, 1e-8)


def test_lags_are_what_a_series_without_inputs_needs() -> None:
    rng = np.random.default_rng(0)
    y = np.zeros(802)
    for k in range(2, 802):
        y[k] = 1.6 * y[k - 1] - 0.9 * y[k - 2] + 0.1 * rng.normal()
    x, targets = np.zeros((800, 1)), y[2:, None]
    blind, seeing = (
        memoa.OnlineEnsemble(32, lags=lags).run(x, targets, initial=y[1:2]) for lags in (0, 6)
    )
    assert seeing.server_rmse < 0.6 * blind.server_rmse
    assert seeing.server_rmse < 0.13  # the noise is 0.1


def test_a_season_is_found_and_a_bad_value_is_left_behind() -> None:
    rng = np.random.default_rng(1)
    wave = np.resize(rng.normal(size=7), 700) + 0.01 * rng.normal(size=700)
    season = Season("auto")
    for k, value in enumerate(wave):
        season.learn(float(1e6 if k == 300 else value), 1.0)
        if k in (50, 299, 340, 699):
            assert season.period % 7 == 0
    assert abs(season.increment() - (wave[699 - 6] - wave[699])) < 0.1


def test_no_forecast_goes_beyond_what_was_seen() -> None:
    x, y, initial = series(60, 2, 1)
    x[30:] *= 50.0
    largest = np.maximum.accumulate(np.abs(np.diff(y[:, 0], prepend=initial)))
    bounded = ensemble(20, bounded=True, policy="greedy", ridge=1e-6)
    run = bounded.run(x, y, initial=initial, record=range(20))
    base = np.concatenate([[initial], y[:-1]])
    moved = np.abs(run.recorded[..., 0] - base)
    assert (moved[0] == 0.0).all()
    assert (moved[1:] <= largest[:-1, None] * (1.0 + 1e-12)).all()
    free = ensemble(20, policy="greedy", ridge=1e-6).run(x, y, initial=initial, record=range(20))
    assert (np.abs(free.recorded[..., 0] - base)[1:] > largest[:-1, None]).any()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"lags": -1}, ValueError, "lags is -1; expected an integer of at least 0"),
        ({"lags": 1.0}, TypeError, "lags is 1.0 of type float; expected an integer"),
        ({"season": 0}, ValueError, "season is 0; expected an integer of at least 1"),
        ({"season": "year"}, ValueError, "season is 'year'; expected one of 'auto'"),
        ({"season": 2.5}, TypeError, "season is 2.5 of type float; expected an integer"),
    ],
)
def test_bad_settings_are_refused(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        memoa.OnlineEnsemble(**settings)
