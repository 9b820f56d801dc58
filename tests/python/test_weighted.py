"""The weighted mean field of theory section 3: exact play, who gains by leaving it, who is worst.

The package solves these games as they are: `solve_mean_field` with the weights as shares, and
`solve_centralized_nash` in the states (3.7).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import memoa
from games import to_game, to_players
from helpers import assert_close, seeds
from reference import GameData, random_game, random_psd
from reference_stack import stack_value, start_moment
from reference_weighted import (
    all_scaled,
    exact_nash,
    mean_field_law,
    units,
    weighted_cost_forward,
)


def crowd(seed: int, n_agents: int, kinds: int = 2, d: int = 1) -> list[GameData]:
    """Agents of some kinds, in turn; all share transition and discount."""
    rng = np.random.default_rng(seed)
    games = [random_game(rng, d, 2, 3) for _ in range(kinds)]
    return [games[i % kinds] for i in range(n_agents)]


def uneven(seed: int, n_agents: int) -> np.ndarray:
    """Weights that sum to one and differ by a factor of up to three."""
    raw = np.random.default_rng(seed).uniform(1.0, 3.0, size=n_agents)
    return raw / raw.sum()


def gain_by_leaving(
    games: list[GameData], weights: np.ndarray, gains: np.ndarray, i: int
) -> tuple[float, float]:
    """What agent i saves if it alone best-responds to everybody's controls, and its cost."""
    n, d = len(games), games[0].target.shape[1]
    to_x = units(weights, d)
    start = start_moment(np.full(d, 0.5), np.eye(d), n) * np.outer(to_x, to_x)
    players = all_scaled(games, weights)
    costs = [
        float(np.sum(stack_value(players, gains / to_x, i, respond=respond) * start))
        for respond in (False, True)
    ]
    return costs[0] - costs[1], costs[0]


