"""Hypothesis profiles: no deadlines on shared machines, the same examples on every CI run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, max_examples=50)
settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(params=["memoa", "greedy"])
def policy(request: pytest.FixtureRequest) -> str:
    """Both ways in which an agent may play."""
    return str(request.param)


DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture
def real() -> Callable[[str], Path]:
    def find(file: str) -> Path:
        if not (DATA / file).exists():
            pytest.skip(f"{DATA / file} is absent; it is not part of the project")
        return DATA / file

    return find
