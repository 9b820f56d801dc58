"""Threads that stand for processes: each has a communicator of its own among them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np


class Ranks:
    """A team of `size` ranks; `run` calls a function on a thread for each."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.barrier = threading.Barrier(size, timeout=60)
        self.slots: list[Any] = [None] * size

    def run(self, body: Callable[[Any], Any]) -> list[Any]:
        """What body(communicator) returned on each rank; the first error is raised again."""
        found: list[Any] = [None] * self.size
        errors: list[BaseException | None] = [None] * self.size

        def one(rank: int) -> None:
            try:
                found[rank] = body(Rank(self, rank))
            except BaseException as error:
                errors[rank] = error
                self.barrier.abort()

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told = [error for error in errors if error is not None]
        for error in told:
            if not isinstance(error, threading.BrokenBarrierError):
                raise error
        if told:
            raise told[0]
        return found


class Rank:
    """The communicator of one of them."""

    def __init__(self, ranks: Ranks, rank: int) -> None:
        self.ranks, self.rank, self.size = ranks, rank, ranks.size

    def _all(self, value: Any) -> list[Any]:
        self.ranks.slots[self.rank] = value
        self.ranks.barrier.wait()
        found = list(self.ranks.slots)
        self.ranks.barrier.wait()
        return found

    def add(self, words: np.ndarray) -> None:
        assert words.dtype == np.int64
        found = self._all(words.copy())
        assert len({len(one) for one in found}) == 1
        words[:] = np.sum(found, axis=0)

    def max(self, values: np.ndarray) -> None:
        assert values.dtype == np.float64
        values[:] = np.max(self._all(values.copy()), axis=0)

    def gather(self, array: np.ndarray) -> list[np.ndarray] | None:
        found = self._all(array.copy())
        return found if self.rank == 0 else None

    def __deepcopy__(self, memo: Any) -> Rank:
        return self
