"""solve_centralized_nash against brute force in N p unknowns, and against solve_nash."""

from __future__ import annotations

import numpy as np
import pytest

import memoa
from games import case, to_game, to_players
from reference import GameData, random_game
from reference_social import relu_moments
from reference_stack import Server, centralized_nash_reference


def assert_equals_brute_force(players, games, server=None):
    gain, offset, _ = centralized_nash_reference(games, server)
    policy = memoa.solve_centralized_nash(players)
    for got, want in ((policy.gain, gain), (policy.offset, offset)):
        scale = max(1.0, np.abs(want).max())
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12 * scale)


def different_games(seed):
    rng = np.random.default_rng(100 + seed)
    d, p, horizon, n = 1 + seed % 3, 1 + seed % 4, 1 + seed % 5, 1 + seed % 4
    return rng, [random_game(rng, d, p, horizon) for _ in range(n)]


@pytest.mark.parametrize("seed", range(12))
def test_different_players(seed):
    _, games = different_games(seed)
    assert_equals_brute_force(to_players(games), games)


@pytest.mark.parametrize("seed", range(12))
def test_different_players_with_a_server(seed):
    rng, games = different_games(seed)
    horizon, d = games[0].target.shape
    server = Server(rng.normal(size=(horizon, len(games))), 0.7, rng.normal(size=(horizon, d)))
    players = to_players(
        games, server_weights=server.weights, server_tracking=0.7, server_target=server.target
    )
    assert_equals_brute_force(players, games, server)


@pytest.mark.parametrize("n_agents", [1, 2, 3, 9])
@pytest.mark.parametrize("seed", range(8))
def test_identical_players_are_the_exact_nash(seed, n_agents):
    data, _ = case(seed, largest=4)
    d = data.target.shape[1]
    stacked = memoa.solve_centralized_nash(to_players([data] * n_agents))
    exact = memoa.solve_nash(to_game(data), n_agents)
    own = exact.gain + exact.mean_gain / n_agents
    other = exact.mean_gain / n_agents
    for i in range(n_agents):
        blocks = stacked.gain[:, i].reshape(*other.shape[:2], n_agents, d)
        for j in range(n_agents):
            np.testing.assert_allclose(blocks[:, :, j], own if i == j else other, atol=1e-10)
        np.testing.assert_allclose(stacked.offset[:, i], exact.offset, atol=1e-10)


def test_the_predecessors_game():
    """arXiv:2505.00216: ReLU random features, d = 1, server cost alone, discount rate 0."""
    rng = np.random.default_rng(0)
    n, horizon, p, effort = 4, 3, 5, 0.3
    pre, sigma = rng.normal(size=(n, horizon, 1, p)), rng.uniform(0.2, 1.0, size=(n, 1, 1, 1))
    moments = [
        memoa.feature_moments(activation="relu", mean=pre[i], std=sigma[i]) for i in range(n)
    ]
    weights, target = rng.normal(size=n), rng.normal(size=(horizon, 1))
    players = memoa.NPlayerGame(
        np.array([m.mean for m in moments]),
        np.array([m.cov for m in moments]),
        target,
        tracking=0.0,
        effort=effort,
        server_weights=weights,
        server_tracking=1.0,
    )
    mean, variance = relu_moments(pre[:, :, 0], sigma[:, 0])
    ones, zeros = np.ones((horizon, 1, 1)), np.zeros((horizon, 1, 1))
    games = [
        GameData(
            mean[i][:, None],
            variance[i][:, :, None, None],
            target,
            np.zeros((1, 1)),
            np.zeros((1, 1)),
            effort,
            np.ones(horizon),
            ones,
            zeros,
            zeros[:, 0],
        )
        for i in range(n)
    ]
    assert_equals_brute_force(players, games, Server(np.tile(weights, (horizon, 1)), 1.0, target))
    gain, offset = predecessor(mean, variance, weights, target[:, 0], effort)
    policy = memoa.solve_centralized_nash(players)
    np.testing.assert_allclose(policy.gain, gain, atol=1e-12)
    np.testing.assert_allclose(policy.offset, offset, atol=1e-12)


