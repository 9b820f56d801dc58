"""Bad values, failing agents and liars: the core against its twin, and what they may cost."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import memoa
import reference
from helpers import assert_close, assert_same_bits, ensemble, mixture_weight, series, steps
from memoa import datasets
from reference_robust import Crowd

# ---------------------------------------------------------------- inputs


def hurt_inputs(name: str, x: np.ndarray) -> np.ndarray:
    """Inputs (T, dx) with something wrong in their first column."""
    x = x.copy()
    rng = np.random.default_rng(1)
    if name == "isolated":
        x[[0, 7, 30, 60], 0] = [1e6, -1e3, 1e9, 1e3]
    elif name == "burst":
        x[40:60, 0] = 1e6 * rng.normal(size=20)
    elif name == "stuck":
        x[20:, 0] = -9999.0
    elif name == "level":
        x[50:, 0] += 1000.0
    elif name == "wider":
        x[50:, 0] *= 100.0
    elif name == "narrower":
        x[50:, 0] = 3.0 + 0.01 * rng.normal(size=len(x) - 50)
    return x


HURT = ["isolated", "burst", "stuck", "level", "wider", "narrower"]


@pytest.mark.parametrize("name", HURT)
def test_hurt_inputs_are_standardised_as_the_twin_does(name: str) -> None:
    x, y, initial = series(120, 2, 2)
    hurt = hurt_inputs(name, x)
    run = ensemble(5).run(hurt, y, initial=initial, record=range(5))
    twin = reference.Ensemble(5, reference.RandomFeatures(5))
    server, _, _, agents = twin.run(hurt, y, initial)
    assert_close(run.recorded, agents, 1e-8)
    assert_close(run.predictions, server, 1e-7)
    model = ensemble(5).observe(initial)
    assert_same_bits(steps(model, hurt, y), run.predictions)


def chaos(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y <- 3.9 y (1 - y): inputs (n, 1), targets (n, 1), the first value."""
    y = np.empty(n + 1)
    y[0] = 0.4
    for k in range(n):
        y[k + 1] = 3.9 * y[k] * (1.0 - y[k])
    return y[:-1, None], y[1:, None], y[:1]


def last_error(x: np.ndarray, y: np.ndarray, initial: np.ndarray, n: int = 1000) -> float:
    """The server's error over the last n steps."""
    run = memoa.OnlineEnsemble(32).run(x, y, initial=initial)
    return float(np.sqrt(np.mean((run.predictions - y)[-n:] ** 2)))


@pytest.fixture(scope="module")
def clean() -> float:
    return last_error(*chaos(4000))


@pytest.mark.parametrize(
    ("where", "value", "worse"),
    [
        (slice(1000, 1001), 1e3, 1.05),
        (slice(1000, 1001), 1e6, 1.05),
        (slice(0, 1), 1e6, 1.05),
        (slice(5, 6), -1e6, 1.05),
        (slice(50, 70), 1e6, 1.2),
        (slice(1000, 1020), 1e6, 1.2),
        (slice(1000, 1200), -9999.0, 1.25),
        (slice(0, 200), -9999.0, 1.25),
    ],
)
def test_bad_inputs_do_not_cost_the_rest(
    clean: float, where: slice, value: float, worse: float
) -> None:
    x, y, initial = chaos(4000)
    x = x.copy()
    x[where] = value
    assert last_error(x, y, initial) < worse * clean


@pytest.mark.parametrize(("scale", "level"), [(1.0, 250.0), (100.0, 0.0), (0.01, 0.0)])
def test_a_level_and_a_scale_that_stay_are_followed(
    clean: float, scale: float, level: float
) -> None:
    x, y, initial = chaos(4000)
    x = x.copy()
    x[1000:] = level + scale * x[1000:]
    assert last_error(x, y, initial) < 1.25 * clean


def test_a_bad_value_in_lagged_columns_and_the_target_is_left_behind(clean: float) -> None:
    _, y, initial = chaos(4000)
    for at in (0, 1000):
        hurt = y.copy()
        hurt[at] = 1e3
        x = np.concatenate([initial[None], hurt[:-1]])
        assert last_error(x, hurt, initial) < 1.1 * clean


def test_a_scale_or_a_level_of_an_input_changes_nothing() -> None:
    """The rules for bad values are free of units too."""
    x, y, initial = series(120, 2, 1)
    for name in HURT:
        hurt = hurt_inputs(name, x)
        run = ensemble(5).run(hurt, y, initial=initial)
        other = ensemble(5).run(hurt * [4.0, 0.5], y, initial=initial)
        assert_close(other.predictions, run.predictions, 1e-9)


# ---------------------------------------------------------------- the fallback


