"""Whole runs of the ensemble: against the slow loop, in any slices, on any threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memoa
import reference
from helpers import (
    assert_close,
    assert_same_bits,
    ensemble,
    mixture_weight,
    seeds,
    series,
    steps,
)

ENCODERS = {
    "relu": (memoa.RandomFeatures(5), reference.RandomFeatures(5)),
    "tanh": (memoa.RandomFeatures(4, "tanh", 0.5), reference.RandomFeatures(4, "tanh", 0.5)),
    "cos": (memoa.RandomFeatures(6, "cos", 2.0), reference.RandomFeatures(6, "cos", 2.0)),
    "wave": (memoa.RandomFeatures(6, "wave", 2.0), reference.RandomFeatures(6, "wave", 2.0)),
    "sparse": (
        memoa.RandomFeatures(9, "wave", 1.5, n_raw=2, n_columns=2),
        reference.RandomFeatures(9, "wave", 1.5, 2, 2),
    ),
    "echo": (memoa.EchoState(5, 0.4, 0.8), reference.EchoState(5, 0.4, 0.8)),
    "linear": (memoa.Linear(), reference.Linear(3)),
    "precomputed": (memoa.Precomputed(3), reference.Precomputed(3)),
    "mix": (
        [memoa.RandomFeatures(7, "wave", n_raw=2, n_columns=2), memoa.EchoState(4), memoa.Linear()],
        [
            reference.RandomFeatures(7, "wave", 1.0, 2, 2),
            reference.EchoState(4),
            reference.Linear(3),
        ],
    ),
}
MIXTURES: list[dict[str, Any]] = [
    {},
    {"window": 5, "decay": 0.8, "ridge": 0.3},
    {"window": 6, "total": 0.7},
    {"fallback": False},
    {"window": 1, "ridge": 0.5, "absolute": True, "decay": 1.0},
    {"window": 4, "ridge": 2.0, "absolute": True, "total": 1.2},
    {"window": 0},
]
GAMES: list[dict[str, Any]] = [
    {},
    {"discount": 0.3, "consensus": 0.2, "effort": 0.5, "horizon": 3},
    {"horizon": 1, "consensus": 5.0, "forgetting": 1.0, "ridge": 2.0},
]

TYPES: list[dict[str, Any]] = [
    {"forgetting": (0.9, 0.98, 1.0)},
    {"forgetting": 0.98, "ridge": [0.1, 3.0, 0.7, 20.0, 1.0]},
    {"forgetting": [0.9, 0.99], "ridge": np.array([2.0, 0.05])},
    {"forgetting": [0.9], "ridge": (0.1, 1.0, 10.0)},
]


def compare_with_reference(
    encoder: str,
    n_agents: int,
    d: int,
    mixture: dict[str, Any],
    first_known: bool = True,
    **game: Any,
) -> None:
    ours, slow = ENCODERS[encoder]
    x, y, initial = series(25, 3, d, seed=n_agents)
    initial = initial if first_known else None
    if encoder == "precomputed":
        x = np.random.default_rng(5).normal(size=(25, n_agents, 3))
    theirs = {{"ridge": "mixture_ridge"}.get(k, k): v for k, v in mixture.items()}
    oracle = reference.Ensemble(n_agents, slow, seed=11, **theirs, **game)
    server, rmse, mean_field, agents = oracle.run(x, y, initial)
    mixing = memoa.Mixture(**{"window": 64, "rivals": False, "start": 0, **mixture})
    model = ensemble(n_agents, encoder=ours, random_state=11, mixture=mixing, **game)
    run = model.run(x, y, initial=initial, record=range(n_agents))
    assert_close(run.recorded, agents)
    assert_close(run.mean_field, mean_field)
    assert_close(run.predictions, server)
    assert_close(run.agent_rmse, rmse)
    assert_close(model.weights, oracle.agent_weights(), 1e-8)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("d", [1, 2])
def test_runs_agree_with_the_reference(encoder: str, d: int, policy: str) -> None:
    compare_with_reference(encoder, 11, d, {"window": 7}, policy=policy)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("mixture", [{}, {"total": 0.7, "window": 3}], ids=str)
def test_runs_without_an_initial_value_agree_with_the_reference(
    encoder: str, mixture: dict[str, Any], policy: str
) -> None:
    compare_with_reference(encoder, 11, 2, mixture, first_known=False, policy=policy)


@pytest.mark.parametrize("mixture", MIXTURES, ids=str)
@pytest.mark.parametrize("d", [1, 2])
def test_every_mixture_agrees_with_the_reference(mixture: dict[str, Any], d: int) -> None:
    compare_with_reference("tanh", 10, d, mixture)


@pytest.mark.parametrize("game", GAMES, ids=str)
@pytest.mark.parametrize("n_agents", [1, 8, 13])
def test_every_game_agrees_with_the_reference(game: dict[str, Any], n_agents: int) -> None:
    compare_with_reference("relu", n_agents, 1, {}, **game)


@pytest.mark.parametrize("types", TYPES, ids=str)
@pytest.mark.parametrize("n_agents", [2, 61])  # fewer than there are types; eight blocks of lanes
def test_every_mix_of_types_agrees_with_the_reference(
    types: dict[str, Any], n_agents: int, policy: str
) -> None:
    compare_with_reference("relu", n_agents, 1, {}, policy=policy, **types)


# ---------------------------------------------------------------- the same bits


@pytest.mark.parametrize("encoder", ["relu", "cos", "echo", "mix"])
@pytest.mark.parametrize("d", [1, 2])
def test_a_run_is_its_steps(encoder: str, d: int, policy: str) -> None:
    x, y, initial = series(30, 2, d)
    options = {"encoder": ENCODERS[encoder][0], "policy": policy, "mixture": memoa.Mixture(7)}
    options["forgetting"] = (0.9, 0.98, 1.0)
    whole, stepped = ensemble(11, **options), ensemble(11, **options)
    run = whole.run(x, y, initial=initial)
    stepped.observe(initial)
    assert_same_bits(steps(stepped, x, y), run.predictions)
    assert_same_bits(stepped.agent_rmse, whole.agent_rmse)
    assert_same_bits(stepped.weights, whole.weights)
    assert_same_bits(stepped.predict_one(x[0]), whole.predict_one(x[0]))


def test_two_halves_are_the_whole() -> None:
    x, y, _ = series(40)
    whole = ensemble().fit(x, y)
    halves = ensemble().partial_fit(x[:17], y[:17]).partial_fit(x[17:], y[17:])
    assert_same_bits(halves.predict(x), whole.predict(x))
    assert_same_bits(halves.agent_rmse, whole.agent_rmse)
    assert_same_bits(halves.weights, whole.weights)


@pytest.mark.parametrize(
    "encoder", [memoa.RandomFeatures(12), memoa.EchoState(6), ENCODERS["mix"][0]], ids=str
)
def test_the_number_of_threads_does_not_show(encoder: Any, policy: str) -> None:
    n_agents = 5003  # ten chunks of 512 agents, the last of them ragged
    x, y, initial = series(8, 3, 2)
    types = {"forgetting": (0.9, 0.98, 1.0), "ridge": (0.1, 1.0, 10.0)}
    options = {"encoder": encoder, "policy": policy, "mixture": memoa.Mixture(4)} | types
    first, *others = (ensemble(n_agents, n_threads=k, **options) for k in (1, 2, 3, 7))
    expected = first.run(x, y, initial=initial, record=[0, n_agents - 1])
    for model in others:
        run = model.run(x, y, initial=initial, record=[0, n_agents - 1])
        for name in ("predictions", "mean_field", "agent_rmse", "worst_cost", "recorded"):
            assert_same_bits(getattr(run, name), getattr(expected, name))
        assert_same_bits(model.weights, first.weights)


@pytest.mark.parametrize("kind", ["float32", "fortran", "strided", "read-only", "list"])
def test_the_layout_of_the_series_does_not_matter(kind: str) -> None:
    x, y, _ = (np.round(a * 64) / 64 for a in series(20, 3, 2))
    locked = x.copy(), y.copy()
    for array in locked:
        array.setflags(write=False)
    given_x, given_y = {
        "float32": (x.astype(np.float32), y.astype(np.float32)),
        "fortran": (np.asfortranarray(x), np.asfortranarray(y)),
        "strided": (np.repeat(x, 2, axis=0)[::2], np.repeat(y, 2, axis=1)[:, ::2]),
        "read-only": locked,
        "list": (x.tolist(), y.tolist()),
    }[kind]
    expected = ensemble().run(x, y).predictions
    assert_same_bits(ensemble().run(given_x, given_y).predictions, expected)
    stepped = ensemble()
    stepped.predict_one(given_x[0])
    stepped.learn_one(given_x[0], given_y[0])  # only now is the width of y known
    assert_same_bits(steps(stepped, given_x[1:], given_y[1:]), expected[1:])


# ---------------------------------------------------------------- the first value


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_first_y_ever_seen_is_observed(encoder: str, dtype: str, policy: str) -> None:
    """Not a bit of what is learnt differs from `observe(y[0])` and the rest of the series."""
    x, y, _ = series(30, 2, 2)
    if encoder == "precomputed":
        x = np.random.default_rng(5).normal(size=(30, 11, 3))
    options = {"encoder": ENCODERS[encoder][0], "policy": policy, "dtype": dtype}
    whole, later, stepped = (ensemble(11, **options) for _ in range(3))
    run, rest = whole.run(x, y, record=[3]), later.run(x[1:], y[1:], initial=y[0], record=[3])
    for name in ("predictions", "mean_field", "worst_cost", "recorded"):
        assert_same_bits(getattr(run, name)[0], np.zeros_like(getattr(run, name)[0]))
        assert_same_bits(getattr(run, name)[1:], getattr(rest, name))
    assert (run.unscored, rest.unscored) == (1, 0)
    assert_same_bits(run.agent_rmse, rest.agent_rmse)
    for error in ("server_rmse", "repeat_last_rmse", "regret"):
        assert getattr(run, error) == getattr(rest, error)
    assert_same_bits(stepped.predict_one(x[0]), np.zeros(1))
    stepped.learn_one(x[0], y[0])
    assert_same_bits(steps(stepped, x[1:], y[1:]), rest.predictions)
    for other in (later, stepped):
        assert_same_bits(other.agent_rmse, whole.agent_rmse)
        assert_same_bits(other.weights, whole.weights)
        assert_same_bits(mixture_weight(other), mixture_weight(whole))
        assert_same_bits(other.predict(x[:3]), whole.predict(x[:3]))


@pytest.mark.parametrize("level", [1e3, 1e6])
@pytest.mark.parametrize("d", [1, 2])
def test_the_level_of_a_series_is_not_learnt(level: float, d: int, policy: str) -> None:
    x, y, _ = series(40, 2, d)
    shift = level * np.array([1.0, -1.0])[:d]
    plain, moved = (ensemble(policy=policy).fit(x, one) for one in (y, y + shift))
    assert_close(moved.predict(x) - shift, plain.predict(x), 1e-8 * level)
    plain_run, moved_run = (ensemble(policy=policy).run(x, one) for one in (y, y + shift))
    assert_close(moved_run.predictions[1:] - shift, plain_run.predictions[1:], 1e-8 * level)
    assert moved_run.server_rmse == pytest.approx(plain_run.server_rmse, rel=1e-6)
    assert moved_run.repeat_last_rmse == pytest.approx(plain_run.repeat_last_rmse, rel=1e-6)
    stepped = ensemble(policy=policy)
    stepped.predict_one(x[0])
    stepped.learn_one(x[0], y[0] + shift)
    assert np.abs(stepped.predict_one(x[1]) - y[0] - shift).max() < 1e-9 * level


def test_one_step_alone_scores_nothing() -> None:
    model = ensemble()
    run = model.run([[1.0, 2.0]], [5.0])
    assert np.isnan([run.server_rmse, run.repeat_last_rmse, run.mean_agent_rmse]).all()
    assert run.regret == 0.0
    assert "1 steps (0 scored)" in run.summary()
    assert_same_bits(model.predict([[7.0, 0.0]]), np.array([[5.0]]))
    assert model.under_performer == (0, 0.0)


# ---------------------------------------------------------------- equivariance


@given(
    seeds,
    st.sampled_from(["relu", "tanh", "echo"]),
    st.sampled_from(["memoa", "greedy"]),
    st.floats(0.1, 10.0),
    st.booleans(),
    st.floats(-100.0, 100.0),
)
@settings(max_examples=25)
def test_shifting_and_scaling_y_does_the_same_to_every_prediction(
    seed: int, encoder: str, policy: str, scale: float, flip: bool, shift: float
) -> None:
    scale = -scale if flip else scale
    x, y, initial = series(25, 2, 2, seed)
    options = {"encoder": ENCODERS[encoder][0], "policy": policy}
    plain = ensemble(**options).run(x, y, initial=initial, record=[0, 5])
    moved = ensemble(**options).run(
        x, scale * y + shift, initial=scale * initial + shift, record=[0, 5]
    )
    for name in ("predictions", "mean_field", "recorded"):
        assert_close(getattr(moved, name), scale * getattr(plain, name) + shift, 1e-8)
    assert_close(moved.agent_rmse, abs(scale) * plain.agent_rmse, 1e-8)


@given(seeds, st.sampled_from(["relu", "cos", "echo"]), st.floats(0.05, 20.0), st.floats(-9.0, 9.0))
@settings(max_examples=25)
def test_an_increasing_affine_change_of_an_input_changes_nothing(
    seed: int, encoder: str, scale: float, shift: float
) -> None:
    x, y, initial = series(25, 3, 1, seed)
    moved = x.copy()
    moved[:, 1] = scale * x[:, 1] + shift
    plain = ensemble(encoder=ENCODERS[encoder][0]).run(x, y, initial=initial)
    other = ensemble(encoder=ENCODERS[encoder][0]).run(moved, y, initial=initial)
    assert_close(other.predictions, plain.predictions, 1e-7)


# ---------------------------------------------------------------- extremes


def test_a_constant_y_is_forecast_exactly(policy: str) -> None:
    x, _, _ = series(15)
    model = ensemble(policy=policy)
    run = model.run(x, np.full(15, 3.0), initial=3.0)
    assert_same_bits(run.predictions, np.full((15, 1), 3.0))
    assert run.regret == 0.0
    assert_same_bits(model.weights, np.full(6, 1.0 / 6.0))


def test_a_constant_input_tells_nothing() -> None:
    x, y, _ = series(20)
    x[:, 1] = 0.1
    other = x.copy()
    other[:, 1] = -7.3e5
    assert_same_bits(ensemble().run(other, y).predictions, ensemble().run(x, y).predictions)


def test_one_agent_and_one_step(policy: str) -> None:
    run = ensemble(1, policy=policy).run([[1.0, 2.0]], [5.0], initial=4.0)
    assert_same_bits(run.predictions, np.array([[4.0]]))  # nothing learnt: repeats the last value
    assert_same_bits(run.agent_rmse, np.array([1.0]))


@pytest.mark.parametrize("huge", [1e100, 9e153, 1e200, 1.7e308])
@pytest.mark.parametrize("agents", [[3], [3, 4, 9]])
def test_huge_features_of_some_agents_do_not_poison_the_others(
    huge: float, agents: list[int], policy: str
) -> None:
    x, y, initial = np.random.default_rng(0).normal(size=(20, 10, 2)), *series(20)[1:]
    x[5:12, agents] = huge
    with pytest.warns(RuntimeWarning, match="numbers of agent 3 overflowed at step 11"):
        run = ensemble(10, encoder=memoa.Precomputed(2), policy=policy).run(
            x, y, initial=initial, record=range(10)
        )
    assert np.isfinite(run.recorded).all()
    assert np.isfinite(run.predictions).all()
    assert np.isfinite(run.agent_rmse).all()
    others = np.setdiff1d(np.arange(10), agents)
    if policy == "greedy":
        x[5:12, agents] = 1.0
        calm = ensemble(10, encoder=memoa.Precomputed(2), policy=policy).run(
            x, y, initial=initial, record=others
        )
        assert_same_bits(run.recorded[:, others].copy(), calm.recorded)


def test_huge_values_of_y_stay_finite(policy: str) -> None:
    x, y, _ = series(12)
    run = ensemble(policy=policy).run(x, 1e150 * y)
    assert np.isfinite(run.predictions).all()
