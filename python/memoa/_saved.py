"""The parameters of a saved ensemble, as JSON in the file's header."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

from memoa._frames import Names
from memoa.encoder import EchoState, Linear, Precomputed, RandomFeatures
from memoa.mixture import Mixture

# The meaning of files of the first version, which have none of these.
FIRST: dict[str, Any] = {"lags": 0, "season": None, "bounded": False, "follow": "mean"}
FIRST_MIXTURE: dict[str, Any] = {"rivals": False, "start": 0}
KINDS = {kind.__name__: kind for kind in (RandomFeatures, EchoState, Precomputed, Linear, Mixture)}


def write_note(params: Mapping[str, Any], seed: int, names: Names | None, flat: bool) -> str:
    """The constructor's arguments, the names of the inputs, and whether y was given as (T,)."""
    state = params["random_state"]
    number = int(state) if isinstance(state, (int, np.integer)) else seed
    listed = None if names is None else list(names)
    for name in listed or ():
        if not isinstance(name, (str, int, float)):
            raise TypeError(f"the input {name!r} cannot be saved; expected names that are text")
    kept = {name: value for name, value in params.items() if name != "communicator"}
    note = {"params": {**kept, "random_state": number}, "names": listed, "flat": flat}
    return json.dumps(note, default=_plain, allow_nan=False)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__name__, **asdict(value)}
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"{value!r} cannot be saved")


def read_note(
    header: Mapping[str, Any], known: tuple[str, ...]
) -> tuple[dict[str, Any], list[Any] | None, bool]:
    """Return parameters, names and flatness; for a file from C++, those of its engines."""
    note = header["note"]
    if note is None:
        return engine_params(header), None, False
    params = {name: _object(value) for name, value in note["params"].items()}
    if params.keys() == {"intervals"}:  # C++ writes what its engines do not have
        params = engine_params(header)
    for name in params:
        if name not in known:
            raise ValueError(f"unknown parameter {name!r}")
    params = {name: value for name, value in FIRST.items() if name in known} | params
    return params, note["names"], bool(note["flat"])


@contextmanager
def naming_header(path: str) -> Iterator[None]:
    """Turn any error that a file's header causes into one that names the file."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: header.json: {error}") from error


def engine_params(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters that make the same engines."""
    settings = header["settings"]
    names = (
        "n_agents",
        "policy",
        "aggregate",
        "consensus",
        "effort",
        "horizon",
        "discount",
        "forgetting",
        "ridge",
    )
    params = note.get("params") if isinstance(note := header["note"], dict) else None
    levels = params.get("intervals") if isinstance(params, dict) else None
    season = settings.get("season", 0)  # files of the first version have no past
    return {name: settings[name] for name in names} | {
        "intervals": tuple(levels) if isinstance(levels, (list, tuple)) else (),
        "delay": settings.get("delay", 0),
        "lags": settings.get("lags", 0),
        "season": "auto" if season < 0 else season or None,
        "bounded": settings.get("bounded", False),
        "follow": settings.get("follow", "mean"),
        "encoder": _object(settings["encoder"]),
        "mixture": Mixture(
            **FIRST_MIXTURE
            | {k: v for k, v in header["mixture"].items() if k not in ("season", "delay")}
        ),
        "dtype": {"<f8": "float64", "<f4": "float32"}[settings["dtype"]],
        "n_threads": settings["n_threads"] or None,
        "random_state": settings["seed"],
    }


def panel_params(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters that make the same panel as a file from C++."""
    names = ("n_clients", "pooling", "ridge", "aggregate", "forgetting")
    return {name: settings[name] for name in names} | {
        "encoder": _object(settings["encoder"]),
        "consensus": "learned" if settings["learned"] else settings["consensus"],
        "delay": settings.get("delay", 0),
        "dtype": {"<f8": "float64", "<f4": "float32"}[settings["dtype"]],
        "n_threads": settings["n_threads"] or None,
        "random_state": settings["seed"],
    }


def _object(value: Any) -> Any:
    """Return settings objects from their JSON; lists become tuples, which cannot change."""
    if isinstance(value, dict):
        settings = {k: v for k, v in value.items() if k != "type"}
        first = FIRST_MIXTURE if value["type"] == Mixture.__name__ else {}
        return KINDS[value["type"]](**first | settings)
    return tuple(map(_object, value)) if isinstance(value, list) else value


def checksum(memory: tuple[dict[str, Any], ...]) -> int:
    """Return the CRC-32 of all numbers of a memory."""
    sum_ = 0
    for fields in memory:
        for name, value in fields.items():
            sum_ = zlib.crc32(name.encode(), sum_)
            array = np.ascontiguousarray(value)
            sum_ = zlib.crc32(str((array.dtype, array.shape)).encode(), sum_)
            sum_ = zlib.crc32(array.data, sum_)
    return sum_


def require_doubles(*memory: dict[str, Any]) -> None:
    """Check that all arrays of a memory are float64."""
    for fields in memory:
        for name, value in fields.items():
            if isinstance(value, np.ndarray) and value.dtype != np.float64:
                raise ValueError(f"{name} has dtype {value.dtype}; expected float64")
