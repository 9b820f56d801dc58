"""Saves the state of several processes: one file each, and a manifest that names them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memoa._files import write_text
from memoa._shards import Reducer, from_first, of_all
from memoa._validate import Float64

FORMAT = "memoa-parts"
MOST_BYTES = 2**24  # of a manifest

Memory = Mapping[str, Any]


class Part(NamedTuple):
    """A file with the agents from `first` on."""

    path: Path
    first: int
    size: int


def save_parts(path: str, communicator: Reducer, here: range, write: Callable[[str], None]) -> None:
    """Write one file per process, then the manifest: all of it or nothing.

    Raises
    ------
    OSError
        In every process, if one of them cannot write.
    """
    target = Path(os.path.realpath(path))
    new = int.from_bytes(os.urandom(7), "little")
    token = f"{from_first(communicator, new):016x}"  # different from an older save
    files = [f"{target.name}.{token}.{k}" for k in range(communicator.size)]
    own = target.with_name(files[communicator.rank])
    cuts = of_all(communicator, float(here.start), float(len(here)))
    failed: Exception | None = None
    try:
        write(os.fspath(own))
    except Exception as error:
        failed = error
    whole = not of_all(communicator, float(failed is not None)).any()
    if whole and communicator.rank == 0:
        parts = [
            {"file": name, "first": int(first), "count": int(count)}
            for name, (first, count) in zip(files, cuts)
        ]
        try:
            old = _parts_before(target)
            write_text(target, json.dumps({"format": FORMAT, "version": 1, "parts": parts}) + "\n")
            for part in old:
                with suppress(OSError):
                    part.path.unlink(missing_ok=True)
        except Exception as error:
            failed = error
    if not whole or of_all(communicator, float(failed is not None)).any():
        with suppress(OSError):
            own.unlink(missing_ok=True)
        if failed is not None:
            raise failed
        raise OSError(f"{path}: another process could not write its part; nothing was saved")


def _parts_before(target: Path) -> list[Part]:
    """Return the files of the manifest that will be replaced; none for another file."""
    with suppress(OSError, ValueError):
        return read_parts(os.fspath(target)) or []
    return []


def read_parts(path: str) -> list[Part] | None:
    """Return the parts that a manifest names, in their order; None for any other file.

    Raises
    ------
    OSError
        If it is a file that cannot be read.
    ValueError
        If it starts like a manifest but is not one.
    """
    if not os.path.isfile(path):
        return None  # the core raises the error
    with open(path, "rb") as file:
        if file.read(1) != b"{":
            return None
        text = b"{" + file.read(MOST_BYTES)
    try:
        manifest = json.loads(text)
        if manifest["format"] != FORMAT or manifest["version"] != 1:
            raise ValueError("its format is unknown")
        parts, next_agent = [], 0
        for one in manifest["parts"]:
            name, first, count = one["file"], one["first"], one["count"]
            if not isinstance(name, str) or os.path.basename(name) != name or name in ("", ".."):
                raise ValueError(f"{name!r} is no name of a file beside it")
            if type(first) is not int or type(count) is not int or first != next_agent or count < 1:
                raise ValueError(f"the part {name} does not follow the one before")
            parts.append(Part(Path(os.path.realpath(path)).with_name(name), first, count))
            next_agent += count
        if not parts:
            raise ValueError("it names no parts")
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: this is no manifest of saved parts: {error}") from error
    return parts


def rows_of(memory: Memory, axes: Mapping[str, int], part: Part, here: range) -> dict[str, Any]:
    """Return the fields of a part's memory, with the arrays over agents cut to the range."""
    first = max(here.start - part.first, 0)
    last = min(here.stop - part.first, part.size)
    found = {}
    for name, value in memory.items():
        if name in axes and np.size(value) > 0:
            value = np.ascontiguousarray(value.take(range(first, last), axis=axes[name]))
        found[name] = value
    return found


def joined(path: str, pieces: Collection[Memory], axes: Mapping[str, int]) -> dict[str, Any]:
    """Join the memories of adjacent parts.

    Raises
    ------
    ValueError
        If shared fields differ between the parts.
    """
    first = next(iter(pieces))
    memory: dict[str, Any] = {}
    for name, value in first.items():
        values = [piece[name] for piece in pieces]
        if name in axes:
            memory[name] = np.ascontiguousarray(np.concatenate(values, axis=axes[name]))
            continue
        if any(not _same_bits(value, other) for other in values):
            raise ValueError(f"{path}: its parts are from different saves: {name} differs")
        memory[name] = value
    return memory


def _same_bits(a: Any, b: Any) -> bool:
    one, other = np.asarray(a), np.asarray(b)
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def waiting_rows(
    waiting: Iterable[tuple[Part, Float64]], width: int, here: range
) -> Float64 | None:
    """Join the parts' waiting inputs, which have a row per agent; None if none wait."""
    rows = []
    for part, values in waiting:
        if values.size == 0:
            return None
        first, last = max(here.start - part.first, 0), min(here.stop - part.first, part.size)
        rows.append(values.reshape(part.size, width)[first:last])
    return np.ascontiguousarray(np.concatenate(rows))
