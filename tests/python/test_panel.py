"""The panel against its slow twin, and what must not change its numbers."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memoa
import reference_panel as ref
from helpers import random_panel

ENCODERS = {
    "linear": (memoa.Linear(), ref.Linear()),
    "relu": (memoa.RandomFeatures(6), ref.RandomFeatures(6)),
    "cos": (memoa.RandomFeatures(5, "cos", 1.5), ref.RandomFeatures(5, "cos", 1.5)),
    "given": (memoa.Precomputed(3), ref.Precomputed(3)),
}


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
    with pytest.raises(memoa.NumericalError, match="do not determine the mean readout"):
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
