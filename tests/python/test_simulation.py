"""simulate: exact if nothing is random, else in distribution, and always the same bits."""

from __future__ import annotations

import math

import numpy as np
import pytest

import memoa
from games import case, to_game
from reference import random_game, random_psd
from reference_simulation import simulate_reference, threefry

MODES = ["empirical", "limit"]


def certain(data):
    data.feature_cov[:] = 0.0
    return data


def test_the_twin_draws_the_published_words():
    """Random123's known answers for threefry4x64-20."""
    ones = (2**64 - 1,) * 4
    assert threefry((0,) * 4, (0,) * 4) == [
        0x09218EBDE6C85537,
        0x55941F5266D86105,
        0x4BD25E16282434DC,
        0xEE29EC846BD2E40B,
    ]
    assert threefry(ones, ones) == [
        0x29C24097942BBA1B,
        0x0371BBFB0F6F4E11,
        0x3C231FFA33F83A1C,
        0xCD29113FDE32D168,
    ]


@pytest.mark.parametrize("d", [1, 2, 3, 5])
@pytest.mark.parametrize("sizes", [(1,), (21,), (9, 14), (5, 3, 300)])
def test_agrees_with_the_slow_twin_draw_for_draw(d, sizes):
    rng = np.random.default_rng(d)
    data = [random_game(rng, d, 3 + k, 3) for k in range(len(sizes))]
    games = [to_game(each) for each in data]
    shares = np.array(sizes) / sum(sizes)
    policies = memoa.solve_mean_field(games, shares=shares)
    mean, cov, seed = rng.normal(size=d), random_psd(rng, d, d), 2**62 + 5
    found = memoa.simulate(
        games, policies, sum(sizes), shares=shares, mean=mean, cov=cov, random_state=seed
    )
    cost, path = simulate_reference(data, policies, found.type_sizes, mean, cov, seed)
    assert found.type_sizes == sizes
    np.testing.assert_allclose(found.cost, cost, rtol=1e-10)
    np.testing.assert_allclose(found.mean_path, path, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(6))
def test_without_noise_every_agent_follows_the_flow(seed, mode):
    data, start = case(seed, largest=6)
    game = to_game(certain(data))
    policy = memoa.solve_mean_field(game)
    start["cov"] = np.zeros_like(start["cov"])
    found = memoa.simulate(game, policy, 300, mean_field=mode, **start)
    np.testing.assert_allclose(found.mean_path, policy.mean_path(start["mean"]), atol=1e-11)
    expected = memoa.certify(game, policy, 300, mean_field=mode, **start).cost
    np.testing.assert_allclose(found.cost, expected, rtol=1e-11)


