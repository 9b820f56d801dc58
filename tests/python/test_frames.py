"""Data frames, named columns and dicts of named numbers at an ensemble's door."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import memoa
from helpers import assert_same_bits, ensemble, series

pd = pytest.importorskip("pandas")

X, Y, INITIAL = series(20, 3)
NAMES = ["wind", "sun", "rain"]


def named(x: np.ndarray, names: list[Any] = NAMES) -> Any:
    return pd.DataFrame(x, columns=names)


def row(x: np.ndarray, names: list[str] = NAMES) -> dict[str, float]:
    return dict(zip(names, x.tolist()))


# ---------------------------------------------------------------- dtypes

WHOLE = np.round(8 * X).astype(np.int64)  # fits an int8
COLUMNS: dict[str, Callable[[np.ndarray], Any]] = {
    "int8": lambda v: pd.array(v, dtype="int8"),
    "float32": lambda v: pd.array(v, dtype="float32"),
    "Int64": lambda v: pd.array(v, dtype="Int64"),
    "UInt8": lambda v: pd.array(v + 100, dtype="UInt8"),
    "Float32": lambda v: pd.array(v, dtype="Float32"),
    "int16[pyarrow]": lambda v: pd.array(v, dtype="int16[pyarrow]"),
    "double[pyarrow]": lambda v: pd.array(v, dtype="double[pyarrow]"),
    "bool": lambda v: v > 0,
    "boolean": lambda v: pd.array(v > 0, dtype="boolean"),
    "bool[pyarrow]": lambda v: pd.array(v > 0, dtype="bool[pyarrow]"),
    "Sparse": lambda v: pd.arrays.SparseArray(v),
    "object": lambda v: np.array([Fraction(int(one)) for one in v], object),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_of_any_numeric_dtype_is_its_numbers(kind: str) -> None:
    if "pyarrow" in kind:
        pytest.importorskip("pyarrow")
    column = COLUMNS[kind](WHOLE[:, 1])
    frame = named(X).assign(sun=column)
    plain = X.copy()
    plain[:, 1] = WHOLE[:, 1] > 0 if "bool" in kind else WHOLE[:, 1] + 100 * (kind == "UInt8")
    expected = ensemble().run(plain, Y).predictions
    assert_same_bits(ensemble().run(frame, Y).predictions, expected)
    assert_same_bits(
        ensemble().fit(frame, Y).predict(frame), ensemble().fit(plain, Y).predict(plain)
    )


def test_polars_frames_and_series() -> None:
    pl = pytest.importorskip("polars", reason="polars is not installed: the extra `dev` has it")
    flags = X[:, 1] > 0
    frame = pl.DataFrame({"wind": X[:, 0], "sun": flags, "rain": WHOLE[:, 2]})
    plain = np.column_stack([X[:, 0], flags, WHOLE[:, 2]])
    model = ensemble().fit(frame, pl.Series("y", Y[:, 0]))
    assert list(model.feature_names_in_) == NAMES
    assert_same_bits(model.predict(frame), ensemble().fit(plain, Y[:, 0]).predict(plain))
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        model.predict(frame.select("sun", "wind", "rain"))
    for gappy in ([1.0, None, 2.0], [True, None, False], [1, None, 0]):
        odd = pl.DataFrame({"wind": [0.0, 1.0, 2.0], "sun": gappy, "rain": [0, 0, 1]})
        there = np.array([[0, gappy[0], 0], [1, np.nan, 0], [2, gappy[2], 1]], dtype=float)
        assert_same_bits(model.predict(odd), model.predict(named(there)))
    before = model.agent_rmse
    for bad in (["a", "b"], [Decimal(1), Decimal(2)], [datetime.date(2026, 1, 1)] * 2):
        odd = pl.DataFrame({"wind": [0.0, 1.0], "sun": bad, "rain": [0, 0]})
        with pytest.raises(TypeError, match="column 'sun' of X has dtype .*; expected numbers"):
            model.partial_fit(odd, [0.0, 0.0])
    assert_same_bits(model.agent_rmse, before)


@pytest.mark.parametrize("kind", ["Float64", "double[pyarrow]", "Int64"])
def test_targets_of_any_numeric_dtype(kind: str) -> None:
    pytest.importorskip("pyarrow")
    values = WHOLE[:, 0]
    expected = ensemble().fit(X, values).predict(X)
    column = pd.Series(values, dtype=kind)
    assert_same_bits(ensemble().fit(X, column).predict(X), expected)
    assert_same_bits(ensemble().fit(X, column.to_frame("y")).predict(X), expected[:, None])
    assert_same_bits(ensemble().fit(X, column.array).predict(X), expected)
    column[3] = pd.NA
    values = np.where(np.arange(len(values)) == 3, np.nan, values)
    assert_same_bits(ensemble().fit(X, column).predict(X), ensemble().fit(X, values).predict(X))


MISSING = {
    "Int64": pd.array([1, None, 3], dtype="Int64"),
    "boolean": pd.array([True, None, False], dtype="boolean"),
    "Float64": pd.array([1.0, None, 3.0], dtype="Float64"),
}
NO_NUMBERS = {
    "str": ["1", "2", "3"],
    "string": pd.array(["1", "2", "3"], dtype="string"),
    "category": pd.Categorical(["a", "b", "a"]),
    "datetime": pd.date_range("2026-01-01", periods=3),
    "zoned": pd.date_range("2026-01-01", periods=3, tz="UTC"),
    "timedelta": pd.to_timedelta([1, 2, 3], unit="s"),
    "object": np.array([1.0, "2", 3.0], object),
    "none": np.array([1.0, None, 3.0], object),
}


@pytest.mark.parametrize("kind", MISSING)
def test_missing_values_are_nan(kind: str) -> None:
    frame, column = named(X[:3]), MISSING[kind]
    model = ensemble().fit(named(X), Y)
    there = X[:3].copy()
    there[:, 1] = [column[0], np.nan, column[2]]
    assert_same_bits(model.predict(frame.assign(sun=column)), model.predict(named(there)))


@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_an_error_names_the_column_and_nothing_is_learnt(kind: str) -> None:
    frame = named(X[:3]).assign(sun=NO_NUMBERS[kind])
    model = ensemble().fit(named(X), Y)
    before = model.predict(named(X))
    with pytest.raises(TypeError, match="'sun'"):
        model.partial_fit(frame, Y[:3])
    assert_same_bits(model.predict(named(X)), before)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e200])
def test_numbers_that_are_refused_are_named_by_their_column(value: float) -> None:
    frame = named(X)
    frame.loc[4, "rain"] = value
    with pytest.raises(ValueError, match=r"X holds .* at \[4, 2\]; expected .*: column 'rain'"):
        ensemble().fit(frame, Y)
    with pytest.raises(ValueError, match=r"x holds .* at \[2\]; expected .*: column 'rain'"):
        ensemble().predict_one(frame.iloc[4].to_dict())


# ---------------------------------------------------------------- names

Call = Callable[[memoa.OnlineEnsemble, Any], object]
CALLS: dict[str, Call] = {
    "run": lambda m, x: m.run(x, Y[: len(x)]),
    "partial_fit": lambda m, x: m.partial_fit(x, Y[: len(x)]),
    "predict": lambda m, x: m.predict(x),
    "score": lambda m, x: m.score(x, Y[: len(x)]),
}
WRONG: list[tuple[list[str], str]] = [
    (["sun", "wind", "rain"], "Feature names must be in the same order as they were in fit"),
    (["wind", "sun", "snow"], "unseen at fit time:\n- snow\n.*yet now missing:\n- rain\n"),
    (["wind", "sun"], "The feature names should match .*\n.*yet now missing:\n- rain\n"),
    (["wind", "sun", "rain", "hail"], "Feature names unseen at fit time:\n- hail\n"),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("names", "message"), WRONG)
@pytest.mark.parametrize("first", ["fit", "run", "partial_fit", "dict"])
def test_other_columns_than_before_are_refused(
    call: str, names: list[str], message: str, first: str
) -> None:
    def learnt() -> memoa.OnlineEnsemble:
        if first == "dict":
            return ensemble().learn_one(row(X[0]), Y[0])
        model = ensemble()
        getattr(model, first)(named(X), Y)
        return model

    model = learnt()
    assert model.feature_names_in_.dtype == object
    assert list(model.feature_names_in_) == NAMES
    with pytest.raises(ValueError, match=f"(?s){message}"):
        CALLS[call](model, named(np.resize(X, (5, len(names))), names))
    assert_same_bits(model.predict(named(X)), learnt().predict(named(X)))


def test_scikit_learns_own_check_of_column_names() -> None:
    pytest.importorskip("sklearn")
    from sklearn.utils.estimator_checks import check_dataframe_column_names_consistency

    check_dataframe_column_names_consistency("OnlineEnsemble", memoa.OnlineEnsemble(4))


def test_fit_takes_the_names_anew() -> None:
    model = ensemble().fit(named(X), Y)
    assert list(model.fit(named(X, ["a", "b", "c"]), Y).feature_names_in_) == ["a", "b", "c"]
    assert not hasattr(model.fit(X, Y), "feature_names_in_")
    assert not hasattr(model.fit(named(X, [0, 1, 2]), Y), "feature_names_in_")
    model.fit(named(X), Y)
    with pytest.raises(TypeError, match="Feature names are only supported if all input features"):
        model.fit(named(X, ["a", "b", 3]), Y)
    assert list(model.feature_names_in_) == NAMES


@pytest.mark.parametrize("call", CALLS)
def test_names_on_one_side_only_are_worth_a_warning(call: str) -> None:
    with pytest.warns(UserWarning, match="X has feature names, but OnlineEnsemble was fitted wi"):
        CALLS[call](ensemble().fit(X, Y), named(X))
    with pytest.warns(UserWarning, match="X does not have valid feature names, but OnlineEns"):
        CALLS[call](ensemble().fit(named(X), Y), X)


# ---------------------------------------------------------------- dicts


def test_a_dict_is_its_numbers_in_the_order_of_the_first() -> None:
    model, twin = ensemble(), ensemble()
    for k, (x, y) in enumerate(zip(X, Y)):
        names = NAMES if k % 2 == 0 else NAMES[::-1]
        given = row(x if k % 2 == 0 else x[::-1], names)
        forecast = model.predict_one(given)
        assert type(forecast) is float
        assert forecast == twin.predict_one(x)[0]
        model.learn_one(given, y[0])
        twin.learn_one(x, y)
    assert list(model.feature_names_in_) == NAMES
    assert_same_bits(model.agent_rmse, twin.agent_rmse)
    assert model.predict_one(X[0]).shape == (1,)  # an array is taken by position


def test_a_dict_after_a_frame_and_a_frame_after_a_dict() -> None:
    model, twin = ensemble(), ensemble()
    model.run(named(X[:10]), Y[:10])
    twin.run(X[:10], Y[:10])
    model.learn_one(row(X[10, ::-1], NAMES[::-1]), Y[10])
    twin.learn_one(X[10], Y[10])
    assert_same_bits(model.predict(named(X)), twin.predict(X))


def test_a_dict_and_several_outputs() -> None:
    x, y, _ = series(6, 3, 2)
    model, twin = ensemble(), ensemble()
    assert model.predict_one(row(x[0])) == 0.0  # the width of y is not known
    for one_x, one_y in zip(x, y):
        model.learn_one(row(one_x), one_y)
        twin.learn_one(one_x, one_y)
    assert_same_bits(model.predict_one(row(x[0])), twin.predict_one(x[0]))


def test_numbers_of_a_dict_may_be_of_any_kind() -> None:
    given = {
        "a": True,
        "b": np.float32(0.5),
        "c": Decimal("0.25"),
        "d": 3,
        ("e", 1): np.bool_(False),
    }
    plain = ensemble()
    for model, x in ((ensemble(), given), (plain, [1.0, 0.5, 0.25, 3.0, 0.0])):
        for y in (1.0, 2.0, -1.0):
            model.learn_one(x, y)
        assert np.isfinite(model.agent_rmse).all()
    assert_same_bits(model.agent_rmse, plain.agent_rmse)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ({"wind": 1, "sun": 2}, ValueError, "yet now missing:\n- rain\n$"),
        ({"wind": 1, "sun": 2, "snow": 3}, ValueError, "unseen at fit time:\n- snow\n"),
        ({"wind": 1, "sun": 2, "rain": 3, 4: 4}, ValueError, "unseen at fit time:\n- 4\n$"),
        ({}, ValueError, "yet now missing:\n- rain\n- sun\n- wind\n$"),
        ({"wind": 1, "sun": "2", "rain": 3}, TypeError, r"x\['sun'\] is '2' of type str"),
        ({"wind": 1, "sun": None, "rain": 3}, TypeError, r"x\['sun'\] is None: float"),
        ({"wind": 1, "sun": [2.0], "rain": 3}, TypeError, r"x\['sun'\] is \[2.0\]: float"),
        ({"wind": 1, "sun": 2j, "rain": 3}, TypeError, r"x\['sun'\] is 2j: float"),
        ({"wind": 1, "sun": 10**400, "rain": 3}, ValueError, r"x\['sun'\] is too large for a"),
        ({"wind": 1, "sun": np.inf, "rain": 3}, ValueError, "one is missing: column 'sun'"),
    ],
)
@pytest.mark.parametrize("call", ["predict_one", "learn_one"])
def test_a_bad_dict_is_refused(x: Any, error: type[Exception], message: str, call: str) -> None:
    model, twin = ensemble().fit(named(X), Y), ensemble().fit(named(X), Y)
    for one in (model, twin):
        one.predict_one(row(X[3]))
    with pytest.raises(error, match=f"(?s){message}"):
        model.predict_one(x) if call == "predict_one" else model.learn_one(x, 0.0)
    for one in (model, twin):
        one.learn_one(row(X[3]), Y[3])
    assert_same_bits(model.predict(named(X)), twin.predict(named(X)))


def test_a_refused_first_dict_names_nothing() -> None:
    model = ensemble()
    with pytest.raises(TypeError, match=r"x\['a'\] is 'b' of type str; expected a number"):
        model.predict_one({"a": "b"})
    with pytest.raises(ValueError, match=r"x has shape \(0,\); expected \(n_inputs,\)"):
        model.predict_one({})
    with pytest.raises(ValueError, match=r"y holds inf"):
        model.learn_one({"a": 1.0}, np.inf)
    assert not hasattr(model, "feature_names_in_")
    assert model.predict_one({"b": 1.0, "c": 2.0}) == 0.0


def test_a_dict_where_inputs_have_no_names_is_refused() -> None:
    model = ensemble().fit(X, Y)
    with pytest.raises(ValueError, match=r"x has names, but .* without names; .* = \(3,\)"):
        model.predict_one(row(X[0]))
    with pytest.raises(TypeError, match=r"x is a dict; expected an array of the agents' features"):
        ensemble(encoder=memoa.Precomputed(2)).predict_one(row(X[0]))
