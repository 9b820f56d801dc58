"""The best convex combination of experts: optimality conditions, and known cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import memoa
from helpers import seeds
from memoa.forecasters import best_convex_combination


@given(seeds, st.integers(1, 9), st.integers(1, 3), st.booleans())
def test_no_direction_improves_it(seed: int, k: int, d: int, alike: bool) -> None:
    rng = np.random.default_rng(seed)
    Y = rng.normal(size=(40, d))
    X = (
        Y[:, None]
        + rng.normal(size=(40, k, d)) * rng.lognormal(size=(k, 1))
        + rng.normal(size=(k, 1))
    )
    if alike and k > 1:
        X[:, 1] = X[:, 0]
    w = best_convex_combination(X, Y)
    assert (w >= 0.0).all() and w.sum() == pytest.approx(1.0)
    errors = X - Y[:, None]
    slopes = np.einsum("tkd,tjd,j->k", errors, errors, w)
    scale = np.square(errors).sum()
    assert (slopes >= w @ slopes - 1e-9 * scale).all()  # Karush, Kuhn and Tucker


def test_what_one_knows() -> None:
    y = np.sin(np.arange(50.0))
    X = np.column_stack([y + 1.0, y - 3.0])
    np.testing.assert_allclose(best_convex_combination(X, y), [0.75, 0.25])
    np.testing.assert_allclose(best_convex_combination(X + 4.0, y), [0.0, 1.0])  # the nearer one
    X[3] = np.nan
    gaps = np.where(np.arange(50) == 5, np.nan, y)
    np.testing.assert_allclose(best_convex_combination(X, gaps), [0.75, 0.25])
    with pytest.raises(ValueError, match="no step without missing values"):
        best_convex_combination(np.full((3, 2), np.nan), np.zeros(3))
    with pytest.raises(ValueError, match="Y has shape"):
        best_convex_combination(X, y[:3])


def test_no_rule_that_learns_beats_it_by_much() -> None:
    rng = np.random.default_rng(0)
    y = np.sin(np.arange(2000) / 7.0)
    X = y[:, None] + rng.normal(size=(2000, 4)) * [0.3, 0.4, 0.5, 2.0]
    best = np.sqrt(np.mean((X @ best_convex_combination(X, y) - y) ** 2))
    for rule in ("ml-poly", "boa", "exponential"):
        learnt = memoa.Experts(4, rule=rule).run(X, y)[:, 0]
        assert best <= np.sqrt(np.mean((learnt - y) ** 2)) * 1.0001
    assert best < np.sqrt(np.mean((X - y[:, None]) ** 2, axis=0)).min()
