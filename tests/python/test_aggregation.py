"""Aggregation of experts: against plain loops, and by the regrets that theory promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import assert_close, seeds
from memoa.forecasters.aggregation import GRID, BernsteinAggregation, ExponentialWeights, Rule


def problem(seed: int, n_steps: int = 40, n_experts: int = 5, d: int = 2) -> tuple:
    """Experts' predictions (T, K, d) that are not equally good, and targets (T, d)."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n_steps, d))
    noise = rng.normal(size=(n_steps, n_experts, d)) * rng.uniform(0.1, 1.0, size=(n_experts, 1))
    return y[:, None] + noise + 0.3 * rng.normal(size=(n_experts, 1)), y


def play(rule: Rule, experts: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The rule's forecasts (T, d)."""
    mixed = []
    for shown, target in zip(experts, y):
        mixed.append(rule.predict(shown))
        rule.update(shown, target)
    return np.array(mixed)


def square(x: np.ndarray) -> float:
    return float(sum(v * v for v in x))


def plain_ewa(experts: np.ndarray, y: np.ndarray, rates: list[float] | None) -> np.ndarray:
    """One rate, or the best so far of GRID over the largest loss so far; loops over everything."""
    n_experts = experts.shape[1]
    n_rates = len(GRID) if rates is None else 1
    losses, own, largest, mixed = [0.0] * n_experts, [0.0] * n_rates, 0.0, []
    for shown, target in zip(experts, y):
        tried = rates or [g / largest if largest else 0.0 for g in GRID]
        forecasts = []
        for rate in tried:
            weights = [math.exp(-rate * (loss - min(losses))) for loss in losses]
            forecasts.append(sum(w * e for w, e in zip(weights, shown)) / sum(weights))
        mixed.append(forecasts[own.index(min(own))])
        for j, forecast in enumerate(forecasts):
            own[j] += square(forecast - target)
        for k, expert in enumerate(shown):
            losses[k] += square(expert - target)
            largest = max(largest, square(expert - target))
    return np.array(mixed)


def plain_boa(experts: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The algorithm as its docstring states it, expert by expert."""
    n = experts.shape[1]
    regret, squares, size, rate, mixed = [0.0] * n, [0.0] * n, [0.0] * n, [0.0] * n, []
    for shown, target in zip(experts, y):
        weights = [r * math.exp(r * s) for r, s in zip(rate, regret)]
        if not any(weights):
            weights = [1.0] * n
        forecast = sum(w * e for w, e in zip(weights, shown)) / sum(weights)
        mixed.append(forecast)
        for k, expert in enumerate(shown):
            r = 2.0 * float((forecast - target) @ (forecast - expert))
            if abs(r) > size[k]:
                size[k] = 2.0 ** math.ceil(math.log2(abs(r)))
            correction = size[k] if rate[k] * r > 0.5 else 0.0
            regret[k] += 0.5 * (r - rate[k] * r * r + correction)
            squares[k] += r * r
            rate[k] = min(1.0 / size[k], math.sqrt(math.log(n) / squares[k]))
    return np.array(mixed)


@given(seeds, st.integers(1, 3))
def test_exponential_weights_are_those_of_plain_loops(seed: int, d: int) -> None:
    experts, y = problem(seed, d=d)
    assert_close(play(ExponentialWeights(), experts, y), plain_ewa(experts, y, None))
    assert_close(play(ExponentialWeights(0.3), experts, y), plain_ewa(experts, y, [0.3]))


@given(seeds, st.integers(1, 3))
def test_bernstein_aggregation_is_that_of_plain_loops(seed: int, d: int) -> None:
    experts, y = problem(seed, d=d)
    assert_close(play(BernsteinAggregation(), experts, y), plain_boa(experts, y))


@given(seeds)
def test_exponential_weights_keep_their_regret_bound(seed: int) -> None:
    """Cesa-Bianchi and Lugosi (2006), theorem 3.2: log K / rate, where the rate is 1/(2 B^2)."""
    experts, y = problem(seed, n_steps=60, n_experts=8, d=1)
    bound = float(np.square(experts - y[:, None]).max())
    mixed = play(ExponentialWeights(1.0 / (2.0 * bound)), experts, y)
    best = np.square(experts - y[:, None]).sum(axis=(0, 2)).min()
    assert np.square(mixed - y).sum() <= best + 2.0 * bound * np.log(8) + 1e-9


@given(seeds)
def test_bernstein_aggregation_keeps_its_regret_bound(seed: int) -> None:
    """Second order: the regret to each expert is of the order of the root of its own squares.

    With V the sum of squares, E the range and c = log(1 + log(first rate / last rate) / e) for
    the change of rates, the potential costs 2 (log K + c) / rate and the corrections add up to
    2 sqrt(V log K): 4 + 2 c / log K roots of V log K, besides a multiple of E log K. With K = 8 and
    rates that fall by a factor of 30 these are 4.8 roots.
    """
    experts, y = problem(seed, n_steps=120, n_experts=8, d=2)
    mixed = play(BernsteinAggregation(), experts, y)
    regrets = 2.0 * np.einsum("td,tkd->tk", mixed - y, mixed[:, None] - experts)
    spread = np.sqrt(np.square(regrets).sum(axis=0) * np.log(8))
    assert (regrets.sum(axis=0) <= 5.0 * spread + 4.0 * np.abs(regrets).max() * np.log(8)).all()


def test_bernstein_aggregation_finds_a_mixture_that_no_expert_is() -> None:
    """Its losses are linearised, so the best convex combination is what it is compared with."""
    rng = np.random.default_rng(2)
    y = rng.normal(size=(3000, 1))
    shared = rng.normal(size=(3000, 1))
    parts = np.array([1.0, -1.0, 2.0])  # weights orthogonal to these are exact
    rule = BernsteinAggregation()
    errors = np.square(play(rule, y[:, None] + parts[:, None] * shared[:, None], y) - y)
    assert errors[-500:].mean() < 0.02 * np.square(shared[-500:]).mean()
    assert rule.weights @ parts == pytest.approx(0.0, abs=0.1)


def test_exponential_weights_find_the_best_expert() -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(size=(400, 1))
    experts = y[:, None] + np.array([0.5, 1.0, 0.05])[:, None] * rng.normal(size=(400, 3, 1))
    rule = ExponentialWeights()
    play(rule, experts, y)
    assert rule.weights[2] > 0.99


@pytest.mark.parametrize("kind", [ExponentialWeights, BernsteinAggregation])
@given(seed=seeds)
def test_weights_are_fractions_and_follow_a_permutation(kind: type, seed: int) -> None:
    experts, y = problem(seed)
    order = np.random.default_rng(seed).permutation(experts.shape[1])
    one, other = kind(), kind()
    assert_close(play(one, experts, y), play(other, experts[:, order], y))
    assert one.weights.min() >= 0.0
    assert one.weights.sum() == pytest.approx(1.0)
    assert_close(one.weights[order], other.weights)


@given(seeds, st.sampled_from([2.0**-40, 2.0**-3, 2.0**30]))
def test_units_do_not_matter(seed: int, unit: float) -> None:
    experts, y = problem(seed)
    for kind in (ExponentialWeights, BernsteinAggregation):
        assert_close(play(kind(), unit * experts, unit * y), unit * play(kind(), experts, y))


@pytest.mark.parametrize("kind", [ExponentialWeights, BernsteinAggregation])
def test_nothing_to_learn(kind: type) -> None:
    """One expert alone, equal experts and exact ones are mixed as they are."""
    y = np.random.default_rng(0).normal(size=(20, 1))
    assert_close(play(kind(), y[:, None] + 1.0, y), y + 1.0)
    assert_close(play(kind(), np.repeat(y[:, None] + 1.0, 3, axis=1), y), y + 1.0)
    assert_close(play(kind(), np.repeat(y[:, None], 3, axis=1), y), y)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"rate is 0.0; expected a positive number"):
        ExponentialWeights(0.0)
    with pytest.raises(TypeError, match="rate"):
        ExponentialWeights("fast")  # type: ignore[arg-type]
    for rule in (ExponentialWeights(), BernsteinAggregation()):
        with pytest.raises(ValueError, match="before the first prediction"):
            _ = rule.weights
