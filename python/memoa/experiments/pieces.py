"""Pieces of work whose results are kept on disk: interrupted work goes on where it stopped.

A piece is a function's name and its settings. Its result is one line of a file, appended when it is
done, under a key that covers the settings, the version of the package and of NumPy, and the code
that made it: what was computed in another way is computed again.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from memoa import _core, build_info

Result = dict[str, Any]
ProgressCallback = Callable[[int, int, str], object]

# Modules that draw, print and write what was computed, and compute nothing that is kept.
PRESENTATION = ("plots", "cli", "report", "figures")


@dataclass(frozen=True)
class Piece:
    """One call ``function(**settings, data=...)`` that returns a dict JSON can hold.

    Attributes
    ----------
    function : str
        "module:name" within this package.
    settings : dict
        Its keyword arguments, plain values.
    data : str or None
        Folder of the real series where the function needs it. Not part of the key: the settings
        hold a digest of the file.
    """

    function: str
    settings: Mapping[str, Any]
    data: str | None = None

    @property
    def key(self) -> str:
        """Digest of the function, its settings and the code."""
        text = json.dumps([self.function, self.settings, fingerprint()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def compute(self) -> Result:
        """Call the function."""
        module, _, name = self.function.partition(":")
        function = getattr(importlib.import_module(f"memoa.experiments.{module}"), name)
        data = {} if self.data is None else {"data": Path(self.data)}
        result: Result = function(**self.settings, **data)
        return result


@lru_cache(maxsize=1)
def fingerprint() -> dict[str, str]:
    """What the results depend on beside their settings."""
    digest = hashlib.sha256(Path(_core.__file__).read_bytes())
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        if not path.stem.startswith(PRESENTATION):
            digest.update(path.read_bytes())
    return {
        "memoa": build_info()["version"],
        "numpy": np.__version__,
        "code": digest.hexdigest()[:16],
    }


class Store:
    """Results in a file of JSON lines; a line that was cut off when the power went is ignored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._results: dict[str, Result] = {}
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        self._is_cut = bool(text) and not text.endswith("\n")
        for line in text.splitlines():
            try:
                record = json.loads(line)
                self._results[record["key"]] = record["result"]
            except (ValueError, TypeError, KeyError):
                continue

    def get(self, piece: Piece) -> Result | None:
        """The result of a piece, None where it has not been computed."""
        return self._results.get(piece.key)

    def put(self, piece: Piece, result: Result) -> None:
        """Keep a result, on disk at once."""
        record = {"key": piece.key, "function": piece.function,
                  "settings": dict(piece.settings), "result": result}  # fmt: skip
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("\n" if self._is_cut else "") + json.dumps(record) + "\n")
        self._is_cut = False
        self._results[piece.key] = json.loads(json.dumps(result))


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
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_leave_ctrl_c)
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


def _leave_ctrl_c() -> None:
    """Ctrl-C is for the parent, which lets the workers finish their pieces."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
