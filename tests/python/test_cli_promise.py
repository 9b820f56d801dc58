"""One line and exit code 2, whatever a user's file, folder or forecaster does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from memoa.cli import compare as command
from memoa.cli.app import app
from memoa.forecasters.standard import REPEAT, standard_forecasters

ODD = """
import os, sys
import numpy as np

class Good:
    def predict_one(self, x): return 0.0
    def learn_one(self, x, y): pass

class Raises(Good):
    def predict_one(self, x): raise ZeroDivisionError("by\\nnothing")

class RaisesLater(Good):
    step = 0
    def predict_one(self, x):
        self.step += 1
        if self.step == 5: raise KeyError("gone")
        return 0.0

class LearnRaises(Good):
    def learn_one(self, x, y): raise RuntimeError

class ObserveRaises(Good):
    def observe(self, y): raise OSError(5, "broken", "file")

class Exits(Good):
    def predict_one(self, x): sys.exit(0)

class ExitsWhenMade(Good):
    def __init__(self): sys.exit(0)

class LeavesGenerator(Good):
    def predict_one(self, x): raise GeneratorExit

class Own(BaseException): pass
class RaisesOwn(Good):
    def learn_one(self, x, y): raise Own("mine")

class Unprintable(Exception):
    def __str__(self): raise ValueError
class RaisesUnprintable(Good):
    def predict_one(self, x): raise Unprintable

class Recursive(Good):
    def predict_one(self, x): return self.predict_one(x)

class NoMemory(Good):
    def predict_one(self, x): return np.empty(2**60)

class Text(Good):
    def predict_one(self, x): return "0.5 or so"

class Nothing(Good):
    def predict_one(self, x): return None

class NotANumber(Good):
    def predict_one(self, x): return float("nan")

class Complex(Good):
    def predict_one(self, x): return 1j

class Ragged(Good):
    def predict_one(self, x): return [[1.0], [2.0, 3.0]]

class Wide(Good):
    def predict_one(self, x): return np.zeros(7)

class BadArray(Good):
    def predict_one(self, x): return self
    def __array__(self, dtype=None, copy=None): raise ValueError("no array")

class WritesInputs(Good):
    def predict_one(self, x):
        x[:] = 1e9
        return 0.0

class WritesTargets(Good):
    def learn_one(self, x, y): y[:] = 1e9

class BadErrors(Good):
    @property
    def agent_rmse(self): raise ValueError("none")

class OddErrors(Good):
    agent_rmse = "many"

class NoErrors(Good):
    agent_rmse = ()

class NoPredict:
    def learn_one(self, x, y): pass

class HiddenPredict:
    def __getattr__(self, name): raise RuntimeError(name)

class NeedsArguments(Good):
    def __init__(self, size): pass

class StrangeSignature(Good):
    @property
    def __signature__(self): raise RuntimeError

def number(): return 3
def raises(): raise LookupError("no model")
def seeded(seed): raise LookupError(f"no model {seed}")
def goes_elsewhere():
    os.chdir("/")
    return Good()
