"""Means and covariances of random features: what a game needs to know about an encoder."""

from __future__ import annotations

from typing import NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike

from memoa import _core
from memoa._validate import Float64, as_choice, as_float64


class FeatureMoments(NamedTuple):
    """The first two arguments of a Game: ``memoa.Game(*moments, target)``.

    Attributes
    ----------
    mean : ndarray, shape (T, d, p) or (d, p)
        Mean of the features.
    cov : ndarray, shape (T, p, d, d) or (p, d, d)
        Covariance of the outputs in each column of the features.

    Examples
    --------
    >>> import memoa
    >>> moments = memoa.feature_moments(activation="cos", mean=[[0.0, 1.0]], std=1.0)
    >>> moments.mean.shape, moments.cov.shape
    ((1, 2), (2, 1, 1))
    """

    mean: Float64
    cov: Float64


@overload
def feature_moments(samples: ArrayLike) -> FeatureMoments: ...
@overload
def feature_moments(*, activation: str, mean: ArrayLike, std: ArrayLike) -> FeatureMoments: ...


def feature_moments(
    samples: ArrayLike | None = None,
    *,
    activation: str | None = None,
    mean: ArrayLike | None = None,
    std: ArrayLike | None = None,
) -> FeatureMoments:
    """Compute mean and covariance of features, from a sample or in closed form.

    ``feature_moments(samples)`` takes observed features of N agents. ``feature_moments(
    activation=..., mean=..., std=...)`` takes the mean and standard deviation of independent
    Gaussian pre-activations, to which the activation is applied.

    Parameters
    ----------
    samples : array_like, shape (N, T, d, p) or (N, d, p), float64
        Observed features of N agents.
    activation : {"relu", "cos"}
        The function that turns a Gaussian pre-activation into a feature.
    mean : array_like, shape (T, d, p) or (d, p), float64
        Mean of the pre-activations.
    std : array_like, float64
        Their standard deviation, >= 0, of any shape that broadcasts to that of `mean`.

    Returns
    -------
    FeatureMoments
        The covariance of a sample is divided by N, so it is zero for one agent. In closed form the
        covariances are diagonal.

    Raises
    ------
    TypeError
        Unless either a sample or all of activation, mean and std are given.
    ValueError
        For a shape that does not fit, a negative std, or a number that is not finite.
    NumericalError
        If the moments of finite numbers overflow.

    Notes
    -----
    With c = mean/std, Phi and phi the normal distribution and density at c, the mean of
    max(X, 0) is ``std (c Phi + phi)`` and its variance
    ``std^2 (Phi + c^2 Phi (1 - Phi) + c phi (1 - 2 Phi) - phi^2)``. From E exp(iX), cos X has mean
    ``exp(-std^2/2) cos(mean)`` and variance
    ``(1 - exp(-std^2)) (1 - exp(-std^2) cos(2 mean)) / 2``.

    Examples
    --------
    >>> import memoa
    >>> moments = memoa.feature_moments(activation="relu", mean=[[0.0, 1.0]], std=1.0)
    >>> moments.mean.round(4)
    array([[0.3989, 1.0833]])
    >>> memoa.Game(*moments, [1.0], horizon=3)
    Game(horizon=3, n_outputs=1, n_features=2)
    """
    if samples is not None and activation is mean is std is None:
        return _of_sample(as_float64("samples", samples))
    if samples is not None or activation is None or mean is None or std is None:
        raise TypeError("expected either samples, or all of activation, mean and std")
    word = as_choice("activation", activation, ("relu", "cos"))
    centre = as_float64("mean", mean)
    if centre.ndim not in (2, 3) or 0 in centre.shape:
        raise ValueError(f"mean has shape {centre.shape}; expected (T, d, p) or (d, p)")
    width = as_float64("std", std)
    try:
        width = np.ascontiguousarray(np.broadcast_to(width, centre.shape))
    except ValueError:
        raise ValueError(
            f"std has shape {width.shape}; expected one that broadcasts to {centre.shape}"
        ) from None
    _core.require_finite("mean", centre)
    _core.require_finite("std", width)
    if (width < 0.0).any():
        raise ValueError(f"std holds {width.min()}; expected numbers >= 0")
    first, variance = _core.activation_moments(word == "cos", centre, width)
    diagonals = np.swapaxes(variance, -1, -2)[..., None]
    return FeatureMoments(first, diagonals * np.eye(centre.shape[-2]))


def _of_sample(samples: Float64) -> FeatureMoments:
    if samples.ndim not in (3, 4) or 0 in samples.shape:
        raise ValueError(f"samples has shape {samples.shape}; expected (N, T, d, p) or (N, d, p)")
    _core.require_finite("samples", samples)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = samples.mean(axis=0)
        columns = np.moveaxis(samples - mean, 0, -1).swapaxes(-3, -2)  # (..., p, d, N)
        cov = columns @ columns.swapaxes(-1, -2) / len(samples)
    if not np.isfinite(cov).all():  # also if the mean has overflowed
        raise _core.NumericalError("the moments of the samples overflowed")
    return FeatureMoments(mean, cov)
