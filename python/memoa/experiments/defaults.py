"""One default for all: how the settings were chosen, on series that are none of the eight."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.util import find_spec

from memoa.experiments.pieces import Piece, Result
from memoa.experiments.section import Context, Section, table, write_csv

NAME = "defaults"
STUDY = "memoa.study"
MOST_SEEDS = 3  # each is some hundreds of runs


def pieces(context: Context) -> list[Piece]:
    """The whole study, which is parallel by itself."""
    if find_spec(STUDY) is None:
        return []
    return [Piece("defaults:study", {"seeds": list(context.seeds[:MOST_SEEDS])})]


def study(seeds: Sequence[int]) -> Result:
    """`memoa.study.study_defaults` as plain values."""
    module = importlib.import_module(STUDY)
    found = module.study_defaults(seeds)
    return {
        "rows": list(found.rows),
        "how": found.how,
        "columns": dict(module.COLUMNS),
        "series": list(module.SERIES),
    }


def section(context: Context, results: Sequence[Result]) -> Section:
    """How the defaults were chosen, and the table of what lies beside them."""
    out = Section(NAME, "One default for all")
    if not results:
        out.left_out.append(f"the study: left out, {STUDY} is not part of this version")
        return out
    (found,) = results
    rows, columns = found["rows"], found["columns"]
    write_csv(context.folder / "defaults.csv", rows)
    used = len(context.seeds[:MOST_SEEDS])
    out.settings["study"] = found["series"]
    out.blocks += [
        " ".join(found["how"].split()),
        f"Everything but the named setting is as constructed by default; {used} "
        f"seed{'s' * (used != 1)}. The columns are ratios, the smaller the better:",
        "\n".join(f"- *{name}*: {words}." for name, words in columns.items()),
        "The yardstick is the better of repeating the last value and of plainly averaging greedy "
        "agents, both with the defaults.",
        table(
            ("setting", *columns),
            [[row["setting"], *(f"{row[name]:.3f}" for name in columns)] for row in rows],
        ),
    ]
    return out
