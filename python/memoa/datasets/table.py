"""Tables from files: CSV and Parquet, every cell checked, errors that say the line."""

from __future__ import annotations

import csv
import gzip
import io
import os
import warnings
import zlib
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
DateArray = NDArray[np.datetime64]
FilePath = str | os.PathLike[str]

# Compared in lower case. These are the spellings pandas, R and Excel write for a missing value.
_EMPTY = frozenset(("", "na", "n/a", "nan", "-nan", "nat", "null", "none", "<na>", "#na", "#n/a"))


@dataclass(frozen=True, eq=False)
class Table:
    """The columns of one file as they came, the same as numbers, and the CSV text they stood in.

    `cells` holds float64, integer, bool or datetime64 columns, or text as objects; `values` is
    float64 with NaN where a cell is no number; `text` is None for Parquet.
    """

    file: str
    cells: dict[str, NDArray[Any]]
    values: dict[str, FloatArray]
    text: str | None

    @classmethod
    def read(cls, path: FilePath, *, min_rows: int) -> Table:
        path = Path(path)
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
        if path.suffix.lower() in (".parquet", ".pq"):
            names, columns, text = *_parse_parquet(path.name, data), None
        else:
            text = _decode(path.name, data)
            names, columns = _parse_csv(path.name, text)
        for name, count in Counter(names).items():
            if count > 1:
                raise ValueError(f"{path.name}: the column name {name!r} occurs {count} times")
        n_rows = len(columns[0]) if columns else 0
        if n_rows < min_rows:
            raise ValueError(
                f"{path.name}: the file has {n_rows} rows of data; at least {min_rows} are needed"
            )
        cells = dict(zip(names, columns, strict=True))
        return cls(path.name, cells, {name: to_floats(cells[name]) for name in names}, text)

    def error(self, column: str, row: int, problem: str) -> ValueError:
        """Say what is wrong with a cell and where it stands."""
        if self.text is None:
            return ValueError(f"{self.file}: column {column!r}, row {row + 1}: {problem}")
        # A quoted cell may span lines, so the records before this one are read again to count.
        records = csv.reader(io.StringIO(self.text, newline=None), skipinitialspace=True)
        for _ in islice(records, row + 1):
            pass
        place = f"line {records.line_num + 1}: {problem} (data row {row + 1})"
        return ValueError(f"{self.file}: column {column!r}, {place}")

    def _not_a(self, kind: str, column: str, row: int) -> str:
        cell = str(self.cells[column][row])
        return "the cell is empty" if is_empty(cell) else f"{cell[:60]!r} is not a {kind}"

    def require(self, column: str) -> None:
        if column not in self.cells:
            known = ", ".join(map(repr, self.cells))
            raise ValueError(f"{self.file}: no column {column!r}; the columns are {known}")

    def numeric_columns(self) -> list[str]:
        return [name for name, values in self.values.items() if not np.isnan(values).all()]

    def numbers(self, column: str) -> FloatArray:
        """Return a column of which every cell is a finite number."""
        self.require(column)
        values = self.values[column]
        good = np.isfinite(values)
        if np.isnan(values).all():
            raise ValueError(f"{self.file}: column {column!r} holds no numbers")
        if not good.all():
            row = int(np.argmin(good))
            infinite = "the value is infinite" if np.isinf(values[row]) else None
            raise self.error(column, row, infinite or self._not_a("number", column, row))
        return values

    def find_dates(self) -> DateArray | None:
        """Return the first column of dates, if there is one. Numbers never count as dates."""
        numeric = set(self.numeric_columns())
        for column in self.cells:
            if column in numeric:
                continue
            dates = parse_dates(self.cells[column])
            no_date = self.cells[column][np.isnat(dates)]
            if len(no_date) < len(dates) and all(map(is_empty, no_date)):
                return self._increasing(column, dates)
        return None

    def dates(self, column: str) -> DateArray:
        """Return a column of which every cell is a date, each later than the one before."""
        self.require(column)
        return self._increasing(column, parse_dates(self.cells[column]))

    def _increasing(self, column: str, dates: DateArray) -> DateArray:
        missing = np.isnat(dates)
        if missing.any():
            row = int(np.argmax(missing))
            raise self.error(column, row, self._not_a("date", column, row))
        later = dates[1:] > dates[:-1]
        if not later.all():
            row = int(np.argmin(later)) + 1
            before, here = np.datetime_as_string(dates[[row - 1, row]], unit="auto")
            raise self.error(column, row, f"the date {here} is not later than {before} before it")
        return dates


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


