"""The ServerApp: it leads the federation through the series, and says what came of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from flwr.app import Context

import memoa
from federation import data
from memoa.federated import PanelServer, Server
from memoa.flower import server_app


def make(context: Context) -> Server | PanelServer:
    if data.is_panel(context):
        n_inputs = data.panel(context).X.shape[2]
        return PanelServer(data.members(context), n_inputs + 1)  # Linear: a constant and the inputs
    return Server([data.AGENTS] * int(context.run_config["clients"]))


def series(context: Context) -> memoa.datasets.Series | int:
    return len(data.panel(context).Y) if data.is_panel(context) else data.series()


def after(context: Context, server: Any, result: np.ndarray) -> None:
    if data.is_panel(context):
        print(f"the crowd's readout after {server.exchanges} exchanges: {result[:, 0].round(3)}")
    else:
        errors = data.series().Y[-len(result) :] - result
        client, agent, _ = server.under_performer
        print(
            f"server RMSE {np.sqrt(np.mean(errors**2)):.4f}, mean agent "
            f"{server.agent_rmse.mean():.4f}, worst agent {server.agent_rmse.max():.4f} "
            f"(agent {agent} of client {client})"
        )
    if context.run_config["out"]:
        np.savez(str(context.run_config["out"]), result=result)


app = server_app(
    make,
    series,
    batch=lambda context: int(context.run_config["batch"]),
    checkpoint=lambda context: str(context.run_config["checkpoint"]) or None,
    after=after,
)
