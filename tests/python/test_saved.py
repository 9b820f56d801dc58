"""Saved ensembles: the same bits after loading, and nothing but a clear error for other files."""

from __future__ import annotations

import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import memoa
from helpers import assert_same_bits, ensemble, series
from tampered import (
    TAMPERS,
    archive,
    loads_or_refuses,
    members,
    refuses_state,
    small_asleep,
    small_ensemble,
    small_late,
    small_late_panel,
    small_panel,
)

X, Y, INITIAL = series(40, 3, 2)
KEPT = Path(__file__).parent / "data"


def learnt(steps: int = 20, **settings: Any) -> memoa.OnlineEnsemble:
    model = ensemble(21, **settings)
    model.run(X[:steps], Y[:steps], initial=INITIAL)
    return model


def assert_goes_on_alike(
    found: memoa.OnlineEnsemble, expected: memoa.OnlineEnsemble, first: int = 20
) -> None:
    assert_same_bits(found.agent_predictions, expected.agent_predictions)
    assert_same_bits(found.weights, expected.weights)
    runs = [one.run(X[first:], Y[first:]) for one in (found, expected)]
    assert_same_bits(runs[0].predictions, runs[1].predictions)
    assert_same_bits(found.agent_rmse, expected.agent_rmse)
    assert_same_bits(found.weights, expected.weights)


# ------------------------------------------------------------------ what is loaded


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "encoder",
    [
        memoa.RandomFeatures(5, "cos", 0.5),
        memoa.RandomFeatures(4, "tanh"),
        memoa.RandomFeatures(8, "wave", 1.0, 2, 2),
        memoa.EchoState(6),
        (memoa.RandomFeatures(8, "wave", 1.0, 2, 2), memoa.EchoState(6), memoa.Linear()),
    ],
)
def test_a_loaded_ensemble_goes_on_with_the_same_bits(
    encoder: Any, dtype: str, tmp_path: Path
) -> None:
    model = learnt(
        encoder=encoder,
        dtype=dtype,
        mixture=memoa.Mixture(window=7, decay=0.9),
        forgetting=(0.9, 1.0),
        ridge=0.5,
        policy="greedy",
    )
    model.save(tmp_path / "a.npz")
    loaded = memoa.OnlineEnsemble.load(tmp_path / "a.npz")
    assert loaded.get_params() == model.get_params()
    assert_goes_on_alike(loaded, model)


def test_features_of_the_callers_own(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(12, 5, 3))
    model = memoa.OnlineEnsemble(5, memoa.Precomputed(3))
    model.run(features[:8], Y[:8, 0])
    model.predict_one(features[8])
    model.save(tmp_path / "a.npz")
    loaded = memoa.OnlineEnsemble.load(tmp_path / "a.npz")
    for one in (model, loaded):
        one.learn_one(features[8], Y[8, :1])
    assert_same_bits(
        loaded.run(features[9:], Y[9:12, 0]).predictions,
        model.run(features[9:], Y[9:12, 0]).predictions,
    )


def test_a_forecast_that_waits_and_names_and_flatness_are_kept(tmp_path: Path) -> None:
    model = ensemble(5)
    rows = [{"a": x[0], "b": x[1]} for x in X]
    for row, y in zip(rows[:5], Y[:5, 0]):
        model.learn_one(row, y)
    model.predict_one(rows[5])
    model._flat = True
    model.save(tmp_path / "a.npz")
    loaded = memoa.OnlineEnsemble.load(str(tmp_path / "a.npz"))
    assert list(loaded.feature_names_in_) == ["a", "b"]
    assert (loaded.n_features_in_, loaded.n_outputs_, loaded._flat) == (2, 1, True)
    assert_same_bits(loaded.agent_predictions, model.agent_predictions)
    for one in (model, loaded):
        one.learn_one(rows[5], Y[5, 0])
    assert loaded.predict_one(rows[6]) == model.predict_one(rows[6])


