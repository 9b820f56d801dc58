"""solve_nash, solve_social_optimum and solve_myopic against their twins, limits and symmetries."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memoa
from games import assert_same_policy, case, coefficients_of, to_game
from reference_nash import mean_path, solve_nash_reference
from reference_social import myopic_reference, social_cost, solve_social_reference
from reference_stack import stack_policy, stack_social

SIZES = [1, 2, 3, 7, 1000, 10**6, 10**9]


@pytest.mark.parametrize("n_agents", SIZES)
@pytest.mark.parametrize("seed", range(12))
def test_nash_equals_the_slow_recursion(seed, n_agents):
    data, start = case(seed, largest=6)
    policy, expected = (
        memoa.solve_nash(to_game(data), n_agents),
        solve_nash_reference(data, n_agents),
    )
    assert_same_policy(policy, expected)
    assert policy.rcond == pytest.approx(expected.rcond, rel=1e-10)
    np.testing.assert_allclose(
        policy.mean_path(start["mean"]), mean_path(data, expected, start["mean"]), atol=1e-11
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_nash_tends_to_the_mean_field_at_rate_one_over_n(seed):
    game = to_game(case(seed)[0])
    limit = memoa.solve_mean_field(game)
    gaps = [
        max(
            n * np.abs(a - b).max()
            for a, b in zip(coefficients_of(memoa.solve_nash(game, n)), coefficients_of(limit))
        )
        for n in (10**4, 10**6)
    ]
    assert gaps[1] == pytest.approx(gaps[0], rel=0.05, abs=1e-8)


def test_one_agent_gets_its_linear_quadratic_optimum():
    """With N = 1 the mean is the agent: the planner's problem, and no coupling to anybody."""
    data, start = case(4)
    game = to_game(data)
    nash, planner = memoa.solve_nash(game, 1), memoa.solve_social_optimum(game, 1)
    np.testing.assert_allclose(
        nash.gain + nash.mean_gain, planner.gain + planner.mean_gain, atol=1e-12
    )
    np.testing.assert_allclose(nash.offset, planner.offset, atol=1e-12)
    cost = memoa.certify(game, nash, 1, **start).cost
    assert cost == pytest.approx(memoa.certify(game, planner, 1, **start).cost, rel=1e-12)


def one_stage(coupling):
    return memoa.Game([[1.0]], [0.0], [1.0], coupling=coupling, effort=0.5, horizon=1)


def test_singular_stage_is_named():
    """By hand, with M = Q = 1, C = 0, g = 1/2, N = 4: both systems are singular at some G."""
    for coupling in (2.0, 3.0):
        with pytest.raises(memoa.NumericalError, match="stage 0: the linear system of the agents"):
            memoa.solve_nash(one_stage(coupling), 4)


@pytest.mark.parametrize("share", np.linspace(0.34, 0.9, 50))
def test_a_stage_that_is_but_rounding_is_singular(share):
    """With M = Q = 1, C = 0, N = 3 and s = G/N, I + n K2 F is 0 at g = (1-s)(3s-1). (3.6)"""
    effort = (1.0 - share) * (3.0 * share - 1.0)
    game = memoa.Game([[1.0]], [0.0], [1.0], coupling=3.0 * share, effort=effort, horizon=1)
    with pytest.raises(memoa.NumericalError, match="stage 0: the linear system of the agents"):
        memoa.solve_nash(game, 3)


@pytest.mark.parametrize("n_agents", [1, 2, 5, 100, math.inf])
@pytest.mark.parametrize("seed", range(8))
def test_social_optimum_equals_the_slow_recursion(seed, n_agents):
    data, start = case(seed, largest=6)
    policy = memoa.solve_social_optimum(to_game(data), n_agents)
    expected = solve_social_reference(data, n_agents)
    assert_same_policy(policy, expected)
    np.testing.assert_allclose(
        policy.mean_path(start["mean"]), mean_path(data, expected, start["mean"]), atol=1e-11
    )


@pytest.mark.parametrize("n_agents", [2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(4))
def test_social_optimum_is_one_controller_of_all(seed, n_agents):
    data, start = case(seed, largest=3)
    policy = memoa.solve_social_optimum(to_game(data), n_agents)
    brute, _ = stack_social(data, n_agents)
    np.testing.assert_allclose(stack_policy(policy, n_agents), brute, atol=1e-11)
    expected = social_cost(solve_social_reference(data, n_agents), n_agents, **start)
    assert memoa.certify(to_game(data), policy, n_agents, **start).cost == pytest.approx(
        expected, rel=1e-12
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n_agents=st.integers(1, 50))
def test_no_policy_costs_less_than_the_social_optimum(seed, n_agents):
    data, start = case(seed)
    game = to_game(data)
    best = memoa.certify(game, memoa.solve_social_optimum(game, n_agents), n_agents, **start).cost
    for other in (
        memoa.solve_nash(game, n_agents),
        memoa.solve_mean_field(game),
        memoa.solve_myopic(game),
    ):
        assert memoa.certify(game, other, n_agents, **start).cost >= best * (1.0 - 1e-12)


def test_without_coupling_nash_is_the_optimum():
    data, _ = case(8)
    alone = to_game(
        replace(data, coupling=0 * data.coupling, mean_transition=0 * data.mean_transition)
    )
    for n_agents in (2, 50):
        assert_same_policy(
            memoa.solve_nash(alone, n_agents), memoa.solve_social_optimum(alone, n_agents)
        )


@pytest.mark.parametrize("seed", range(6))
def test_myopic_equals_its_definition(seed):
    data, start = case(seed, largest=6)
    policy, expected = memoa.solve_myopic(to_game(data)), myopic_reference(data)
    assert_same_policy(policy, expected)
    np.testing.assert_allclose(
        policy.mean_path(start["mean"]), mean_path(data, expected, start["mean"]), atol=1e-11
    )


def test_a_last_stage_without_coupling_is_myopic():
    data, _ = case(3)
    game = to_game(replace(data, coupling=0 * data.coupling))
    for got, want in zip(
        coefficients_of(memoa.solve_mean_field(game)), coefficients_of(memoa.solve_myopic(game))
    ):
        np.testing.assert_allclose(got[-1], want[-1], atol=1e-12)


@pytest.mark.parametrize("solve", [memoa.solve_nash, memoa.solve_social_optimum])
def test_bad_agents(solve):
    game = one_stage(0.5)
    with pytest.raises(ValueError, match="n_agents is 0; expected an integer of at least 1"):
        solve(game, 0)
    for wrong in (2.5, True, "3", math.nan):
        with pytest.raises(TypeError, match="n_agents"):
            solve(game, wrong)
    with pytest.raises(TypeError, match="game is a int; expected a Game"):
        solve(3, 2)


def test_indefinite_tracking_is_refused():
    with pytest.raises(ValueError, match="tracking has a negative eigenvalue"):
        memoa.Game([[1.0]], [0.0], [1.0], tracking=-1.0, horizon=2)


def test_games_of_different_horizons_are_no_types():
    one, other = one_stage(0.5), memoa.Game([[1.0]], [0.0], [1.0], horizon=2)
    with pytest.raises(ValueError, match=r"games\[1\] has \(horizon, n_outputs\) = \(2, 1\)"):
        memoa.solve_mean_field([one, other])


def test_overflow_is_an_error():
    game = memoa.Game([[1.0]], [1e-300], [1.0], transition=1e200, horizon=4)
    with pytest.raises(memoa.NumericalError, match="overflowed"):
        memoa.solve_nash(game, 5)
