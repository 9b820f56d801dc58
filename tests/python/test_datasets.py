"""Series: the formulas and preparations of the benchmark, and tables good and bad."""

from __future__ import annotations

import csv
import doctest
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from memoa import datasets
from memoa.datasets import Series, load_csv

ETT, BOC = "ETTh1.csv", "bank_of_canada_exchange_rates.csv"
LOADS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL")
CURRENCIES = ("AUD_CLOSE", "EUR_CLOSE", "GBP_CLOSE", "JPY_CLOSE")

TABLE = "date,load,temp,note\n" + "".join(
    f"2020-01-{k + 1:02d},{k}.5,{10 - k},fine\n" for k in range(6)
)


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "prices.csv"
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write


def last_values(series: Series) -> NDArray[np.float64]:
    return np.vstack([series.initial, series.Y[:-1]])


def rmse_of_last_value(series: Series) -> float:
    return float(np.sqrt(np.mean((series.Y - last_values(series)) ** 2)))


def raw_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_docstring_examples() -> None:
    assert doctest.testmod(datasets).failed == 0


# Series


def small(**changes: object) -> Series:
    fields: dict[str, object] = {
        "name": "small",
        "X": np.arange(6.0).reshape(3, 2),
        "Y": [[1], [2], [3]],
        "initial": [0],
        "columns": ["a", "b"],
        "targets": ["y"],
        "index": np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]"),
    }
    return Series(**(fields | changes))  # type: ignore[arg-type]


def test_series_holds_read_only_float64_copies() -> None:
    X = np.arange(6, dtype=np.int32).reshape(3, 2)
    series = small(X=X)
    X[:] = -1
    np.testing.assert_array_equal(series.X, np.arange(6.0).reshape(3, 2))
    for array in (series.X, series.Y, series.initial):
        assert array.dtype == np.float64 and array.flags.c_contiguous
        assert not array.flags.writeable
    assert series.index is not None and not series.index.flags.writeable
    assert (series.columns, series.targets) == (("a", "b"), ("y",))


