"""Agents that follow the server's forecast, theory (6.17), or the mean of what they forecast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import memoa
import reference
from helpers import assert_close, assert_same_bits, series

SERVER_ONLY = ("predictions", "shares")


def make(n_agents: int = 20, **settings: Any) -> memoa.OnlineEnsemble:
    return memoa.OnlineEnsemble(n_agents, memoa.RandomFeatures(6, "tanh"), **settings)


@pytest.mark.parametrize("effort", [1e-9, 0.01, 3.0])
@pytest.mark.parametrize("aggregate", ["trimmed", "mean"])
@pytest.mark.parametrize("follow", ["server", "mean"])
def test_the_policy_is_that_of_the_twin(follow: Any, aggregate: Any, effort: float) -> None:
    x, y, initial = series(60, 2, 2)
    run = make(follow=follow, aggregate=aggregate, effort=effort, discount=0.1).run(
        x, y, initial=initial, record=range(20)
    )
    twin = reference.Ensemble(
        20,
        reference.RandomFeatures(6, "tanh"),
        follow=follow,
        aggregate=aggregate,
        effort=effort,
        discount=0.1,
        **reference.DEFAULT,
    )
    server, rmse, means, agents = twin.run(x, y, initial)
    assert_close(run.predictions, server)
    assert_close(run.agent_rmse, rmse)
    assert_close(run.mean_field, means)
    assert_close(run.recorded, agents)


def test_without_effort_an_agent_errs_little_more_than_the_server() -> None:
    """(6.17): between its own forecast and the server's, with the weights h and 1 - h."""
    data = memoa.datasets.logistic_map()
    runs = {
        policy: memoa.OnlineEnsemble(policy=policy, effort=1e-12, consensus=4.0).run(
            data.X, data.Y, initial=data.initial
        )
        for policy in ("memoa", "greedy")
    }
    h = 1.0 / (1.0 + 4.0)
    bound = h * runs["greedy"].agent_rmse + (1.0 - h) * runs["memoa"].server_rmse
    assert np.all(runs["memoa"].agent_rmse <= bound * (1.0 + 1e-6))
    assert runs["memoa"].worst_agent_rmse < 0.8 * runs["greedy"].worst_agent_rmse


def test_the_server_does_not_depend_on_what_agents_follow() -> None:
    data = memoa.datasets.logistic_map(150)
    runs = [
        make(**settings).run(data.X, data.Y, initial=data.initial)
        for settings in ({}, {"follow": "mean"}, {"policy": "greedy"})
    ]
    for other in runs[1:]:
        for name in SERVER_ONLY:
            assert_same_bits(getattr(runs[0], name), getattr(other, name))
        assert not np.array_equal(runs[0].agent_rmse, other.agent_rmse)


def test_a_server_that_mixes_after_the_policy_is_not_followed() -> None:
    data = memoa.datasets.logistic_map(80)
    runs = [
        make(follow=follow, mixture=memoa.Mixture(rivals=False)).run(
            data.X, data.Y, initial=data.initial
        )
        for follow in ("server", "mean")
    ]
    assert_same_bits(runs[0].agent_rmse, runs[1].agent_rmse)
    assert_same_bits(runs[0].predictions, runs[1].predictions)


@pytest.mark.parametrize("delay", [0, 3])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n_agents", [20, 1100])
def test_steps_and_threads_do_not_change_a_bit(n_agents: int, dtype: Any, delay: int) -> None:
    x, y, initial = series(45, 2, 2)
    y[17] = np.nan
    settings: dict[str, Any] = {"dtype": dtype, "delay": delay}
    whole = make(n_agents, n_threads=1, **settings)
    whole.run(x, y, initial=initial)
    parts = make(n_agents, n_threads=3, **settings)
    parts.run(x[:20], y[:20], initial=initial)
    for one, value in zip(x[20:], y[20:], strict=True):
        if delay:
            parts.run(one[None], value[None])
        else:
            parts.predict_one(one)
            parts.predict(x)  # a look leaves no trace
            parts.learn_one(one, value)
    assert_same_bits(whole.agent_rmse, parts.agent_rmse)


def test_a_run_without_y_shows_what_the_step_would() -> None:
    data = memoa.datasets.logistic_map(60)
    gap = data.Y.copy()
    gap[40] = np.nan
    shown = make().run(data.X, gap, initial=data.initial, record=range(20)).recorded
    full = make().run(data.X, data.Y, initial=data.initial, record=range(20)).recorded
    assert_same_bits(shown[:41], full[:41])


@pytest.mark.parametrize("follow", ["server", "mean"])
def test_a_file_keeps_it(follow: Any, tmp_path: Path) -> None:
    data = memoa.datasets.logistic_map(60)
    ensemble = make(follow=follow)
    ensemble.run(data.X[:30], data.Y[:30], initial=data.initial)
    ensemble.save(tmp_path / "state.npz")
    again = memoa.OnlineEnsemble.load(tmp_path / "state.npz")
    assert again.follow == follow
    for one in (ensemble, again):
        one.run(data.X[30:], data.Y[30:])
    assert_same_bits(ensemble.agent_rmse, again.agent_rmse)


def test_anything_else_is_refused() -> None:
    with pytest.raises(ValueError, match="follow is 'leader'; expected one of 'server', 'mean'"):
        make(follow="leader").run(np.zeros((3, 1)), np.zeros(3))