def test_only_a_first_forecast_was_made(tmp_path: Path) -> None:
    model = ensemble(5)
    model.predict_one(X[0])
    model.save(tmp_path / "a.npz")
    loaded = memoa.OnlineEnsemble.load(tmp_path / "a.npz")
    assert not loaded.__sklearn_is_fitted__()
    for one in (model, loaded):
        one.learn_one(X[0], Y[0])  # of two outputs
    assert_goes_on_alike(loaded, model, first=1)


def test_a_random_state_becomes_the_seed_that_it_drew(tmp_path: Path) -> None:
    model = learnt(random_state=None)
    model.save(tmp_path / "a.npz")
    loaded = memoa.OnlineEnsemble.load(tmp_path / "a.npz")
    assert isinstance(loaded.random_state, int)
    assert_goes_on_alike(loaded, model)
    assert_same_bits(
        memoa.OnlineEnsemble.load(tmp_path / "a.npz").fit(X, Y).weights, loaded.fit(X, Y).weights
    )


def test_threads_may_be_others_and_settings_changed_meanwhile_are_kept(tmp_path: Path) -> None:
    model = learnt(n_threads=2)
    model.set_params(consensus=7.0, n_agents=3)
    model.save(tmp_path / "a.npz")
    loaded = memoa.OnlineEnsemble.load(tmp_path / "a.npz", n_threads=1)
    assert (loaded.consensus, loaded.n_agents, loaded.n_threads) == (7.0, 3, 1)
    assert_goes_on_alike(loaded, model)


GO_ON = """
import sys, numpy as np, memoa
model = memoa.OnlineEnsemble.load(sys.argv[1], n_threads=int(sys.argv[2]))
data = np.load(sys.argv[3])
np.save(sys.argv[4], model.run(data["X"], data["Y"]).predictions)
"""


@pytest.mark.parametrize(("threads", "level"), [(1, "baseline"), (3, "")])
def test_on_other_threads_and_instructions(threads: int, level: str, tmp_path: Path) -> None:
    x, y, initial = series(30, 3, 2)
    model = ensemble(700, 12, n_threads=2)
    model.run(x[:20], y[:20], initial=initial)
    model.save(tmp_path / "a.npz")
    np.savez(tmp_path / "data.npz", X=x[20:], Y=y[20:])
    files = [str(tmp_path / name) for name in ("a.npz", "data.npz", "out.npy")]
    subprocess.run(
        [sys.executable, "-c", GO_ON, files[0], str(threads), *files[1:]],
        check=True,
        env={"MEMOA_INSTRUCTION_SET": level, "PATH": ""},
        timeout=120,
    )
    assert_same_bits(np.load(files[2]), model.run(x[20:], y[20:]).predictions)


def test_a_file_of_the_first_version_goes_on_as_it_did() -> None:
    """Its settings are those of its time, and so are the forecasts, which were kept too."""
    loaded = memoa.OnlineEnsemble.load(KEPT / "ensemble-1.npz")
    assert_same_bits(loaded.agent_rmse, np.load(KEPT / "ensemble-1-agent-rmse.npy"))
    assert (loaded.lags, loaded.season, loaded.bounded) == (0, None, False)
    assert loaded.follow == "mean"
    assert (loaded.mixture.rivals, loaded.mixture.start) == (False, 0)
    found = loaded.run(X[20:], Y[20:]).predictions
    np.testing.assert_allclose(found, np.load(KEPT / "ensemble-1-predictions.npy"), rtol=1e-5)


def test_a_file_with_rivals_and_the_past_is_read() -> None:
    """Made by ``python tests/python/test_saved.py``."""
    loaded = memoa.OnlineEnsemble.load(KEPT / "ensemble-2.npz")
    assert_same_bits(loaded.agent_rmse, np.load(KEPT / "ensemble-2-agent-rmse.npy"))
    assert np.isfinite(loaded.run(X[20:], Y[20:]).predictions).all()


# ------------------------------------------------------------------ the format


