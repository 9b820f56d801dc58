"""The server whose mixture is one of several rivals: its twin, its bits and its regret."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import memoa
import reference
from helpers import assert_close, assert_same_bits, ensemble, mixture_weight, series, steps
from reference_rows import Rivals

MIXTURE = memoa.Mixture(window=20, start=0)


def cycles(n_steps: int, d: int, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A series (T, 2), (T, d) with a period of 5 in some noise, and the value before it."""
    x, y, initial = series(n_steps, 2, d)
    return x, noise * y + np.resize([0.0, 2.0, 1.0, -1.0, 0.5], n_steps)[:, None], initial


@pytest.mark.parametrize("season", ["auto", 5, None])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"policy": "greedy", "aggregate": "mean"},
        {"lags": 2, "bounded": True, "aggregate": "clip"},
    ],
    ids=str,
)
@pytest.mark.parametrize("first_known", [True, False])
def test_a_run_is_that_of_the_twin(season: Any, settings: Any, first_known: bool) -> None:
    for d, noise in ((1, 0.3), (2, 0.3), (1, 0.0)):
        x, y, initial = cycles(60, d, noise)
        start = initial if first_known else None
        oracle = reference.Ensemble(
            20,
            reference.RandomFeatures(5),
            seed=3,
            window=20,
            rivals=True,
            season=season,
            **settings,
        )
        server, _, mean_field, agents = oracle.run(x, y, start)
        model = ensemble(20, season=season, random_state=3, mixture=MIXTURE, **settings)
        run = model.run(x, y, initial=start, record=range(20))
        assert_close(run.recorded, agents, 1e-8)
        assert_close(run.mean_field, mean_field, 1e-8)
        assert_close(run.predictions, server, 1e-7)
        model.predict_one(x[0])
        oracle.predict(x[0])
        np.testing.assert_allclose(model.shares, oracle.rivals.shares, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("d", [1, 2])
def test_the_default_ensemble_is_its_twin(d: int) -> None:
    x, y, initial = cycles(80, d)
    oracle = reference.Ensemble(
        64,
        reference.RandomFeatures(16, "wave", n_raw=4, n_columns=2),
        **reference.DEFAULT,
    )
    server, rmse, mean_field, agents = oracle.run(x, y, initial)
    run = memoa.OnlineEnsemble().run(x, y, initial=initial, record=range(64))
    assert_close(run.recorded, agents, 1e-7)
    assert_close(run.mean_field, mean_field, 1e-7)
    assert_close(run.agent_rmse, rmse, 1e-7)
    assert_close(run.predictions, server, 1e-6)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("policy", ["memoa", "greedy"])
def test_the_same_bits_in_a_run_in_steps_and_from_a_copy(
    dtype: Any, policy: Any, tmp_path: Path
) -> None:
    x, y, initial = cycles(60, 2)

    def model(n_threads: int) -> memoa.OnlineEnsemble:
        made = ensemble(
            1100, n_threads=n_threads, dtype=dtype, policy=policy, season="auto", mixture=MIXTURE
        )
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
        assert restored.mixture == MIXTURE
        rest = restored.run(x[21:], y[21:])
        assert_same_bits(np.concatenate([first, rest.predictions]), run.predictions)


def test_the_server_alone_is_the_twin_too() -> None:
    rng = np.random.default_rng(0)
    targets = np.resize(rng.normal(size=(4, 2)), (90, 2)) + 0.1 * rng.normal(size=(90, 2))
    targets[40, 0] = 1e4
    noise = (0.1 + 0.2 * np.arange(6))[:, None] * rng.normal(size=(90, 6, 2))
    predictions = targets[:, None] + noise
    server = memoa.ServerMixture(6, 2, start=0)
    twin, last = Rivals(6, 2, "auto"), np.zeros(2)
    for t, (shown, y) in enumerate(zip(predictions, targets)):
        mixture = server.weights @ shown
        expected = last + twin.forecast(mixture - last, shown - last)
        np.testing.assert_allclose(server.predict(shown), expected, rtol=1e-9, atol=1e-9)
        assert_close(server.shares, twin.shares, 1e-8)
        assert_close(server.shares.sum(axis=0), np.ones(2), 1e-12)
        server.update(shown, y)
        if t:
            twin.learn(y, last, shown - last)
        else:  # there is no last value yet
            twin.steps, _ = 1, twin.past.observe(y)
        last = y
    twin_again = pickle.loads(pickle.dumps(server))
    assert_same_bits(twin_again.predict(shown), server.predict(shown))


@pytest.mark.parametrize("rivals", [True, False])
@pytest.mark.parametrize("first_known", [True, False])
def test_until_so_many_steps_are_learnt_the_last_value_is_repeated(
    rivals: bool, first_known: bool
) -> None:
    x, y, initial = cycles(30, 2)
    oracle = reference.Ensemble(
        20, reference.RandomFeatures(5), seed=3, window=20, rivals=rivals, start=4
    )
    start = initial if first_known else None
    server, _, _, _ = oracle.run(x, y, start)
    mixture = memoa.Mixture(window=20, rivals=rivals, start=4)
    model = ensemble(20, random_state=3, mixture=mixture)
    run = model.run(x, y, initial=start)
    assert_close(run.predictions, server, 1e-7)
    first = 0 if first_known else 1
    base = np.concatenate([[initial], y[:-1]])
    assert_same_bits(run.predictions[first : first + 4], base[first : first + 4])
    assert (run.predictions[first + 4] != base[first + 4]).all()
    waiting = ensemble(20, mixture=mixture).observe(initial)
    waiting.predict_one(x[0])
    assert waiting.shares.tolist() == [[0.0, 0.0]] * 3 + [[1.0, 1.0]]
    assert not waiting.forecast_weights.any()


def test_weights_of_the_forecast_are_those_of_its_parts() -> None:
    rng = np.random.default_rng(0)
    targets = np.resize(rng.normal(size=(4, 2)), (60, 2)) + 0.1 * rng.normal(size=(60, 2))
    predictions = targets[:, None] + (0.1 + 0.05 * np.arange(6))[:, None] * rng.normal(
        size=(60, 6, 2)
    )
    for rivals in (True, False):
        server = memoa.ServerMixture(6, 2, rivals=rivals, start=0)
        for t in range(1, 60):
            server.predict(predictions[t])
            server.update(predictions[t], targets[t])
        last, shown = targets[-1], predictions[0]
        forecast = server.predict(shown)
        of_agents = np.einsum("id,id->d", server.forecast_weights, shown - last)
        assert_close(
            server.forecast_weights.sum(axis=0), server.shares[0] + server.shares[1], 1e-12
        )
        if not rivals:
            assert_close(forecast, last + of_agents, 1e-12)
        else:  # the rest is the season's, one of the values of the past
            proposed = last + (forecast - last - of_agents) / server.shares[2]
            assert all(np.abs(targets[:, o] - proposed[o]).min() < 1e-9 for o in range(2))


def test_shares_without_rivals_are_those_of_the_mixture_and_of_the_last_value() -> None:
    x, y, initial = series(30, 2, 2)
    model = ensemble()
    model.run(x, y, initial=initial)
    assert_same_bits(model.shares[0], mixture_weight(model))
    assert_close(model.shares[3], 1.0 - mixture_weight(model), 1e-15)
    assert not model.shares[1:3].any()


def test_a_scale_and_a_shift_of_y_change_nothing() -> None:
    x, y, initial = cycles(80, 2)
    settings: dict[str, Any] = {"season": "auto", "mixture": MIXTURE}
    plain = ensemble(20, **settings).run(x, y, initial=initial)
    other = ensemble(20, **settings).run(x, 5.0 + 3.0 * y, initial=5.0 + 3.0 * initial)
    assert_close(other.predictions, 5.0 + 3.0 * plain.predictions, 1e-8)


# ---------------------------------------------------------------- regret


def losses(predictions: np.ndarray, y: np.ndarray, initial: np.ndarray) -> tuple[float, float]:
    """Sums of squared errors of the server and of the last value, the first step left out."""
    base = np.concatenate([initial[None], y[:-1]])
    return float(((predictions - y)[1:] ** 2).sum()), float(((base - y)[1:] ** 2).sum())


def test_on_walks_the_regret_against_the_last_value_does_not_grow() -> None:
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        y = np.cumsum(rng.normal(size=(1600, 1)), axis=0)
        x = np.concatenate([np.zeros((1, 1)), y[:-1]])
        for n in (400, 1600):
            model = memoa.OnlineEnsemble(16, season="auto", mixture=MIXTURE, random_state=seed)
            run = model.run(x[:n], y[:n], initial=np.zeros(1))
            server, last = losses(run.predictions, y[:n], np.zeros(1))
            found.append(server - last)
    short, long = np.array(found).reshape(6, 2).T
    bound = 8.0 * np.log(3.0)
    assert short.mean() < bound
    assert long.mean() < bound + 8.0


def test_a_series_that_turns_predictable_and_ceases_to_be_is_followed() -> None:
    """A walk of 800 steps, then a cycle for 400, then a walk again."""
    rng = np.random.default_rng(2)
    walk, more = np.cumsum(rng.normal(size=(2, 800)), axis=1)
    cycle = walk[-1] + np.resize([3.0, -2.0, 1.0, -3.0, 2.0, 0.0, -1.0], 400)
    cycle += 0.1 * rng.normal(size=400)
    y = np.concatenate([walk, cycle, cycle[-1] + more])[:, None]
    x = np.concatenate([np.zeros((1, 1)), y[:-1]])
    model = memoa.OnlineEnsemble(16, season="auto", mixture=MIXTURE)
    run = model.run(x, y, initial=np.zeros(1))
    error = np.abs(run.predictions - y)[:, 0]
    rms = [
        float(np.sqrt(np.mean(error[part] ** 2)))
        for part in (slice(0, 800), slice(870, 1200), slice(1300, 2000))
    ]
    assert rms[0] < 1.03
    assert rms[1] < 0.4  # the last value misses by 3.6
    assert rms[2] < 1.1


def test_one_bad_value_does_not_cost_the_rest() -> None:
    rng = np.random.default_rng(3)
    y = (np.resize(rng.normal(size=6), 2000) + 0.05 * rng.normal(size=2000))[:, None]

    def last_error(targets: np.ndarray) -> float:
        inputs = np.concatenate([np.zeros((1, 1)), targets[:-1]])
        model = memoa.OnlineEnsemble(16, lags=3, season="auto", bounded=True, mixture=MIXTURE)
        run = model.run(inputs, targets, initial=np.zeros(1))
        return float(np.sqrt(np.mean((run.predictions - targets)[-1000:] ** 2)))

    clean = last_error(y)
    assert clean < 0.09
    for at in (0, 1, 2, 50, 700):
        for value in (1e3, -1e6):
            hurt = y.copy()
            hurt[at] = value
            assert last_error(hurt) < 1.3 * clean


def test_errors_whose_squares_are_hardly_numbers_leave_forecasts_finite() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 2)), 1e-155 * rng.normal(size=(8, 2))
    y[5:] *= 1e155
    run = ensemble(20, mixture=memoa.Mixture()).run(x, y, initial=y[0])
    assert np.isfinite(run.predictions).all() and np.isfinite(run.shares).all()