def test_series_compares_by_identity_and_shows_its_size() -> None:
    series = small()
    assert series == series and series != small() and len({series, small()}) == 2
    expected = "Series('small': 3 steps, 2 inputs, target y, 2020-01-01 to 2020-01-03)"
    assert repr(series) == expected
    assert repr(small(index=None)) == "Series('small': 3 steps, 2 inputs, target y)"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"X": np.zeros((2, 2))}, ValueError, "X has 2 rows; expected one per row of Y: 3"),
        ({"X": np.zeros(3)}, ValueError, r"X has shape \(3,\); expected \(T, dx\)"),
        ({"Y": np.zeros((3, 0))}, ValueError, r"Y has shape \(3, 0\)"),
        ({"Y": [[np.nan], [np.inf], [3]]}, ValueError, r"Y holds inf at \[1, 0\]"),
        ({"X": np.full((3, 2), np.inf)}, ValueError, r"X holds inf at \[0, 0\]"),
        ({"Y": [[1j], [2], [3]]}, TypeError, "Y has dtype complex128"),
        ({"Y": [["1"], ["2"], ["3"]]}, TypeError, "Y has dtype <U1"),
        ({"initial": [0, 0]}, ValueError, r"initial has shape \(2,\); expected \(d,\) = \(1,\)"),
        ({"columns": ["a"]}, ValueError, "columns has 1 names; X has 2 columns"),
        ({"targets": ["y", "z"]}, ValueError, "targets has 2 names; Y has 1 columns"),
        ({"targets": "y"}, TypeError, "targets is of type str"),
        ({"name": 3}, TypeError, "name holds 3; expected str"),
        ({"index": [1, 2, 3]}, TypeError, "index has dtype int64; expected datetime64"),
        ({"index": np.array(["2020"], "M8[D]")}, ValueError, r"index has shape \(1,\)"),
        ({"index": np.full(3, "NaT", "M8[D]")}, ValueError, "without NaT"),
    ],
)
def test_series_refuses(changes: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        small(**changes)


# The benchmark's series


@pytest.mark.parametrize(
    ("name", "expected"),
    [("periodic", 1.0833), ("logistic", 0.4301), ("drift-1d", 0.1007), ("drift", 0.1516)],
)
def test_synthetic_rmse_of_last_value(name: str, expected: float) -> None:
    series = datasets.BUILTIN[name]()
    assert series.name == name and series.X.shape[0] == 200 and series.index is None
    assert rmse_of_last_value(series) == pytest.approx(expected, abs=0.5e-4)


@pytest.mark.parametrize(
    ("load", "file", "start", "expected", "digits"),
    [
        (datasets.load_boc, BOC, 0, 0.00670, 5),
        (datasets.load_boc, BOC, 1600, 0.00486, 5),
        (datasets.load_ett, ETT, 0, 0.02637, 5),
        (datasets.load_ett, ETT, 3500, 0.05146, 5),
    ],
)
def test_real_rmse_of_last_value(
    real: Callable[[str], Path],
    load: Callable[..., Series],
    file: str,
    start: int,
    expected: float,
    digits: int,
) -> None:
    series = load(real(file), start=start)
    assert series.Y.shape == (2000, 1)
    assert rmse_of_last_value(series) == pytest.approx(expected, abs=0.5 * 10**-digits)


@pytest.mark.parametrize("make", [datasets.periodic, datasets.logistic_map])
def test_autonomous_inputs_are_the_last_target(make: Callable[[int], Series]) -> None:
    for n in (1, 2, 7, 200):
        series = make(n)
        assert series.Y.shape == (n, 1)
        np.testing.assert_array_equal(series.X, last_values(series))


def test_periodic_repeats_the_cycle_from_its_second_value() -> None:
    values = np.array([6, 12, 20, 5])
    series = datasets.periodic(9)
    whole = np.append(series.initial, series.Y) * 7.5 / 0.9 + 12.5
    np.testing.assert_allclose(whole, np.resize(values, 10), rtol=1e-14)
    assert (series.Y.min(), series.Y.max()) == (-0.9, 0.9)


@pytest.mark.parametrize("n", [5, 200])
def test_logistic_map_follows_its_rates(n: int) -> None:
    y = 0.6
    series = datasets.logistic_map(n)
    for k in range(1, n + 1):
        angle = math.pi * k / (n + 2)
        rate = 3.6 + 0.13 * sum(math.sin(factor * angle) for factor in (10, 22, 26))
        y = rate * y * (1 - y)
        # One rounding error grows along a chaotic orbit, so each value restarts from the series.
        assert series.Y[k - 1, 0] == pytest.approx(y, abs=1e-12)
        y = float(series.Y[k - 1, 0])


def drift_value(g: float) -> tuple[float, float]:
    r, turn = math.sqrt(g), 7 * math.pi / 8
    a = 1.0 if g <= turn else math.cos(2 * (g - turn)) if g <= 9 * math.pi / 8 else 0.0
    old = (g * g + math.sin(g) + g * r + 0.5 * math.cos(10 * g), g * math.cos(g) + r - math.exp(-g))
    new = (2 * g - math.sin(r), math.cos(g) * math.sin(g) + r * r + 0.25 * math.cos(10 * g))
    return a * old[0] + (1 - a) * new[0], a * old[1] + (1 - a) * new[1]


@pytest.mark.parametrize("n", [10, 200])
def test_drift_inputs_generate_their_target(n: int) -> None:
    series = datasets.concept_drift(n)
    assert series.X.shape == (n, 3) and series.Y.shape == (n, 2)
    np.testing.assert_allclose(series.X[:, 0], 2 * np.pi * np.arange(1, n + 1) / (n + 1))
    np.testing.assert_allclose(series.initial, drift_value(0.0), atol=1e-15)
    for x, y in zip(series.X, series.Y, strict=True):
        assert x[1] == x[0] and x[2] == math.sqrt(x[0])
        np.testing.assert_allclose(y, drift_value(x[0]), rtol=1e-12, atol=1e-12)


def test_drift_1d_is_the_second_output() -> None:
    both, alone = datasets.concept_drift(50), datasets.concept_drift(50, output=1)
    np.testing.assert_array_equal(alone.X, both.X)
    np.testing.assert_array_equal(alone.Y, both.Y[:, 1:])
    np.testing.assert_array_equal(alone.initial, both.initial[1:])
    assert alone.targets == ("y2",)
    with pytest.raises(ValueError, match="output is 0; expected None .* or 1"):
        datasets.concept_drift(output=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [datasets.periodic, datasets.logistic_map, datasets.concept_drift])
def test_synthetic_series_refuse_a_bad_length(make: Callable[..., Series]) -> None:
    with pytest.raises(ValueError, match="n is 0; expected an integer of at least 1"):
        make(0)
    for n in (1.0, True, "3"):
        with pytest.raises(TypeError, match=r"n is .* of type .*; expected an integer"):
            make(n)


@pytest.mark.parametrize("start", [0, 1, 3500])
def test_ett_rows(real: Callable[[str], Path], start: int) -> None:
    path, n = real(ETT), 50
    rows = raw_rows(path)

    def value(name: str, k: int) -> float:
        return float(rows[k][name]) if k >= 0 else 0.0

    block = [
        [value(name, k - lag) for lag in range(3) for name in LOADS]
        + [value("OT", k), value("OT", k - 1)]
        for k in range(start, start + n + 1)
    ]
    y = [value("OT", k) for k in range(start, start + n + 1)]
    series = datasets.load_ett(path, start=start, n=n)
    np.testing.assert_allclose(series.X, np.array(block[:-1]) / np.max(block), rtol=1e-15)
    np.testing.assert_allclose(series.Y[:, 0], np.array(y[1:]) / max(y), rtol=1e-15)
    np.testing.assert_allclose(series.initial, y[0] / max(y), rtol=1e-15)
    assert series.columns[:7] == (*LOADS, "HUFL lag 1")
    assert series.columns[17:] == ("LULL lag 2", "OT", "OT lag 1")
    assert series.index is not None and series.index[0] == np.datetime64(rows[start + 1]["date"])


@pytest.mark.parametrize("start", [0, 1600])
def test_boc_rows(real: Callable[[str], Path], start: int) -> None:
    path, n = real(BOC), 50
    rows = raw_rows(path)
    series = datasets.load_boc(path, start=start, n=n)
    assert series.X.shape == (n, 10) and series.name == "boc"
    for t, k in enumerate(range(start, start + n)):
        now, before = rows[k], rows[k - 1] if k else dict.fromkeys(rows[k], "0")
        cells = [row[name] for row in (now, before) for name in CURRENCIES]
        cells += [now["USD_CLOSE"], before["USD_CLOSE"]]
        assert series.X[t].tolist() == [float(cell) for cell in cells]
        assert series.Y[t, 0] == float(rows[k + 1]["USD_CLOSE"])
    np.testing.assert_array_equal(series.X[:, 8], last_values(series)[:, 0])
    assert series.index is not None and series.index[-1] == np.datetime64(rows[start + n]["date"])


def test_benchmark_windows_must_lie_in_the_file(table: Callable[[str], Path]) -> None:
    path = table("date,USD_CLOSE\n" + "".join(f"2020-01-0{k},{k}\n" for k in range(1, 8)))
    with pytest.raises(ValueError, match="has 7 rows of data; at least 8 are needed"):
        datasets.load_boc(path, start=3, n=4)
    with pytest.raises(ValueError, match="no column 'AUD_CLOSE'; the columns are 'date'"):
        datasets.load_boc(path, start=2, n=4)
    with pytest.raises(ValueError, match="start is -1"):
        datasets.load_ett(path, start=-1)


# load_csv


def test_rows_columns_and_dates_of_a_table(table: Callable[[str], Path]) -> None:
    series = load_csv(table(TABLE), target="load")
    assert series.name == "prices" and series.targets == ("load",)
    assert series.columns == ("temp", "load", "load lag 1")
    np.testing.assert_array_equal(series.X[:, 0], [9, 8, 7, 6])
    np.testing.assert_array_equal(series.X[:, 1:], [[1.5, 0.5], [2.5, 1.5], [3.5, 2.5], [4.5, 3.5]])
    np.testing.assert_array_equal(series.Y, [[2.5], [3.5], [4.5], [5.5]])
    np.testing.assert_array_equal(series.initial, [1.5])
    dates = np.arange("2020-01-03", "2020-01-07", dtype="datetime64[D]")
    np.testing.assert_array_equal(series.index, dates)


def test_several_targets_and_lags(table: Callable[[str], Path]) -> None:
    series = load_csv(table(TABLE), target=["temp", "load"], lags=3)
    assert series.targets == ("temp", "load")
    lagged = ("temp", "load", "temp lag 1", "load lag 1", "temp lag 2", "load lag 2")
    assert series.columns == lagged
    np.testing.assert_array_equal(series.X[0], [8, 2.5, 9, 1.5, 10, 0.5])
    np.testing.assert_array_equal(series.Y, [[7, 3.5], [6, 4.5], [5, 5.5]])


@pytest.mark.parametrize("lags", [1, 2, 4])
def test_inputs_hold_the_last_target_and_nothing_later(
    table: Callable[[str], Path], lags: int
) -> None:
    series = load_csv(table(TABLE), target="load", lags=lags)
    assert len(series.Y) == 6 - lags
    np.testing.assert_array_equal(series.X[:, [1]], last_values(series))
    for known in range(lags + 2, 6):
        head = "\n".join(TABLE.splitlines()[: known + 1])
        part = load_csv(table(head), target="load", lags=lags)
        np.testing.assert_array_equal(part.X, series.X[: len(part.X)])
        np.testing.assert_array_equal(part.Y, series.Y[: len(part.Y)])


frames = st.integers(4, 9).flatmap(
    lambda n: st.fixed_dictionaries(
        {
            name: st.lists(cells, min_size=n, max_size=n)
            for name, cells in {
                "real": st.floats(allow_nan=False, allow_infinity=False),
                "whole": st.integers(-(2**53), 2**53),
                "flag": st.booleans(),
                "word": st.sampled_from(["a", "b, c", 'd "e"', "NA", ""]),
            }.items()
        }
    )
)


@settings(max_examples=40, deadline=None)
@given(
    cells=frames,
    lags=st.integers(1, 2),
    target=st.sampled_from(["real", "whole", "flag"]),
    dated=st.booleans(),
    suffix=st.sampled_from([".csv", ".parquet", ".pq"]),
)
def test_tables_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    cells: dict[str, list[object]],
    lags: int,
    target: str,
    dated: bool,
    suffix: str,
) -> None:
    frame = pd.DataFrame(cells)[["real", "whole", "flag", "word"]]
    dates = pd.date_range("2020-02-28 23:00", periods=len(frame), freq="h")
    if dated:
        frame.insert(1, "when", dates)
    path = tmp_path_factory.mktemp("frame") / f"frame{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    series = load_csv(path, target=target, lags=lags)
    others = [name for name in ("real", "whole", "flag") if name != target]
    assert series.columns == (*others, target, f"{target} lag 1")[: 2 + lags]
    now = frame[[*others, target]].to_numpy(dtype=np.float64)
    np.testing.assert_array_equal(series.X[:, :3], now[lags - 1 : -1])
    if lags == 2:
        np.testing.assert_array_equal(series.X[:, 3], now[:-2, 2])
    np.testing.assert_array_equal(series.Y, now[lags:, 2:])
    if dated:
        np.testing.assert_array_equal(series.index, dates[lags:].to_numpy())
    else:
        assert series.index is None


