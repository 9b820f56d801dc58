"""What bench_population.py keeps in population.json: rows, each with the origin that measured it.

An origin is a machine, the versions on it, and whether sizes and rounds were the quick ones. A row
replaces an earlier one only where case and origin are the same, and a table prints the rows of one
origin: numbers of two machines, or of two versions, never stand under one heading.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Results = dict[str, list[Row]]
Origin = dict[str, Any]


class Record:
    """The rows measured so far, by section, and the settings of each section's last measurement."""

    def __init__(self, path: Path):
        self.path = path
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.origins: list[Origin] = kept.get("origins", [])
        self.settings: dict[str, Any] = kept.get("settings", {})
        self.results: Results = kept.get("results", {})

    def number_of(self, origin: Origin) -> int:
        """The number under which rows name this origin; a new one where it is new."""
        if origin not in self.origins:
            self.origins.append(origin)
        return self.origins.index(origin)

    def add(self, section: str, row: Row, origin: Origin) -> None:
        """Keep a row, in the place of the same case's row of the same origin."""
        rows = self.results.setdefault(section, [])
        row = row | {"origin": self.number_of(origin)}
        for at, other in enumerate(rows):
            if (other["case"], other["origin"]) == (row["case"], row["origin"]):
                rows[at] = row
                return
        rows.append(row)

    def rows_of(self, origin: Origin) -> Results:
        """The rows that this origin measured, by section."""
        number = self.number_of(origin)
        return {
            section: [row for row in rows if row["origin"] == number]
            for section, rows in self.results.items()
        }

    def fullest(self) -> Origin:
        """The origin of most rows: the one whose tables the documentation shows."""
        if not self.origins:
            raise ValueError(f"{self.path} holds no measurement; run bench_population.py first")
        counts = [sum(map(len, self.rows_of(origin).values())) for origin in self.origins]
        return self.origins[counts.index(max(counts))]

    def save(self) -> None:
        """Write the file."""
        kept = {"origins": self.origins, "settings": self.settings, "results": self.results}
        self.path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
