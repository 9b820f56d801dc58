"""OnlineEnsemble among scikit-learn's tools."""

from __future__ import annotations

import numpy as np
import pytest

import memoa
from helpers import assert_same_bits, ensemble, series

pytest.importorskip("sklearn")
from sklearn.base import clone, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

X, Y, _ = series(60, 3, 2)

EXPECTED_FAILURES = {
    "check_do_not_raise_errors_in_init_or_set_params": "bad arguments are refused at once",
    "check_parameters_default_constructible": "the defaults of encoder and mixture are values",
    "check_complex_data": "a wrong dtype is a TypeError here",
    "check_dtype_object": "object arrays are refused, not converted",
    "check_estimators_nan_inf": "the message spells nan as NumPy does, not NaN",
}


@pytest.mark.filterwarnings("ignore:Estimator OnlineEnsemble does not inherit:UserWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
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
    params = model.get_params()
    assert params["n_agents"] == 8
    assert params["effort"] == 0.5
    assert memoa.OnlineEnsemble(**params).get_params() == params
    assert model.set_params(effort=0.25, policy="greedy") is model
    assert (model.effort, model.policy) == (0.25, "greedy")
    with pytest.raises(ValueError, match="'speed' is not a parameter of OnlineEnsemble; expected"):
        model.set_params(speed=1)


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


def test_new_parameters_take_effect_at_the_next_fit() -> None:
    model = ensemble(6).fit(X, Y)
    before = model.predict(X)
    model.set_params(n_agents=9, policy="greedy")
    assert_same_bits(model.predict(X), before)
    assert model.fit(X, Y).weights.shape == (9,)
    assert_same_bits(model.predict(X), ensemble(9, policy="greedy").fit(X, Y).predict(X))


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


def test_a_grid_search_refits_the_best() -> None:
    grid = {"effort": [0.01, 10.0]}
    search = GridSearchCV(
        ensemble(), grid, cv=TimeSeriesSplit(3), scoring="neg_mean_squared_error"
    ).fit(X, Y[:, 0])
    best = ensemble(**search.best_params_).fit(X, Y[:, 0])
    assert_same_bits(search.predict(X), best.predict(X))


def test_sparse_input_is_refused() -> None:
    sparse = pytest.importorskip("scipy.sparse").csr_array(X)
    with pytest.raises(TypeError, match="X is a sparse array; expected a dense one"):
        ensemble().fit(sparse, Y)
