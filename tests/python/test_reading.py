"""Files as people write them: signs, dates, time zones, and what is said of them."""

from __future__ import annotations

import copy
import gzip
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import memoa
from memoa.cli.app import app
from memoa.datasets import load_csv
from memoa.datasets.cells import Writing
from memoa.datasets.dates import next_date, read_dates, spacing

SMALL = ("--agents", "4", "--features", "3")


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        path = tmp_path / "sales.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def call(*args: str) -> Result:
    return CliRunner().invoke(app, list(args), prog_name="memoa")


def rows(*columns: list[object], head: str, sep: str = ",") -> str:
    return "\n".join([head, *(sep.join(map(str, row)) for row in zip(*columns, strict=True))])


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("options", "cell", "expected"),
    [
        ({}, " 1.5 ", 1.5),
        ({}, "1,5", np.nan),
        ({}, "1_0", np.nan),
        ({}, "12%", np.nan),
        ({"percent": True}, "12 %", 12.0),
        ({"percent": True}, "12", 12.0),
        ({"decimal": ","}, "-1,5e2", -150.0),
        ({"decimal": ","}, "1.5", np.nan),
        ({"decimal": ","}, ",5", 0.5),
        ({"decimal": ","}, ",", np.nan),
        ({"thousands": ","}, "1,234,567.8", 1234567.8),
        ({"thousands": ","}, "12,34", np.nan),
        ({"thousands": ","}, "1234.5", 1234.5),
        ({"thousands": ".", "decimal": ","}, "1.234,5", 1234.5),
        ({"thousands": " "}, "12 345", 12345.0),
        ({"thousands": "'"}, "1'000", 1000.0),
        ({"thousands": ",", "percent": True}, "1,200%", 1200.0),
        ({"decimal": ","}, "true", 1.0),
    ],
)
def test_numbers(options: dict[str, object], cell: str, expected: float) -> None:
    np.testing.assert_equal(Writing(**options).number(cell), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sep": ""}, "sep is ''; expected one character"),
        ({"sep": ";;"}, "sep is ';;'"),
        ({"decimal": "5"}, "decimal is '5'"),
        ({"thousands": "."}, "thousands and decimal are both '.'"),
    ],
)
def test_signs_that_are_none(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Writing(**options)


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_a_european_file(tmp_path: Path, ending: str) -> None:
    text = rows(
        [f"{k:02d}.01.2024" for k in range(1, 9)],
        [f"1.{200 + k},5" for k in range(8)],
        [f"{k}%" for k in range(8)],
        head="Tag;Umsatz;Anteil",
        sep=";",
    )
    path = tmp_path / f"umsatz.{ending}"
    path.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())
    series = load_csv(
        path, target="Umsatz", sep=";", decimal=",", thousands=".", percent=True, lags=1
    )
    assert series.name == "umsatz"
    assert series.columns == ("Anteil", "Umsatz")
    np.testing.assert_array_equal(series.Y[:, 0], 1201.5 + np.arange(7))
    np.testing.assert_array_equal(series.X[:, 0], np.arange(7))
    np.testing.assert_array_equal(series.next_x, [7.0, 1207.5])
    assert not series.left_out


def test_columns_that_are_left_out_are_named(table: Callable[[str], Path]) -> None:
    text = rows(
        list(range(6)),
        [2.0 * k for k in range(6)],
        ['"1,200"'] * 6,
        ["12%"] * 6,
        ["yes"] * 6,
        [""] * 6,
        head=",y,price,share,open,none",
    )
    series = load_csv(table(text), target="y")
    assert series.columns == ("y", "y lag 1")
    assert dict(series.left_out) == {
        "Unnamed: 0": "it has no name and counts the rows",
        "price": "'1,200' is not a number; --thousands ',' would read it",
        "share": "'12%' is not a number; --percent would read it",
        "open": "'yes' is not a number",
        "none": "all its cells are empty",
    }
    found = call("run", "sales.csv", "--target", "y", *SMALL)
    assert found.exit_code == 0, found.output
    for name, why in series.left_out.items():
        assert f"left out: '{name}', {why}" in found.stdout
    kept = json.loads(Path("memoa-out/sales/settings.json").read_text())["series"]
    assert kept["left_out"] == dict(series.left_out)
    again = load_csv(table(text), target="y", thousands=",", percent=True)
    assert again.columns == ("price", "share", "y", "y lag 1")


