"""The server's mixture against the primal optimality conditions, and as an engine."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memoa
import reference
from helpers import assert_close, assert_same_bits, mixture_weight, seeds

options = {
    "ridge": st.floats(1e-2, 10.0),
    "total": st.floats(-2.0, 2.0),
    "decay": st.floats(0.5, 1.0),
    "absolute": st.booleans(),
}


def shown(seed: int, window: int, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictions (W, N, d) around targets (W, d)."""
    rng = np.random.default_rng(seed)
    targets = rng.normal(size=(window, d))
    return targets[:, None] + rng.normal(size=(window, n, d)), targets


def slow(predictions: np.ndarray, targets: np.ndarray, **settings: Any) -> np.ndarray:
    total = settings.get("total", 1.0)
    defaults = {"ridge": 0.1, "total": 1.0, "decay": 1.0, "absolute": False}
    return reference.mixture_weights(
        predictions - targets[:, None], targets * (1.0 - total), **(defaults | settings)
    )


# ---------------------------------------------------------------- the argmin


@given(
    seeds, st.integers(1, 8), st.integers(1, 12), st.integers(1, 3), st.fixed_dictionaries(options)
)
def test_weights_agree_with_the_primal_solution(
    seed: int, window: int, n: int, d: int, settings: dict[str, Any]
) -> None:
    predictions, targets = shown(seed, window, n, d)
    weights = memoa.mixture_weights(predictions, targets, **settings)
    np.testing.assert_allclose(weights, slow(predictions, targets, **settings), atol=1e-9)
    assert weights.sum() == pytest.approx(settings["total"], abs=1e-11)


@given(seeds, st.fixed_dictionaries(options))
def test_no_other_weights_of_that_sum_do_better(seed: int, settings: dict[str, Any]) -> None:
    predictions, targets = shown(seed, 5, 6, 2)
    best = memoa.mixture_weights(predictions, targets, **settings)
    kappa = settings["ridge"]
    if not settings["absolute"]:
        kappa *= 6 * np.mean((predictions - targets[:, None]) ** 2)

    def objective(u: np.ndarray) -> float:
        missed = np.sum((targets - np.einsum("wnd,n->wd", predictions, u)) ** 2, axis=1)
        return float(settings["decay"] ** np.arange(4, -1, -1) @ missed + kappa * u @ u)

    for change in np.random.default_rng(seed).normal(size=(10, 6)):
        assert objective(best) <= objective(best + 0.1 * (change - change.mean())) + 1e-12


def test_one_step_may_come_without_a_window() -> None:
    predictions, targets = shown(1, 1, 5, 2)
    assert_same_bits(
        memoa.mixture_weights(predictions[0], targets[0], ridge=0.5, absolute=True),
        memoa.mixture_weights(predictions, targets, ridge=0.5, absolute=True),
    )


def test_a_high_level_costs_no_digits() -> None:
    """Multiples of 2^-20 keep every digit of the errors when 1e4 is added."""
    predictions, targets = (np.round(a * 2**20) / 2**20 for a in shown(2, 6, 9, 2))
    plain = memoa.mixture_weights(predictions, targets, decay=0.9)
    raised = memoa.mixture_weights(predictions + 1e4, targets + 1e4, decay=0.9)
    np.testing.assert_allclose(raised, plain, rtol=0.0, atol=1e-14)


def test_without_any_error_the_weights_are_equal() -> None:
    targets = np.arange(8.0).reshape(4, 2)
    predictions = np.repeat(targets[:, None], 5, axis=1)
    assert_same_bits(memoa.mixture_weights(predictions, targets, total=2.0), np.full(5, 0.4))


# ---------------------------------------------------------------- the engine


