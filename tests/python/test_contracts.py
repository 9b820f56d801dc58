"""What every forecaster of the package keeps to: a test a contract, over all classes there are."""

from __future__ import annotations

import copy
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import memoa
from helpers import assert_close, assert_same_bits, ensemble, series
from memoa.forecasters import Aggregated, BernsteinAggregation, Forecaster


class OneClient:
    """A panel of one client, which sees one series."""

    def __init__(self) -> None:
        self.panel = memoa.Panel(1)

    def predict_one(self, x: Any) -> np.ndarray:
        return self.panel.predict_one([x])[0]

    def learn_one(self, x: Any, y: Any) -> None:
        self.panel.learn_one([x], [y])

    def observe(self, y: Any) -> None:
        self.panel.observe([y])


# How to make those that need arguments.
MAKERS: dict[str, Callable[[], Any]] = {
    "Aggregated": lambda: Aggregated(
        ensemble(policy="greedy"), BernsteinAggregation(), with_last=True
    ),
    "OnlineEnsemble": ensemble,
    "Panel": OneClient,
    "RiverForecaster": lambda: importlib.import_module("memoa.forecasters.river").linear(),
}


# Of the same two verbs, but another promise: experts are shown forecasts (test_experts.py), leads
# are several forecasts (test_horizon.py), turns are taken where y comes late (test_late.py).
OTHERS = ("Experts", "MultiHorizon", "TakingTurns")


def discovered() -> Iterator[tuple[str, type]]:
    """Every public class of the package with the two methods of a forecaster, where it is made."""
    for module in pkgutil.walk_packages(memoa.__path__, "memoa."):
        if module.name == "memoa.__main__" or module.name.startswith(("memoa.cli", "memoa.plots")):
            continue
        try:
            found = vars(importlib.import_module(module.name))
        except ImportError:  # river's, where the extra is not installed
            continue
        for name, kind in found.items():
            if (
                inspect.isclass(kind)
                and kind.__module__ == module.name
                and {"predict_one", "learn_one"} <= set(dir(kind))
                and not getattr(kind, "_is_protocol", False)
                and not name.startswith("_")
                and name not in OTHERS
            ):
                yield name, kind