def test_a_nameless_column_that_counts_nothing_is_an_input(table: Callable[[str], Path]) -> None:
    series = load_csv(table(rows([3, 1, 2, 5], [1, 2, 3, 4], head=",y")), target="y", lags=1)
    assert series.columns == ("Unnamed: 0", "y")


def test_inputs_and_drop(table: Callable[[str], Path]) -> None:
    path = table(rows(*[[1, 2, 3, 4]] * 4, head="a,b,c,y"))
    for options, expected in (
        ({}, ("a", "b", "c")),
        ({"inputs": ["c", "a"]}, ("a", "c")),
        ({"inputs": []}, ()),
        ({"drop": ["b"]}, ("a", "c")),
    ):
        assert load_csv(path, target="y", lags=1, **options).columns[:-1] == expected  # type: ignore[arg-type]
    for options, message in (
        ({"inputs": ["d"]}, "no column 'd'"),
        ({"drop": ["d"]}, "no column 'd'"),
        ({"inputs": ["y"]}, "inputs names 'y', which is already used otherwise"),
        ({"inputs": ["a"], "drop": ["a"]}, "drop names 'a', which is already used otherwise"),
    ):
        with pytest.raises(ValueError, match=message):
            load_csv(path, target="y", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "sign"),
    [("a;b\n1,5;2\n", "';'"), ("a\tb\n1\t2\n", r"'\t'"), ("a|b\n1|2\n", "'|'")],
)
def test_other_separators_are_suggested(table: Callable[[str], Path], text: str, sign: str) -> None:
    head, row = text.splitlines()
    table("\n".join([head, *[row] * 6]))
    for args in (("--target", "a"), ()):
        failed = call("run", "sales.csv", *args, *SMALL)
        assert failed.exit_code == 2
        assert f"--sep {sign} would read 2 columns" in failed.stderr


def test_a_target_with_a_comma_stands_in_quotes(table: Callable[[str], Path]) -> None:
    table(rows([1, 3, 2, 5, 4], [2, 1, 4, 3, 6], head='"sales, net",b'))
    found = call("run", "sales.csv", "--target", '"sales, net", b', *SMALL)
    assert found.exit_code == 0, found.output
    frame = pd.read_csv("memoa-out/sales/predictions.csv")
    assert {"sales, net", "b", "b_server"} <= set(frame.columns)


# ---------------------------------------------------------------- dates


def months(n: int, written: str) -> list[str]:
    return list(pd.date_range("2003-01-01", periods=n, freq="MS").strftime(written))


@pytest.mark.parametrize(
    ("cells", "dayfirst", "last", "order"),
    [
        (months(12, "%d/%m/%Y"), None, "2003-01-12", "month first"),  # so it is as even
        (months(12, "%d/%m/%Y"), True, "2003-12-01", "day first"),
        (months(14, "%d/%m/%Y"), None, "2004-02-01", "day first"),
        (months(14, "%m/%d/%Y"), None, "2004-02-01", "month first"),
        (months(14, "%d.%m.%Y"), None, "2004-02-01", "day first"),
        (["01/12/2003", "01/01/2004", "01/02/2004"], None, "2004-02-01", "day first"),
        (["2003-01-02", "2003-01-03"], None, "2003-01-03", None),
        (["2003-01-02", "2003-01-03"], True, "2003-01-03", None),
    ],
)
def test_even_spacing_tells_day_from_month(
    cells: list[str], dayfirst: bool | None, last: str, order: str | None
) -> None:
    found = read_dates(np.array(cells, dtype=object), dayfirst)
    assert found.values[-1] == np.datetime64(last)
    assert found.order == order


def test_which_order_was_read_is_said(table: Callable[[str], Path]) -> None:
    path = table(rows(months(14, "%d/%m/%Y"), list(range(14)), head="day,y"))
    series = load_csv(path, target="y")
    assert series.notes == ("dates of 'day' are read day first: the first is 2003-01-01",)
    assert series.notes[0] in call("run", "sales.csv", "--target", "y", *SMALL).stdout
    with pytest.raises(ValueError, match="line 14: the date 2004-01-01 is not later|irregular"):
        load_csv(path, target="y", dayfirst=False)
        raise ValueError("irregular")


