"""Experts: the rules against plain loops, sleepers, and polls as experts."""

from __future__ import annotations

import math

import numpy as np
import pytest

import memoa
from memoa import datasets
from memoa.forecasters import FixedShare, PolynomialPotential
from memoa.forecasters.experts import RULES
from test_aggregation import play, problem, square

ALL = (*RULES, "window")


def plain_ml_poly(experts: np.ndarray, y: np.ndarray) -> np.ndarray:
    n = experts.shape[1]
    regret, slow, largest, mixed = [0.0] * n, [0.0] * n, 0.0, []
    for shown, target in zip(experts, y):
        parts = [max(r, 0.0) / s if s > 0.0 else 0.0 for r, s in zip(regret, slow)]
        weights = [p / sum(parts) if sum(parts) else 1.0 / n for p in parts]
        forecast = sum(w * e for w, e in zip(weights, shown))
        mixed.append(forecast)
        r = [2.0 * float((forecast - target) @ (forecast - e)) for e in shown]
        grown = max(largest, max(v * v for v in r))
        for k in range(n):
            regret[k] += r[k]
            slow[k] += r[k] ** 2 + grown - largest
        largest = grown
    return np.array(mixed)


def plain_fixed_share(experts: np.ndarray, y: np.ndarray, share: float) -> np.ndarray:
    n = experts.shape[1]
    weights, largest, mixed = [1.0 / n] * n, 0.0, []
    for shown, target in zip(experts, y):
        mixed.append(sum(w * e for w, e in zip(weights, shown)))
        losses = [square(e - target) for e in shown]
        largest = max(largest, *losses)
        kept = [w * math.exp(-0.5 * loss / largest) for w, loss in zip(weights, losses)]
        weights = [(1 - share) * w / sum(kept) + share / n for w in kept]
    return np.array(mixed)


@pytest.mark.parametrize("seed", range(3))
def test_the_new_rules_are_the_plain_ones(seed: int) -> None:
    experts, y = problem(seed)
    ml_poly = play(PolynomialPotential(), experts, y)
    np.testing.assert_allclose(ml_poly, plain_ml_poly(experts, y), rtol=1e-10)
    shared = play(FixedShare(0.1), experts, y)
    np.testing.assert_allclose(shared, plain_fixed_share(experts, y, 0.1), rtol=1e-10)


@pytest.mark.parametrize("rule", ALL)
def test_experts_play_the_rule(rule: str) -> None:
    X, Y = problem(4, 60)
    experts = memoa.Experts(5, rule=rule, n_outputs=2)  # type: ignore[arg-type]
    assert experts.weights.tolist() == [0.2] * 5
    found = experts.run(X, Y)
    if rule == "window":
        server = memoa.ServerMixture(5, 2, window=64, rivals=False, start=0)
        expected = []
        for x, y in zip(X, Y):
            expected.append(server.predict(x))
            server.update(x, y)
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_array_equal(found, play(RULES[rule](), X, Y))
    steps = memoa.Experts(5, rule=rule, n_outputs=2)  # type: ignore[arg-type]
    for x, y, forecast in zip(X, Y, found):
        if y[0] > 0:  # predicted by learn_one where nobody did
            np.testing.assert_array_equal(steps.predict_one(x), forecast)
        steps.learn_one(x, y)
    np.testing.assert_array_equal(steps.weights, experts.weights)


@pytest.mark.parametrize("rule", ["ml-poly", "boa"])
def test_a_sleeper_keeps_its_regret_and_the_others_share(rule: str) -> None:
    X, Y = problem(5, 80, d=1)
    experts = memoa.Experts(5, rule=rule)  # type: ignore[arg-type]
    experts.run(X[:40], Y[:40])
    before = experts._rule._regrets.copy()  # type: ignore[attr-defined]
    shown = X[40].copy()
    shown[[1, 3]] = np.nan
    weights = experts.weights
    awake = [0, 2, 4]
    expected = weights[awake] @ X[40][awake] / weights[awake].sum()
    np.testing.assert_allclose(experts.predict_one(shown), expected, rtol=1e-12)
    experts.learn_one(shown, Y[40])
    after = experts._rule._regrets  # type: ignore[attr-defined]
    np.testing.assert_allclose(after[[1, 3]], before[[1, 3]], rtol=1e-12, atol=1e-12)
    assert (np.abs(after[awake] - before[awake]) > 1e-6).all()


@pytest.mark.parametrize("rule", ALL)
def test_a_good_expert_that_sleeps_half_the_time_is_heard(rule: str) -> None:
    rng = np.random.default_rng(6)
    y = rng.normal(size=600).cumsum()
    X = np.column_stack(
        [y + 0.1 * rng.normal(size=600), y + rng.normal(size=600), y + 3.0 + rng.normal(size=600)]
    )
    awake = rng.uniform(size=600) < 0.5
    X[~awake, 0] = np.nan
    forecasts = memoa.Experts(3, rule=rule).run(X, y)[:, 0]  # type: ignore[arg-type]
    late = np.arange(600) > 200
    error = np.sqrt(np.mean((forecasts - y)[awake & late] ** 2))
    assert error < 0.6  # the second best makes an error of 1
    rest = np.sqrt(np.mean((forecasts - y)[~awake & late] ** 2))
    assert rest < 2.0


def test_silence_and_gaps() -> None:
    experts = memoa.Experts(2)
    assert experts.predict_one([np.nan, np.nan]) == [0.0]
    experts.learn_one([np.nan, np.nan], 3.0)
    assert experts.predict_one([np.nan, np.nan]) == [3.0]
    assert experts.predict_one([np.nan, 5.0]) == [5.0]
    experts.learn_one([1.0, 5.0], np.nan)
    assert experts.weights.tolist() == [0.5, 0.5]


def polls() -> tuple[np.ndarray, np.ndarray]:
    river = pytest.importorskip("river.datasets", reason="river is not installed")
    rows = [(list(x.values())[1:], y) for x, y in river.TrumpApproval()]
    return np.array([x for x, _ in rows], float), np.array([y for _, y in rows])


def test_polls_as_experts() -> None:
    """Five pollsters of the approval of a president, against the average that was published."""
    X, y = polls()

    def rmse(forecasts: np.ndarray) -> float:
        return float(np.sqrt(np.mean((forecasts - y) ** 2)))

    uniform, best = rmse(X.mean(axis=1)), min(map(rmse, X.T))
    series = datasets.Series("polls", X, y[:, None], y[:1], tuple("abcde"), ("approval",))
    rows = {rule: lambda rule=rule: memoa.Experts(5, rule=rule) for rule in ALL}
    found = memoa.compare(series, rows)
    for rule in ("ml-poly", "boa", "fixed-share", "window"):
        assert found.quantile(rule, "server_rmse") < min(uniform, best)


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: memoa.Experts(0), "n_experts is 0"),
        (lambda: memoa.Experts(2, rule="best"), "rule is 'best'; expected one of 'ml-poly'"),
        (lambda: memoa.Experts(2).predict_one([1.0]), r"x has shape \(1, 1\); expected"),
        (lambda: memoa.Experts(2).predict_one([np.inf, 1.0]), "x holds infinite values"),
        (lambda: memoa.Experts(2).learn_one([0.0, 1.0], np.inf), "y is infinite"),
        (lambda: memoa.Experts(2).run(np.zeros((3, 2)), np.zeros(4)), r"X has shape \(3, 2\)"),
        (lambda: FixedShare(1.5), "share is 1.5"),
        (lambda: FixedShare(rate=0.0), "rate is 0.0"),
    ],
)
def test_what_is_refused(attempt: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attempt()  # type: ignore[operator]
