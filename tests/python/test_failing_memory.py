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


@pytest.mark.parametrize("case", failing_memory.CASES)
def test_memory_that_runs_out_anywhere_changes_nothing(case: str, library: Path) -> None:
    done = failing_memory.run_under(library, case)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr[-2000:]
    failed = re.search(r"(\d+) alone, (\d+) with", done.stdout)
    assert failed is not None and int(failed[1]) > 0 and int(failed[2]) > 0, done.stdout
