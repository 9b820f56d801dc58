"""Numbers of any size: what is returned is finite, or the call is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import memoa

scales = st.integers(-307, 307).map(lambda e: 10.0**e)
sizes = st.one_of(scales, st.sampled_from([1.0, 1e-3, 1e3]))
seeds = st.integers(0, 2**16)
REFUSED = (ValueError, memoa.NumericalError)


def assert_finite_or_refused(call: Callable[[], Any]) -> None:
    """Every array and number of what the call returns is finite, unless it raises."""
    try:
        with np.errstate(all="ignore"):
            found = call()
    except REFUSED:
        return
    if not isinstance(found, (list, tuple)):
        found = [found]
    for numbers in found:
        assert np.isfinite(numbers).all(), found


def numbers_of(result: Any, *names: str) -> list[Any]:
    return [getattr(result, name) for name in names]


def game(seed: int, scale: dict[str, float], d: int = 2, p: int = 2, horizon: int = 3) -> Any:
    rng = np.random.default_rng(seed)
    noise = scale["noise"] * rng.uniform(0.5, 1.0, size=(p, d))
    return memoa.Game(
        scale["feature"] * rng.normal(size=(d, p)),
        noise[:, :, None] * np.eye(d),
        scale["target"] * rng.normal(size=d),
        tracking=scale["tracking"] * np.eye(d),
        coupling=scale["coupling"],
        effort=scale["effort"],
        discount=rng.choice([0.0, 1.0, 300.0]),
        transition=scale["transition"] * np.eye(d),
        drift=scale["target"] * rng.normal(size=d),
        horizon=horizon,
    )


games = st.fixed_dictionaries(
    dict.fromkeys(
        ["feature", "noise", "target", "tracking", "coupling", "effort", "transition", "mean"],
        sizes,
    )
)

SOLVERS: dict[str, Callable[[Any], Any]] = {
    "mean field": memoa.solve_mean_field,
    "nash": lambda g: memoa.solve_nash(g, 5),
    "social": memoa.solve_social_optimum,
    "social of 4": lambda g: memoa.solve_social_optimum(g, 4),
    "myopic": memoa.solve_myopic,
    "types": lambda g: memoa.solve_mean_field([g, g], shares=[0.25, 0.75])[1],
}


@pytest.mark.parametrize("solver", SOLVERS)
@given(seed=seeds, scale=games)
@settings(deadline=None, max_examples=60)
def test_a_policy_its_path_its_cost_and_its_simulation_are_finite(
    solver: str, seed: int, scale: dict[str, float]
) -> None:
    def solved() -> Any:
        return SOLVERS[solver](game(seed, scale))

    names = ("gain", "mean_gain", "offset", "mean_map", "mean_shift")
    assert_finite_or_refused(lambda: numbers_of(solved(), *names))
    if solver == "types":
        return
    start = {"mean": np.full(2, scale["mean"]), "cov": np.eye(2)}
    assert_finite_or_refused(lambda: solved().mean_path(start["mean"]))
    assert_finite_or_refused(
        lambda: solved().act(0, np.full((3, 2), scale["mean"]), np.full(2, scale["mean"]))
    )
    for seen in ("empirical", "limit"):
        assert_finite_or_refused(
            lambda seen=seen: numbers_of(
                memoa.certify(game(seed, scale), solved(), 5, mean_field=seen, **start),
                "cost",
                "best_response_cost",
                "exploitability",
            )
        )
        assert_finite_or_refused(
            lambda seen=seen: numbers_of(
                memoa.simulate(game(seed, scale), solved(), 4, mean_field=seen, **start),
                "cost",
                "mean_path",
                "worst_cost",
                "mean_cost",
            )
        )


@given(seed=seeds, scale=games, server=sizes)
@settings(deadline=None, max_examples=60)
def test_a_centralized_policy_is_finite(seed: int, scale: dict[str, float], server: float) -> None:
    rng = np.random.default_rng(seed)

    def solved() -> Any:
        return memoa.solve_centralized_nash(
            memoa.NPlayerGame(
                scale["feature"] * rng.normal(size=(3, 1, 1, 2)),
                scale["noise"] * np.ones((3, 1, 2, 1, 1)),
                scale["target"] * rng.normal(size=(1, 1)),
                tracking=scale["tracking"],
                effort=scale["effort"],
                server_weights=rng.normal(size=(1, 3)),
                server_tracking=server,
            )
        )

    assert_finite_or_refused(lambda: numbers_of(solved(), "gain", "offset"))


@given(seed=seeds, mean=sizes, spread=sizes, activation=st.sampled_from(["relu", "tanh", "cos"]))
@settings(deadline=None, max_examples=200)
@example(seed=0, mean=1e300, spread=1e-100, activation="relu")
def test_moments_are_finite(seed: int, mean: float, spread: float, activation: str) -> None:
    rng = np.random.default_rng(seed)
    at = mean * rng.normal(size=(2, 3))
    assert_finite_or_refused(
        lambda: numbers_of(
            memoa.feature_moments(activation=activation, mean=at, std=spread), "mean", "cov"
        )
    )
    samples = at + spread * rng.normal(size=(5, 2, 3))
    assert_finite_or_refused(lambda: numbers_of(memoa.feature_moments(samples), "mean", "cov"))


@given(
    seed=seeds,
    level=sizes,
    error=sizes,
    ridge=sizes,
    total=sizes,
    absolute=st.booleans(),
    decay=st.sampled_from([1.0, 0.9, 1e-300]),
)
@settings(deadline=None, max_examples=200)
def test_a_mixture_is_finite(
    seed: int, level: float, error: float, ridge: float, total: float, absolute: bool, decay: float
) -> None:
    rng = np.random.default_rng(seed)
    y = level * rng.normal(size=(6, 2))
    shown = y[:, None] + error * rng.normal(size=(6, 4, 2))
    options = {"ridge": ridge, "total": total, "decay": decay, "absolute": absolute}
    assert_finite_or_refused(lambda: memoa.mixture_weights(shown, y, **options))

    def mixed() -> Any:
        server = memoa.ServerMixture(4, 2, window=3, **options)
        found = []
        for at, target in zip(shown, y):
            found.append(server.predict(at))
            server.update(at, target)
        return [*found, server.weights, server.shares]

    assert_finite_or_refused(mixed)


@pytest.mark.filterwarnings("ignore:the numbers of agent")
@given(
    seed=seeds,
    x=sizes,
    y=sizes,
    late=sizes,
    consensus=sizes,
    effort=sizes,
    ridge=sizes,
    horizon=st.sampled_from([1, 8, 1000]),
    discount=st.sampled_from([0.0, 1.0, 300.0]),
    forgetting=st.sampled_from([1e-3, 0.9, 1.0]),
    aggregate=st.sampled_from(["trimmed", "mean"]),
    dtype=st.sampled_from(["float64", "float32"]),
    encoder=st.sampled_from(
        [memoa.RandomFeatures(3), memoa.Linear(), memoa.EchoState(3), memoa.Precomputed(2)]
    ),
)
@settings(deadline=None, max_examples=200)
def test_an_ensemble_is_finite(
    seed: int, x: float, y: float, late: float, encoder: Any, **options: Any
) -> None:
    rng = np.random.default_rng(seed)
    grows = np.where(np.arange(8) < 5, 1.0, late)[:, None]
    shape = (8, 17, 2) if isinstance(encoder, memoa.Precomputed) else (8, 2)
    X = x * rng.normal(size=shape)
    with np.errstate(over="ignore"):  # an infinite y is refused
        Y = y * grows * rng.normal(size=(8, 2))

    def learnt() -> Any:
        model = memoa.OnlineEnsemble(17, encoder, n_threads=1, **options)
        run = model.run(X, Y, initial=Y[0], record=range(17))
        return [
            *numbers_of(run, "predictions", "recorded", "mean_field", "agent_rmse", "server_rmse"),
            model.weights,
            model.predict(X),
            model.agent_predictions,
        ]

    assert_finite_or_refused(learnt)


@given(
    seed=seeds,
    x=sizes,
    y=sizes,
    late=sizes,
    pooling=sizes,
    ridge=sizes,
    consensus=st.one_of(sizes, st.just("learned")),
    forgetting=st.sampled_from([1e-3, 0.9, 1.0]),
    aggregate=st.sampled_from(["trimmed", "clip", "mean"]),
    dtype=st.sampled_from(["float64", "float32"]),
    delay=st.sampled_from([0, 2]),
)
@settings(deadline=None, max_examples=200)
@example(
    seed=0,
    x=1.0,
    y=1.0,
    late=1.0,
    delay=0,
    pooling=1e-39,
    ridge=1e-39,
    consensus="learned",
    forgetting=1e-3,
    aggregate="trimmed",
    dtype="float32",
)
def test_a_panel_is_finite(seed: int, x: float, y: float, late: float, **options: Any) -> None:
    rng = np.random.default_rng(seed)
    grows = np.where(np.arange(8) < 5, 1.0, late)[:, None, None]
    X = x * rng.normal(size=(8, 9, 2))
    with np.errstate(over="ignore"):  # an infinite y is refused
        Y = y * grows * rng.normal(size=(8, 9, 2))

    def learnt() -> Any:
        panel = memoa.Panel(9, n_threads=1, **options)
        run = panel.run(X, Y, initial=Y[0])
        return [
            run.predictions,
            panel.readouts,
            panel.mean_readout,
            panel.client_rmse,
            panel.predict_one(X[0]),
            panel.consensus_weights,
        ]

    assert_finite_or_refused(learnt)


@given(seed=seeds, gram=sizes, cross=sizes, ridge=sizes, pooling=sizes)
@settings(deadline=None, max_examples=200)
def test_an_equilibrium_of_a_panel_is_finite(
    seed: int, gram: float, cross: float, ridge: float, pooling: float
) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(4, 3, 3))
    assert_finite_or_refused(
        lambda: memoa.solve_panel_equilibrium(
            gram * np.einsum("nij,nkj->nik", root, root),
            cross * rng.normal(size=(4, 3)),
            ridge=ridge,
            pooling=pooling,
        )
    )
