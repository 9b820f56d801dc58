"""The step under each instruction set that memoa can choose, every one in a process of its own.

The choice is made once per process (MEMOA_INSTRUCTION_SET), so that the parent asks one child after
the other for a sample: they alternate as everything else in this benchmark does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from time import perf_counter, sleep

from interleaving import REST, quartiles, ratio
from peers import Case
from population_sections import DTYPES, Plan, Row, Stepper

import memoa

LEVELS = ("x86-64-v4", "x86-64-v3", "baseline")
FILL = 0.05  # seconds of a sample


class Child:
    """A process that holds an ensemble and times steps when asked to."""

    def __init__(self, level: str, case: Case, threads: int):
        here = Path(__file__).resolve()
        numbers = (case.n_agents, case.n_features, case.n_outputs, case.dtype, threads)
        self.process = subprocess.Popen(
            [sys.executable, str(here), *map(str, numbers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "MEMOA_INSTRUCTION_SET": level},
        )
        self.level = self.read()  # the one in use

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def sample(self) -> float:
        """Seconds per step."""
        sleep(REST)
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(self.read())

    def close(self) -> None:
        self.process.communicate("")


def levels(plan: Plan) -> Iterator[Row]:
    """Rows of every level that this build and processor have; none where there is no choice."""
    sizes = (10**4,) if plan.quick else (10**4, 10**6)
    for p in (8,) if plan.quick else (8, 16):
        for dtype in DTYPES:
            for n in sizes:
                case = Case(n, p, 1, dtype)
                children = {level: Child(level, case, plan.most) for level in LEVELS}
                try:
                    usable = [name for name, child in children.items() if child.level == name]
                    if len(usable) < 2:
                        plan.absent["levels"] = "this build has one kernel only"
                        return
                    times: dict[str, list[float]] = {name: [] for name in usable}
                    for _ in range(plan.rounds(n)):
                        for name in usable:
                            times[name].append(children[name].sample())
                finally:
                    for child in children.values():
                        child.close()
                for name in usable:
                    yield {
                        "case": asdict(case) | {"threads": plan.most, "level": name},
                        "ns": quartiles([1e9 * t / n for t in times[name]]),
                        "times the best": ratio(times[name], times[usable[0]]),
                    }


def _in_use() -> str:
    """The instruction set that memoa reports, or nothing."""
    found = [value for key, value in memoa.build_info().items() if "instruction" in key.lower()]
    return found[0] if found else ""


def _serve() -> None:
    n, p, d, dtype, threads = sys.argv[1:]
    stepper = Stepper(Case(int(n), int(p), int(d), dtype), int(threads))
    print(_in_use(), flush=True)
    for _ in sys.stdin:
        stepper.step()
        count, began = 0, perf_counter()
        while perf_counter() - began < FILL:
            stepper.step()
            count += 1
        print((perf_counter() - began) / count, flush=True)


if __name__ == "__main__":
    _serve()
