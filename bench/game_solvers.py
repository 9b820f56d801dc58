"""Solve times and simulation speed against NumPy, in one run and as ratios.

    python bench/game_solvers.py [--quick] [--out bench/results]

Four tables: the mean-field solve against its slow NumPy twin of the tests; the exact Nash at
N = 2 against N = 10^9; the centralized solve against its slow twin and against batched NumPy, with
its growth in N; simulated agent-stages per second against NumPy vectorised over agents. What is
compared runs in turn, so that a disturbance meets both sides; shown are medians with the smallest
and the largest, and the median of the rounds' ratios. The results also go to game_solvers.json and
game_solvers.md in --out (game_solvers-quick.json and .md with --quick).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import numpy as np

import memoa
from memoa.verify.measure import repeated

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "python"))

import numpy_baselines

import reference
import reference_stack
from helpers import to_game

Row = dict[str, Any]
REST = 0.1  # seconds; BLAS keeps its threads spinning for tens of milliseconds after a product


def interleaved(tasks: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds per call of every task in every round; quick calls are repeated to fill 5 ms.

    Before each task the processors rest, or the threads of one side would run against the other.
    """
    calls = {}
    for name, task in tasks.items():  # this also warms up caches and threads
        began = perf_counter()
        task()
        calls[name] = max(1, int(5e-3 / (perf_counter() - began)))
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            sleep(REST)
            began = perf_counter()
            for _ in range(calls[name]):
                task()
            seconds[name].append((perf_counter() - began) / calls[name])
    return seconds


def show(seconds: list[float]) -> str:
    """Median (smallest..largest) in a unit that suits it."""
    middle = statistics.median(seconds)
    factor, unit = (1e6, "us") if middle < 1e-3 else (1e3, "ms") if middle < 1.0 else (1.0, "s")
    low, high = min(seconds) * factor, max(seconds) * factor
    return f"{middle * factor:.3g} {unit} ({low:.3g}..{high:.3g})"


def ratio(slow: list[float], fast: list[float]) -> float:
    """Median over the rounds, within which both sides met the same disturbances."""
    return statistics.median(one / other for one, other in zip(slow, fast, strict=True))


def mean_field(quick: bool) -> list[Row]:
    """One type against `reference.solve_mean_field` of the tests."""
    horizon, rows, shares = 100 if quick else 1000, [], np.ones(1)
    for d, goal in ((1, 300), (2, 60), (4, 30), (8, None)):
        data = reference.random_game(np.random.default_rng(d), d, 16, horizon)
        game = to_game(data)
        times = interleaved(
            {
                "memoa": lambda game=game: memoa.solve_mean_field(game),
                "numpy": lambda data=data: reference.solve_mean_field([data], shares),
            },
            3 if quick else 7,
        )
        rows.append(
            {
                "d": d,
                "memoa": show(times["memoa"]),
                "NumPy": show(times["numpy"]),
                "times faster": round(ratio(times["numpy"], times["memoa"]), 1),
                "goal": "-" if goal is None else f"{goal}",
            }
        )
    return rows


def nash(quick: bool) -> list[Row]:
    """The d x d recursion at both ends of N."""
    data = reference.random_game(np.random.default_rng(0), 2, 16, 100 if quick else 1000)
    game = to_game(data)
    times = interleaved(
        {
            "two": lambda: memoa.solve_nash(game, 2),
            "billion": lambda: memoa.solve_nash(game, 10**9),
        },
        9 if quick else 41,
    )
    return [
        {
            "N = 2": show(times["two"]),
            "N = 10^9": show(times["billion"]),
            "ratio": round(ratio(times["billion"], times["two"]), 3),
            "goal": "0.9 to 1.1",
        }
    ]


