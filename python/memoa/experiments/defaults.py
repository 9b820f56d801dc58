"""One default for all: how the settings were chosen, on series that are none of the eight."""

from __future__ import annotations

from collections.abc import Sequence

from memoa.experiments.pieces import Piece, Result
from memoa.experiments.section import Context, Section, table, write_csv
from memoa.study import COLUMNS, SERIES, study_defaults

NAME = "defaults"
MOST_SEEDS = 3  # each is some 700 runs


def pieces(context: Context) -> list[Piece]:
    """The whole study, which is parallel by itself."""
    return [Piece("defaults:study", {"seeds": list(context.seeds[:MOST_SEEDS])})]


def study(seeds: Sequence[int]) -> Result:
    """`memoa.study.study_defaults` as plain values."""
    found = study_defaults(seeds)
    return {"rows": list(found.rows), "how": found.how}


def section(context: Context, results: Sequence[Result]) -> Section:
    """How the defaults were chosen, and the table of what lies beside them."""
    (found,) = results
    write_csv(context.folder / "defaults.csv", found["rows"])
    used = len(context.seeds[:MOST_SEEDS])
    out = Section(NAME, "One default for all", settings={"study": list(SERIES)})
    rows = [
        [row["setting"], *(f"{row[column]:.3f}" for column in COLUMNS)] for row in found["rows"]
    ]  # fmt: skip
    out.blocks += [
        " ".join(found["how"].split()),
        f"Everything but the named setting is as constructed by default; {used} "
        f"seed{'s' * (used != 1)}. The columns are ratios, the smaller the better:",
        "\n".join(f"- *{name}*: {words}." for name, words in COLUMNS.items()),
        "The yardstick is the better of repeating the last value and of plainly averaging greedy "
        "agents, with the defaults.",
        table(("setting", *COLUMNS), rows),
    ]
    return out
