"""What several test files need: conversions, comparisons, small series and ensembles."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from hypothesis import strategies as st

import memoa
from reference import GameData

# The arrays of a game, as `memoa.Game` names them.
GAME_ARRAYS = (
    "feature_mean",
    "feature_cov",
    "target",
    "tracking",
    "coupling",
    "discount",
    "transition",
    "mean_transition",
    "drift",
)

seeds = st.integers(0, 2**32 - 1)


def to_game(data: GameData) -> memoa.Game:
    """The package's game of the same data."""
    return memoa.Game(
        data.feature_mean,
        data.feature_cov,
        data.target,
        tracking=data.tracking,
        coupling=data.coupling,
        effort=data.effort,
        discount=data.weights,
        transition=data.transition,
        mean_transition=data.mean_transition,
        drift=data.drift,
    )


def assert_close(actual: Any, expected: Any, rtol: float = 1e-10) -> None:
    """Equal shapes, and equal numbers relative to the largest of the expected ones."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    scale = np.abs(expected).max(initial=0.0)
    np.testing.assert_allclose(actual, expected, rtol=0.0, atol=rtol * max(scale, 1e-300))


def assert_same_bits(actual: Any, expected: Any) -> None:
    """Not one bit of difference."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    assert actual.tobytes() == expected.tobytes()


def series(
    n_steps: int, n_inputs: int = 2, n_outputs: int = 1, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs (T, dx), targets (T, d) that partly follow them, and the value before the first."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(0.3 * rng.normal(size=(n_steps, n_inputs)), axis=0)
    mix = rng.normal(size=(n_inputs, n_outputs))
    y = np.sin(x @ mix) + 0.1 * rng.normal(size=(n_steps, n_outputs))
    return x, y, rng.normal(size=n_outputs)


def random_panel(
    seed: int = 0, n_steps: int = 40, n_clients: int = 11, n_inputs: int = 3, n_outputs: int = 2
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, targets with gaps and late starts, values before them, and who is awake."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_steps, n_clients, n_inputs)) * [1.0, 20.0, 0.1][:n_inputs] + 3.0
    pull = rng.normal(size=(n_inputs, n_outputs)) + 0.3 * rng.normal(size=(n_clients, 1, 1))
    Y = np.cumsum(np.einsum("tnx,nxd->tnd", X - 3.0, pull) + rng.normal(size=(n_steps, 1, 1)), 0)
    Y = Y * rng.lognormal(size=(n_clients, 1)) + 100.0
    initial = Y[0] - 1.0
    Y[rng.random(Y.shape) < 0.05] = np.nan
    Y[:15, 2] = initial[2] = np.nan  # joins late
    Y[25:, 4] = np.nan  # leaves early
    Y[:, 7] = initial[7]  # never moves
    return X, Y, initial, rng.random((n_steps, n_clients)) < 0.7


def ensemble(n_agents: int = 6, n_features: int = 5, **settings: Any) -> memoa.OnlineEnsemble:
    """A small ensemble of the reference's settings; any may be given."""
    plain = {
        "encoder": memoa.RandomFeatures(n_features),
        "consensus": 1.0,
        "forgetting": (0.97, 0.99, 0.998),
        "ridge": 0.1,
        "lags": 0,
        "season": None,
        "bounded": False,
        "mixture": memoa.Mixture(64, rivals=False, start=0),
    }
    settings = {**plain, **settings}
    return memoa.OnlineEnsemble(n_agents, **settings)


def steps(model: memoa.OnlineEnsemble, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Predict and learn one step at a time; the forecasts (T, d)."""
    shown = []
    for one_x, one_y in zip(x, y):
        shown.append(model.predict_one(one_x))
        model.learn_one(one_x, one_y)
    return np.array(shown)


def mixture_weight(model: memoa.OnlineEnsemble | memoa.ServerMixture) -> np.ndarray:
    """The weight of theory (6.7), shape (d,): to all bits, which 1 - shares[3] has not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return model.mixture_weight


def everything(model: memoa.OnlineEnsemble | memoa.Panel) -> dict[str, Any]:
    """All that an ensemble or a panel knows, to be compared, but the seed.

    A call that fails may draw it. It stays, for what it was drawn from has moved on.
    """
    known = {name: value for name, value in vars(model).items() if name not in ("_lock", "_seed")}
    memory: tuple[dict[str, Any], ...] = ()
    if isinstance(model, memoa.Panel):
        if known.pop("_engine") is not None:
            memory = (model._engine.memory(),)  # type: ignore[union-attr]
    elif model._engines is not None:
        state = model._engines.__getstate__()
        memory = state.pop("memory")
        known["_engines"] = {name: _comparable(value) for name, value in state.items()}
    known["memory"] = [
        (name, np.asarray(value).tobytes()) for fields in memory for name, value in fields.items()
    ]
    return {name: _comparable(value) for name, value in known.items()}


def _comparable(value: Any) -> Any:
    """An array's bytes, and anything else as it is."""
    return (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value
