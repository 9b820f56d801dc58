"""Saved panels: the same bits after loading, and one clear error for other files."""

from __future__ import annotations

import io
import json
import pickle
import zipfile

import numpy as np
import pytest

import memoa
from helpers import random_panel

X, Y, INITIAL, AWAKE = random_panel()
ENCODERS = [memoa.Linear(), memoa.RandomFeatures(5, "cos", 0.5), memoa.Precomputed(3)]


def learnt(**options):
    """A panel that has learnt 20 steps, of which some clients slept, and forecast one more."""
    panel = memoa.Panel(11, **options)
    panel.run(X[:20], Y[:20], initial=INITIAL, awake=AWAKE[:20])
    panel.predict_one(X[20])
    return panel


def assert_goes_on_alike(found, wanted):
    for panel in (found, wanted):
        panel.learn_one(X[20], Y[20], awake=AWAKE[20])
    runs = [panel.run(X[21:], Y[21:], awake=AWAKE[21:]) for panel in (found, wanted)]
    np.testing.assert_array_equal(runs[0].predictions, runs[1].predictions)
    for name in ("readouts", "mean_readout", "consensus_weights", "client_rmse", "base"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), err_msg=name)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
@pytest.mark.parametrize("aggregate", ["trimmed", "clip"])
def test_a_panel_goes_on_with_the_same_bits(dtype, encoder, aggregate, tmp_path):
    options = dict(dtype=dtype, encoder=encoder, aggregate=aggregate, consensus=0.7)
    learnt(**options).save(tmp_path / "panel.npz")
    loaded = memoa.Panel.load(tmp_path / "panel.npz", n_threads=1)
    assert loaded.get_params() == memoa.Panel(11, n_threads=1, **options).get_params()
    assert_goes_on_alike(loaded, learnt(**options))
    assert_goes_on_alike(pickle.loads(pickle.dumps(learnt(**options))), learnt(**options))


def test_clients_that_were_added_and_the_width_of_the_values_are_kept(tmp_path):
    panel = memoa.Panel(9).observe(INITIAL[:9])
    panel.run(X[:20, :9], Y[:20, :9])
    panel.add_clients(2).save(tmp_path / "panel.npz")
    loaded = memoa.Panel.load(tmp_path / "panel.npz")
    assert (loaded.n_clients, loaded.n_outputs_, loaded.n_features_in_) == (11, 2, 3)
    for one in (panel, loaded):
        one.predict_one(X[20])
    assert_goes_on_alike(loaded, panel)


def test_one_that_has_seen_no_value_may_still_get_one_of_any_width(tmp_path):
    panel = memoa.Panel(11)
    with pytest.raises(ValueError, match="save was asked for before the first prediction"):
        panel.save(tmp_path / "panel.npz")
    panel.predict_one(X[0])
    panel.save(tmp_path / "panel.npz")
    loaded = memoa.Panel.load(tmp_path / "panel.npz")
    assert loaded.run(X, Y, initial=INITIAL).predictions.shape == Y.shape


def test_a_new_panel_is_pickled_as_it_is():
    fresh = pickle.loads(pickle.dumps(memoa.Panel(4)))
    assert fresh.get_params() == memoa.Panel(4).get_params()
    run = pickle.loads(pickle.dumps(learnt().run(X, Y)))
    assert run.summary() == learnt().run(X, Y).summary()
    with pytest.raises(ValueError, match="read-only"):
        run.predictions[0] = 0.0


def test_flipped_bits_truncations_and_other_files_are_refused(tmp_path):
    path = tmp_path / "panel.npz"
    learnt().save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(whole), 60):
        spoilt = bytearray(whole)
        spoilt[at] ^= 1 << rng.integers(8)
        path.write_bytes(bytes(spoilt))
        with pytest.raises(ValueError, match="panel.npz: "):
            memoa.Panel.load(path)
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="panel.npz: "):
            memoa.Panel.load(path)
    ensemble = memoa.OnlineEnsemble(3)
    ensemble.run(X[:, 0], np.nan_to_num(Y[:, 0]))
    ensemble.save(path)
    with pytest.raises(ValueError, match=r"panel.npz: .*something else than a Panel"):
        memoa.Panel.load(path)
    with pytest.raises(FileNotFoundError):
        memoa.Panel.load(tmp_path / "none.npz")


def test_it_is_numpys_npz_without_pickle(tmp_path):
    learnt().save(tmp_path / "panel.npz")
    with zipfile.ZipFile(tmp_path / "panel.npz") as file:
        header = json.loads(file.read("header.json"))
        base = np.load(io.BytesIO(file.read("base.npy")), allow_pickle=False)
    assert header["kind"] == "Panel"
    assert base.shape == (11, 2)
