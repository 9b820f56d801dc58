"""The layers of CONTRIBUTING.md: who may import whom, and what ``import memoa`` leaves alone."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "python" / "memoa"
# As CONTRIBUTING.md has it; modules that it does not name are free to stand anywhere.
LIBRARY = (
    "game",
    "nplayer",
    "equilibrium",
    "certificate",
    "simulation",
    "moments",
    "encoder",
    "mixture",
    "interval",
    "run",
    "ensemble",
    "panel",
)
ROOMS = ("datasets", "forecasters", "verify", "plots", "federated", "cli")
ADAPTERS = ("flower",)  # modules that carry what a room does over another package
LAYERS = LIBRARY + ROOMS[:-1] + ADAPTERS + ROOMS[-1:]
ENTRIES = ("__init__", "__main__")


def part(module: str) -> str:
    """The module at the top of the package, or the room, that a dotted name belongs to."""
    return module.split(".")[1] if "." in module else "__init__"


def imports(path: Path) -> Iterator[str]:
    """Dotted names of memoa's modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.split(".")[0] == "memoa")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            if node.module == "memoa":
                for one in node.names:
                    at = PACKAGE / one.name
                    own = at.is_dir() or at.with_suffix(".py").exists() or one.name == "_core"
                    yield f"memoa.{one.name}" if own else "memoa"
            elif node.module is not None and node.module.startswith("memoa."):
                yield node.module


def graph() -> dict[str, set[str]]:
    """What every part imports, itself left out."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        found.setdefault(name, set()).update(map(part, imports(path)))
    return {name: others - {name} for name, others in found.items()}


def test_every_room_is_there_and_nothing_else_has_a_folder() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(ROOMS)
    assert {path.stem for path in PACKAGE.glob("*.py")} >= set(LIBRARY)


def test_a_layer_knows_only_those_before_it() -> None:
    known = graph()
    for number, name in enumerate(LAYERS):
        assert not known[name] & {*LAYERS[number + 1 :], "__main__"}, name


def test_the_library_knows_no_room_and_not_the_package_that_collects_it() -> None:
    for name, others in graph().items():
        if name in ROOMS[2:] + ADAPTERS + ENTRIES:
            continue
        assert "__init__" not in others, name
        if name not in ROOMS:
            assert not others & set(ROOMS), name


def test_there_are_no_circles() -> None:
    known = {name: others for name, others in graph().items() if name not in ENTRIES}
    list(TopologicalSorter(known).static_order())  # it raises where there is one


def test_contributing_names_the_layers_in_this_order() -> None:
    text = (PACKAGE.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    start = text.index("- **Layers**")
    rule = text[start : text.index("\n- ", start)]
    words = [word for word in re.findall(r"\w+", rule) if word in LAYERS]
    assert tuple(dict.fromkeys(words)) == LAYERS


@pytest.mark.parametrize(
    "statement",
    [
        "import memoa",
        "from memoa import *",
        "import memoa.forecasters",
        "import memoa.datasets",
        "import memoa.verify",
        "import memoa.federated",
    ],
)
def test_importing_needs_numpy_only(statement: str) -> None:
    heavy = ("pandas", "matplotlib", "typer", "rich", "sklearn", "river", "scipy", "pyarrow")
    heavy += ("flwr",)
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {module.split(".")[0] for module in shown} & set(heavy)
    assert "importlib.metadata" not in shown  # as long to import as all of memoa


def test_a_module_is_read_where_one_of_its_names_is_first_asked_for() -> None:
    code = """
import os, sys, memoa
assert "numpy" not in sys.modules and "memoa._core" not in sys.modules
assert memoa.NumericalError is sys.modules["memoa._core"].NumericalError
assert "GOMP_SPINCOUNT" not in os.environ
assert "memoa.ensemble" not in sys.modules and "OnlineEnsemble" in dir(memoa)
assert memoa.OnlineEnsemble is memoa.ensemble.OnlineEnsemble and "memoa.panel" not in sys.modules
for name in memoa.__all__:
    assert getattr(memoa, name) is not None, name
assert not hasattr(memoa, "nothing")
"""
    own = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    subprocess.run([sys.executable, "-c", code], check=True, env=own)


def test_memoa_compare_is_the_function_and_stays_it() -> None:
    """No room is called compare: its module would take the function's place in the package."""
    code = """
import memoa, memoa.forecasters.comparison, memoa.cli.compare, memoa.verify.verification
from memoa.verify import verify
assert callable(memoa.compare) and memoa.compare is memoa.forecasters.compare
assert callable(verify) and memoa.verify.verify is verify
"""
    subprocess.run([sys.executable, "-c", code], check=True)
