"""OnlineEnsemble among scikit-learn's tools."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import memoa
from helpers import assert_same_bits, ensemble, series

pytest.importorskip("sklearn")
from sklearn.base import clone, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

X, Y, _ = series(60, 3, 2)

EXPECTED_FAILURES = {
    "check_do_not_raise_errors_in_init_or_set_params": "bad arguments are refused at once",
    "check_parameters_default_constructible": "the defaults of encoder and mixture are values",
}


@pytest.mark.filterwarnings("ignore:Estimator OnlineEnsemble does not inherit:UserWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore:.* occurred during set_params of:UserWarning")
def test_all_checks_of_scikit_learn() -> None:
    results = check_estimator(
        memoa.OnlineEnsemble(n_agents=4),
        expected_failed_checks=EXPECTED_FAILURES,
        on_skip=None,
        on_fail=None,
    )
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert failed == {}
    still = {r["check_name"] for r in results if r["status"] == "xfail"}
    assert still == set(EXPECTED_FAILURES)  # none of the reasons is out of date
    assert sum(r["status"] == "passed" for r in results) > 25


def test_parameters_are_the_constructors_arguments() -> None:
    model = memoa.OnlineEnsemble(8, effort=0.5, random_state=3)
    params = model.get_params(deep=False)
    assert params["n_agents"] == 8
    assert params["effort"] == 0.5
    assert memoa.OnlineEnsemble(**params).get_params() == model.get_params()
    assert model.set_params(effort=0.25, policy="greedy") is model
    assert (model.effort, model.policy) == (0.25, "greedy")
    for unknown in ("speed", "encoder__speed", "mixture__", "speed__n_features", "effort__n"):
        with pytest.raises(ValueError, match=f"'{unknown}' is not a parameter of OnlineEnsemble; "):
            model.set_params(**{"n_agents": 3, unknown: 1})
    assert model.n_agents == 8


def test_encoder_and_mixture_have_parameters_of_their_own() -> None:
    model = memoa.OnlineEnsemble(8)
    deep = model.get_params()
    assert (deep["encoder__n_features"], deep["mixture__ridge"]) == (16, 0.1)
    assert set(model.get_params(deep=False)) < set(deep)
    model.set_params(encoder__scale=2.0, mixture__ridge=0.5, encoder__activation="tanh")
    assert model.encoder == memoa.RandomFeatures(16, "tanh", 2.0, n_raw=4, n_columns=2)
    assert model.mixture == memoa.Mixture(ridge=0.5)
    model.set_params(encoder__leak=0.5, encoder=memoa.EchoState(4))  # in any order
    assert model.encoder == memoa.EchoState(4, leak=0.5)
    before = model.get_params()
    with pytest.raises(ValueError, match="leak is 1.5.*; expected"):
        model.set_params(mixture__ridge=0.1, encoder__leak=1.5)
    with pytest.raises(ValueError, match="'encoder__scale' is not a parameter"):
        model.set_params(encoder__scale=1.0)
    assert model.get_params() == before
    assert clone(model).get_params() == before


def test_a_clone_has_the_parameters_and_nothing_learnt() -> None:
    options = {"encoder": memoa.EchoState(4), "discount": 0.1, "forgetting": [0.9, 0.98]}
    model = ensemble(5, policy="greedy", **options).fit(X, Y)
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert not hasattr(twin, "n_features_in_")
    with pytest.raises(NotFittedError):
        twin.predict(X)
    assert_same_bits(twin.fit(X, Y).predict(X), model.predict(X))


def test_fit_forgets_and_predict_has_the_shape_of_y() -> None:
    once = ensemble().fit(X, Y)
    assert once.predict(X[:7]).shape == (7, 2)
    assert (once.n_features_in_, once.n_outputs_) == (3, 2)
    twice = ensemble().fit(X[:20], Y[:20, 0])
    assert twice.predict(X[:7]).shape == (7,)
    assert_same_bits(twice.fit(X, Y).predict(X), once.predict(X))
    assert twice.fit(X, Y[:, :1]).predict(X[:7]).shape == (7, 1)
    assert is_regressor(once)


CHANGES = {
    "n_agents": 9,
    "encoder": memoa.EchoState(4),
    "policy": "greedy",
    "consensus": 3.0,
    "effort": 0.5,
    "horizon": 2,
    "discount": 0.5,
    "forgetting": 0.9,
    "ridge": 2.0,
    "aggregate": "mean",
    "lags": 3,
    "season": 4,
    "bounded": True,
    "follow": "mean",
    "delay": 2,
    "mixture": memoa.Mixture(window=3, total=0.5),
    "intervals": (0.8,),
    "dtype": "float32",
    "n_threads": 1,
    "random_state": 7,
}


@pytest.mark.parametrize("name", CHANGES)
def test_new_parameters_take_effect_at_the_next_fit(name: str) -> None:
    """Until then all of what was drawn goes on as it was, in memory and in a copy."""
    others = {"communicator"}  # needs processes
    assert set(CHANGES) | others == set(memoa.OnlineEnsemble().get_params(deep=False))
    y = 1e20 * Y if name == "dtype" else Y  # more than float32 takes
    plain = ensemble(6).fit(X[:40], y[:40])
    model = ensemble(6).fit(X[:40], y[:40]).set_params(**{name: CHANGES[name]})
    for changed in (model, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        twin = copy.deepcopy(plain)
        assert_same_bits(changed.weights, twin.weights)
        assert_same_bits(changed.predict(X), twin.predict(X))
        ours, theirs = changed.run(X[40:], y[40:], record=[5]), twin.run(X[40:], y[40:], record=[5])
        assert_same_bits(ours.recorded, theirs.recorded)
        assert ours.policy == theirs.policy == "memoa"
        assert_same_bits(changed.weights, twin.weights)
    again = ensemble(**{"n_agents": 6, name: CHANGES[name]}).fit(X, Y)
    assert_same_bits(model.fit(X, Y).predict(X), again.predict(X))


def test_new_parameters_before_the_width_of_y_is_known_wait_as_well() -> None:
    """The agents are drawn by the first forecast."""
    model, twin = ensemble(6), ensemble(6)
    for one in (model, twin):
        one.predict_one(X[0])
    model.set_params(n_agents=9, policy="greedy", random_state=4)
    for one in (model, twin):
        one.learn_one(X[0], Y[0])
    assert_same_bits(model.predict_one(X[1]), twin.predict_one(X[1]))
    assert model.weights.shape == (6,)


def test_cross_validation_in_order_of_time() -> None:
    scores = cross_val_score(
        ensemble(), X, Y[:, 0], cv=TimeSeriesSplit(3), scoring="neg_mean_squared_error"
    )
    assert scores.shape == (3,)
    expected = []
    for train, test in TimeSeriesSplit(3).split(X):
        shown = ensemble().fit(X[train], Y[train, 0]).predict(X[test])
        expected.append(-np.mean((shown - Y[test, 0]) ** 2))
    np.testing.assert_allclose(scores, expected, rtol=1e-12)


def test_in_a_pipeline_a_scaler_changes_nothing() -> None:
    """Inputs are standardised inside: an increasing affine change of them does not show."""
    pipeline = make_pipeline(StandardScaler(), ensemble()).fit(X, Y)
    np.testing.assert_allclose(pipeline.predict(X), ensemble().fit(X, Y).predict(X), rtol=1e-7)


def test_the_score_is_the_share_that_is_explained() -> None:
    model = ensemble().fit(X, Y)
    assert model.score(X, Y) == pytest.approx(r2_score(Y, model.predict(X)), rel=1e-12)
    single = ensemble().fit(X, Y[:, 0])
    assert single.score(X, Y[:, 0]) == pytest.approx(r2_score(Y[:, 0], single.predict(X)))
    flat = Y.copy()
    flat[:, 1] = 3.0
    assert model.score(X, flat) == pytest.approx(r2_score(flat, model.predict(X)), rel=1e-12)
    steady = ensemble().fit(X, np.full(len(X), 2.0))
    assert steady.score(X, np.full(len(X), 2.0)) == 1.0
    assert steady.score(X, np.full(len(X), 2.5)) == 0.0
    with pytest.raises(ValueError, match=r"y has shape \(60, 1\); expected .* = \(60, 2\)"):
        model.score(X, Y[:, 0])
    with pytest.raises(ValueError, match=r"y holds nan at \[0, 0\]"):
        model.score(X, Y + np.nan)


def test_a_grid_search_refits_the_best() -> None:
    grid = {"effort": [0.01, 10.0], "encoder__n_features": [3, 5], "mixture__ridge": [0.1, 10.0]}
    search = GridSearchCV(ensemble(), grid, cv=TimeSeriesSplit(3)).fit(X, Y[:, 0])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) == 8
    best = ensemble().set_params(**search.best_params_).fit(X, Y[:, 0])
    assert_same_bits(search.predict(X), best.predict(X))


def test_a_pipeline_has_a_score_and_nested_parameters() -> None:
    pipeline = make_pipeline(StandardScaler(), ensemble())
    pipeline.set_params(onlineensemble__encoder__n_features=7).fit(X, Y)
    assert pipeline[-1].encoder.n_features == 7
    assert pipeline.score(X, Y) == pytest.approx(r2_score(Y, pipeline.predict(X)), rel=1e-12)
    halves = cross_val_score(pipeline, X, Y, cv=TimeSeriesSplit(2))
    assert np.isfinite(halves).all()


def test_sparse_input_is_refused() -> None:
    sparse = pytest.importorskip("scipy.sparse").csr_array(X)
    with pytest.raises(TypeError, match="X is a sparse array; expected a dense one"):
        ensemble().fit(sparse, Y)
