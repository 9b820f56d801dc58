"""Sums over agents: the exact sum, rounded once, whoever adds what in which order (theory 9)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import memoa
from helpers import assert_same_bits
from memoa import _core
from reference import exact_sum

finite = st.floats(allow_nan=False, allow_infinity=False)


def addends(rng: np.random.Generator, n: int) -> np.ndarray:
    """Numbers of all sizes, among them subnormal ones, most of which cancel."""
    values = np.ldexp(rng.uniform(-1, 1, n), rng.integers(-1080, 1000, n))
    values[rng.random(n) < 0.3] = np.ldexp(rng.uniform(-1, 1), rng.integers(-60, 60))
    mirrored = rng.random(n) < 0.8
    return np.concatenate([values, -values[mirrored]])


def test_no_cut_and_no_order_changes_a_bit() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        values = addends(rng, int(rng.integers(1, 60)))
        expected = exact_sum(values)
        for _ in range(100):
            rng.shuffle(values)
            cuts = np.sort(rng.integers(0, len(values) + 1, rng.integers(0, 6)))
            assert_same_bits(_core.exact_sum(values, cuts), expected)


@given(st.lists(finite, max_size=40))
def test_it_is_the_sum_of_rationals_rounded_once(values: list[float]) -> None:
    expected = exact_sum(values)
    assert_same_bits(_core.exact_sum(np.array(values, dtype=float), np.array([], int)), expected)
    assert_same_bits(_core.column_sums(np.array(values, dtype=float)[:, None])[0], expected)


@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.integers(1, 130))
def test_columns_are_summed_alike(seed: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(size=(rows, columns)) * 16) / 16  # ties, and sums of zero
    values *= np.ldexp(1.0, rng.integers(-60, 60, (rows, columns)) * rng.integers(0, 2))
    assert_same_bits(_core.column_sums(values), np.array([exact_sum(v) for v in values.T]))


@pytest.mark.parametrize(
    "values, expected",
    [
        ([1e308, 1e308], math.inf),
        ([-1e308, -1e308], -math.inf),
        ([1e308, 1e308, -1e308], 1e308),
        ([math.inf, 1.0], math.inf),
        ([-math.inf, 1.0], -math.inf),
        ([math.inf, -math.inf], math.nan),
        ([math.nan], math.nan),
    ],
)
def test_what_no_number_holds(values: list[float], expected: float) -> None:
    for array in (np.array(values), np.array(values[::-1])):
        found = [_core.exact_sum(array, np.array([1])), _core.column_sums(array[:, None])[0]]
        np.testing.assert_array_equal(found, [expected] * 2)


def test_a_mean_field_of_many_chunks_is_the_exact_one() -> None:
    """With greedy agents, all used, it is the base and the sum of the increments' chunk sums."""
    model = memoa.OnlineEnsemble(3000, memoa.RandomFeatures(4), policy="greedy", aggregate="mean")
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, 2)), rng.normal(size=30)
    model.run(x, y, initial=0.0)
    model.observe(0.0)
    model.predict_one(x[0])
    increments = model.agent_predictions[:, 0]
    lanes = np.zeros(3072)
    lanes[:3000] = increments
    running = np.zeros((12, 8))  # eight running sums to a chunk, which are added in their order
    for block in lanes.reshape(12, 32, 8).swapaxes(0, 1):
        running = running + block
    chunks = np.zeros(12)
    for lane in running.T:
        chunks = chunks + lane
    assert_same_bits(model.mean_field, np.array([exact_sum(chunks) / 3000]))
