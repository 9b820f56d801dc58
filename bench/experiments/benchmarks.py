"""The eight series of the literature, by name, and the figures published for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from memoa import datasets
from memoa.datasets import Series

# Root-mean-square errors listed for arXiv:2605.05492, to as many digits as they are given there.
PUBLISHED = {
    "periodic": "0.9171",
    "logistic": "0.1883",
    "drift": "0.32",
    "drift-1d": "0.247",
    "boc": "0.0067",
    "boc validation": "0.0049",
    "ett": "0.0263",
    "ett validation": "0.0514",
}
FILES: dict[str, tuple[str, Callable[..., Series], int]] = {
    "boc": ("bank_of_canada_exchange_rates.csv", datasets.load_boc, 0),
    "boc validation": ("bank_of_canada_exchange_rates.csv", datasets.load_boc, 1600),
    "ett": ("ETTh1.csv", datasets.load_ett, 0),
    "ett validation": ("ETTh1.csv", datasets.load_ett, 3500),
}


def why_absent(name: str, data: Path | None) -> str | None:
    """Why a series cannot be had, None where it can."""
    if name not in FILES:
        return None
    file = FILES[name][0]
    if data is None:
        return f"no folder with {file} was given (--data DIR, or MEMOA_DATA)"
    return None if (data / file).is_file() else f"{data / file} is not there"


def identity(name: str, data: Path | None) -> dict[str, str]:
    """What a result over this series depends on beside its name: of a file, the digest."""
    if name not in FILES or data is None:
        return {}
    return {"digest": _digest(data / FILES[name][0])}


@lru_cache(maxsize=8)
def load(name: str, data: Path | None) -> Series:
    """One of the eight."""
    if name not in FILES:
        return datasets.BUILTIN[name]()
    if data is None:
        raise ValueError(f"{name} is read from a file; expected the folder it is in")
    file, loader, start = FILES[name]
    return loader(data / file, start=start)


@lru_cache(maxsize=8)
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
