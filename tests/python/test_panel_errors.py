"""What a panel refuses: named, and as if it had not been asked; and what it takes."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest

import memoa
from helpers import random_panel


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
        (lambda: panel.run(bad_x, Y[20:], initial=initial + 9.0), ValueError, "X holds nan"),
        (lambda: panel.run(X[20:], Y[20:], initial=initial * np.inf), ValueError, "initial holds"),
        (lambda: panel.run(X[:0], Y[:0]), ValueError, r"Y has shape \(0, 11, 2\)"),
        (lambda: panel.run(X[20:], Y[20:], progress=3), TypeError, "progress is 3"),
        (lambda: panel.predict_one(X[20, :, :2]), ValueError, r"X has shape \(11, 2\)"),
        (lambda: panel.predict_one(bad_x[5]), ValueError, r"X holds nan at \[3, 1\]"),
        (lambda: panel.predict_one(X[20].astype(complex)), TypeError, "X has dtype complex128"),
        (lambda: panel.learn_one(X[20], Y[20, :4]), ValueError, r"Y has shape \(4, 2\)"),
        (lambda: panel.observe(initial * np.inf), ValueError, r"Y holds inf at \[0, 0\]"),
        (lambda: panel.observe(initial[:, :1]), ValueError, r"Y has shape \(11, 1\)"),
        (lambda: panel.learn_one(X[20], bad_y[7]), ValueError, r"Y holds inf at \[2, 0\]"),
        (lambda: panel.learn_one(X[20], [["a", "b"]] * 11), TypeError, "Y has dtype <U1"),
        (lambda: panel.add_clients(0), ValueError, "count is 0"),
        (lambda: panel.add_clients(1.5), TypeError, "count is 1.5"),
        (lambda: panel.set_params(pooling=3.0), ValueError, "pooling cannot be set after"),
    ]:
        with pytest.raises(error, match=message):
            call()
    assert pickle.dumps(panel) == before
    with pytest.raises(ValueError, match="readouts was asked for before the first prediction"):
        _ = memoa.Panel(3).readouts
    with pytest.raises(ValueError, match=r"X holds 1000000\d+ at \[0, 1, 0\]"):
        memoa.Panel(2, dtype="float32").run([[[1.0], [1e16]]], [[1.0, 2.0]], initial=[0.0, 0.0])


def test_a_refused_first_call_leaves_all_widths_open():
    X, Y, initial, _ = random_panel()
    panel = memoa.Panel(11)
    with pytest.raises(ValueError, match="X holds inf"):
        panel.run(X[:, :, :1] * np.inf, Y[:, :, :1], initial=initial[:, :1])
    with pytest.raises(ValueError, match="Y holds"):
        panel.observe(np.full((11, 1), 1e200))
    wanted = memoa.Panel(11).run(X, Y, initial=initial)
    np.testing.assert_array_equal(panel.run(X, Y, initial=initial).predictions, wanted.predictions)


def test_a_refused_step_leaves_the_one_before_it_to_be_learnt():
    X, Y, initial, _ = random_panel()
    panel, other = memoa.Panel(11).observe(initial), memoa.Panel(11).observe(initial)
    for t in range(len(Y)):
        panel.predict_one(X[t])
        with pytest.raises(ValueError, match="Y holds"):
            panel.learn_one(X[t] + 5.0, np.full((11, 2), np.inf))
        panel.learn_one(X[t], Y[t])
        other.learn_one(X[t], Y[t])
    np.testing.assert_array_equal(panel.readouts, other.readouts)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_arrays_of_any_kind_are_taken_and_left_as_they_are(dtype):
    X, Y, initial, awake = random_panel()
    X, initial = X.astype(np.float32), np.round(initial)
    wanted = memoa.Panel(11, dtype=dtype).run(X, Y, initial=initial, awake=awake)
    strided = np.repeat(X.astype(float), 2, axis=2)[:, :, ::2]
    for array in (X, Y, initial, awake, strided):
        array.setflags(write=False)
    for given in (X, strided, np.asfortranarray(X), X.tolist()):
        run = memoa.Panel(11, dtype=dtype).run(
            given,
            np.asfortranarray(Y),
            initial=initial.astype(object).astype("f4"),
            awake=np.asfortranarray(awake),
        )
        np.testing.assert_array_equal(run.predictions, wanted.predictions)
    flat = memoa.Panel(11, dtype=dtype).run(X, Y[:, :, 0], initial=initial[:, 0])
    assert flat.predictions.shape == (40, 11, 1)


def test_parameters_are_set_before_anything_is_seen():
    panel = memoa.Panel(3).set_params(n_clients=2, pooling=3.0)
    assert panel.predict_one(np.ones((2, 1))).shape == (2, 1)
    assert panel.set_params(pooling=3.0) is panel  # it is so already
    assert panel.clone({"ridge": 2.0}).get_params()["ridge"] == 2.0
    assert repr(panel) == "Panel(n_clients=2, pooling=3.0)"
    assert not hasattr(panel, "score")  # which takes one row per step


def test_several_threads_may_share_a_panel():
    X, Y, initial, _ = random_panel()
    panel = memoa.Panel(11).observe(initial)
    panel.learn_one(X[0], Y[0])

    def work():
        for t in range(20):
            panel.predict_one(X[t])
            panel.learn_one(X[t], Y[t])
            copy.deepcopy(panel)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert panel._engine.steps == 61
    assert np.isfinite(panel.readouts).all()
