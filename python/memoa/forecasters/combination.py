"""The best fixed convex combination of experts, which is known only at the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from memoa._validate import Float64, as_float64, require_shape


def best_convex_combination(X: ArrayLike, Y: ArrayLike) -> Float64:
    """Return the weights >= 0 of sum 1 that are best over a whole series, as a reference.

    Parameters
    ----------
    X : array_like, shape (T, K) or (T, K, d), float64
        Predictions of K experts. Steps with a NaN are left out.
    Y : array_like, shape (T,) or (T, d), float64
        Outcomes; NaN are left out.

    Returns
    -------
    ndarray, shape (K,)
        The weights with the least sum of squared errors.

    Raises
    ------
    ValueError
        If no step has all predictions and an outcome.

    Notes
    -----
    The nearest point of a polytope, by an active set (Wolfe, *Mathematical Programming* 11, 1976):
    exact up to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from memoa.forecasters import best_convex_combination
    >>> y = np.sin(np.arange(100.0))
    >>> best_convex_combination(np.column_stack([y + 1, y - 3, y + 5]), y).round(6).tolist()
    [0.75, 0.25, 0.0]
    """
    shown, wanted = as_float64("X", X), as_float64("Y", Y)
    shown = shown[:, :, None] if shown.ndim == 2 else shown
    wanted = wanted[:, None] if wanted.ndim == 1 else wanted
    require_shape("X", shown, "(n_steps, n_experts, n_outputs)", (None, None, None))
    require_shape("Y", wanted, "(n_steps, n_outputs)", (shown.shape[0], shown.shape[2]))
    errors = np.moveaxis(shown - wanted[:, None], 1, 2).reshape(-1, shown.shape[1])  # (T d, K)
    errors = errors[~np.isnan(errors).any(axis=1)]
    if not len(errors):
        raise ValueError("X and Y have no step without missing values")
    scale = np.abs(errors).max()
    return _nearest(errors / scale if scale > 0.0 else errors)


def _nearest(errors: Float64) -> Float64:
    """Return the weights of the point of least norm in the hull of the columns."""
    gram = errors.T @ errors / len(errors)
    weights = np.zeros(len(gram))
    weights[np.argmin(np.diag(gram))] = 1.0
    for _ in range(100 * len(gram)):
        slopes = gram @ weights
        enters = int(np.argmin(slopes))
        if weights @ slopes - slopes[enters] <= 1e-14 * max(1.0, float(weights @ slopes)):
            break
        support = np.union1d(np.flatnonzero(weights), enters)
        while True:
            best = _affine(gram[np.ix_(support, support)])
            if (best > 0.0).all():
                weights[:] = 0.0
                weights[support] = best
                break
            now = weights[support]
            falls = best <= 0.0
            step = np.min(now[falls] / np.maximum(now[falls] - best[falls], 1e-300))
            moved = np.maximum(now + min(step, 1.0) * (best - now), 0.0)
            moved[falls & (moved <= 1e-15)] = 0.0
            weights[support] = moved / moved.sum()
            kept = support[weights[support] > 0.0]
            if len(kept) == len(support):  # only by rounding errors
                return weights
            support = kept
    return weights


def _affine(gram: Float64) -> Float64:
    """Return the weights of sum 1, of any sign, with the least w' gram w."""
    n = len(gram)
    system, right = np.zeros((n + 1, n + 1)), np.zeros(n + 1)
    system[:n, :n], system[:n, n], system[n, :n], right[n] = gram, 1.0, 1.0, 1.0
    return np.asarray(np.linalg.lstsq(system, right, rcond=None)[0][:n], dtype=np.float64)
