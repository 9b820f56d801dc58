"""Results on disk and their workers in bad luck: damaged stores, full disks, killed parents."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.pieces import Method, Piece, Store, compute


def numbered(*seeds: int) -> list[Piece]:
    method = Method("numbered", 1, lambda seed: {"value": seed})
    return [Piece(method, {"seed": seed}) for seed in seeds]


def test_a_store_that_is_no_utf8_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    compute(numbered(0, 1, 2), Store(path))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + bytes(range(128, 256)) + b"\n" + lines[1][:-20] + b"\xff")
    store = Store(path)
    assert [store.get(piece) is not None for piece in numbered(0, 1, 2)] == [True, False, False]
    compute(numbered(0, 1, 2), store)
    assert all(Store(path).get(piece) is not None for piece in numbered(0, 1, 2))


LIMITED = """
import resource, signal, sys
from pathlib import Path
from test_pieces_bad_luck import Store, compute, numbered
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
store = Store(path)
compute(numbered(0), store)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 50, resource.RLIM_INFINITY))
try:
    compute(numbered(1), store)
except OSError:
    print("full")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
compute(numbered(2), store)
"""


def python(code: str, *args: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(Path(__file__).parent), *(path for path in sys.path if path)])
    return subprocess.Popen(
        [sys.executable, "-c", code, *args],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )


@pytest.mark.skipif(os.name != "posix", reason="limits as POSIX has them")
def test_a_disk_that_is_full_costs_one_result(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    process = python(LIMITED, str(path))
    assert process.communicate(timeout=120)[0] == "full\n"
    assert process.returncode == 0
    store = Store(path)
    assert [store.get(piece) is not None for piece in numbered(0, 1, 2)] == [True, False, True]


def sleep(path: str) -> dict[str, int]:
    Path(path).write_text(str(os.getpid()))
    time.sleep(100)
    return {}


SLEEPERS = """
import sys
from pathlib import Path
from test_pieces_bad_luck import Method, Piece, Store, compute, sleep
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    pieces = [Piece(Method("sleep", 1, sleep), {"path": str(folder / str(n))}) for n in range(2)]
    compute(pieces, Store(folder / "store"), jobs=2)
"""


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    except OSError:
        return False
    return state.split()[0] not in "ZX"


def until(holds: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = python(SLEEPERS, str(tmp_path))
    try:
        begun = [tmp_path / "0", tmp_path / "1"]
        assert until(lambda: all(one.exists() and one.read_text() for one in begun))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.communicate(timeout=60)
    workers = [int(one.read_text()) for one in begun]
    assert until(lambda: not any(is_alive(worker) for worker in workers), 20.0)
