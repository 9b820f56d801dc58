"""How the defaults were chosen, on series that are none of the eight: see `memoa.study`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from memoa.experiments.pieces import Piece, Result
from memoa.experiments.section import Context, Section

NAME = "defaults"


def pieces(context: Context) -> list[Piece]:
    """The whole study."""
    return [] if find_spec("memoa.study") is None else []


def section(context: Context, results: Sequence[Result]) -> Section:
    """Placeholder."""
    return Section(NAME, "One default for all")
