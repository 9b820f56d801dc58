"""What an ensemble refuses: the message, and that nothing learnt changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest

import memoa
from helpers import assert_same_bits, ensemble, series, steps

X, Y, INITIAL = series(14, 2, 2)
LEARNT = 6


def with_value(array: np.ndarray, place: tuple[int, ...], value: float) -> np.ndarray:
    changed = array.copy()
    changed[place] = value
    return changed


LATE_INF = with_value(X, (-1, 1), -np.inf), with_value(Y, (-1, 0), np.inf)
OK = np.zeros(2)

# what is wrong with x alone, whatever was learnt
BAD_X: list[tuple[Any, type[Exception], str]] = [
    ([np.nan, np.inf], ValueError, r"x holds inf at \[1\]; expected finite numbers, or NaN"),
    ([-np.inf, 0.0], ValueError, r"x holds -inf at \[0\]; expected finite numbers"),
    ([0.0, -1e200], ValueError, r"x holds -1e\+200 at \[1\]; expected numbers of at most 1e\+150"),
    ([], ValueError, r"x has shape \(0,\); expected \(n_inputs,\)"),
    (1.0, ValueError, r"x has shape \(\); expected \(n_inputs,\)"),
    ([[1.0, 2.0]], ValueError, r"x has shape \(1, 2\); expected \(n_inputs,\)"),
    (["1", "2"], TypeError, "x has dtype <U1; expected float64"),
    ([1j, 0], ValueError, "Complex data not supported: x has dtype complex128; expected real"),
    ([None, 1.0], TypeError, r"x\[0\] is None: float\(\) argument must be"),
    (["warm", 1.0, 2], TypeError, "x has dtype <U32; expected float64"),
    (np.array(["1", 2.0], object), TypeError, r"x\[0\] is '1' of type str; expected a number"),
    ([10**400, 0], ValueError, r"x\[0\] is too large for a float64"),
    ([[1.0], [1.0, 2.0]], ValueError, "x is ragged; expected a rectangular array"),
]
BAD_Y: list[tuple[Any, type[Exception], str]] = [
    ([np.nan, np.inf], ValueError, r"y holds inf at \[1\]; expected finite numbers, or NaN"),
    (np.inf, ValueError, r"y holds inf at \[0\]|y has shape"),
    ([0.0, 1.1e150], ValueError, r"y holds 1\.1e\+150 at \[1\]; expected numbers of at most"),
    ([], ValueError, r"y has shape \(0,\); expected \(n_outputs,\)"),
    ([[1.0, 2.0]], ValueError, r"y has shape \(1, 2\); expected \(n_outputs,\)"),
    ("1", TypeError, "y has dtype <U1; expected float64"),
    ([1j, 0], ValueError, "Complex data not supported: y has dtype complex128; expected real"),
    (None, TypeError, "y has dtype object; expected float64"),
]
BAD_RUN: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"X": LATE_INF[0]}, ValueError, r"X holds -inf at \[13, 1\]; expected finite numbers"),
    ({"Y": LATE_INF[1]}, ValueError, r"Y holds inf at \[13, 0\]; expected finite numbers"),
    ({"X": with_value(X, (2, 1), 1e308)}, ValueError, r"X holds 1e\+308 at \[2, 1\]; expected"),
    ({"Y": with_value(Y, (3, 0), -1e151)}, ValueError, r"Y holds -1e\+151 at \[3, 0\]; expected"),
    ({"initial": [0, 1e155]}, ValueError, r"initial holds 1e\+155 at \[1\]; expected numbers of"),
    ({"initial": [np.inf, 0]}, ValueError, r"initial holds inf at \[0\]; expected finite"),
    ({"initial": [0.0]}, ValueError, r"initial has shape \(1,\); expected \(n_outputs,\) = \(2,\)"),
    ({"initial": "ab"}, TypeError, "initial has dtype <U2; expected float64"),
    ({"X": X[:-1]}, ValueError, r"[XY] has shape .*; expected .*"),
    ({"X": X[0]}, ValueError, r"X has shape \(2,\)\. Reshape your data"),
    ({"X": X[:0], "Y": Y[:0]}, ValueError, r"X has shape \(0, 2\); expected \(n_steps, "),
    ({"X": X[:, :0]}, ValueError, r"X has 0 feature\(s\) \(shape=\(14, 0\)\)"),
    ({"X": X[:, None]}, ValueError, r"X has shape \(14, 1, 2\)"),
    ({"Y": Y[:, :0]}, ValueError, r"Y has shape \(14, 0\); expected"),
    ({"Y": Y[..., None]}, ValueError, r"Y has shape \(14, 2, 1\); expected"),
    ({"Y": 1.0}, ValueError, r"Y has shape \(\); expected"),
    ({"X": X.astype(str)}, TypeError, "X has dtype <U32; expected float64"),
    ({"X": X.astype(object) + 1j}, TypeError, r"X\[0, 0\] is .*: float\(\) argument must be"),
    ({"Y": Y.astype(complex)}, ValueError, "Complex data not supported: Y has dtype complex128"),
    ({"record": [0, 6]}, ValueError, "record holds agent 6; expected agents from 0 to 5"),
    ({"record": [-1]}, ValueError, "record holds agent -1; expected agents from 0 to 5"),
    ({"record": [0.5]}, TypeError, "record has dtype float64 .*; expected a sequence of"),
    ({"record": 3}, TypeError, r"record has dtype int64 and shape \(\); expected a sequence"),
]

Attempt = Callable[[memoa.OnlineEnsemble], object]


def attempts() -> list[Any]:
    """Calls that every ensemble refuses, whatever it has learnt."""
    cases: list[tuple[str, Attempt, type[Exception], str]] = []
    for x, error, message in BAD_X:
        cases.append(
            (f"predict_one {str(x)[:20]}", lambda m, x=x: m.predict_one(x), error, message)
        )
        cases.append(
            (f"learn_one {str(x)[:20]}", lambda m, x=x: m.learn_one(x, OK), error, message)
        )
    for y, error, message in BAD_Y:
        cases.append((f"observe {y}", lambda m, y=y: m.observe(y), error, message))
    for change, error, message in BAD_RUN:
        arguments = {"X": X, "Y": Y, "initial": INITIAL + 1.0} | change

        def call(m: memoa.OnlineEnsemble, arguments: dict[str, Any] = arguments) -> object:
            return m.run(**arguments)

        label = f"run {', '.join(change)}: {message[:30]}"
        cases.append((label, call, error, message))
    return [pytest.param(*rest, id=label) for label, *rest in cases]


@pytest.mark.parametrize("state", ["new", "observed", "mid-run", "pending", "fitted"])
@pytest.mark.parametrize(("attempt", "error", "message"), attempts())
def test_a_refused_call_changes_nothing(
    state: str, attempt: Attempt, error: type[Exception], message: str
) -> None:
    model, twin = ensemble(), ensemble()
    for one in (model, twin):
        if state != "new":
            one.observe(INITIAL)
        if state in ("mid-run", "pending"):
            steps(one, X[:LEARNT], Y[:LEARNT])
        if state == "fitted":
            one.fit(X, Y)
        if state == "pending":
            one.predict_one(X[LEARNT])
    with pytest.raises(error, match=message):
        attempt(model)
    if state == "pending":
        for one in (model, twin):
            one.learn_one(X[LEARNT], Y[LEARNT])
    if state == "new":
        assert not hasattr(model, "n_features_in_")
        assert not hasattr(model, "n_outputs_")
        for one in (model, twin):
            one.observe(INITIAL)
    assert_same_bits(steps(model, X, Y), steps(twin, X, Y))
    assert_same_bits(model.agent_rmse, twin.agent_rmse)
    assert_same_bits(model.weights, twin.weights)


@pytest.mark.parametrize(("y", "error", "message"), BAD_Y)
@pytest.mark.parametrize("learnt", [0, LEARNT])
def test_a_refused_y_can_be_followed_by_a_good_one(
    y: Any, error: type[Exception], message: str, learnt: int
) -> None:
    model, twin = ensemble(), ensemble()
    for one in (model, twin):
        if learnt:
            one.run(X[:learnt], Y[:learnt])
        one.predict_one(X[learnt])
    with pytest.raises(error, match=message):
        model.learn_one(X[learnt], y)
    for one in (model, twin):
        one.learn_one(X[learnt], Y[learnt])
    assert_same_bits(steps(model, X, Y), steps(twin, X, Y))


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda m: m.predict_one([1.0]), r"x has shape \(1,\); expected \(n_inputs,\) = \(2,\)"),
        (lambda m: m.learn_one(np.ones(3), OK), r"x has shape \(3,\); expected .* = \(2,\)"),
        (lambda m: m.observe(1.0), r"y has shape \(1,\); expected \(n_outputs,\) = \(2,\)"),
        (lambda m: m.run(X, Y[:, 0]), r"Y has shape \(14, 1\); expected .* = \(14, 2\)"),
        (lambda m: m.run(X[:, :1], Y), "X has 1 features, but OnlineEnsemble is expecting 2"),
        (lambda m: m.partial_fit(X, Y[:, :1]), r"Y has shape \(14, 1\); expected .* = \(14, 2\)"),
        (lambda m: m.predict(X[:, :1]), "X has 1 features, but OnlineEnsemble is expecting 2"),
        (lambda m: m.predict(X[0]), r"X has shape \(2,\)\. Reshape your data"),
        (lambda m: m.predict(LATE_INF[0]), r"X holds -inf at \[13, 1\]; expected finite"),
        (lambda m: m.predict(X[:0]), r"X has shape \(0, 2\); expected"),
    ],
)
def test_other_widths_than_before_are_refused(attempt: Attempt, message: str) -> None:
    model, twin = ensemble(), ensemble()
    for one in (model, twin):
        one.run(X[:LEARNT], Y[:LEARNT])
        one.predict_one(X[LEARNT])
    with pytest.raises(ValueError, match=message):
        attempt(model)
    for one in (model, twin):
        one.learn_one(X[LEARNT], Y[LEARNT])
    assert_same_bits(steps(model, X, Y), steps(twin, X, Y))


@pytest.mark.parametrize("policy", ["memoa", "greedy"])
def test_the_largest_numbers_are_learnt(policy: Literal["memoa", "greedy"]) -> None:
    """What is not refused leaves finite numbers everywhere."""
    rng = np.random.default_rng(0)
    x, y = 1e150 * rng.uniform(-1.0, 1.0, size=(2, 60, 2))
    x[5], y[7:9] = 1e150, [[-1e150, 1e150], [1e150, -1e150]]
    model = ensemble(policy=policy)
    run = model.run(x, y, initial=y[0])
    for seen in (run.predictions, run.mean_field, run.agent_rmse, run.worst_cost, model.weights):
        assert np.isfinite(seen).all()


def test_a_refused_fit_forgets_nothing() -> None:
    model, twin = ensemble().fit(X, Y), ensemble().fit(X, Y)
    with pytest.raises(ValueError, match="X holds -inf"):
        model.fit(LATE_INF[0], Y)
    assert_same_bits(model.predict(X), twin.predict(X))


def test_precomputed_features_of_another_shape_are_refused() -> None:
    model = ensemble(encoder=memoa.Precomputed(3))
    for shape in ((6, 2), (5, 3), (3,), (6, 3, 1)):
        with pytest.raises(
            ValueError, match=r"x has shape \(.*\); expected \(n_agents, n_features"
        ):
            model.predict_one(np.ones(shape))
        with pytest.raises(ValueError, match=r"X has shape"):
            model.run(np.ones((4, *shape)), np.ones(4))
    assert_same_bits(model.predict_one(np.ones((6, 3))), np.zeros(1))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_agents": 0}, ValueError, "n_agents is 0; expected an integer of at least 1"),
        ({"n_agents": 2.5}, TypeError, "n_agents is 2.5 of type float; expected an integer"),
        ({"n_agents": True}, TypeError, "n_agents is True of type bool; expected an integer"),
        ({"encoder": "relu"}, TypeError, "encoder is 'relu'; expected RandomFeatures, EchoState"),
        ({"encoder": None}, TypeError, "encoder is None; expected RandomFeatures, EchoState"),
        ({"policy": "nash"}, ValueError, "policy is 'nash'; expected one of 'memoa', 'greedy'"),
        ({"consensus": -1.0}, ValueError, "consensus is -1; expected a number from 0 to 1e12"),
        ({"effort": -0.5}, ValueError, "effort is -0.5; expected a positive finite number"),
        ({"effort": 0}, ValueError, "effort is 0; expected a positive finite number"),
        ({"effort": "1"}, TypeError, "effort is '1' of type str; expected a number"),
        ({"effort": 1j}, TypeError, "effort is 1j of type complex; expected a number"),
        (
            {"effort": np.complex64(1)},
            TypeError,
            "effort is .* of type complex64; expected a number",
        ),
        ({"horizon": 0}, ValueError, "horizon is 0; expected an integer of at least 1"),
        ({"horizon": 8.0}, TypeError, "horizon is 8.0 of type float; expected an integer"),
        ({"discount": -0.1}, ValueError, "discount is -0.1; expected a finite rate >= 0"),
        ({"discount": np.inf}, ValueError, "discount is inf; expected a finite rate >= 0"),
        ({"forgetting": 0.0}, ValueError, r"forgetting is 0; expected a number in \(0, 1\]"),
        ({"forgetting": 1.1}, ValueError, r"forgetting is 1.1; expected a number in \(0, 1\]"),
        ({"ridge": np.nan}, ValueError, "ridge is nan; expected a positive finite number"),
        ({"ridge": 0.0}, ValueError, "ridge is 0; expected a positive finite number"),
        ({"ridge": [1.0, -2.0]}, ValueError, r"ridge\[1\] is -2; expected a positive finite"),
        ({"forgetting": (0.9, 1, 2)}, ValueError, r"forgetting\[2\] is 2; expected a number"),
        ({"forgetting": ()}, ValueError, "forgetting is empty; expected a number, or one per type"),
        ({"ridge": np.zeros(0)}, ValueError, "ridge is empty; expected a number, or one per type"),
        ({"forgetting": "98"}, TypeError, "forgetting is '98' of type str; expected a number"),
        ({"forgetting": [0.9, "1"]}, TypeError, r"forgetting\[1\] is '1' of type str; expected"),
        ({"ridge": np.ones((2, 2))}, TypeError, r"ridge\[0\] is .* of type ndarray; expected a"),
        ({"ridge": {1.0, 2.0}}, TypeError, r"ridge is \{.*\} of type set; expected a number"),
        (
            {"forgetting": (0.9, 0.98, 1.0), "ridge": (0.1, 1.0)},
            ValueError,
            "ridge has 2 values; expected one, or one for each of the 3 types that forgetting has",
        ),
        ({"mixture": 32}, TypeError, "mixture is 32; expected a memoa.Mixture"),
        ({"n_threads": 0}, ValueError, "n_threads is 0; expected an integer of at least 1"),
        ({"n_threads": 1.5}, TypeError, "n_threads is 1.5 of type float; expected an integer"),
    ],
)
def test_bad_settings(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        memoa.OnlineEnsemble(**change)
    model = memoa.OnlineEnsemble(4).fit(X, Y)
    before = model.get_params()
    with pytest.raises(error, match=message):
        model.set_params(**({"effort": 7.0, "horizon": 7} | change))
    assert model.get_params() == before
    for name, value in change.items():
        setattr(model, name, value)
    with pytest.raises(error, match=message):
        model.fit(X, Y)
    setattr(model, name, before[name])
    assert_same_bits(model.predict(X), memoa.OnlineEnsemble(4).fit(X, Y).predict(X))


@pytest.mark.parametrize(
    ("random_state", "error"),
    [(-1, ValueError), (2**64, ValueError), (1.5, TypeError), ("0", TypeError)],
)
def test_bad_random_states(random_state: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="random_state is .*; expected an integer"):
        memoa.OnlineEnsemble(4, random_state=random_state)
