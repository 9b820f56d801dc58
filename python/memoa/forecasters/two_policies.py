"""memoa against greedy on one series: both runs, and their table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

from memoa.datasets.series import Series
from memoa.encoder import EchoState, RandomFeatures
from memoa.ensemble import OnlineEnsemble
from memoa.forecasters.standard import REPEAT
from memoa.run import Run

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
