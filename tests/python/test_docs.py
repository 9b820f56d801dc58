"""Every example in docstrings, in README.md and in docs/ runs."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import memoa

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
MODULES = ["memoa"] + [
    module.name
    for module in pkgutil.walk_packages(memoa.__path__, "memoa.", onerror=lambda name: None)
    if module.name not in ("memoa._core", "memoa.__main__")
]
PICTURED = ("README.md", "experiments.md", "performance.md", "theory-checked.md")
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Commands of the README, and the C++ programs, are run by .ci/run, in environments of their own.
IN_A_SHELL = {page for page in PAGES if page.parent.name == "tutorials" and page.name != "cpp.md"}
NEEDS = {"gaps.md": "river", "tune.md": "sklearn", "many-machines.md": "mpi4py", "mpi.md": "mpi4py"}


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of all blocks of a page that run."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(kind, code) for kind, code in found if kind == "python" or page in IN_A_SHELL]


def name_of(page: Path) -> str:
    return page.relative_to(DOCS if page.is_relative_to(DOCS) else ROOT).as_posix()


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    if name == "memoa.forecasters.river":
        pytest.importorskip("river", reason="the extra `experiments` is not installed")
    if name == "memoa.flower":
        pytest.importorskip("flwr", reason="the extra `flower` is not installed")
    result = doctest.testmod(importlib.import_module(name), raise_on_error=False)
    assert result.failed == 0


def public_classes() -> list[type]:
    """The classes that the modules offer by name; exceptions need no example."""
    found = set()
    apart = {"memoa.flower"}
    if importlib.util.find_spec("river") is None:
        apart.add("memoa.forecasters.river")
    for module in map(importlib.import_module, [m for m in MODULES if m not in apart]):
        offered = [getattr(module, name) for name in getattr(module, "__all__", ())]
        found |= {one for one in offered if isinstance(one, type)}
    return sorted(
        (one for one in found if not issubclass(one, Exception)), key=lambda one: one.__qualname__
    )


def test_the_public_classes_have_examples() -> None:
    finder = doctest.DocTestFinder(recurse=False)
    classes = public_classes()
    assert {memoa.Game, memoa.OnlineEnsemble, memoa.Run} <= set(classes)
    without = []
    for one in classes:
        (found,) = finder.find(one, one.__qualname__)
        if not found.examples:
            without.append(one.__qualname__)
    # many-machines.md runs its example, in a process that MPI takes over.
    assert without == ["Communicator"]


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=name_of)
def test_pages(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page follow each other in one namespace, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    if page.name in NEEDS:
        pytest.importorskip(NEEDS[page.name], reason="its extra is not installed")
    if NEEDS.get(page.name) == "mpi4py":  # in a process of its own, which MPI takes over
        code = "\n".join(code for _, code in blocks(page))
        subprocess.run([sys.executable, "-c", code], check=True)
        return
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, (kind, code) in enumerate(blocks(page), start=1):
        if kind == "bash":
            subprocess.run(["bash", "-euo", "pipefail", "-c", code], check=True)
        else:
            exec(compile(code, f"{page.name}, block {number}", "exec"), namespace)
    assert len(namespace) > 1  # something was defined


def test_the_cpp_of_a_page_is_that_of_an_example() -> None:
    """.ci/run builds and runs them."""
    examples = [path.read_text(encoding="utf-8") for path in (ROOT / "examples/cpp").glob("*.cpp")]
    page = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
    found = re.findall(r"^```cpp\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found
    for block in found:
        assert any(block in example for example in examples), block


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pictures_of_a_page_are_there_and_light(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert len(pictures) == text.count("![")  # all of them were found
    assert pictures or page.name not in PICTURED
    for picture in pictures:
        path = page.parent / picture
        assert path.read_bytes().startswith(b"\x89PNG"), picture
        assert path.stat().st_size < 250_000, picture


def test_the_figure_of_experts_is_what_its_program_draws(tmp_path: Path) -> None:
    """The picture itself depends on the version of matplotlib; its size does not."""
    pytest.importorskip("matplotlib")
    program = DOCS / "images" / "experts.py"
    subprocess.run([sys.executable, program, tmp_path / "experts.png"], check=True)
    drawn, shown = (
        path.read_bytes() for path in (tmp_path / "experts.png", program.with_suffix(".png"))
    )
    assert drawn[:24] == shown[:24]  # the signature, and width and height


def test_the_table_of_the_evidence_is_the_reports() -> None:
    """Made by `python bench/experiments --only forecasting --out docs`, and copied."""
    evidence, report = (
        (DOCS / name).read_text(encoding="utf-8").splitlines()
        for name in ("evidence.md", "experiments.md")
    )
    header = "| series | published | repeat | server | mean agent | worst agent |"
    (start,) = (k for k, line in enumerate(evidence) if line.startswith(header))
    table = [line for line in evidence[start : start + 10] if line.startswith("|")]
    assert len(table) == 10
    at = report.index(table[0])
    assert report[at : at + 10] == table