def test_without_noise_types_follow_their_flow():
    rng = np.random.default_rng(0)
    games = [to_game(certain(random_game(rng, 2, 3 + k, 4))) for k in range(3)]
    shares, mean = [0.5, 0.25, 0.25], rng.normal(size=(3, 2))
    policies = memoa.solve_mean_field(games, shares=shares)
    found = memoa.simulate(
        games, policies, 400, shares=shares, mean=mean, cov=np.zeros((2, 2)), random_state=1
    )
    assert found.type_sizes == (200, 100, 100)
    np.testing.assert_allclose(found.mean_path, policies[0].mean_path(mean.ravel()), atol=1e-11)
    for k, first in enumerate((0, 200, 300)):
        costs = found.cost[first : first + found.type_sizes[k]]
        np.testing.assert_allclose(costs, costs[0], rtol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n_agents", [1, 3, 600])
@pytest.mark.parametrize("seed", [0, 1, 2, 4])
def test_mean_costs_agree_with_the_certificate(seed, n_agents, mode):
    """Runs are independent, agents of a run are not: they share its mean field."""
    data, start = case(seed)
    game = to_game(data)
    policy = memoa.solve_nash(game, n_agents)
    runs = 4000 if n_agents < 10 else 400
    costs = [
        memoa.simulate(game, policy, n_agents, random_state=s, mean_field=mode, **start).mean_cost
        for s in range(runs)
    ]
    expected = memoa.certify(game, policy, n_agents, mean_field=mode, **start).cost
    error = np.std(costs, ddof=1) / math.sqrt(runs)
    assert abs(np.mean(costs) - expected) < 4.0 * error


def test_initial_and_feature_noise_have_the_moments_asked_for():
    """One stage from y_0 ~ N(mu, S) with a constant control: y_1 is Gaussian."""
    rng = np.random.default_rng(2)
    cov, feature_cov = random_psd(rng, 3, 3), random_psd(rng, 2, 3, 3)
    game = memoa.Game(np.zeros((3, 2)), feature_cov, np.zeros(3), effort=1e-9, horizon=1)
    control = np.array([1.0, -2.0])
    policy = memoa.Policy(
        np.zeros((1, 2, 3)),
        np.zeros((1, 2, 3)),
        control[None],
        mean_map=np.eye(3)[None],
        mean_shift=np.zeros((1, 3)),
    )
    total = cov + np.einsum("k,kab->ab", control**2, feature_cov)
    for direction in (np.diag([1.0, 0.0, 0.0]), np.ones((3, 3)), np.diag([0.0, 1.0, 3.0])):
        tracked = memoa.Game(
            np.zeros((3, 2)), feature_cov, np.zeros(3), tracking=direction, effort=1e-9, horizon=1
        )
        found = memoa.simulate(tracked, policy, 400_000, mean=np.zeros(3), cov=cov, random_state=5)
        error = np.std(found.cost) / math.sqrt(len(found.cost))
        assert abs(found.mean_cost - np.trace(direction @ total)) < 4.0 * error
    assert game.horizon == 1


def test_draws_are_standard_normal_into_the_tails():
    """Cost y_1^2 of an agent that starts at N(0, 1) and stays there."""
    game = memoa.Game([[0.0]], [0.0], [0.0], effort=1e-12, horizon=1)
    policy = memoa.solve_myopic(game)
    n = 2_000_000
    square = memoa.simulate(game, policy, n, mean=[0.0], cov=[[1.0]], random_state=3).cost
    for power, moment in ((1, 1.0), (2, 3.0), (3, 15.0)):
        sample = square**power
        assert abs(sample.mean() - moment) < 4.5 * sample.std() / math.sqrt(n)
    for edge in (0.01, 0.1, 0.5, 1.0, 2.0, 3.0, 4.0, 4.5, 5.0):
        chance = math.erfc(edge / math.sqrt(2.0))
        error = math.sqrt(chance * (1.0 - chance) / n)
        assert abs((square > edge**2).mean() - chance) < 4.5 * error


@pytest.mark.parametrize("n_agents", [1, 255, 257, 5000])
@pytest.mark.parametrize("d", [1, 3])
def test_same_bits_for_any_number_of_threads(d, n_agents):
    rng = np.random.default_rng(d)
    games = [to_game(random_game(rng, d, 4, 5)) for _ in range(2 if n_agents > 1 else 1)]
    shares = [0.3, 0.7][-len(games) :] if len(games) == 2 else [1.0]
    policies = memoa.solve_mean_field(games, shares=shares)
    start = {
        "mean": rng.normal(size=d),
        "cov": random_psd(rng, d, d),
        "shares": shares,
        "random_state": 9,
    }
    one = memoa.simulate(games, policies, n_agents, n_threads=1, **start)
    for threads in (2, 3, 7):
        many = memoa.simulate(games, policies, n_agents, n_threads=threads, **start)
        assert np.array_equal(one.cost, many.cost)
        assert np.array_equal(one.mean_path, many.mean_path)
        assert (one.mean_cost, one.worst_agent) == (many.mean_cost, many.worst_agent)


def test_an_agent_draws_the_same_in_any_population():
    data, start = case(2)
    data.coupling[:] = data.mean_transition[:] = 0.0
    game = to_game(data)
    policy = memoa.solve_mean_field(game)
    few = memoa.simulate(game, policy, 11, **start, random_state=4)
    many = memoa.simulate(game, policy, 3000, **start, random_state=4)
    np.testing.assert_allclose(few.cost, many.cost[:11], rtol=1e-13)
    other = memoa.simulate(game, policy, 11, **start, random_state=5)
    assert not np.any(few.cost == other.cost)


def test_summary():
    data, start = case(1)
    game = to_game(data)
    found = memoa.simulate(game, memoa.solve_mean_field(game), 1000, **start)
    assert found.worst_agent == np.argmax(found.cost)
    assert found.worst_cost == found.cost.max()
    assert found.mean_cost == pytest.approx(found.cost.mean(), rel=1e-13)
    assert found.mean_path.shape == (game.horizon + 1, 2)
    assert repr(found).startswith("Simulation(n_agents=1000, horizon=2, mean_cost=")
    with pytest.raises(ValueError, match="read-only"):
        found.cost[0] = 0.0


def test_shares_become_whole_agents():
    game = to_game(case(0)[0])
    for n_agents, shares, sizes in (
        (10, [0.3, 0.3, 0.4], (3, 3, 4)),
        (10, [1 / 3, 1 / 3, 1 / 3], (4, 3, 3)),
        (7, [0.5, 0.25, 0.25], (3, 2, 2)),
    ):
        policies = memoa.solve_mean_field([game] * 3, shares=shares)
        found = memoa.simulate(
            [game] * 3, policies, n_agents, shares=shares, mean=[0.0], cov=[[1.0]]
        )
        assert found.type_sizes == sizes


def test_bad_input():
    data, start = case(1)
    game = to_game(data)
    policy = memoa.solve_mean_field(game)
    pair = memoa.solve_mean_field([game, game])
    with pytest.raises(ValueError, match=r"shares sum to 0\.9"):
        memoa.simulate([game, game], pair, 10, shares=[0.5, 0.4], **start)
    with pytest.raises(ValueError, match="leaves type 1 without an agent"):
        memoa.simulate([game, game], pair, 1, **start)
    with pytest.raises(ValueError, match="policy holds 1 policies; expected 2"):
        memoa.simulate([game, game], [policy], 10, **start)
    with pytest.raises(ValueError, match="policy acts on a mean field of 4 numbers; expected 2"):
        memoa.simulate(game, pair[0], 10, **start)
    with pytest.raises(ValueError, match="cov is not symmetric"):
        memoa.simulate(game, policy, 10, mean=start["mean"], cov=[[1.0, 0.2], [0.0, 1.0]])
    with pytest.raises(ValueError, match="random_state is -1"):
        memoa.simulate(game, policy, 10, random_state=-1, **start)
    with pytest.raises(ValueError, match="random_state"):
        memoa.simulate(game, policy, 10, random_state=2**64, **start)
    with pytest.raises(TypeError, match="policy holds a Game"):
        memoa.simulate(game, [game], 10, **start)
    with pytest.raises(ValueError, match=r"games\[1\] has \(horizon, n_outputs\)"):
        memoa.simulate([game, to_game(case(2)[0])], pair, 10, **start)
    wild = memoa.Game([[1.0]], [0.0], [1.0], transition=1e200, horizon=4)
    calm = memoa.solve_myopic(memoa.Game([[1.0]], [0.0], [1.0], horizon=4))
    with pytest.raises(memoa.NumericalError, match="overflowed"):
        memoa.simulate(wild, calm, 10, mean=[1.0], cov=[[1.0]])
