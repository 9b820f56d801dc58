"""dtype="float32": the same interface, half the memory, and how far its numbers may be off."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import memoa
from helpers import assert_same_bits, ensemble, series, steps

BUILT_IN = [
    memoa.datasets.periodic,
    memoa.datasets.logistic_map,
    memoa.datasets.concept_drift,
    lambda: memoa.datasets.concept_drift(output=1),
]


@pytest.mark.parametrize("make", BUILT_IN)
def test_the_servers_error_is_within_a_thousandth(make: Any) -> None:
    data = make()
    wide, narrow = (
        memoa.OnlineEnsemble(dtype=dtype).run(data.X, data.Y, initial=data.initial)
        for dtype in ("float64", "float32")
    )
    assert narrow.server_rmse == pytest.approx(wide.server_rmse, rel=1e-3)
    assert narrow.worst_agent_rmse == pytest.approx(wide.worst_agent_rmse, rel=5e-3)
    assert narrow.predictions.dtype == np.float64


@pytest.mark.parametrize(
    "load, file, start",
    [
        (memoa.datasets.load_boc, "bank_of_canada_exchange_rates.csv", 0),
        (memoa.datasets.load_boc, "bank_of_canada_exchange_rates.csv", 1600),
        (memoa.datasets.load_ett, "ETTh1.csv", 0),
        (memoa.datasets.load_ett, "ETTh1.csv", 3500),
    ],
)
def test_the_servers_error_on_the_real_series(
    real: Callable[[str], Path], load: Any, file: str, start: int
) -> None:
    data = load(real(file), start=start)
    wide, narrow = (
        memoa.OnlineEnsemble(dtype=dtype).run(data.X, data.Y, initial=data.initial)
        for dtype in ("float64", "float32")
    )
    assert narrow.server_rmse == pytest.approx(wide.server_rmse, rel=1e-3)


@pytest.mark.parametrize("forgetting", [0.9, 0.98, 0.999])
def test_it_stays_stable_over_a_million_steps(forgetting: float) -> None:
    """With long quiet stretches, on which an inverse that is kept winds up."""
    rng = np.random.default_rng(0)
    n = 10**6
    quiet = (np.arange(n) // 3000) % 2 == 1
    x = np.where(quiet, 0.5, rng.normal(size=n))[:, None]
    y = np.where(quiet, 1.0, np.sin(2.0 * x[:, 0]) + 0.1 * rng.normal(size=n))
    runs = [
        memoa.OnlineEnsemble(
            8,
            memoa.RandomFeatures(6),
            forgetting=forgetting,
            ridge=0.1,
            mixture=memoa.Mixture(window=0, rivals=False),
            dtype=dtype,
        ).run(x, y)
        for dtype in ("float64", "float32")
    ]
    assert np.isfinite(runs[1].predictions).all()
    assert runs[1].server_rmse == pytest.approx(runs[0].server_rmse, rel=1e-3)
    assert runs[1].worst_agent_rmse == pytest.approx(runs[0].worst_agent_rmse, rel=1e-2)


def test_a_run_is_its_steps_and_threads_do_not_show() -> None:
    x, y, initial = series(40, 3, 2)
    whole = ensemble(3000, dtype="float32", n_threads=2).run(x, y, initial=initial).predictions
    model = ensemble(3000, dtype="float32", n_threads=1)
    model.observe(initial)
    assert_same_bits(steps(model, x, y), whole)


def test_a_copy_goes_on_with_the_same_bits() -> None:
    x, y, _ = series(30)
    model = ensemble(dtype="float32")
    steps(model, x[:15], y[:15])
    twin = copy.deepcopy(model)
    assert_same_bits(steps(twin, x[15:], y[15:]), steps(model, x[15:], y[15:]))


def test_it_takes_half_the_memory() -> None:
    x, y, _ = series(3)
    sizes = []
    for dtype in ("float64", "float32"):
        model = memoa.OnlineEnsemble(10_000, memoa.RandomFeatures(8), dtype=dtype)
        steps(model, x, y)
        sizes.append(model._learnt("bytes").core.bytes)
    assert 0.45 < sizes[1] / sizes[0] < 0.55


def test_numbers_too_large_for_it_are_refused() -> None:
    x, y, _ = series(6)
    model, twin = ensemble(dtype="float32"), ensemble(dtype="float32")
    steps(model, x[:3], y[:3])
    steps(twin, x[:3], y[:3])
    with pytest.raises(ValueError, match=r"Y holds 1e\+16 at \[0, 0\].* at most 1e\+15"):
        model.run(x[3:4], [[1e16]])
    model.predict_one(x[3])
    with pytest.raises(ValueError, match=r"y holds 1e\+16"):
        model.learn_one(x[3], 1e16)
    assert_same_bits(steps(model, x[3:], y[3:]), steps(twin, x[3:], y[3:]))


@pytest.mark.parametrize("dtype", ["float16", "double", None, 32])
def test_other_types_are_refused(dtype: Any) -> None:
    with pytest.raises(ValueError, match="dtype is .*; expected"):
        memoa.OnlineEnsemble(dtype=dtype)
