"""Checks at the boundary: types and shapes here, values (finite, positive, ...) in the core."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Flags = NDArray[np.uint8]


def as_float64(name: str, value: Any) -> Float64:
    """Return C-contiguous float64, without a copy if it already is.

    Booleans, integers and narrower floats are widened; anything else is refused.
    """
    if (
        type(value) is np.ndarray
        and value.dtype == np.float64
        and value.flags.c_contiguous
        and value.dtype.isnative
    ):
        return value
    array = as_array(name, value)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(
            f"{name} has dtype {array.dtype}; expected float64, or real numbers that widen to it"
        )
    return np.ascontiguousarray(array, dtype=np.float64).reshape(array.shape)


def as_array(name: str, value: Any) -> NDArray[Any]:
    """Return a dense rectangular array of any dtype, without masked entries."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} is a masked array with masked entries; expected plain numbers")
    if hasattr(value, "tocsr"):
        raise TypeError(f"{name} is a sparse array; expected a dense one, {name}.toarray()")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is ragged; expected a rectangular array of numbers") from error


def with_shape(name: str, value: Any, labels: str, expected: Sequence[int | None]) -> Float64:
    """Return `as_float64` with the expected shape; None means any length of at least one."""
    array = as_float64(name, value)
    require_shape(name, array, labels, expected)
    return array


def require_shape(
    name: str, array: NDArray[Any], labels: str, expected: Sequence[int | None]
) -> None:
    """Raise ValueError unless `array` has the expected shape; None means any length above 0."""
    fits = array.ndim == len(expected) and all(
        n == want if want is not None else n > 0 for n, want in zip(array.shape, expected)
    )
    if not fits:
        raise ValueError(
            f"{name} has shape {array.shape}; expected {labels}{_sizes(labels, expected)}"
        )


def _sizes(labels: str, expected: Sequence[int | None]) -> str:
    if all(n is None for n in expected):
        return ", none of them 0"
    sizes = ", ".join("any" if n is None else str(n) for n in expected)
    return f" = ({sizes}{',' if len(expected) == 1 else ''})"


def as_int(name: str, value: Any, least: int, below: int = 2**63) -> int:
    """Return an integer in [least, below); bools and floats are refused."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name} is {value!r} of type {type(value).__name__}; expected an integer"
        ) from None
    if number < least:
        raise ValueError(f"{name} is {number}; expected an integer of at least {least}")
    if number >= below:
        raise ValueError(f"{name} is {number}; expected an integer below {below}")
    return number


def as_number(name: str, value: Any) -> float:
    """Return a real number as a float; arrays, strings and complex numbers are refused."""
    if isinstance(value, (bool, str, bytes, complex, np.complexfloating)) or not np.isscalar(value):
        if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "iuf":
            return float(value)
        raise TypeError(f"{name} is {value!r} of type {type(value).__name__}; expected a number")
    try:
        return float(value)  # type: ignore[arg-type]
    except (OverflowError, TypeError) as error:
        raise ValueError(f"{name} is {value!r}; expected a number") from error


def as_numbers(name: str, value: Any) -> list[float]:
    """Return a real number, or a sequence of them, as a list."""
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, np.ndarray)):
        return [as_number(name, value)]
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return [as_number(name, value)]
    if len(value) == 0:
        raise ValueError(f"{name} is empty; expected a number, or one per type")
    return [as_number(f"{name}[{k}]", one) for k, one in enumerate(value)]


def as_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Return `value` if it is one of the given words."""
    if value not in choices:
        words = ", ".join(repr(c) for c in choices)
        raise ValueError(f"{name} is {value!r}; expected one of {words}")
    return str(value)


def season_of(season: Any) -> int:
    """Return the core's number for a season: steps, 0 for none, -1 to find it online."""
    if isinstance(season, str):
        return -1 if as_choice("season", season, ("auto",)) else 0
    return 0 if season is None else as_int("season", season, 1, below=10**6)
