"""Nanoseconds per client and step of the panel, against the population, the machine and river.

    python bench/bench_panel.py [--clients 10000,100000,1000000] [--dtypes float64,float32]
                                [--threads 2] [--rounds 5] [--cpu] [--million] [--out FILE]

What is compared runs in turn, in rounds of short samples; shown are medians, and ratios are those
of the rounds. The panel has 7 inputs and the linear encoder, so 8 features; the population is
handed features of the same width (`Precomputed(8)`, no mixture). river: a StandardScaler and a
LinearRegression per series. On a machine that others use, `--cpu` takes one thread and counts its
processor time. `--million` runs 10^6 clients in float32 for 100 steps and tells the memory that the
process took. `--out bench/results/panel.json` keeps the rows with the machine and the versions.
"""

from __future__ import annotations

import argparse
import json
import resource
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from game_solvers import machine
from interleaving import Task, interleaved, ratio, update_task
from rich.console import Console
from rich.table import Table

import memoa

N_INPUTS, N_FEATURES, SERIES, BATCH = 7, 8, 100, 4


def panel_bytes(size: int, p: int = N_FEATURES, dx: int = N_INPUTS) -> int:
    """Bytes per client and step that must move, each way counted, with the trimmed mean.

    ====================  ========================  ============================================
    packed Gram matrix    2 p (p + 1) / 2           read and written once
    cross products        2 p                       read and written once
    running moments       4 dx                      read and written once
    inputs                dx                        read
    the last inputs       2 dx                      read to be counted, the new ones written
    their features        2 p                       read to be learnt, the new ones written
    readout               3 p                       written; two passes of the trimmed mean
    counts and squares    6                         read and written once
    marks and changes     4                         written when y is known, read once
    forecast and scale    8                         written; trimmed, shown, and charged
    consensus             6                         read twice, written once
    presence              p + 4                     read by every average
    base, y, forecast     6 (of 8 bytes)            read and written
    cost and count        4 (of 8 bytes)            read and written
    ====================  ========================  ============================================
    """
    numbers = p * (p + 1) + 2 * p + 7 * dx + 2 * p + 4 * p + 28
    return numbers * size + 10 * 8


def panel_task(n: int, dtype: str, threads: int) -> Task:
    """Single steps of the panel: predict and learn."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(BATCH, n, N_INPUTS)).astype(dtype)
    Y = np.cumsum(rng.normal(size=(BATCH, n, 1)), axis=0)
    panel = memoa.Panel(n, dtype=dtype, n_threads=threads)
    engine = panel._engine_for(N_INPUTS, 1)
    engine.observe(np.zeros((n, 1)))

    def call() -> None:
        for x, y in zip(X, Y):
            engine.predict(x)
            engine.learn(y, None)

    for _ in range(3):  # everybody has a scale
        call()
    return Task(call, BATCH * n)


def population_task(n: int, dtype: str, threads: int) -> Task:
    """Single steps of a population with features of the same width."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(BATCH, n, N_FEATURES)), rng.normal(size=(BATCH, 1))
    ensemble = memoa.OnlineEnsemble(
        n,
        memoa.Precomputed(N_FEATURES),
        dtype=dtype,
        n_threads=threads,
        mixture=memoa.Mixture(window=0, fallback=False, rivals=False, start=0),
    )
    ensemble.observe([0.0])

    def call() -> None:
        for x, y in zip(X, Y):
            ensemble.predict_one(x)
            ensemble.learn_one(x, y)

    call()
    return Task(call, BATCH * n)


def river_task() -> Task:
    """river's linear model of every series, one after the other."""
    from river import linear_model, preprocessing

    rng = np.random.default_rng(0)
    names = [f"x{j}" for j in range(N_INPUTS)]
    X, Y = rng.normal(size=(BATCH, SERIES, N_INPUTS)), rng.normal(size=(BATCH, SERIES))
    rows = [[dict(zip(names, x)) for x in step] for step in X]
    models = [
        preprocessing.StandardScaler() | linear_model.LinearRegression() for _ in range(SERIES)
    ]

    def call() -> None:
        for step, targets in zip(rows, Y):
            for model, x, y in zip(models, step, targets):
                model.predict_one(x)
                model.learn_one(x, y)

    return Task(call, BATCH * SERIES)


def measure(n: int, dtype: str, threads: int, rounds: int, cpu: bool) -> dict[str, object]:
    """One row of the table."""
    size = np.dtype(dtype).itemsize
    moved = panel_bytes(size)
    tasks = {
        "panel": panel_task(n, dtype, threads),
        "population": population_task(n, dtype, threads),
        "river": river_task(),
        "update": update_task(min(n * moved / 2, 1e9), threads),
    }
    seconds = interleaved(tasks, rounds, clock=process_time if cpu else perf_counter)
    nanoseconds = {name: 1e9 * float(np.median(values)) for name, values in seconds.items()}
    fraction = ratio(seconds["update"], seconds["panel"], moved)["median"]
    return {
        "clients": n,
        "dtype": dtype,
        "threads": threads,
        "panel ns": round(nanoseconds["panel"], 1),
        "population ns": round(nanoseconds["population"], 1),
        "panel/population": round(ratio(seconds["panel"], seconds["population"])["median"], 2),
        "river/panel": round(ratio(seconds["river"], seconds["panel"])["median"]),
        "bytes": moved,
        "of bandwidth": round(fraction, 2),
    }


def keep(path: Path, what: str, rows: object) -> None:
    """Write the rows with the machine beside what else the file holds."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept[what] = {"machine": machine(), "rows": rows}
    path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def million(threads: int) -> str:
    """10^6 clients, float32, 100 steps."""
    n, steps = 10**6, 100
    rng = np.random.default_rng(0)
    X = rng.normal(size=(steps, n, N_INPUTS)).astype(np.float32)
    Y = rng.normal(size=(steps, n, 1))
    panel = memoa.Panel(n, dtype="float32", n_threads=threads)
    began = perf_counter()
    panel.run(X, Y, initial=np.zeros((n, 1)))
    seconds = perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    state = panel._engine.bytes / 2**30
    return (
        f"10^6 clients, float32, {steps} steps: {seconds:.1f} s; clients' state {state:.2f} GiB, "
        f"peak of the process {peak:.1f} GiB, of which inputs, targets and forecasts are "
        f"{(X.nbytes + 3 * Y.nbytes) / 2**30:.1f} GiB"
    )


def numbers_of(kind: Callable[[str], object]) -> Callable[[str], list[object]]:
    return lambda text: [kind(word) for word in text.split(",") if word]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=numbers_of(int), default=[10**4, 10**5, 10**6])
    parser.add_argument("--dtypes", type=numbers_of(str), default=["float64", "float32"])
    parser.add_argument("--threads", type=int, default=memoa._core.available_threads())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    console = Console(width=120)
    if chosen.million:
        line = million(chosen.threads)
        console.print(line)
        if chosen.out:
            keep(chosen.out, "million", line)
        return
    threads = 1 if chosen.cpu else chosen.threads
    what = "a step, processor time" if chosen.cpu else "a step, by the clock"
    rows = [
        measure(n, dtype, threads, chosen.rounds, chosen.cpu)
        for n in chosen.clients
        for dtype in chosen.dtypes
    ]
    table = Table(title=f"{what}, {memoa.build_info()['instruction_set']}")
    for title in rows[0]:
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)
    if chosen.out:
        keep(chosen.out, what, rows)


if __name__ == "__main__":
    main()
