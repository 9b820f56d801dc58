"""Series to forecast: four synthetic ones, two real ones read from their files, and any table.

Every function returns a `Series`, ready for ``OnlineEnsemble.run(s.X, s.Y, initial=s.initial)``.

>>> from memoa import datasets
>>> datasets.periodic()
Series('periodic': 200 steps, 1 input, target y)
"""

from memoa.datasets.files import load_boc, load_csv, load_ett
from memoa.datasets.series import Series
from memoa.datasets.synthetic import BUILTIN, concept_drift, logistic_map, periodic

__all__ = [
    "BUILTIN",
    "Series",
    "concept_drift",
    "load_boc",
    "load_csv",
    "load_ett",
    "logistic_map",
    "periodic",
]
