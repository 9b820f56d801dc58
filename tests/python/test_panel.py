"""The panel against its slow twin, and what must not change its numbers."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memoa
import reference_panel as ref

ENCODERS = {
    "linear": (memoa.Linear(), ref.Linear()),
    "relu": (memoa.RandomFeatures(6), ref.RandomFeatures(6)),
    "cos": (memoa.RandomFeatures(5, "cos", 1.5), ref.RandomFeatures(5, "cos", 1.5)),
    "given": (memoa.Precomputed(3), ref.Precomputed(3)),
}


def random_panel(seed=0, n_steps=40, n_clients=11, n_inputs=3, n_outputs=2):
    """Inputs, targets with gaps and late starts, values before them, and who is awake."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_steps, n_clients, n_inputs)) * [1.0, 20.0, 0.1][:n_inputs] + 3.0
    pull = rng.normal(size=(n_inputs, n_outputs)) + 0.3 * rng.normal(size=(n_clients, 1, 1))
    Y = np.cumsum(np.einsum("tnx,nxd->tnd", X - 3.0, pull) + rng.normal(size=(n_steps, 1, 1)), 0)
    Y = Y * rng.lognormal(size=(n_clients, 1)) + 100.0
    initial = Y[0] - 1.0
    Y[rng.random(Y.shape) < 0.05] = np.nan
    Y[:15, 2] = initial[2] = np.nan  # joins late
    Y[25:, 4] = np.nan  # leaves early
    Y[:, 7] = initial[7]  # never moves
    return X, Y, initial, rng.random((n_steps, n_clients)) < 0.7


