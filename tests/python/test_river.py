"""OnlineEnsemble among river's tools."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from helpers import assert_same_bits, ensemble, series

pytest.importorskip("river", reason="river is not installed: the extra `experiments` has it")
from river import base, compose, evaluate, metrics, preprocessing, stream

X, Y, _ = series(60, 3)
NAMES = ("wind", "sun", "rain")
ROWS = [dict(zip(NAMES, x.tolist())) for x in X]
DATASET = list(zip(ROWS, Y[:, 0].tolist()))


def test_progressive_validation_is_the_loop() -> None:
    model, metric = ensemble(), metrics.MAE()
    for x, y in DATASET:
        metric.update(y, model.predict_one(x))
        model.learn_one(x, y)
    judged = ensemble()
    found = evaluate.progressive_val_score(DATASET, judged, metrics.MAE() + metrics.R2())
    assert found[0].get() == metric.get()
    assert np.isfinite(found[1].get())
    errors = ensemble().run(X, Y).predictions - Y
    assert metric.get() == pytest.approx(np.abs(errors).mean(), rel=1e-12)
    assert_same_bits(judged.agent_rmse, model.agent_rmse)


def test_it_is_one_of_rivers_regressors() -> None:
    assert isinstance(ensemble(), base.Regressor)
    assert not isinstance(ensemble(), (base.Classifier, base.Transformer))
    assert metrics.MAE().works_with(ensemble())


def test_progressive_validation_reports_the_memory() -> None:
    reports = list(
        evaluate.iter_progressive_val_score(
            DATASET, ensemble(50), metrics.MAE(), step=20, measure_memory=True
        )
    )
    assert [one["Step"] for one in reports] == [20, 40, 60]
    assert all(one["Memory"] > 50 * 5 * 8 for one in reports)


def test_an_answer_that_comes_late_is_predicted_again() -> None:
    """Of x1, x2, y1, y2 the agents learn in the order of the answers."""
    judged = ensemble()
    evaluate.progressive_val_score(DATASET, judged, metrics.MAE(), delay=3)
    twin = ensemble()
    for x, y in DATASET:
        twin.learn_one(x, y)
    assert_same_bits(judged.agent_rmse, twin.agent_rmse)


@pytest.mark.parametrize("made", ["bar", "Pipeline"])
def test_at_the_end_of_a_pipeline(made: str) -> None:
    """A running scale changes little: inputs are standardised inside as well."""
    scaler, model = preprocessing.StandardScaler(), ensemble()
    pipeline = scaler | model if made == "bar" else compose.Pipeline(scaler, model)
    score = evaluate.progressive_val_score(DATASET, pipeline, metrics.MAE())
    assert pipeline[-1] is model
    assert model._learnt("steps").core.steps == len(DATASET) - 1  # the first is observed
    alone = evaluate.progressive_val_score(DATASET, ensemble(), metrics.MAE())
    assert score.get() == pytest.approx(alone.get(), rel=0.2)
    fresh = pipeline.clone()
    again = evaluate.progressive_val_score(DATASET, fresh, metrics.MAE())
    assert again.get() == score.get()
    assert pipeline["OnlineEnsemble"]._get_params() == model.get_params(deep=False)


def test_a_clone_has_the_parameters_and_nothing_learnt() -> None:
    model = ensemble(7, effort=0.5)
    for x, y in DATASET:
        model.learn_one(x, y)
    twin = model.clone()
    assert twin.get_params() == model.get_params()
    assert not hasattr(twin, "feature_names_in_")
    changed = model.clone({"n_agents": 3, "encoder__n_features": 4})
    assert (changed.n_agents, changed.encoder.n_features, changed.effort) == (3, 4, 0.5)
    whole = model.clone(include_attributes=True)
    assert whole.predict_one(ROWS[0]) == model.predict_one(ROWS[0])
    with pytest.raises(ValueError, match="n_agents is 0; expected"):
        model.clone({"n_agents": 0})


def test_rows_of_an_array_as_river_streams_them() -> None:
    model = ensemble()
    for x, y in stream.iter_array(X, Y[:, 0].tolist()):
        model.predict_one(x)
        model.learn_one(x, y)
    assert list(model.feature_names_in_) == [0, 1, 2]
    assert_same_bits(model.agent_rmse, ensemble().fit(X, Y).agent_rmse)


def test_a_copy_is_a_regressor_as_well() -> None:
    state = pickle.dumps(ensemble().learn_one([1.0], 2.0)).hex()
    code = (
        "import pickle, river.base; "
        f"print(isinstance(pickle.loads(bytes.fromhex({state!r})), river.base.Regressor))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
