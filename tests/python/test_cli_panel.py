"""The command ``memoa panel``, its files and its picture, and ``memoa verify --panel``."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import memoa
from memoa import datasets
from memoa.cli.app import app
from memoa.forecasters.panel_comparison import ALONE, PANEL, compare_panel
from memoa.forecasters.panel_rivals import RIVALS
from memoa.plots.panel import by_history, joined_late
from memoa.verify import verify_panel


def invoke(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def small_frame():
    series = datasets.similar_households(6, 80)
    return series.to_frame().rename(columns={"unique_id": "house", "ds": "hour", "y": "load"})


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_a_file_of_ones_own(tmp_path, format):
    frame = small_frame()
    frame.to_csv(tmp_path / "loads.csv", index=False)
    result = invoke(
        "panel",
        tmp_path / "loads.csv",
        "--id",
        "house",
        "--time",
        "hour",
        "--target",
        "load",
        "--season",
        24,
        "--lags",
        2,
        "--out",
        tmp_path / "out",
        "--format",
        format,
    )
    assert result.exit_code == 0, result.output
    for word in ("6 clients", "mean client", "worst client", "better than alone", *RIVALS):
        assert word in result.output
    read = pd.read_csv if format == "csv" else pd.read_parquet
    forecasts = read(tmp_path / "out" / f"forecasts.{format}")
    assert list(forecasts.columns[:4]) == ["house", "hour", "load", "panel"]
    assert len(forecasts) == len(frame)  # without the first step, with the next one
    assert forecasts["load"].isna().sum() == 6
    clients = pd.read_csv(tmp_path / "out" / "clients.csv")
    assert list(clients.columns) == ["house", PANEL, *RIVALS]
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["season"] == 24 and settings["pooling"] == 10.0
    assert (tmp_path / "out" / "panel.png").stat().st_size > 10_000


def test_a_generated_panel_and_refusals(tmp_path):
    result = invoke("panel", "walks", "--out", tmp_path, "--threads", 1)
    assert result.exit_code == 0, result.output
    for arguments, message in [
        (["panel", "walks", "--season", "4"], "--season has no meaning for walks"),
        (["panel", "none.csv"], "none.csv: there is no such file"),
        (["panel", "none"], "none: expected a file, or one of common-factor"),
        (["panel", "walks", "--ridge", "0"], "ridge is 0"),
    ]:
        result = invoke(*arguments)
        assert result.exit_code == 2
        assert message in result.output


def test_the_comparison_adds_up():
    series = datasets.late_joiners(20, 120)
    found = compare_panel(series)
    assert next(iter(found.runs)) == PANEL
    assert found.mean("repeat last value") == pytest.approx(1.0)
    assert found.worst("repeat last value") == pytest.approx(1.0)
    gains = found.errors[PANEL] < found.errors[ALONE]
    assert found.better_than_alone(PANEL) == gains[~np.isnan(found.errors[PANEL])].mean()
    frame = found.to_frame()
    assert len(frame) == int((~np.isnan(series.Y)).sum())
    history, ratio = by_history(found)
    assert (np.diff(history) > 0).all() and (ratio > 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_pooling_pays_where_a_history_is_short_and_the_crowds_is_long(seed):
    """Clients that begin together find a crowd that knows as little as they do."""
    found = compare_panel(datasets.late_joiners(random_state=seed))
    late = joined_late(found.series)
    assert late.sum() == 15
    _, early = by_history(found, ~late)
    history, ratio = by_history(found, late)
    assert ratio[history < 30].max() < 0.95
    assert ratio[history < 30].mean() < early[:5].mean() - 0.05
    assert ratio[0] < ratio[-1]


def test_rivals_do_not_look_ahead():
    series = datasets.similar_households(5, 60)
    changed = series.Y.copy()
    changed[40:] += 100.0
    other = datasets.PanelSeries(series.X, changed, series.initial, series.ids, series.times)
    for name, rival in RIVALS.items():
        mine, theirs = rival(series, 1), rival(other, 1)
        np.testing.assert_array_equal(mine[:41], theirs[:41], err_msg=name)
        assert not np.array_equal(mine[42:], theirs[42:])


def test_a_panel_with_several_outputs_is_refused():
    series = datasets.random_walks(3, 30)
    twice = np.concatenate([series.Y, series.Y], axis=2)
    start = np.concatenate([series.initial, series.initial], axis=1)
    several = datasets.PanelSeries(series.X, twice, start, series.ids, series.times)
    with pytest.raises(ValueError, match="series has 2 outputs; expected 1"):
        compare_panel(several)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_panels_theorems_hold(seed):
    for check in verify_panel(seed):
        assert check.passed, check


def test_the_panels_theorems_on_the_command_line():
    result = invoke("verify", "--panel", "--random", 3)
    assert result.exit_code == 0, result.output
    assert result.output.count("pass") == len(verify_panel(3))
    assert invoke("verify", "--panel", "--threads", 1).exit_code == 2


def test_intervals_of_every_client_and_the_next_step(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=400)
    rows = [
        (f"c{i}", day, (i + 1) * value + 10 * i)
        for i in range(6)
        for day, value in zip(days, rng.normal(size=400).cumsum())
        if not (i == 5 and day.year > 2024)
    ]
    pd.DataFrame(rows, columns=["unique_id", "ds", "y"]).to_csv("long.csv", index=False)
    series = datasets.load_long("long.csv")
    found = compare_panel(series)
    run = found.runs[PANEL]
    bounds, shares = run.prediction_intervals((0.8,)), run.coverage((0.8,))
    assert bounds.shape == (399, 1, 2, 6, 1) and shares.shape == (1, 6)
    np.testing.assert_allclose(shares[0], 0.8, atol=0.02)
    alone = memoa.Intervals((0.8,)).run(run.predictions[:, 2], run.targets[:, 2])
    np.testing.assert_array_equal(bounds[:, :, :, 2], alone)
    frame = found.to_frame()
    following = frame[frame["ds"] == pd.Timestamp("2025-02-04")]
    assert following["unique_id"].tolist() == [f"c{i}" for i in range(5)]  # one has ended
    assert following["y"].isna().all() and following["panel"].notna().all()
    inside = (frame["panel_low_95"] <= frame["panel_low_80"])[10:390]
    assert inside.all()
    result = invoke("panel", "long.csv")
    assert result.exit_code == 0, result.output
    assert "for the worst client" in result.output
    assert len(pd.read_csv("memoa-out/long-panel/forecasts.csv")) == len(frame)


def test_a_file_is_read_as_it_is_written(tmp_path):
    """The options of reading are those of `memoa run`."""
    rows = [
        f"{c};{d:02d}/{m:02d}/2020;{d},{m}{'%' * (c == 'a')}"
        for c in "ab"
        for m in (1, 2, 3)
        for d in (1, 2, 3, 14)
    ]
    path = tmp_path / "long.csv"
    path.write_text("\n".join(["unique_id;ds;y", *rows]))
    words = ("panel", path, "--sep", ";", "--decimal", ",", "--percent", "--dayfirst")
    result = invoke(*words, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    of_a = pd.read_csv(tmp_path / "out" / "forecasts.csv").query("unique_id == 'a'")
    assert of_a.ds.iloc[0] == "2020-01-02"
    assert of_a.y.iloc[0] == 2.1
    result = invoke("panel", next(iter(datasets.PANELS)), "--sep", ";")
    assert result.exit_code != 0
    assert "--sep has no meaning for" in str(result.output) + str(result.exception)