def test_an_unsorted_file_is_refused_with_its_line(table: Callable[[str], Path]) -> None:
    days = ["2024-01-01", "2024-01-02", "2024-01-04", "2024-01-03", "2024-01-05"]
    with pytest.raises(ValueError, match=r"line 5: .* is not later .* sort the file"):
        load_csv(table(rows(days, [1, 2, 3, 4, 5], head="day,y")), target="y")


def test_time_zones_survive(table: Callable[[str], Path], tmp_path: Path) -> None:
    written = [f"2024-01-01T0{k}:00+01:00" for k in range(8)]
    series = load_csv(table(rows(written, list(range(8)), head="when,y")), target="y")
    assert series.zone == "UTC+01:00"
    assert series.index is not None and series.index[0] == np.datetime64("2024-01-01T01:00")
    assert call("run", "sales.csv", "--target", "y", *SMALL).exit_code == 0
    dates = pd.read_csv("memoa-out/sales/predictions.csv")["date"]
    assert dates.iloc[0] == "2024-01-01 02:00:00+01:00"
    assert dates.iloc[-1] == "2024-01-01 08:00:00+01:00"  # the step nobody has seen
    hours = pd.date_range("2024-03-30 12:00", periods=24, freq="h", tz="Europe/Paris")
    pd.DataFrame({"when": hours, "y": range(24)}).to_parquet("paris.parquet")
    paris = load_csv("paris.parquet", target="y")
    assert paris.zone == "Europe/Paris" and not paris.notes
    assert copy.deepcopy(paris).zone == pickle.loads(pickle.dumps(paris)).zone == paris.zone


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (pd.date_range("2020-01-31", periods=20, freq="ME"), None),
        (pd.date_range("2020-01-31", periods=9, freq="QE"), None),
        (pd.date_range("2020-01-31", periods=5, freq="YE"), None),
        (pd.bdate_range("2020-01-01", periods=20), None),
        (pd.date_range("2020-01-01", periods=20, freq="7min"), None),
        (
            pd.date_range("2020-01-01", periods=20).delete([4, 5, 11]),
            "2 of 16 steps are not the usual 1 day; the longest is 3 days, "
            "from 2020-01-04 to 2020-01-07",
        ),
        (
            pd.date_range("2020-01-01", periods=9, freq="h").delete([4]),
            "1 of 7 steps is not the usual 1 hour; the longest is 2 hours, "
            "from 2020-01-01T03:00 to 2020-01-01T05:00",
        ),
    ],
)
def test_irregular_spacing_is_reported(dates: pd.DatetimeIndex, expected: str | None) -> None:
    assert spacing(dates.to_numpy()) == expected


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (pd.date_range("2020-01-31", periods=4, freq="ME"), "2020-05-31"),
        (pd.date_range("2020-01-01", periods=3, freq="MS"), "2020-04-01"),
        (pd.bdate_range("2020-01-06", periods=10), "2020-01-20"),
        (pd.bdate_range("2020-01-06", periods=10).delete(3), "2020-01-20"),  # a holiday
        (pd.date_range("2020-01-01", periods=2, freq="h"), "2020-01-01T02"),
        (pd.date_range("2020-01-01", periods=9, freq="h").delete(4), "2020-01-01T09"),
        (pd.date_range("2019-12-01", periods=5, freq="MS").delete(2), "2020-05-01"),
    ],
)
def test_the_next_date(dates: pd.DatetimeIndex, expected: str) -> None:
    assert next_date(dates.to_numpy()) == np.datetime64(expected)
    assert next_date(dates.to_numpy()[:1]) is None


# ---------------------------------------------------------------- the next step, and the score


def test_the_next_step_is_that_of_predict_one() -> None:
    series = memoa.datasets.logistic_map(60)
    ensemble, twin = (memoa.OnlineEnsemble(8) for _ in range(2))
    X = np.vstack([series.X, series.Y[-1:]])
    run = ensemble.run(X, series.Y, initial=series.initial)
    plain = twin.run(series.X, series.Y, initial=series.initial)
    np.testing.assert_array_equal(run.predictions, plain.predictions)
    assert plain.next is None
    np.testing.assert_array_equal(run.next, twin.predict_one(series.Y[-1]))
    np.testing.assert_array_equal(run.next, ensemble.predict_one(series.Y[-1]))  # no trace
    with pytest.raises(ValueError, match=r"X holds inf at \[60, 0\]"):
        twin.run(np.vstack([series.X, [[np.inf]]]), series.Y)


