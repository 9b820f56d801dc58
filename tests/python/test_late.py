"""Labels that come late: the twin, runs and steps, files, and what is refused."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from typer.testing import CliRunner

import memoa
from helpers import assert_close, assert_same_bits, ensemble, everything, series
from memoa.cli.app import app
from reference import DEFAULT, EchoState, Linear, Precomputed, RandomFeatures
from reference_late import LateEnsemble
from test_missing import gappy

DELAYS = [1, 3, 20]
PLAIN = memoa.Mixture(12, rivals=False, start=0)
TWINS = {
    "random": (memoa.RandomFeatures(4), lambda: RandomFeatures(4)),
    "echo": (memoa.EchoState(4), lambda: EchoState(4)),
    "linear": (memoa.Linear(), lambda: Linear(3)),
    "mix": (
        [memoa.RandomFeatures(6), memoa.EchoState(4), memoa.Linear()],
        lambda: [RandomFeatures(6), EchoState(4), Linear(3)],
    ),
}


def own_rmse(run: memoa.Run, agents: np.ndarray) -> np.ndarray:
    """Errors of the forecasts that the run made, whenever their y was learnt."""
    errors = (agents - run.targets[:, None])[run.unscored :]
    return np.sqrt(np.nanmean(errors**2, axis=(0, 2)))


def assert_same(run: memoa.Run, twin: tuple[np.ndarray, ...]) -> None:
    server, _, means, agents = twin
    assert_close(run.predictions, server)
    assert_close(run.mean_field, means)
    assert_close(run.recorded, agents)
    assert_close(run.agent_rmse, own_rmse(run, agents))


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("encoder", TWINS)
@pytest.mark.parametrize("n_agents", [5, 20])  # no crowd, and one that judges
def test_the_twin(delay: int, encoder: str, n_agents: int) -> None:
    X, Y, initial = series(80, 3, 2)
    ours, theirs = TWINS[encoder]
    model = ensemble(n_agents, encoder=ours, delay=delay, mixture=PLAIN)
    twin = LateEnsemble(n_agents, theirs(), delay=delay, window=12)
    run = model.run(X, Y, initial=initial, record=range(n_agents))
    expected = twin.run(X, Y, initial)
    assert_same(run, expected)
    assert_close(model.agent_rmse, expected[1])


@pytest.mark.parametrize("policy", ["memoa", "greedy"])
@pytest.mark.parametrize(
    "settings",
    [
        {"lags": 2},
        {"season": 7},
        {"season": "auto", "lags": 3, "bounded": True},
        {"season": "auto", "rivals": True},
        {"rivals": True},
    ],
)
@pytest.mark.parametrize("d", [1, 2])
def test_the_twin_sees_of_the_past_what_is_known(
    policy: str, settings: dict[str, Any], d: int
) -> None:
    X, Y, initial = series(70, 2, d)
    Y = Y + np.sin(np.arange(70) * 2 * np.pi / 7)[:, None]
    rest = {name: value for name, value in settings.items() if name != "rivals"}
    mixture = replace(PLAIN, rivals=settings.get("rivals", False))
    for delay in (1, 3, 9):
        model = ensemble(6, 4, policy=policy, delay=delay, mixture=mixture, **rest)
        twin = LateEnsemble(6, RandomFeatures(4), policy=policy, delay=delay, window=12, **settings)
        run = model.run(X, Y, initial=initial, record=range(6))
        assert_same(run, twin.run(X, Y, initial))


@pytest.mark.parametrize("gaps", [False, True])
def test_the_twin_of_the_default(gaps: bool) -> None:
    X, Y, initial = series(90, 2, 2)
    Y[40:43, 0] += 1e4  # beyond the bound of what is learnt
    if gaps:
        Y[np.random.default_rng(1).uniform(size=Y.shape) < 0.2] = np.nan
    model = memoa.OnlineEnsemble(20, delay=5)
    twin = LateEnsemble(
        20,
        RandomFeatures(16, "wave", n_raw=4, n_columns=2),
        delay=5,
        **DEFAULT,
    )
    run = model.run(X, Y, initial=initial, record=range(20))
    server, _, means, agents = twin.run(X, Y, initial)
    scale = np.nanmax(np.abs(Y))
    for actual, expected in (
        (run.predictions, server),
        (run.mean_field, means),
        (run.recorded, agents),
    ):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9 * scale)
    assert run.shares.shape == (90, 4, 2)
    np.testing.assert_allclose(run.shares.sum(axis=1), 1.0)


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("initial", [None, 1, 4])
def test_the_twin_with_gaps(d: int, initial: int | None) -> None:
    X, Y = gappy(d, 70)
    first = None if initial is None else np.arange(1.0, initial + 1)[:, None] + np.zeros(d)
    model = ensemble(20, 4, delay=3)
    twin = LateEnsemble(20, RandomFeatures(4), delay=3)
    given = first[0] if initial == 1 else first
    run = model.run(X, Y, initial=given, record=range(20))
    assert_same(run, twin.run(X, Y, first))
    if initial == 4:
        assert_same_bits(run.bases[:4], first)


def test_features_of_the_caller() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 5, 3)), rng.normal(size=(40, 1)).cumsum(axis=0)
    model = ensemble(5, encoder=memoa.Precomputed(3), delay=4)
    run = model.run(X, Y, initial=[0.5], record=range(5))
    assert_same(run, LateEnsemble(5, Precomputed(3), delay=4).run(X, Y, np.array([0.5])))


def late_steps(model: memoa.OnlineEnsemble, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Forecasts of every step, each y learnt as soon as it is known."""
    shown = []
    for t, x in enumerate(X):
        shown.append(model.predict_one(x))
        if t >= model.delay:
            model.learn_one(X[t - model.delay], Y[t - model.delay])
    return np.array(shown)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "encoder",
    [
        memoa.RandomFeatures(4),
        memoa.EchoState(4),
        memoa.Linear(),
        (memoa.RandomFeatures(6), memoa.EchoState(4)),
    ],
    ids=str,
)
@pytest.mark.parametrize("rivals", [False, True])
def test_runs_steps_threads_and_files_agree(
    dtype: str, encoder: Any, rivals: bool, tmp_path: Path
) -> None:
    X, Y = gappy(1 if rivals else 2, 60, share=0.2)
    initial = np.ones(Y.shape[1])
    settings: dict[str, Any] = {
        "encoder": encoder,
        "delay": 5,
        "dtype": dtype,
        "intervals": (0.5, 0.9),
        "lags": 1,
        "mixture": replace(PLAIN, rivals=rivals),
    }
    whole = ensemble(300, n_threads=1, **settings)
    run = whole.run(X, Y, initial=initial)
    threads = ensemble(300, n_threads=3, **settings)
    assert_same_bits(threads.run(X, Y, initial=initial).predictions, run.predictions)
    assert threads._engines is not None

    steps = ensemble(300, n_threads=2, **settings)
    steps.observe(initial)
    assert_same_bits(late_steps(steps, X, Y), run.predictions)
    assert_same_bits(steps.agent_rmse, whole.agent_rmse)
    assert_same_bits(steps.weights, whole.weights)

    parts = ensemble(300, n_threads=2, **settings)
    found = [parts.run(X[:17], Y[:17], initial=initial)]
    parts.save(tmp_path / "late.npz")
    loaded = memoa.OnlineEnsemble.load(tmp_path / "late.npz")
    copies = [loaded, pickle.loads(pickle.dumps(parts)), copy.deepcopy(parts)]
    for one in copies:
        again = one.run(X[17:], Y[17:])
        assert_same_bits(again.predictions, run.predictions[17:])
        assert_same_bits(again.prediction_intervals, run.prediction_intervals[17:])
        assert_same_bits(one.agent_rmse, whole.agent_rmse)
    assert_same_bits(found[0].prediction_intervals, run.prediction_intervals[:17])
    assert loaded.get_params()["delay"] == clone(loaded).delay == 5


