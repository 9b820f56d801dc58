"""certify against its slow twin, and the theorems about exploitability as numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memoa
from games import case, to_game
from reference_nash import SymmetricPolicy, certify_reference

MODES = ["empirical", "limit"]


def random_policy(rng, data):
    """A policy that is no equilibrium of anything, with its true flow."""
    horizon, d, p = data.feature_mean.shape
    gain, mean_gain = 0.3 * rng.normal(size=(2, horizon, p, d))
    offset = rng.normal(size=(horizon, p))
    motion = data.transition + data.mean_transition + data.feature_mean @ (gain + mean_gain)
    shift = data.drift + np.einsum("tdp,tp->td", data.feature_mean, offset)
    policy = memoa.Policy(gain, mean_gain, offset, mean_map=motion, mean_shift=shift)
    return policy, SymmetricPolicy(gain, mean_gain, offset)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n_agents", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("seed", range(8))
def test_equals_the_slow_recursion(seed, n_agents, mode):
    data, start = case(seed, largest=6)
    game = to_game(data)
    policy, twin = random_policy(np.random.default_rng(seed), data)
    got = memoa.certify(game, policy, n_agents, mean_field=mode, **start)
    want = certify_reference(data, twin, n_agents, start["mean"], start["cov"], mode)
    assert got.cost == pytest.approx(want["cost"], rel=1e-12)
    assert got.best_response_cost == pytest.approx(want["best_response_cost"], rel=1e-12)
    assert got.exploitability == pytest.approx(want["exploitability"], abs=1e-12 * got.cost)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n_agents=st.sampled_from([1, 2, 5, 10**3, 10**6, 10**9]))
def test_nobody_can_gain_in_the_exact_nash(seed, n_agents):
    data, start = case(seed)
    game = to_game(data)
    found = memoa.certify(game, memoa.solve_nash(game, n_agents), n_agents, **start)
    assert 0.0 <= found.exploitability <= 1e-20 * found.cost


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n_agents", [1, 2, 5, 100, 10**5, 10**9])
def test_exploitability_is_never_negative(n_agents, mode):
    """(5.2) of two costs that share nothing but the game, and (5.3), which must be the same."""
    for seed in range(60):
        data, start = case(seed)
        game = to_game(data)
        random, _ = random_policy(np.random.default_rng(seed), data)
        for policy in (
            random,
            memoa.solve_mean_field(game),
            memoa.solve_nash(game, n_agents),
            memoa.solve_social_optimum(game, n_agents),
            memoa.solve_myopic(game),
        ):
            found = memoa.certify(game, policy, n_agents, mean_field=mode, **start)
            rounding = 1e-13 * abs(found.cost)
            difference = found.cost - found.best_response_cost
            assert difference >= -rounding
            assert found.exploitability >= -rounding
            assert abs(difference - found.exploitability) <= rounding


@pytest.mark.parametrize(("mode", "power"), [("empirical", 2), ("limit", 1)])
@pytest.mark.parametrize("seed", range(4))
def test_exploitability_of_the_mean_field_law_falls(seed, mode, power):
    """As 1/N^2 on the empirical mean, as 1/N on the precomputed flow."""
    data, start = case(seed + 1)
    game = to_game(data)
    policy = memoa.solve_mean_field(game)
    scaled = [
        n**power * memoa.certify(game, policy, n, mean_field=mode, **start).exploitability
        for n in (10**3, 10**6, 10**9)
    ]
    assert scaled[1] == pytest.approx(scaled[0], rel=0.05)
    assert scaled[2] == pytest.approx(scaled[1], rel=1e-4)


def test_a_certain_start_needs_no_communication():
    """Without noise nobody's prediction leaves the flow: both policies cost the same."""
    data, start = case(3)
    data.feature_cov[:] = 0.0
    game, policy = to_game(data), memoa.solve_mean_field(to_game(data))
    start["cov"] = np.zeros_like(start["cov"])
    costs = [memoa.certify(game, policy, 50, mean_field=mode, **start).cost for mode in MODES]
    assert costs[0] == pytest.approx(costs[1], rel=1e-12)


def test_bad_input():
    data, start = case(1)
    game = to_game(data)
    policy = memoa.solve_mean_field(game)
    with pytest.raises(ValueError, match="cov is not symmetric"):
        memoa.certify(game, policy, 5, mean=start["mean"], cov=[[1.0, 0.5], [0.0, 1.0]])
    with pytest.raises(ValueError, match="cov has a negative eigenvalue"):
        memoa.certify(game, policy, 5, mean=start["mean"], cov=-np.eye(2))
    with pytest.raises(
        ValueError, match=r"mean has shape \(3,\); expected \(n_outputs,\) = \(2,\)"
    ):
        memoa.certify(game, policy, 5, mean=np.zeros(3), cov=np.eye(2))
    with pytest.raises(ValueError, match=r"mean holds .*nan at \[1\]"):
        memoa.certify(game, policy, 5, mean=[0.0, np.nan], cov=np.eye(2))
    with pytest.raises(ValueError, match="n_agents is 0"):
        memoa.certify(game, policy, 0, **start)
    with pytest.raises(ValueError, match="mean_field is 'both'; expected one of"):
        memoa.certify(game, policy, 5, mean_field="both", **start)
    types = memoa.solve_mean_field([game, game])
    with pytest.raises(ValueError, match="policy acts on a mean field of 4 numbers; expected 2"):
        memoa.certify(game, types[0], 5, **start)
    with pytest.raises(ValueError, match="policy has .*expected those of its game"):
        memoa.certify(to_game(case(6)[0]), policy, 5, mean=[0.0, 0.0], cov=np.eye(2))
    with pytest.raises(TypeError, match="policy is a Game"):
        memoa.certify(game, game, 5, **start)
