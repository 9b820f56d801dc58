"""The Nash equilibrium of clients with given data."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from memoa import _core
from memoa._validate import Float64, as_float64, as_number, with_shape


def solve_panel_equilibrium(
    gram: ArrayLike, cross: ArrayLike, *, ridge: float, pooling: float
) -> tuple[Float64, Float64]:
    """Solve the game of clients with given data; theory (8.2).

    Client i minimises ``|theta - that_i|^2``, in the metric of its gram, plus ``ridge |theta|^2``
    plus ``pooling |theta - Theta|^2``. Here ``that_i`` solves ``gram_i that_i = cross_i``, and
    Theta is the mean of the readouts.

    Parameters
    ----------
    gram : array_like, shape (N, p, p), float64
        Sums of z z' of each client; symmetric, without negative eigenvalues.
    cross : array_like, shape (N, p, d) or (N, p), float64
        Sums of z y' of each client, in its own units.
    ridge, pooling : float
        Penalty of a readout's size, and of its distance from the mean readout; at least 0. A ridge
        of 0 needs data that determine the mean readout.

    Returns
    -------
    mean_readout : ndarray, shape (p, d) or (p,)
        The crowd's readout Theta.
    readouts : ndarray, shape (N, p, d) or (N, p)
        The readout of every client.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, or a number is not finite or out of range.
    memoa.NumericalError
        If the data do not determine the mean readout.

    Examples
    --------
    >>> import numpy as np, memoa
    >>> gram = np.ones((2, 1, 1))
    >>> memoa.solve_panel_equilibrium(gram, [[1.0], [3.0]], ridge=0.0, pooling=1.0)
    (array([2.]), array([[1.5],
           [2.5]]))
    """
    data = as_float64("cross", cross)
    flat = data.ndim == 2
    data = with_shape(
        "cross",
        data[..., None] if flat else data,
        "(n_clients, n_features, n_outputs)",
        (None, None, None),
    )
    n_clients, p, _ = data.shape
    matrices = with_shape("gram", gram, "(n_clients, n_features, n_features)", (n_clients, p, p))
    mean_readout, readouts = _core.solve_panel_equilibrium(
        matrices,
        np.ascontiguousarray(data),
        ridge=as_number("ridge", ridge),
        pooling=as_number("pooling", pooling),
    )
    return (mean_readout[:, 0], readouts[:, :, 0]) if flat else (mean_readout, readouts)