def test_a_file_in_the_middle_of_steps(tmp_path: Path) -> None:
    X, Y, initial = series(40, 2, 1)
    model = ensemble(20, delay=3, intervals=(0.8,)).observe(initial)
    for x in X[:3]:
        model.predict_one(x)
    model.save(tmp_path / "late.npz")
    loaded = memoa.OnlineEnsemble.load(tmp_path / "late.npz")
    for one in (model, loaded):
        one.learn_one(X[0], Y[0])  # earlier than it has to be
    assert_same_bits(loaded.predict_one(X[3]), model.predict_one(X[3]))
    assert_same_bits(loaded.prediction_intervals, model.prediction_intervals)


def test_what_is_not_known_changes_nothing() -> None:
    """The forecast of a step is the same whatever the last `delay` values are."""
    X, Y, initial = series(50, 2, 1)
    other = Y.copy()
    other[30:] += 100.0
    settings: dict[str, Any] = {"delay": 6, "lags": 3, "season": "auto", "intervals": (0.9,)}
    runs = [ensemble(8, **settings).run(X, y, initial=initial) for y in (Y, other)]
    assert_same_bits(runs[0].predictions[:37], runs[1].predictions[:37])
    assert_same_bits(runs[0].prediction_intervals[:37], runs[1].prediction_intervals[:37])
    assert not (runs[0].predictions[37:40] == runs[1].predictions[37:40]).any()
    assert_same_bits(runs[0].bases[7:], Y[:43])


