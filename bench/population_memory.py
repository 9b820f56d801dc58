"""What an agent takes in memory, by the growth of a fresh process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from population_sections import Plan, Row
from step_bytes import agent_bytes

MEMORY = """
import sys; sys.path.insert(0, {here!r})
from population_memory import resident
from population_sections import Stepper
from peers import Case
Stepper(Case(100, {p}, {d}, {dtype!r}), {threads})  # what every process loads once
before = resident()
stepper = Stepper(Case({n}, {p}, {d}, {dtype!r}), {threads})
print(resident() - before)
"""


def resident() -> int:
    """Bytes of this process in memory."""
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * 4096


def memory(plan: Plan) -> Iterator[Row]:
    """Growth of a fresh process by an ensemble that has made three steps, against arithmetic."""
    for case in plan.cases():
        if case.n_agents != max(plan.agents):
            continue
        p, d, n = case.n_features, case.n_outputs, case.n_agents
        code = MEMORY.format(
            here=str(Path(__file__).resolve().parent),
            p=p,
            d=d,
            n=n,
            dtype=case.dtype,
            threads=plan.most,
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        used = int(done.stdout) / n
        yield {
            "case": asdict(case),
            "bytes": used,
            "least bytes": agent_bytes(case),
            "times least": used / agent_bytes(case),
        }