not_callable = 3
"""
FAILING = [
    "Raises",
    "RaisesLater",
    "LearnRaises",
    "ObserveRaises",
    "Exits",
    "ExitsWhenMade",
    "LeavesGenerator",
    "RaisesOwn",
    "RaisesUnprintable",
    "Recursive",
    "NoMemory",
    "Text",
    "Nothing",
    "NotANumber",
    "Complex",
    "Ragged",
    "Wide",
    "BadArray",
    "WritesInputs",
    "WritesTargets",
    "BadErrors",
    "OddErrors",
    "NoErrors",
    "NoPredict",
    "HiddenPredict",
    "NeedsArguments",
    "number",
    "raises",
    "seeded",
]


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "odd", raising=False)
    Path("odd.py").write_text(ODD)
    rows = {REPEAT: standard_forecasters()[REPEAT]}
    monkeypatch.setattr(command, "standard_forecasters", lambda: dict(rows))


def call(*args: str) -> Result:
    return CliRunner().invoke(app, list(args), prog_name="memoa")


@pytest.mark.parametrize("name", FAILING)
def test_a_failing_forecaster_is_one_line_and_the_other_rows_stand(name: str) -> None:
    result = call(
        "compare",
        "periodic",
        "--seeds",
        "2",
        "--forecaster",
        f"odd:{name}",
        "--forecaster",
        "odd:Good",
    )
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith("memoa: ")
    assert name in result.stderr
    table = Path("memoa-out/periodic-compare/comparison.csv").read_text(encoding="utf-8")
    assert REPEAT in table
    assert "\nGood," in table
    assert name not in table


def test_a_forecaster_that_goes_elsewhere_leaves_the_files_where_they_belong(
    tmp_path: Path,
) -> None:
    result = call("compare", "periodic", "--forecaster", "odd:goes_elsewhere")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "memoa-out" / "periodic-compare" / "comparison.csv").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def broken(:", "SyntaxError"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("raise LookupError('no\\nmodel')", "LookupError: no model"),
        ("import nowhere_at_all", "No module named 'nowhere_at_all'"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_line(text: str, words: str) -> None:
    sys.modules.pop("bad_module", None)
    Path("bad_module.py").write_text(text)
    result = call("compare", "periodic", "--forecaster", "bad_module:thing")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert words in result.stderr
    assert not Path("memoa-out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        "compare periodic --seeds 1000000000000",
        "run periodic --threads 2147483648",
        f"run periodic --threads {10**30}",
        f"run periodic --agents {10**15}",
        f"run periodic --features {2**40}",
        f"run periodic --seed {2**64}",
        f"verify --random {2**70} --threads {2**31}",
        "run /dev/null --target y",
        "run . --target y",
        "run bytes.csv --target y",
        "run bytes.parquet --target y",
        f"run numbers.csv --target y --lags {10**9}",
        "verify --game bytes.csv",
        "run periodic --resume bytes.csv",
        "run periodic --save /dev/null/state.npz",
        "panel bytes.csv",
        "panel walks --threads 2147483648",
        "panel walks --ridge inf",
        "panel walks --out bytes.csv/deeper",
    ],
)
def test_odd_arguments_and_files_are_one_line(arguments: str) -> None:
    Path("bytes.csv").write_bytes(bytes(range(256)))
    Path("bytes.parquet").write_bytes(b"PAR1" + bytes(range(256)) + b"PAR1")
    Path("numbers.csv").write_text("y\n" + "1\n2\n" * 20)
    result = call(*arguments.split())
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith("memoa: ")


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        ("run periodic --agents 3", "memoa-out/periodic/plot.png"),
        ("compare periodic --seeds 1", "memoa-out/periodic-compare/settings.json"),
        ("panel walks", "memoa-out/walks-panel/clients.csv"),
    ],
)
def test_results_are_not_overwritten_without_force(arguments: str, file: str) -> None:
    Path(file).parent.mkdir(parents=True)
    Path(file).write_text("precious")
    refused = call(*arguments.split())
    assert refused.exit_code == 2
    assert refused.stderr == f"memoa: {file} exists already; --force overwrites it\n" or (
        refused.stderr.endswith(f"{file} exists already; --force overwrites it\n")
    )
    assert Path(file).read_text() == "precious"
    assert len(list(Path(file).parent.iterdir())) == 1
    assert call(*arguments.split(), "--force").exit_code == 0
    assert Path(file).read_bytes() != b"precious"


def test_a_folder_that_cannot_be_written_is_said_before_the_work() -> None:
    Path("file").write_text("x")
    result = call("run", "periodic", "--agents", str(10**15), "--out", "file/deeper")
    assert result.exit_code == 2
    assert "file/deeper" in result.stderr


def test_an_exit_inside_a_forecaster_ends_with_2_in_a_real_process() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "memoa",
            "compare",
            "periodic",
            "--seeds",
            "1",
            "--forecaster",
            "odd:Exits",
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "memoa: Exits: predict_one, at step 0, raised SystemExit: 0\n"