def test_no_delay_is_as_ever() -> None:
    X, Y, initial = series(50, 2, 2)
    plain = ensemble(20).run(X, Y, initial=initial)
    late = ensemble(20, delay=0).run(X, Y, initial=initial)
    assert_same_bits(late.predictions, plain.predictions)
    assert late.bases is None


def test_the_next_step_is_forecast_from_what_is_known() -> None:
    X, Y, initial = series(41, 2, 1)
    model, twin = ensemble(8, delay=5), ensemble(8, delay=5)
    run = model.run(X, Y[:40], initial=initial)
    twin.run(X[:40], Y[:40], initial=initial)
    assert_same_bits(run.next, twin.predict_one(X[40]))
    assert_same_bits(run.next, model.predict(X[40:])[0])


def test_steps_after_a_run_learn_what_it_told() -> None:
    X, Y, initial = series(60, 2, 1)
    whole = ensemble(8, delay=4, intervals=(0.8,))
    run = whole.run(X, Y, initial=initial)
    model = ensemble(8, delay=4, intervals=(0.8,))
    model.run(X[:30], Y[:30], initial=initial)
    shown, bounds = [], []
    for t in range(30, 60):
        shown.append(model.predict_one(X[t]))
        bounds.append(model.prediction_intervals)
        if t - 4 >= 30:
            model.learn_one(X[t - 4], Y[t - 4])
    assert_same_bits(np.array(shown), run.predictions[30:])
    assert_same_bits(np.array(bounds), run.prediction_intervals[30:])


@pytest.mark.parametrize("encoder", [memoa.RandomFeatures(4), memoa.EchoState(4)], ids=str)
def test_what_is_refused_changes_nothing(encoder: Any) -> None:
    X, Y, initial = series(20, 2, 1)
    model = ensemble(8, encoder=encoder, delay=2, intervals=(0.8,))
    with pytest.raises(ValueError, match="no forecast waits for its y"):
        model.learn_one(X[0], Y[0])
    model.observe(initial)
    for x in X[:3]:
        model.predict_one(x)
    before = everything(model)
    calls: list[tuple[str, Any]] = [
        ("3 forecasts wait for their y; expected learn", lambda: model.predict_one(X[3])),
        ("not that of the oldest", lambda: model.learn_one(X[1], Y[1])),
        ("y holds inf", lambda: model.learn_one(X[0], [np.inf])),
        ("y is not known yet", lambda: model.step_one(X[0], Y[0])),
        ("waits for its y; expected learn", lambda: model.run(X[3:], Y[3:])),
        ("x", lambda: model.predict_one(X[3, :1])),
    ]
    for message, call in calls:
        with pytest.raises(ValueError, match=message):
            call()
        assert everything(model) == before
    model.learn_one(X[0], Y[0])
    model.predict_one(X[3])
    with pytest.raises(ValueError, match="delay is -1"):
        memoa.OnlineEnsemble(delay=-1)
    with pytest.raises(ValueError, match=r"initial has shape \(2, 1\)"):
        ensemble(8, delay=2).run(X, Y, initial=[[0.0], [1.0]])


def test_errors_count_what_predict_has_made_room_for() -> None:
    X, Y, initial = series(20, 2, 1)
    model, twin = (ensemble(8, delay=2).observe(initial) for _ in range(2))
    for one in (model, twin):
        one.run(X[:10], Y[:10])
        one.predict_one(X[10])  # as many wait as may, and a run has told the y of the oldest
    model.predict(X[11:12])
    twin.predict_one(X[11])
    assert_same_bits(model.agent_rmse, twin.agent_rmse)


def test_a_y_that_never_comes() -> None:
    X, Y, initial = series(30, 2, 1)
    gaps = Y.copy()
    gaps[10:14] = np.nan
    model = ensemble(8, delay=3).observe(initial)
    run = ensemble(8, delay=3).run(X, gaps, initial=initial)
    assert_same_bits(late_steps(model, X, gaps), run.predictions)
    assert run.n_scored == 26


