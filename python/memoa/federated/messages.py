"""The messages: dicts of integers and arrays, checked field by field."""

from __future__ import annotations

import base64
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memoa._validate import Float64, as_float64, as_int, require_shape

Message = dict[str, Any]


def number(message: Mapping[str, Any], name: str, sender: str, least: int = 0) -> int:
    """Return an integer of a message."""
    return as_int(f"{name} of {sender}", _field(message, name, sender), least)


def array(
    message: Mapping[str, Any],
    name: str,
    sender: str,
    labels: str,
    shape: tuple[int | None, ...],
) -> Float64:
    """Return a float64 array of a message; None means any length, including 0."""
    value = as_float64(f"{name} of {sender}", _field(message, name, sender))
    if value.ndim == len(shape):
        shape = tuple(n if want is None else want for n, want in zip(value.shape, shape))
    if value.shape != shape:
        require_shape(f"{name} of {sender}", value, labels, shape)
    return value


def _field(message: Mapping[str, Any], name: str, sender: str) -> Any:
    if not isinstance(message, Mapping):
        raise TypeError(f"the message of {sender} is a {type(message).__name__}; expected a dict")
    if name not in message:
        raise ValueError(f"the message of {sender} has no {name!r}")
    return message[name]


def digest(X: Float64, Y: Float64, before: int = 0) -> int:
    """Return the CRC-32 of the steps (X, Y) that follow those of the digest `before`."""
    rows = np.concatenate([X[: len(Y)], Y], axis=1)
    return zlib.crc32(np.ascontiguousarray(rows).data, before) if rows.size else before


# ---------------------------------------------------------------- arrays in a state file's note


def to_text(values: Float64) -> dict[str, Any]:
    """Convert an array to JSON that keeps every bit."""
    data = np.ascontiguousarray(values, dtype="<f8")
    return {"shape": list(data.shape), "base64": base64.b64encode(data.tobytes()).decode()}


def from_text(value: Mapping[str, Any]) -> Float64:
    """Return the array of `to_text`."""
    flat = np.frombuffer(base64.b64decode(value["base64"], validate=True), "<f8")
    return flat.astype(np.float64).reshape([int(n) for n in value["shape"]])


# ---------------------------------------------------------------- state files as bytes


def written(save: Callable[[str], None]) -> bytes:
    """Return the bytes of the file that `save` writes."""
    with tempfile.TemporaryDirectory(prefix="memoa-") as folder:
        path = Path(folder) / "state.npz"
        save(str(path))
        return path.read_bytes()


def read(data: bytes, load: Callable[[str], Any]) -> Any:
    """Return the result of `load` for a file with these bytes.

    Raises
    ------
    ValueError
        If they are not those of a state file. The message omits the temporary file's name.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"the state is a {type(data).__name__}; expected bytes")
    with tempfile.TemporaryDirectory(prefix="memoa-") as folder:
        path = Path(folder) / "state.npz"
        path.write_bytes(data)
        try:
            return load(str(path))
        except ValueError as error:
            raise ValueError(str(error).replace(f"{path}: ", "the state: ")) from None


def note_of(header: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return the note of a state file of this kind."""
    note = header["note"]
    if not isinstance(note, Mapping) or note.get("federated") != kind:
        raise ValueError(f"the state is not one of a {kind}")
    return note