@pytest.mark.parametrize(
    "written",
    [
        ["2020-03-28", "2020-03-29 00:00:00", "2020-03-30", "2020-03-31T00:00"],
        ["2020-03-28T00Z", "2020-03-29T01:00+01:00", "2020-03-30T02:00+02:00", "2020-03-31T00Z"],
        ["03/28/2020", "03/29/2020", "03/30/2020", "03/31/2020"],
        ["28.03.2020", "29.03.2020", "30.03.2020", "31.03.2020"],
        ["Mar 28, 2020", "Mar 29, 2020", "Mar 30, 2020", "Mar 31, 2020"],
    ],
)
def test_ways_to_write_a_date(table: Callable[[str], Path], written: list[str]) -> None:
    rows = "".join(f'{k},"{cell}"\n' for k, cell in enumerate(written))
    series = load_csv(table(f"y,date\n{rows}"), target="y")
    np.testing.assert_array_equal(series.index, np.array(["2020-03-30", "2020-03-31"], "M8[D]"))


def test_increase_tells_day_first_from_month_first(table: Callable[[str], Path]) -> None:
    written = ["01/02/2020", "02/02/2020", "03/02/2020", "01/03/2020"]
    rows = "".join(f"{k},{cell}\n" for k, cell in enumerate(written))
    series = load_csv(table(f"y,date\n{rows}"), target="y")
    np.testing.assert_array_equal(series.index, np.array(["2020-02-03", "2020-03-01"], "M8[D]"))


