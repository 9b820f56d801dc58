"""What the experiments share: what one is, its context, tables of medians, verdicts, files."""

from __future__ import annotations

import csv
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from experiments import benchmarks
from experiments.pieces import Method, Piece, Result
from memoa import OnlineEnsemble
from memoa._files import whole, write_text

#: The page of the long tables, beside the report.
APPENDIX = "experiments-tables.md"


@dataclass(frozen=True)
class Context:
    """Where files go, where the real series are, and the seeds of everything random.

    Attributes
    ----------
    folder : Path
        Of the CSV, PNG and JSON files; the report is beside it and has the same name.
    data : Path or None
        None leaves the real series out.
    seeds : tuple of int
    """

    folder: Path
    data: Path | None
    seeds: tuple[int, ...]

    def series(self, names: Iterable[str]) -> list[str]:
        """The series that are available."""
        return [name for name in names if benchmarks.why_absent(name, self.data) is None]

    def absent(self, names: Iterable[str]) -> list[str]:
        """A line for each series that is not available, saying why."""
        reasons = {name: benchmarks.why_absent(name, self.data) for name in names}
        return [f"{name}: left out, {why}" for name, why in reasons.items() if why is not None]

    def piece(
        self,
        method: Method,
        series: str,
        versions: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Piece:
        """A piece over one of the eight series, and over packages of these versions."""
        identity = benchmarks.identity(series, self.data) | dict(versions or {})
        data = self.data if series in benchmarks.FILES else None
        return Piece(method, {"series": series, **settings}, identity, data)


class Verdict(NamedTuple):
    """A target, what was found, and whether that meets it; None if it cannot be decided."""

    target: str
    found: str
    met: bool | None

    @property
    def word(self) -> str:
        """Met, not met, or open."""
        return {True: "met", False: "**not met**", None: "open"}[self.met]


@dataclass
class Section:
    """A section of the report: paragraphs of Markdown, files, verdicts and what was left out.

    Long tables go into `tables`, which are paragraphs of the appendix.
    """

    name: str
    title: str
    blocks: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    def markdown(self) -> str:
        """The section of the report."""
        blocks = [f"## {self.title}", *self.blocks]
        if self.verdicts:
            rows = [(one.target, one.found, one.word) for one in self.verdicts]
            blocks.insert(1, table(("target", "found", "verdict"), rows))
        if self.tables:
            anchor = re.sub(r"[^\w -]", "", self.title.lower()).replace(" ", "-")
            blocks.append(f"[Long tables of this section]({APPENDIX}#{anchor}).")
        if self.left_out:
            blocks.append("\n".join(f"- {line}" for line in self.left_out))
        return "\n\n".join(blocks) + "\n"

    def appendix(self) -> str:
        """The long tables, under the section's title."""
        return "\n\n".join([f"## {self.title}", *self.tables]) + "\n"

    def made_by(self, context: Context) -> str:
        """The command that makes the section."""
        return f"python bench/experiments --only {self.name} --seeds {len(context.seeds)}"

    def write_settings(self, context: Context, versions: Sequence[Mapping[str, str]]) -> None:
        """NAME.json: the settings and versions that made the section's files."""
        described = {
            "made by": self.made_by(context),
            "seeds": list(context.seeds),
            "versions": versions,
            "ensemble": {k: plain(v) for k, v in OnlineEnsemble().get_params(deep=False).items()},
            **self.settings,
            "verdicts": [one._asdict() for one in self.verdicts],
            "left out": self.left_out,
        }
        text = json.dumps(described, indent=1, ensure_ascii=False, default=str)
        write_text(context.folder / f"{self.name}.json", text + "\n")


class Experiment(ABC):
    """One section's work. The fields of a subclass, a dataclass, are its configuration.

    Attributes
    ----------
    name : str
        On the command line and of the section's files.
    alone : bool
        Whether its pieces run one at a time: they are parallel by themselves, or take times, which
        nothing else may disturb.
    """

    name: ClassVar[str]
    alone: ClassVar[bool] = False

    @abstractmethod
    def pieces(self, context: Context) -> list[Piece]:
        """What is to be computed."""

    @abstractmethod
    def section(self, context: Context, results: Sequence[Result]) -> Section:
        """Write the files and the section, from the results of the pieces in their order."""


def plain(value: Any) -> Any:
    """Numbers, text and sequences as they are, settings objects as they print."""
    return value if isinstance(value, (int, float, str, tuple, list, type(None))) else repr(value)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def image(context: Context, name: str, caption: str) -> str:
    """The Markdown that embeds one of the section's pictures."""
    return f"![{caption}]({context.folder.name}/{name})"


def number(value: float) -> str:
    """Four digits, or a dash."""
    return "–" if np.isnan(value) else f"{value:.4g}"


def quartiles(values: ArrayLike) -> tuple[float, float, float]:
    """Median, lower and upper quartile; NaN where there is nothing."""
    found = np.asarray(values, dtype=np.float64)
    if found.size == 0 or np.isnan(found).any():
        return (np.nan, np.nan, np.nan)
    low, middle, high = np.quantile(found, (0.25, 0.5, 0.75))
    return float(middle), float(low), float(high)


def spread(values: ArrayLike) -> str:
    """Median, and in brackets the interquartile range where there is one."""
    middle, low, high = quartiles(values)
    if np.isnan(middle) or np.size(values) < 2:
        return number(middle)
    return f"{middle:.4g} [{low:.4g}, {high:.4g}]"


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with the same keys; numbers as `repr` has them, empty where there is none."""
    with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        for row in rows:
            writer.writerow({k: "" if _is_nan(v) else v for k, v in row.items()})


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and np.isnan(value)


def column(results: Iterable[Result], name: str) -> list[float]:
    """One number of every result."""
    return [float(result[name]) for result in results]
