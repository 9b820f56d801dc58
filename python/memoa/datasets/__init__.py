"""Series to forecast: four synthetic ones, two real ones read from their files, and any table.

The result is a `Series`, ready for ``OnlineEnsemble.run(s.X, s.Y, initial=s.initial)``, or, for
many clients, a `PanelSeries`, ready for ``Panel.run(s.X, s.Y, initial=s.initial)``.

>>> from memoa import datasets
>>> datasets.periodic()
Series('periodic': 200 steps, 1 input, target y)
"""

from memoa.datasets.files import load_boc, load_csv, load_ett
from memoa.datasets.panel_generators import (
    PANELS,
    common_factor,
    common_shock,
    late_joiners,
    random_walks,
    similar_households,
    unrelated_clients,
)
from memoa.datasets.panel_inputs import seasonal_inputs
from memoa.datasets.panels import PanelSeries, load_long
from memoa.datasets.seasons import calendar_inputs
from memoa.datasets.series import Series
from memoa.datasets.synthetic import BUILTIN, concept_drift, logistic_map, periodic

__all__ = [
    "BUILTIN",
    "PANELS",
    "PanelSeries",
    "Series",
    "calendar_inputs",
    "common_factor",
    "common_shock",
    "concept_drift",
    "late_joiners",
    "load_boc",
    "load_csv",
    "load_ett",
    "load_long",
    "logistic_map",
    "periodic",
    "random_walks",
    "seasonal_inputs",
    "similar_households",
    "unrelated_clients",
]