def test_it_is_numpys_npz_without_pickle(tmp_path: Path) -> None:
    model = learnt()
    model.save(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert archive.testzip() is None
        header = json.loads(archive.read("header.json"))
    assert (header["format"], header["version"]) == ("memoa-state", 1)
    assert header["memoa"] == memoa.__version__
    assert header["settings"]["n_agents"] == 21
    with np.load(tmp_path / "a.npz", allow_pickle=False) as data:
        names = [next(iter(entry)) for entry in header["arrays"]]
        assert [name for name in data.files if name != "header.json"] == names
        for entry in header["arrays"]:
            ((name, (dtype, shape)),) = entry.items()
            assert data[name].dtype.str == dtype
            assert data[name].shape == tuple(shape)
        assert_same_bits(data["population.base"], Y[19])
        assert_same_bits(data["mixture.last"], Y[19])


def test_the_bytes_are_those_of_a_slow_writer(tmp_path: Path) -> None:
    learnt().save(tmp_path / "a.npz")
    data = (tmp_path / "a.npz").read_bytes()
    assert rewritten(data) == data


def rewritten(data: bytes) -> bytes:
    return archive(members(data))


# ------------------------------------------------------------------ the border of trust


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    model = small_ensemble()
    path = tmp_path_factory.mktemp("small") / "a.npz"
    model.save(path)
    return path.read_bytes()


def refused(data: bytes, path: Path) -> str:
    """The message of the ValueError that loading raises."""
    path.write_bytes(data)
    with pytest.raises(ValueError) as caught:
        memoa.OnlineEnsemble.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_flipped_bits_and_truncations_are_refused(small: bytes, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "a.npz"
    for _ in range(200):
        data = bytearray(small)
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        refused(bytes(data), path)
        refused(small[: rng.integers(len(small))], path)
    refused(small + b"\0", path)
    refused(b"", path)


def test_files_of_others_are_refused(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros(3))
    assert "not a memoa state file" in refused(path.read_bytes(), path)
    refused(pickle.dumps(learnt()), path)
    refused(b"PK\3\4" + bytes(1000), path)
    with np.load(io.BytesIO(small), allow_pickle=False) as data:
        np.savez(path, **{name: data[name] for name in data.files if name != "header.json"})
    refused(path.read_bytes(), path)
    with pytest.raises(FileNotFoundError):
        memoa.OnlineEnsemble.load(tmp_path / "none")
    with pytest.raises(ValueError, match="not a regular file"):
        memoa.OnlineEnsemble.load(tmp_path)


def with_intervals() -> memoa.OnlineEnsemble:
    model = memoa.OnlineEnsemble(2, memoa.Linear(), intervals=(0.8,))
    model.run(X[:5, :1], Y[:5, 0])
    return model


def test_a_panel_without_its_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    small_panel().save(path)
    parts = members(path.read_bytes())
    header = json.loads(parts["header.json"])
    del header["note"]["params"]["n_clients"]
    changed = archive({**parts, "header.json": json.dumps(header).encode()})
    assert loads_or_refuses(changed, path, memoa.Panel) == "refused"


def test_levels_of_intervals_in_a_header_are_checked(tmp_path: Path) -> None:
    model, path = with_intervals(), tmp_path / "a.npz"
    model.save(path)
    parts = members(path.read_bytes())
    for levels in ([1e300] * 3, [2], ["x"], [None], 0, {}):
        header = json.loads(parts["header.json"])
        header["note"]["params"]["intervals"] = levels
        changed = archive({**parts, "header.json": json.dumps(header).encode()})
        assert loads_or_refuses(changed, path) == "refused", levels


@pytest.mark.parametrize(
    "make", [small_ensemble, small_late, small_asleep, small_panel, small_late_panel]
)
@pytest.mark.parametrize("name", TAMPERS)
def test_changed_files_are_refused_or_go_on(name: str, make: Any, tmp_path: Path) -> None:
    """Checksums keep nobody out who can compute them: then every value is checked."""
    model, path = make(), tmp_path / "a.npz"
    model.save(path)
    whole, rng = path.read_bytes(), np.random.default_rng(2)
    found = Counter(
        loads_or_refuses(TAMPERS[name](whole, rng), path, type(model)) for _ in range(60)
    )
    # nearly every bit of a number leaves one that might have been learnt
    assert found["refused"] > 0 or name == "signed: a bit of a number"
    assert name.startswith("signed") or set(found) == {"refused"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mixture.newest", -100),
        ("mixture.newest", 5),
        ("mixture.steps", -1),
        ("mixture.steps", 2**63 - 1),
        ("population.steps", 2**63 - 1),
        ("population.steps", -1),
        ("population.has_seen", 2),
    ],
)
def test_counters_that_nothing_has_counted(
    small: bytes, name: str, value: int, tmp_path: Path
) -> None:
    parts = members(small)
    header = json.loads(parts["header.json"])
    assert name in header["numbers"]
    header["numbers"][name] = value
    text = json.dumps(header).encode()
    assert name.split(".")[1] in refused(
        archive({**parts, "header.json": text}), tmp_path / "a.npz"
    )


def test_signed_files_with_other_arrays(small: bytes, tmp_path: Path) -> None:
    path, parts = tmp_path / "a.npz", members(small)
    names = [name for name in parts if name != "header.json"]
    for name in names:
        if parts[name].endswith(b"\n"):  # an empty array
            continue
        for value in (np.nan, np.inf):
            content = parts[name][:-8] + struct.pack("<d", value)
            if name == "pending.npy" and np.isnan(value):  # an input may be missing
                continue
            assert "not finite" in refused(archive({**parts, name: content}), path)
        refused(archive({**parts, name: parts[name][:-8]}), path)
        refused(archive({**parts, name: parts[name] + bytes(8)}), path)
    for first, second in pairwise(names):
        swapped = {**parts, first: parts[second], second: parts[first]}
        if len(parts[first]) != len(parts[second]):
            refused(archive(swapped), path)
        order = {second: parts[second], first: parts[first]}
        reordered = {n: p for n, p in parts.items() if n not in order}
        refused(archive({**reordered, **order}), path)
        refused(archive({n: p for n, p in parts.items() if n != first}), path)


# ------------------------------------------------------------------ pickles


@pytest.mark.parametrize("make", [learnt, small_late, small_asleep, small_panel, small_late_panel])
def test_a_changed_state_is_one_clear_error(make: Any) -> None:
    rng, model = np.random.default_rng(1), make()
    for _ in range(200):
        assert refuses_state(model, rng)


def test_a_state_of_another_panel_is_refused_before_anything_is_made() -> None:
    state = small_panel().__getstate__()
    changes = ("n_clients", 10**12), ("n_inputs", 2**60), ("encoder", None), ("delay", 10**8)
    for name, value in changes:
        settings = {**state["_settings"], name: value}
        with pytest.raises(ValueError, match="not the state of a panel"):
            memoa.Panel.__new__(memoa.Panel).__setstate__({**state, "_settings": settings})
    again = memoa.Panel.__new__(memoa.Panel)
    again.__setstate__(state)
    assert_same_bits(again.readouts, small_panel().readouts)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_agents", 10**12),
        ("n_outputs", 2**40),
        ("encoder", memoa.RandomFeatures(10**9)),
        ("input_shape", (10**15,)),
        ("mixture", memoa.Mixture(window=2**50)),
        ("mixture", None),
        ("encoder", 3),
        ("seed", -1),
        ("seed", "x"),
    ],
)
def test_a_state_of_other_settings_is_refused_before_anything_is_made(
    name: str, value: Any
) -> None:
    model = learnt()
    state = model.__getstate__()["_engines"].state | {name: value}
    engines = type(model._engines)
    with pytest.raises(ValueError, match="not the state of an ensemble"):
        engines.__new__(engines).__setstate__(state)


if __name__ == "__main__":
    KEPT.mkdir(exist_ok=True)
    first = memoa.OnlineEnsemble(
        4, memoa.EchoState(3), dtype="float32", mixture=memoa.Mixture(window=4)
    )
    first.run(X[:20], Y[:20], initial=INITIAL)
    first.save(KEPT / "ensemble-2.npz")
    np.save(KEPT / "ensemble-2-agent-rmse.npy", first.agent_rmse)
