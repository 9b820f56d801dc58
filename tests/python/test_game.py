"""Game: what it fills in, what it refuses, and that nothing can change it."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import numpy as np
import pytest

import memoa
from helpers import GAME_ARRAYS, assert_same_bits, to_game
from reference import discount_weights, random_game

T, D, P = 3, 2, 4


def good() -> dict[str, Any]:
    """Complete arguments of a valid game."""
    data = random_game(np.random.default_rng(0), D, P, T)
    names = ("feature_mean", "feature_cov", "target", "tracking", "coupling", "effort")
    kwargs = {name: getattr(data, name) for name in names}
    others = {name: getattr(data, name) for name in ("transition", "mean_transition", "drift")}
    return kwargs | others | {"discount": data.weights}


def test_defaults_are_filled_in() -> None:
    game = memoa.Game(np.ones((T, D, P)), np.zeros((T, P, D, D)), np.ones((T, D)))
    assert (game.horizon, game.n_outputs, game.n_features) == (T, D, P)
    assert game.effort == 1.0
    assert_same_bits(game.tracking, np.eye(D))
    assert_same_bits(game.coupling, np.zeros((D, D)))
    assert_same_bits(game.discount, np.ones(T))
    assert_same_bits(game.transition, np.tile(np.eye(D), (T, 1, 1)))
    assert_same_bits(game.mean_transition, np.zeros((T, D, D)))
    assert_same_bits(game.drift, np.zeros((T, D)))


def test_constant_data_is_repeated_over_the_horizon() -> None:
    kwargs = good()
    staged = ("feature_mean", "feature_cov", "target", "transition", "mean_transition", "drift")
    first = {name: kwargs[name][0] for name in staged}
    game = memoa.Game(**(kwargs | first | {"horizon": T}))
    for name in staged:
        assert_same_bits(getattr(game, name), np.tile(first[name], (T,) + (1,) * first[name].ndim))


def test_one_array_with_stages_is_enough_to_know_the_horizon() -> None:
    game = memoa.Game([[1.0, 2.0]], [0.0, 0.0], [1.0], drift=[[1.0], [2.0], [3.0]])
    assert game.horizon == 3
    assert_same_bits(game.drift, np.array([[1.0], [2.0], [3.0]]))
    assert_same_bits(game.target, np.ones((3, 1)))


@pytest.mark.parametrize("stages", [False, True])
def test_covariances_of_a_single_output_need_no_matrices(stages: bool) -> None:
    cov = np.arange(1.0, P + 1.0)
    given = np.tile(cov, (T, 1)) if stages else cov
    game = memoa.Game(np.ones((T, 1, P)), given, np.ones((T, 1)))
    assert_same_bits(game.feature_cov, np.tile(cov, (T, 1)).reshape(T, P, 1, 1))


def test_a_number_means_that_times_the_identity() -> None:
    numbers = {"tracking": 2, "coupling": 0.25, "transition": 0.9, "mean_transition": 0.1}
    game = memoa.Game(**(good() | numbers))
    for name, number in numbers.items():
        expected = np.broadcast_to(number * np.eye(D), getattr(game, name).shape)
        assert_same_bits(getattr(game, name), np.ascontiguousarray(expected))


def test_a_rate_becomes_weights_and_weights_stay() -> None:
    assert_same_bits(
        memoa.Game(**(good() | {"discount": [3.0, 2.0, 1.0]})).discount, np.array([3.0, 2.0, 1.0])
    )
    rate = memoa.Game(**(good() | {"discount": 0.3})).discount
    np.testing.assert_allclose(rate, discount_weights(0.3, T), rtol=1e-15)


def test_arrays_are_copies_that_nobody_can_write() -> None:
    kwargs = good()
    game = memoa.Game(**kwargs)
    for name in GAME_ARRAYS:
        before = getattr(game, name).copy()
        kwargs[name][...] = 7.0
        assert_same_bits(getattr(game, name), before)
        with pytest.raises(ValueError, match="read-only"):
            getattr(game, name)[...] = 1.0
        with pytest.raises(ValueError, match="WRITEABLE"):
            getattr(game, name).setflags(write=True)
    with pytest.raises(AttributeError):
        game.effort = 2.0  # type: ignore[misc]


def test_an_array_outlives_its_game() -> None:
    target = memoa.Game(**good()).target
    assert_same_bits(target, good()["target"])


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))]
)
def test_copies_hold_the_same_bits(clone: Any) -> None:
    game = memoa.Game(**good())
    twin = clone(game)
    for name in (*GAME_ARRAYS, "effort", "horizon", "n_outputs", "n_features"):
        assert_same_bits(getattr(twin, name), getattr(game, name))
    assert not twin.target.flags.writeable
    assert_same_bits(memoa.solve_mean_field(twin).gain, memoa.solve_mean_field(game).gain)


def test_repr_tells_the_sizes() -> None:
    assert repr(memoa.Game(**good())) == "Game(horizon=3, n_outputs=2, n_features=4)"


@pytest.mark.parametrize(
    "kind", ["float32", "int64", "fortran", "strided", "read-only", "list", "swapped"]
)
def test_any_real_array_will_do(kind: str) -> None:
    kwargs = good()
    whole = np.arange(T * D * P, dtype=float).reshape(T, D, P)
    wide = np.zeros((T, D, 2 * P))
    wide[..., ::2] = whole
    locked = whole.copy()
    locked.setflags(write=False)
    given = {
        "float32": whole.astype(np.float32),
        "int64": whole.astype(np.int64),
        "fortran": np.asfortranarray(whole),
        "strided": wide[..., ::2],
        "read-only": locked,
        "list": whole.tolist(),
        "swapped": whole.astype(">f8"),
    }[kind]
    assert_same_bits(memoa.Game(**(kwargs | {"feature_mean": given})).feature_mean, whole)


def put(name: str, value: float) -> Any:
    array = good()[name].copy()
    array[(-1,) * array.ndim] = value
    return array


BAD_SHAPES = {
    "feature_mean": (np.ones(3), np.ones((T, D, P, 1)), np.ones((T, 0, P)), 1.0),
    "feature_cov": (np.zeros((T, P)), np.zeros((T, P, D, D + 1)), np.zeros((T + 1, P, D, D))),
    "target": (np.ones((T, D + 1)), np.ones(D + 1), np.ones((T + 1, D)), np.ones((0, D)), [], 1.0),
    "tracking": (np.eye(D + 1), np.ones(D), np.ones((T, D, D)), []),
    "coupling": (np.eye(D + 1), np.ones(D), np.ones((T, D, D)), []),
    "discount": (np.ones(T + 1), np.ones((T, 1)), []),
    "transition": (np.ones((T, D)), np.ones((T - 1, D, D)), []),
    "mean_transition": (np.ones((T, D)), np.ones((T - 1, D, D)), []),
    "drift": (np.ones(T), np.ones((D, T)), np.ones(1), []),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD_SHAPES.items() for value in values]
)
def test_a_wrong_shape_is_told(name: str, value: Any) -> None:
    shape = re.escape(str(np.shape(value)))
    with pytest.raises(ValueError, match=f"^{name} has shape {shape}; expected .*\\("):
        memoa.Game(**(good() | {name: value}))


@pytest.mark.parametrize("name", GAME_ARRAYS)
@pytest.mark.parametrize("dtype", [complex, object, str, "datetime64[D]"])
def test_a_wrong_dtype_is_told(name: str, dtype: Any) -> None:
    value = np.ones(good()[name].shape, dtype=int).astype(dtype)
    with pytest.raises(
        TypeError, match=f"^{name} has dtype {re.escape(str(value.dtype))}; expected float64"
    ):
        memoa.Game(**(good() | {name: value}))


@pytest.mark.skipif(np.longdouble(1).itemsize == 8, reason="long double is double here")
def test_wider_floats_are_not_truncated_silently() -> None:
    with pytest.raises(TypeError, match=r"^target has dtype .*; expected float64"):
        memoa.Game(**(good() | {"target": np.ones((T, D), np.longdouble)}))


@pytest.mark.parametrize("name", GAME_ARRAYS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_told_with_its_place(name: str, value: float) -> None:
    last = ", ".join(str(n - 1) for n in good()[name].shape)
    if name == "discount":
        expected = f"discount\\[{last}\\] is {value}; expected a positive finite"
    else:
        expected = f"^{name} holds {value} at \\[{last}\\]; expected finite"
    with pytest.raises(ValueError, match=expected):
        memoa.Game(**(good() | {name: put(name, value)}))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"effort": 0.0}, ValueError, "effort is 0; expected a positive finite number"),
        ({"effort": -1}, ValueError, "effort is -1; expected a positive finite number"),
        ({"effort": np.nan}, ValueError, "effort is nan; expected a positive finite number"),
        ({"effort": np.inf}, ValueError, "effort is inf; expected a positive finite number"),
        ({"effort": "1"}, TypeError, "effort is '1' of type str; expected a number"),
        ({"effort": 1j}, TypeError, "effort is 1j of type complex; expected a number"),
        ({"effort": None}, TypeError, "effort is None of type NoneType; expected a number"),
        ({"effort": [1.0]}, TypeError, r"effort is \[1.0\] of type list; expected a number"),
        ({"discount": -0.5}, ValueError, "discount is a rate of -0.5.*expected a finite rate >= 0"),
        ({"discount": np.nan}, ValueError, "discount is a rate of nan; expected a finite rate"),
        ({"discount": [1, 0, 1]}, ValueError, r"discount\[1\] is 0; expected a positive"),
        ({"tracking": -1.0}, ValueError, "tracking has a negative eigenvalue; expected a positive"),
        ({"tracking": [[0, 1], [1, 0]]}, ValueError, "tracking has a negative eigenvalue"),
        ({"tracking": [[1, 1], [0, 1]]}, ValueError, "tracking is not symmetric; expected a symm"),
        ({"horizon": T + 1}, ValueError, r"feature_mean has shape \(3, 2, 4\); .*\(4, 2, 4\)"),
        ({"horizon": 0}, ValueError, "horizon is 0; expected an integer of at least 1"),
        ({"horizon": 3.0}, TypeError, "horizon is 3.0 of type float; expected an integer"),
        ({"horizon": True}, TypeError, "horizon is True of type bool; expected an integer"),
        ({"target": [[1.0], [1.0, 2.0]]}, ValueError, "target is ragged; expected a rectangular"),
    ],
)
def test_a_bad_value_is_told(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        memoa.Game(**(good() | change))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [([[1, 0], [0, -1]], "has a negative eigenvalue"), ([[1, 0.5], [0, 1]], "is not symmetric")],
)
def test_every_covariance_is_checked(matrix: list[list[float]], message: str) -> None:
    cov = good()["feature_cov"]
    cov[1, 2] = matrix
    with pytest.raises(ValueError, match=rf"feature_cov\[1, 2\] {message}; expected a .*positive"):
        memoa.Game(**(good() | {"feature_cov": cov}))


def test_a_semi_definite_matrix_is_fine() -> None:
    ones = np.ones((D, D))
    game = memoa.Game(**(good() | {"tracking": ones, "feature_cov": np.tile(ones, (T, P, 1, 1))}))
    assert_same_bits(game.tracking, ones)


def test_constant_data_needs_a_horizon() -> None:
    with pytest.raises(ValueError, match="horizon is None and no array has a leading horizon"):
        memoa.Game([[1.0]], [0.0], [1.0])


def test_masked_entries_are_refused() -> None:
    target = np.ma.masked_array(good()["target"], mask=np.eye(T, D, dtype=bool))
    with pytest.raises(ValueError, match="target is a masked array with masked entries"):
        memoa.Game(**(good() | {"target": target}))


def test_a_game_from_reference_data_keeps_every_number() -> None:
    data = random_game(np.random.default_rng(1), 3, 2, 4)
    assert_same_bits(to_game(data).feature_cov, data.feature_cov)
    assert_same_bits(to_game(data).discount, data.weights)