KINDS = dict(discovered())


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Makes a new forecaster of one kind."""
    return MAKERS.get(request.param, KINDS[request.param])


def forecasts(forecaster: Any, x: np.ndarray, y: np.ndarray, start: Any) -> np.ndarray:
    """Observe the value before the first step, then predict and learn; shape (T, d)."""
    forecaster.observe(start)
    return rest(forecaster, x, y)


def rest(forecaster: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    shown = []
    for one_x, one_y in zip(x, y):
        shown.append(np.array(forecaster.predict_one(one_x)))
        forecaster.learn_one(one_x, one_y)
    return np.array(shown)


def test_those_there_are_were_found() -> None:
    assert set(KINDS) >= {"Aggregated", "OnlineEnsemble", "OnlineRidge", "Panel", "Seasonal"}
    for name, kind in KINDS.items():
        required = [
            one
            for one in inspect.signature(kind).parameters.values()
            if one.default is one.empty and one.kind is not one.VAR_KEYWORD
        ]
        assert name in MAKERS or not required, f"say in MAKERS how {name} is made"


def test_it_is_a_forecaster(make: Callable[[], Any]) -> None:
    assert isinstance(make(), Forecaster)


@pytest.mark.parametrize("d", [1, 3])
def test_a_forecast_is_finite_float64_of_the_outputs(make: Callable[[], Any], d: int) -> None:
    x, y, start = series(25, n_inputs=2, n_outputs=d)
    forecaster = make()
    forecaster.observe(start)
    for one_x, one_y in zip(x, y):
        shown = forecaster.predict_one(one_x)
        assert isinstance(shown, np.ndarray)
        assert shown.dtype == np.float64
        assert shown.shape == (d,)
        assert np.isfinite(shown).all()
        forecaster.learn_one(one_x, one_y)


def test_the_same_steps_have_the_same_forecasts(make: Callable[[], Any]) -> None:
    x, y, start = series(40, n_outputs=2)
    assert_same_bits(forecasts(make(), x, y, start), forecasts(make(), x, y, start))


def test_the_first_forecast_after_observing_is_what_was_observed(make: Callable[[], Any]) -> None:
    x, _, start = series(1, n_outputs=2)
    forecaster = make()
    forecaster.observe(start)
    assert_same_bits(forecaster.predict_one(x[0]), start)


def test_asking_leaves_no_trace(make: Callable[[], Any]) -> None:
    x, y, start = series(30, n_outputs=2)
    once, asked = forecasts(make(), x, y, start), make()
    asked.observe(start)
    for t, (one_x, one_y) in enumerate(zip(x, y)):
        asked.predict_one(100.0 + one_x)
        for _ in range(2):
            assert_same_bits(asked.predict_one(one_x), once[t])
        asked.learn_one(one_x, one_y)


def test_arguments_are_neither_changed_nor_kept(make: Callable[[], Any]) -> None:
    x, y, start = series(30, n_outputs=2)
    expected = forecasts(make(), x, y, start)
    for array in (x, y, start):
        array.setflags(write=False)
    assert_same_bits(forecasts(make(), x, y, start), expected)
    forecaster, shown = make(), []
    here_x, here_y = np.array(x[0]), np.array(start)
    forecaster.observe(here_y)
    for one_x, one_y in zip(x, y):  # the same two arrays every time, spoilt in between
        here_y[:] = 1e6
        here_x[:] = one_x
        shown.append(np.array(forecaster.predict_one(here_x)))
        here_y[:] = one_y
        forecaster.learn_one(here_x, here_y)
        here_x[:] = -1e6
    assert_same_bits(shown, expected)


def test_a_forecast_is_the_callers(make: Callable[[], Any]) -> None:
    x, y, start = series(30, n_outputs=2)
    expected = forecasts(make(), x, y, start)
    forecaster, shown = make(), []
    forecaster.observe(start)
    for one_x, one_y in zip(x, y):
        given = forecaster.predict_one(one_x)
        shown.append(np.array(given))
        given[:] = 1e6
        forecaster.learn_one(one_x, one_y)
    assert_same_bits(shown, expected)


def test_lists_are_as_good_as_arrays(make: Callable[[], Any]) -> None:
    x, y, start = series(20, n_outputs=2)
    given = forecasts(make(), x.tolist(), y.tolist(), start.tolist())  # type: ignore[arg-type]
    assert_same_bits(given, forecasts(make(), x, y, start))


def test_a_constant_is_forecast(make: Callable[[], Any]) -> None:
    x, _, _ = series(40)
    constant = np.full((40, 1), -7.25)
    shown = forecasts(make(), x, constant, constant[0])
    assert_close(shown, constant, rtol=1e-12)


def test_the_level_of_the_series_does_not_matter(make: Callable[[], Any]) -> None:
    x, y, start = series(60, n_outputs=2)
    # Multiples of 2^-20, so that differences are the same numbers at either level.
    y, start = np.round(y * 2.0**20) / 2.0**20, np.round(start * 2.0**20) / 2.0**20
    low = forecasts(make(), x, y, start)
    high = forecasts(make(), x, y + 4096.0, start + 4096.0)
    assert_close(high - 4096.0, low, rtol=1e-8)


def test_agents_have_an_error_each(make: Callable[[], Any]) -> None:
    x, y, start = series(30, n_outputs=2)
    forecaster = make()
    forecasts(forecaster, x, y, start)
    if not hasattr(forecaster, "agent_rmse"):
        return
    errors = forecaster.agent_rmse
    assert errors.shape == (6,)
    assert errors.dtype == np.float64
    assert (errors > 0.0).all()


@pytest.mark.parametrize(
    ("y_given", "words"),
    [
        ([1.0, 2.0, 3.0], r"y has shape \(3,\); expected"),
        ([[1.0, 2.0]], r"y has shape \(1, 2\); expected"),
        ([1.0, np.nan], "y"),
        ([np.inf, 1.0], "y"),
        (["one", "two"], "y has dtype"),
    ],
)
def test_a_refused_y_changes_nothing(make: Callable[[], Any], y_given: Any, words: str) -> None:
    if make is OneClient:
        pytest.skip("values of a client may be missing; test_panel_errors.py has what is refused")
    if isinstance(make(), memoa.OnlineEnsemble) and y_given == [1.0, np.nan]:
        pytest.skip("values may be missing; test_missing.py has what is refused")
    x, y, start = series(30, n_outputs=2)
    expected, forecaster = forecasts(make(), x, y, start), make()
    shown = [forecasts(forecaster, x[:10], y[:10], start)]
    forecaster.predict_one(x[10])
    with pytest.raises((ValueError, TypeError), match=rf"^{words}"):
        forecaster.learn_one(x[10], y_given)
    with pytest.raises((ValueError, TypeError), match=rf"^{words}"):
        forecaster.observe(y_given)
    shown.append(rest(forecaster, x[10:], y[10:]))
    assert_same_bits(np.concatenate(shown), expected)


def test_a_copy_goes_its_own_way(make: Callable[[], Any]) -> None:
    x, y, start = series(40, n_outputs=2)
    expected, forecaster = forecasts(make(), x, y, start), make()
    first = forecasts(forecaster, x[:20], y[:20], start)
    twin = copy.deepcopy(forecaster)
    rest(twin, x[20:], -5.0 * y[20:])
    assert_same_bits(np.concatenate([first, rest(forecaster, x[20:], y[20:])]), expected)