@given(
    seeds, st.integers(1, 5), st.integers(1, 12), st.integers(1, 3), st.fixed_dictionaries(options)
)
def test_step_by_step_is_the_argmin_over_the_window(
    seed: int, window: int, n: int, d: int, settings: dict[str, Any]
) -> None:
    """Some steps are predicted before they are learnt and some are not; the ring wraps around."""
    length = 2 * window + 3
    predictions, targets = shown(seed, length, n, d)
    server = memoa.ServerMixture(n, d, window=window, rivals=False, start=0, **settings)
    rival, last = reference.Fallback(d), np.zeros(d)
    for t in range(length):
        if t >= (1 if settings["absolute"] else 3):
            past = slice(max(0, t - window), t)
            expected = slow(predictions[past], targets[past], **settings)
        else:
            expected = np.full(n, settings["total"] / n)
        np.testing.assert_allclose(server.weights, expected, rtol=0.0, atol=1e-9)
        mixed = expected @ predictions[t]
        np.testing.assert_allclose(mixture_weight(server), rival.weight(), rtol=0.0, atol=1e-8)
        if (seed + t) % 2:
            forecast = last + rival.weight() * (mixed - last)
            shown_by_server = server.predict(predictions[t])
            np.testing.assert_allclose(shown_by_server, forecast, rtol=0.0, atol=1e-7)
        server.update(predictions[t], targets[t])
        rival.compare(targets[t] - last, targets[t] - mixed)
        last = targets[t]


def test_predict_leaves_no_trace() -> None:
    predictions, targets = shown(3, 8, 5, 1)
    server, twin = (memoa.ServerMixture(5, rivals=False, start=0) for _ in range(2))
    for t in range(8):
        server.predict(predictions[t] + 1.0)
        first = server.predict(predictions[t])
        assert_same_bits(server.predict(predictions[t]), first)
        last = targets[t - 1] if t else np.zeros(1)
        mixed = server.weights @ predictions[t]
        assert_close(first, last + mixture_weight(server) * (mixed - last), 1e-12)
        server.predict(predictions[t] - 1.0)
        server.update(predictions[t], targets[t])
        twin.update(predictions[t], targets[t])
        assert_same_bits(server.weights, twin.weights)


def test_a_window_of_zero_means_equal_weights_always() -> None:
    predictions, targets = shown(4, 6, 4, 2)
    server = memoa.ServerMixture(4, 2, window=0, total=2.0, fallback=False, rivals=False, start=0)
    for one, y in zip(predictions, targets):
        assert_close(server.predict(one), 2.0 * one.mean(axis=0), 1e-14)
        server.update(one, y)
    assert_same_bits(server.weights, np.full(4, 0.5))


def test_the_number_of_threads_does_not_show() -> None:
    n = 9001
    predictions, targets = shown(5, 9, n, 2)
    engines = [memoa.ServerMixture(n, 2, window=6, n_threads=k) for k in (1, 2, 3, 7)]
    for one, y in zip(predictions, targets):
        mixed = [engine.predict(one) for engine in engines]
        for engine, other in zip(engines, mixed):
            assert_same_bits(other, mixed[0])
            engine.update(one, y)
    for engine in engines[1:]:
        assert_same_bits(engine.weights, engines[0].weights)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("learnt", [0, 2, 7])
@pytest.mark.parametrize("window", [0, 4])
def test_a_copy_goes_on_with_the_same_bits(clone: Any, learnt: int, window: int) -> None:
    predictions, targets = shown(6, 12, 5, 2)
    server = memoa.ServerMixture(5, 2, window=window, decay=0.9)
    for one, y in zip(predictions[:learnt], targets[:learnt]):
        server.update(one, y)
    twin = clone(server)
    assert repr(twin) == repr(server)
    for one, y in zip(predictions[learnt:], targets[learnt:]):
        assert_same_bits(twin.predict(one), server.predict(one))
        server.update(one, y)
        twin.update(one, y)
        assert_same_bits(twin.weights, server.weights)
        assert_same_bits(mixture_weight(twin), mixture_weight(server))


# ---------------------------------------------------------------- the last value as a rival


