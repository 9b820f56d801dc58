"""Panels whose values come late: the twin, runs and steps, files, clients, and what is refused."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import memoa
import reference_panel as ref
from helpers import assert_same_bits, everything, random_panel
from memoa import datasets
from memoa.cli.app import app
from memoa.forecasters.panel_comparison import compare_panel
from memoa.forecasters.panel_rivals import RIVALS
from ranks import Ranks
from reference_late_panel import LatePanel, late_bases

ENCODERS = {
    "linear": (memoa.Linear(), ref.Linear()),
    "relu": (memoa.RandomFeatures(6), ref.RandomFeatures(6)),
    "given": (memoa.Precomputed(3), ref.Precomputed(3)),
}


def assert_same_state(panel, slow, X):
    """What both have learnt; by one more forecast, since a panel puts off what it learns."""
    np.testing.assert_allclose(panel.predict_one(X), slow.predict(X), rtol=1e-9)
    np.testing.assert_allclose(panel.readouts.swapaxes(1, 2), slow.readouts, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(panel.mean_readout.T, slow.mean_readout, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(panel.consensus_weights, slow.consensus_weights(), rtol=1e-9)
    scored = np.where(slow.scored > 0, slow.scored, np.nan)
    np.testing.assert_allclose(panel.client_rmse, np.sqrt(slow.cost / scored), rtol=1e-10)
    np.testing.assert_array_equal(panel.base, slow.base)


@pytest.mark.parametrize("delay", [1, 3, 12])
@pytest.mark.parametrize("awake", [False, True])
@pytest.mark.parametrize("aggregate", ["trimmed", "mean", "clip"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_panel_is_its_slow_twin(encoder, aggregate, awake, delay):
    X, Y, initial, flags = random_panel(n_steps=60)
    flags = flags if awake else None
    ours, twin = ENCODERS[encoder]
    panel = memoa.Panel(11, ours, aggregate=aggregate, random_state=3, delay=delay)
    slow = LatePanel(11, copy.copy(twin), aggregate=aggregate, seed=3, delay=delay)
    run = panel.run(X, Y, initial=initial, awake=flags)
    np.testing.assert_allclose(
        run.predictions, slow.run(X, Y, initial=initial, awake=flags), rtol=1e-10
    )
    assert_same_state(panel, slow, X[-1])


@given(
    seed=st.integers(0, 2**32 - 1),
    n_clients=st.integers(8, 40),
    n_inputs=st.integers(1, 3),
    n_outputs=st.integers(1, 3),
    delay=st.integers(1, 40),
    pooling=st.sampled_from([0.0, 0.3, 10.0]),
    consensus=st.sampled_from(["learned", 0.0, 2.0]),
    forgetting=st.sampled_from([0.9, 0.998, 1.0]),
)
@settings(deadline=None, max_examples=15)
def test_any_panel_is_its_slow_twin(
    seed, n_clients, n_inputs, n_outputs, delay, pooling, consensus, forgetting
):
    X, Y, initial, awake = random_panel(seed, 30, n_clients, n_inputs, n_outputs)
    options = dict(pooling=pooling, consensus=consensus, forgetting=forgetting, delay=delay)
    run = memoa.Panel(n_clients, **options).run(X, Y, initial=initial, awake=awake)
    wanted = LatePanel(n_clients, **options).run(X, Y, initial=initial, awake=awake)
    np.testing.assert_allclose(run.predictions, wanted, rtol=1e-9)


def test_bad_values_are_bounded_as_in_the_slow_twin():
    X, Y, initial, awake = random_panel(n_steps=100)
    rng = np.random.default_rng(1)
    X[rng.random(X.shape) < 0.03] *= 1e5
    Y[rng.random(Y.shape) < 0.03] *= 1e3
    panel = memoa.Panel(11, delay=4)
    run = panel.run(X, Y, initial=initial, awake=awake)
    wanted = LatePanel(11, delay=4).run(X, Y, initial=initial, awake=awake)
    np.testing.assert_allclose(run.predictions, wanted, rtol=1e-9)


def test_values_before_the_series_become_known_one_after_the_other():
    X, Y, initial, awake = random_panel(n_clients=9, n_outputs=1)
    before = initial + np.arange(4.0)[:, None, None]
    before[1, 3] = before[:3, 5] = np.nan
    panel, slow = memoa.Panel(9, delay=3), LatePanel(9, delay=3)
    run = panel.run(X, Y, initial=before, awake=awake)
    wanted = slow.run(X, Y, initial=before, awake=awake)
    np.testing.assert_allclose(run.predictions, wanted, rtol=1e-10)
    assert_same_bits(run.bases, late_bases(Y, before, 3))
    flat = memoa.Panel(9, delay=3).run(X, Y[:, :, 0], initial=before[:, :, 0], awake=awake)
    assert_same_bits(flat.predictions, run.predictions)
    changes = Y - run.bases
    np.testing.assert_allclose(
        run.repeat_last_rmse, np.sqrt(np.nanmean(changes**2, axis=(0, 2))), rtol=1e-12
    )
    copied = pickle.loads(pickle.dumps(run))
    assert_same_bits(copied.relative_rmse(), run.relative_rmse())


def late_steps(panel, X, Y, awake=None):
    """Forecasts of every step, each y learnt as soon as it is known."""
    shown = []
    for t, x in enumerate(X):
        shown.append(panel.predict_one(x))
        if t >= panel.delay:
            at = t - panel.delay
            panel.learn_one(X[at], Y[at], None if awake is None else awake[t])
    return np.array(shown)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("aggregate", ["trimmed", "clip"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_runs_steps_threads_and_files_agree(encoder, aggregate, dtype, tmp_path):
    X, Y, initial, awake = random_panel(n_clients=300)
    options = dict(encoder=ENCODERS[encoder][0], aggregate=aggregate, dtype=dtype, delay=5)
    whole = memoa.Panel(300, n_threads=1, **options)
    run = whole.run(X, Y, initial=initial, awake=awake)
    threads = memoa.Panel(300, n_threads=3, **options)
    assert_same_bits(threads.run(X, Y, initial=initial, awake=awake).predictions, run.predictions)
    steps = memoa.Panel(300, n_threads=2, **options).observe(initial)
    assert_same_bits(late_steps(steps, X, Y, awake), run.predictions)
    parts = memoa.Panel(300, n_threads=2, **options)
    parts.run(X[:17], Y[:17], initial=initial, awake=awake[:17])
    parts.save(tmp_path / "late.npz")
    loaded = memoa.Panel.load(tmp_path / "late.npz")
    for one in (loaded, pickle.loads(pickle.dumps(parts)), copy.deepcopy(parts), parts):
        again = one.run(X[17:], Y[17:], awake=awake[17:])
        assert_same_bits(again.predictions, run.predictions[17:])
        assert_same_bits(again.bases, run.bases[17:])
        for name in ("readouts", "mean_readout", "consensus_weights", "client_rmse", "base"):
            assert_same_bits(getattr(one, name), getattr(whole, name))
    assert loaded.get_params()["delay"] == loaded.clone().delay == 5


@pytest.mark.parametrize("learnt", [0, 1, 3])
def test_a_file_in_the_middle_of_steps(learnt, tmp_path):
    """With steps that were learnt but not yet taken in, and others that wait."""
    X, Y, initial, _ = random_panel()
    panel = memoa.Panel(11, delay=5).observe(initial)
    for x in X[:6]:
        panel.predict_one(x)
    for t in range(learnt):  # earlier than it has to be
        panel.learn_one(X[t], Y[t])
    panel.save(tmp_path / "late.npz")
    loaded = memoa.Panel.load(tmp_path / "late.npz")
    for one in (panel, loaded):
        for t in range(learnt, 4):
            one.learn_one(X[t], Y[t])
        one.predict_one(X[6])
        one.learn_one(X[4], Y[4])
    assert_same_bits(loaded.predict_one(X[7]), panel.predict_one(X[7]))
    assert_same_bits(loaded.readouts, panel.readouts)


def test_several_values_may_come_at_once():
    X, Y, initial, awake = random_panel(n_steps=30)
    panel, slow = memoa.Panel(11, delay=4), LatePanel(11, delay=4)
    panel.observe(initial)
    slow.start(3, 2)
    slow.observe(initial)
    at = 0
    for t, x in enumerate(X):
        np.testing.assert_allclose(panel.predict_one(x), slow.predict(x), rtol=1e-10)
        while t % 4 == 0 and at <= t - 1:
            panel.learn_one(X[at], Y[at], awake[t])
            slow.learn_oldest(Y[at], awake[t])
            at += 1
    assert_same_state(panel, slow, X[-1])


def test_what_is_not_known_changes_nothing():
    X, Y, initial, awake = random_panel(n_steps=50)
    other = Y.copy()
    other[30:] += 100.0
    runs = [memoa.Panel(11, delay=6).run(X, y, initial=initial, awake=awake) for y in (Y, other)]
    assert_same_bits(runs[0].predictions[:37], runs[1].predictions[:37])
    bounds = [run.prediction_intervals((0.8,)) for run in runs]
    assert_same_bits(bounds[0][:37], bounds[1][:37])
    assert (runs[0].predictions[37] != runs[1].predictions[37]).any()


def test_no_delay_is_as_ever():
    X, Y, initial, awake = random_panel()
    plain = memoa.Panel(11).run(X, Y, initial=initial, awake=awake)
    late = memoa.Panel(11, delay=0).run(X, Y, initial=initial, awake=awake)
    assert_same_bits(late.predictions, plain.predictions)
    assert late.bases is None and late.delay == 0


def test_scale_and_shift_of_a_client_are_free():
    X, Y, initial, awake = random_panel()
    plain = memoa.Panel(11, delay=3).run(X, Y, initial=initial, awake=awake)
    rng = np.random.default_rng(1)
    scale, shift = 2.0 ** rng.integers(-6, 6, (11, 1)), rng.normal(size=(11, 1))
    moved = memoa.Panel(11, delay=3).run(
        X, Y * scale + shift, initial=initial * scale + shift, awake=awake
    )
    np.testing.assert_allclose(
        moved.predictions, plain.predictions * scale + shift, rtol=1e-8, atol=1e-8
    )


def test_without_pooling_and_consensus_a_client_is_alone():
    X, Y, initial, _ = random_panel()
    options = dict(pooling=0.0, consensus=0.0, delay=3)
    together = memoa.Panel(11, **options).run(X, Y, initial=initial)
    for i in (0, 2, 4):
        mine = slice(i, i + 1)
        alone = memoa.Panel(1, **options).run(X[:, mine], Y[:, mine], initial=initial[mine])
        np.testing.assert_allclose(alone.predictions[:, 0], together.predictions[:, i], rtol=1e-12)


def test_inputs_are_read_once_a_value_is_known():
    """Not when it was seen: until then they may be anything."""
    X, Y, initial, _ = random_panel()
    X, Y, initial = X.copy(), Y.copy(), initial.copy()
    Y[:10, 0] = initial[0] = np.nan
    Y[10, 0] = 1.0
    X[:14, 0] = np.nan  # Y[10] is known after the forecast of step 13
    run = memoa.Panel(11, delay=3).run(X, Y, initial=initial)
    assert np.isnan(run.predictions[:14, 0]).all()
    assert (run.predictions[14, 0] == 1.0).all()
    X[14, 0, 1] = np.nan
    for part in (0, 12):
        panel = memoa.Panel(11, delay=3)
        if part:
            panel.run(X[:part], Y[:part], initial=initial)
        with pytest.raises(ValueError, match=rf"X holds nan at \[{14 - part}, 0, 1\]"):
            panel.run(X[part:], Y[part:], initial=None if part else initial)


def test_added_clients():
    X, Y, initial, awake = random_panel(n_clients=14)
    Y[:20, 11:] = initial[11:] = np.nan
    options = dict(delay=4)
    whole = memoa.Panel(14, **options).run(X, Y, initial=initial, awake=awake)
    panel = memoa.Panel(11, **options)
    first = panel.run(X[:20, :11], Y[:20, :11], initial=initial[:11], awake=awake[:20, :11])
    panel.add_clients(3)
    second = panel.run(X[20:], Y[20:], awake=awake[20:])
    np.testing.assert_allclose(first.predictions, whole.predictions[:20, :11], rtol=1e-12)
    np.testing.assert_allclose(second.predictions, whole.predictions[20:], rtol=1e-12)
    # a value that belongs to a forecast from before the client came is its first one
    panel = memoa.Panel(11, **options).observe(initial[:11])
    for t in range(3):
        panel.predict_one(X[t, :11])
    panel.add_clients(3)
    y = np.vstack([Y[0, :11], np.full((3, 2), 7.0)])
    x = np.vstack([X[0, :11], np.full((3, 3), np.nan)])  # not read
    assert (panel.learn_one(x, y).base[11:] == 7.0).all()
    assert (panel.predict_one(X[3])[11:] == 7.0).all()


def test_steps_after_a_run_learn_what_it_told():
    X, Y, initial, _ = random_panel(n_steps=60)
    run = memoa.Panel(11, delay=4).run(X, Y, initial=initial)
    for skip in (0, 3):  # values that come before the forecasts that they could wait for
        panel = memoa.Panel(11, delay=4)
        panel.run(X[:30], Y[:30], initial=initial)
        shown = []
        for t in range(30, 60):
            shown.append(panel.predict_one(X[t]))
            if t - 4 >= 30 - skip:
                panel.learn_one(X[t - 4], Y[t - 4])
        assert_same_bits(np.array(shown), run.predictions[30:])


def test_the_next_step_is_forecast_from_what_is_known():
    series = datasets.similar_households(8, 200).late(24)
    panel = memoa.Panel(8, delay=24)
    whole = memoa.Panel(8, delay=24).run(series.X, series.Y, initial=series.before)
    panel.run(series.X[:-1], series.Y[:-1], initial=series.before)
    assert_same_bits(panel.predict_one(series.X[-1]), whole.predictions[-1])


def test_what_is_refused_changes_nothing():
    X, Y, initial, awake = random_panel()
    panel = memoa.Panel(11, delay=2)
    with pytest.raises(ValueError, match="no forecast waits for its y; expected predict_one"):
        panel.learn_one(X[0], Y[0])
    panel.observe(initial)
    for x in X[:3]:
        panel.predict_one(x)
    before = everything(panel)
    calls = [
        ("3 forecasts wait for their y; expected learn", lambda: panel.predict_one(X[3])),
        ("not that of the oldest", lambda: panel.learn_one(X[1], Y[1])),
        ("Y holds inf", lambda: panel.learn_one(X[0], np.full((11, 2), np.inf))),
        ("Y has shape", lambda: panel.learn_one(X[0], Y[0, :5])),
        ("X has shape", lambda: panel.learn_one(X[0, :, :1], Y[0])),
        (r"awake has shape \(3,\)", lambda: panel.learn_one(X[0], Y[0], awake[0, :3])),
        ("waits for its y; expected learn", lambda: panel.run(X[3:], Y[3:])),
    ]
    for message, call in calls:
        with pytest.raises(ValueError, match=message):
            call()
        assert everything(panel) == before
    panel.learn_one(X[0], Y[0])
    bad = X[3].copy()
    bad[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"X holds nan at \[3, 1\]"):
        panel.predict_one(bad)
    panel.predict_one(X[3])
    told = memoa.Panel(11, delay=2)
    told.run(X, Y, initial=initial)
    before = everything(told)
    three = np.stack([initial] * 3)
    with pytest.raises(ValueError, match="initial has 3 rows, but forecasts wait already"):
        told.run(X, Y, initial=three)
    assert everything(told) == before
    with pytest.raises(ValueError, match=r"initial has shape \(2, 11, 2\); expected .delay \+ 1"):
        memoa.Panel(11, delay=2).run(X, Y, initial=three[:2])
    with pytest.raises(ValueError, match=r"initial holds inf at \[1, 0, 0\]"):
        memoa.Panel(11, delay=2).run(X, Y, initial=np.stack([initial, initial * np.inf, initial]))
    with pytest.raises(ValueError, match="delay is -1"):
        memoa.Panel(11, delay=-1)
    with pytest.raises(TypeError, match="delay is 1.5"):
        memoa.Panel(11, delay=1.5)


def test_the_width_of_the_values_is_open_until_one_is_seen():
    X, Y, initial, _ = random_panel()
    panel, other = memoa.Panel(11, delay=3), memoa.Panel(11, delay=3)
    for x in X[:2]:  # before the width of y is known
        panel.predict_one(x)
    panel.observe(initial)
    panel.predict_one(X[2])
    panel.learn_one(X[0], Y[0])
    for x in X[:2]:
        other.predict_one(x)
    other.learn_one(X[0], Y[0])
    assert panel.n_outputs_ == other.n_outputs_ == 2
    assert (other.base[~np.isnan(Y[0])] == Y[0][~np.isnan(Y[0])]).all()
    with pytest.raises(ValueError, match=r"Y has shape \(11, 1\)"):
        other.learn_one(X[1], Y[1, :, :1])
    other.predict_one(X[2])


def test_an_interrupted_run_goes_on():
    X, Y, initial, _ = random_panel(n_steps=60)
    for last in (1, 20):
        panel = memoa.Panel(11, delay=3)

        def stop(done, total):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            panel.run(X[:last], Y[:last], initial=initial, progress=stop)
        done = panel._engine.steps + panel._engine.n_waiting
        again = panel.run(X[done:], Y[done:])
        whole = memoa.Panel(11, delay=3).run(X, Y, initial=initial)
        assert_same_bits(again.predictions, whole.predictions[done:])


def test_intervals_of_every_client_hold_their_share():
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(4000, 3, 1)).cumsum(axis=0)
    run = memoa.Panel(3, delay=10).run(np.zeros((4000, 3, 1)), Y, initial=np.zeros((3, 1)))
    np.testing.assert_allclose(run.coverage((0.8, 0.95)), [[0.8] * 3, [0.95] * 3], atol=0.015)


def test_several_processes_have_the_bits_of_one(tmp_path):
    X, Y, initial, awake = random_panel(n_clients=1100, n_steps=16)
    options = dict(aggregate="clip", n_threads=1, delay=3)
    whole = memoa.Panel(1100, **options)
    expected = whole.run(X, Y, initial=initial, awake=awake).predictions

    def begin(communicator):
        panel = memoa.Panel(1100, **options, communicator=communicator)
        here = slice(panel.clients.start, panel.clients.stop)
        run = panel.run(X[:9, here], Y[:9, here], initial=initial[here], awake=awake[:9, here])
        assert_same_bits(run.predictions, expected[:9, here])
        panel.save(tmp_path / "p.npz")

    def go_on(communicator):
        panel = memoa.Panel.load(tmp_path / "p.npz", communicator=communicator)
        here = slice(panel.clients.start, panel.clients.stop)
        run = panel.run(X[9:, here], Y[9:, here], awake=awake[9:, here])
        assert_same_bits(run.predictions, expected[9:, here])
        assert_same_bits(panel.mean_readout, whole.mean_readout)

    Ranks(2).run(begin)
    Ranks(3).run(go_on)


# -------------------------------------------------------------------- series


def test_inputs_of_a_late_series_are_known_and_repeat_the_season_of_the_target():
    y = np.tile([0.0, 1.0, 3.0, 2.0], 40)[:, None] + np.array([0.0, 10.0])
    rows = [(f"c{i}", t, value) for i in range(2) for t, value in enumerate(y[:, i])]
    frame = pd.DataFrame(rows, columns=["unique_id", "ds", "y"])
    series = datasets.load_long(frame, season=4)
    for delay in (1, 3, 4, 6):
        late = series.late(delay)
        assert late.delay == delay and late.columns == series.columns
        assert_same_bits(late.Y, series.Y[delay:])
        assert_same_bits(late.before[:, :, 0], y[: delay + 1])
        assert_same_bits(late.times, series.times[delay:])
        assert_same_bits(late.X[:, :, :5], series.X[: len(late.X), :, :5])
        change = late.Y[20:] - np.concatenate([late.before, late.Y])[: len(late.Y)][20:]
        names = ["seasonal gap", "seasonal increment", "mean seasonal increment"]
        for name in names:  # each is the change that comes
            column = late.X[20:, :, [late.columns.index(name)]]
            np.testing.assert_allclose(column, change, atol=1e-9)
        other = frame.copy()
        other.loc[other.ds > 100, "y"] += 50.0
        changed = datasets.load_long(other, season=4).late(delay)
        assert_same_bits(changed.X[:101], late.X[:101])
        assert (changed.X[101] != late.X[101]).any()
        assert late.next_X.shape == series.next_X.shape
    assert series.late(0) is series
    with pytest.raises(ValueError, match="is late already"):
        late.late(1)
    with pytest.raises(ValueError, match="delay is 159"):
        series.late(159)
    given = datasets.PanelSeries(series.X, series.Y, series.initial, series.ids, series.times)
    with pytest.raises(ValueError, match="the inputs of panel were given"):
        given.late(1)


def test_the_others_of_a_comparison_know_no_more():
    series = datasets.similar_households(5, 120)
    changed = series.Y.copy()
    changed[80:] += 100.0
    made = series.made
    other = datasets.PanelSeries(
        series.X, changed, series.initial, series.ids, series.times, made=made
    )
    mine, theirs = series.late(7), other.late(7)
    for name, rival in RIVALS.items():  # step t is step t + 7 of the series
        found = rival(mine, 1), rival(theirs, 1)
        assert_same_bits(found[0][:81], found[1][:81])
        assert not np.array_equal(found[0][82:], found[1][82:]), name
    late = compare_panel(mine)
    assert late.mean("repeat last value") == pytest.approx(1.0)
    known = np.concatenate([mine.before, mine.Y])[: len(mine.Y)]
    assert_same_bits(late.runs["repeat last value"].predictions, known)
    assert late.mean("panel") < late.mean("private ridge") < 1.0


def test_the_command_line(tmp_path):
    series = datasets.similar_households(6, 120)
    series.to_frame().to_csv(tmp_path / "loads.csv", index=False)
    words = ["panel", str(tmp_path / "loads.csv"), "--season", "24", "--delay", "5"]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    late = datasets.load_long(tmp_path / "loads.csv", season=24).late(5)
    found = pd.read_csv(tmp_path / "out" / "forecasts.csv")
    panel = memoa.Panel(6, delay=5)
    run = panel.run(late.X, late.Y, initial=late.before, awake=late.awake)
    following = panel.predict_one(late.next_X)
    first = found[found.unique_id == series.ids[0]]
    np.testing.assert_allclose(first.panel[:-1], run.predictions[:, 0, 0], rtol=1e-12)
    last = found[found.y.isna()]
    np.testing.assert_allclose(last.panel, following[:, 0], rtol=1e-12)
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["delay"] == 5
    result = CliRunner().invoke(app, [*words[:-1], "500", "--out", str(tmp_path / "b")])
    assert result.exit_code == 2 and "delay is 500" in result.output
