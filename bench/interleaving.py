"""Timing of several programs in turn, and the bandwidth limit measured among them."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import numpy as np

SOURCE = Path(__file__).resolve().parent / "cpp" / "bandwidth.cpp"
FLAGS = ("-O3", "-march=native", "-fopenmp", "-fPIC", "-shared")
REST = 0.05  # seconds; idle threads of OpenMP, BLAS and XLA spin for a while after their work


@dataclass(frozen=True)
class Task:
    """`call` does `units` of work: steps, or bytes."""

    call: Callable[[], object]
    units: float = 1.0


def interleaved(
    tasks: Mapping[str, Task],
    rounds: int,
    fill: float = 0.05,
    clock: Callable[[], float] = perf_counter,
) -> dict[str, list[float]]:
    """Seconds per unit of every task in every round.

    A sample repeats its task until it lasts `fill` seconds, after one call that brings back the
    caches that the others have taken (where a call is short enough for that to matter). With
    `process_time` as the clock it is processor time, of all threads, which others do not stretch.
    """
    repeats = {}
    for name, task in tasks.items():
        task.call()
        began = clock()
        task.call()
        repeats[name] = max(1, int(fill / (clock() - began)))
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            sleep(REST)
            if repeats[name] > 1:
                task.call()
            began = clock()
            for _ in range(repeats[name]):
                task.call()
            seconds[name].append((clock() - began) / repeats[name] / task.units)
    return seconds


def quartiles(values: Any) -> dict[str, float]:
    """Median and both quartiles."""
    low, middle, high = np.quantile(np.asarray(values, float), [0.25, 0.5, 0.75])
    return {"median": float(middle), "q1": float(low), "q3": float(high)}


def ratio(slow: list[float], fast: list[float], scale: float = 1.0) -> dict[str, float]:
    """Quartiles of the ratios of the rounds, within which both sides met the same disturbances."""
    return quartiles(scale * np.asarray(slow) / np.asarray(fast))


# ---------------------------------------------------------------------- bandwidth


@lru_cache
def bandwidth_library() -> ctypes.CDLL:
    """bench/cpp/bandwidth.cpp, compiled for this processor."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        raise RuntimeError("no C++ compiler; expected g++ or c++ on PATH, or CXX")
    library = Path(tempfile.mkdtemp(prefix="memoa-bench-")) / "bandwidth.so"
    subprocess.run([compiler, *FLAGS, "-o", str(library), str(SOURCE)], check=True)
    loaded = ctypes.CDLL(str(library))
    shutil.rmtree(library.parent)
    number, count, pointer = ctypes.c_double, ctypes.c_ssize_t, ctypes.c_void_p
    loaded.memoa_bench_update.argtypes = [pointer, number, count, ctypes.c_int, ctypes.c_int]
    loaded.memoa_bench_triad.argtypes = [
        *(pointer, pointer, pointer, number, count, ctypes.c_int, ctypes.c_int)
    ]
    return loaded


def _passes(size: float) -> int:
    """Some 16 MB a call, so that the threads' start does not show."""
    return max(1, int(1.6e7 / size))


def update_task(size: float, threads: int) -> Task:
    """`a = s a` over an array of `size` bytes; a unit is a byte read or written."""
    library = bandwidth_library()
    a = np.ones(max(64, int(size) // 8))
    passes = _passes(a.nbytes)

    def call() -> None:  # s = 1 keeps the values; the compiled loop does not know it
        library.memoa_bench_update(a.ctypes.data, 1.0, a.size, passes, threads)

    return Task(call, 2.0 * a.nbytes * passes)


def triad_task(size: float, threads: int) -> Task:
    """`a = b + s c` over three arrays of `size` bytes in all, counted as STREAM does."""
    library = bandwidth_library()
    a, b, c = (np.full(max(64, int(size) // 24), value) for value in (0.0, 1.0, 2.0))
    passes = _passes(3 * a.nbytes)

    def call() -> None:
        data = (one.ctypes.data for one in (a, b, c))
        library.memoa_bench_triad(*data, 0.5, a.size, passes, threads)

    return Task(call, 3.0 * a.nbytes * passes)
