"""Docstrings say in words what every parameter means, and every public class shows an example."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

MODULES = (
    "memoa",
    "memoa.datasets",
    "memoa.federated",
    "memoa.forecasters",
    "memoa.mpi",
    "memoa.plots",
    "memoa.verify",
)
SECTIONS = ("Parameters", "Attributes", "Returns", "Yields", "Raises")
# Results that other calls return, named tuples and protocols: their makers have the examples.
NO_EXAMPLE = {
    "Certificate",
    "CentralizedPolicy",
    "Check",
    "Communicator",
    "Comparison",
    "Exchange",
    "FeatureMoments",
    "Forecaster",
    "MultiHorizonRun",
    "NumericalError",
    "PanelRun",
    "Run",
    "Score",
    "Simulation",
    "Verification",
}


def public() -> Iterator[tuple[str, Any]]:
    """Classes and functions that the package offers, and the public methods of these classes."""
    for name in MODULES:
        module = importlib.import_module(name)
        for one in getattr(module, "__all__", [n for n in vars(module) if n[0] != "_"]):
            thing = getattr(module, one)
            made_in = getattr(thing, "__module__", "")
            if not made_in.startswith("memoa") or made_in == "memoa._core":
                continue
            if inspect.isclass(thing) or inspect.isfunction(thing):
                yield f"{name}.{one}", thing
            if inspect.isclass(thing):
                for key, member in inspect.getmembers(thing, inspect.isfunction):
                    if key[0] != "_" and member.__module__.startswith("memoa"):
                        yield f"{name}.{one}.{key}", member


def entries(doc: str, sections: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Name and description of what is listed in sections of a numpydoc docstring."""
    for section in sections:
        found = re.search(rf"^{section}\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", doc, re.M | re.S)
        if found:
            for entry in re.finditer(r"^(\S.*)\n?((?:^[ \n].*\n?|\n)*)", found[1], re.M):
                yield entry[1].split(" : ")[0], " ".join(entry[2].split())


THINGS = dict(public())


@pytest.mark.parametrize("name", sorted(THINGS))
def test_every_parameter_is_described_in_words(name: str) -> None:
    doc = inspect.getdoc(THINGS[name]) or ""
    assert doc, "has no docstring"
    for parameter, text in entries(doc, ("Parameters", "Attributes")):
        words = re.findall(r"[A-Za-z]{2,}", text)
        assert len(words) >= 3, f"{parameter}: {text!r}"


@pytest.mark.parametrize("name", sorted(k for k, v in THINGS.items() if inspect.isclass(v)))
def test_every_class_shows_an_example(name: str) -> None:
    if name.rpartition(".")[2] in NO_EXAMPLE:
        return
    assert ">>> " in (THINGS[name].__doc__ or "")