def test_one_bad_target_does_not_cost_the_rest(clean: float) -> None:
    x, y, initial = chaos(4000)
    for at in (*range(11), 50, 1000):
        hurt = y.copy()
        hurt[at] = 1e3
        assert last_error(x, hurt, initial) < 1.4 * clean
    for at in (1, 4, 1000):
        hurt = y.copy()
        hurt[at] = -1e6
        assert last_error(x, hurt, initial) < 1.1 * clean


def test_one_bad_target_in_a_sine_does_not_cost_the_rest() -> None:
    y = np.sin(0.3 * np.arange(1501))[:, None]
    x, y, initial = y[:-1], y[1:], y[:1].ravel()
    repeat = float(np.sqrt(np.mean(np.diff(y[-601:], axis=0) ** 2)))
    assert last_error(x, y, initial, 600) < 0.001 * repeat
    # The first ten increments are not judged: what agents learnt of them fades with time.
    for at, share in (*((k, 0.06) for k in range(10)), (10, 0.002), (50, 0.002), (700, 0.002)):
        hurt = y.copy()
        hurt[at] = 100.0
        assert last_error(x, hurt, initial, 600) < share * repeat


def test_the_fallback_with_bad_targets_is_that_of_the_twin() -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(80, 2))
    targets[[0, 5, 40], 0] = [1e3, 1e4, -1e3]
    targets[41:60, 1] = 500.0
    predictions = targets[:, None] + 0.3 * rng.normal(size=(80, 6, 2))
    server, rival, last = (
        memoa.ServerMixture(6, 2, rivals=False, start=0),
        reference.Fallback(2),
        np.zeros(2),
    )
    for shown, y in zip(predictions, targets):
        np.testing.assert_allclose(mixture_weight(server), rival.weight(), rtol=0.0, atol=1e-8)
        mixed = server.weights @ shown
        server.update(shown, y)
        rival.compare(y - last, y - mixed)
        last = y


# ---------------------------------------------------------------- the crowd