def _parse_csv(file: str, text: str) -> tuple[list[str], list[NDArray[Any]]]:
    """Split CSV text into names and columns of text.

    The names are read as a row like the others and blank lines are kept: otherwise pandas renames
    double columns, takes the first of too many cells for an index and skips gaps in silence.
    """
    import pandas as pd

    if not text:
        return [], []
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            header=None,
            dtype=str,
            na_filter=False,
            skip_blank_lines=False,
            skipinitialspace=True,
        )
    except ValueError as error:
        reason = " ".join(str(error).split("C error: ")[-1].split())
        raise ValueError(f"{file}: not a CSV file: {reason}") from None
    columns = [frame[i].to_numpy(dtype=object) for i in frame]
    names = [column[0].strip() or f"Unnamed: {i}" for i, column in enumerate(columns)]
    return names, [column[1:] for column in columns]


def _parse_parquet(file: str, data: bytes) -> tuple[list[str], list[NDArray[Any]]]:
    """Split a Parquet file into names and columns; an index of dates or with a name is a column."""
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
    for i in range(frame.shape[1]):
        column = frame.iloc[:, i]
        if pd.api.types.is_datetime64_any_dtype(column.dtype):
            columns.append(pd.to_datetime(column, utc=True).dt.tz_localize(None).to_numpy())
        elif pd.api.types.is_numeric_dtype(column.dtype) and not column.hasnans:
            columns.append(column.to_numpy())
        elif pd.api.types.is_numeric_dtype(column.dtype):
            columns.append(column.to_numpy(np.float64, na_value=np.nan))
        else:
            columns.append(column.astype(object).where(column.notna(), "").to_numpy(dtype=object))
    return [str(name) for name in frame.columns], columns


def parse_dates(cells: NDArray[Any]) -> DateArray:
    """Return the cells as datetime64, NaT where a cell is no date in the best-fitting format."""
    import pandas as pd
    from pandas.tseries.api import guess_datetime_format

    if cells.dtype.kind == "M":
        return cells
    text = [str(cell).strip() for cell in cells]
    sample = next((cell for cell in text if not is_empty(cell)), "")

    def read(style: str) -> DateArray:
        dates = pd.to_datetime(text, format=style, errors="coerce", utc=True)
        return dates.tz_localize(None).to_numpy()

    def misfit(dates: DateArray) -> tuple[int, bool]:
        return int(np.isnat(dates).sum()), not bool((dates[1:] > dates[:-1]).all())

    readings = [read("ISO8601")]
    if np.isnat(readings[0]).any():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where only one order of day and month fits
            styles = [guess_datetime_format(sample, dayfirst=first) for first in (False, True)]
        readings += [read(style) for style in styles if style]
    return min(readings, key=misfit)


def to_floats(cells: NDArray[Any]) -> FloatArray:
    """Return the cells as float64, NaN where a cell is no number."""
    if cells.dtype.kind == "M":
        return np.full(len(cells), np.nan)
    if cells.dtype.kind in "biuf":
        return cells.astype(np.float64)
    return np.fromiter((_number(str(cell)) for cell in cells), np.float64, len(cells))


def _number(cell: str) -> float:
    try:
        # float() reads 1_000 as a number; in a table it is more likely a label.
        return float(cell) if "_" not in cell else np.nan
    except ValueError:
        return {"true": 1.0, "false": 0.0}.get(cell.strip().lower(), np.nan)


def is_empty(cell: object) -> bool:
    return str(cell).strip().lower() in _EMPTY
