"""Runs the experiments and writes their report: a page with a section for each, and an appendix."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from experiments.ablations import Ablations
from experiments.defaults import Defaults
from experiments.encoders import Encoders
from experiments.forecasting import Forecasting
from experiments.heterogeneity import Heterogeneity
from experiments.pieces import ProgressCallback, Store, compute
from experiments.refitted import STORED
from experiments.section import APPENDIX, Context, Experiment, Section
from experiments.theory import Theory
from experiments.weakest import Weakest
from memoa import build_info
from memoa._files import prepare, write_text
from memoa._validate import as_int

#: In the report's order.
EXPERIMENTS: tuple[Experiment, ...] = (
    Forecasting(),
    Defaults(),
    Ablations(),
    Theory(),
    Heterogeneity(),
    Encoders(),
    Weakest(),
)
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
    experiments: Sequence[Experiment] = EXPERIMENTS,
) -> list[Section]:
    """Compute what is not yet known, write tables, figures and settings, and the report.

    Results are kept in ``OUT/experiments/results.jsonl``. An interrupted call continues where it
    stopped. What other settings or another version of a method would make is computed again. Some
    that take long are kept in the repository, see `experiments.refitted`.

    Parameters
    ----------
    out : Path
        The report is ``OUT/experiments.md``, its long tables are in ``OUT/experiments-tables.md``;
        everything else is in ``OUT/experiments``.
    only : sequence of str
        Names of experiments; the report keeps its other sections. Default: all.
    seeds : int
        Number of seeds, at least 1: 0, 1, 2, ...
    data : Path, optional
        Folder of the real series. Without it they are left out, and the report says so.
    jobs : int
        Processes.
    progress : callable, optional
        Called as ``progress(done, total, experiment)``.
    experiments : sequence of Experiment
        All experiments, in the report's order.

    Returns
    -------
    list of Section

    Raises
    ------
    ValueError
        For an unknown name in `only`, or `seeds` or `jobs` below 1.
    """
    order = [one.name for one in experiments]
    unknown = [name for name in only if name not in order]
    if unknown:
        raise ValueError(f"only is {unknown[0]!r}; expected one of {', '.join(order)}")
    number, processes = as_int("seeds", seeds, 1), as_int("jobs", jobs, 1)
    folder = Path(out) / FOLDER
    prepare(folder, [], force=True)
    context = Context(folder, None if data is None else Path(data), tuple(range(number)))
    store = Store(folder / RESULTS, [STORED])
    sections = []
    for one in experiments:
        if only and one.name not in only:
            continue
        pieces = one.pieces(context)
        results = compute(
            pieces, store, jobs=1 if one.alone else processes, progress=progress, what=one.name
        )
        section = one.section(context, results)
        section.write_settings(context, store.versions(pieces))
        write_page(Path(out) / PAGE, HEADER, section, section.markdown(), context, order)
        if section.tables:
            write_page(Path(out) / APPENDIX, TABLES, section, section.appendix(), context, order)
        sections.append(section)
    return sections


def write_page(
    path: Path, header: str, section: Section, content: str, context: Context, order: Sequence[str]
) -> None:
    """Replace a section of a page. Its head, if there is one, and the other sections stay."""
    text = path.read_text(encoding="utf-8") if path.exists() else f"{header}\n"
    head = text.split("<!-- section: ")[0]
    known = dict(MARK.findall(text))
    made = (
        f"*memoa {build_info()['version']}, {len(context.seeds)} "
        f"seed{'s' * (len(context.seeds) != 1)}: `{section.made_by(context)}`; "
        "settings and versions in "
        f"[{section.name}.json]({context.folder.name}/{section.name}.json).*"
    )
    known[section.name] = f"{content}\n{made}\n\n"
    parts = [f"<!-- section: {name} -->\n{known[name]}" for name in order if name in known]
    write_text(path, f"{head}{''.join(parts)}".rstrip() + "\n")


HEADER = """# The experiments

`python bench/experiments` makes every number of this page, and CSV files with every run. If a
target is not met, its verdict says so. The best result of a row or column is in bold, also if it is
a baseline's.
"""
TABLES = """# The experiments: all tables

`python bench/experiments` makes these tables of [the experiments](experiments.md).
"""
