"""One default for all: how the settings were chosen, on series other than the eight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from experiments.pieces import Method, Piece, Result
from experiments.section import Context, Experiment, Section, table, write_csv
from experiments.study import COLUMNS, SERIES, study_defaults


def study(seeds: Sequence[int]) -> Result:
    """`study_defaults` as plain values."""
    found = study_defaults(seeds)
    return {"rows": list(found.rows), "how": found.how}


YARDSTICK = (
    "The yardstick is the better of two methods: repeating the last value, and the plain average "
    "of greedy agents, with the defaults."
)
STUDY = Method("defaults.study", 3, study)


@dataclass(frozen=True)
class Defaults(Experiment):
    """The whole study in one piece, which is parallel by itself.

    Attributes
    ----------
    most_seeds : int
        Each is some 700 runs.
    method : Method
        Makes the study of a list of seeds.
    """

    name: ClassVar[str] = "defaults"
    alone: ClassVar[bool] = True
    most_seeds: int = 3
    method: Method = STUDY

    def pieces(self, context: Context) -> list[Piece]:
        """One."""
        return [Piece(self.method, {"seeds": list(context.seeds[: self.most_seeds])})]

    def section(self, context: Context, results: Sequence[Result]) -> Section:
        """How the defaults were chosen, and the table of other settings."""
        (found,) = results
        write_csv(context.folder / "defaults.csv", found["rows"])
        used = len(context.seeds[: self.most_seeds])
        out = Section(self.name, "One default for all", settings={"study": list(SERIES)})
        rows = [
            [row["setting"], *(f"{row[column]:.3f}" for column in COLUMNS)] for row in found["rows"]
        ]
        out.blocks += [
            *(" ".join(paragraph.split()) for paragraph in found["how"].split("\n\n")),
            YARDSTICK,
        ]
        out.tables += [
            f"Each row changes one setting of the default; {used} seed{'s' * (used != 1)}. The "
            "columns are ratios, the smaller the better:",
            "\n".join(f"- *{name}*: {words}." for name, words in COLUMNS.items()),
            YARDSTICK,
            table(("setting", *COLUMNS), rows),
        ]
        return out
