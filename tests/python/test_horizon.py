"""Several leads side by side: each is an ensemble with a delay, and sees nothing too early."""

from __future__ import annotations

import copy
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import memoa
from helpers import assert_same_bits, ensemble, series
from memoa.horizon import recursive_forecasts

LEADS = (1, 3, 8)


def multi(**settings: object) -> memoa.MultiHorizon:
    return memoa.MultiHorizon(ensemble(8, intervals=(0.5, 0.9), **settings), leads=LEADS)


@pytest.mark.parametrize("lead", LEADS)
@pytest.mark.parametrize("d", [1, 2])
def test_a_lead_is_an_ensemble_whose_y_comes_late(lead: int, d: int) -> None:
    X, Y, initial = series(60, 2, d)
    found = multi(lags=2).run(X, Y, initial=initial).run_of(lead)
    late = ensemble(8, intervals=(0.5, 0.9), lags=2, delay=lead - 1)
    before = np.vstack([initial, Y[: lead - 1]]) if lead > 1 else initial
    n = 60 - lead + 1
    run = late.run(X[:n], Y[lead - 1 :], initial=before)
    assert_same_bits(found.predictions[:n], run.predictions)
    assert_same_bits(found.prediction_intervals[:n], run.prediction_intervals)
    assert_same_bits(found.targets[:n], run.targets)
    assert np.isnan(found.targets[n:]).all()
    assert_same_bits(found.last_known, np.vstack([initial, Y[:-1]]))
    assert found.server_rmse == run.server_rmse
    assert_same_bits(found.agent_rmse, run.agent_rmse)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("first", [True, False])
def test_runs_and_steps_agree(d: int, gaps: bool, first: bool) -> None:
    X, Y, initial = series(50, 2, d)
    if gaps:
        Y[np.random.default_rng(0).uniform(size=Y.shape) < 0.3] = np.nan
    whole = multi(season="auto")
    found = whole.run(X, Y, initial=initial if first else None)
    steps = multi(season="auto")
    if first:
        steps.observe(initial)
    for t, (x, y) in enumerate(zip(X, Y)):
        before = steps.predict_one(x)
        if before.shape == (3, d):
            assert_same_bits(before, found.predictions[:, t])
        steps.learn_one(x, y)
    assert_same_bits(steps.agent_rmse, whole.agent_rmse)
    assert_same_bits(steps.weights, whole.weights)
    assert_same_bits(steps.predict(X[:3]), whole.predict(X[:3]))


def test_nothing_is_seen_too_early() -> None:
    X, Y, initial = series(50, 2, 1)
    other = Y.copy()
    other[30:] += 50.0
    runs = [multi(lags=2, season="auto").run(X, y, initial=initial) for y in (Y, other)]
    assert_same_bits(runs[0].predictions[:, :31], runs[1].predictions[:, :31])
    assert (runs[0].predictions[:, 31] != runs[1].predictions[:, 31]).all()


