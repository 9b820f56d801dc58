"""``memoa run --save`` and ``--resume``: a series in two parts is one series."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import memoa
from memoa.cli.app import app

VALUES = np.cumsum(np.random.default_rng(3).normal(size=80)).round(3)


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # two lags: the first row of the second file that is forecast is row 50 of the whole
    for name, part in (("whole", VALUES), ("first", VALUES[:50]), ("second", VALUES[48:])):
        Path(f"{name}.csv").write_text("y\n" + "".join(f"{v}\n" for v in part))


def call(name: str, *args: str) -> Result:
    return CliRunner().invoke(
        app, ["run", f"{name}.csv", "--target", "y", "--out", name, *args], prog_name="memoa"
    )


def forecasts(folder: str) -> list[str]:
    with Path(folder, "predictions.csv").open(newline="", encoding="utf-8") as file:
        return [row["y_server"] for row in csv.DictReader(file)][:-1]  # without the next step


@pytest.mark.parametrize("policy", ["memoa", "greedy"])
def test_two_parts_are_one_series(policy: str) -> None:
    settings = ("--agents", "5", "--policy", policy)
    whole = call("whole", *settings)
    first = call("first", *settings, "--save", "state.npz")
    second = call("second", "--resume", "state.npz", "--save", "again.npz")
    for result in (whole, first, second):
        assert result.exit_code == 0, result.output
    assert forecasts("first") + forecasts("second") == forecasts("whole")
    assert "--resume state.npz" in first.stdout
    assert ("greedy" in second.stdout) == (policy == "greedy")
    assert memoa.OnlineEnsemble.load("again.npz").n_agents == 5


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--resume", "none.npz"), "none.npz"),
        (("--resume", "first.csv"), "first.csv: not a memoa state file"),
        (("--resume", "state.npz", "--agents", "7"), "--agents has no meaning with --resume"),
        (("--save", "state.npz"), "state.npz exists already; --force overwrites it"),
        (("--save", "first.csv/state.npz"), "first.csv"),
        (("--resume", "wide.npz"), "features"),
    ],
)
def test_errors_are_one_line(args: tuple[str, ...], words: str) -> None:
    series = memoa.datasets.load_csv("first.csv", target="y")
    model = memoa.OnlineEnsemble(3)
    model.run(series.X, series.Y)
    model.save("state.npz")
    model = memoa.OnlineEnsemble(3)
    model.run(np.zeros((4, 7)), np.zeros(4))
    model.save("wide.npz")
    result = call("second", *args)
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    assert words in result.stderr