def lying_features(
    n_steps: int, n_agents: int, p: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (T, N, p), a few of which fail now and then, targets (T, 2), and the first value."""
    rng = np.random.default_rng(seed)
    x, y, initial = series(n_steps, 3, 2, seed)
    z = np.tanh(np.einsum("npd,td->tnp", rng.normal(size=(n_agents, p, 3)), x))
    z[rng.uniform(size=(n_steps, n_agents)) < 0.02] *= 1e4
    z[n_steps // 2 :, :3] = 30.0 * rng.normal(size=(n_steps - n_steps // 2, 3, p))
    z[5:9, 4] = 0.0
    return z, y, initial


@pytest.mark.parametrize("aggregate", ["mean", "trimmed", "clip"])
@pytest.mark.parametrize("policy", ["memoa", "greedy"])
def test_a_crowd_that_judges_is_its_twin(policy: Any, aggregate: Any) -> None:
    z, y, initial = lying_features(120, 20, 4)
    model = ensemble(
        20,
        encoder=memoa.Precomputed(4),
        policy=policy,
        aggregate=aggregate,
        mixture=memoa.Mixture(20, rivals=False, start=0),
    )
    run = model.run(z, y, initial=initial, record=range(20))
    twin = reference.Ensemble(
        20, reference.Precomputed(4), policy=policy, aggregate=aggregate, window=20
    )
    server, _, mean_field, agents = twin.run(z, y, initial)
    scale = np.abs(agents).max(axis=(1, 2), keepdims=True)  # features of 1e4 make large steps
    np.testing.assert_allclose(run.recorded / scale, agents / scale, rtol=0.0, atol=1e-7)
    np.testing.assert_allclose(run.mean_field, mean_field, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(run.predictions, server, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("aggregate", ["trimmed", "clip"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_crowd_that_judges_gives_the_same_bits_on_any_way(aggregate: Any, dtype: Any) -> None:
    """One thread or three, a run, steps, or both with a copy in between."""
    z, y, initial = lying_features(70, 300, 3)
    settings: dict[str, Any] = {"aggregate": aggregate, "dtype": dtype}

    def model(n_threads: int) -> memoa.OnlineEnsemble:
        encoder = memoa.Precomputed(3)
        return memoa.OnlineEnsemble(300, encoder, n_threads=n_threads, **settings).observe(initial)

    run = model(1).run(z, y, record=range(300))
    other = model(3).run(z, y, record=range(300))
    assert_same_bits(other.predictions, run.predictions)
    assert_same_bits(other.recorded, run.recorded)
    stepped = model(2)
    first = steps(stepped, z[:21], y[:21])
    stepped.predict_one(z[21])
    stepped.predict(z[30:33])  # leaves no trace
    restored = pickle.loads(pickle.dumps(stepped))
    rest = restored.run(z[21:], y[21:], record=range(300))
    assert_same_bits(np.concatenate([first, rest.predictions]), run.predictions)
    assert_same_bits(rest.agent_rmse.shape, run.agent_rmse.shape)
    assert_same_bits(rest.recorded, run.recorded[21:])


def test_nobody_is_left_out_where_all_are_alike() -> None:
    """The averages are bit for bit those of all agents."""
    rng = np.random.default_rng(3)
    x, y, initial = series(100, 3, 1)
    z = np.tanh(x[:, None] + 0.05 * rng.uniform(-1, 1, size=(100, 64, 3)))
    runs = [
        memoa.OnlineEnsemble(
            64, memoa.Precomputed(3), aggregate=aggregate, follow="mean", forgetting=0.98
        ).run(z, y, initial=initial)
        for aggregate in ("clip", "mean")
    ]
    left_out = np.abs(runs[0].mean_field - runs[1].mean_field)[:, 0] > 0
    assert left_out.mean() < 0.2
    few = [
        memoa.OnlineEnsemble(15, memoa.Precomputed(3), aggregate=aggregate).run(
            z[:, :15], y, initial=initial
        )
        for aggregate in ("clip", "trimmed", "mean")
    ]
    assert_same_bits(few[0].predictions, few[2].predictions)
    assert_same_bits(few[1].predictions, few[2].predictions)


def test_the_jury_of_a_large_crowd_is_not_filled_by_a_row_of_liars() -> None:
    """A third of 3000 agents, next to each other, say something huge at the end."""
    rng = np.random.default_rng(0)
    x, y, initial = series(60, 3, 1)
    z = np.tanh(np.einsum("npd,td->tnp", rng.normal(size=(3000, 3, 3)), x))
    hurt = z.copy()
    hurt[-1, :1000] *= 1e6
    model = memoa.OnlineEnsemble(3000, memoa.Precomputed(3))
    found = [model.run(v, y, initial=initial).mean_field[-1] for v in (z,)]
    model = memoa.OnlineEnsemble(3000, memoa.Precomputed(3))
    found.append(model.run(hurt, y, initial=initial).mean_field[-1])
    assert abs(found[1] - found[0]) < 0.1


def test_an_agent_that_fails_now_and_then_harms_nobody_else() -> None:
    x, y, initial = chaos(2000)
    rng = np.random.default_rng(0)
    V, v = rng.normal(size=(60, 12)), rng.uniform(-1.0, 1.0, size=(60, 12))
    z = np.maximum(3.0 * (x[:, None] - 0.5) * V + v, 0.0) * np.sqrt(2 / 12)
    hurt = z.copy()
    hurt[rng.uniform(size=2000) < 0.01, 7] *= 1e4
    honest = np.delete(np.arange(60), 7)

    def errors(shown: np.ndarray, aggregate: Any, **settings: Any) -> tuple[float, float]:
        model = memoa.OnlineEnsemble(
            shown.shape[1], memoa.Precomputed(12), aggregate=aggregate, **settings
        )
        run = model.run(shown, y, initial=initial)
        agents = run.agent_rmse if shown.shape[1] == 59 else run.agent_rmse[honest]
        return run.server_rmse, agents.mean()

    without = errors(np.delete(z, 7, axis=1), "mean")
    for aggregate in ("clip", "trimmed"):
        server, agents = errors(hurt, aggregate)
        assert server < 1.1 * without[0]
        assert agents < 1.1 * without[1]
    unguarded = {"bounded": False, "mixture": memoa.Mixture(rivals=False)}
    server, agents = errors(hurt, "mean", **unguarded)  # what it is about
    assert server > 10.0 * without[0]
    assert agents > 5.0 * without[1]


@pytest.mark.parametrize("generate", [datasets.late_joiners, datasets.similar_households])
def test_a_lying_tenth_of_a_panel_costs_the_honest_less_than_a_hundredth(generate: Any) -> None:
    """Readouts of liars are taught nonsense: a ramp, noise, or the opposite."""
    panel = generate()
    liars = np.arange(len(panel.ids)) % 10 == 3
    values = np.concatenate([panel.initial[None], panel.Y])
    ramp = 5.0 * np.arange(len(values))[:, None, None] + np.zeros_like(values)
    lies = [ramp, 10.0 * np.random.default_rng(0).normal(size=values.shape), -values]

    def honest(values: np.ndarray, aggregate: Any = "trimmed") -> float:
        model = memoa.Panel(len(panel.ids), aggregate=aggregate)
        run = model.run(panel.X, values[1:], initial=values[0], awake=panel.awake)
        return float(np.nanmean(run.relative_rmse()[~liars]))

    lied = [np.where(liars[:, None] & ~np.isnan(values), lie, values) for lie in lies]
    clean = honest(values)
    assert max(honest(hurt) for hurt in lied) < 1.01 * clean
    if generate is datasets.late_joiners:  # what it is about
        assert max(honest(hurt, "mean") for hurt in lied) > 1.01 * honest(values, "mean")


@pytest.mark.parametrize("aggregate", ["all", "", "median"])
def test_an_unknown_aggregate_is_refused(aggregate: Any) -> None:
    with pytest.raises(ValueError, match=f"aggregate is '{aggregate}'; expected"):
        memoa.OnlineEnsemble(aggregate=aggregate)


def test_the_twin_sets_an_agent_of_large_losses_aside() -> None:
    crowd, everybody = Crowd(20, "clip"), np.ones(20, bool)
    c, change = np.zeros((20, 1)), np.array([1.0])
    c[3] = -2.0
    for _ in range(3):
        crowd.learn(c, change, everybody)
    used, _ = crowd.used(np.zeros((20, 1)), np.ones(20), everybody)
    assert np.flatnonzero(~used[:, 0]).tolist() == [3]


# ---------------------------------------------------------------- settings and their products


def test_a_long_horizon_with_a_discount_is_that_of_its_last_stages() -> None:
    x, y, initial = series(40, 2, 1)
    runs = [
        ensemble(horizon=horizon, discount=1.0).run(x, y, initial=initial) for horizon in (60, 1000)
    ]
    assert np.isfinite(runs[1].predictions).all()
    assert_close(runs[1].predictions, runs[0].predictions, 1e-12)


@pytest.mark.parametrize(
    "product",
    [
        {"horizon": 1000, "discount": 1.0},
        {"horizon": 3, "discount": 1e6, "effort": 1e-300},
        {"horizon": 500, "discount": 300.0, "effort": 1e300},
        {"horizon": 2000, "effort": 1e300, "consensus": 1e12},
        {"effort": 5e-324, "consensus": 1e12},
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_no_product_of_valid_settings_is_not_a_number(product: dict[str, Any], dtype: Any) -> None:
    x, y, initial = series(30, 2, 1)
    run = ensemble(dtype=dtype, **product).run(x, y, initial=initial, record=range(6))
    for numbers in (run.predictions, run.recorded, run.mean_field):
        assert np.isfinite(numbers).all()


@pytest.mark.parametrize("consensus", [1e4, 1e8, 1e12])
def test_float32_keeps_its_digits_under_a_large_consensus(consensus: float) -> None:
    x, y, initial = chaos(300)
    runs = [
        memoa.OnlineEnsemble(12, dtype=dtype, consensus=consensus).run(x, y, initial=initial)
        for dtype in ("float64", "float32")
    ]
    assert runs[1].mean_agent_rmse == pytest.approx(runs[0].mean_agent_rmse, rel=1e-3)
    assert runs[1].server_rmse == pytest.approx(runs[0].server_rmse, rel=1e-2)


# ---------------------------------------------------------------- numbers that overflow


def test_what_overflows_is_an_error_with_its_stage() -> None:
    overflow = pytest.raises(memoa.NumericalError, match=r"stage \d: the policy overflowed")
    with overflow:
        memoa.solve_mean_field(memoa.Game([[0.5]], [0.0], [1e308], effort=1e-200, horizon=3))
    with overflow:
        memoa.solve_social_optimum(memoa.Game([[0.5]], [0.0], [1e308], effort=1e-200, horizon=3))
    with overflow:
        game = memoa.Game([[0.5]], [0.1], [1e160], tracking=1e200, effort=1e-200, horizon=3)
        memoa.solve_myopic(game)
    game = memoa.Game([[0.5]], [0.1], [1.0], horizon=3)
    policy = memoa.solve_mean_field(game)
    with pytest.raises(memoa.NumericalError, match="the expected cost overflowed"):
        memoa.certify(game, policy, 5, mean=[1e160], cov=[[1.0]])


def test_moments_that_overflow_are_an_error() -> None:
    with pytest.raises(memoa.NumericalError, match="the moments of the samples overflowed"):
        memoa.feature_moments(np.array([[[1.0]], [[1e200]]]))
    with pytest.raises(memoa.NumericalError, match="the moments of the features overflowed"):
        memoa.feature_moments(activation="relu", mean=[[0.0]], std=1e200)
    far = memoa.feature_moments(activation="relu", mean=[[1e300, -1e300]], std=1e-100)
    assert far.mean.tolist() == [[1e300, 0.0]]
    assert far.cov.ravel().tolist() == [1e-200, 0.0]


def test_a_total_whose_forecasts_would_overflow_is_refused() -> None:
    with pytest.raises(ValueError, match="total is 1e\\+101; expected a number from -1e100"):
        memoa.Mixture(total=1e101)
