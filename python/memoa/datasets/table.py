"""Tables from CSV and Parquet files. Every cell is checked; errors name the line."""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memoa.datasets.cells import FloatArray, Writing, is_empty, to_floats
from memoa.datasets.dates import DateArray, Dates, parse_dates, read_dates

__all__ = ["DateArray", "FilePath", "FloatArray", "Table", "is_empty", "parse_dates", "to_floats"]

FilePath = str | os.PathLike[str]
UNNAMED = "Unnamed: "


@dataclass(frozen=True, eq=False)
class Table:
    """The columns of one file unchanged, the same as numbers, and the CSV text.

    `cells` holds float64, integer, bool or datetime64 columns, or text as objects; `values` is
    float64 with NaN if a cell is not a number; `text` is None for Parquet; `zones` are the time
    zones of Parquet's columns of dates.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from memoa.datasets.table import Table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "sales.csv"
    ...     _ = path.write_text("units,price\\n3,1.5\\n5,1.2\\n4,1.4\\n")
    ...     table = Table.read(path, min_rows=1)
    >>> table.values["units"]
    array([3., 5., 4.])
    """

    file: str
    cells: dict[str, NDArray[Any]]
    values: dict[str, FloatArray]
    text: str | None
    writing: Writing = Writing()  # noqa: RUF009 - an immutable value
    zones: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: FilePath, *, min_rows: int, writing: Writing | None = None) -> Table:
        path, writing = Path(path), writing or Writing()
        try:
            import pandas  # noqa: F401
        except ImportError as error:
            raise ImportError('reading a file needs pandas: pip install "memoa[cli]"') from error
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: there is no such file") from None
        except OSError as error:
            raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
        if path.suffix.lower() == ".gz":
            data = _decompress(path.name, data)
        text: str | None = None
        zones: dict[str, str] = {}
        if path.suffix.lower() in (".parquet", ".pq"):
            if writing != Writing():
                raise ValueError(f"{path.name}: sep, decimal, thousands and percent are for CSV")
            names, columns, zones = _parse_parquet(path.name, data)
        else:
            text = _decode(path.name, data)
            names, columns = _parse_csv(path.name, text, writing.sep)
        for name, count in Counter(names).items():
            if count > 1:
                raise ValueError(f"{path.name}: the column name {name!r} occurs {count} times")
        n_rows = len(columns[0]) if columns else 0
        if n_rows < min_rows:
            raise ValueError(
                f"{path.name}: the file has {n_rows} rows of data; at least {min_rows} are needed"
            )
        cells = dict(zip(names, columns, strict=True))
        values = {name: to_floats(cells[name], writing) for name in names}
        return cls(path.name, cells, values, text, writing, zones)

    def error(self, column: str, row: int, problem: str) -> ValueError:
        """Return an error with the problem and the position of a cell."""
        if self.text is None:
            return ValueError(f"{self.file}: column {column!r}, row {row + 1}: {problem}")
        # A quoted cell may span lines, so the records before this one are read again to count.
        lines = io.StringIO(self.text, newline=None)
        records = csv.reader(lines, delimiter=self.writing.sep, skipinitialspace=True)
        for _ in islice(records, row + 1):
            pass
        place = f"line {records.line_num + 1}: {problem} (data row {row + 1})"
        return ValueError(f"{self.file}: column {column!r}, {place}")

    def _not_a(self, kind: str, column: str, row: int) -> str:
        cell = str(self.cells[column][row])
        if is_empty(cell):
            return "the cell is empty"
        return f"{cell[:60]!r} is not a {kind}" + (self._hint(cell) if kind == "number" else "")

    def _hint(self, cell: str) -> str:
        return "" if self.text is None else self.writing.hint(cell)

    def require(self, column: str) -> None:
        if column not in self.cells:
            known = ", ".join(map(repr, self.cells))
            hint = "" if self.text is None else separator_hint(list(self.cells))
            raise ValueError(f"{self.file}: no column {column!r}; the columns are {known}{hint}")

    def numeric_columns(self) -> list[str]:
        return [name for name, values in self.values.items() if not np.isnan(values).all()]

    def why_no_input(self, column: str) -> str | None:
        """Return why an unrequested column is not an input; None if it may be one."""
        if not np.isnan(self.values[column]).all():
            counts = column.startswith(UNNAMED) and _counts(self.values[column])
            return "it has no name and counts the rows" if counts else None
        cells = self.cells[column]
        if cells.dtype.kind == "M":
            return "it holds dates"
        shown = next((str(cell) for cell in cells if not is_empty(cell)), None)
        if shown is None:
            return "all its cells are empty"
        return f"{shown.strip()[:60]!r} is not a number{self._hint(shown)}"

    def numbers(self, column: str, *, gaps: bool = False) -> FloatArray:
        """Return a column of finite numbers; with `gaps`, cells may also be empty."""
        self.require(column)
        values = self.values[column]
        good = np.isfinite(values)
        if np.isnan(values).all():
            why = self.why_no_input(column) or ""
            raise ValueError(f"{self.file}: column {column!r} holds no numbers: {why}")
        if gaps and not good.all():
            good |= np.isnan(values) & np.array([is_empty(cell) for cell in self.cells[column]])
        if not good.all():
            row = int(np.argmin(good))
            infinite = "the value is infinite" if np.isinf(values[row]) else None
            raise self.error(column, row, infinite or self._not_a("number", column, row))
        return values

    def find_dates(self, dayfirst: bool | None = None) -> tuple[str, Dates] | None:
        """Return the first column of dates, if there is one, and its name.

        It is one if at least half of its cells that are not empty are dates; numbers never are.
        """
        numeric = set(self.numeric_columns())
        for column, cells in self.cells.items():
            if column in numeric:
                continue
            found = self._dates(column, dayfirst)
            no_date = np.isnat(found.values)
            n_filled = sum(not is_empty(cell) for cell in cells)
            n_dates = int((~no_date).sum())
            if n_dates > 0 and 2 * n_dates >= n_filled:
                return column, self._increasing(column, found)
        return None

    def dates(self, column: str, dayfirst: bool | None = None) -> Dates:
        """Return a column of increasing dates."""
        self.require(column)
        return self._increasing(column, self._dates(column, dayfirst))

    def _dates(self, column: str, dayfirst: bool | None) -> Dates:
        found = read_dates(self.cells[column], dayfirst)
        return found._replace(zone=self.zones[column]) if column in self.zones else found

    def _increasing(self, column: str, found: Dates) -> Dates:
        dates = found.values
        missing = np.isnat(dates)
        if missing.any():
            row = int(np.argmax(missing))
            raise self.error(column, row, self._not_a("date", column, row))
        later = dates[1:] > dates[:-1]
        if not later.all():
            row = int(np.argmin(later)) + 1
            before, here = np.datetime_as_string(dates[[row - 1, row]], unit="auto")
            problem = f"the date {here} is not later than {before} before it"
            if here != before:
                problem += "; sort the file by its dates, the oldest first,"
            raise self.error(column, row, problem)
        return found


