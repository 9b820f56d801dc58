"""Measurements of memoa alone for bench_population.py; every one returns rows of plain numbers.

A row names its case; times are quartiles of nanoseconds per agent and step, ratios are quartiles
over interleaved rounds.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import peers
from interleaving import Task, interleaved, quartiles, ratio, triad_task, update_task
from peers import Case
from step_bytes import agent_bytes, step_bytes

import memoa

Row = dict[str, Any]
DTYPES = tuple(
    name
    for name in ("float64", "float32")
    if name == "float64" or "dtype" in inspect.signature(memoa.OnlineEnsemble).parameters
)
LARGEST = 1e9  # bytes of the arrays that stand for a working set far beyond the caches
TILE = 16  # steps of a `run` in one sample


@dataclass
class Plan:
    """What to measure: the sizes, how often, and who takes part."""

    quick: bool
    threads: tuple[int, ...]
    peers: tuple[str, ...]
    say: Any
    absent: dict[str, str] = field(default_factory=dict)

    def rounds(self, n_agents: int = 0) -> int:
        return 3 if self.quick or n_agents >= 10**6 else 5 if n_agents >= 10**5 else 9

    @property
    def agents(self) -> tuple[int, ...]:
        return (10**3, 10**4) if self.quick else (10**3, 10**4, 10**5, 10**6)

    @property
    def most(self) -> int:
        """Threads of whatever takes one number of them."""
        return max(self.threads)

    def cases(self, outputs: tuple[int, ...] = (1, 4)) -> Iterator[Case]:
        for p in (8,) if self.quick else (8, 16):
            for d in outputs:
                for dtype in DTYPES:
                    for n in self.agents:
                        yield Case(n, p, d, dtype)


class Stepper:
    """An ensemble that walks through a stream, over and over."""

    LENGTH = 64

    def __init__(self, case: Case, threads: int, window: int = 0, **history: Any):
        self.case, self.at = case, 0
        self.stream = peers.make_stream(self.LENGTH, case.n_inputs, case.n_outputs)
        self.ensemble = peers.make_ensemble(case, threads, window, history)
        self.ensemble.observe(self.stream.initial)
        for _ in range(3 if window == 0 else window + 1):
            self.step()

    def step(self) -> None:
        x, y = self.stream.X[self.at], self.stream.Y[self.at]
        self.ensemble.predict_one(x)
        self.ensemble.learn_one(x, y)
        self.at = (self.at + 1) % self.LENGTH

    def task(self) -> Task:
        return Task(self.step, self.case.n_agents)

    def run_task(self, n_steps: int = TILE) -> Task:
        X = np.resize(self.stream.X, (n_steps, self.case.n_inputs))
        Y = np.resize(self.stream.Y, (n_steps, self.case.n_outputs))
        return Task(lambda: self.ensemble.run(X, Y), self.case.n_agents * n_steps)


def nanoseconds(seconds: list[float]) -> dict[str, float]:
    return quartiles(1e9 * np.asarray(seconds))


def gigabytes(seconds: list[float]) -> dict[str, float]:
    """GB/s from seconds per byte."""
    return quartiles(1e-9 / np.asarray(seconds))


def limits(plan: Plan) -> Iterator[Row]:
    """Bandwidth of update and triad: per-thread second cache, shared cache, memory, step's sets."""
    sets = {f"state of 10^4 agents, p = {p}": 1e4 * agent_bytes(Case(10**4, p)) for p in (8, 16)}
    sizes = {"1 MB a thread": None, **sets, "20 MB": 2e7, "1 GB": LARGEST}
    for name, size in sizes.items():
        tasks = {}
        for threads in plan.threads:
            total = 1e6 * threads if size is None else size
            tasks[f"update {threads}"] = update_task(total, threads)
            tasks[f"triad {threads}"] = triad_task(total, threads)
        seconds = interleaved(tasks, plan.rounds())
        for key, values in seconds.items():
            kind, threads_of = key.split()
            yield {
                "case": {"array": name, "kind": kind, "threads": int(threads_of)},
                "GB/s": gigabytes(values),
            }


