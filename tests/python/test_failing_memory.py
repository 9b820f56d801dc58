"""Memory that runs out at any allocation of a call: nothing has changed, and the process lives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import failing_memory


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return failing_memory.build(tmp_path_factory.mktemp("memory"))
    except RuntimeError as error:
        pytest.skip(str(error))


# A process for every twelfth case: starting one takes as long as a small case.
GROUPS = [list(failing_memory.CASES)[first::12] for first in range(12)]


@pytest.mark.parametrize("cases", GROUPS, ids="; ".join)
def test_memory_that_runs_out_anywhere_changes_nothing(cases: list[str], library: Path) -> None:
    done = failing_memory.run_under(library, *cases)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr[-2000:]
    failed = re.findall(r"^(.+): (\d+) alone, (\d+) with", done.stdout, re.MULTILINE)
    assert [name for name, *_ in failed] == cases, done.stdout
    assert all(int(alone) > 0 and int(following) > 0 for _, alone, following in failed), done.stdout
