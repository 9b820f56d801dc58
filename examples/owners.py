"""Ten owners forecast together without showing their models: a federation in one process."""

from __future__ import annotations

import numpy as np

import memoa
from memoa.federated import Client, Server

series = memoa.datasets.logistic_map()
clients = {k: Client(n_agents=8, random_state=k) for k in range(10)}
server = Server([8] * 10).observe(series.initial)
forecasts = []
for first in range(0, len(series.Y), 20):
    steps = slice(first, first + 20)
    messages = server.ask(series.X[steps], series.Y[steps])
    awake = [k for k in clients if (k + first // 20) % 5]  # two of ten are away each time
    exchange = server.hear({k: clients[k].answer(messages[k]) for k in awake})
    forecasts.append(exchange.predictions)
error = np.sqrt(np.mean((np.concatenate(forecasts) - series.Y) ** 2))
print(f"server RMSE {error:.4f}, worst agent {server.under_performer}")