def predecessor(mean, variance, weights, target, effort):
    """Its own recursion in N p unknowns, with the blocks of (N, N, p, p) put where they belong."""
    n, horizon, p = mean.shape
    w, values, shifts = weights[:, None], [np.zeros((n, n))] * n, [np.zeros((n, 1))] * n
    gains, offsets = np.zeros((horizon, n, p, n)), np.zeros((horizon, n, p))
    for t in reversed(range(horizon)):
        second = np.einsum("ik,jl->ikjl", mean[:, t], mean[:, t])
        for i in range(n):
            second[i, :, i] += np.diag(variance[i, t])

        def weigh(block, second=second):
            return np.einsum("ij,ikjl->ikjl", block, second).reshape(n * p, n * p)

        inputs = np.kron(np.eye(n), np.ones((1, p))) * mean[:, t].ravel()
        own_rows = np.array([value[i] for i, value in enumerate(values)])
        own_shift = np.array([shift[i] for i, shift in enumerate(shifts)])
        head = effort * np.eye(n * p) + weigh(own_rows) + weigh(w @ w.T)
        gain = -np.linalg.solve(head, inputs.T @ (w @ w.T + own_rows))
        offset = np.linalg.solve(head, inputs.T @ (w * target[t] - own_shift))
        gains[t], offsets[t] = gain.reshape(n, p, n), offset.reshape(n, p)
        for i in range(n):
            price = np.kron(np.diag(np.arange(n) == i), effort * np.eye(p))
            middle, outer = weigh(w @ w.T) + weigh(values[i]) + price, w @ w.T + values[i]
            linear = shifts[i] - w * target[t]
            shifts[i] = (
                gain.T @ middle @ offset + outer @ inputs @ offset + gain.T @ inputs.T @ linear
            ) + linear
            values[i] = (
                gain.T @ middle @ gain + outer @ inputs @ gain + gain.T @ inputs.T @ outer + outer
            )
    return gains, offsets


@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_same_bits_for_any_number_of_threads(n_threads):
    rng = np.random.default_rng(1)
    players = to_players([random_game(rng, 2, 3, 4) for _ in range(23)])
    one = memoa.solve_centralized_nash(players, n_threads=1)
    many = memoa.solve_centralized_nash(players, n_threads=n_threads)
    assert np.array_equal(one.gain, many.gain)
    assert np.array_equal(one.offset, many.offset)


def test_types_of_agents_tend_to_the_mean_field():
    """Two types, half and half: gaps to the stacked N-player gains fall as 1/N."""
    rng = np.random.default_rng(3)
    data = [random_game(rng, 2, 3, 4) for _ in range(2)]
    policies = memoa.solve_mean_field([to_game(one) for one in data], shares=[0.5, 0.5])
    scaled = []
    for n in (8, 16, 32):
        stacked = memoa.solve_centralized_nash(to_players([data[i % 2] for i in range(n)]))
        gap = 0.0
        for i, policy in enumerate(policies):
            blocks = stacked.gain[:, i].reshape(4, 3, n, 2)
            on_types = np.stack([blocks[:, :, j::2].sum(axis=2) for j in (0, 1)], axis=2)
            expected = policy.mean_gain.reshape(4, 3, 2, 2).copy()
            expected[:, :, i] += policy.gain
            gap = max(gap, np.abs(on_types - expected).max())
            gap = max(gap, np.abs(stacked.offset[:, i] - policy.offset).max())
        scaled.append(n * gap)
    assert scaled[2] == pytest.approx(scaled[1], rel=0.2)


def small(**changes):
    arguments = {
        "feature_mean": np.ones((2, 3, 1, 2)),
        "feature_cov": np.ones((2, 3, 2)),
        "target": np.ones((3, 1)),
    }
    return memoa.NPlayerGame(**{**arguments, **changes})


def test_arrays_are_complete_and_read_only():
    game = small(effort=[1.0, 2.0], discount=0.1)
    assert game.target.shape == (2, 3, 1)
    assert game.transition.shape == (2, 3, 1, 1)
    np.testing.assert_allclose(game.discount, np.exp(-0.1 * np.array([[2, 1, 0]] * 2)))
    with pytest.raises(ValueError, match="read-only"):
        game.target[0] = 2.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feature_mean": np.ones((2, 3, 2))}, r"feature_mean has shape \(2, 3, 2\)"),
        ({"target": np.ones((2, 1))}, r"target has shape \(2, 1\); expected \(2, 3, 1\)"),
        ({"effort": [1.0, -1.0]}, "player 1: effort is -1"),
        ({"tracking": -np.eye(1)}, "player 0: tracking has a negative eigenvalue"),
        ({"feature_cov": -np.ones((2, 3, 2))}, r"player 0: feature_cov\[0, 0\] has a negative"),
        ({"server_tracking": 1.0}, "server_weights is None"),
        ({"server_weights": [1.0, np.nan]}, "server_weights holds .*nan"),
        ({"server_weights": [1.0, 1.0], "server_tracking": -1.0}, "server_tracking is -1"),
        ({"server_weights": [1.0], "server_tracking": 1.0}, r"server_weights has shape \(1,\)"),
        (
            {"server_weights": [1.0, 1.0], "target": np.ones((2, 3, 1))},
            "server_target is None; expected a target",
        ),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


def test_wrong_type():
    with pytest.raises(TypeError, match="game is a Game; expected an NPlayerGame"):
        memoa.solve_centralized_nash(memoa.Game([[1.0]], [0.0], [1.0], horizon=1))
