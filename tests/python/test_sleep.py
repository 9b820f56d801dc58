"""Agents that are away: the twin, what they keep, and every door that the mask comes through."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import memoa
from helpers import assert_same_bits, everything, series
from helpers import ensemble as plain_ensemble
from reference import EchoState, Ensemble, Linear, RandomFeatures
from reference_federated import Server

SIZES = [1, 2]
ENCODERS = {
    "random": memoa.RandomFeatures(4),
    "echo": memoa.EchoState(4),
    "raw": memoa.RandomFeatures(5, "wave", n_raw=2, n_columns=2),
    "mix": [memoa.RandomFeatures(4), memoa.EchoState(3), memoa.Linear()],
}


def absences(n_steps: int, n_agents: int, seed: int = 0) -> np.ndarray:
    """Who is awake, (T, N): some now and then, one never, some in half of the run, and nobody."""
    awake = np.random.default_rng(seed).uniform(size=(n_steps, n_agents)) < 0.8
    awake[:, 1] = False
    awake[n_steps // 3 : n_steps // 2, n_agents // 3 :] = False  # fewer than a crowd
    awake[n_steps // 2 : n_steps // 2 + 4] = False
    awake[:, 0] |= awake.any(axis=1)
    return awake


def problem(
    d: int, n_agents: int, n: int = 70, gaps: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    X, Y, initial = series(n, 2, d)
    if gaps:
        rng = np.random.default_rng(4)
        Y[rng.uniform(size=Y.shape) < 0.2] = np.nan
        Y[n // 2 + 1] = np.nan  # nobody is awake, and there is no y
        X[rng.uniform(size=X.shape) < 0.1] = np.nan
    return X, Y, initial, absences(n, n_agents)


def assert_same(run: memoa.Run, twin: tuple[np.ndarray, ...], close: float = 1e-10) -> None:
    server, rmse, means, agents = twin
    np.testing.assert_allclose(run.recorded, agents, rtol=close, atol=close)
    np.testing.assert_allclose(run.mean_field, means, rtol=close, atol=close)
    np.testing.assert_allclose(run.agent_rmse, rmse, rtol=close)
    np.testing.assert_allclose(run.predictions, server, rtol=100 * close, atol=100 * close)


# ---------------------------------------------------------------------- the twin


@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("n_agents", [5, 40])  # no crowd, and one that judges
@pytest.mark.parametrize("policy", ["memoa", "greedy"])
@pytest.mark.parametrize("aggregate", ["mean", "clip", "trimmed"])
@pytest.mark.parametrize("gaps", [False, True])
def test_the_twin(d: int, n_agents: int, policy: str, aggregate: str, gaps: bool) -> None:
    X, Y, initial, awake = problem(d, n_agents, gaps=gaps)
    settings = {"policy": policy, "aggregate": aggregate}
    twin = Ensemble(n_agents, RandomFeatures(4), window=12, **settings)
    model = plain_ensemble(
        n_agents, 4, mixture=memoa.Mixture(window=12, rivals=False, start=0), **settings
    )
    run = model.run(X, Y, initial=initial, record=range(n_agents), awake=awake)
    assert_same(run, twin.run(X, Y, initial, awake))
    assert np.isnan(run.agent_rmse[1])
    assert np.isfinite(run.predictions).all() and np.isfinite(run.mean_field).all()


@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("season", [None, 4, "auto"])
@pytest.mark.parametrize("gaps", [False, True])
def test_the_twin_with_rivals(d: int, season: Any, gaps: bool) -> None:
    X, Y, initial, awake = problem(d, 20, gaps=gaps)
    shared = {"consensus": 3.0, "lags": 2, "season": season, "bounded": True}
    twin = Ensemble(20, RandomFeatures(4), **shared, window=12, rivals=True, start=2)
    model = plain_ensemble(20, 4, **shared, mixture=memoa.Mixture(window=12))
    run = model.run(X, Y, initial=initial, record=range(20), awake=awake)
    assert_same(run, twin.run(X, Y, initial, awake), 1e-8)


def test_the_twin_of_reservoirs() -> None:
    X, Y, initial, awake = problem(2, 20)
    run = plain_ensemble(20, encoder=memoa.EchoState(4)).run(
        X, Y, initial=initial, record=range(20), awake=awake
    )
    assert_same(run, Ensemble(20, EchoState(4)).run(X, Y, initial, awake))


@pytest.mark.parametrize("aggregate", ["mean", "trimmed"])
@pytest.mark.parametrize("gaps", [False, True])
def test_the_twin_of_a_mix_of_encoders(aggregate: Any, gaps: bool) -> None:
    X, Y, initial, awake = problem(2, 20, gaps=gaps)
    kinds = [memoa.RandomFeatures(4), memoa.EchoState(4), memoa.Linear()]
    run = plain_ensemble(20, encoder=kinds, aggregate=aggregate).run(
        X, Y, initial=initial, record=range(20), awake=awake
    )
    twins = [RandomFeatures(4), EchoState(4), Linear(2)]
    assert_same(run, Ensemble(20, twins, aggregate=aggregate).run(X, Y, initial, awake))


@pytest.mark.parametrize("aggregate", ["mean", "trimmed"])
@pytest.mark.parametrize("rivals", [False, True])
def test_a_server_of_other_machines_goes_by_the_same_rule(aggregate: str, rivals: bool) -> None:
    """It hears the forecasts of those present alone; and these are what they always were."""
    X, Y, initial, awake = problem(1, 40)
    awake[len(X) // 3 : len(X) // 2] = awake[: len(X) // 2 - len(X) // 3]  # always a crowd
    shared: dict[str, Any] = {"aggregate": aggregate, "season": None}
    mixture = memoa.Mixture(window=12, rivals=rivals, start=0)
    run = plain_ensemble(40, 4, mixture=mixture, **shared).run(X, Y, initial=initial, awake=awake)
    agents = Ensemble(40, RandomFeatures(4), policy="greedy", aggregate="mean")
    agents.start(2, 1, initial)
    server = Server(40, 1, base=initial, window=12, rivals=rivals, **shared)
    for x, y, here, shown in zip(X, Y, awake, run.predictions):
        agents.predict(x)
        energies = np.array([z @ z for z in agents.z])
        told = server.hear(agents.c, energies, here)
        np.testing.assert_allclose(shown, told, rtol=1e-8, atol=1e-8)
        agents.learn(y)
        server.learn(y)


# ---------------------------------------------------------------------- what sleeps


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("d", SIZES)
def test_an_agents_own_forecast_is_that_of_one_who_never_slept(
    encoder: str, dtype: str, d: int
) -> None:
    """Bit for bit: greedy agents show what they forecast by themselves."""
    X, Y, initial, awake = problem(d, 40, gaps=True)
    settings: dict[str, Any] = {"encoder": ENCODERS[encoder], "dtype": dtype, "policy": "greedy"}
    asleep, never = (memoa.OnlineEnsemble(40, **settings) for _ in range(2))
    one = asleep.run(X, Y, initial=initial, record=range(40), awake=awake)
    other = never.run(X, Y, initial=initial, record=range(40))
    assert_same_bits(one.recorded, other.recorded)
    assert not np.array_equal(one.predictions, other.predictions)
    for name in ("gram", "cross", "reservoir", "standardiser"):
        first, second = (m._engines.core.memory()[0][name] for m in (asleep, never))  # type: ignore[union-attr]
        assert_same_bits(first, second)


@pytest.mark.parametrize("aggregate", ["mean", "clip", "trimmed"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_all_awake_have_the_bits_of_no_mask(aggregate: str, dtype: str) -> None:
    X, Y, initial, _ = problem(2, 600, gaps=True)
    settings: dict[str, Any] = {"aggregate": aggregate, "dtype": dtype}
    plain, masked = (memoa.OnlineEnsemble(600, **settings) for _ in range(2))
    one = plain.run(X, Y, initial=initial)
    other = masked.run(X, Y, initial=initial, awake=np.ones((len(X), 600), bool))
    for name in ("predictions", "mean_field", "shares", "agent_rmse", "worst_cost"):
        assert_same_bits(getattr(other, name), getattr(one, name))
    assert everything(masked) == everything(plain)


def test_nobody_awake_says_the_last_value() -> None:
    X, Y, initial, _ = problem(2, 20)
    run = memoa.OnlineEnsemble(20, mixture=memoa.Mixture(rivals=False)).run(
        X, Y, initial=initial, awake=np.zeros((len(X), 20), bool)
    )
    last = np.vstack([initial, Y[:-1]])
    assert_same_bits(run.mean_field, last)
    np.testing.assert_allclose(run.predictions, last, rtol=1e-12)
    assert np.isnan(run.agent_rmse).all() and np.isnan(run.mean_agent_rmse)
    assert np.isnan(run.worst_agent_rmse) and run.regret == 0.0
    assert "nan" in run.summary()


def test_who_is_away_changes_nothing_for_the_others() -> None:
    """A liar that is away is as good as none: the forecasts are those of the others alone."""
    n, N = 60, 5
    rng = np.random.default_rng(3)
    features, Y = rng.normal(size=(n, N, 3)), rng.normal(size=(n, 1)).cumsum(axis=0)
    features[:, 2] *= 1e3
    awake = np.ones((n, N), bool)
    awake[:, 2] = False
    settings: dict[str, Any] = {"mixture": memoa.Mixture(0, rivals=False), "forgetting": 0.99}
    settings |= {"ridge": 0.1, "encoder": memoa.Precomputed(3)}
    others = np.delete(np.arange(N), 2)
    run = memoa.OnlineEnsemble(N, **settings).run(features, Y, awake=awake, record=others)
    alone = memoa.OnlineEnsemble(N - 1, **settings).run(features[:, others], Y, record=range(N - 1))
    np.testing.assert_allclose(run.mean_field, alone.mean_field, rtol=1e-12)
    np.testing.assert_allclose(run.recorded, alone.recorded, rtol=1e-12)
    np.testing.assert_allclose(run.agent_rmse[others], alone.agent_rmse, rtol=1e-12)


# ---------------------------------------------------------------------- costs


def test_errors_count_the_steps_awake_alone() -> None:
    X, Y, initial, awake = problem(2, 20, gaps=True)
    model = memoa.OnlineEnsemble(20)
    run = model.run(X, Y, initial=initial, awake=awake, record=range(20), warmup=9)
    misses = (run.recorded - Y[:, None])[9:] ** 2
    misses[~awake[9:]] = np.nan
    costs = np.nansum(misses, axis=(0, 2))
    there = np.count_nonzero(~np.isnan(misses), axis=(0, 2))
    expected = np.sqrt(np.divide(costs, there, out=np.full(20, np.nan), where=there > 0))
    np.testing.assert_allclose(run.agent_rmse, expected, rtol=1e-12)
    np.testing.assert_allclose(run.regret, costs.max(), rtol=1e-12)
    assert (np.diff(run.worst_cost) >= 0).all()
    assert run.worst_agent == np.nanargmax(expected) and run.best_agent == np.nanargmin(expected)
    assert run.worst_agent_rmse == np.nanmax(run.agent_rmse)
    np.testing.assert_allclose(run.mean_agent_rmse, np.nanmean(expected))
    whole = memoa.OnlineEnsemble(20)
    of_run = whole.run(X, Y, initial=initial, awake=awake)
    np.testing.assert_allclose(whole.agent_rmse, of_run.agent_rmse, rtol=1e-12)
    second = whole.run(X, Y)  # all are awake
    np.testing.assert_allclose(
        second.agent_rmse[1], whole.agent_rmse[1], rtol=1e-12
    )  # who has slept through the first run
    assert np.isfinite(second.agent_rmse).all() and np.isfinite(whole.agent_rmse).all()


# ---------------------------------------------------------------------- steps, threads, files


@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("aggregate", ["mean", "clip", "trimmed"])
@pytest.mark.parametrize(("rivals", "encoder"), [(False, "raw"), (True, "raw"), (True, "mix")])
def test_run_steps_threads_and_files_agree(
    d: int, dtype: str, aggregate: str, rivals: bool, encoder: str, tmp_path: Path
) -> None:
    X, Y, initial, awake = problem(d, 600, gaps=True)
    settings: dict[str, Any] = {"dtype": dtype, "aggregate": aggregate, "intervals": (0.8,)}
    settings |= {"mixture": memoa.Mixture(rivals=rivals), "encoder": ENCODERS[encoder]}
    whole, steps = (memoa.OnlineEnsemble(600, n_threads=k, **settings) for k in (1, 3))
    run = whole.run(X, Y, initial=initial, awake=awake)
    steps.observe(initial)
    for t, (x, y) in enumerate(zip(X, Y)):
        assert_same_bits(steps.predict_one(x, awake[t]), run.predictions[t])
        assert_same_bits(steps.mean_field, run.mean_field[t])
        if t == 30:
            steps = copy.deepcopy(steps)
        if t == 40:
            steps = pickle.loads(pickle.dumps(steps))
        if t == 50:
            steps.save(tmp_path / "state.npz")
            steps = memoa.OnlineEnsemble.load(tmp_path / "state.npz")
        if t % 2:
            steps.learn_one(x, y)
        else:
            assert_same_bits(steps.step_one(x, y, awake[t]), run.predictions[t])
    assert_same_bits(steps.agent_rmse, whole.agent_rmse)
    assert_same_bits(steps.weights, whole.weights)
    np.testing.assert_allclose(whole.agent_rmse, run.agent_rmse, rtol=1e-12)
    assert everything(steps)["memory"] == everything(whole)["memory"]
    halves = memoa.OnlineEnsemble(600, **settings)
    first = halves.run(X[:37], Y[:37], initial=initial, awake=awake[:37])
    second = halves.run(X[37:], Y[37:], awake=awake[37:])
    assert_same_bits(np.vstack([first.predictions, second.predictions]), run.predictions)
    bounds = np.concatenate([first.prediction_intervals, second.prediction_intervals])  # type: ignore[arg-type]
    assert_same_bits(bounds, run.prediction_intervals)


def test_the_next_step_has_a_row_too() -> None:
    X, Y, initial, awake = problem(1, 20)
    model, twin = memoa.OnlineEnsemble(20), memoa.OnlineEnsemble(20)
    run = model.run(X, Y[:-1], initial=initial, awake=awake)
    twin.run(X[:-1], Y[:-1], initial=initial, awake=awake[:-1])
    assert_same_bits(run.next, twin.predict_one(X[-1], awake[-1]))
    assert not np.array_equal(run.next, twin.predict_one(X[-1]))  # type: ignore[arg-type]


def test_a_forecast_by_some_leaves_no_trace() -> None:
    X, Y, initial, awake = problem(2, 20)
    model, twin = (memoa.OnlineEnsemble(20) for _ in range(2))
    for one in (model, twin):
        one.run(X[:30], Y[:30], initial=initial, awake=awake[:30])
        one.predict_one(X[30], awake[30])
    before = everything(model)
    model.predict_one(X[31], awake[31])
    model.predict_one(X[31])
    model.predict(X)
    model.predict_one(X[30], awake[30])
    assert everything(model) == before
    for one in (model, twin):
        one.learn_one(X[30], Y[30])
    assert everything(model) == everything(twin)


def test_agents_may_sleep_before_any_y_was_seen() -> None:
    X, Y, _, awake = problem(2, 20)
    model, twin = (memoa.OnlineEnsemble(20) for _ in range(2))
    run = model.run(X, Y, awake=awake)
    shown = [twin.step_one(x, y, here) for x, y, here in zip(X, Y, awake)]
    assert_same_bits(np.array(shown), run.predictions)
    assert_same_bits(model.agent_rmse, twin.agent_rmse)


# ---------------------------------------------------------------------- what is refused


N_STEPS, N_AGENTS = 12, 6
FULL = np.ones((N_STEPS, N_AGENTS), bool)


@pytest.mark.parametrize(
    ("awake", "error", "message"),
    [
        (FULL.astype(float), TypeError, "awake has dtype float64; expected bool"),
        (FULL * np.nan, TypeError, "awake has dtype float64; expected bool"),
        (FULL.astype(int), TypeError, "awake has dtype int64; expected bool"),
        (np.full(FULL.shape, "yes"), TypeError, "awake has dtype <U3; expected bool"),
        (FULL[:-1], ValueError, r"awake has shape \(11, 6\); expected \(n_steps, n_agents\)"),
        (FULL[:, :-1], ValueError, r"awake has shape \(12, 5\)"),
        (FULL[0], ValueError, r"awake has shape \(6,\)"),
        (True, ValueError, r"awake has shape \(\)"),
        ([[True], []], ValueError, "awake is ragged"),
    ],
)
def test_a_bad_mask_changes_nothing(awake: Any, error: type[Exception], message: str) -> None:
    X, Y, initial = series(N_STEPS)
    model = memoa.OnlineEnsemble(N_AGENTS).observe(initial)
    model.run(X, Y)
    model.predict_one(X[3])
    before = everything(model)
    with pytest.raises(error, match=message):
        model.run(X, Y, awake=awake)
    one = awake[0] if isinstance(awake, np.ndarray) and awake.ndim == 2 else awake
    if not isinstance(one, np.ndarray) or one.shape != (N_AGENTS,) or one.dtype != bool:
        calls: list[Callable[[], Any]] = [
            lambda: model.predict_one(X[0], one),
            lambda: model.step_one(X[0], Y[0], one),
        ]
        for call in calls:
            with pytest.raises((TypeError, ValueError), match="^awake "):
                call()
    assert everything(model) == before


def test_not_where_y_comes_late() -> None:
    X, Y, initial = series(N_STEPS)
    model = memoa.OnlineEnsemble(N_AGENTS, delay=2).observe(initial)
    model.run(X[:5], Y[:5])
    before = everything(model)
    for call in (
        lambda: model.predict_one(X[5], FULL[0]),
        lambda: model.run(X, Y, awake=FULL),
    ):
        with pytest.raises(ValueError, match="awake was given, but delay is 2"):
            call()
    assert everything(model) == before


def test_a_copy_of_the_mask_is_taken() -> None:
    X, Y, initial, awake = problem(1, 20)
    model, twin = (memoa.OnlineEnsemble(20).observe(initial) for _ in range(2))
    mine = np.empty(20, bool)
    for x, y, here in zip(X, Y, awake):
        mine[:] = here
        model.predict_one(x, mine)
        mine[:] = ~here
        model.learn_one(x, y)
        twin.step_one(x, y, here)
    assert everything(model) == everything(twin)


# ---------------------------------------------------------------------- what it costs


def test_a_server_goes_on_well_when_half_of_the_agents_drop_out() -> None:
    """Taken to have said the mean field they cost it next to nothing."""
    found = memoa.datasets.logistic_map()
    n, half = len(found.Y), len(found.Y) // 2
    awake = np.ones((n, 64), bool)
    awake[half:, ::2] = False
    errors = [
        memoa.OnlineEnsemble().run(found.X, found.Y, initial=found.initial, awake=mask).server_rmse
        for mask in (None, awake)
    ]
    assert errors[1] < 1.05 * errors[0]
