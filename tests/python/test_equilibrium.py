"""solve_mean_field against the slow recursion, identities, limits and symmetries."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import memoa
from helpers import assert_close, assert_same_bits, seeds, to_game
from reference import GameData, PolicyData, random_game, second_moment
from reference import solve_mean_field as slow_solve

FIELDS = ("gain", "mean_gain", "offset", "mean_map", "mean_shift")
outputs, features, horizons = st.integers(1, 5), st.integers(1, 8), st.integers(1, 12)


def assert_policy(actual: memoa.Policy, expected: PolicyData, rtol: float = 1e-10) -> None:
    for name in FIELDS:
        assert_close(getattr(actual, name), getattr(expected, name), rtol)
    assert actual.rcond == pytest.approx(expected.rcond, rel=1e-6)


def scalar_game(**change: Any) -> memoa.Game:
    arguments = {"feature_mean": [[1.0]], "feature_cov": [0.0], "target": [1.0]}
    return memoa.Game(**(arguments | change))


# ---------------------------------------------------------------- against the oracle


@given(seeds, outputs, features, horizons)
def test_one_type_agrees_with_the_reference(seed: int, d: int, p: int, horizon: int) -> None:
    data = random_game(np.random.default_rng(seed), d, p, horizon)
    (expected,) = slow_solve([data], np.ones(1))
    assume(expected.rcond > 1e-4)
    assert_policy(memoa.solve_mean_field(to_game(data)), expected)


@given(seeds, outputs, st.lists(features, min_size=1, max_size=3), horizons)
def test_types_agree_with_the_reference(seed: int, d: int, widths: list[int], horizon: int) -> None:
    rng = np.random.default_rng(seed)
    games = [random_game(rng, d, p, horizon) for p in widths]
    shares = rng.dirichlet(np.ones(len(widths)) * 3.0)
    expected = slow_solve(games, shares)
    assume(expected[0].rcond > 1e-4)
    policies = memoa.solve_mean_field([to_game(g) for g in games], shares=shares)
    assert [policy.n_features for policy in policies] == widths
    for policy, reference in zip(policies, expected):
        assert_policy(policy, reference)


@given(seeds, st.integers(1, 4), st.integers(1, 12), st.floats(0.0, 1.0))
def test_the_mean_value_is_a_parallel_sum(seed: int, d: int, horizon: int, coupling: float) -> None:
    """Theory (3.5), and the same algebra for the flow: m+ = (U + K + L)^-1 U A m + ..."""
    rng = np.random.default_rng(seed)
    data = random_game(rng, d, d + 3, horizon)
    data.coupling = coupling * np.eye(d)
    data.mean_transition = np.zeros_like(data.mean_transition)
    (slow,) = slow_solve([data], np.ones(1))
    policy = memoa.solve_mean_field(to_game(data))
    later = [*slow.values[1:], (np.zeros((d, d)), np.zeros((d, d)), np.zeros(d))]
    rcond = 1.0
    for t, (l1, l2, _) in enumerate(later):
        w, mean, a = data.weights[t], data.feature_mean[t], data.transition[t]
        big_k, big_l = l1 + w * data.tracking, l2 - w * data.tracking @ data.coupling
        r = second_moment(mean, data.feature_cov[t], big_k) + w * data.effort * np.eye(d + 3)
        f = mean @ np.linalg.solve(r, mean.T)
        assume(np.linalg.cond(f) < 1e5)
        u = np.linalg.inv(f) - big_k
        joint = u + big_k + big_l
        l1_now, l2_now, _ = slow.values[t]
        parallel = a.T @ u @ np.linalg.solve(joint, big_k + big_l) @ a
        scale = np.abs(l1_now).max() + np.abs(l2_now).max()
        np.testing.assert_allclose(l1_now + l2_now, parallel, rtol=0.0, atol=1e-8 * scale)
        assert np.linalg.eigvals(l1_now + l2_now).real.min() > -1e-9
        assert_close(policy.mean_map[t], np.linalg.solve(joint, u @ a), 1e-7)
        rcond = min(rcond, 1.0 / np.linalg.cond(np.eye(d) + f @ big_l, 1))
    assert policy.rcond == pytest.approx(rcond, rel=1e-5)


# ---------------------------------------------------------------- limits and symmetries


def plain_riccati(data: GameData) -> tuple[np.ndarray, np.ndarray]:
    """Gain and offset of one agent alone, by completing the square stage by stage."""
    horizon, d = data.target.shape
    value, linear = np.zeros((d, d)), np.zeros(d)
    gains, offsets = [], []
    for t in reversed(range(horizon)):
        w, mean, a = data.weights[t], data.feature_mean[t], data.transition[t]
        after = value + w * data.tracking
        after_linear = linear - w * data.tracking @ data.target[t]
        r = second_moment(mean, data.feature_cov[t], after)
        r += w * data.effort * np.eye(mean.shape[1])
        gain = -np.linalg.solve(r, mean.T @ after @ a)
        offset = -np.linalg.solve(r, mean.T @ (after @ data.drift[t] + after_linear))
        closed = a + mean @ gain
        value = a.T @ after @ closed
        linear = closed.T @ (after @ data.drift[t] + after_linear)
        gains.append(gain)
        offsets.append(offset)
    return np.array(gains[::-1]), np.array(offsets[::-1])


@given(seeds, outputs, features, horizons)
def test_without_coupling_every_agent_solves_its_own_problem(
    seed: int, d: int, p: int, horizon: int
) -> None:
    data = random_game(np.random.default_rng(seed), d, p, horizon)
    data.coupling = np.zeros((d, d))
    data.mean_transition = np.zeros_like(data.mean_transition)
    policy = memoa.solve_mean_field(to_game(data))
    gain, offset = plain_riccati(data)
    assert np.all(policy.mean_gain == 0.0)
    assert policy.rcond == 1.0
    assert_close(policy.gain, gain, 1e-9)
    assert_close(policy.offset, offset, 1e-9)


def test_the_golden_ratio() -> None:
    policy = memoa.solve_mean_field(scalar_game(horizon=60))
    golden = (1.0 + np.sqrt(5.0)) / 2.0
    assert policy.gain[0, 0, 0] == pytest.approx(-1.0 / golden, rel=1e-14)
    assert policy.mean_map[0, 0, 0] == pytest.approx(1.0 - 1.0 / golden, rel=1e-14)


def test_a_coupling_of_one_without_a_target_keeps_the_mean() -> None:
    """Everybody tracks the mean alone: it has no reason to move, and agents approach it."""
    game = scalar_game(target=[0.0], coupling=1.0, horizon=10)
    policy = memoa.solve_mean_field(game)
    np.testing.assert_allclose(policy.mean_path([3.0]), np.full((11, 1), 3.0), rtol=1e-14)
    np.testing.assert_allclose(policy.gain[..., 0], -policy.mean_gain[..., 0], rtol=1e-14)
    assert np.all(policy.gain < 0.0)


@given(seeds, st.integers(1, 3), features, st.integers(2, 4))
def test_identical_types_play_the_one_type_policy(seed: int, d: int, p: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    data = random_game(rng, d, p, 6)
    shares = rng.dirichlet(np.ones(k) * 3.0)
    single = memoa.solve_mean_field(to_game(data))
    assume(single.rcond > 1e-4)
    for policy in memoa.solve_mean_field([to_game(data)] * k, shares=shares):
        assert_close(policy.gain, single.gain, 1e-9)
        assert_close(policy.offset, single.offset, 1e-9)
        blocks = policy.mean_gain.reshape(6, p, k, d)
        assert_close(blocks.sum(axis=2), single.mean_gain, 1e-9)
        for j, share in enumerate(shares):
            assert_close(blocks[:, :, j], share * single.mean_gain, 1e-8)


def test_default_shares_are_equal() -> None:
    games = [to_game(random_game(np.random.default_rng(s), 2, 3, 4)) for s in range(2)]
    default = memoa.solve_mean_field(games)
    for one, other in zip(default, memoa.solve_mean_field(games, shares=[0.5, 0.5])):
        assert_same_bits(one.mean_gain, other.mean_gain)
    assert isinstance(memoa.solve_mean_field(games[:1]), tuple)


# ---------------------------------------------------------------- the policy as a value


@given(seeds, st.integers(1, 3), st.integers(1, 3), horizons)
def test_mean_path_is_the_closed_loop_of_the_means(seed: int, d: int, k: int, horizon: int) -> None:
    rng = np.random.default_rng(seed)
    games = [random_game(rng, d, int(p), horizon) for p in rng.integers(1, 6, size=k)]
    shares = rng.dirichlet(np.ones(k) * 3.0)
    policies = memoa.solve_mean_field([to_game(g) for g in games], shares=shares)
    assume(policies[0].rcond > 1e-4)
    m0 = rng.normal(size=k * d)
    path = [m0]
    for t in range(horizon):
        means, average = path[-1].reshape(k, d), shares @ path[-1].reshape(k, d)
        after = [
            game.transition[t] @ m
            + game.mean_transition[t] @ average
            + game.drift[t]
            + game.feature_mean[t] @ policy.act(t, m[None], path[-1])[0]
            for game, policy, m in zip(games, policies, means)
        ]
        path.append(np.concatenate(after))
    for policy in policies:
        assert_close(policy.mean_path(m0), path, 1e-8)


def test_act_is_the_affine_law_for_any_number_of_agents() -> None:
    policy = memoa.solve_mean_field(to_game(random_game(np.random.default_rng(3), 2, 4, 3)))
    rng = np.random.default_rng(4)
    states, mean = rng.normal(size=(7, 2)), rng.normal(size=2)
    for t in range(3):
        control = policy.act(t, states, mean)
        expected = states @ policy.gain[t].T + policy.mean_gain[t] @ mean + policy.offset[t]
        assert_close(control, expected, 1e-13)
        for state, one in zip(states, control):
            assert_close(policy.act(t, state[None], mean), one[None], 1e-14)


def test_a_policy_is_immutable_and_copies_hold_the_same_bits() -> None:
    policy = memoa.solve_mean_field(to_game(random_game(np.random.default_rng(5), 2, 3, 4)))
    assert (policy.horizon, policy.n_outputs, policy.n_features) == (4, 2, 3)
    assert repr(policy).startswith("Policy(horizon=4, n_outputs=2, n_features=3, rcond=")
    for twin in (copy.deepcopy(policy), pickle.loads(pickle.dumps(policy))):
        for name in FIELDS:
            assert_same_bits(getattr(twin, name), getattr(policy, name))
            with pytest.raises(ValueError, match="read-only"):
                getattr(twin, name)[...] = 0.0
        assert twin.rcond == policy.rcond
    with pytest.raises(AttributeError):
        policy.rcond = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("layout", ["float32", "fortran", "strided", "read-only", "int8"])
def test_the_layout_of_the_input_does_not_matter(layout: str) -> None:
    rng = np.random.default_rng(6)
    mean = rng.integers(-3, 4, size=(3, 2, 4)).astype(float)
    states = rng.integers(-3, 4, size=(5, 2)).astype(float)

    def laid_out(array: np.ndarray) -> np.ndarray:
        if layout == "fortran":
            return np.asfortranarray(array)
        if layout == "strided":
            return np.repeat(array, 2, axis=-1)[..., ::2]
        if layout == "read-only":
            array = array.copy()
            array.setflags(write=False)
            return array
        return array.astype(layout)

    def solve(change: Any) -> tuple[memoa.Policy, np.ndarray]:
        game = memoa.Game(change(mean), np.zeros((4, 2, 2)), [1.0, 2.0], coupling=0.5)
        policy = memoa.solve_mean_field(game)
        return policy, policy.act(1, change(states), change(states[0]))

    (plain, expected), (policy, control) = solve(lambda array: array), solve(laid_out)
    assert_same_bits(policy.gain, plain.gain)
    assert_same_bits(control, expected)
