"""The picture of a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.image import imread

import memoa
from memoa.datasets import Series
from memoa.plots import best_and_worst, plot_run, repeat_cost
from memoa.plots.style import COLOURS, MAX_POINTS


def walk(n_steps: int, n_outputs: int = 1, *, dates: bool = False) -> Series:
    Y = np.random.default_rng(5).normal(size=(n_steps + 1, n_outputs)).cumsum(axis=0)
    names = tuple(f"y{k}" for k in range(n_outputs))
    first = np.datetime64("2024-03-01")
    index = first + np.arange(n_steps) if dates else None
    return Series("walk", Y[:-1], Y[1:], Y[0], names, names, index)


def two_runs(series: Series, n_agents: int = 3) -> tuple[memoa.Run, memoa.Run]:
    def run(policy: str, record: list[int]) -> memoa.Run:
        ensemble = memoa.OnlineEnsemble(n_agents, memoa.RandomFeatures(4), policy=policy)
        return ensemble.run(series.X, series.Y, initial=series.initial, record=record)

    first = run("memoa", [])
    return run("memoa", [first.best_agent, first.worst_agent]), run("greedy", [])


def draw(series: Series, path: Path) -> Figure:
    return plot_run(series, *two_runs(series), path=path)


def share(image: np.ndarray, colour: str) -> float:
    """Share of the pixels of that colour."""
    return float(np.mean(np.all(np.abs(image[..., :3] - to_rgb(colour)) < 0.02, axis=-1)))


def test_picture_shows_everything(tmp_path: Path) -> None:
    path = tmp_path / "plot.png"
    draw(walk(150), path)
    image = imread(path)
    assert image.shape[:2] == (1080, 1500)
    assert 0.7 < share(image, "white") < 0.98
    for colour in COLOURS.values():
        assert share(image, colour) > 2e-4


@pytest.mark.parametrize(
    ("n_steps", "n_outputs", "panels"), [(30, 1, 3), (30, 3, 5), (30, 6, 6), (601, 2, 6)]
)
def test_panels(n_steps: int, n_outputs: int, panels: int, tmp_path: Path) -> None:
    figure = draw(walk(n_steps, n_outputs), tmp_path / "plot.png")
    assert len(figure.axes) == panels
    assert figure.axes[0].get_ylabel() == "y0"
    if n_outputs > 4:
        assert "the first 4 of 6 outputs" in figure.get_suptitle()


def test_lines_are_the_numbers(tmp_path: Path) -> None:
    series = walk(80)
    memoa_run, greedy_run = two_runs(series)
    figure = plot_run(series, memoa_run, greedy_run, path=tmp_path / "plot.png")
    forecasts, errors, costs = figure.axes
    target, server = (line.get_ydata() for line in forecasts.lines)
    np.testing.assert_array_equal(target, series.Y[:, 0])
    np.testing.assert_array_equal(server, memoa_run.predictions[:, 0])
    squares = np.square(memoa_run.predictions - series.Y)[:, 0]
    recent = [np.sqrt(squares[k : k + 20].mean()) for k in range(61)]
    (drawn,) = (line.get_ydata() for line in errors.lines if line.get_label() == "server")
    np.testing.assert_allclose(drawn, recent, rtol=1e-6)
    drawn = [line.get_ydata() for line in costs.lines]
    np.testing.assert_array_equal(drawn[0], memoa_run.worst_cost)
    np.testing.assert_array_equal(drawn[1], greedy_run.worst_cost)
    np.testing.assert_array_equal(drawn[2], repeat_cost(memoa_run))
    labels = [text.get_text() for text in costs.get_legend().get_texts()]
    assert [label.split(":")[0] for label in labels] == ["memoa", "greedy", "repeat the last value"]


def test_legends_stay_off_the_data(tmp_path: Path) -> None:
    figure = draw(walk(700, 2), tmp_path / "plot.png")
    for axes in figure.axes:
        legend = axes.get_legend()
        if legend is not None:
            assert legend.get_window_extent().y0 >= axes.get_window_extent().y1 - 1.0


def test_dates_make_a_date_axis(tmp_path: Path) -> None:
    dated = draw(walk(60, dates=True), tmp_path / "dates.png")
    assert all(
        isinstance(axes.xaxis.get_major_formatter(), ConciseDateFormatter) for axes in dated.axes
    )
    steps = draw(walk(60), tmp_path / "steps.png")
    assert [axes.get_xlabel() for axes in steps.axes] == ["step"] * 3


def test_long_lines_are_thinned_but_keep_their_peaks(tmp_path: Path) -> None:
    series = walk(9001)
    figure = draw(series, tmp_path / "plot.png")
    for axes in figure.axes:
        assert all(len(line.get_ydata()) <= MAX_POINTS for line in axes.lines)
    (envelope,) = figure.axes[0].collections
    drawn = envelope.get_paths()[0].vertices[:, 1]
    assert (drawn.min(), drawn.max()) == (series.Y.min(), series.Y.max())


def test_intervals_are_drawn_around_the_forecast(tmp_path: Path) -> None:
    series = walk(80)
    ensemble = memoa.OnlineEnsemble(3, memoa.RandomFeatures(4), intervals=(0.5, 0.9))
    run = ensemble.run(series.X, series.Y, initial=series.initial, record=range(3))
    forecasts = plot_run(series, run, None, path=tmp_path / "plot.png").axes[0]
    labels = [text.get_text() for text in forecasts.get_legend().get_texts()]
    assert labels == ["series", "server forecast", "90% interval", "50% interval"]
    assert run.prediction_intervals is not None
    for band, level in zip(forecasts.collections, (1, 0)):
        drawn = band.get_paths()[0].vertices[:, 1]
        for bound in run.prediction_intervals[1:, level, :, 0].ravel():
            assert np.isclose(drawn, bound).any()


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0, 1.0], [0.0, 1.0], [0.0, 1e9, 0.0, 0.0]])
def test_odd_series_are_drawn_without_warnings(
    values: list[float], tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    Y = np.array(values)[:, None]
    draw(Series("odd $", Y[:-1], Y[1:], Y[0], ("a$b$",), ("c_$d$",)), tmp_path / "plot.png")
    assert not recwarn.list


def test_run_without_its_two_agents_is_refused(tmp_path: Path) -> None:
    series = walk(20)
    recorded, bare = two_runs(series)
    with pytest.raises(ValueError, match=r"the greedy run has not recorded agent \d; expected "):
        plot_run(series, recorded, bare, path=tmp_path / "plot.png", policy="greedy")


def test_best_and_worst_are_found_in_any_record() -> None:
    series = walk(20)
    ensemble = memoa.OnlineEnsemble(4, memoa.RandomFeatures(4))
    run = ensemble.run(series.X, series.Y, initial=series.initial, record=[3, 1, 0, 2])
    for agent, expected in zip(best_and_worst(run), (run.best_agent_rmse, run.worst_agent_rmse)):
        assert np.sqrt(np.mean((agent - series.Y) ** 2)) == pytest.approx(expected, rel=1e-12)


def test_repeat_cost_is_the_sum_of_squared_changes() -> None:
    series = walk(25, 2)
    run, _ = two_runs(series)
    last, total, expected = series.initial, 0.0, []
    for y in series.Y:
        total += float(sum((y - last) ** 2))
        expected.append(total)
        last = y
    np.testing.assert_allclose(repeat_cost(run), expected, rtol=1e-12)
    assert np.sqrt(expected[-1] / series.Y.size) == pytest.approx(run.repeat_last_rmse, rel=1e-12)


def test_pyplot_is_not_touched() -> None:
    code = "import sys, memoa.plots; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
