"""The baselines: each against the plain statement of what it does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import memoa
from helpers import assert_close, assert_same_bits, ensemble, seeds, series
from memoa.forecasters import Aggregated, Forecaster, OnlineRidge, RepeatLast, Seasonal
from memoa.forecasters.aggregation import BernsteinAggregation, ExponentialWeights


def forecasts(
    forecaster: Forecaster, x: np.ndarray, y: np.ndarray, start: object = None
) -> np.ndarray:
    if start is not None:
        forecaster.observe(start)  # type: ignore[attr-defined]
    shown = []
    for one_x, one_y in zip(x, y):
        shown.append(forecaster.predict_one(one_x))
        forecaster.learn_one(one_x, one_y)
    return np.array(shown)


def test_repeat_last_is_the_last_value() -> None:
    x, y, start = series(30, n_outputs=2)
    assert_same_bits(forecasts(RepeatLast(), x, y, start), np.vstack([start, y[:-1]]))
    assert RepeatLast().predict_one(x[0]).tolist() == [0.0]


@given(seeds, st.integers(1, 6), st.integers(1, 2))
def test_a_known_season_repeats_the_value_of_one_period_ago(seed: int, period: int, d: int) -> None:
    x, y, start = series(25, n_outputs=d, seed=seed)
    past = np.vstack([start, y])  # past[t] is the last value before step t
    expected = [past[t + 1 - period] if t + 1 >= period else past[t] for t in range(len(y))]
    assert_same_bits(forecasts(Seasonal(period), x, y, start), expected)


def plain_period(past: np.ndarray, longest: int, decay: float) -> int:
    """The lag with the smallest discounted mean of squared errors over the values seen."""
    best, best_error = 1, np.inf
    for lag in range(1, longest + 1):
        steps = range(lag, len(past))
        weights = [decay ** (len(past) - 1 - s) for s in steps]
        errors = [w * np.sum((past[s] - past[s - lag]) ** 2) for w, s in zip(weights, steps)]
        if weights and sum(errors) / sum(weights) < best_error * (1.0 - 1e-12):
            best, best_error = lag, sum(errors) / sum(weights)
    return best


@given(seeds, st.sampled_from([1.0, 0.9]))
def test_the_season_that_is_found_is_the_best_so_far(seed: int, decay: float) -> None:
    x, y, start = series(20, seed=seed)
    found = Seasonal(longest=6, decay=decay)
    found.observe(start)
    past = [start]
    for one_x, one_y in zip(x, y):
        assert found.period == plain_period(np.array(past), 6, decay)
        assert_same_bits(found.predict_one(one_x), past[-found.period])
        found.learn_one(one_x, one_y)
        past.append(one_y)


def test_the_season_of_a_cycle_is_found_and_makes_no_more_errors() -> None:
    cycle = memoa.datasets.periodic(60)
    found = Seasonal()
    shown = forecasts(found, cycle.X, cycle.Y, cycle.initial)
    assert found.period == 4
    assert_same_bits(shown[10:], cycle.Y[10:])


@given(seeds, st.integers(1, 3), st.sampled_from([1.0, 0.95]))
def test_online_ridge_is_the_weighted_ridge_of_all_it_saw(seed: int, d: int, decay: float) -> None:
    x, y, start = series(25, n_inputs=3, n_outputs=d, seed=seed)
    shown = forecasts(OnlineRidge(forgetting=decay, ridge=0.7), x, y, start)
    last = np.vstack([start, y[:-1]])

    def encode(t: int) -> np.ndarray:
        seen = x[: t + 1]
        std = seen.std(axis=0)
        scaled = np.where(
            std > 0.0, (x[t] - seen.mean(axis=0)) / np.where(std > 0.0, std, 1.0), 0.0
        )
        return np.append(np.clip(scaled, -4.0, 4.0), 1.0)

    z = np.array([encode(t) for t in range(len(x))])
    expected = [start]
    for t in range(1, len(x)):
        root = np.sqrt(decay ** np.arange(t - 1, -1, -1.0))[:, None]
        rows = np.vstack([root * z[:t], np.sqrt(0.7) * np.eye(4)])
        wanted = np.vstack([root * (y - last)[:t], np.zeros((4, d))])
        theta = np.linalg.lstsq(rows, wanted, rcond=None)[0]
        expected.append(last[t] + z[t] @ theta)
    assert_close(shown, expected, rtol=1e-8)


def test_online_ridge_predicts_without_a_trace_and_ignores_units_of_inputs() -> None:
    x, y, start = series(30, n_inputs=2)
    once = forecasts(OnlineRidge(), x, y, start)
    asked = OnlineRidge()
    asked.observe(start)
    for t, (one_x, one_y) in enumerate(zip(x, y)):
        asked.predict_one(100.0 + one_x)
        assert_same_bits(asked.predict_one(one_x), once[t])
        asked.learn_one(one_x, one_y)
    assert_close(forecasts(OnlineRidge(), 1e3 * x - 7.0, y, start), once, rtol=1e-8)


@pytest.mark.parametrize("kind", [ExponentialWeights, BernsteinAggregation])
@pytest.mark.parametrize("with_last", [False, True])
def test_aggregated_experts_are_the_greedy_agents(kind: type, with_last: bool) -> None:
    x, y, start = series(40, n_outputs=2)
    run = ensemble(policy="greedy").run(x, y, initial=start, record=range(6))
    experts = run.recorded
    if with_last:
        experts = np.concatenate([experts, np.vstack([start, y[:-1]])[:, None]], axis=1)
    mixture = Aggregated(ensemble(policy="greedy"), kind(), with_last=with_last)
    shown = forecasts(mixture, x, y, start)
    assert_same_bits(mixture.agent_rmse, run.agent_rmse)
    rule, expected = kind(), []
    for one, one_y in zip(experts, y):
        expected.append(rule.predict(one))
        rule.update(one, one_y)
    assert_same_bits(shown, expected)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Seasonal(0), "period is 0"),
        (lambda: Seasonal(longest=0), "longest is 0"),
        (lambda: Seasonal(decay=0.0), r"decay is 0.0; expected a number in \(0, 1\]"),
        (lambda: OnlineRidge(forgetting=1.5), "forgetting is 1.5"),
        (lambda: OnlineRidge(ridge=0.0), "ridge is 0.0; expected a positive number"),
    ],
)
def test_bad_settings(make: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()  # type: ignore[operator]


class TestRiver:
    """The adapter; river's models are river's business."""

    @pytest.fixture(autouse=True)
    def _river(self) -> None:
        pytest.importorskip("river", reason="the extra `experiments` is not installed")

    def test_each_output_has_its_own_model_of_the_change(self) -> None:
        from memoa.forecasters.river import RiverForecaster

        class Recorder:
            def __init__(self) -> None:
                self.seen: list[tuple[dict[str, float], float]] = []

            def predict_one(self, x: dict[str, float]) -> float:
                return 10.0

            def learn_one(self, x: dict[str, float], y: float) -> None:
                self.seen.append((x, y))

        made: list[Recorder] = []

        def model() -> Recorder:
            made.append(Recorder())
            return made[-1]

        forecaster = RiverForecaster(model)
        shown = forecasts(forecaster, np.array([[1.0, 2.0]]), np.array([[5.0, 7.0]]), [4.0, 4.0])
        assert shown.tolist() == [[14.0, 14.0]]
        assert [one.seen for one in made] == [[({"x0": 1.0, "x1": 2.0}, y)] for y in (1.0, 3.0)]

    @pytest.mark.parametrize(
        "row", ["linear", "bayesian", "nearest", "adaptive_tree", "adaptive_forest"]
    )
    def test_every_row_forecasts(self, row: str) -> None:
        from memoa.forecasters import river

        x, y, start = series(30, n_outputs=2)
        shown = forecasts(getattr(river, row)(), x, y, start)
        assert shown.shape == y.shape
        assert np.isfinite(shown).all()
        again = forecasts(getattr(river, row)(), x, y, start)
        assert_same_bits(shown, again)