def test_which_column_holds_the_dates(table: Callable[[str], Path]) -> None:
    rows = "".join(f"{2000 + k},{k},2020-01-0{k + 1},2021-01-0{k + 1}\n" for k in range(4))
    path = table(f"year,y,first,second\n{rows}")
    automatic = load_csv(path, target="y")
    assert automatic.columns == ("year", "y", "y lag 1")
    assert automatic.index is not None and automatic.index[0] == np.datetime64("2020-01-03")
    second = load_csv(path, target="y", date="second")
    assert second.index is not None and second.index[0] == np.datetime64("2021-01-03")
    year = load_csv(path, target="y", date="year")
    assert year.columns == ("y", "y lag 1")
    assert year.index is not None and year.index[0] == np.datetime64("2002-01-01")


def test_parquet_columns_of_other_types(tmp_path: Path) -> None:
    days = pd.date_range("2020-01-01", periods=4, tz="Europe/Paris", name="when")
    cells = {
        "y": np.arange(4, dtype=np.float32) / 3,
        "nullable": pd.array([1, 2, 3, 4], dtype="Int64"),
        "kind": pd.Categorical(["a", "b", "a", "b"]),
        "span": pd.to_timedelta([1, 2, 3, 4], unit="h"),
        "nothing": [None] * 4,
    }
    pd.DataFrame(cells, index=days).to_parquet(tmp_path / "table.PARQUET")
    series = load_csv(tmp_path / "table.PARQUET", target="y", lags=1)
    assert series.columns == ("nullable", "y")
    np.testing.assert_array_equal(series.X[:, 1], (np.arange(3, dtype=np.float32) / 3))
    assert series.index is not None and series.index[0] == np.datetime64("2020-01-01T23:00")


