"""Missing values of y and x: the twin, the invariances, and every door they come through."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import memoa
from helpers import ensemble as plain_ensemble
from memoa import datasets
from memoa.cli.app import app
from reference import EchoState, Ensemble, RandomFeatures

SIZES = [1, 2, 3]


def gappy(d: int, n: int = 60, seed: int = 0, share: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """A series with gaps: single values, whole steps, and some in a row."""
    rng = np.random.default_rng(seed)
    Y = rng.normal(size=(n, d)).cumsum(axis=0) + np.sin(np.arange(n))[:, None]
    X = np.concatenate([np.roll(Y, 1, axis=0), rng.normal(size=(n, 1))], axis=1)
    Y[rng.uniform(size=Y.shape) < share] = np.nan
    Y[20:26] = np.nan
    X[rng.uniform(size=X.shape) < share] = np.nan
    return X, Y


def assert_same(run: memoa.Run, twin: tuple[np.ndarray, ...]) -> None:
    server, rmse, means, agents = twin
    np.testing.assert_allclose(run.predictions, server, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(run.mean_field, means, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(run.recorded, agents, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(run.agent_rmse, rmse, rtol=1e-10)


@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("n_agents", [5, 20])  # no crowd, and one that judges
@pytest.mark.parametrize("policy", ["memoa", "greedy"])
@pytest.mark.parametrize("aggregate", ["mean", "trimmed"])
def test_the_twin(d: int, n_agents: int, policy: str, aggregate: str) -> None:
    X, Y = gappy(d)
    twin = Ensemble(n_agents, RandomFeatures(4), policy=policy, aggregate=aggregate, window=12)
    ensemble = plain_ensemble(
        n_agents,
        4,
        policy=policy,
        aggregate=aggregate,
        mixture=memoa.Mixture(window=12, rivals=False, start=0),
    )
    initial = np.ones(d)
    run = ensemble.run(X, Y, initial=initial, record=range(n_agents))
    assert_same(run, twin.run(X, Y, initial))


@pytest.mark.parametrize("d", [1, 2])
def test_the_twin_of_reservoirs(d: int) -> None:
    X, Y = gappy(d, 40)
    ensemble = plain_ensemble(5, encoder=memoa.EchoState(4))
    run = ensemble.run(X, Y, initial=np.ones(d), record=range(5))
    assert_same(run, Ensemble(5, EchoState(4)).run(X, Y, np.ones(d)))


@pytest.mark.parametrize("initial", [None, [np.nan, 2.0], [np.nan, np.nan]])
def test_outputs_that_begin_late(initial: list[float] | None) -> None:
    X, Y = gappy(2)
    Y[:7, 0] = Y[:3] = np.nan
    Y[7] = 1.0, np.nan
    first = None if initial is None else np.array(initial)
    ensemble = plain_ensemble(5, 4)
    run = ensemble.run(X, Y, initial=first, record=range(5))
    assert_same(run, Ensemble(5, RandomFeatures(4)).run(X, Y, first))
    assert run.unscored == 8
    assert not run.predictions[:8].any() and run.predictions[8:].all()
    assert run.n_scored == np.count_nonzero(~np.isnan(Y[8:]).all(axis=1))


@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_run_steps_threads_and_files_agree(d: int, dtype: str, tmp_path: Path) -> None:
    X, Y = gappy(d, 80)
    settings = {"dtype": dtype, "intervals": (0.8,)}
    whole, steps = (memoa.OnlineEnsemble(600, n_threads=k, **settings) for k in (1, 3))  # type: ignore[arg-type]
    run = whole.run(X, Y)
    for t, (x, y) in enumerate(zip(X, Y)):
        forecast = steps.predict_one(x)
        np.testing.assert_array_equal(np.resize(forecast, d), run.predictions[t])
        if t == 30:
            steps = copy.deepcopy(steps)
        if t == 50:
            steps.save(tmp_path / "state.npz")
            steps = memoa.OnlineEnsemble.load(tmp_path / "state.npz")
        steps.learn_one(x, y)
    np.testing.assert_array_equal(steps.agent_rmse, whole.agent_rmse)
    np.testing.assert_array_equal(steps.weights, whole.weights)
    np.testing.assert_allclose(whole.agent_rmse, run.agent_rmse, rtol=1e-12)
    halves = memoa.OnlineEnsemble(600, **settings)  # type: ignore[arg-type]
    first, second = halves.run(X[:37], Y[:37]), halves.run(X[37:], Y[37:])
    both = np.vstack([first.predictions, second.predictions])
    np.testing.assert_array_equal(both, run.predictions)


@pytest.mark.parametrize("d", [1, 2])
def test_the_past_of_y_carries_its_last_value_on(d: int) -> None:
    """With lags, a season and bounds: the twin."""
    X, Y = gappy(d)
    options = {"lags": 2, "season": 4, "bounded": True}
    run = plain_ensemble(5, 4, **options).run(X, Y, initial=np.ones(d), record=range(5))
    twin = Ensemble(5, RandomFeatures(4), **options)
    assert_same(run, twin.run(X, Y, np.ones(d)))


@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("season", [None, 4, "auto"])
@pytest.mark.parametrize("initial", [True, False])
def test_the_twin_with_rivals(d: int, season: int | str | None, initial: bool) -> None:
    X, Y = gappy(d, 70)
    Y[40:, 0] *= 40.0  # what is learnt is bounded, and the past's scale starts anew
    if d > 1:
        Y[55:63, 1] = np.nan
    shared = {"consensus": 3.0, "lags": 2, "season": season, "bounded": True}
    twin = Ensemble(20, RandomFeatures(4), **shared, window=12, rivals=True, start=2)
    ensemble = plain_ensemble(20, 4, **shared, mixture=memoa.Mixture(window=12))
    first = np.ones(d) if initial else None
    run = ensemble.run(X, Y, initial=first, record=range(20))
    server, rmse, means, agents = twin.run(X, Y, first)
    np.testing.assert_allclose(run.recorded, agents, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(run.mean_field, means, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(run.agent_rmse, rmse, rtol=1e-8)
    np.testing.assert_allclose(run.predictions, server, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(run.shares.sum(axis=1)[run.unscored :], 1.0)


def test_an_output_that_is_missing_says_nothing_of_its_season() -> None:
    """A cycle that is known exactly stays so, whatever of it is missing while the rest is there."""
    n = 80
    Y = np.stack([np.random.default_rng(0).normal(size=n).cumsum(), np.arange(n) % 5.0], axis=1)
    Y[40:43, 1] = np.nan
    server = memoa.OnlineEnsemble(4, season=5, mixture=memoa.Mixture(0))
    run = server.run(np.zeros((n, 1)), Y, initial=[0.0, 4.0])
    whole = Y.copy()
    whole[40:43, 1] = 0.0, 1.0, 2.0
    np.testing.assert_allclose(run.predictions[35:43, 1], whole[35:43, 1], atol=1e-8)
    assert (run.shares[35:43, 2, 1] > 0.9).all()


def test_rivals_run_and_steps_agree() -> None:
    X, Y = gappy(2, 80)
    settings = {"lags": 1, "season": 4}
    whole, steps = (memoa.OnlineEnsemble(20, **settings) for _ in range(2))  # type: ignore[arg-type]
    run = whole.run(X, Y, initial=np.ones(2))
    steps.observe(np.ones(2))
    for x, y, forecast, shares in zip(X, Y, run.predictions, run.shares):
        np.testing.assert_array_equal(steps.predict_one(x), forecast)
        np.testing.assert_array_equal(steps.shares, shares)
        steps.learn_one(x, y)
    assert np.isfinite(run.predictions).all()


@pytest.mark.parametrize("d", [1, 2])
def test_a_step_without_y_leaves_no_trace(d: int) -> None:
    """The forecasts of the other steps are those of an ensemble that was shown them alone."""
    X, Y = gappy(d, share=0.0)
    Y[np.random.default_rng(1).uniform(size=len(Y)) < 0.48] = np.nan
    seen = ~np.isnan(Y[:, 0])
    both = memoa.OnlineEnsemble(20).run(X, Y)
    alone = memoa.OnlineEnsemble(20).run(X[seen], Y[seen])
    np.testing.assert_array_equal(both.predictions[seen], alone.predictions)
    np.testing.assert_array_equal(both.agent_rmse, alone.agent_rmse)
    assert both.regret == alone.regret
    assert (np.diff(both.worst_cost) >= 0).all()


@pytest.mark.parametrize("name", ["ar2", "logistic"])
def test_48_percent_missing_costs_what_they_would_tell(name: str, tmp_path: Path) -> None:
    """Within 10 % of an ensemble that reads a file of the seen rows alone."""
    rng = np.random.default_rng(2)
    y = np.zeros(2500)
    for t in range(2, len(y)):
        y[t] = 1.2 * y[t - 1] - 0.5 * y[t - 2] + rng.normal()
    if name == "logistic":
        y = datasets.logistic_map(1500).Y[:, 0]
    gaps = np.where(rng.uniform(size=len(y)) < 0.48, np.nan, y)
    pd.DataFrame({"y": gaps}).to_csv(tmp_path / "gaps.csv", index=False, na_rep="NA")
    pd.DataFrame({"y": gaps}).dropna().to_csv(tmp_path / "seen.csv", index=False)
    found = []
    for file in ("gaps.csv", "seen.csv"):
        series = datasets.load_csv(tmp_path / file, target="y")
        assert not np.isnan(series.X[20:]).any()  # lags carry the last value on
        found.append(memoa.OnlineEnsemble().run(series.X, series.Y, initial=series.initial))
    assert found[0].n_scored == pytest.approx(found[1].n_scored, abs=4)
    assert found[0].server_rmse < 1.1 * found[1].server_rmse


def test_scale_and_shift_of_a_series_with_gaps() -> None:
    X, Y = gappy(2)
    plain = memoa.OnlineEnsemble(8).run(X, Y, initial=[0.0, 0.0])
    moved = memoa.OnlineEnsemble(8).run(3 * X - 1, 4 * Y + 8, initial=[8.0, 8.0])
    np.testing.assert_allclose(moved.predictions, 4 * plain.predictions + 8, rtol=1e-9)


def test_errors_count_what_is_there() -> None:
    X, Y = gappy(2)
    run = memoa.OnlineEnsemble(8).run(X, Y, initial=[0.0, 0.0], record=range(8), warmup=5)
    later, seen = slice(5, None), ~np.isnan(Y)
    errors = (run.predictions - Y)[later][seen[later]]
    np.testing.assert_allclose(run.server_rmse, np.sqrt(np.mean(errors**2)), rtol=1e-12)
    last, changes = np.zeros(2), []
    for y in Y:
        changes.append(y - last)
        last = np.where(np.isnan(y), last, y)
    change = np.array(changes)[later]
    np.testing.assert_allclose(run.repeat_last_rmse, np.sqrt(np.nanmean(change**2)), rtol=1e-12)
    agents = (run.recorded - Y[:, None])[later]
    np.testing.assert_allclose(run.agent_rmse, np.sqrt(np.nanmean(agents**2, axis=(0, 2))))
    assert f"({run.n_scored} scored)" in run.summary() and run.n_scored < 55


def test_nothing_but_gaps() -> None:
    X, Y = gappy(1)
    ensemble = memoa.OnlineEnsemble(4)
    run = ensemble.run(X, np.full_like(Y, np.nan))
    assert np.isnan(run.server_rmse) and not run.predictions.any() and run.n_scored == 0
    ensemble.run(np.full_like(X, np.nan), np.nan_to_num(Y))  # x says nothing
    assert ensemble.observe([np.nan]).predict_one(X[1]).shape == (1,)


@pytest.mark.parametrize("kind", ["pandas", "nullable", "polars"])
def test_frames_with_gaps(kind: str) -> None:
    X, Y = gappy(1)
    plain = memoa.OnlineEnsemble(4).run(X, Y)
    names = ["a", "b"]
    if kind == "polars":
        pl = pytest.importorskip("polars")
        frame = pl.DataFrame(X, schema=names).fill_nan(None)
        y = pl.Series("y", Y[:, 0]).fill_nan(None)
    else:
        frame, y = pd.DataFrame(X, columns=names), pd.Series(Y[:, 0])
        if kind == "nullable":
            frame, y = frame.convert_dtypes(), y.convert_dtypes()
    run = memoa.OnlineEnsemble(4).run(frame, y)
    np.testing.assert_array_equal(run.predictions, plain.predictions)
    fitted = memoa.OnlineEnsemble(4).partial_fit(frame, y)
    assert fitted.predict(frame).shape == (60,)


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        (
            np.inf,
            1.0,
            r"X holds inf at \[2, 0\]; expected finite numbers, or NaN where",
        ),
        (1.0, -np.inf, r"Y holds -inf at \[2, 0\]; expected finite numbers, or NaN"),
        (1.0, 1e200, r"Y holds 1e\+?200 at \[2, 0\]"),
    ],
)
def test_what_is_no_gap_is_refused(X: float, Y: float, message: str) -> None:
    x, y = gappy(1)
    x[2, 0], y[2, 0] = X, Y
    with pytest.raises(ValueError, match=message):
        memoa.OnlineEnsemble(4).run(x, y)


def test_features_of_ones_own_must_be_there() -> None:
    features = np.zeros((10, 3, 2))
    features[4, 1, 0] = np.nan
    with pytest.raises(ValueError, match=r"X holds nan at \[4, 1, 0\]; expected finite"):
        memoa.OnlineEnsemble(3, memoa.Precomputed(2)).run(features, np.zeros(10))


def test_files_and_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"y": rng.normal(size=90).cumsum(), "wind": rng.normal(size=90)})
    frame.loc[[1, 20, 21, 50], "y"] = frame.loc[[3, 20], "wind"] = np.nan
    frame.to_csv("sales.csv", index=False)
    series = datasets.load_csv("sales.csv", target="y")
    assert series.initial[0] == frame["y"][0]  # the second value is missing
    assert series.notes == (
        "4 of 90 cells of 'y' are empty: treated as missing",
        "2 of 90 cells of 'wind' are empty: treated as missing",
    )
    np.testing.assert_array_equal(series.Y[:, 0], frame["y"][2:])
    np.testing.assert_array_equal(series.X[:, 1], frame["y"].ffill()[1:-1])
    np.testing.assert_array_equal(series.X[:, 0], frame["wind"][1:-1])
    found = CliRunner().invoke(app, ["run", "sales.csv", "--target", "y", "--agents", "5"])
    assert found.exit_code == 0, found.output
    assert "scored: 85 of 88 steps" in found.stdout and series.notes[0] in found.stdout
    written = pd.read_csv("memoa-out/sales/predictions.csv")
    assert written["y"].isna().sum() == 3 + 1 and written["y_server"].notna().all()
    table = CliRunner().invoke(app, ["compare", "sales.csv", "--target", "y", "--seeds", "1"])
    assert table.exit_code == 0, table.output


class LastValue:
    """A stranger that knows no gaps."""

    def __init__(self) -> None:
        self.last = np.zeros(2)

    def observe(self, y: np.ndarray) -> None:
        self.learn_one(np.zeros(1), y)

    def predict_one(self, x: np.ndarray) -> np.ndarray:
        assert np.isfinite(x).all()
        return self.last

    def learn_one(self, x: np.ndarray, y: np.ndarray) -> None:
        assert np.isfinite(x).all() and np.isfinite(y).all()
        self.last = y


def test_compare_shields_strangers_from_gaps() -> None:
    X, Y = gappy(2)
    series = datasets.Series("gaps", X, Y, [0.5, np.nan], ("a", "b", "c"), ("y", "z"))
    rows = {"memoa": lambda: memoa.OnlineEnsemble(5), "last": LastValue}
    found = memoa.compare(series, rows, warmup=3)
    run = memoa.OnlineEnsemble(5).run(X, Y, initial=[0.5, np.nan], warmup=3)
    assert found.scores["memoa"][0].server_rmse == pytest.approx(run.server_rmse, rel=1e-12)
    assert found.scores["memoa"][0].server_mase == pytest.approx(run.server_mase, rel=1e-12)
    assert np.isfinite(found.per_target("last")).all()
