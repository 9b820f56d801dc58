"""Games as readable JSON: the constructor's arguments under the same names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from memoa._files import write_text

FORMAT = "memoa-game 1"
REQUIRED = ("feature_mean", "feature_cov", "target")
OPTIONAL = (
    "tracking",
    "coupling",
    "effort",
    "discount",
    "transition",
    "mean_transition",
    "drift",
    "horizon",
)
STAGED = ("feature_mean", "feature_cov", "target", "transition", "mean_transition", "drift")
WIDTH = 100
DEPTH = 4  # of lists: feature_cov is (T, p, d, d)
DIGITS = 1000  # of a whole number: a float has at most 309 before its point
TOO_DEEP = f"the lists are nested too deeply; expected at most {DEPTH} levels"


def dump_game(game: Any, path: str | Path) -> None:
    """Write every argument of `game`; data that are the same in all stages are written once."""
    lines = [f'"format": {json.dumps(FORMAT)}', f'"horizon": {game.horizon}']
    for name in (*REQUIRED, *OPTIONAL[:-1]):
        value = np.asarray(getattr(game, name))
        if name in STAGED and all(stage.tobytes() == value[0].tobytes() for stage in value):
            value = value[0]
        key = f'"{name}": '
        lines.append(key + _nested(value.tolist(), 2, len(key)))
    text = "{\n  " + ",\n  ".join(lines) + "\n}\n"
    write_text(path, text)


def _nested(value: Any, indent: int, used: int = 0) -> str:
    """Return nested lists as JSON, on one line if it fits; `repr` of a float keeps all bits."""
    line = json.dumps(value)
    if not isinstance(value, list) or indent + used + len(line) < WIDTH:
        return line
    if not isinstance(value[0], list):
        return _wrapped([json.dumps(number) for number in value], indent)
    space = "\n" + " " * (indent + 2)
    items = ("," + space).join(_nested(item, indent + 2) for item in value)
    return "[" + space + items + "\n" + " " * indent + "]"


def _wrapped(numbers: Sequence[str], indent: int) -> str:
    """Break a long row of numbers into several lines."""
    lines, space = [" " * (indent + 2) + numbers[0]], " " * (indent + 2)
    for number in numbers[1:]:
        if len(lines[-1]) + len(number) + 3 > WIDTH:
            lines[-1] += ","
            lines.append(space + number)
        else:
            lines[-1] += ", " + number
    return "[\n" + "\n".join(lines) + "\n" + " " * indent + "]"


def read_game(path: str | Path) -> dict[str, Any]:
    """Return the constructor's arguments of a file; a ValueError names the file and the key."""
    try:
        data = json.loads(
            Path(path).read_text(encoding="utf-8"),
            object_pairs_hook=_without_doubles,
            parse_constant=_not_finite,
            parse_int=_whole_number,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{path}: not JSON: {error.msg} ({place})") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not JSON: it is not UTF-8 text") from None
    except RecursionError:
        raise ValueError(f"{path}: not a game: {TOO_DEEP}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(data, dict):
        raise ValueError(f"{path}: holds a JSON {_kind(data)}; expected an object, {{...}}")
    if data.get("format") != FORMAT:
        found = f"is {repr(data['format'])[:40]}" if "format" in data else "is missing"
        raise ValueError(f'{path}: format {found}; expected "format": "{FORMAT}"')
    del data["format"]
    for key in data:
        if key not in REQUIRED + OPTIONAL:
            raise ValueError(f"{path}: unknown key {key[:40]!r}{_hint(key[:40])}")
    for key in REQUIRED:
        if key not in data:
            raise ValueError(f"{path}: the key {key!r} is missing")
    for key, value in data.items():
        wrong = _wrong_part(value)
        if wrong is not None:
            raise ValueError(f"{path}: {key} holds {wrong}")
    return data


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name[:40]!r} occurs twice")
        found[name] = value
    return found


def _whole_number(digits: str) -> int:
    """Refuse long numbers, which take Python quadratic time."""
    if len(digits) > DIGITS:
        raise ValueError(f"a number of {len(digits)} digits; expected at most {DIGITS}")
    return int(digits)


def _not_finite(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON; expected finite numbers")


def _wrong_part(value: Any) -> str | None:
    """Describe, in JSON's terms, an item that is neither a number nor a list of numbers."""
    level = [value]
    for _ in range(DEPTH + 1):
        for item in level:
            if isinstance(item, bool) or not isinstance(item, (int, float, list)):
                return f"the {_kind(item)} {_short(item)}; expected numbers or lists of numbers"
        level = [inner for item in level if isinstance(item, list) for inner in item]
        if not level:
            return None
    return f"lists that are {TOO_DEEP.removeprefix('the lists are ')}"


def _short(value: Any) -> str:
    """Return the beginning of its JSON, without building all of it."""
    if isinstance(value, str):
        return json.dumps(value[:40])
    return "{...}" if isinstance(value, dict) else json.dumps(value)


def _kind(value: Any) -> str:
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "value"}
    return kinds.get(type(value), "number")


def _hint(key: str) -> str:
    close = get_close_matches(key, REQUIRED + OPTIONAL, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
