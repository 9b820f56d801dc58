"""Intervals: the oracle, the shares that they promise, and where they go in an ensemble."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

import memoa
from reference_interval import Intervals as Reference

LEVELS = (0.8, 0.95)
STEPS = 5000


def ar2(rng: np.random.Generator, n: int) -> np.ndarray:
    y, noise = np.zeros(n), rng.normal(size=n)
    for t in range(2, n):
        y[t] = 1.2 * y[t - 1] - 0.5 * y[t - 2] + noise[t]
    return y


def seasonal(rng: np.random.Generator, n: int) -> np.ndarray:
    wave = np.sin(2 * np.pi * np.arange(n) / 24)
    return 3 * wave + rng.normal(size=n) * (0.4 + 0.3 * wave)


SERIES = {
    "ar2": ar2,
    "walk": lambda rng, n: rng.normal(size=n).cumsum(),
    "heavy walk": lambda rng, n: rng.standard_t(3, size=n).cumsum(),
    "level shift": lambda rng, n: ar2(rng, n) + 20.0 * (np.arange(n) > n // 2),
    "change of variance": lambda rng, n: rng.normal(size=n) * np.where(np.arange(n) > n // 2, 5, 1),
    "season": seasonal,
}


def errors_of(bounds: np.ndarray, y: np.ndarray, level: int) -> tuple[float, float, float]:
    """Coverage less its level: in all, and the worst over 500 steps; mean half-width."""
    known = np.isfinite(bounds[:, level, 0, 0])
    low, high, y = bounds[known, level, 0, 0], bounds[known, level, 1, 0], y[known, 0]
    inside = (low <= y) & (y <= high)
    counts = np.convolve(inside, np.ones(500), "valid") / 500
    off = abs(inside.mean() - LEVELS[level])
    return off, np.abs(counts - LEVELS[level]).max(), (high - low).mean() / 2


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_promise(name: str, seed: int) -> None:
    """1 % in all of 5000 steps and 3 % in any 500, and narrow where errors stay alike."""
    y = SERIES[name](np.random.default_rng(seed), STEPS + 2)
    X, Y = np.stack([y[1:-1], y[:-2]], axis=1), y[2:, None]
    run = memoa.OnlineEnsemble(16, intervals=LEVELS).run(X, Y, initial=y[1:2])
    assert run.prediction_intervals is not None
    np.testing.assert_allclose(run.coverage[:, 0], LEVELS, atol=0.01)
    errors = np.abs(run.predictions - Y)[1:]
    for level, share in enumerate(LEVELS):
        off, worst, width = errors_of(run.prediction_intervals, Y, level)
        assert off < 0.01 and worst < 0.03
        if name != "change of variance":  # where a fixed width fails one half of the series
            assert width < 1.1 * np.quantile(errors, share)


def test_the_twin() -> None:
    rng = np.random.default_rng(3)
    forecasts, y = rng.normal(size=(2, 400, 2))
    y[100:110] *= 1e4  # far errors, alone and in a row
    y[200] *= 1e9
    y[50:60, 0] = np.nan
    forecasts[0] = y[0]  # no scale yet
    bounds = memoa.Intervals(LEVELS, 2).run(forecasts, y)
    for o in range(2):
        twin = Reference(LEVELS)
        for t in range(400):
            half = np.array(twin.half_widths()) if twin.errors else np.full(2, np.nan)
            expected = np.stack([forecasts[t, o] - half, forecasts[t, o] + half], axis=1)
            np.testing.assert_allclose(bounds[t, :, :, o], expected, rtol=1e-10)
            twin.learn(y[t, o] - forecasts[t, o])


def test_scale_and_shift() -> None:
    rng = np.random.default_rng(4)
    forecasts, y = rng.normal(size=(2, 300, 1))
    plain = memoa.Intervals(LEVELS).run(forecasts, y)
    scaled = memoa.Intervals(LEVELS).run(4.0 * forecasts, 4.0 * y)
    np.testing.assert_allclose(scaled, 4.0 * plain, rtol=1e-12)
    wider = memoa.Intervals((0.5, 0.8, 0.95)).run(forecasts, y)[1:]
    assert (np.diff(wider[:, :, 1] - wider[:, :, 0], axis=1) >= 0).all()


def test_run_steps_and_copies_agree(tmp_path: Path) -> None:
    series = memoa.datasets.concept_drift(60)
    first, second = (memoa.OnlineEnsemble(8, intervals=LEVELS) for _ in range(2))
    run = first.run(series.X, series.Y)
    assert run.prediction_intervals is not None and run.unscored == 1
    for t, (x, y) in enumerate(zip(series.X, series.Y)):
        second.predict_one(x)
        shown = second.prediction_intervals
        if t in (0, 1):  # nothing is known, then no error
            assert np.isnan(shown).all()
        else:
            np.testing.assert_array_equal(shown, run.prediction_intervals[t])
        if t == 30:
            second = pickle.loads(pickle.dumps(copy.deepcopy(second)))
        if t == 40:
            second.save(tmp_path / "state.npz")
            second = memoa.OnlineEnsemble.load(tmp_path / "state.npz")
            assert second.intervals == LEVELS
        second.learn_one(x, y)
    whole = np.vstack([series.X, series.X[-1:]])
    twice = memoa.OnlineEnsemble(8, intervals=LEVELS).run(whole, series.Y, warmup=20)
    np.testing.assert_array_equal(twice.prediction_intervals, run.prediction_intervals)
    second.predict_one(series.X[-1])
    np.testing.assert_array_equal(twice.next_intervals, second.prediction_intervals)
    assert twice.coverage.shape == (2, 2) and "interval of 0.95 holds" in twice.summary()


def test_intervals_of_recorded_agents() -> None:
    series = memoa.datasets.logistic_map(300)
    ensemble = memoa.OnlineEnsemble(8, intervals=LEVELS)
    run = ensemble.run(series.X, series.Y, initial=series.initial, record=[2, 5])
    bounds = run.recorded_intervals()
    assert bounds.shape == (300, 2, 2, 2, 1)
    alone = memoa.Intervals(LEVELS).run(run.recorded[:, 1], series.Y)
    np.testing.assert_array_equal(bounds[:, :, :, 1], alone)


def test_without_intervals_there_are_none() -> None:
    series = memoa.datasets.logistic_map(30)
    ensemble = memoa.OnlineEnsemble(8)
    run = ensemble.run(series.X, series.Y)
    assert run.prediction_intervals is None and run.coverage.shape == (0, 1)
    assert ensemble.prediction_intervals.shape == (0, 2, 1)


@pytest.mark.parametrize(
    ("levels", "error", "message"),
    [
        ((0.95, 0.8), ValueError, "intervals is 0.8.*each above the one before"),
        ((1.0,), ValueError, "intervals is 1"),
        (("a",), TypeError, r"intervals\[0\] is 'a'"),
    ],
)
def test_levels_that_are_none(levels: tuple, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        memoa.OnlineEnsemble(8, intervals=levels)
    with pytest.raises(error, match=message.replace("intervals", "levels")):
        memoa.Intervals(levels)


def test_bad_arrays() -> None:
    intervals = memoa.Intervals(LEVELS, 2)
    with pytest.raises(ValueError, match=r"forecast has shape \(3,\); expected \(n_outputs,\)"):
        intervals.bounds(np.zeros(3))
    with pytest.raises(ValueError, match="targets has shape"):
        intervals.run(np.zeros((4, 2)), np.zeros((4, 1)))
    with pytest.raises(ValueError, match="memory has 3 numbers"):
        intervals.restore([1.0, 2.0, 3.0])