def test_files_and_copies_go_on_with_the_same_bits(tmp_path: Path) -> None:
    X, Y, initial = series(60, 2, 1)
    whole = multi().run(X, Y, initial=initial)
    model = multi()
    model.run(X[:25], Y[:25], initial=initial)
    model.save(tmp_path / "leads.zip")
    loaded = memoa.MultiHorizon.load(tmp_path / "leads.zip")
    for one in (loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        again = one.run(X[25:], Y[25:])
        assert_same_bits(again.predictions, whole.predictions[:, 25:])
    assert loaded.leads == LEADS
    with pytest.raises(ValueError, match="not what MultiHorizon.save wrote"):
        memoa.MultiHorizon.load(__file__)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("multi-horizon.json", '{"kind": "MultiHorizon", "leads": [1]}')
    with pytest.raises(ValueError, match="not what MultiHorizon.save wrote"):
        memoa.MultiHorizon.load(tmp_path / "other.zip")


def test_an_interrupted_run_leaves_all_leads_in_step() -> None:
    X, Y, initial = series(60, 3, 1)
    model, twin = (memoa.MultiHorizon(ensemble(9), leads=(1, 3)) for _ in range(2))
    for one in (model, twin):
        one.run(X[:20], Y[:20], initial=initial)

    def stop(done: int, total: int) -> None:
        if done > total // 2:  # the first lead has learnt all its rows
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.run(X[20:], Y[20:], progress=stop)
    assert_same_bits(model.predict_one(X[20]), twin.predict_one(X[20]))
    again, other = (one.run(X[20:], Y[20:]) for one in (model, twin))
    for ours, theirs in zip(again.runs, other.runs):
        assert_same_bits(ours.predictions, theirs.predictions)


def test_the_unseen_steps_and_their_table(tmp_path: Path) -> None:
    X, Y, initial = series(61, 2, 1)
    found = multi().run(X, Y[:60], initial=initial, warmup=10)
    assert [len(found.unseen(lead)) for lead in LEADS] == list(LEADS)
    assert found.unseen_intervals(8).shape == (8, 2, 2, 1)
    assert_same_bits(found.unseen(8)[-1], found.run_of(8).next)
    assert len(multi().run(X[:60], Y[:60], initial=initial).unseen(8)) == 7

    frame = found.to_frame(season=5, zero=np.zeros((3, 60, 1)))
    assert list(frame.index) == list(LEADS)
    for lead, row in frame.iterrows():
        run = found.run_of(int(lead))
        wanted = Y[10 + lead - 1 : 60]
        ago = np.array([Y[t + lead - 1 - 5 * -(-lead // 5)] for t in range(10, 61 - lead)])
        assert row["server"] == run.server_rmse
        assert row["repeat last"] == pytest.approx(
            np.sqrt(np.mean((wanted - Y[9 : 60 - lead]) ** 2))
        )
        assert row["season ago"] == pytest.approx(np.sqrt(np.mean((wanted - ago) ** 2)))
        assert row["zero"] == pytest.approx(np.sqrt(np.mean(wanted**2)))
        assert row["coverage 0.9"] == run.coverage[1, 0]
    pytest.importorskip("matplotlib")
    plot_fan = pytest.importorskip("memoa.plots.horizon").plot_fan
    plot_fan(found, path=tmp_path / "fan.png")
    assert (tmp_path / "fan.png").stat().st_size > 5000
    with pytest.raises(ValueError, match="lead is 2"):
        found.unseen(2)
    with pytest.raises(ValueError, match="zero has shape"):
        found.to_frame(zero=np.zeros((3, 5, 1)))


def test_a_recursive_forecast_feeds_on_itself() -> None:
    """Lead 1 is the ensemble's own forecast, and a straight line goes on straight."""
    s = memoa.datasets.logistic_map(200)
    found = recursive_forecasts(
        ensemble(8), s.X, s.Y, (1, 2, 5), past=[[0]], initial=s.initial, every=7
    )
    run = ensemble(8).run(s.X, s.Y, initial=s.initial)
    made = ~np.isnan(found[0, :, 0])
    assert made.sum() == 29 and made[::7].all()
    assert_same_bits(found[0, made], run.predictions[made])
    assert np.isfinite(found[:, made]).all()

    model = ensemble(8)
    model.run(s.X[:70], s.Y[:70], initial=s.initial)
    x = s.X[70]
    for _ in range(5):  # by hand
        y = model.predict_one(x)
        model.observe(y)
        x = y
    assert_same_bits(found[2, 70], y)


def test_parameters_and_what_is_refused() -> None:
    model = multi()
    assert clone(model).get_params()["ensemble__n_agents"] == 8
    assert model.set_params(ensemble__n_agents=5).ensemble.n_agents == 5
    assert "leads=(1, 3, 8)" in repr(model)
    X, Y, _ = series(30, 2, 1)
    with pytest.raises(ValueError, match="was asked for before"):
        _ = model.weights
    model.fit(X, Y)
    before = model.ensembles_
    with pytest.raises(ValueError, match="Y has shape"):
        model.fit(X, Y[:3])
    assert model.ensembles_ is before
    shown = model.predict(X[:2])
    for bad in (
        lambda: model.run(X, Y + np.inf),
        lambda: model.learn_one(X[0], [np.inf]),
        lambda: model.learn_one(X[0, :1], [0.0]),
    ):
        with pytest.raises(ValueError, match="."):
            bad()
        assert_same_bits(model.predict(X[:2]), shown)
    for leads, message in (((), "leads is empty"), ((3, 1), "increasing"), ((0, 1), "leads is 0")):
        with pytest.raises(ValueError, match=message):
            memoa.MultiHorizon(leads=leads)
    with pytest.raises(TypeError, match="leads is 3"):
        memoa.MultiHorizon(leads=3)
    with pytest.raises(ValueError, match="delay=2"):
        memoa.MultiHorizon(ensemble(8, delay=2))
    with pytest.raises(TypeError, match="ensemble is 3"):
        memoa.MultiHorizon(3)