def replaced(old: str, new: str) -> str:
    assert TABLE.count(old) == 1
    return TABLE.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (replaced("3.5", "n/a?"), "column 'load', line 5: 'n/a?' is not a number (data row 4)"),
        (replaced("3.5", "1_0"), "column 'load', line 5: '1_0' is not a number (data row 4)"),
        (replaced("3.5", "-inf"), "column 'load', line 5: the value is infinite (data row 4)"),
        (replaced("3.5", "1e999"), "column 'load', line 5: the value is infinite (data row 4)"),
        (
            replaced("2020-01-03", "\n2020-01-03"),
            "column 'date', line 4: the cell is empty (data row 3)",
        ),
        (
            replaced("8,fine", '8,"fine\nday"').replace("4.5", "?"),
            "column 'load', line 7: '?' is not a number (data row 5)",
        ),
        (
            TABLE.replace("\n", "\r\n").replace("4.5", "?"),
            "column 'load', line 6: '?' is not a number (data row 5)",
        ),
        (
            replaced("2020-01-03", ""),
            "column 'date', line 4: the cell is empty (data row 3)",
        ),
        (
            replaced("2020-01-03", "2020-01-02"),
            "column 'date', line 4: the date 2020-01-02 is not later than 2020-01-02 before it"
            " (data row 3)",
        ),
        (replaced("8,fine", "8,fine,more"), "not a CSV file: Expected 4 fields in line 4, saw 5"),
        (replaced("8,fine", '8,"fine'), "not a CSV file: EOF inside string starting at row 3"),
        (replaced("temp", "load"), "the column name 'load' occurs 2 times"),
        (
            replaced("load", "power"),
            "no column 'load'; the columns are 'date', 'power', 'temp', 'note'",
        ),
        (
            TABLE.replace(".5", "!"),
            "column 'load' holds no numbers: '0!' is not a number",
        ),
        ("", "the file has 0 rows of data; at least 4 are needed"),
        (" \n\n", "the file has 0 rows of data; at least 4 are needed"),
        ("load\n1\n2\n3\n", "the file has 3 rows of data; at least 4 are needed"),
        ("load\0\n1\n2\n3\n4\n", "not a CSV file; it holds binary data"),
    ],
)
def test_bad_tables(table: Callable[[str], Path], text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        load_csv(table(text), target="load")
    assert str(caught.value) == f"prices.csv: {message}"


def test_parquet_errors_name_the_row(tmp_path: Path) -> None:
    path = tmp_path / "prices.parquet"
    for bad in (None, np.inf):
        pd.DataFrame({"y": range(5), "load": [1.0, 2.0, bad, 4.0, 5.0]}).to_parquet(path)
        if bad is None:  # a missing value
            assert np.isnan(load_csv(path, target="y").X[1, 0])
            continue
        with pytest.raises(ValueError) as caught:
            load_csv(path, target="y")
        expected = "prices.parquet: column 'load', row 3: the value is infinite"
        assert str(caught.value) == expected


def test_forced_date_columns(table: Callable[[str], Path]) -> None:
    path = table(replaced("2020-01-03", "2020-13-45"))
    for date in (None, "date"):  # a column of dates is not dropped for one bad cell
        with pytest.raises(ValueError, match="'date', line 4: '2020-13-45' is not a date"):
            load_csv(path, target="load", date=date)
    with pytest.raises(ValueError, match="column 'temp', line 2: '10' is not a date"):
        load_csv(path, target="load", date="temp")
    with pytest.raises(ValueError, match="no column 'day'; the columns are 'date', 'load'"):
        load_csv(path, target="load", date="day")
    with pytest.raises(ValueError, match="date is 'load'; expected another column than target"):
        load_csv(path, target="load", date="load")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"target": []}, ValueError, "target is empty; expected at least one name"),
        ({"target": ["load", "load"]}, ValueError, "expected different columns"),
        ({"target": "date"}, ValueError, "column 'date' holds no numbers"),
        ({"target": 1}, TypeError, "target is of type int"),
        ({"target": [1]}, TypeError, "target holds 1; expected str"),
        ({"lags": 0}, ValueError, "lags is 0; expected an integer of at least 1"),
        ({"lags": 1.5}, TypeError, r"lags is 1.5 of type float; expected an integer"),
        ({"lags": 5}, ValueError, "has 6 rows of data; at least 7 are needed"),
    ],
)
def test_bad_options(
    table: Callable[[str], Path], options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_csv(table(TABLE), **({"target": "load"} | options))  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_files_that_are_none(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data{suffix}"
    with pytest.raises(FileNotFoundError) as missing:
        load_csv(path, target="y")
    assert str(missing.value) == f"{path}: there is no such file"
    path.write_bytes(bytes(range(256)) * 4)
    with pytest.raises(ValueError, match=rf"^data\{suffix}: not a \w+ file.*\Z") as garbage:
        load_csv(path, target="y")
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        load_csv(path, target="y")
    assert "\n" not in str(garbage.value)
