"""A new shop has no history: what do the others know about it?"""

from __future__ import annotations

import numpy as np

import memoa

series = memoa.datasets.late_joiners(n_clients=40, n=300, share=0.25)
together = memoa.Panel(40)
alone = memoa.Panel(40, pooling=0.0, consensus=0.0)
errors = [
    panel.run(series.X, series.Y, initial=series.initial, awake=series.awake).client_rmse
    for panel in (together, alone)
]
late = np.isnan(series.initial[:, 0])  # no value at the start
change = 100 * (errors[0] / errors[1] - 1)
print(f"change of error in the panel: old clients {change[~late].mean():+.1f} %")
print(f"                             late clients {change[late].mean():+.1f} %")
