"""The reference of the site has every public name, and its pages hang together."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
MODULES = [
    "memoa",
    "memoa.datasets",
    "memoa.federated",
    "memoa.flower",
    "memoa.forecasters",
    "memoa.mpi",
    "memoa.plots",
    "memoa.verify",
]


def documented() -> list[str]:
    """Names that the pages of the reference ask autodoc for, with their modules."""
    found = []
    for page in sorted(REFERENCE.glob("*.md")):
        module = ""
        for line in page.read_text(encoding="utf-8").splitlines():
            if line.startswith(".. currentmodule:: "):
                module = line.split(":: ")[1]
            elif match := re.match(r"\.\. auto(?:class|function|data|exception):: (\w+)", line):
                found.append(f"{module}.{match[1]}")
    return found


def test_no_name_is_documented_twice() -> None:
    assert len(set(documented())) == len(documented())


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_in_the_reference(name: str) -> None:
    if name == "memoa.flower":
        pytest.importorskip("flwr", reason="the extra `flower` is not installed")
    module = importlib.import_module(name)
    here = {name for name in documented() if name.rpartition(".")[0] == module.__name__}
    public = {f"{name}.{one}" for one in module.__all__}
    rooms = set(MODULES)  # documented name by name
    offered = {one for m in MODULES[:1] for one in importlib.import_module(m).__all__}
    elsewhere = {one for one in public if one.rpartition(".")[2] in offered and name != "memoa"}
    assert public - rooms - elsewhere == here


def test_every_header_is_in_the_reference() -> None:
    page = (REFERENCE / "cpp.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```\{doxygenfile\} (\w+\.hpp)$", page, re.MULTILINE)
    headers = {path.name for path in (ROOT / "cpp/include/memoa").glob("*.hpp")}
    assert sorted(shown) == sorted(headers - {"memoa.hpp"})  # which includes the others


def test_every_page_is_in_a_table_of_contents() -> None:
    """Sphinx says so too, in a build; this takes no build."""
    pages = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")}
    listed = {"index"}
    for page in DOCS.rglob("*.md"):
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
            for line in tree.splitlines():
                if line and not line.startswith(":"):
                    listed.add((page.parent / line).relative_to(DOCS).as_posix())
    assert pages == listed