def step(plan: Plan) -> Iterator[Row]:
    """memoa's step against the update bandwidth over an array as large as its state."""
    for case in plan.cases():
        size, moved = min(LARGEST, case.n_agents * agent_bytes(case)), step_bytes(case)
        tasks = {}
        for threads in plan.threads:
            tasks[f"memoa {threads}"] = Stepper(case, threads).task()
            tasks[f"update {threads}"] = update_task(size, threads)
        seconds = interleaved(tasks, plan.rounds(case.n_agents))
        for threads in plan.threads:
            ours, limit = seconds[f"memoa {threads}"], seconds[f"update {threads}"]
            yield {
                "case": asdict(case) | {"threads": threads},
                "ns": nanoseconds(ours),
                "bytes": moved,
                "update GB/s": gigabytes(limit),
                "fraction": ratio(limit, ours, moved),
                "times one thread": ratio(seconds[f"memoa {plan.threads[0]}"], ours),
            }


def run(plan: Plan) -> Iterator[Row]:
    """`run` of TILE steps against stepping, the same ensemble's settings."""
    for case in plan.cases((1,)):
        threads = plan.most
        tasks = {
            "step": Stepper(case, threads).task(),
            "run": Stepper(case, threads).run_task(),
        }
        seconds = interleaved(tasks, plan.rounds(case.n_agents))
        yield {
            "case": asdict(case) | {"threads": threads},
            "ns": nanoseconds(seconds["run"]),
            "step ns": nanoseconds(seconds["step"]),
            "times faster": ratio(seconds["step"], seconds["run"]),
        }


def small(plan: Plan) -> Iterator[Row]:
    """N = 100, p = 8: what a run and what a Python loop add to the kernel's work.

    The kernel's work is what more agents add, on one thread: (t(800) - t(100)) / 700 of each agent,
    which leaves out whatever a step costs once.
    """
    n, more, n_steps = 100, 800, 1000 if plan.quick else 10_000
    for dtype in DTYPES:
        case = Case(n, 8, 1, dtype)
        one, large = Stepper(case, 1), Stepper(Case(more, 8, 1, dtype), 1)
        loop = Stepper(case, 1)

        def stepped(loop: Stepper = loop) -> None:
            for _ in range(n_steps // 10):
                loop.step()

        seconds = interleaved(
            {
                "run": Task(one.run_task(n_steps).call, n_steps),
                "larger": Task(large.run_task(n_steps).call, n_steps),
                "loop": Task(stepped, n_steps // 10),
            },
            plan.rounds(),
        )
        run, larger, loop_time = (np.asarray(seconds[k]) for k in ("run", "larger", "loop"))
        kernel = (larger - run) / (more - n) * n
        yield {
            "case": asdict(case) | {"threads": 1},
            "run us": quartiles(1e6 * run),
            "kernel us": quartiles(1e6 * kernel),
            "run / kernel": quartiles(run / kernel),
            "loop adds us": quartiles(1e6 * (loop_time - run)),
        }


def mixture(plan: Plan) -> Iterator[Row]:
    """The server with its default window, as the difference from none."""
    window = memoa.Mixture().window
    for case in plan.cases((1,)):
        if case.n_features != 8:
            continue
        threads = plan.most
        tasks = {
            "without": Stepper(case, threads).task(),
            "with": Stepper(case, threads, window).task(),
            "update": update_task(
                min(LARGEST, case.n_agents * (agent_bytes(case) + 8 * window)), threads
            ),
        }
        seconds = interleaved(tasks, plan.rounds(case.n_agents))
        extra = np.asarray(seconds["with"]) - np.asarray(seconds["without"])
        yield {
            "case": asdict(case) | {"threads": threads, "window": window},
            "ns": nanoseconds(list(extra)),
            "window bytes": 8 * window * case.n_outputs,
            "GB/s": quartiles(8e-9 * window * case.n_outputs / extra),
            "update GB/s": gigabytes(seconds["update"]),
        }
