"""Runs the experiments and writes their report: one Markdown page, a section for each."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from pathlib import Path

from memoa import build_info
from memoa._validate import as_int
from memoa.experiments import benchmarks
from memoa.experiments.pieces import ProgressCallback, Store, compute
from memoa.experiments.section import Context, Section

# In the report's order, and whether its pieces run one at a time: they are parallel by themselves,
# and some take times, which nothing else may disturb.
EXPERIMENTS = {
    "forecasting": False,
    "defaults": True,
    "ablations": False,
    "theory": True,
    "heterogeneity": False,
}
PAGE, FOLDER, RESULTS = "experiments.md", "experiments", "results.jsonl"
MARK = re.compile(r"<!-- section: (\w+) -->\n(.*?)(?=<!-- section: |\Z)", re.DOTALL)


def run_experiments(
    out: Path,
    *,
    only: Sequence[str] = (),
    seeds: int = 20,
    data: Path | None = None,
    jobs: int = 1,
    progress: ProgressCallback | None = None,
) -> list[Section]:
    """Compute what is not yet known, write tables, figures and settings, and the report.

    Results are kept in ``OUT/experiments/results.jsonl``: an interrupted call goes on where it
    stopped, and what other settings or other code would make is made again.

    Parameters
    ----------
    out : Path
        The report is ``OUT/experiments.md``; everything else is in ``OUT/experiments``.
    only : sequence of str
        Of `EXPERIMENTS`; the report keeps its other sections. Default: all.
    seeds : int
        Number of seeds, at least 1: 0, 1, 2, ...
    data : Path, optional
        Folder of the real series. Default: MEMOA_DATA, else ../shared/data.
    jobs : int
        Processes.
    progress : callable, optional
        Called as ``progress(done, total, experiment)``.

    Returns
    -------
    list of Section

    Raises
    ------
    ValueError
        For an unknown name in `only`, or `seeds` or `jobs` below 1.
    """
    unknown = [name for name in only if name not in EXPERIMENTS]
    if unknown:
        raise ValueError(f"only is {unknown[0]!r}; expected one of {', '.join(EXPERIMENTS)}")
    number, processes = as_int("seeds", seeds, 1), as_int("jobs", jobs, 1)
    folder = Path(out) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    where = benchmarks.default_data() if data is None else Path(data)
    context = Context(folder, where, tuple(range(number)))
    store = Store(folder / RESULTS)
    sections = []
    for name, alone in EXPERIMENTS.items():
        if only and name not in only:
            continue
        module = importlib.import_module(f"memoa.experiments.{name}")
        results = compute(
            module.pieces(context), store, jobs=1 if alone else processes, progress=progress,
            what=name,
        )  # fmt: skip
        section: Section = module.section(context, results)
        section.write_settings(context)
        write_page(Path(out) / PAGE, section, context)
        sections.append(section)
    return sections


def write_page(path: Path, section: Section, context: Context) -> None:
    """Put a section into the page, in the place of its former self; the others stay."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    known = dict(MARK.findall(text))
    made = (
        f"*memoa {build_info()['version']}, {len(context.seeds)} "
        f"seed{'s' * (len(context.seeds) != 1)}: `memoa experiments --only {section.name} "
        f"--seeds {len(context.seeds)}`; settings and versions in "
        f"[{section.name}.json]({context.folder.name}/{section.name}.json).*"
    )
    known[section.name] = f"{section.markdown()}\n{made}\n\n"
    parts = [
        f"<!-- section: {name} -->\n{known[name]}" for name in EXPERIMENTS if name in known
    ]  # fmt: skip
    path.write_text(f"{HEADER}\n{''.join(parts)}".rstrip() + "\n", encoding="utf-8")


HEADER = """# The experiments

Made by `memoa experiments`, every number of it. Where a target is not met the verdict says so, and
where a baseline wins it is in bold. `memoa experiments` also writes CSV files that hold every run.
"""
