"""What solve_mean_field and Policy refuse, and the numerical failures that they name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import memoa
from helpers import to_game
from reference import GameData, random_game, solve_mean_field


def scalar_game(**change: Any) -> memoa.Game:
    arguments = {"feature_mean": [[1.0]], "feature_cov": [0.0], "target": [1.0], "horizon": 1}
    return memoa.Game(**(arguments | change))


@pytest.fixture
def policy() -> memoa.Policy:
    return memoa.solve_mean_field(to_game(random_game(np.random.default_rng(0), 2, 3, 4)))


def test_a_singular_stage_is_named() -> None:
    """K = 1, R = 3/2, F = 2/3, L = -3/2: I + F L = 0."""
    singular = scalar_game(effort=0.5, coupling=1.5)
    with pytest.raises(memoa.NumericalError, match=r"stage 0: .* singular .*no unique mean-field"):
        memoa.solve_mean_field(singular)
    with pytest.raises(np.linalg.LinAlgError, match="stage 0"):
        memoa.solve_mean_field([singular, singular], shares=[0.25, 0.75])
    near = memoa.solve_mean_field(scalar_game(effort=0.5, coupling=1.4))
    assert near.rcond == 1.0  # a scalar that is not 0


@pytest.mark.parametrize("effort", [*np.linspace(0.01, 2.0, 100), 0.09])
def test_a_scalar_stage_that_is_but_rounding_is_singular(effort: float) -> None:
    """I + F L = 0 in real numbers, some epsilons in ours; its condition number is 1. (3.6)"""
    game = to_game(data := nearly_singular(effort, 0.0))
    with pytest.raises(memoa.NumericalError, match=r"stage 0: .* singular .*e-1\d\)|one: 0\)"):
        memoa.solve_mean_field(game)
    with pytest.raises(memoa.NumericalError, match="stage 0"):
        memoa.solve_mean_field([game, game])
    with pytest.raises(np.linalg.LinAlgError, match=r"stage 0|Singular"):
        solve_mean_field([data], np.ones(1))


@pytest.mark.parametrize("effort", [0.01, 0.09, 0.5, 2.0])
def test_a_small_scalar_stage_is_regular(effort: float) -> None:
    """I + F L = 1e-12: a thousand times its rounding."""
    data = nearly_singular(effort, 1e-12)
    (expected,) = solve_mean_field([data], np.ones(1))
    policy = memoa.solve_mean_field(to_game(data))
    assert policy.rcond == expected.rcond == 1.0
    assert policy.mean_map[0, 0, 0] == pytest.approx(expected.mean_map[0, 0, 0], rel=1e-2)


def nearly_singular(effort: float, left: float) -> GameData:
    """Q = M = 1, C = 0, T = 1: F = 1/(1 + g), L = -G, and 1 + F L = `left`."""
    one, zero = np.ones((1, 1)), np.zeros((1, 1, 1))
    return GameData(
        one[None],
        zero[None],
        one,
        one,
        (1.0 - left) * (1.0 + effort) * one,
        effort,
        np.ones(1),
        one[None],
        zero,
        np.zeros((1, 1)),
    )


def test_the_singular_stage_is_told_by_its_number() -> None:
    game = scalar_game(
        feature_mean=[[[1.0]], [[1.0]], [[1.0]]], effort=0.5, coupling=1.5, horizon=3
    )
    with pytest.raises(memoa.NumericalError, match="stage 2: "):
        memoa.solve_mean_field(game)


def test_a_value_that_overflows_is_named() -> None:
    game = scalar_game(feature_mean=[[0.0]], transition=1e120, horizon=5)
    with pytest.raises(
        memoa.NumericalError, match=r"stage [0-4]: the (value recursion|policy) overflowed"
    ):
        memoa.solve_mean_field(game)


@pytest.mark.parametrize(
    ("shares", "error", "message"),
    [
        ([0.5, 0.6], ValueError, "shares sum to 1.1; expected 1"),
        ([0.5, 0.50001], ValueError, "shares sum to 1.00001; expected 1"),
        ([1.0, 0.0], ValueError, "shares holds 0; expected positive numbers"),
        ([1.5, -0.5], ValueError, "shares holds -0.5.*; expected positive numbers"),
        ([np.nan, 0.5], ValueError, "shares holds nan; expected positive numbers"),
        ([np.inf, 0.5], ValueError, "shares sum to inf; expected 1"),
        ([1.0], ValueError, r"shares has shape \(1,\); expected .*\(2,\)"),
        ([[0.5, 0.5]], ValueError, r"shares has shape \(1, 2\); expected .*\(2,\)"),
        (["a", "b"], TypeError, "shares has dtype <U1; expected float64"),
        ([0.5, 0.5j], TypeError, "shares has dtype complex128; expected float64"),
    ],
)
def test_bad_shares(shares: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        memoa.solve_mean_field([scalar_game(), scalar_game()], shares=shares)


def test_types_share_horizon_and_outputs() -> None:
    with pytest.raises(ValueError, match=r"games\[1\] .* = \(2, 1\); expected .* \(1, 1\)"):
        memoa.solve_mean_field([scalar_game(), scalar_game(horizon=2)])
    wide = memoa.Game(np.ones((1, 2, 1)), np.zeros((1, 1, 2, 2)), np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"games\[1\] .* = \(1, 2\); expected .* \(1, 1\)"):
        memoa.solve_mean_field([scalar_game(), wide])


@pytest.mark.parametrize(
    ("game", "error", "message"),
    [
        (None, TypeError, "game is a NoneType; expected a Game or a sequence of Games"),
        ([1, 2], TypeError, "game is a list; expected a Game or a sequence of Games"),
        ("game", TypeError, "game is a str; expected a Game or a sequence of Games"),
        ([], ValueError, "game is an empty sequence; expected at least one Game"),
    ],
)
def test_bad_games(game: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        memoa.solve_mean_field(game)


def test_shares_of_one_game_make_no_sense() -> None:
    with pytest.raises(ValueError, match="shares was given with one Game; expected a sequence"):
        memoa.solve_mean_field(scalar_game(), shares=[1.0])  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"t": 4}, ValueError, "t is 4; expected a stage from 0 to 3"),
        ({"t": -1}, ValueError, "t is -1; expected an integer of at least 0"),
        ({"t": 1.0}, TypeError, "t is 1.0 of type float; expected an integer"),
        ({"prediction": np.ones(2)}, ValueError, r"prediction has shape \(2,\); .*\(any, 2\)"),
        ({"prediction": np.ones((5, 3))}, ValueError, r"prediction has shape \(5, 3\); expected"),
        ({"prediction": np.ones((0, 2))}, ValueError, r"prediction has shape \(0, 2\); expected"),
        ({"prediction": [[1.0, np.nan]]}, ValueError, r"prediction holds nan at \[0, 1\]; "),
        ({"prediction": [[1j, 0]]}, TypeError, "prediction has dtype complex128; expected float64"),
        ({"mean": [1.0]}, ValueError, r"mean has shape \(1,\); expected .*\(2,\)"),
        ({"mean": [1.0, np.inf]}, ValueError, r"mean holds inf at \[1\]; expected finite"),
    ],
)
def test_act_refuses(
    policy: memoa.Policy, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        policy.act(**({"t": 0, "prediction": np.ones((5, 2)), "mean": np.ones(2)} | change))


@pytest.mark.parametrize(
    ("m0", "error", "message"),
    [
        ([1.0], ValueError, r"m0 has shape \(1,\); expected .*\(2,\)"),
        ([1.0, np.nan], ValueError, r"m0 holds nan at \[1\]; expected finite"),
        (["1", "2"], TypeError, "m0 has dtype <U1; expected float64"),
    ],
)
def test_mean_path_refuses(
    policy: memoa.Policy, m0: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        policy.mean_path(m0)


@pytest.mark.parametrize("name", ["gain", "mean_gain", "offset", "mean_map", "mean_shift"])
def test_a_policy_checks_its_shapes(policy: memoa.Policy, name: str) -> None:
    names = ("gain", "mean_gain", "offset", "mean_map", "mean_shift")
    arrays = {key: getattr(policy, key) for key in names}
    arrays[name] = arrays[name][0]
    positional = [arrays.pop(key) for key in names[:3]]
    with pytest.raises(ValueError, match=rf"^{name} has shape .*; expected \(horizon"):
        memoa.Policy(*positional, **arrays)
