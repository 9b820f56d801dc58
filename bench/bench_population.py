"""Nanoseconds per agent and step of the online population, against the machine and other libraries.

    python bench/bench_population.py [--quick] [--only step,peers] [--peers numba,jax]
                                     [--threads 1,2] [--out bench/results] [--markdown]

What is compared runs in turn, in rounds of short samples; shown are medians with quartiles, and
ratios are those of the rounds. Every peer is first checked to give memoa's numbers. `--only` runs
some of the sections (limits, step, run, small, mixture, memory, levels, peers) and merges their
rows into population.json in --out. The tables and population.png (population-quick.png) are made
from all rows that this machine, these versions and this size (`--quick` or not) have made, and from
no others; `--markdown` measures nothing and prints the tables of docs/performance.md (the goals)
and docs/performance-tables.md (all others), of the fullest such set. Peers need
`pip install ".[bench]"`, and torch.compile a C++ compiler; those absent are left out with a line
that says so.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import peers
import population_report
import population_sections as alone
from population_levels import levels
from population_memory import memory
from population_peers import against_peers
from population_record import Record
from rich.console import Console

import memoa

SECTIONS = {
    "limits": alone.limits,
    "step": alone.step,
    "run": alone.run,
    "small": alone.small,
    "mixture": alone.mixture,
    "memory": memory,
    "levels": levels,
    "peers": against_peers,
}
LIBRARIES = ("numpy", "numba", "jax", "torch")


def machine() -> dict[str, str]:
    """Processor, versions and threads: what the numbers depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    about = {
        "processor": f"{models[0] if models else platform.processor()}, {os.cpu_count()} threads",
        "python": platform.python_version(),
    }
    for library in LIBRARIES:
        try:
            about[library] = version(library)
        except PackageNotFoundError:
            continue
    return about | {f"memoa {key}": value for key, value in memoa.build_info().items()}


def busy_elsewhere() -> float:
    """Seconds that this machine's processors have worked for others than us and our children."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    user, nice, system, _, _, irq, softirq = map(int, stat.read_text().split()[1:8])
    ours = sum(os.times()[:4])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK") - ours


def available(names: list[str], console: Console) -> tuple[str, ...]:
    """Those of the peers whose library is there."""
    found = []
    for name in names:
        try:
            peers.load(name)
        except ImportError as error:
            console.print(f"[yellow]{name} is left out: {error}[/yellow]")
        else:
            found.append(name)
    return tuple(found)


def words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def choice(known: Any) -> Any:
    """An argparse type: words with commas between, all of them known."""

    def parse(text: str) -> list[str]:
        for word in words(text):
            if word not in known:
                raise argparse.ArgumentTypeError(f"{word!r}; expected some of {', '.join(known)}")
        return words(text)

    return parse


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds")
    parser.add_argument("--only", type=choice(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--peers", type=choice(peers.REGISTRY), default=list(peers.REGISTRY))
    parser.add_argument("--threads", default="1,2", help="thread counts, ascending")
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    parser.add_argument("--markdown", action="store_true", help="print the tables, measure nothing")
    return parser.parse_args()


def measure(
    section: str, plan: alone.Plan, record: Record, origin: dict[str, Any], console: Console
) -> None:
    """Run a section; every row is kept as soon as it is there."""
    began, before, count = time.perf_counter(), busy_elsewhere(), 0
    with console.status(section) as status:
        for row in SECTIONS[section](plan):
            count += 1
            record.add(section, row, origin)
            seconds = time.perf_counter() - began
            elsewhere = (busy_elsewhere() - before) / seconds
            record.settings[section] = {
                "quick": plan.quick,
                "rounds": plan.rounds(),
                "seconds": round(seconds),
                "processors busy elsewhere": round(elsewhere, 2),
                "ensemble": peers.SETTINGS,
            }
            record.save()
            case = ", ".join(f"{k} {v}" for k, v in row["case"].items())
            status.update(f"{section}: {case}")
    console.print(f"{section}: {count} rows in {time.perf_counter() - began:.0f} s")
    if count and elsewhere > 0.05:
        console.print(f"[red]{section}: other programs kept {elsewhere:.2f} processors busy[/red]")
    if section in plan.absent:
        console.print(f"[yellow]{section} is left out: {plan.absent[section]}[/yellow]")


def main() -> None:
    """Measure, merge, print and draw."""
    chosen = options()
    console = Console() if sys.stdout.isatty() else Console(width=170)
    record = Record(chosen.out / "population.json")
    if chosen.markdown:
        origin = record.fullest()
        print(population_report.markdown(record.rows_of(origin), origin), end="")
        return
    plan = alone.Plan(
        quick=chosen.quick,
        threads=tuple(int(word) for word in words(chosen.threads)),
        peers=available(chosen.peers, console) if "peers" in chosen.only else (),
        say=lambda text: console.print(f"  {text}", style="dim"),
    )
    chosen.out.mkdir(parents=True, exist_ok=True)
    origin = machine() | {"quick": chosen.quick}
    for section in chosen.only:
        measure(section, plan, record, origin, console)
    results = record.rows_of(origin)
    population_report.show(results, console)
    picture = "population-quick.png" if chosen.quick else "population.png"
    population_report.plot(results, chosen.out / picture)
    console.print(population_report.describe(origin))


if __name__ == "__main__":
    main()
