"""memoa against greedy on one series: both runs, their table, and the files that keep them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from memoa import EchoState, OnlineEnsemble, RandomFeatures, Run, build_info
from memoa.datasets import Series
from memoa.forecasters.standard import REPEAT

Policy = Literal["memoa", "greedy"]
Encoder = Literal["relu", "tanh", "cos", "echo"]
ProgressCallback = Callable[[int, int], None]

COLUMNS = {"server": "server", "mean_agent": "mean agent", "worst_agent": "worst agent"}
# Up to this many numbers (160 MB) every agent is recorded, which spares a second run.
MAX_RECORDED = 20_000_000


@dataclasses.dataclass(frozen=True)
class PolicyRuns:
    """Both policies on one series; the run of the chosen `policy` recorded its extreme agents.

    `rmse` holds, per row of the table, the RMSE of the server, the mean and the worst agent.
    """

    policy: Policy
    runs: Mapping[str, Run]
    rmse: Mapping[str, Mapping[str, float]]
    ensemble: Mapping[str, Any]


def run_and_compare(
    series: Series,
    *,
    agents: int,
    features: int,
    encoder: Encoder,
    policy: Policy,
    seed: int,
    threads: int | None,
    progress: ProgressCallback | None = None,
) -> PolicyRuns:
    """Run both policies with everything else equal."""
    n_steps = len(series.Y)
    record_all = agents * series.Y.size <= MAX_RECORDED
    n_runs = 2 if record_all else 3
    kind = EchoState(features) if encoder == "echo" else RandomFeatures(features, encoder)

    def ensemble(name: Policy) -> OnlineEnsemble:
        return OnlineEnsemble(agents, kind, policy=name, n_threads=threads, random_state=seed)

    def run(name: Policy, record: list[int] | None, runs_before: int) -> Run:
        def tell(done: int, _: int) -> None:
            if progress is not None:
                progress(runs_before * n_steps + done, n_runs * n_steps)

        return ensemble(name).run(
            series.X, series.Y, initial=series.initial, record=record, progress=tell
        )

    other: Policy = "greedy" if policy == "memoa" else "memoa"
    runs: dict[str, Run] = {other: run(other, None, 0)}
    shown = run(policy, list(range(agents)) if record_all else None, 1)
    if not record_all:
        shown = run(policy, [shown.best_agent, shown.worst_agent], 2)
    runs[policy] = shown
    rmse = {
        name: {
            "server": runs[name].server_rmse,
            "mean_agent": runs[name].mean_agent_rmse,
            "worst_agent": runs[name].worst_agent_rmse,
        }
        for name in ("memoa", "greedy")
    }
    # Agents that repeat the last value all make the same error, and so does any server over them.
    rmse[REPEAT] = dict.fromkeys(COLUMNS, shown.repeat_last_rmse)
    return PolicyRuns(policy, runs, rmse, ensemble(policy).get_params(deep=False))


def write_files(
    folder: Path, series: Series, comparison: PolicyRuns, source: Mapping[str, Any]
) -> None:
    """Write predictions.csv, plot.png and settings.json into an existing folder."""
    import pandas as pd

    from memoa.plots.run import best_and_worst, plot_run

    run = comparison.runs[comparison.policy]
    best, worst = best_and_worst(run)
    parts = {"": run.targets, "_server": run.predictions, "_mean_field": run.mean_field,
             "_best_agent": best, "_worst_agent": worst}  # fmt: skip
    # Not from a dict: a column of the user's may well be called like one of ours.
    pd.DataFrame(
        np.stack(list(parts.values()), axis=2).reshape(len(series.Y), -1),
        columns=[name + part for name in series.targets for part in parts],
        index=series.index,
    ).to_csv(folder / "predictions.csv", index_label="step" if series.index is None else "date")
    plot_run(
        series, comparison.runs["memoa"], comparison.runs["greedy"],
        path=folder / "plot.png", policy=comparison.policy,
    )  # fmt: skip
    settings = {
        "memoa": build_info()["version"],
        "series": {
            "name": series.name,
            **source,
            "n_steps": len(series.Y),
            "inputs": series.columns,
            "targets": series.targets,
        },
        "ensemble": comparison.ensemble,
        "rmse": comparison.rmse,
        "best_agent": run.best_agent,
        "worst_agent": run.worst_agent,
    }
    text = json.dumps(settings, indent=2, default=_plain, ensure_ascii=False)
    (folder / "settings.json").write_text(text + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """Encoder and mixture settings as JSON objects, paths as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__name__, **dataclasses.asdict(value)}
    return str(value)
