"""``memoa compare``: the table, the files, forecasters of one's own, and errors."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from typer.testing import CliRunner, Result

import memoa
from memoa import datasets
from memoa.cli import compare as command
from memoa.cli.app import app
from memoa.forecasters.standard import GREEDY, MEMOA, REPEAT, standard_forecasters
from memoa.plots.comparison import plot_comparison
from memoa.plots.style import COLOURS

OWN = """
class Zero:
    def predict_one(self, x):
        return 0.0
    def learn_one(self, x, y):
        pass

def wrong():
    return 3
"""


@pytest.fixture(autouse=True)
def _few_rows_in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_forecaster.py").write_text(OWN)
    Path("sales.csv").write_text(
        "day,units\n"
        + "".join(
            f"2024-01-{day:02d},{value}\n"
            for day, value in enumerate(np.random.default_rng(0).normal(size=30).round(3), start=1)
        )
    )

    def few() -> dict:
        rows = standard_forecasters(n_agents=5)
        return {name: rows[name] for name in (MEMOA, GREEDY, REPEAT)}

    monkeypatch.setattr(command, "standard_forecasters", few)


def call(*args: str) -> Result:
    return CliRunner().invoke(app, ["compare", *args], prog_name="memoa")


def test_a_table_and_three_files_with_a_forecaster_of_ones_own() -> None:
    result = call(
        "sales.csv", "--target", "units", "--forecaster", "my_forecaster:Zero", "--seeds", "2"
    )
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    folder = Path("memoa-out/sales-compare")
    assert {p.name for p in folder.iterdir()} == {
        "comparison.csv",
        "comparison.png",
        "settings.json",
    }
    with (folder / "comparison.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["forecaster"] for line in lines] == [MEMOA] * 2 + [GREEDY] * 2 + [REPEAT, "Zero"]
    series = datasets.load_csv("sales.csv", target="units")
    zero = float(np.sqrt(np.mean(np.square(series.Y))))
    assert float(lines[-1]["server_rmse"]) == pytest.approx(zero, rel=1e-12)
    printed = next(line for line in result.stdout.splitlines() if line.strip().startswith("Zero"))
    assert f"{zero:#.4g}" in printed
    medians = {MEMOA: np.median([float(line["server_rmse"]) for line in lines[:2]])}
    for index, name in ((4, REPEAT), (5, "Zero")):
        medians[name] = float(lines[index]["server_rmse"])
    medians[GREEDY] = np.median([float(line["server_rmse"]) for line in lines[2:4]])
    lowest = min(medians, key=lambda name: medians[name])
    assert f"lowest server error: {lowest}" in result.stdout
    saved = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    assert saved["series"]["target"] == ["units"]
    assert (saved["seeds"], saved["forecasters"]) == (2, ["my_forecaster:Zero"])


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("logistic --forecaster my_forecaster", "expected package.module:factory"),
        ("logistic --forecaster nowhere:thing", "cannot be imported"),
        ("logistic --forecaster my_forecaster:wrong", "'wrong' is of type int, which has no"),
        (
            "logistic --forecaster my_forecaster:Zero --forecaster my_forecaster:Zero",
            "there is a row 'Zero' already",
        ),
        ("logistic --seeds 0", "--seeds"),
        ("logitsic", "did you mean logistic"),
        ("sales.csv", "--target"),
        ("logistic --lags 3", "--lags has no meaning for logistic"),
    ],
)
def test_errors_are_one_line(command: str, words: str) -> None:
    result = call(*command.split())
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    assert words in result.stderr


def test_what_was_left_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ImportError("no such package: pip install it")

    monkeypatch.setattr(
        command,
        "standard_forecasters",
        lambda: {"absent": missing, REPEAT: standard_forecasters()[REPEAT]},
    )
    result = call("periodic", "--seeds", "1")
    assert "absent: left out, no such package: pip install it" in result.stdout
    saved = json.loads(Path("memoa-out/periodic-compare/settings.json").read_text())
    assert saved["left out"] == {"absent": "no such package: pip install it"}


@pytest.mark.parametrize("dated", [False, True])
def test_the_picture_shows_every_forecaster(dated: bool, tmp_path: Path) -> None:
    series = datasets.load_csv("sales.csv", target="units") if dated else datasets.concept_drift(30)
    rows = command.standard_forecasters()
    rows["off the scale"] = partial(_Constant, 1e6, series.Y.shape[1])
    found = memoa.compare(series, rows)
    figure = plot_comparison(found, path=tmp_path / "picture.png")
    left, right, below = figure.axes
    labels = [text.get_text() for text in left.get_yticklabels()]
    assert labels == sorted(found.scores, key=lambda name: found.quantile(name, "server_rmse"))
    (far,) = (line for line in right.lines if line.get_label().startswith("off the scale: "))
    assert far.get_label().endswith("off the scale")
    assert len(far.get_xdata()) == 0
    (legend,) = [text.get_texts() for text in [below.get_legend()]]
    assert [one.get_text() for one in legend] == ["mixture", "agents", "season", "last value"]
    shares = found.shares[MEMOA]
    assert shares.shape == (len(series.Y), 4, series.Y.shape[1])
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=0.0, atol=1e-12)
    top = below.collections[-1].get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx(1.0)
    image = imread(tmp_path / "picture.png")[..., :3]
    for name in (MEMOA, GREEDY):
        assert np.mean(np.all(np.abs(image - to_rgb(COLOURS[name])) < 0.02, axis=-1)) > 1e-4


class _Constant:
    def __init__(self, value: float, width: int) -> None:
        self.value = np.full(width, value)

    def predict_one(self, x: np.ndarray) -> np.ndarray:
        return self.value

    def learn_one(self, x: np.ndarray, y: np.ndarray) -> None:
        pass