def centralized(quick: bool) -> list[Row]:
    """Identical agents: memoa, the tests' twin in N p unknowns, and batched NumPy."""
    data = reference.random_game(np.random.default_rng(0), 2, 8, 2 if quick else 4)
    game, rows, before = to_game(data), [], None
    for n_agents in (5, 10, 20) if quick else (5, 10, 20, 40, 80):
        players, slow = repeated(game, n_agents), [data] * n_agents
        times = interleaved(
            {
                "memoa": lambda players=players: memoa.solve_centralized_nash(players),
                "batched": lambda n=n_agents: numpy_baselines.solve_centralized(game, n),
                "twin": lambda slow=slow: reference_stack.centralized_nash_reference(slow),
            },
            3,
        )
        now = statistics.median(times["memoa"])
        rows.append(
            {
                "N": n_agents,
                "memoa": show(times["memoa"]),
                "NumPy twin": show(times["twin"]),
                "times faster": round(ratio(times["twin"], times["memoa"]), 1),
                "goal": "20",
                "batched NumPy": show(times["batched"]),
                "times faster than batched": round(ratio(times["batched"], times["memoa"]), 1),
                "growth N^x": "-" if before is None else f"{np.log2(now / before):.2f}",
            }
        )
        before = now
    return rows


def simulation(quick: bool) -> list[Row]:
    """Agent-stages per second; NumPy draws every feature or only what it needs."""
    horizon, n_agents = 10, 20_000 if quick else 200_000
    data = reference.random_game(np.random.default_rng(0), 2, 8, horizon)
    game = to_game(data)
    policy, mean, cov = memoa.solve_mean_field(game), np.zeros(2), np.eye(2)
    arguments = (game, policy, n_agents, mean, cov, 0)

    def compiled(threads: int) -> Callable[[], object]:
        return lambda: memoa.simulate(game, policy, n_agents, mean=mean, cov=cov, n_threads=threads)

    times = interleaved(
        {
            "memoa, 1 thread": compiled(1),
            "memoa, 2 threads": compiled(2),
            "NumPy, every feature drawn": lambda: numpy_baselines.simulate_features(*arguments),
            "NumPy, Z b drawn": lambda: numpy_baselines.simulate_outputs(*arguments, forms=False),
            "NumPy, Z b drawn, the core's forms": lambda: numpy_baselines.simulate_outputs(
                *arguments, forms=True
            ),
        },
        3 if quick else 15,
    )
    work = n_agents * horizon
    return [
        {
            "": name,
            "agent-stages per second": f"{work / statistics.median(seconds):.3g}",
            "one run": show(seconds),
            "2 threads are x times faster": round(ratio(seconds, times["memoa, 2 threads"]), 1),
            "goal": "10" if name.startswith("NumPy") else "-",
        }
        for name, seconds in times.items()
    ]


def markdown(rows: list[Row]) -> str:
    """A table; the columns are the first row's keys."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(str(cell) for cell in row.values()) + " |" for row in rows]
    return "\n".join(lines)


def machine() -> dict[str, str]:
    """Processor, versions and threads."""
    models = (
        [
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ]
        if Path("/proc/cpuinfo").exists()
        else [platform.processor()]
    )
    return {
        "processor": f"{models[0]}, {os.cpu_count()} threads",
        "python": platform.python_version(),
        "numpy": np.__version__,
        **memoa.build_info(),
        "load average": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def main() -> None:
    """Print the tables and write them as JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer rounds")
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    options = parser.parse_args()
    size = "100" if options.quick else "1000"
    agents = "2 10^4" if options.quick else "2 10^5"
    sections: tuple[tuple[str, Callable[[bool], list[Row]]], ...] = (
        (f"Mean-field solve, T = {size}, p = 16, one type", mean_field),
        (f"Exact Nash, T = {size}, p = 16, d = 2", nash),
        (f"Centralized Nash, T = {2 if options.quick else 4}, p = 8, d = 2", centralized),
        (f"Simulation, {agents} agents, T = 10, p = 8, d = 2", simulation),
    )
    about = machine()
    results: dict[str, Any] = {"machine": about, "quick": options.quick}
    intro = "`python bench/game_solvers.py`: medians (smallest..largest) of interleaved runs."
    text = ["# Game solvers", "", intro, "", *(f"- {key}: {value}" for key, value in about.items())]
    for title, measure in sections:
        rows = measure(options.quick)
        results[title] = rows
        text += ["", f"## {title}", "", markdown(rows)]
        print(f"\n## {title}\n\n{markdown(rows)}", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    name = "game_solvers-quick" if options.quick else "game_solvers"
    (options.out / f"{name}.json").write_text(json.dumps(results, indent=2) + "\n")
    (options.out / f"{name}.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
