"""The eight series of the literature, by name, and the figures published for them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

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


def default_data() -> Path:
    """Folder of the real series: the environment's MEMOA_DATA, else ../shared/data."""
    return Path(os.environ.get("MEMOA_DATA", "../shared/data"))


def why_absent(name: str, data: Path) -> str | None:
    """Why a series cannot be had, None where it can."""
    if name not in FILES or (data / FILES[name][0]).is_file():
        return None
    return f"{data / FILES[name][0]} is not there (--data FOLDER, or MEMOA_DATA)"


def identity(name: str, data: Path) -> dict[str, Any]:
    """What a result over this series depends on: its name and, of a file, the digest."""
    if name not in FILES:
        return {"series": name}
    return {"series": name, "digest": _digest(data / FILES[name][0])}


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
