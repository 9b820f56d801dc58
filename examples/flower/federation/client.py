"""The ClientApp: agents of its own, or members of the panel with their series."""

from __future__ import annotations

import logging

import numpy as np
from flwr.app import Context

import memoa
from federation import data
from memoa.federated import Client, PanelClient
from memoa.flower import client_app


def make(context: Context) -> Client | PanelClient:
    k = int(context.node_config["partition-id"])
    if data.is_panel(context):
        return PanelClient(data.members(context)[k])
    return Client(data.AGENTS, random_state=k)  # for a repeatable run; None is a secret seed


def after(context: Context, client: PanelClient, run: memoa.PanelRun) -> None:
    """The forecasts of this client's members are here, and nowhere else."""
    rmse = np.nanmean(client.panel.client_rmse)
    logging.getLogger("flwr").info("step %s: RMSE so far %.4g", client.steps, rmse)


app = client_app(make, data.part, after=after)
