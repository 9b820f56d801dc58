"""Games as readable JSON: the constructor's arguments under their own names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

FORMAT = "memoa-game 1"
REQUIRED = ("feature_mean", "feature_cov", "target")
OPTIONAL = (
    "tracking", "coupling", "effort", "discount", "transition", "mean_transition", "drift",
    "horizon",
)  # fmt: skip
STAGED = ("feature_mean", "feature_cov", "target", "transition", "mean_transition", "drift")
WIDTH = 100


def dump_game(game: Any, path: str | Path) -> None:
    """Write every argument of `game`; a stage that repeats over the whole horizon is kept once."""
    lines = [f'"format": {json.dumps(FORMAT)}', f'"horizon": {game.horizon}']
    for name in (*REQUIRED, *OPTIONAL[:-1]):
        value = np.asarray(getattr(game, name))
        if name in STAGED and all(stage.tobytes() == value[0].tobytes() for stage in value):
            value = value[0]
        key = f'"{name}": '
        lines.append(key + _nested(value.tolist(), 2, len(key)))
    text = "{\n  " + ",\n  ".join(lines) + "\n}\n"
    Path(path).write_text(text, encoding="utf-8")


def _nested(value: Any, indent: int, used: int = 0) -> str:
    """JSON of nested lists, one line where it fits; `repr` of a float reads back to the bit."""
    line = json.dumps(value)
    if not isinstance(value, list) or indent + used + len(line) < WIDTH:
        return line
    if not isinstance(value[0], list):
        return _wrapped([json.dumps(number) for number in value], indent)
    space = "\n" + " " * (indent + 2)
    items = ("," + space).join(_nested(item, indent + 2) for item in value)
    return "[" + space + items + "\n" + " " * indent + "]"


def _wrapped(numbers: Sequence[str], indent: int) -> str:
    """A long row of numbers over several lines."""
    lines, space = [" " * (indent + 2) + numbers[0]], " " * (indent + 2)
    for number in numbers[1:]:
        if len(lines[-1]) + len(number) + 3 > WIDTH:
            lines[-1] += ","
            lines.append(space + number)
        else:
            lines[-1] += ", " + number
    return "[\n" + "\n".join(lines) + "\n" + " " * indent + "]"


def read_game(path: str | Path) -> dict[str, Any]:
    """The constructor's arguments that the file holds; ValueError names the file and the key."""
    try:
        data = json.loads(
            Path(path).read_text(encoding="utf-8"),
            object_pairs_hook=_without_doubles,
            parse_constant=_not_finite,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{path}: not JSON: {error.msg} ({place})") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not JSON: it is not UTF-8 text") from None
    except RecursionError:
        raise ValueError(f"{path}: not a game: the lists are nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(data, dict):
        raise ValueError(f"{path}: holds a JSON {_kind(data)}; expected an object, {{...}}")
    if data.get("format") != FORMAT:
        found = f"is {data['format']!r}" if "format" in data else "is missing"
        raise ValueError(f'{path}: format {found}; expected "format": "{FORMAT}"')
    del data["format"]
    for key in data:
        if key not in REQUIRED + OPTIONAL:
            raise ValueError(f"{path}: unknown key {key!r}{_hint(key)}")
    for key in REQUIRED:
        if key not in data:
            raise ValueError(f"{path}: the key {key!r} is missing")
    for key, value in data.items():
        wrong = _wrong_leaf(value)
        if wrong is not None:
            raise ValueError(f"{path}: {key} holds {wrong}; expected numbers or lists of numbers")
    return data


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the key {name!r} occurs twice")
    return dict(pairs)


def _not_finite(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON; expected finite numbers")


def _wrong_leaf(value: Any) -> str | None:
    """What is neither a number nor a list of them, in JSON's words."""
    if isinstance(value, list):
        return next((wrong for item in value if (wrong := _wrong_leaf(item))), None)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return None
    return f"the {_kind(value)} {json.dumps(value)[:40]}"


def _kind(value: Any) -> str:
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "value"}
    return kinds.get(type(value), "number")


def _hint(key: str) -> str:
    close = get_close_matches(key, REQUIRED + OPTIONAL, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