@given(seeds, st.integers(1, 4), st.integers(1, 2))
def test_unequal_weights_are_other_units_of_the_states(seed: int, n_agents: int, d: int) -> None:
    """(3.7), against the weighted mean in dynamics and costs."""
    games, weights = crowd(seed, n_agents, 3, d), uneven(seed, n_agents)
    rng = np.random.default_rng(seed + 1)
    gains = 0.3 * rng.normal(size=(3, n_agents, 2, n_agents * d + 1))
    start = start_moment(rng.normal(size=d), random_psd(rng, d, d), n_agents)
    to_x = units(weights, d)
    players = all_scaled(games, weights)
    costs = [
        np.sum(stack_value(players, gains / to_x, i) * start * np.outer(to_x, to_x))
        for i in range(n_agents)
    ]
    assert_close(costs, weighted_cost_forward(games, weights, gains, start), rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_package_solves_weighted_games(seed: int) -> None:
    games, weights = crowd(seed, 5, 3, 2), uneven(seed, 5)
    exact, law = exact_nash(games, weights), mean_field_law(games, weights)
    found = memoa.solve_centralized_nash(to_players(all_scaled(games, weights)))
    gains = np.concatenate([found.gain, found.offset[..., None]], axis=-1) * units(weights, 2)
    assert_close(gains, exact, rtol=1e-9)
    for i, policy in enumerate(memoa.solve_mean_field([*map(to_game, games)], shares=weights)):
        own = policy.mean_gain.copy()
        own[..., 2 * i : 2 * i + 2] += policy.gain
        assert_close(own, law[:, i, :, :-1], rtol=1e-9)
        assert_close(policy.offset, law[:, i, :, -1], rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_exact_play_tends_to_the_mean_field_as_the_largest_weight_vanishes(seed: int) -> None:
    gaps = []
    for n in (8, 16, 32):
        games, weights = crowd(seed, n), np.resize([1.0, 3.0, 2.0, 2.0], n) / (2.0 * n)
        exact, law = exact_nash(games, weights), mean_field_law(games, weights)
        start = np.append(np.ones(n), 1.0)  # all at 1: the controls that are really played
        gaps.append(n * np.abs((exact - law)[0] @ start).max())
    assert gaps[2] == pytest.approx(gaps[1], rel=0.25)
    assert gaps[2] > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_an_agent_gains_by_leaving_the_mean_field_as_the_square_of_its_weight(seed: int) -> None:
    """Whatever the weights of the others: the second agent's is a half, and matters to it alone."""
    n, found = 5, []
    for own in (0.02, 0.01, 1e-6):
        weights = np.full(n, (0.5 - own) / (n - 2))
        weights[:2] = own, 0.5
        games = crowd(seed, n)
        law = mean_field_law(games, weights)
        found.append([gain_by_leaving(games, weights, law, i) for i in range(2)])
    (first, cost), (heavy, of_heavy) = found[0]
    assert first / found[1][0][0] == pytest.approx(4.0, rel=0.15)
    assert abs(found[2][0][0]) < 1e-11 * cost
    assert heavy / of_heavy > 100 * first / cost
    nobody = exact_nash(crowd(seed, n), weights)
    assert abs(gain_by_leaving(crowd(seed, n), weights, nobody, 1)[0]) < 1e-9 * of_heavy


@pytest.mark.parametrize("seed", range(3))
def test_nobody_can_lower_the_largest_cost_within_the_flow(seed: int) -> None:
    """The minimax statement: agents too light to move the mean, each with another policy."""
    n, rng = 6, np.random.default_rng(seed)
    games = crowd(seed, n, 3)
    weights = np.array([1e-7, 1e-7, 1e-7, 0.2, 0.5, 0.3 - 3e-7])
    start = start_moment(np.full(1, 0.5), np.eye(1), n)
    law = mean_field_law(games, weights)
    costs = weighted_cost_forward(games, weights, law, start)[:3]
    for size in (0.01, 0.1, 1.0):
        other = law.copy()
        other[:, :3] += size * rng.normal(size=other[:, :3].shape)
        changed = weighted_cost_forward(games, weights, other, start)[:3]
        assert (changed > costs * (1.0 - 1e-9)).all()
        assert changed.max() > costs.max()


def still(aims: np.ndarray, weights: np.ndarray, l: float = 3.0, effort: float = 1e-9):
    """Costs of agents with aims of their own, who can move as they like; one stage, from 0."""
    one = GameData(
        *(np.ones((1, 1, 1)), np.zeros((1, 1, 1, 1)), np.zeros((1, 1))),
        *((1.0 + l) * np.eye(1), l / (1.0 + l) * np.eye(1), effort, np.ones(1)),
        *(np.ones((1, 1, 1)), np.zeros((1, 1, 1)), np.zeros((1, 1))),
    )
    games = [replace(one, target=np.full((1, 1), a / (1.0 + l))) for a in aims]
    gains = mean_field_law(games, weights)
    start = start_moment(np.zeros(1), np.zeros((1, 1)), len(aims))
    moved = gains[0, :, 0, -1]  # from 0, and a feature of 1
    # (1.3): the rest of the cost, which does not depend on the own state
    mean = weights @ moved
    rest = aims**2 + l * mean**2 - (l * mean + aims) ** 2 / (1.0 + l)
    return weighted_cost_forward(games, weights, gains, start) + rest, moved


@given(seeds, st.floats(0.1, 20.0))
def test_the_worst_agent_is_the_one_farthest_from_the_weighted_mean(seed: int, l: float) -> None:
    """(3.8)."""
    rng = np.random.default_rng(seed)
    aims, weights = rng.normal(size=6), rng.dirichlet(np.ones(6))
    costs, moved = still(aims, weights, l)
    mean = weights @ aims
    assert_close(moved, (aims + l * mean) / (1.0 + l), rtol=1e-7)
    assert_close(costs, l / (1.0 + l) * (aims - mean) ** 2, rtol=1e-6)
    assert np.argmax(costs) == np.argmax(abs(aims - mean))


def test_weights_on_the_best_agent_may_raise_the_largest_cost() -> None:
    """No weights are best for all games: the largest cost is least in the middle of the aims."""
    aims = np.array([0.0, 0.0, 0.0, 1.0])
    largest = [
        still(aims, np.array(w))[0].max() for w in ([0.25] * 4, [0, 0, 0, 1.0], [1 / 6] * 3 + [0.5])
    ]
    equal, on_one, middle = largest
    assert middle < equal < on_one


def test_identical_agents_do_not_feel_the_weights() -> None:
    games = crowd(1, 5, 1)
    start = start_moment(np.full(1, 0.5), np.zeros((1, 1)), 5)
    for game in games:
        game.feature_cov[:] = 0.0
    costs = [
        weighted_cost_forward(games, w, mean_field_law(games, w), start)
        for w in (np.full(5, 0.2), np.array([0.6, 0.2, 0.1, 0.05, 0.05]))
    ]
    assert_close(costs[0], np.full(5, costs[0][0]), rtol=1e-12)
    assert_close(costs[1], costs[0], rtol=1e-12)


def root_mean_square(errors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(errors**2, axis=0))


@given(seeds, st.floats(0.0, 50.0))
def test_errors_are_bounded_by_those_of_the_weighted_mean(seed: int, l: float) -> None:
    """(3.9): for any series, forecasts and weights, also ones that change with time."""
    rng = np.random.default_rng(seed)
    forecasts, y = rng.normal(size=(40, 7)), rng.normal(size=40)
    weights = rng.dirichlet(np.ones(7), size=40)
    field = (weights * forecasts).sum(axis=1)
    own = 1.0 / (1.0 + l)
    played = own * forecasts + (1.0 - own) * field[:, None]
    bound = own * root_mean_square(forecasts - y[:, None]) + (1.0 - own) * root_mean_square(
        field - y
    )
    assert (root_mean_square(played - y[:, None]) <= bound * (1.0 + 1e-12)).all()
    # the field that the agents see is the weighted mean of what they play
    assert_close((weights * played).sum(axis=1), field, rtol=1e-12)
