"""The verification: right on good games, sensible on degenerate ones, and able to fail."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import memoa
from helpers import assert_same_bits
from memoa.verify import Verification, judge, measure, random_game, verify

QUICK: dict[str, Any] = {
    "sizes": (2, 10, 100, 1_000, 10_000),
    "simulate_up_to": 100,
    "centralized_seconds": 0.001,
    "monte_carlo_runs": 50,
}
# Two solves of some microseconds may differ by more than a factor of two on a busy machine.
TIMED = "solve_nash costs the same"


def failed(found: Verification) -> list[str]:
    return [check.name for check in found.checks if not (check.passed or TIMED in check.name)]


def small_game(**changes: Any) -> memoa.Game:
    T, d, p = 4, 1, 3
    data: dict[str, Any] = {
        "feature_mean": np.ones((T, d, p)),
        "feature_cov": np.full((T, p), 0.1),
        "target": np.ones((T, d)),
    }
    return memoa.Game(**(data | changes))


@pytest.mark.parametrize("seed", range(3))
def test_random_games_pass(seed: int) -> None:
    found = verify(random_game(seed), random_state=seed, **QUICK)
    assert failed(found) == []
    assert len(found.checks) == 10
    assert found.slopes["gain_gap"] == pytest.approx(-1.0, abs=0.02)
    assert found.slopes["exploitability"] == pytest.approx(-2.0, abs=0.02)
    assert found.slopes["limit_exploitability"] == pytest.approx(-1.0, abs=0.02)


def test_table_holds_what_the_library_returns() -> None:
    game, start = random_game(3), {"mean": np.array([0.5, -1.0]), "cov": 0.3 * np.eye(2)}
    found = verify(game, **start, **QUICK)
    table, row, n_agents = found.table, 2, 100
    assert table["n_agents"].tolist() == list(QUICK["sizes"])
    mean_field, nash = memoa.solve_mean_field(game), memoa.solve_nash(game, n_agents)
    certificate = memoa.certify(game, mean_field, n_agents, **start)
    assert table["exploitability"][row] == certificate.exploitability
    assert table["cost_mean_field"][row] == certificate.cost
    limit = memoa.certify(game, mean_field, n_agents, mean_field="limit", **start)
    assert table["limit_exploitability"][row] == limit.exploitability
    assert table["cost_nash"][row] == memoa.certify(game, nash, n_agents, **start).cost
    social = memoa.certify(game, memoa.solve_social_optimum(game, n_agents), n_agents, **start)
    assert table["price_of_anarchy"][row] == table["cost_nash"][row] / social.cost
    worst = memoa.simulate(game, nash, n_agents, random_state=0, **start).worst_cost
    assert table["worst_nash"][row] == worst
    assert np.isnan(table["worst_nash"][3:]).all()
    size = max(np.abs(mean_field.gain).max(), np.abs(mean_field.mean_gain).max())
    assert table["gain_gap"][row] >= np.abs(nash.gain - mean_field.gain).max() / size
    np.testing.assert_array_equal(table["gain_gap_times_n"], table["n_agents"] * table["gain_gap"])
    assert (table["seconds_nash"] > 0.0).all()
    assert (table["seconds_mean_field"] > 0.0).all()
    assert found.centralized["n_agents"][0] == 2.0
    assert found.centralized["difference"].max() < 1e-10


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({}, {}),  # nothing couples the agents: all gaps are rounding
        ({"coupling": 1e-9}, {}),
        ({"coupling": 1e-4}, {}),
        ({"mean_transition": 0.3}, {}),
        ({"tracking": 0.0, "coupling": 0.5}, {}),
        ({"feature_mean": np.zeros((4, 1, 3)), "coupling": 0.5}, {}),
        ({"coupling": 0.5, "target": np.zeros((4, 1))}, {"cov": np.zeros((1, 1))}),
        (  # nothing is random, and the start is where everybody wants to be: nothing costs
            {"coupling": 0.5, "feature_cov": np.zeros((4, 3))},
            {"cov": np.zeros((1, 1)), "mean": np.full(1, 2.0)},
        ),
        ({"coupling": 0.95, "tracking": 20.0}, {}),
        ({"coupling": -0.9}, {}),
    ],
)
def test_degenerate_games_pass(changes: dict[str, Any], start: dict[str, Any]) -> None:
    found = verify(small_game(**changes), **QUICK, **start)
    assert failed(found) == []
    assert all(math.isfinite(check.measured) for check in found.checks)
    assert "nan" not in found.summary()


def test_without_coupling_there_is_nothing_to_fit() -> None:
    found = verify(small_game(), **QUICK)
    assert all(math.isnan(slope) for slope in found.slopes.values())
    assert "nothing to fit" in found.checks[0].name
    assert found.table["price_of_anarchy"] == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_numbers() -> None:
    first, second = (verify(random_game(1), random_state=5, **QUICK) for _ in range(2))
    for name, column in first.table.items():
        if not name.startswith("seconds"):
            assert_same_bits(second.table[name], column)
    other = verify(random_game(1), random_state=6, **QUICK)
    assert other.table["worst_nash"][0] != first.table["worst_nash"][0]


def test_random_games_are_reproducible() -> None:
    assert_same_bits(random_game(4).target, random_game(4).target)
    assert (random_game(4).target != random_game(5).target).all()


def wrong_nash(game: memoa.Game, n_agents: int) -> memoa.Policy:
    """The exact policy but for a gain that is off by a little, whatever N is."""
    right = memoa.solve_nash(game, n_agents)
    return with_gains(right, 1.001 * right.gain, right.mean_gain, right.offset)


def idle(game: memoa.Game, n_agents: int) -> memoa.Policy:
    """Agents that never act."""
    right = memoa.solve_nash(game, n_agents)
    return with_gains(right, 0.0 * right.gain, 0.0 * right.mean_gain, 0.0 * right.offset)


def with_gains(policy: memoa.Policy, *gains: np.ndarray) -> memoa.Policy:
    return memoa.Policy(*gains, mean_map=policy.mean_map, mean_shift=policy.mean_shift)


def test_a_wrong_equilibrium_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "solve_nash", wrong_nash)
    found = verify(random_game(0), **QUICK)
    wrong = " ".join(failed(found))
    for words in ("gap of the gains", "exact Nash cannot be exploited", "centralized Nash"):
        assert words in wrong
    assert not found.passed
    assert "FAIL" in found.summary()


def test_wrong_simulations_and_optima_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(*args: Any, **options: Any) -> memoa.Simulation:
        return memoa.simulate(*args, **(options | {"mean": options["mean"] + 0.5}))

    monkeypatch.setattr(measure, "simulate", shifted)
    monkeypatch.setattr(measure, "solve_social_optimum", idle)
    wrong = " ".join(failed(verify(random_game(0), **(QUICK | {"monte_carlo_runs": 400}))))
    assert "simulated mean costs" in wrong
    assert "social optimum" in wrong


def test_a_wrong_certificate_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def answering_others(*args: Any, **options: Any) -> memoa.Certificate:
        """The best response to agents who start a little more spread."""
        found = memoa.certify(*args, **options)
        spread = options | {"cov": (1.0 + 1e-10) * options["cov"]}
        other = memoa.certify(*args, **spread)
        return replace(found, best_response_cost=other.best_response_cost)

    monkeypatch.setattr(measure, "certify", answering_others)
    wrong = " ".join(failed(verify(random_game(0), **QUICK)))
    assert "no policy beats its best response" in wrong
    assert "exploitability is that difference" in wrong


def test_rates_are_judged_by_their_slopes() -> None:
    agents = np.array([10.0**k for k in range(1, 8)])
    table = {
        "n_agents": agents,
        "gain_gap": 3.0 / agents,
        "exploitability": 5.0 / agents**1.8,
        "limit_exploitability": 7.0 / agents**2,
        "cost_mean_field": np.ones(7),
    }
    slopes = judge.slopes_of(table, 0.0)
    assert slopes["gain_gap"] == pytest.approx(-1.0)
    assert slopes["exploitability"] == pytest.approx(-1.8)
    assert slopes["limit_exploitability"] == pytest.approx(-2.0)


def test_progress_is_told() -> None:
    told: list[tuple[int, int, str]] = []
    verify(random_game(0), progress=lambda *step: told.append(step), **QUICK)
    assert [done for done, _, _ in told] == list(range(len(QUICK["sizes"]) + 4))
    assert told[-1][:2] == (told[-1][1], told[0][1])
    assert told[0][2] == "2 agents"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sizes": (2, 100)}, "sizes has 1 entries from 100"),
        ({"sizes": (0, 100, 1000)}, "sizes is 0"),
        ({"mean": [1.0]}, "mean has shape"),
        ({"cov": np.eye(3)}, "cov has shape"),
        ({"cov": -np.eye(2)}, "cov"),
        ({"random_state": -1}, "random_state is -1"),
        ({"simulate_up_to": -1}, "simulate_up_to is -1"),
    ],
)
def test_bad_arguments(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        verify(random_game(0), **(QUICK | options))