@pytest.mark.parametrize("warmup", [1, 7, 20])
def test_a_warm_up_is_learnt_and_not_scored(warmup: int) -> None:
    series = memoa.datasets.concept_drift(60)
    told: list[tuple[int, int]] = []
    one, two, three = (memoa.OnlineEnsemble(8) for _ in range(3))
    whole = one.run(series.X, series.Y, initial=series.initial, record=range(8))
    run = two.run(
        series.X,
        series.Y,
        initial=series.initial,
        record=[0, 5],
        warmup=warmup,
        progress=lambda done, total: told.append((done, total)),
    )
    np.testing.assert_array_equal(run.predictions, whole.predictions)
    np.testing.assert_array_equal(run.mean_field, whole.mean_field)
    np.testing.assert_array_equal(run.recorded, whole.recorded[:, [0, 5]])
    errors = whole.recorded - series.Y[:, None]
    later = errors[warmup:]
    np.testing.assert_allclose(run.agent_rmse, np.sqrt(np.mean(later**2, axis=(0, 2))), rtol=1e-12)
    assert not run.worst_cost[:warmup].any()
    np.testing.assert_allclose(run.regret, np.max(np.sum(later**2, axis=(0, 2))), rtol=1e-12)
    assert run.unscored == warmup and f"({60 - warmup} scored)" in run.summary()
    assert told == sorted(told) and told[-1] == (60, 60)
    changes = np.diff(series.Y, axis=0, prepend=series.initial[None])[warmup:]
    misses = (whole.predictions - series.Y)[warmup:]
    for o, of in enumerate(run.per_output):
        mae = np.abs(misses[:, o]).mean()
        expected = np.sqrt(np.mean(misses[:, o] ** 2)), mae, mae / np.abs(changes[:, o]).mean()
        np.testing.assert_allclose(of, expected, rtol=1e-12)
    found = memoa.compare(
        series, {"run": lambda: memoa.OnlineEnsemble(8), "steps": lambda: Steps()}, warmup=warmup
    )
    for (score,) in found.scores.values():
        np.testing.assert_allclose(score.server_rmse, run.server_rmse, rtol=1e-12)
        np.testing.assert_allclose(score.worst_agent_rmse, run.worst_agent_rmse, rtol=1e-9)
        np.testing.assert_allclose(score.server_mase, run.server_mase, rtol=1e-12)
    expected = [of.rmse for of in run.per_output]
    np.testing.assert_allclose(found.per_target("steps"), expected, rtol=1e-12)
    with pytest.raises(ValueError, match="warmup is 60; expected fewer than the 60 steps"):
        three.run(series.X, series.Y, warmup=60)


class Steps:
    """An ensemble that `compare` has to take step by step."""

    def __init__(self) -> None:
        self.inner = memoa.OnlineEnsemble(8)
        self.predict_one, self.learn_one = self.inner.predict_one, self.inner.learn_one
        self.observe = self.inner.observe

    @property
    def agent_rmse(self) -> np.ndarray:
        return self.inner.agent_rmse


def test_the_command_line_scores_after_the_warm_up(table: Callable[[str], Path]) -> None:
    rng = np.random.default_rng(0)
    text = rows(list(rng.normal(size=40)), list(rng.normal(size=40)), head="a,b")
    series = load_csv(table(text), target=["a", "b"])
    features = memoa.RandomFeatures(3, "wave", n_raw=2, n_columns=2)
    run = memoa.OnlineEnsemble(4, features).run(
        series.X, series.Y, initial=series.initial, warmup=10
    )
    found = call("run", "sales.csv", "--target", "a,b", "--warmup", "10", *SMALL)
    assert found.exit_code == 0, found.output
    assert "server RMSE of" in found.stdout and "MASE" in found.stdout
    kept = json.loads(Path("memoa-out/sales/settings.json").read_text())
    assert kept["rmse"]["memoa"]["server"] == pytest.approx(run.server_rmse, rel=1e-12)
    assert kept["absolute"]["memoa"]["mase"] == pytest.approx(run.server_mase, rel=1e-12)
    assert kept["per_target"]["memoa"]["b"] == pytest.approx(run.per_output[1].rmse, rel=1e-12)
    assert kept["series"]["warmup"] == 10
    table_of_all = call(
        "compare", "sales.csv", "--target", "a,b", "--seeds", "1", "--warmup", "10"
    ).stdout
    assert "server RMSE of" in table_of_all and "MASE" in table_of_all
