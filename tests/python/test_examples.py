"""Every program under examples/ runs, says something, and is in the list."""

from __future__ import annotations

import importlib.util
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROGRAMS = sorted(EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_it_runs(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if program.stem == "tune" and importlib.util.find_spec("sklearn") is None:
        pytest.skip("scikit-learn is not installed")
    runpy.run_path(str(program), run_name="__main__")
    assert capsys.readouterr().out.strip()


def test_the_list_has_every_program() -> None:
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for program in [*PROGRAMS, *EXAMPLES.glob("cpp/*.cpp")]:
        assert f"[{program.name}]({program.relative_to(EXAMPLES).as_posix()})" in listed
