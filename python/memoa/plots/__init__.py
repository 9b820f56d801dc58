"""Plots, each written to a PNG file. Needs matplotlib, from the extra ``memoa[cli]``."""

from memoa.plots.comparison import plot_comparison
from memoa.plots.horizon import plot_fan
from memoa.plots.run import best_and_worst, plot_run, repeat_cost
from memoa.plots.verification import plot_verification

__all__ = [
    "best_and_worst",
    "plot_comparison",
    "plot_fan",
    "plot_run",
    "plot_verification",
    "repeat_cost",
]
