"""One step at a time: predict_one, learn_one, observe, copies on the way, and the seeds."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import memoa
from helpers import assert_close, assert_same_bits, ensemble, mixture_weight, series, steps

Clone = Callable[[memoa.OnlineEnsemble], memoa.OnlineEnsemble]
ENCODERS = [
    memoa.RandomFeatures(4),
    memoa.EchoState(4),
    (memoa.RandomFeatures(6), memoa.EchoState(4)),
]


@pytest.fixture(params=["deepcopy", "pickle"])
def clone(request: pytest.FixtureRequest) -> Clone:
    if request.param == "deepcopy":
        return copy.deepcopy
    return lambda model: pickle.loads(pickle.dumps(model))


def test_predict_one_leaves_no_trace(policy: str) -> None:
    x, y, _ = series(15)
    model, twin = ensemble(policy=policy), ensemble(policy=policy)
    for one_x, one_y in zip(x, y):
        model.predict_one(one_x + 3.0)
        first = model.predict_one(one_x)
        model.predict_one(one_x - 5.0)
        assert_same_bits(model.predict_one(one_x), first)
        assert_same_bits(first, twin.predict_one(one_x))
        model.learn_one(one_x, one_y)
        twin.learn_one(one_x, one_y)
    assert_same_bits(model.agent_rmse, twin.agent_rmse)


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.parametrize("learnt", [0, 1, 9])
def test_predict_leaves_no_trace_either(encoder: Any, pending: bool, learnt: int) -> None:
    x, y, initial = series(15, 2, 2)
    model, twin = ensemble(encoder=encoder), ensemble(encoder=encoder)
    for one in (model, twin):
        one.observe(initial)
        one.predict_one(x[0])
        steps(one, x[:learnt], y[:learnt])
        if pending:
            one.predict_one(x[learnt])
    rows = model.predict(x)
    assert_same_bits(model.predict(x), rows)
    for name in ("agent_predictions", "mean_field", "weights", "shares", "agent_rmse"):
        assert_same_bits(getattr(model, name), getattr(twin, name))
    model.score(x, y)
    assert pickle.dumps(model) == pickle.dumps(twin)
    assert_same_bits(rows[3], copy.deepcopy(model).predict_one(x[3]))
    for one in (model, twin):
        one.learn_one(x[learnt], y[learnt])
    assert_same_bits(steps(model, x[learnt:], y[learnt:]), steps(twin, x[learnt:], y[learnt:]))


def test_the_server_mixes_the_agents_predictions(policy: str) -> None:
    x, y, _ = series(12, 2, 2)
    model = ensemble(policy=policy, mixture=memoa.Mixture(total=0.8, rivals=False, start=0))
    assert_same_bits(mixture_weight(model), np.ones(1))
    base = np.array([0.0, 1.0])
    model.observe(base)
    assert_same_bits(mixture_weight(model), np.ones(2))
    for one_x, one_y in zip(x, y):
        forecast = model.predict_one(one_x)
        mixed = model.weights @ model.agent_predictions
        assert_close(forecast, base + mixture_weight(model) * (mixed - base), 1e-12)
        assert_close(model.mean_field, model.agent_predictions.mean(axis=0), 1e-12)
        model.learn_one(one_x, one_y)
        base = one_y
    assert model.weights.sum() == pytest.approx(0.8, rel=1e-12)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("skip", ["every", "some"])
def test_learning_predicts_first_what_was_not_predicted(d: int, skip: str, policy: str) -> None:
    x, y, initial = series(12, 2, d)
    for observed in (False, True):
        model, twin = ensemble(policy=policy), ensemble(policy=policy)
        for one in (model, twin):
            if observed:
                one.observe(initial)
        for k, (one_x, one_y) in enumerate(zip(x, y)):
            if skip == "some" and k % 3 == 1:
                model.predict_one(one_x)
            if skip == "some" and k % 3 == 2:
                model.predict_one(one_x + 1.0)  # never learnt
            assert model.learn_one(one_x, one_y) is model
            twin.predict_one(one_x)
            twin.learn_one(one_x, one_y)
            assert_same_bits(model.agent_predictions, twin.agent_predictions)
        assert_same_bits(model.agent_rmse, twin.agent_rmse)
        assert_same_bits(model.predict_one(x[0]), twin.predict_one(x[0]))


def test_an_x_that_was_changed_in_place_is_predicted_again() -> None:
    x, y, _ = series(6)
    model, twin = ensemble(), ensemble()
    steps(twin, x, y)
    buffer = np.empty(2)
    for one_x, one_y in zip(x, y):
        buffer[:] = one_x + 1.0
        model.predict_one(buffer)
        buffer[:] = one_x
        model.learn_one(buffer, one_y)
    assert_same_bits(model.agent_rmse, twin.agent_rmse)


def test_observe_is_the_base_of_the_first_step() -> None:
    x, y, _ = series(5)
    assert_same_bits(ensemble().observe(4.5).predict_one(x[0]), np.array([4.5]))
    assert_same_bits(ensemble().observe([4.5, -1.0]).predict_one(x[0]), np.array([4.5, -1.0]))
    assert_same_bits(ensemble().predict_one(x[0]), np.array([0.0]))
    model, twin = ensemble(), ensemble()
    steps(model, x, y)
    steps(twin, x, y)
    before = model.predict_one(x[0])
    model.observe(y[-1] + 10.0)
    assert_close(model.predict_one(x[0]), before + 10.0, 1e-12)
    model.observe(y[-1])
    assert_same_bits(model.predict_one(x[0]), twin.predict_one(x[0]))


def test_what_was_predicted_before_observe_is_predicted_again() -> None:
    x, y, _ = series(4)
    model, twin = ensemble(), ensemble()
    for one in (model, twin):
        steps(one, x[:2], y[:2])
    model.predict_one(x[2])
    for one in (model, twin):
        one.observe(1.0)
        one.learn_one(x[2], y[2])
    assert_same_bits(model.agent_rmse, twin.agent_rmse)


def test_the_width_of_y_may_be_learnt_late() -> None:
    x, y, _ = series(8, 2, 2)
    model = ensemble()
    assert_same_bits(model.predict_one(x[0]), np.zeros(1))
    model.learn_one(x[0], y[0])
    rest = steps(model, x[1:], y[1:])
    assert_same_bits(rest, ensemble().run(x, y).predictions[1:])
    assert model.n_outputs_ == 2
    with pytest.raises(ValueError, match=r"y has shape \(1,\); expected .*\(2,\)"):
        model.observe([1.0])


def test_observing_decides_the_width_after_a_first_forecast() -> None:
    x, y, initial = series(8, 2, 3)
    model = ensemble()
    model.predict_one(x[0])
    model.observe(initial)
    assert_same_bits(steps(model, x, y), ensemble().run(x, y, initial=initial).predictions)


@pytest.mark.parametrize("learnt", [0, 1, 9])
@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_a_copy_goes_on_with_the_same_bits(
    clone: Clone, learnt: int, pending: bool, encoder: Any
) -> None:
    x, y, initial = series(16, 2, 2)
    types = {"forgetting": (0.9, 0.98, 1.0), "ridge": (0.1, 1.0, 10.0)}
    model = ensemble(encoder=encoder, mixture=memoa.Mixture(window=4), **types)
    model.observe(initial)
    steps(model, x[:learnt], y[:learnt])
    if pending:
        model.predict_one(x[learnt])
    twin = clone(model)
    if pending:
        assert_same_bits(twin.agent_predictions, model.agent_predictions)
        model.learn_one(x[learnt], y[learnt])
        twin.learn_one(x[learnt], y[learnt])
        learnt += 1
    assert_same_bits(steps(twin, x[learnt:], y[learnt:]), steps(model, x[learnt:], y[learnt:]))
    assert_same_bits(twin.agent_rmse, model.agent_rmse)
    assert_same_bits(twin.weights, model.weights)


def test_a_copy_keeps_the_last_predictions_of_a_learnt_step(clone: Clone) -> None:
    x, y, _ = series(7)
    model = ensemble()
    steps(model, x, y)
    twin = clone(model)
    assert_same_bits(twin.agent_predictions, model.agent_predictions)
    assert_same_bits(twin.mean_field, model.mean_field)
    assert twin.under_performer == model.under_performer


def test_a_copy_before_the_width_of_y_is_known(clone: Clone) -> None:
    x, y, _ = series(6, 2, 2)
    model = ensemble()
    model.predict_one(x[0])
    twin = clone(model)
    twin.learn_one(x[0], y[0])
    assert_same_bits(steps(twin, x[1:], y[1:]), ensemble().run(x, y).predictions[1:])


def test_a_copy_survives_agents_whose_features_overflow(clone: Clone) -> None:
    x, y, _ = np.random.default_rng(0).normal(size=(12, 6, 2)), *series(12)[1:]
    x[2:5, 3] = 9e153
    model = ensemble(encoder=memoa.Precomputed(2))
    with pytest.warns(RuntimeWarning, match="numbers of agent 3 overflowed at step") as told:
        steps(model, x[:8], y[:8])
    assert len(told) == 3
    twin = clone(model)
    assert_same_bits(steps(twin, x[8:], y[8:]), steps(model, x[8:], y[8:]))


def test_a_copy_is_on_its_own(clone: Clone) -> None:
    x, y, _ = series(10)
    model = ensemble()
    steps(model, x[:5], y[:5])
    twin = clone(model)
    before = model.predict_one(x[5])
    steps(twin, x[5:], y[5:])
    assert_same_bits(model.predict_one(x[5]), before)


def test_precomputed_features_are_a_matrix_per_step() -> None:
    x, y, _ = np.random.default_rng(0).normal(size=(9, 6, 2)), *series(9)[1:]
    model, twin = (ensemble(encoder=memoa.Precomputed(2)) for _ in range(2))
    assert_same_bits(steps(model, x, y), twin.run(x, y).predictions)
    assert_same_bits(model.predict(x)[0], model.predict_one(x[0]))


def test_random_state() -> None:
    x, y, _ = series(10)

    def rmse(random_state: Any) -> np.ndarray:
        return ensemble(random_state=random_state).run(x, y).agent_rmse

    assert_same_bits(rmse(np.int64(3)), rmse(3))
    for make in (np.random.default_rng, np.random.RandomState):
        assert_same_bits(rmse(make(1)), rmse(make(1)))
        assert not np.any(rmse(make(1)) == rmse(make(2)))
    assert not np.any(rmse(None) == rmse(None))
    assert np.isfinite(rmse(2**64 - 1)).all()


@pytest.mark.parametrize("make", [lambda: None, lambda: np.random.default_rng(1)])
@pytest.mark.parametrize("observed", [False, True])
def test_the_agents_are_drawn_once(make: Callable[[], Any], observed: bool) -> None:
    """The first forecast comes before the width of y is known; its agents stay."""
    x, y, initial = series(4, 2, 3)
    model = ensemble(random_state=make())
    model.predict_one(x[0])
    twin = ensemble(random_state=model._learnt("seed").seed)
    for one in (model, twin):
        if observed:
            one.observe(initial)
        for one_x, one_y in zip(x, y):
            one.predict_one(one_x)
            one.learn_one(one_x, one_y)
    assert model.n_outputs_ == 3
    assert_same_bits(model.agent_rmse, twin.agent_rmse)


def test_before_anything_was_predicted() -> None:
    model = ensemble(4)
    assert_same_bits(model.weights, np.full(4, 0.25))
    for name in ("agent_predictions", "mean_field", "agent_rmse", "under_performer"):
        with pytest.raises(ValueError, match=f"{name} was asked for before"):
            getattr(model, name)
    with pytest.raises(ValueError, match="predict was called before anything was learnt"):
        model.predict([[1.0, 2.0]])


def test_what_is_handed_out_is_a_copy() -> None:
    x, y, _ = series(6)
    model = ensemble()
    steps(model, x, y)
    model.predict_one(x[0])
    for name in ("agent_predictions", "mean_field", "weights", "agent_rmse"):
        before = getattr(model, name).copy()
        getattr(model, name)[...] = 7.0
        assert_same_bits(getattr(model, name), before)


def test_repr_tells_what_is_not_default() -> None:
    assert repr(memoa.OnlineEnsemble()) == "OnlineEnsemble()"
    model = memoa.OnlineEnsemble(8, memoa.EchoState(3), effort=0.5)
    assert "n_agents=8, encoder=EchoState(n_features=3" in repr(model)
    assert repr(model).endswith("effort=0.5)")
    typed = memoa.OnlineEnsemble(ridge=np.array([1.0, 2.0, 4.0]))
    assert repr(typed) == "OnlineEnsemble(ridge=array([1., 2., 4.]))"
