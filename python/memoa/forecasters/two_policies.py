"""Runs memoa and greedy on one series, or continues an ensemble, and makes their table."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from memoa.datasets.series import Series
from memoa.encoder import EchoState, RandomFeatures
from memoa.ensemble import OnlineEnsemble
from memoa.forecasters.standard import REPEAT
from memoa.run import Run

Policy = Literal["memoa", "greedy"]
Encoder = Literal["wave", "relu", "tanh", "cos", "echo"]
ProgressCallback = Callable[[int, int], None]

COLUMNS = {"server": "server", "mean_agent": "mean agent", "worst_agent": "worst agent"}
# Up to this many numbers (160 MB) every agent is recorded, which avoids a second run.
MAX_RECORDED = 20_000_000


@dataclasses.dataclass(frozen=True)
class PolicyRuns:
    """Runs on one series, by policy; the one of the chosen `policy` recorded its extreme agents.

    For each row of the table, `rmse` has the RMSE of the server, of the mean and of the worst
    agent, `absolute` the server's MAE and MASE, and `per_target` its RMSE for every target. `model`
    is the ensemble of the chosen policy after the series.
    """

    policy: Policy
    runs: Mapping[str, Run]
    rmse: Mapping[str, Mapping[str, float]]
    absolute: Mapping[str, Mapping[str, float]]
    per_target: Mapping[str, Mapping[str, float]]
    model: OnlineEnsemble


def run_and_compare(
    series: Series,
    *,
    agents: int,
    features: int,
    encoder: Encoder,
    policy: Policy,
    seed: int,
    threads: int | None,
    communicator: Any = None,
    progress: ProgressCallback | None = None,
    warmup: int = 0,
    intervals: Sequence[float] = (),
    delay: int = 0,
) -> PolicyRuns:
    """Run both policies with the same settings otherwise."""
    kind: EchoState | RandomFeatures
    if encoder == "echo":
        kind = EchoState(features)
    elif encoder == "wave":  # the default's, with another width
        kind = RandomFeatures(features, "wave", n_raw=min(4, features - 1), n_columns=2)
    else:
        kind = RandomFeatures(features, encoder)
    chosen, other = (
        OnlineEnsemble(
            agents,
            kind,
            policy=name,
            n_threads=threads,
            random_state=seed,
            communicator=communicator,
            intervals=intervals,
            delay=delay,
        )
        for name in (("memoa", "greedy") if policy == "memoa" else ("greedy", "memoa"))
    )
    return _run_all(series, {other.policy: other}, chosen, progress, warmup)


def go_on(
    series: Series,
    model: OnlineEnsemble,
    progress: ProgressCallback | None = None,
    warmup: int = 0,
) -> PolicyRuns:
    """Continue an ensemble that has already learnt. The other policy has no such ensemble, so it is
    left out."""
    return _run_all(series, {}, model, progress, warmup)


def _initial(series: Series, model: OnlineEnsemble) -> Any:
    """Return the value before a series; None if forecasts still wait for values."""
    return None if model.delay > 0 and model.__sklearn_is_fitted__() else series.before


def _run_all(
    series: Series,
    others: Mapping[str, OnlineEnsemble],
    chosen: OnlineEnsemble,
    progress: ProgressCallback | None,
    warmup: int,
) -> PolicyRuns:
    X = series.X if series.next_x is None else np.vstack([series.X, series.next_x])
    n_steps = len(series.Y)
    record_all = chosen.n_agents * series.Y.size <= MAX_RECORDED
    n_runs = len(others) + 1 + (not record_all)
    done = 0

    def run(model: OnlineEnsemble, record: Sequence[int] | None) -> Run:
        nonlocal done

        def tell(steps: int, _: int) -> None:
            if progress is not None:
                progress(done * n_steps + steps, n_runs * n_steps)

        before = _initial(series, model)
        found = model.run(X, series.Y, initial=before, record=record, progress=tell, warmup=warmup)
        done += 1
        return found

    runs: dict[str, Run] = {name: run(model, None) for name, model in others.items()}
    record: Sequence[int] = range(chosen.n_agents)
    if not record_all:  # a first run finds the agents to record
        first = run(copy.deepcopy(chosen), None)
        record = [first.best_agent, first.worst_agent]
    shown = runs[chosen.policy] = run(chosen, record)
    rmse: dict[str, dict[str, float]] = {
        name: {
            "server": runs[name].server_rmse,
            "mean_agent": runs[name].mean_agent_rmse,
            "worst_agent": runs[name].worst_agent_rmse,
        }
        for name in ("memoa", "greedy")
        if name in runs
    }
    # All agents that repeat the last value have the same error, and so has any server.
    rmse[REPEAT] = dict.fromkeys(COLUMNS, shown.repeat_last_rmse)
    absolute = {
        name: {"mae": runs[name].server_mae, "mase": runs[name].server_mase}
        for name in rmse
        if name in runs
    }
    per_target = {
        name: dict(zip(series.targets, (one.rmse for one in runs[name].per_output), strict=True))
        for name in absolute
    }
    per_target[REPEAT] = dict(
        zip(series.targets, (one.rmse for one in shown.repeat_last_per_output), strict=True)
    )
    absolute[REPEAT] = {"mae": shown.repeat_last_mae, "mase": 1.0}
    return PolicyRuns(chosen.policy, runs, rmse, absolute, per_target, chosen)
