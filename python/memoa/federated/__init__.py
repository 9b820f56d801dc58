"""Federations: an ensemble or a panel whose members live in other processes.

A `Client` runs agents that nobody else sees. A `Server` computes their mean field, their policy and
the mixture from the clients' reports. `PanelClient` and `PanelServer` do the same for a panel.
Messages are plain dicts of numbers and arrays. This package does not transport them; `memoa.flower`
does so with Flower.
"""

from memoa.federated.client import Client
from memoa.federated.panel import PanelClient, PanelServer
from memoa.federated.server import Exchange, Server

__all__ = ["Client", "Exchange", "PanelClient", "PanelServer", "Server"]
