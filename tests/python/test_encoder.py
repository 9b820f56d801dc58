"""Encoders: the agents' random streams, and the options refused."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import memoa
import reference
from helpers import assert_same_bits, ensemble, seeds, series
from memoa import _core

keys = st.integers(0, 2**64 - 1)


ACTIVATIONS = st.sampled_from(["relu", "tanh", "cos", "wave"])


@given(keys, keys, st.integers(1, 9), st.integers(1, 6), ACTIVATIONS)
def test_random_features_are_drawn_from_the_agents_own_stream(
    seed: int, agent: int, p: int, n_inputs: int, activation: Any
) -> None:
    handle = memoa.RandomFeatures(p, activation)._to_core()
    drawn = _core.draw_weights(handle, seed, agent, n_inputs)
    expected = reference.RandomFeatures(p, activation).start(seed, agent, n_inputs)
    np.testing.assert_allclose(drawn["input"], expected["V"].ravel(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(drawn["bias"], expected["v"], rtol=1e-15, atol=1e-16)
    assert drawn["reservoir"].size == 0
    assert drawn["raw"] == drawn["columns"] == []


@given(
    keys,
    st.integers(0, 2**40),
    st.integers(2, 9),
    st.integers(0, 8),
    st.integers(1, 4),
    st.integers(1, 6),
    st.integers(0, 6),
)
def test_raw_inputs_and_columns_are_drawn_from_the_agents_own_stream(
    seed: int, agent: int, p: int, n_raw: int, n_columns: int, n_inputs: int, n_own: int
) -> None:
    n_raw, n_own = min(n_raw, p - 1), min(n_own, n_inputs)
    settings = dict(n_raw=n_raw, n_columns=n_columns)
    handle = memoa.RandomFeatures(p, "wave", **settings)._to_core()
    drawn = _core.draw_weights(handle, seed, agent, n_inputs, n_own)
    twin = reference.RandomFeatures(p, "wave", **settings)
    expected = twin.start(seed, agent, n_inputs, n_own)
    assert drawn["raw"] == expected["raw"]
    q = len(drawn["bias"])
    V = np.zeros((q, n_inputs))
    for k, (row, columns) in enumerate(
        zip(
            np.reshape(drawn["input"], (q, min(n_columns, n_inputs))),
            np.reshape(drawn["columns"], (q, min(n_columns, n_inputs))).astype(int),
        )
    ):
        np.add.at(V[k], columns, row)
    np.testing.assert_allclose(V, expected["V"], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(drawn["bias"], expected["v"], rtol=1e-15, atol=1e-16)
    if n_own:
        assert not V[1::2, n_own:].any()


def test_a_wave_is_close_to_a_cosine_and_never_larger() -> None:
    a = np.linspace(-40.0, 40.0, 100_001)
    assert np.abs(reference.wave(a)).max() <= 1.0
    assert np.abs(reference.wave(a) - np.cos(a)).max() < 0.0561
    turns = 2.0 * np.pi * np.arange(-5, 6)
    np.testing.assert_allclose(reference.wave(turns), 1.0, atol=1e-14)
    np.testing.assert_allclose(reference.wave(turns + np.pi), -1.0, atol=1e-14)


@given(seeds, st.integers(0, 2**20), st.integers(1, 8), st.integers(1, 4), st.floats(0.0, 2.0))
def test_a_reservoir_has_the_spectral_radius_asked_for(
    seed: int, agent: int, p: int, n_inputs: int, radius: float
) -> None:
    handle = memoa.EchoState(p, radius=radius)._to_core()
    drawn = _core.draw_weights(handle, seed, agent, n_inputs)
    v, bias, recurrent = (drawn[name] for name in ("input", "bias", "reservoir"))
    expected = reference.EchoState(p, radius=radius).start(seed, agent, n_inputs)
    np.testing.assert_allclose(v, expected["V"].ravel(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(bias, expected["v"], rtol=1e-15, atol=1e-16)
    w = recurrent.reshape(p, p)
    np.testing.assert_allclose(w, expected["W"], rtol=1e-9, atol=1e-10 * max(radius, 1e-3))
    assert np.abs(np.linalg.eigvals(w)).max() == pytest.approx(radius, rel=1e-9, abs=1e-300)


def test_the_entries_have_the_variances_of_the_theory() -> None:
    n_inputs = 5
    handle = memoa.RandomFeatures(2000)._to_core()
    drawn = _core.draw_weights(handle, 3, 0, n_inputs)
    v, bias = drawn["input"], drawn["bias"]
    assert np.var(v) == pytest.approx(1.0 / n_inputs, rel=0.05)
    assert abs(np.mean(v)) < 0.02
    assert -1.0 <= bias.min() < -0.95
    assert 0.95 < bias.max() < 1.0
    cosines = memoa.RandomFeatures(2000, "cos")._to_core()
    angles = _core.draw_weights(cosines, 3, 0, n_inputs)["bias"]
    assert 0.0 <= angles.min() < 0.1
    assert 6.2 < angles.max() < 2.0 * np.pi


@pytest.mark.parametrize(
    "encoder",
    [memoa.RandomFeatures(5), memoa.RandomFeatures(6, "wave", 1.0, 2, 1), memoa.EchoState(5)],
)
def test_a_larger_population_begins_with_the_same_agents(encoder: Any) -> None:
    x, y, initial = series(12)
    shown = []
    for n_agents in (7, 1000):
        model = ensemble(n_agents, encoder=encoder, policy="greedy")
        model.run(x[:-1], y[:-1], initial=initial)
        model.predict_one(x[-1])
        shown.append(model.agent_predictions[:7])
    assert np.ptp(shown[0]) > 0.0
    assert_same_bits(shown[1], shown[0])


def test_another_seed_is_another_population() -> None:
    x, y, initial = series(12)
    first, second = (
        ensemble(random_state=seed).run(x, y, initial=initial).agent_rmse for seed in (0, 1)
    )
    assert not np.any(first == second)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: memoa.RandomFeatures(0), ValueError, "n_features is 0; expected an integer of at"),
        (lambda: memoa.RandomFeatures(2.0), TypeError, "n_features is 2.0 of type float; expected"),
        (lambda: memoa.RandomFeatures(3, "sine"), ValueError, "activation is 'sine'; expected one"),
        (lambda: memoa.RandomFeatures(3, None), ValueError, "activation is None; expected one of"),
        (lambda: memoa.RandomFeatures(scale=0.0), ValueError, "scale is 0; expected a positive"),
        (lambda: memoa.RandomFeatures(scale=np.nan), ValueError, "scale is nan.*a positive"),
        (lambda: memoa.RandomFeatures(scale="1"), TypeError, "scale is '1' of type str; expected"),
        (lambda: memoa.RandomFeatures(3, n_raw=3), ValueError, "n_raw is 3.*below n_features"),
        (lambda: memoa.RandomFeatures(n_raw=-1), ValueError, "n_raw is -1; expected an integer of"),
        (lambda: memoa.RandomFeatures(n_columns=-1), ValueError, "n_columns is -1; expected an in"),
        (lambda: memoa.EchoState(-1), ValueError, "n_features is -1; expected an integer of at"),
        (lambda: memoa.EchoState(leak=0.0), ValueError, r"leak is 0; expected .* in \(0, 1\]"),
        (lambda: memoa.EchoState(leak=1.1), ValueError, r"leak is 1.1.*; expected .* in \(0, 1\]"),
        (lambda: memoa.EchoState(radius=-0.1), ValueError, "radius is -0.1.*; expected a finite"),
        (lambda: memoa.EchoState(radius=np.inf), ValueError, "radius is inf; expected a finite"),
        (lambda: memoa.Precomputed(0), ValueError, "n_features is 0; expected an integer of at"),
        (lambda: memoa.Precomputed("3"), TypeError, "n_features is '3' of type str; expected an"),
    ],
)
def test_bad_options(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    "encoder",
    [
        memoa.RandomFeatures(3, "cos", 2.0),
        memoa.RandomFeatures(7, "wave", 1.0, 2, 2),
        memoa.EchoState(4, 0.5, 0.8),
        memoa.Precomputed(2),
    ],
)
def test_encoders_are_plain_values(encoder: Any) -> None:
    twin = pickle.loads(pickle.dumps(encoder))
    assert twin == encoder
    assert hash(twin) == hash(encoder)
    assert eval(repr(encoder), vars(memoa)) == encoder
    with pytest.raises(AttributeError):
        encoder.n_features = 9
