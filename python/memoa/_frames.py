"""Converts tables, named columns and unusual dtypes to plain float64 arrays.

Frames are recognised by their methods, so that neither pandas nor polars is imported here.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memoa._validate import Float64, as_array, as_float64

Names = NDArray[np.object_]


def real_array(name: str, value: Any) -> Float64:
    """Convert like `as_float64`, also frames, their columns and object arrays of numbers.

    Raises
    ------
    ValueError
        For complex numbers, with scikit-learn's message. Missing values become NaN.
    TypeError
        For anything else that is not a number; for a frame, the message names the column.
    """
    if type(value) is np.ndarray and value.dtype.kind not in "cO":
        return as_float64(name, value)
    if _is_frame(value):
        columns = [_column(f"column {label!r} of {name}", one) for label, one in _columns(value)]
        return np.column_stack(columns) if columns else np.empty((len(value), 0))
    if hasattr(value, "to_numpy") and hasattr(value, "dtype"):
        return _column(name, value)
    return _array(name, value)


def real_row(
    name: str, value: Mapping[Any, Any], names: Names | None = None
) -> tuple[Float64, Names]:
    """Return the numbers of a dict in the order of `names`, or in its own if `names` is None."""
    if names is None:
        names = _names(value)
    elif len(value) != len(names) or any(key not in value for key in names):
        _refuse_names(names, _names(value), ordered=False)
    row = [value[key] for key in names]
    plain = np.asarray(row) if all(isinstance(one, (int, float)) for one in row) else None
    if plain is None or plain.dtype.kind == "O":
        plain = np.array([_number(f"{name}[{key!r}]", one) for key, one in zip(names, row)])
    return plain.astype(np.float64), names


def names_of(X: Any) -> Names | None:
    """Return the names of a frame's columns if all are strings, as scikit-learn does."""
    if not _is_frame(X):
        return None
    names = _names(X.columns)
    kinds = sorted({type(one).__qualname__ for one in names})
    if len(kinds) > 1 and "str" in kinds:
        raise TypeError(
            "Feature names are only supported if all input features have string names, but your "
            f"input has {kinds} as feature name / column name types."
        )
    return names if kinds == ["str"] else None


def require_names(owner: str, known: Names | None, given: Names | None) -> None:
    """Raise ValueError if a frame's columns are not those learnt, as scikit-learn does."""
    if known is None and given is None:
        return
    if known is None or given is None:
        warnings.warn(
            f"X has feature names, but {owner} was fitted without feature names"
            if known is None
            else f"X does not have valid feature names, but {owner} was fitted with feature names",
            UserWarning,
            stacklevel=4,
        )
    elif list(known) != list(given):
        _refuse_names(known, given, ordered=True)


def with_column(error: ValueError, names: Names | None) -> ValueError:
    """Add the name of the column to the core's error about a number of x or X."""
    place = re.match(r"[xX] holds .* at \[(?:\d+, )?(\d+)\]", str(error))
    if names is None or place is None:
        return error
    return ValueError(f"{error}: column {names[int(place[1])]!r}")


def _refuse_names(known: Names, given: Names, ordered: bool) -> None:
    def listed(heading: str, names: Iterable[Any]) -> str:
        shown = sorted(names, key=str)
        lines = [f"- {one}\n" for one in shown[:5]] + ["- ...\n"] * (len(shown) > 5)
        return f"{heading}:\n{''.join(lines)}" if lines else ""

    message = "The feature names should match those that were passed during fit.\n"
    differ = listed("Feature names unseen at fit time", set(given) - set(known))
    differ += listed("Feature names seen at fit time, yet now missing", set(known) - set(given))
    if not differ and ordered:
        differ = "Feature names must be in the same order as they were in fit.\n"
    raise ValueError(message + differ)


def _names(labels: Iterable[Any]) -> Names:
    return np.fromiter(labels, dtype=object)


def _is_frame(value: Any) -> bool:
    return (hasattr(value, "iter_columns") or hasattr(value, "items")) and hasattr(value, "columns")


def _columns(frame: Any) -> Sequence[tuple[Any, Any]]:
    if hasattr(frame, "iter_columns"):  # polars
        return [(column.name, column) for column in frame.iter_columns()]
    return list(frame.items())  # pandas


def _column(name: str, column: Any) -> Float64:
    """Convert one column of a frame: dtypes of numpy, pandas (nullable), pyarrow or polars."""
    if isinstance(column.dtype, np.dtype):
        return _array(name, column.to_numpy())
    kind = getattr(column.dtype, "kind", None)  # pandas' extension types have one, polars' do not
    if kind is not None and kind not in "biuf":
        raise TypeError(f"{name} has dtype {column.dtype}; expected numbers")
    if kind is None:  # NaN where a value is missing
        values = column.to_numpy()
        if str(column.dtype) == "Boolean" and values.dtype.kind == "O":
            values = np.array(column.to_list(), dtype=np.float64)
    else:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {column.dtype}; expected numbers")
    return as_float64(name, values)


def _array(name: str, value: Any) -> Float64:
    array = as_array(name, value)
    if array.dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: {name} has dtype {array.dtype}; expected real numbers"
        )
    if array.dtype.kind == "O" and array.ndim > 0:
        numbers = np.empty(array.shape)
        for place in np.ndindex(array.shape):
            numbers[place] = _number(f"{name}{list(place)}", array[place])
        return numbers
    return as_float64(name, array)


def _number(name: str, value: Any) -> float:
    if isinstance(value, (Real, np.bool_, Decimal)):
        try:
            return float(value)
        except OverflowError:
            raise ValueError(f"{name} is too large for a float64") from None
    if isinstance(value, str):
        raise TypeError(f"{name} is {value!r} of type str; expected a number")
    try:
        float(value)
    except TypeError as error:  # Python's message, which scikit-learn's check looks for
        raise TypeError(f"{name} is {value!r}: {error}") from None
    raise TypeError(f"{name} is {value!r} of type {type(value).__name__}; expected a number")