def follow(server: memoa.ServerMixture, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    forecasts = []
    for one, y in zip(predictions, targets):
        forecasts.append(server.predict(one))
        server.update(one, y)
    return np.array(forecasts)


def walk(seed: int, n: int, n_agents: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A random walk (n, 1), and agents who add noise of a fifth of its steps to its last value."""
    rng = np.random.default_rng(seed)
    y = np.cumsum(rng.normal(size=(n, 1)), axis=0)
    last = np.vstack([np.zeros((1, 1)), y[:-1]])
    return last[:, None] + 0.2 * rng.normal(size=(n, n_agents, 1)), y


def regret_on_a_walk(seed: int, n: int, rivals: bool) -> float:
    """What the server loses against the last value, in mean squared steps."""
    predictions, y = walk(seed, n)
    errors = follow(memoa.ServerMixture(3, rivals=rivals), predictions, y)[1:] - y[1:]
    steps = np.diff(y, axis=0)
    return float((np.sum(errors**2) - np.sum(steps**2)) / np.mean(steps**2))


@given(seeds)
@settings(max_examples=20)
def test_on_a_random_walk_the_regret_against_the_last_value_is_bounded(seed: int) -> None:
    """(6.8), and what the mixture's least weight, bounded by 4 sigma^2 ln n of lead, may cost."""
    assert regret_on_a_walk(seed, 600, False) < 8.0 * np.log(2.0) + 4.0 * np.log(600.0)


@pytest.mark.parametrize(("rivals", "count"), [(False, 2.0), (True, 3.0)])
def test_on_random_walks_the_regret_is_on_average_that_of_a_known_noise(
    rivals: bool, count: float
) -> None:
    found = [regret_on_a_walk(seed, 600, rivals) for seed in range(30)]
    assert np.mean(found) < 8.0 * np.log(count)


@pytest.mark.parametrize("rivals", [False, True])
def test_on_random_walks_the_excess_falls_with_their_length(rivals: bool) -> None:
    excess = []
    for n in (100, 1000, 10000):
        shares = []
        for seed in range(20):
            predictions, y = walk(seed, n, 1)
            error = follow(memoa.ServerMixture(1, rivals=rivals), predictions, y)[1:] - y[1:]
            shares.append(np.mean(error**2) / np.mean(np.diff(y, axis=0) ** 2) - 1.0)
        excess.append(float(np.mean(shares)))
    assert excess[0] > 2.0 * excess[1] > 4.0 * excess[2]


def test_good_agents_are_trusted_and_a_mixture_that_gets_good_comes_back() -> None:
    predictions, y = walk(1, 3000, 2)
    server = memoa.ServerMixture(2, rivals=False, start=0)
    follow(server, predictions[:2000], y[:2000])
    least = 1.0 / (1.0 + np.sqrt(2000.0))
    assert least - 1e-12 <= mixture_weight(server)[0] < 0.1
    exact = y[2000:, None] + np.array([[0.1], [-0.1]])
    errors = follow(server, exact, y[2000:]) - y[2000:]
    assert mixture_weight(server)[0] > 0.999
    assert np.abs(errors[100:]).max() < 0.01


def test_without_fallback_the_forecast_is_the_mixture() -> None:
    predictions, targets = shown(8, 9, 4, 2)
    server = memoa.ServerMixture(4, 2, fallback=False, rivals=False, start=0)
    for one, y in zip(predictions, targets):
        assert_close(server.predict(one), server.weights @ one, 1e-12)
        server.update(one, y)
        assert_same_bits(mixture_weight(server), np.ones(2))


def test_one_of_the_two_may_be_exact() -> None:
    """Without any noise in sight there is nothing to scale by: the exact one gets all."""
    rising, flat = np.arange(6.0)[:, None], np.zeros((6, 1))
    for y, agents, weight in ((rising, rising, 1.0), (flat, flat + 1.0, 0.0), (flat, flat, 0.5)):
        server = memoa.ServerMixture(2, rivals=False, start=0)
        forecasts = follow(server, np.repeat(agents[:, None], 2, axis=1), y)
        assert_same_bits(mixture_weight(server), np.array([weight]))
        assert_same_bits(forecasts[2:], y[2:])


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"window": -1}, ValueError, "window is -1; expected an integer of at least 0"),
        ({"window": 2.5}, TypeError, "window is 2.5 of type float; expected an integer"),
        ({"decay": 0.0}, ValueError, r"decay is 0; expected a number in \(0, 1\]"),
        ({"decay": 1.5}, ValueError, r"decay is 1.5.*; expected a number in \(0, 1\]"),
        ({"decay": np.nan}, ValueError, r"decay is nan; expected a number in \(0, 1\]"),
        ({"ridge": 0.0}, ValueError, "ridge is 0; expected a positive finite number"),
        ({"ridge": "1"}, TypeError, "ridge is '1' of type str; expected a number"),
        ({"total": np.inf}, ValueError, "total is inf; expected a number from -1e100 to 1e100"),
        ({"n_agents": 0}, ValueError, "n_agents is 0; expected an integer of at least 1"),
        ({"n_outputs": 1.0}, TypeError, "n_outputs is 1.0 of type float; expected an integer"),
        ({"n_threads": 0}, ValueError, "n_threads is 0; expected an integer of at least 1"),
    ],
)
def test_bad_settings(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        memoa.ServerMixture(**({"n_agents": 3} | change))
    if set(change) <= {"window", "decay", "ridge", "total"}:
        with pytest.raises(error, match=message):
            memoa.Mixture(**change)


BAD_STEPS = [
    (np.ones((3, 2)), [1.0], ValueError, r"target has shape \(1,\); expected .*\(2,\)"),
    (np.ones((3, 2)), [1.0, np.nan], ValueError, r"target holds nan at \[1\]; expected finite"),
    (np.ones((3, 2)), ["a", "b"], TypeError, "target has dtype <U1; expected float64"),
    (np.ones((2, 2)), [1.0, 1.0], ValueError, r"predictions has shape \(2, 2\); .*\(3, 2\)"),
    (np.ones(6), [1.0, 1.0], ValueError, r"predictions has shape \(6,\); expected .*\(3, 2\)"),
    (np.full((3, 2), np.inf), [1, 1], ValueError, r"predictions holds inf at \[0, 0\]; expected"),
    (np.ones((3, 2), complex), [1, 1], TypeError, "predictions has dtype complex128; expected"),
]


@pytest.mark.parametrize(("predictions", "target", "error", "message"), BAD_STEPS)
def test_a_refused_step_changes_nothing(
    predictions: Any, target: Any, error: type[Exception], message: str
) -> None:
    good, targets = shown(7, 6, 3, 2)
    server, twin = memoa.ServerMixture(3, 2), memoa.ServerMixture(3, 2)
    for t in range(6):
        server.predict(good[t])
        with pytest.raises(error, match=message):
            server.update(predictions, target)
        if message.startswith("pred"):
            with pytest.raises(error, match=message):
                server.predict(predictions)
        server.update(good[t], targets[t])
        twin.update(good[t], targets[t])
        assert_same_bits(server.weights, twin.weights)


@pytest.mark.parametrize(
    ("predictions", "targets", "message"),
    [
        (np.ones((2, 3, 1)), np.ones((3, 1)), r"targets has shape \(3, 1\); expected .*\(2, 1\)"),
        (np.ones((3, 1)), np.ones((1, 1)), r"targets has shape \(1, 1\); expected .*\(1,\)"),
        (np.ones(3), np.ones(1), r"predictions has shape \(3,\); expected \(window, n_agents"),
        (np.ones((0, 3, 1)), np.ones((0, 1)), r"predictions has shape \(0, 3, 1\); expected"),
        (np.full((1, 2, 1), np.nan), np.ones((1, 1)), r"predictions holds nan at \[0, 0, 0\]"),
        (np.ones((1, 2, 1)), [[np.inf]], r"targets holds inf at \[0, 0\]; expected finite"),
    ],
)
def test_mixture_weights_refuses(predictions: Any, targets: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        memoa.mixture_weights(predictions, targets)


def test_settings_are_a_plain_value() -> None:
    settings = memoa.Mixture(window=1, absolute=True)
    assert pickle.loads(pickle.dumps(settings)) == settings != memoa.Mixture()
    with pytest.raises(AttributeError):
        settings.window = 2  # type: ignore[misc]
