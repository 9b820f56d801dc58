"""Agents on several processes: what an exchange costs, weak scaling, and the price of exact sums.

    python bench/bench_shards.py            # a few minutes; writes bench/results/shards.json
    python bench/bench_shards.py --quick    # small sizes, a minute

It needs ``pip install "memoa[mpi]"`` and starts its own processes by mpiexec, each of which
computes on one thread. Times are the fastest of the repeats: whatever else runs on the machine only
adds to them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import memoa
from memoa import _core

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "shards.json"
WORDS = 69  # of an exact sum
WINDOW, FEATURES, TILE, JURY = 64, 8, 16, 256
LATENCY, BANDWIDTH = 2e-6, 10e9  # of a cluster's network, in seconds and bytes per second
NODES, AGENTS = 1000, 10**9


def message_words(steps: int) -> tuple[int, int, int]:
    """Words of the three exchanges of so many steps with one output, as the core packs them."""
    agreed = 4 if steps == 1 else 5
    first = agreed + JURY + steps * 2 * JURY + steps * 3 * WORDS
    second = 1 + steps * 5 * WORDS
    third = 1 + (WINDOW + 1 + 2) * steps * WORDS
    return first, second, third


# ---------------------------------------------------------------- what the processes run


def time_exchanges(communicator: Any, repeats: int) -> dict[str, float]:
    """Microseconds of an exchange by its words."""
    found = {}
    for words in sorted({1, *message_words(1), *message_words(TILE)}):
        array, times = np.zeros(words, dtype=np.int64), []
        for _ in range(repeats):
            began = time.perf_counter()
            communicator.add(array)
            times.append(time.perf_counter() - began)
        found[str(words)] = 1e6 * min(times)
    return found


def time_steps(communicator: Any, per_process: int, repeats: int) -> dict[str, float]:
    """Seconds of a step, of those of a run and of single ones, with so many agents a process."""
    size = 1 if communicator is None else communicator.size
    model = memoa.OnlineEnsemble(
        per_process * size,
        memoa.RandomFeatures(FEATURES),
        mixture=memoa.Mixture(window=WINDOW, rivals=False),
        dtype="float32",
        n_threads=1,
        communicator=communicator,
    )
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(TILE, 3)), rng.normal(size=TILE)
    model.observe(0.0)
    for _ in range(WINDOW // TILE):
        model.run(x, y)
    runs, singles = [], []
    for _ in range(repeats):
        began = time.perf_counter()
        model.run(x, y)
        runs.append((time.perf_counter() - began) / TILE)
        began = time.perf_counter()
        for one_x, one_y in zip(x[:4], y):
            model.step_one(one_x, one_y)
        singles.append((time.perf_counter() - began) / 4)
    return {"run": min(runs), "single": min(singles)}


def work(arguments: argparse.Namespace) -> None:
    import memoa.mpi

    communicator = memoa.mpi.communicator()
    if arguments.work == "exchanges":
        found = time_exchanges(communicator, arguments.repeats)
    else:
        found = time_steps(communicator, arguments.agents, arguments.repeats)
    if communicator.rank == 0:
        print("\n" + json.dumps(found))


def on_processes(size: int, *options: str) -> dict[str, float]:
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    mpiexec = shutil.which("mpiexec", path=os.pathsep.join(places))
    if mpiexec is None:
        sys.exit('bench_shards.py needs mpiexec: pip install "memoa[mpi]"')
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPIR_CVAR_POLLS_BEFORE_YIELD": "1"}
    found = subprocess.run(
        [mpiexec, "-n", str(size), sys.executable, __file__, *options],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment,
    )
    result: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    return result


def fastest(options: tuple[str, ...], rounds: int) -> dict[str, dict[str, float]]:
    """What one and two processes take, in turn, the least of the rounds."""
    found: dict[str, dict[str, float]] = {}
    for size in ("1", "2") * rounds:
        times = on_processes(int(size), *options)
        known = found.setdefault(size, times)
        found[size] = {name: min(known[name], time) for name, time in times.items()}
    return found


# ---------------------------------------------------------------- sections


def exact_sums(step: float, agents: int, repeats: int) -> dict[str, float]:
    """Nanoseconds per chunk sum, exact and plain, and their share of a step of a run."""
    rows, columns = -(-agents // 512), WINDOW + 1
    values = np.random.default_rng(0).normal(size=(rows, columns))
    times: dict[str, list[float]] = {"exact": [], "plain": []}
    for _ in range(repeats):
        for name, add in (("exact", _core.column_sums), ("plain", lambda v: v.sum(axis=0))):
            began = time.perf_counter()
            add(values)
            times[name].append(time.perf_counter() - began)
    exact, plain = (min(times[name]) for name in ("exact", "plain"))
    addends = rows * (columns + 3) + 2 * rows * 7  # the mixture's, and the population's chunks
    return {
        "exact ns": 1e9 * exact / values.size,
        "plain ns": 1e9 * plain / values.size,
        "share of a step": (exact - plain) / values.size * addends / step,
    }


def paper(step: float) -> dict[str, float]:
    """A step of AGENTS agents on NODES nodes; exchanges double their reach in each round."""
    rounds = math.ceil(math.log2(NODES))
    words = message_words(TILE)
    exchange = sum(rounds * (LATENCY + 8 * n / BANDWIDTH) for n in words) / TILE
    return {
        "step": step,
        "exchanges": exchange,
        "words a step": sum(words) / TILE,
        "share of exchanges": exchange / (step + exchange),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--work", choices=["exchanges", "steps"], help=argparse.SUPPRESS)
    parser.add_argument("--agents", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        return work(arguments)
    agents, repeats = (512 * 40, 5) if arguments.quick else (10**6 // 512 * 512, 4)
    steps = ("--work", "steps", "--agents", str(agents), "--repeats", str(repeats))
    exchanges = ("--work", "exchanges", "--repeats", "200" if arguments.quick else "500")
    found: dict[str, Any] = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load before": os.getloadavg()[0],
            **memoa.build_info(),
        },
        "agents a process": agents,
        "exchange us": fastest(exchanges, 3),
        "seconds a step": fastest(steps, 4 if arguments.quick else 2),
    }
    one = found["seconds a step"]["1"]["run"]
    found["exact sums"] = exact_sums(one, agents, 10 * repeats)
    found["paper"] = paper(one * AGENTS / NODES / agents)
    print(text(found))
    print(
        f"load of the machine: {found['machine']['load before']:.1f} before, "
        f"{os.getloadavg()[0]:.1f} after"
    )
    RESULT.write_text(json.dumps(found, indent=2) + "\n")


def text(found: dict[str, Any]) -> str:
    """The tables of docs/performance.md."""
    one, two = (found["seconds a step"][size] for size in ("1", "2"))
    by_words, sums, model = found["exchange us"]["2"], found["exact sums"], found["paper"]
    rows = ["| words of an exchange, 2 processes | kB | microseconds |", "|---:|---:|---:|"]
    rows += [f"| {n} | {8 * int(n) / 1e3:.1f} | {by_words[n]:.0f} |" for n in by_words]
    rows += [
        "",
        f"| {found['agents a process']} agents a process | 1 process | 2 | ratio |",
        "|---|---:|---:|---:|",
    ]
    for name, label in (("run", "a step of a run, ms"), ("single", "a single step, ms")):
        rows.append(
            f"| {label} | {1e3 * one[name]:.1f} | {1e3 * two[name]:.1f} | "
            f"{two[name] / one[name]:.3f} |"
        )
    rows += [
        "",
        f"exact sums: {sums['exact ns']:.2f} ns per chunk sum, plain {sums['plain ns']:.2f}; "
        f"{100 * sums['share of a step']:.2f} % of a step of a run",
        f"on paper, {AGENTS:.0e} agents on {NODES} nodes: {1e3 * model['step']:.1f} ms a step, of "
        f"which exchanges take {1e6 * model['exchanges']:.0f} us "
        f"({100 * model['share of exchanges']:.2f} %)",
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
