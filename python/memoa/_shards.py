"""The share of agents of one process, and its exchanges with the other processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memoa import _core
from memoa._validate import Float64, as_int

UNIT = _core.SHARD_UNIT
_DIGEST = 40  # bits, so that the digests of 2^23 processes can be added


class Reducer(Protocol):
    """The interface of a communicator, such as `memoa.mpi.Communicator`."""

    @property
    def rank(self) -> int:
        """Number of this process."""

    @property
    def size(self) -> int:
        """Number of processes."""

    def add(self, words: NDArray[np.int64]) -> None:
        """Set words[k] to the sum of all processes' words[k]."""

    def max(self, values: Float64) -> None:
        """Set values[k] to the largest of all processes' values[k]."""

    def gather(self, array: NDArray[Any]) -> list[NDArray[Any]] | None:
        """Return all processes' arrays in the process of rank 0, None in the others."""


def check(communicator: Any) -> None:
    """Raise TypeError if `communicator` is not a communicator."""
    needed = ("rank", "size", "add", "max", "gather")
    missing = [name for name in needed if not hasattr(communicator, name)]
    if communicator is not None and missing:
        raise TypeError(
            f"communicator is {communicator!r}, which has no {missing[0]}; expected None or "
            "memoa.mpi.communicator()"
        )


def share(name: str, total: int, communicator: Reducer | None) -> range:
    """Return the numbers of the agents or clients of this process."""
    total = as_int(name, total, 1)
    if communicator is None:
        return range(total)
    rank, size = communicator.rank, communicator.size
    blocks = -(-total // UNIT)
    if blocks < size:
        raise ValueError(
            f"{name} is {total}; expected at least {(size - 1) * UNIT + 1} for {size} processes, "
            f"which hold groups of {UNIT}"
        )
    return range(blocks * rank // size * UNIT, min(blocks * (rank + 1) // size * UNIT, total))


def shard(here: range, total: int, communicator: Reducer | None) -> _core.Shard | None:
    """Return the shard for the core."""
    return None if communicator is None else _core.Shard(here.start, total, communicator)


def threads(n_threads: int | None, communicator: Any) -> int | None:
    """Return the threads of one process; by default, processes of one machine share it."""
    neighbours = getattr(communicator, "neighbours", 1)
    if n_threads is not None or neighbours == 1:
        return n_threads
    return max(1, _core.available_threads() // neighbours)


def agree(communicator: Reducer | None, values: Mapping[str, Any]) -> None:
    """Raise ValueError in every process if a value is not the same in all of them."""
    if communicator is None:
        return
    import hashlib  # OpenSSL's library takes a tenth of memoa's import

    texts = [repr(value).encode() for value in values.values()]
    digests = [int.from_bytes(hashlib.sha256(text).digest()[:5], "little") for text in texts]
    words = np.array([1, *digests], dtype=np.int64)
    communicator.add(words)
    for name, digest, total in zip(values, digests, words[1:]):
        if total != digest * words[0]:
            raise ValueError(
                f"{name} is not the same in all {words[0]} processes; expected the same calls with "
                "the same arguments in each"
            )


def from_first(communicator: Reducer | None, number: int) -> int:
    """Return the number, below 2^64, of the process of rank 0."""
    if communicator is None:
        return number
    own = number if communicator.rank == 0 else 0
    words = np.array([own >> 32, own & 0xFFFFFFFF], dtype=np.int64)
    communicator.add(words)
    return int(words[0]) << 32 | int(words[1])


def of_all(communicator: Reducer | None, *numbers: float) -> Float64:
    """Return all processes' numbers, shape (size, len(numbers)), in every process."""
    own = np.array(numbers, dtype=np.float64)
    if communicator is None:
        return own[None]
    words = np.zeros((communicator.size, own.size), dtype=np.int64)
    words[communicator.rank] = own.view(np.int64)
    communicator.add(words.reshape(-1))
    return words.view(np.float64)


def largest(communicator: Reducer | None, values: Float64, here: range) -> tuple[int, float]:
    """Return the number of the first agent with the largest value, and that value.

    NaN counts as smaller than any number.
    """
    known = np.where(np.isnan(values), -np.inf, values)
    own = int(np.argmax(known))
    found = of_all(communicator, float(known[own]), float(here.start + own))
    row = int(np.argmax(found[:, 0]))
    return int(found[row, 1]), float(found[row, 0])


def gather(communicator: Reducer | None, array: NDArray[Any]) -> NDArray[Any] | None:
    """Return the rows of all processes in the process of rank 0, None in the others."""
    if communicator is None:
        return array
    parts = communicator.gather(array)
    return None if parts is None else np.concatenate(parts)
