"""Every example in docstrings, in README.md and in docs/ runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest

import memoa

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = ["memoa"] + [
    module.name
    for module in pkgutil.walk_packages(memoa.__path__, "memoa.", onerror=lambda name: None)
    if module.name not in ("memoa._core", "memoa.__main__")
]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[str]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    if name == "memoa.baselines_river":
        pytest.importorskip("river", reason="the extra `experiments` is not installed")
    result = doctest.testmod(importlib.import_module(name), raise_on_error=False)
    assert result.failed == 0


def test_the_public_classes_have_examples() -> None:
    finder = doctest.DocTestFinder(recurse=False)
    for name in ("Game", "OnlineEnsemble", "ServerMixture", "mixture_weights", "solve_mean_field"):
        (found,) = finder.find(getattr(memoa, name), name)
        assert found.examples, name


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.name)
def test_pages(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page follow each other in one namespace, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, block in enumerate(blocks(page), start=1):
        exec(compile(block, f"{page.name}, block {number}", "exec"), namespace)
    assert len(namespace) > 1  # something was defined
