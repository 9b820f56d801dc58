"""Pieces of work whose results are kept on disk: interrupted work goes on where it stopped.

A piece is a method and its settings. Its result is one line of a file, appended when it is done,
under a key that covers the settings and the method's version, and no source text: whoever changes
the numbers that a method finds, here or in the package, raises its version.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import numpy as np

from memoa import build_info

Result = dict[str, Any]
ProgressCallback = Callable[[int, int, str], object]


@dataclass(frozen=True)
class Method:
    """A function whose results are kept.

    Attributes
    ----------
    name : str
        In the store, for good: the function may be renamed.
    version : int
        Results of other versions are computed again.
    compute : callable
        Called with a piece's settings, returns a dict that JSON can hold. A function of a module,
        so that other processes find it.
    """

    name: str
    version: int
    compute: Callable[..., Result]


@dataclass(frozen=True)
class Piece:
    """One call of a method.

    Attributes
    ----------
    method : Method
    settings : dict
        Its keyword arguments, plain values.
    identity : dict
        What else the result depends on: the digest of a file, the version of a package.
    data : Path or None
        Folder of the real series, where the method needs it; `identity` has the file's digest.
    """

    method: Method
    settings: Mapping[str, Any]
    identity: Mapping[str, str] = field(default_factory=dict)
    data: Path | None = None

    @property
    def key(self) -> str:
        """Digest of the method's name and version, the settings and the identity."""
        described = [self.method.name, self.method.version, self.settings, self.identity]
        text = json.dumps(described, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def compute(self) -> Result:
        """Call the method."""
        data = {} if self.data is None else {"data": self.data}
        return self.method.compute(**self.settings, **data)


def versions() -> dict[str, str]:
    """What computes now; kept beside every result, though not in its key."""
    return {"memoa": build_info()["version"], "numpy": np.__version__}


class Store:
    """Results in a file of JSON lines; lines that were cut off, or are damaged, are ignored.

    Parameters
    ----------
    path : Path
        The file that new results are appended to.
    others : sequence of Path
        Files with more results, which are only read.
    """

    def __init__(self, path: Path, others: Sequence[Path] = ()) -> None:
        self.path = path
        self._records: dict[str, dict[str, Any]] = {}
        for one in (*others, path):
            text = one.read_text(encoding="utf-8", errors="replace") if one.exists() else ""
            self._is_cut = bool(text) and not text.endswith("\n")
            for line in text.splitlines():
                try:
                    record = json.loads(line)
                    self._records[record["key"]] = {k: record[k] for k in ("result", "versions")}
                except (ValueError, TypeError, KeyError):
                    continue

    def get(self, piece: Piece) -> Result | None:
        """The result of a piece, None where it has not been computed."""
        record = self._records.get(piece.key)
        return None if record is None else record["result"]

    def put(self, piece: Piece, result: Result) -> None:
        """Keep a result, on disk at once."""
        record = {
            "key": piece.key,
            "method": piece.method.name,
            "version": piece.method.version,
            "settings": dict(piece.settings),
            "identity": dict(piece.identity),
            "versions": versions(),
            "result": result,
        }
        line = json.dumps(record)
        begin, self._is_cut = "\n" if self._is_cut else "", True
        with self.path.open("a", encoding="utf-8") as file:
            file.write(begin + line + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._is_cut = False
        self._records[piece.key] = json.loads(line)

    def versions(self, pieces: Sequence[Piece]) -> list[dict[str, str]]:
        """The different versions of memoa and NumPy that the results of these pieces are from."""
        found = [self._records[piece.key]["versions"] for piece in pieces]
        return [dict(one) for one in dict.fromkeys(tuple(sorted(each.items())) for each in found)]


def compute(
    pieces: Sequence[Piece],
    store: Store,
    *,
    jobs: int = 1,
    progress: ProgressCallback | None = None,
    what: str = "",
) -> list[Result]:
    """Results of pieces in their order, computing those that the store does not have.

    Parameters
    ----------
    pieces : sequence of Piece
    store : Store
    jobs : int
        Processes; with 1 everything happens in this one.
    progress : callable, optional
        Called as ``progress(done, total, what)`` after every piece.
    what : str
        What is being computed, for `progress`.
    """
    missing = {piece.key: piece for piece in pieces if store.get(piece) is None}
    known = len(pieces) - len(missing)

    def tell(done: int) -> None:
        if progress is not None:
            progress(known + done, len(pieces), what)

    tell(0)
    if jobs == 1 or len(missing) < 2:
        for done, piece in enumerate(missing.values(), start=1):
            store.put(piece, piece.compute())
            tell(done)
    else:
        _compute_apart(list(missing.values()), store, jobs, tell)
    found = [store.get(piece) for piece in pieces]
    return [result for result in found if result is not None]


def _compute_apart(
    pieces: Sequence[Piece], store: Store, jobs: int, tell: Callable[[int], None]
) -> None:
    # Spawned, not forked: the core's threads do not survive a fork.
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin_worker)
    futures: dict[Future[Result], Piece] = {pool.submit(one.compute): one for one in pieces}
    try:
        for done, future in enumerate(as_completed(futures), start=1):
            store.put(futures.pop(future), future.result())
            tell(done)
    finally:
        # After an error or Ctrl-C, what is running ends and is kept; the rest never starts.
        pool.shutdown(wait=True, cancel_futures=True)
        for future, piece in futures.items():
            if future.done() and not future.cancelled() and future.exception() is None:
                store.put(piece, future.result())


def _begin_worker() -> None:
    """Ctrl-C is for the parent, which lets the workers finish their pieces."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed tells its workers nothing."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
