"""Games as files: the same bits back, readable text, and one line about what is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import memoa
from helpers import GAME_ARRAYS, assert_same_bits, seeds, to_game
from reference import random_game

SMALL: dict[str, Any] = {
    "format": "memoa-game 1",
    "feature_mean": [[1.0, 0.5]],
    "feature_cov": [0.2, 0.1],
    "target": [1.0],
    "horizon": 3,
}


def write(path: Path, **changes: Any) -> Path:
    """The small game, with keys changed or, where None, left out."""
    data = {key: value for key, value in (SMALL | changes).items() if value is not None}
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def assert_same_game(found: memoa.Game, expected: memoa.Game) -> None:
    assert repr(found) == repr(expected)
    assert found.effort == expected.effort
    for name in GAME_ARRAYS:
        assert_same_bits(getattr(found, name), getattr(expected, name))


@given(seed=seeds, d=st.integers(1, 3), p=st.integers(1, 30), horizon=st.integers(1, 4))
def test_round_trip(
    seed: int, d: int, p: int, horizon: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    game = to_game(random_game(np.random.default_rng(seed), d, p, horizon))
    path = tmp_path_factory.mktemp("games") / "game.json"
    game.save(path)
    assert_same_game(memoa.Game.load(path), game)
    text = path.read_text(encoding="utf-8")
    json.loads(text)
    assert max(map(len, text.splitlines())) <= 100


def test_written_by_hand_with_defaults(tmp_path: Path) -> None:
    found = memoa.Game.load(write(tmp_path / "game.json", coupling=0.5, discount=0.1))
    expected = memoa.Game([[1.0, 0.5]], [0.2, 0.1], [1.0], coupling=0.5, discount=0.1, horizon=3)
    assert_same_game(found, expected)


def test_a_stage_that_repeats_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "game.json"
    memoa.Game([[1.0, 0.5]], [0.2, 0.1], [[1.0], [1.0], [2.0]], drift=[[0.0], [-0.0], [0.0]]).save(
        str(path)
    )
    saved = json.loads(path.read_text(encoding="utf-8"))
    assert list(saved)[:2] == ["format", "horizon"]
    assert saved["format"] == "memoa-game 1"
    assert np.shape(saved["feature_mean"]) == (1, 2)
    assert np.shape(saved["target"]) == (3, 1)
    assert np.shape(saved["drift"]) == (3, 1)  # minus zero is another number


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": None}, "format is missing"),
        ({"format": "memoa-game 2"}, "format is 'memoa-game 2'"),
        ({"target": None}, "the key 'target' is missing"),
        ({"couplign": 0.5}, "unknown key 'couplign' (did you mean 'coupling'?)"),
        ({"n_agents": 5}, "unknown key 'n_agents'"),
        ({"target": ["one"]}, 'target holds the string "one"'),
        ({"target": [[1.0], [None]]}, "target holds the value null"),
        ({"effort": True}, "effort holds the boolean true"),
        ({"tracking": {"q": 1}}, "tracking holds the object"),
        ({"target": [1.0, 2.0]}, "target has shape (2,)"),
        ({"feature_mean": [[1.0], [0.5, 0.2]]}, "feature_mean is ragged"),
        ({"effort": -1.0}, "effort"),
        ({"effort": [1.0]}, "effort"),
        ({"horizon": 2.5}, "horizon"),
        ({"horizon": -1}, "horizon is -1"),
        ({"tracking": -1.0}, "tracking"),
    ],
)
def test_bad_content_names_the_file_and_the_key(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "bad.json", **changes)
    with pytest.raises(ValueError, match="^" + re.escape(f"{path}: ")) as caught:
        memoa.Game.load(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON: Expecting value (line 1, column 1)"),
        ('{"format": }', "not JSON: Expecting value (line 1, column 12)"),
        ("[1, 2]", "holds a JSON array; expected an object"),
        ('{"format": "memoa-game 1", "effort": 1, "effort": 2}', "'effort' occurs twice"),
        ('{"format": "memoa-game 1", "effort": NaN}', "NaN is not JSON"),
        ('{"format": "memoa-game 1", "effort": -Infinity}', "-Infinity is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"format": "memoa-game 1", "effort": ' + "9" * 5000 + "}", "a number of 5000 digits"),
    ],
)
def test_bad_text(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="^" + re.escape(f"{path}: ")) as caught:
        memoa.Game.load(path)
    assert words in str(caught.value)


def test_a_binary_file_and_none_at_all(tmp_path: Path) -> None:
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not UTF-8"):
        memoa.Game.load(tmp_path / "binary.json")
    with pytest.raises(FileNotFoundError):
        memoa.Game.load(tmp_path / "nowhere.json")


def test_numbers_too_large_for_a_float(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(SMALL).replace("0.5]", f"{10**400}]"), encoding="utf-8")
    with pytest.raises(ValueError, match="feature_mean"):
        memoa.Game.load(path)
    path.write_text(json.dumps(SMALL).replace("0.5]", "1e400]"), encoding="utf-8")
    with pytest.raises(ValueError, match="feature_mean"):
        memoa.Game.load(path)


def deep(levels: int) -> str:
    """The small game with a target nested so deeply."""
    nested = "[" * levels + "1.0" + "]" * levels
    return json.dumps(SMALL).replace("[1.0],", nested + ",", 1)


@pytest.mark.parametrize("levels", [5, 100, 300, 450, 700, 990, 5000, 10**6])
def test_deep_nesting_is_one_clear_error_at_any_depth(levels: int, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(deep(levels), encoding="utf-8")
    with pytest.raises(ValueError, match="nested too deeply; expected at most 4 levels"):
        memoa.Game.load(path)


def test_many_keys_are_read_once(tmp_path: Path) -> None:
    """Looking each of them up among the others would take hours."""
    path = tmp_path / "bad.json"
    keys = "".join(f'"k{i}": 1, ' for i in range(200_000))
    path.write_text("{" + keys + '"k7": 1}', encoding="utf-8")
    with pytest.raises(ValueError, match="'k7' occurs twice"):
        memoa.Game.load(path)


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([10**308, 10**309, -1, 0, 1, 2, 1e308, 5e-324]),
)
anything = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=12,
)
keys = st.sampled_from([*SMALL, "tracking", "coupling", "effort", "discount", "transition", "a"])
horizons = st.one_of(anything, st.integers(1, 5)).filter(
    lambda n: not isinstance(n, (int, float)) or n < 100  # a game may be long
)


@given(changes=st.dictionaries(keys, anything, max_size=3), horizon=horizons)
def test_any_content_is_a_game_or_one_line_with_the_file(
    changes: dict[str, Any], horizon: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(SMALL | changes | {"horizon": horizon}), encoding="utf-8")
    try:
        game = memoa.Game.load(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")
        assert "\n" not in str(error)
        assert len(str(error)) < 500
    else:
        assert np.isfinite(game.target).all()


@given(at=st.integers(0, 10**4), byte=st.integers(0, 255), cut=st.integers(0, 10**4))
def test_any_bytes_are_a_game_or_one_line_with_the_file(
    at: int, byte: int, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.json"
    text = bytearray(json.dumps(SMALL).replace('"horizon": 3', '"effort": 0.5').encode())
    text[at % len(text)] = byte
    path.write_bytes(text[: len(text) - cut % 20])
    try:
        memoa.Game.load(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")
