"""Online forecasters to compare with memoa, and their comparison on one series.

A forecaster is an object with ``predict_one(x)`` and ``learn_one(x, y)``; see `Forecaster`.
"""

from memoa.forecasters.aggregation import (
    BernsteinAggregation,
    ExponentialWeights,
    FixedShare,
    PolynomialPotential,
)
from memoa.forecasters.baselines import Aggregated, OnlineRidge, RepeatLast, Seasonal
from memoa.forecasters.combination import best_convex_combination
from memoa.forecasters.comparison import Comparison, Score, compare
from memoa.forecasters.experts import Experts
from memoa.forecasters.protocol import Factory, Forecaster
from memoa.forecasters.standard import standard_forecasters

__all__ = [
    "Aggregated",
    "BernsteinAggregation",
    "Comparison",
    "Experts",
    "ExponentialWeights",
    "Factory",
    "FixedShare",
    "Forecaster",
    "OnlineRidge",
    "PolynomialPotential",
    "RepeatLast",
    "Score",
    "Seasonal",
    "best_convex_combination",
    "compare",
    "standard_forecasters",
]
