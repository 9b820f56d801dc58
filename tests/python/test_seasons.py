"""Seasons and the calendar as inputs: nothing looks ahead, and dates choose the season."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import memoa
from memoa import datasets
from memoa.datasets import calendar_inputs, load_csv, seasonal_inputs
from memoa.datasets.seasons import season_of


@pytest.mark.parametrize(
    ("frequency", "season"),
    [
        ("h", 24),
        ("30min", 48),
        ("D", 7),
        ("B", 7),
        ("W", 52),
        ("MS", 12),
        ("ME", 12),
        ("QE", 4),
        ("YE", None),
        ("7D", 52),
        ("3D", None),
        ("min", 60),
    ],
)
def test_dates_choose_the_season(frequency: str, season: int | None) -> None:
    assert season_of(pd.date_range("2020-01-01", periods=40, freq=frequency).to_numpy()) == season


def write(path: Path, n: int = 60, freq: str = "MS") -> np.ndarray:
    rng = np.random.default_rng(0)
    y = 10 * np.sin(2 * np.pi * np.arange(n) / 12) + rng.normal(size=n).cumsum()
    days = pd.date_range("2015-01-01", periods=n, freq=freq)
    pd.DataFrame({"day": days, "y": y}).to_csv(path, index=False)
    return y


def test_a_season_adds_what_is_known(tmp_path: Path) -> None:
    y = write(tmp_path / "a.csv")
    series = load_csv(tmp_path / "a.csv", target="y", season="auto")
    assert (series.lags, series.season, series.notes) == (2, 12, ())
    assert series.columns[:4] == (
        "y: Holt-Winters increment",
        "y: seasonal index change",
        "y: mean seasonal increment",
        "y: seasonal gap",
    )
    np.testing.assert_array_equal(series.X[:, :3], seasonal_inputs(y, 12)[1:-1])
    np.testing.assert_allclose(series.X[15, 3], y[16 - 11] - y[16])
    assert not series.X[:10, 3].any()
    for known in (30, 45):  # nothing looks ahead
        frame = pd.read_csv(tmp_path / "a.csv").head(known)
        frame.to_csv(tmp_path / "b.csv", index=False)
        part = load_csv(tmp_path / "b.csv", target="y", season=12)
        np.testing.assert_array_equal(part.X, series.X[: len(part.X)])
        np.testing.assert_array_equal(part.next_x, series.X[len(part.X)])
    plain = load_csv(tmp_path / "a.csv", target="y")
    errors = [
        memoa.OnlineEnsemble().run(s.X, s.Y, initial=s.initial, warmup=24).server_rmse
        for s in (series, plain)
    ]
    assert errors[0] < errors[1]


def test_too_short_a_series_has_no_season_of_its_dates(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", 35)
    series = load_csv(tmp_path / "a.csv", target="y", season="auto")
    assert series.columns == ("y", "y lag 1") and series.season is None
    with pytest.raises(ValueError, match="season is 1"):
        load_csv(tmp_path / "a.csv", target="y", season=1)


def test_a_season_of_an_array() -> None:
    y = np.tile([0.0, 1.0, 3.0, 2.0, 7.0], 20)
    np.testing.assert_array_equal(seasonal_inputs(y, "auto"), seasonal_inputs(y, 5))
    walk = np.random.default_rng(0).normal(size=60).cumsum()
    assert not seasonal_inputs(walk, "auto").any()
    with pytest.raises(ValueError, match="season is 'auto', for one series; y has 2"):
        seasonal_inputs(np.zeros((9, 2)), "auto")


def test_the_calendar(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", 60, "h")
    series = load_csv(tmp_path / "a.csv", target="y", calendar=True)
    names = ("hour sin", "hour cos", "week sin", "week cos", "year sin", "year cos")
    assert series.columns[:6] == names
    hours = np.arange(2, 60) % 24  # of the targets
    np.testing.assert_allclose(series.X[:, 0], np.sin(2 * np.pi * hours / 24), atol=1e-12)
    assert series.next_x is not None
    np.testing.assert_allclose(series.next_x[1], np.cos(2 * np.pi * 12 / 24), atol=1e-12)
    monthly, found = calendar_inputs(np.arange("2020-01", "2021-01", dtype="M8[M]").astype("M8[D]"))
    assert found == ["year sin", "year cos"] and monthly.shape == (12, 2)
    utc = np.arange("2024-07-01T00", "2024-07-02T00", dtype="M8[h]")
    in_paris, _ = calendar_inputs(utc, "Europe/Paris")
    np.testing.assert_allclose(in_paris[0, 0], np.sin(2 * np.pi * 2 / 24), atol=1e-12)
    pd.DataFrame({"y": range(9)}).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(ValueError, match="calendar needs a column of dates, and there is none"):
        load_csv(tmp_path / "b.csv", target="y", calendar=True)
    with pytest.raises(TypeError, match="times has dtype int64"):
        datasets.calendar_inputs(np.arange(3))
