"""``memoa verify``: what it prints and writes, and when it fails."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner, Result

import memoa
from memoa.cli import verify as command
from memoa.cli.app import app
from memoa.plots.verification import POLICY_COLOURS, plot_verification
from memoa.verify import measure, random_game, verify

FILES = {"verify.csv", "centralized.csv", "checks.json", "game.json", "verify.png"}
QUICK = {
    "sizes": (2, 10, 100, 1_000, 10_000),
    "simulate_up_to": 100,
    "centralized_seconds": 0.0,  # N = 2 alone: how far a patience reaches depends on the machine
    "monte_carlo_runs": 50,
}


@pytest.fixture(autouse=True)
def _quick_in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # Only time may differ by more than its bound on a busy machine: seconds count calls here.
    monkeypatch.setattr(measure, "_timed", lambda solve: 1e-3)
    monkeypatch.setattr(command, "verify", partial(verify, **QUICK))


def call(*args: str) -> Result:
    return CliRunner().invoke(app, ["verify", *args], prog_name="memoa")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_random_game_passes_and_five_files_are_written() -> None:
    result = call("--random", "3", "--threads", "1")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""  # no progress bar where nobody watches
    folder = Path("memoa-out/verify")
    assert {path.name for path in folder.iterdir()} == FILES
    assert result.stdout.count("pass") == 10
    assert "FAIL" not in result.stdout
    assert "price of anarchy of the game (1.2)" in " ".join(result.stdout.split())
    found = verify(random_game(3), random_state=3, **QUICK)
    written = rows(folder / "verify.csv")
    assert list(written[0]) == list(found.table)
    assert [row["n_agents"] for row in written] == ["2", "10", "100", "1000", "10000"]
    for name, column in found.table.items():
        read = [float(row[name] or "nan") for row in written]
        np.testing.assert_array_equal(read, column)
    report = json.loads((folder / "checks.json").read_text(encoding="utf-8"))
    assert report["passed"] is True
    assert [check["name"] for check in report["checks"]] == [c.name for c in found.checks]
    assert report["checks"][0]["measured"] == found.checks[0].measured
    saved = memoa.Game.load(folder / "game.json")
    np.testing.assert_array_equal(saved.target, random_game(3).target)
    stacked = rows(folder / "centralized.csv")
    assert stacked[0]["n_agents"] == "2"
    assert float(stacked[0]["difference"]) < 1e-10


def test_without_options_it_is_random_game_0() -> None:
    result = call("--out", "here")
    assert result.stdout.startswith("random game 0: horizon 6, 2 outputs, 4 features")
    np.testing.assert_array_equal(memoa.Game.load("here/game.json").drift, random_game(0).drift)


def test_a_game_from_a_file_without_coupling() -> None:
    memoa.Game([[1.0, 0.5]], [0.2, 0.2], [1.0], horizon=4).save("mine.json")
    result = call("--game", "mine.json", "--out", "here")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("mine.json: horizon 4, 1 output, 2 features")
    report = json.loads(Path("here/checks.json").read_text(encoding="utf-8"))
    assert report["slopes"]["gain_gap"] is None
    assert "nan" not in result.stdout


def test_a_failed_check_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    solve = measure.solve_nash
    monkeypatch.setattr(measure, "solve_nash", lambda game, n: solve(game, n + 1))
    result = call("--out", "here")
    assert result.exit_code == 1
    assert "FAIL" in result.stdout
    assert json.loads(Path("here/checks.json").read_text(encoding="utf-8"))["passed"] is False


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--game", "nowhere.json"), "nowhere.json: No such file"),
        (("--game", "bad.json"), "bad.json: unknown key 'couplign'"),
        (("--game", "bad.json", "--random", "1"), "cannot be combined"),
        (("--random", "-1"), "--random"),
        (("--threads", "0"), "--threads"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(args: tuple[str, ...], words: str) -> None:
    Path("bad.json").write_text('{"format": "memoa-game 1", "couplign": 1}', encoding="utf-8")
    result = call(*args)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("memoa: ")
    assert words in line
    assert not Path("memoa-out").exists()


def test_the_picture() -> None:
    found = verify(random_game(0), **QUICK)
    figure = plot_verification(found, path="verify.png")
    assert imread("verify.png").shape[:2] == (1140, 1500)
    rates, seconds, expected, worst = figure.axes
    for axes in figure.axes:
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    labels = [text.get_text() for text in rates.get_legend().get_texts()]
    assert labels[0] == f"gap of the gains: slope {found.slopes['gain_gap']:.3f}"
    assert len(seconds.lines) == 3
    for axes, kind in ((expected, "cost"), (worst, "worst")):
        for line, policy in zip(axes.lines, POLICY_COLOURS, strict=True):
            column = found.table[f"{kind}_{policy}"]
            np.testing.assert_array_equal(line.get_ydata(), column[column > 0.0])


def test_the_picture_of_a_game_where_nothing_falls() -> None:
    game = memoa.Game([[1.0]], [0.1], [1.0], horizon=3)
    figure = plot_verification(verify(game, **QUICK), path="verify.png")
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert all(label.endswith(("at rounding", ": 0")) for label in labels)
