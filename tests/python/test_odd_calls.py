"""Odd arguments: a result of finite numbers, or a clear error that changes nothing."""

from __future__ import annotations

import random

import pytest

from odd_calls import one_call


@pytest.mark.parametrize("first", range(0, 1000, 250))
def test_odd_arguments_are_answered_or_refused(first: int) -> None:
    found = {one_call(random.Random(seed)) for seed in range(first, first + 250)}
    assert {"a result", "ValueError", "TypeError"} <= found
