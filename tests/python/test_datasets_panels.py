"""Panels: long tables in, inputs against the slow twin, the study's numbers."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference_panel as ref
from memoa import datasets

PANEL_FILES = Path(__file__).resolve().parents[3] / "shared" / "data" / "panels"
needs_panels = pytest.mark.skipif(
    not PANEL_FILES.exists(), reason=f"the panels of the study are not in {PANEL_FILES}"
)


def frame_of(y, start="2000-01-01"):
    """A long frame of y (T, N), rows without a value left out."""
    steps, clients = np.nonzero(~np.isnan(y))
    return pd.DataFrame(
        {
            "unique_id": [f"c{i:02}" for i in clients],
            "ds": pd.date_range(start, periods=len(y), freq="MS")[steps],
            "y": y[steps, clients],
        }
    )


def assert_same_panel(found, wanted):
    np.testing.assert_array_equal(found.X, wanted.X)
    np.testing.assert_array_equal(found.Y, wanted.Y)
    np.testing.assert_array_equal(found.ids, wanted.ids)
    np.testing.assert_array_equal(
        found.times.astype("datetime64[ns]"), wanted.times.astype("datetime64[ns]")
    )


def random_values(seed=0, n_steps=40, n_clients=5):
    rng = np.random.default_rng(seed)
    y = np.cumsum(rng.normal(size=(n_steps, n_clients)), axis=0)
    y[:7, 1] = y[33:, 2] = np.nan  # begins late, ends early
    y[rng.random(y.shape) < 0.1] = np.nan
    return y


@given(seed=st.integers(0, 2**32 - 1), season=st.integers(2, 13), lags=st.integers(1, 6))
@settings(deadline=None, max_examples=25)
def test_inputs_are_those_of_the_slow_twin(seed, season, lags):
    y = random_values(seed)
    series = datasets.load_long(frame_of(y), lags=lags, season=season)
    for i in range(y.shape[1]):
        wanted = ref.series_inputs(y[:, i], lags, season)
        smooth = ref.seasonal_inputs(y[:, i], season)
        np.testing.assert_allclose(series.X[:, i, : lags + 3], wanted[:-1], rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(series.X[:, i, lags + 3 :], smooth[:-1], rtol=1e-10, atol=1e-10)
        alone = datasets.seasonal_inputs(y[:, i], season)
        np.testing.assert_allclose(alone, smooth, rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(series.Y[:, :, 0], y[1:])
    np.testing.assert_array_equal(series.initial[:, 0], y[0])


def test_inputs_do_not_look_ahead():
    y = random_values()
    early = datasets.load_long(frame_of(y), season=4)
    y[25:] += 100.0
    late = datasets.load_long(frame_of(y), season=4)
    np.testing.assert_array_equal(early.X[:24], late.X[:24])
    assert not np.array_equal(early.X[25:], late.X[25:])


def test_order_files_and_frames_make_no_difference(tmp_path):
    y = random_values()
    frame = frame_of(y)
    wanted = datasets.load_long(frame, season=12)
    assert wanted.times.dtype.kind == "M"
    assert list(wanted.ids) == ["c00", "c01", "c02", "c03", "c04"]
    frame.to_csv(tmp_path / "panel.csv", index=False)
    frame.to_parquet(tmp_path / "panel.parquet")
    (tmp_path / "panel.csv.gz").write_bytes(gzip.compress((tmp_path / "panel.csv").read_bytes()))
    others = [
        frame.sample(frac=1.0, random_state=3),
        frame.assign(ds=frame.ds.dt.strftime("%d %b %Y")),
        frame.assign(ds=frame.ds.dt.tz_localize("UTC")),
        frame.assign(unique_id=frame.unique_id.astype("category")),
        frame.astype({"y": "Float64"}),
        tmp_path / "panel.csv",
        str(tmp_path / "panel.parquet"),
        tmp_path / "panel.csv.gz",
    ]
    for data in others:
        assert_same_panel(datasets.load_long(data, season=12), wanted)


def test_polars_frames_read_as_those_of_pandas_do():
    pl = pytest.importorskip("polars", reason="polars is not installed: the extra `dev` has it")
    frame = frame_of(random_values())
    wanted = datasets.load_long(frame, season=12)
    for data in (pl.from_pandas(frame), pl.from_pandas(frame.assign(ds=frame.ds.dt.date))):
        assert_same_panel(datasets.load_long(data, season=12), wanted)


def test_columns_may_have_other_names_and_numbers_may_be_times():
    frame = pd.DataFrame({"shop": [7, 3] * 5, "week": np.repeat(range(5), 2), "sold": range(10)})
    series = datasets.load_long(frame, id="shop", time="week", target="sold", lags=1)
    assert list(series.ids) == [3, 7]
    np.testing.assert_array_equal(series.times, [1, 2, 3, 4])
    back = series.to_frame(forecast=series.Y + 0.5)
    assert list(back.columns) == ["shop", "week", "sold", "forecast"]
    np.testing.assert_array_equal(back["sold"] + 0.5, back["forecast"])
    merged = frame.merge(back, on=["shop", "week"])
    assert len(merged) == 8
    np.testing.assert_array_equal(merged["sold_x"], merged["sold_y"])


def test_awake_is_from_the_first_value_to_the_last():
    y = random_values()
    series = datasets.load_long(frame_of(y))
    for i in range(5):
        seen = np.flatnonzero(~np.isnan(y[:, i]))
        wanted = [seen[0] <= t <= seen[-1] for t in range(1, len(y))]
        np.testing.assert_array_equal(series.awake[:, i], wanted)


def test_a_logarithm_is_taken_first():
    frame = frame_of(np.exp(random_values()))
    logged = datasets.load_long(frame.assign(y=np.log(frame["y"])))
    np.testing.assert_allclose(datasets.load_long(frame, log=True).X, logged.X, rtol=1e-12)
    frame.loc[3, "y"] = 0.0
    with pytest.raises(ValueError, match=r"column 'y', row 4: '0.0' is not a positive number"):
        datasets.load_long(frame, log=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.rename(columns={"y": "z"}), r"no column 'y'; the columns are 'unique_id', 'd"),
        (lambda f: pd.concat([f, f[5:6]]), r"client c00 has the time 2000-02-01.* twice"),
        (lambda f: f.assign(y=np.inf), r"column 'y', row 1: 'inf' is not a finite number"),
        (lambda f: f.assign(y="many"), r"column 'y', row 1: 'many' is not a finite number"),
        (lambda f: f.assign(ds="soon"), r"column 'ds', row 1: 'soon' is neither a date nor"),
        (lambda f: f.assign(unique_id=None), r"column 'unique_id', row 1: the client is empty"),
        (lambda f: f[f.ds < "2000-03-01"], r"2 times; expected at least 3"),
        (lambda f: f.assign(y=f.y.where(f.unique_id != "c03")), r"client c03 has no value"),
    ],
)
def test_a_bad_table_is_told_by_name(change, message):
    y = random_values()
    y[0] = y[1] = 1.0
    with pytest.raises(ValueError, match=message):
        datasets.load_long(change(frame_of(y)))


def test_other_refusals(tmp_path):
    frame = frame_of(random_values())
    with pytest.raises(TypeError, match="data is of type int; expected a path or a frame"):
        datasets.load_long(3)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        datasets.load_long(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="lags is 0"):
        datasets.load_long(frame, lags=0)
    with pytest.raises(ValueError, match="season is 1"):
        datasets.load_long(frame, season=1)
    with pytest.raises(ValueError, match="40 times; expected at least 62"):
        datasets.load_long(frame, season=60)
    (tmp_path / "bad.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(ValueError, match="not a file that gzip can read"):
        datasets.load_long(tmp_path / "bad.csv.gz")
    with pytest.raises(ValueError, match=r"y has shape \(2, 2, 2\)"):
        datasets.seasonal_inputs(np.zeros((2, 2, 2)), 3)
    with pytest.raises(ValueError, match="y holds infinite values"):
        datasets.seasonal_inputs([1.0, np.inf], 3)


def test_a_panel_checks_its_arrays():
    series = datasets.random_walks(3, 10)
    with pytest.raises(ValueError, match=r"Y has shape \(9, 3, 1\)"):
        datasets.PanelSeries(series.X, series.Y[1:], series.initial, series.ids, series.times)
    with pytest.raises(ValueError, match="X holds values that are not finite"):
        datasets.PanelSeries(series.X * np.nan, series.Y, series.initial, series.ids, series.times)
    with pytest.raises(ValueError, match="read-only"):
        series.X[0] = 1.0


@pytest.mark.parametrize("name", datasets.PANELS)
def test_generated_panels(name):
    make = datasets.PANELS[name]
    series, again = make(), make()
    np.testing.assert_array_equal(series.Y, again.Y)
    assert not np.array_equal(make(random_state=1).Y, series.Y)
    small = make(7, 60)
    assert small.Y.shape == (60, 7, 1)
    late = np.isnan(series.initial).mean()
    assert late == pytest.approx(0.3 if name == "late-joiners" else 0.0)


@needs_panels
@pytest.mark.parametrize(
    ("file", "mean", "worst"),
    [("texas_home_sales.csv", 0.784, 0.919), ("texas_home_prices.csv", 0.848, 0.969)],
)
def test_the_studys_numbers_by_the_slow_twin(file, mean, worst):
    series = datasets.load_long(PANEL_FILES / file, season=12, holt_winters=False, log=True)
    forecasts = ref.Panel(46).run(series.X, series.Y, initial=series.initial, awake=series.awake)
    errors = ref.relative_errors(forecasts, series.Y, series.initial)
    assert errors.mean() == pytest.approx(mean, abs=6e-4)
    assert errors.max() == pytest.approx(worst, abs=6e-4)