@pytest.mark.parametrize("awake", [False, True])
@pytest.mark.parametrize("aggregate", ["trimmed", "mean", "clip"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_panel_is_its_slow_twin(encoder, aggregate, awake):
    X, Y, initial, flags = random_panel()
    flags = flags if awake else None
    ours, twin = ENCODERS[encoder]
    panel = memoa.Panel(11, ours, aggregate=aggregate, random_state=3)
    slow = ref.Panel(11, copy.copy(twin), aggregate=aggregate, seed=3)
    run = panel.run(X, Y, initial=initial, awake=flags)
    wanted = slow.run(X, Y, initial=initial, awake=flags)
    np.testing.assert_allclose(run.predictions, wanted, rtol=1e-10)
    np.testing.assert_allclose(panel.readouts.swapaxes(1, 2), slow.readouts, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(panel.mean_readout.T, slow.mean_readout, rtol=1e-9, atol=1e-11)
    scored = np.where(slow.scored > 0, slow.scored, np.nan)
    np.testing.assert_allclose(panel.client_rmse, np.sqrt(slow.cost / scored), rtol=1e-10)
    panel.predict_one(X[-1])
    slow.predict(X[-1])
    np.testing.assert_allclose(panel.consensus_weights, slow.consensus_weights(), rtol=1e-9)


@given(
    seed=st.integers(0, 2**32 - 1),
    n_clients=st.integers(8, 40),
    n_inputs=st.integers(1, 3),
    n_outputs=st.integers(1, 3),
    pooling=st.sampled_from([0.0, 0.3, 10.0]),
    ridge=st.sampled_from([0.01, 1.0]),
    consensus=st.sampled_from(["learned", 0.0, 2.0]),
    forgetting=st.sampled_from([0.9, 0.998, 1.0]),
)
@settings(deadline=None, max_examples=20)
def test_any_panel_is_its_slow_twin(
    seed, n_clients, n_inputs, n_outputs, pooling, ridge, consensus, forgetting
):
    X, Y, initial, awake = random_panel(seed, 30, n_clients, n_inputs, n_outputs)
    options = dict(pooling=pooling, ridge=ridge, consensus=consensus, forgetting=forgetting)
    run = memoa.Panel(n_clients, **options).run(X, Y, initial=initial, awake=awake)
    wanted = ref.Panel(n_clients, **options).run(X, Y, initial=initial, awake=awake)
    np.testing.assert_allclose(run.predictions, wanted, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("threads", [1, 2])
def test_steps_and_a_run_give_the_same_bits(dtype, threads):
    X, Y, initial, awake = random_panel()
    options = dict(dtype=dtype, n_threads=threads)
    panel, stepped = memoa.Panel(11, **options), memoa.Panel(11, **options)
    run = panel.run(X, Y, initial=initial, awake=awake)
    stepped.observe(initial)
    for t in range(len(Y)):
        stepped.predict_one(X[t] + 1.0)  # leaves no trace
        np.testing.assert_array_equal(stepped.predict_one(X[t]), run.predictions[t])
        stepped.learn_one(X[t], Y[t], awake=awake[t])
    np.testing.assert_array_equal(stepped.readouts, panel.readouts)
    np.testing.assert_array_equal(stepped.client_rmse, panel.client_rmse)
    unasked = memoa.Panel(11, **options).observe(initial)
    for t in range(len(Y)):
        unasked.learn_one(X[t], Y[t], awake=awake[t])  # predicts first
    np.testing.assert_array_equal(unasked.readouts, panel.readouts)


def test_float32_follows_float64():
    X, Y, initial, awake = random_panel(n_steps=200)
    wide = memoa.Panel(11).run(X, Y, initial=initial, awake=awake)
    single = memoa.Panel(11, dtype="float32")
    narrow = single.run(X.astype(np.float32), Y, initial=initial, awake=awake)
    np.testing.assert_allclose(narrow.predictions, wide.predictions, rtol=1e-4)
    again = memoa.Panel(11, dtype="float32").run(X, Y, initial=initial, awake=awake)
    np.testing.assert_array_equal(again.predictions, narrow.predictions)


def test_scale_and_shift_of_a_client_are_free():
    X, Y, initial, awake = random_panel()
    plain = memoa.Panel(11).run(X, Y, initial=initial, awake=awake)
    rng = np.random.default_rng(1)
    scale, shift = 2.0 ** rng.integers(-6, 6, (11, 1)), rng.normal(size=(11, 1))
    scale *= rng.choice([-1.0, 1.0], (11, 1))
    flipped = scale[:, 0] < 0
    scale[flipped] *= -1.0  # only a flip of the sign is not free: readouts are shared
    moved = memoa.Panel(11).run(X, Y * scale + shift, initial=initial * scale + shift, awake=awake)
    wanted = plain.predictions * scale + shift
    np.testing.assert_allclose(moved.predictions, wanted, rtol=1e-8, atol=1e-8)


def test_an_increasing_affine_map_of_an_input_changes_nothing():
    X, Y, initial, awake = random_panel()
    plain = memoa.Panel(11).run(X, Y, initial=initial, awake=awake)
    moved = memoa.Panel(11).run(
        X * [3.0, 0.5, 100.0] - [1.0, 7.0, 0.0], Y, initial=initial, awake=awake
    )
    np.testing.assert_allclose(moved.predictions, plain.predictions, rtol=1e-9)


def test_clients_in_another_order_are_the_same_clients():
    X, Y, initial, awake = random_panel()
    order = np.random.default_rng(0).permutation(11)
    plain = memoa.Panel(11).run(X, Y, initial=initial, awake=awake)
    other = memoa.Panel(11).run(
        X[:, order], Y[:, order], initial=initial[order], awake=awake[:, order]
    )
    np.testing.assert_allclose(other.predictions, plain.predictions[:, order], rtol=1e-10)


def test_without_pooling_and_consensus_a_client_is_alone():
    X, Y, initial, _ = random_panel()
    options = dict(pooling=0.0, consensus=0.0)
    together = memoa.Panel(11, **options).run(X, Y, initial=initial)
    for i in (0, 2, 4):
        alone = memoa.Panel(1, **options).run(
            X[:, i : i + 1], Y[:, i : i + 1], initial=initial[i : i + 1]
        )
        np.testing.assert_allclose(alone.predictions[:, 0], together.predictions[:, i], rtol=1e-12)


def test_a_client_that_has_no_value_repeats_its_first_and_is_then_served_by_the_crowd():
    series = memoa.datasets.similar_households(40, 200)
    X, Y, initial = series.X.copy(), series.Y.copy(), series.initial.copy()
    Y[:100, 0] = initial[0] = np.nan
    X[:100, 0] = np.nan  # not looked at
    panel = memoa.Panel(40)
    run = panel.run(X, Y, initial=initial)
    predictions = run.predictions[:, 0, 0]
    assert np.isnan(predictions[:101]).all()
    assert predictions[101] == Y[100, 0, 0]  # its first value, without a scale yet
    alone = memoa.Panel(40, pooling=0.0, consensus=0.0).run(X, Y, initial=initial)
    served, unserved = (
        np.square(one[102:122] - Y[102:122, 0, 0]).mean()
        for one in (predictions, alone.predictions[:, 0, 0])
    )
    assert served < 0.7 * unserved


def test_added_clients():
    X, Y, initial, awake = random_panel(n_clients=14)
    Y[:20, 11:] = initial[11:] = np.nan
    whole = memoa.Panel(14).run(X, Y, initial=initial, awake=awake)
    panel = memoa.Panel(11)
    first = panel.run(X[:20, :11], Y[:20, :11], initial=initial[:11], awake=awake[:20, :11])
    panel.add_clients(3)
    assert panel.n_clients == 14
    second = panel.run(X[20:], Y[20:], awake=awake[20:])
    np.testing.assert_allclose(first.predictions, whole.predictions[:20, :11], rtol=1e-12)
    np.testing.assert_allclose(second.predictions, whole.predictions[20:], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("aggregate", ["trimmed", "clip"])
def test_a_panel_saved_and_loaded_goes_on_with_the_same_bits(dtype, aggregate):
    X, Y, initial, awake = random_panel()
    panel = memoa.Panel(11, dtype=dtype, aggregate=aggregate)
    panel.run(X[:20], Y[:20], initial=initial, awake=awake[:20])
    panel.predict_one(X[20])
    again = pickle.loads(pickle.dumps(panel))
    again.learn_one(X[20], Y[20], awake=awake[20])
    panel.learn_one(X[20], Y[20], awake=awake[20])
    mine, theirs = (p.run(X[21:], Y[21:], awake=awake[21:]) for p in (panel, again))
    np.testing.assert_array_equal(mine.predictions, theirs.predictions)
    np.testing.assert_array_equal(panel.readouts, again.readouts)
    fresh = pickle.loads(pickle.dumps(memoa.Panel(4)))
    assert fresh.get_params() == memoa.Panel(4).get_params()
    run = pickle.loads(pickle.dumps(mine))
    np.testing.assert_array_equal(run.client_rmse, mine.client_rmse)
    with pytest.raises(ValueError, match="read-only"):
        run.predictions[0] = 0.0


def test_the_run_tells_what_the_panel_tells():
    X, Y, initial, awake = random_panel()
    panel = memoa.Panel(11)
    run = panel.run(X, Y, initial=initial, awake=awake)
    np.testing.assert_allclose(run.client_rmse, panel.client_rmse, rtol=1e-12)
    wanted = ref.relative_errors(run.predictions[:, :7, :1], Y[:, :7, :1], initial[:7, :1], least=5)
    alone = memoa.PanelRun(
        run.predictions[..., :1].copy(), Y[..., :1].copy(), initial[:, :1].copy()
    )
    found = alone.relative_rmse(least=5)
    np.testing.assert_allclose(found[:7], wanted, rtol=1e-12)
    assert np.isnan(found[7])  # never moves
    assert run.worst_client == int(np.nanargmax(run.client_rmse))
    assert "11 clients, 40 steps, 2 outputs" in run.summary()
    assert "n_clients=11" in repr(run)
    worst, ratio = panel.under_performer
    unit = np.sqrt(np.mean(panel._engine.scales() ** 2, axis=1))
    assert ratio == pytest.approx(np.nanmax(panel.client_rmse[unit > 0] / unit[unit > 0]))
    assert panel.client_rmse[worst] / unit[worst] == pytest.approx(ratio)
    last = [values[~np.isnan(values)][-1] for values in Y.reshape(40, -1).T]
    np.testing.assert_array_equal(panel.base.ravel(), last)


def test_progress_and_errors_of_it_leave_the_steps_done():
    X, Y, initial, _ = random_panel()
    seen = []
    memoa.Panel(11).run(
        X, Y, initial=initial, progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (40, 40)

    def stop(done, total):
        raise KeyboardInterrupt

    panel = memoa.Panel(11)
    with pytest.raises(KeyboardInterrupt):
        panel.run(X, Y, initial=initial, progress=stop)
    assert panel.__sklearn_is_fitted__()
    panel.run(X, Y)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(n_clients=0), ValueError, "n_clients is 0"),
        (dict(n_clients=2.5), TypeError, "n_clients is 2.5"),
        (dict(encoder=memoa.EchoState()), TypeError, "encoder is EchoState"),
        (dict(pooling=-1.0), ValueError, "pooling is -1"),
        (dict(ridge=0.0), ValueError, "ridge is 0"),
        (dict(consensus="none"), ValueError, "consensus is 'none'; expected one of 'learned'"),
        (dict(consensus=-1.0), ValueError, "consensus is -1"),
        (dict(aggregate="median"), ValueError, "aggregate is 'median'"),
        (dict(forgetting=0.0), ValueError, "forgetting is 0"),
        (dict(dtype="float16"), ValueError, "dtype is 'float16'"),
        (dict(n_threads=0), ValueError, "n_threads is 0"),
        (dict(random_state=-1), ValueError, "random_state is -1"),
    ],
)
def test_bad_settings_are_told_by_name(options, error, message):
    with pytest.raises(error, match=message):
        memoa.Panel(**(dict(n_clients=3) | options))


def test_bad_input_is_told_by_name_and_changes_nothing():
    X, Y, initial, awake = random_panel()
    panel = memoa.Panel(11)
    panel.run(X[:20], Y[:20], initial=initial)
    before = pickle.dumps(panel)
    bad_x, bad_y = X[20:].copy(), Y[20:].copy()
    bad_x[5, 3, 1], bad_y[7, 2, 0] = np.nan, np.inf
    flags = awake[20:]
    for call, error, message in [
        (lambda: panel.run(bad_x, Y[20:]), ValueError, r"X holds nan at \[5, 3, 1\]"),
        (lambda: panel.run(X[20:], bad_y), ValueError, r"Y holds inf at \[7, 2, 0\]"),
        (lambda: panel.run(X[20:, :5], Y[20:]), ValueError, r"X has shape \(20, 5, 3\)"),
        (lambda: panel.run(X[20:], Y[20:, :, :1]), ValueError, r"Y has shape \(20, 11, 1\)"),
        (lambda: panel.run(X[20:], Y[20:], awake=flags * 1), TypeError, "awake has dtype int"),
        (lambda: panel.run(X[20:], Y[20:], awake=flags[:3]), ValueError, r"awake has shape \(3"),
        (lambda: panel.run(X[20:], Y[20:], initial=initial[:4]), ValueError, "initial has shape"),
        (lambda: panel.predict_one(X[20, :, :2]), ValueError, r"X has shape \(11, 2\)"),
        (lambda: panel.predict_one(bad_x[5]), ValueError, r"X holds nan at \[3, 1\]"),
        (lambda: panel.predict_one(X[20].astype(complex)), TypeError, "X has dtype complex128"),
        (lambda: panel.learn_one(X[20], Y[20, :4]), ValueError, r"Y has shape \(4, 2\)"),
        (lambda: panel.observe(initial * np.inf), ValueError, "initial holds"),
        (lambda: panel.add_clients(0), ValueError, "count is 0"),
    ]:
        with pytest.raises(error, match=message):
            call()
    assert pickle.dumps(panel) == before
    with pytest.raises(ValueError, match="readouts was asked for before the first prediction"):
        _ = memoa.Panel(3).readouts
    with pytest.raises(ValueError, match=r"X holds 1000000\d+ at \[0, 1, 0\]"):
        memoa.Panel(2, dtype="float32").run([[[1.0], [1e16]]], [[1.0, 2.0]], initial=[0.0, 0.0])


@given(seed=st.integers(0, 2**32 - 1), pooling=st.sampled_from([0.0, 0.1, 10.0, 1e4]))
@settings(deadline=None, max_examples=20)
def test_the_equilibrium_is_that_of_the_slow_twin(seed, pooling):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(7, 9, 3))
    gram = np.einsum("ntp,ntq->npq", features, features)
    cross = rng.normal(size=(7, 3, 2))
    mean_readout, readouts = memoa.solve_panel_equilibrium(gram, cross, ridge=0.5, pooling=pooling)
    for o in range(2):
        wanted = ref.equilibrium(gram, cross[:, :, o], 0.5, pooling)
        np.testing.assert_allclose(mean_readout[:, o], wanted[0], rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(readouts[:, :, o], wanted[1], rtol=1e-8, atol=1e-9)
        flat = memoa.solve_panel_equilibrium(gram, cross[:, :, o], ridge=0.5, pooling=pooling)
        np.testing.assert_array_equal(flat[0], mean_readout[:, o])


def test_bad_statistics_are_told_by_name():
    gram, cross = np.tile(np.eye(2), (3, 1, 1)), np.ones((3, 2))
    solve = memoa.solve_panel_equilibrium
    for change, message in [
        (lambda: solve(gram[:2], cross, ridge=1.0, pooling=1.0), r"gram has shape \(2, 2, 2\)"),
        (lambda: solve(gram, cross[0], ridge=1.0, pooling=1.0), r"cross has shape \(2,\)"),
        (lambda: solve(gram, cross, ridge=-1.0, pooling=1.0), "ridge is -1"),
        (lambda: solve(gram, cross, ridge=1.0, pooling=np.inf), "pooling is inf"),
        (lambda: solve(gram * np.nan, cross, ridge=1.0, pooling=1.0), "gram holds nan"),
        (lambda: solve(gram, cross * np.inf, ridge=1.0, pooling=1.0), "cross holds inf"),
        (lambda: solve(-gram, cross, ridge=1.0, pooling=1.0), r"gram\[0\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            change()
    with pytest.raises(memoa.NumericalError, match="leave the mean readout undetermined"):
        solve(0.0 * gram, cross, ridge=0.0, pooling=1.0)


def test_a_running_panel_comes_to_the_equilibrium_of_its_data():
    """With constant data the lagged exchange of (8.1) contracts to (8.2)."""
    series = memoa.datasets.common_factor(12, 300)
    panel = memoa.Panel(12, aggregate="mean", forgetting=1.0, consensus=0.0)
    panel.run(series.X, series.Y, initial=series.initial)
    memory = panel._engine.memory()
    p = series.X.shape[2] + 1
    lower = np.tril_indices(p)
    gram = np.zeros((12, p, p))
    for i in range(12):
        gram[i][lower] = memory["gram"][i]
        gram[i] = gram[i] + np.tril(gram[i], -1).T
    scale = np.sqrt(memory["squares"][:, 0] / memory["learnt"])
    cross = memory["cross"][:, 0] / scale[:, None]
    wanted, _ = ref.equilibrium(gram, cross, 1.0, 10.0)
    gap = np.abs(panel.mean_readout[:, 0] - wanted).max() / np.abs(wanted).max()
    assert gap < 0.1  # the data still grow