def test_intervals_hold_their_share() -> None:
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(6000, 1)).cumsum(axis=0)
    run = ensemble(4, 2, delay=10, intervals=(0.8, 0.95)).run(
        np.zeros((6000, 1)), Y, initial=[0.0], record=[0]
    )
    np.testing.assert_allclose(run.coverage[:, 0], [0.8, 0.95], atol=0.01)
    inside = run.recorded_intervals()[500:]
    held = (inside[:, :, 0, 0, 0] <= Y[500:]) & (Y[500:] <= inside[:, :, 1, 0, 0])
    np.testing.assert_allclose(held.mean(axis=0), [0.8, 0.95], atol=0.01)
    changes = np.abs(Y[11:] - run.bases[11:])  # of a walk over 11 steps
    width = np.diff(run.prediction_intervals[500:, 0, :, 0], axis=1).mean() / 2
    assert 0.9 < width / np.quantile(changes, 0.8) < 1.25


def test_an_interrupted_run_goes_on() -> None:
    X, Y, initial = series(2000, 2, 1)
    model = ensemble(8, delay=3, intervals=(0.8,))

    def stop(done: int, total: int) -> None:
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.run(X, Y, initial=initial, progress=stop)
    assert model._engines is not None
    done = model._engines.core.steps + model._engines.core.n_waiting
    again = model.run(X[done:], Y[done:])
    whole = ensemble(8, delay=3).run(X, Y, initial=initial)
    assert_same_bits(again.predictions, whole.predictions[done:])


def test_a_late_series_moves_what_is_made_of_past_values(tmp_path: Path) -> None:
    lines = [f"2020-01-{day:02d},{day},{10 * day}" for day in range(1, 31)]
    path = tmp_path / "days.csv"
    path.write_text("\n".join(["ds,x,y", *lines]))
    series = memoa.datasets.load_csv(path, target="y", lags=2)
    late = series.late(3)
    assert_same_bits(late.Y, series.Y[3:])
    assert_same_bits(late.X[:, 0], series.X[3:, 0])  # an input is known as ever
    assert_same_bits(late.X[:, 1:], series.X[:-3, 1:])  # lags are not
    assert_same_bits(late.before, np.vstack([series.initial, series.Y[:3]]))
    assert late.index is not None and late.index[0] == np.datetime64("2020-01-06")
    assert late.next_x is not None and series.next_x is not None
    assert late.next_x.tolist() == [series.next_x[0], *series.X[-3, 1:]]
    assert series.late(0) is series
    with pytest.raises(ValueError, match="is late already"):
        late.late(1)
    with pytest.raises(ValueError, match="delay is 28"):
        series.late(28)


def test_the_others_of_a_comparison_know_no_more() -> None:
    """Changing the last values changes no forecast that was made before they were known."""
    found = []
    for jump in (0.0, 100.0):
        s = memoa.datasets.logistic_map(80)
        Y = s.Y.copy()
        Y[60:] += jump
        X = np.concatenate([s.initial, Y[:-1, 0]])[:, None]
        other = memoa.datasets.Series("s", X, Y, s.initial, ("y",), ("y",), past=(0,))
        found.append(memoa.compare(other, delay=4, keep_going=True))
    for name, forecasts in found[0].predictions.items():
        # step t of the late series is step t + 4 of the series, and knows the values before t
        assert_same_bits(found[1].predictions[name][:61], forecasts[:61])
        assert (found[1].predictions[name][62:] != forecasts[62:]).any()
    repeat = found[0].predictions["repeat the last value"]
    s = memoa.datasets.logistic_map(80)
    assert_same_bits(repeat[1:], s.Y[:75])


def test_the_command_line(tmp_path: Path) -> None:
    runner = CliRunner()
    out = tmp_path / "out"
    arguments = ["run", "logistic", "--agents", "8", "--delay", "2", "--out", str(out)]
    kept = ["--save", str(tmp_path / "kept.npz")]
    result = runner.invoke(app, [*arguments, *kept])
    assert result.exit_code == 0, result.output
    s = memoa.datasets.logistic_map().late(2)
    rows = np.genfromtxt(out / "predictions.csv", delimiter=",", names=True)
    run = memoa.OnlineEnsemble(8, delay=2, random_state=0).run(
        np.vstack([s.X, s.next_x]), s.Y, initial=s.before
    )
    np.testing.assert_allclose(rows["y_server"][:-1], run.predictions[:, 0], rtol=1e-12)
    assert memoa.OnlineEnsemble.load(tmp_path / "kept.npz").delay == 2
    compare = ["compare", "logistic", "--seeds", "1", "--delay", "2", "--out", str(tmp_path / "c")]
    result = runner.invoke(app, compare)
    assert result.exit_code == 0, result.output
