"""Converts the text of a table's cells to numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Compared in lower case. These are the spellings pandas, R and Excel write for a missing value.
_EMPTY = frozenset(("", "na", "n/a", "nan", "-nan", "nat", "null", "none", "<na>", "#na", "#n/a"))


@dataclass(frozen=True)
class Writing:
    """How a text file writes its cells; the fields are the options of `load_csv`."""

    sep: str = ","
    decimal: str = "."
    thousands: str | None = None
    percent: bool = False

    def __post_init__(self) -> None:
        for name in ("sep", "decimal", "thousands"):
            sign = getattr(self, name)
            if sign is None and name == "thousands":
                continue
            if not isinstance(sign, str):
                raise TypeError(f"{name} is of type {type(sign).__name__}; expected str")
            if len(sign) != 1 or sign.isalnum() or sign in '"\r\n+':
                raise ValueError(f"{name} is {sign!r}; expected one character, no letter or digit")
        if self.thousands == self.decimal:
            raise ValueError(f"thousands and decimal are both {self.decimal!r}")

    def number(self, cell: str) -> float:
        """Return the number in a cell, NaN if it is not a number."""
        text = cell.strip()
        if self.percent and text.endswith("%"):
            text = text[:-1].rstrip()
        if self.decimal != "." or self.thousands is not None:
            text = self._plain(text)
        try:
            # float() reads 1_000 as a number; in a table it is more likely a label.
            return float(text) if "_" not in text else np.nan
        except ValueError:
            return {"true": 1.0, "false": 0.0}.get(text.lower(), np.nan)

    def _plain(self, text: str) -> str:
        """Rewrite the cell as Python writes numbers; groups must have three digits."""
        point, group = re.escape(self.decimal), re.escape(self.thousands or "")
        whole = rf"[0-9]{{1,3}}(?:{group}[0-9]{{3}})+|[0-9]*" if self.thousands else "[0-9]*"
        found = re.fullmatch(rf"([+-]?)({whole})(?:{point}([0-9]*))?((?:[eE][+-]?[0-9]+)?)", text)
        if found is None:
            return text if not any(sign in text for sign in ".,") else "_"
        sign, digits, decimals, power = found.groups(default="")
        return f"{sign}{digits.replace(self.thousands or ' ', '')}.{decimals}{power}"

    def hint(self, cell: str) -> str:
        """Return the option that would read a cell as a number; empty if none would."""
        for options in (
            {"percent": True},
            {"thousands": ","},
            {"decimal": ","},
            {"thousands": ".", "decimal": ","},
            {"thousands": " "},
            {"thousands": "'"},
            {"thousands": " ", "decimal": ","},
        ):
            settings: dict[str, Any] = {**vars(self), **options}
            if settings["thousands"] == settings["decimal"]:
                continue
            if np.isfinite(Writing(**settings).number(cell)):
                words = " ".join(
                    f"--{name}" if value is True else f"--{name} {value!r}"
                    for name, value in options.items()
                )
                return f"; {words} would read it"
        return ""


def to_floats(cells: NDArray[Any], writing: Writing | None = None) -> FloatArray:
    """Return the cells as float64, NaN if a cell is not a number."""
    writing = writing or Writing()
    if cells.dtype.kind == "M":
        return np.full(len(cells), np.nan)
    if cells.dtype.kind in "biuf":
        return cells.astype(np.float64)
    return np.fromiter((writing.number(str(cell)) for cell in cells), np.float64, len(cells))


def is_empty(cell: object) -> bool:
    """Return whether a cell has no value."""
    return str(cell).strip().lower() in _EMPTY