def separator_hint(names: list[str]) -> str:
    """Return a hint on the separator that the file seems to have."""
    if len(names) != 1:
        return ""
    for sign, shown in ((";", "';'"), ("\t", "'\\t'"), ("|", "'|'"), (",", "','")):
        if sign in names[0]:
            return f"; --sep {shown} would read {names[0].count(sign) + 1} columns"
    return ""


def _counts(values: FloatArray) -> bool:
    """Return whether it is 0, 1, 2, ... or 1, 2, 3, ...."""
    return values[0] in (0.0, 1.0) and bool((np.diff(values) == 1.0).all())


def _decompress(file: str, data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        raise ValueError(f"{file}: not a file that gzip can read") from None


def _decode(file: str, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{file}: not a CSV file in UTF-8") from None
    if "\0" in text:
        raise ValueError(f"{file}: not a CSV file; it holds binary data")
    return text.rstrip()


def _parse_csv(file: str, text: str, sep: str) -> tuple[list[str], list[NDArray[Any]]]:
    """Split CSV text into names and columns of text.

    The names are read like any other row, and blank lines are kept. Otherwise pandas renames double
    columns, uses the first of too many cells as an index, and skips gaps silently.
    """
    import pandas as pd

    if not text:
        return [], []
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=sep,
            header=None,
            dtype=str,
            na_filter=False,
            skip_blank_lines=False,
            skipinitialspace=True,
        )
    except ValueError as error:
        reason = " ".join(str(error).split("C error: ")[-1].split())
        hint = separator_hint(text.split("\n", 1)[:1] if sep not in text.split("\n", 1)[0] else [])
        raise ValueError(f"{file}: not a CSV file: {reason}{hint}") from None
    columns = [frame[i].to_numpy(dtype=object) for i in frame]
    names = [column[0].strip() or f"{UNNAMED}{i}" for i, column in enumerate(columns)]
    return names, [column[1:] for column in columns]


def _parse_parquet(file: str, data: bytes) -> tuple[list[str], list[NDArray[Any]], dict[str, str]]:
    """Split a Parquet file into names, columns and the time zones of those that have one.

    An index of dates or with a name is a column.
    """
    import pandas as pd

    try:
        frame = pd.read_parquet(io.BytesIO(data), engine="pyarrow")
        if isinstance(frame.index, pd.DatetimeIndex) or any(frame.index.names):
            frame = frame.reset_index()
    except ImportError as error:
        raise ImportError('reading Parquet needs pyarrow: pip install "memoa[cli]"') from error
    except Exception as error:  # a damaged file makes pyarrow raise errors of many types
        reason = " ".join(str(error).split())
        raise ValueError(f"{file}: not a Parquet file: {reason}") from None
    columns: list[NDArray[Any]] = []
    zones: dict[str, str] = {}
    for i in range(frame.shape[1]):
        column = frame.iloc[:, i]
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            zones[str(frame.columns[i])] = str(column.dtype.tz)
        if pd.api.types.is_datetime64_any_dtype(column.dtype):
            columns.append(pd.to_datetime(column, utc=True).dt.tz_localize(None).to_numpy())
        elif pd.api.types.is_numeric_dtype(column.dtype) and not column.hasnans:
            columns.append(column.to_numpy())
        elif pd.api.types.is_numeric_dtype(column.dtype):
            columns.append(column.to_numpy(np.float64, na_value=np.nan))
        else:
            columns.append(column.astype(object).where(column.notna(), "").to_numpy(dtype=object))
    return [str(name) for name in frame.columns], columns, zones
