"""Saved files and pickled states that somebody changed: each is one ValueError, or goes on.

``python tests/python/tampered.py [COUNT [FOLDER]]`` loads COUNT of them; those of files are also
written to FOLDER, for the fuzz target `fuzz_state_file`, which reads them under sanitizers.
"""

from __future__ import annotations

import copy
import io
import json
import struct
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import memoa
from helpers import series

X, Y, INITIAL = series(40, 3, 2)
Tamper = Callable[[bytes, np.random.Generator], bytes]


def small_ensemble() -> memoa.OnlineEnsemble:
    model = memoa.OnlineEnsemble(3, memoa.EchoState(2), mixture=memoa.Mixture(window=2))
    model.run(X[:5, :1], Y[:5, 0])
    model.predict_one(X[5, :1])
    return model


def small_late() -> memoa.OnlineEnsemble:
    """Two forecasts with intervals wait whose y a run has told, and a third waits for its y."""
    model = memoa.OnlineEnsemble(
        3, memoa.Linear(), mixture=memoa.Mixture(window=2), delay=2, intervals=(0.8,), lags=1
    )
    model.run(X[:5, :1], Y[:5, 0])
    model.predict_one(X[5, :1])
    return model


def small_asleep() -> memoa.OnlineEnsemble:
    """Some agents were away, and one is in the forecast that waits."""
    model = memoa.OnlineEnsemble(3, memoa.Linear(), mixture=memoa.Mixture(window=2), lags=1)
    model.run(X[:5, :1], Y[:5, 0], awake=np.arange(15).reshape(5, 3) % 4 > 0)
    model.predict_one(X[5, :1], np.array([True, False, True]))
    return model


def small_panel() -> memoa.Panel:
    panel = memoa.Panel(3)
    panel.run(X[:30].reshape(10, 3, 3), Y[:30, :1].reshape(10, 3))
    panel.predict_one(X[30:33])
    return panel


def small_late_panel() -> memoa.Panel:
    """A run has told the y of one forecast that waits, and not of the other."""
    panel = memoa.Panel(3, delay=1)
    panel.run(X[:30].reshape(10, 3, 3), Y[:30, :1].reshape(10, 3))
    panel.predict_one(X[30:33])
    return panel


# ------------------------------------------------------------------ the format, by a slow writer


def crc64(data: bytes) -> int:
    """CRC-64 of xz, bit by bit over a table."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0xC96C5795D7870F42 if byte & 1 else 0)
        table.append(byte)
    crc = 2**64 - 1
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ (2**64 - 1)


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive(parts: dict[str, bytes]) -> bytes:
    """A state file of these members, with the right checksums: the writer's twin."""
    out, directory = b"", b""
    for name, content in parts.items():
        common = struct.pack(
            "<HHHHHIIIH", 45, 0, 0, 0, 0x21, zlib.crc32(content), 2**32 - 1, 2**32 - 1, len(name)
        )
        size, at = struct.pack("<QQ", len(content), len(content)), struct.pack("<Q", len(out))
        out += b"PK\3\4" + common + struct.pack("<H", 20) + name.encode()
        out += struct.pack("<HH", 1, 16) + size + content
        directory += b"PK\1\2" + struct.pack("<H", 3 << 8 | 45) + common
        directory += struct.pack("<HHHHII", 28, 0, 0, 0, 0o100644 << 16, 2**32 - 1) + name.encode()
        directory += struct.pack("<HH", 1, 24) + size + at
    end = struct.pack("<QQQQ", len(parts), len(parts), len(directory), len(out))
    where = struct.pack("<Q", len(out) + len(directory))
    comment = b"crc-64/xz %016x" % crc64(b"".join(parts.values()))
    return (
        out
        + directory
        + b"PK\6\6"
        + struct.pack("<QHHII", 44, 3 << 8 | 45, 45, 0, 0)
        + end
        + b"PK\6\7"
        + struct.pack("<I", 0)
        + where
        + struct.pack("<I", 1)
        + b"PK\5\6"
        + struct.pack("<HHHHIIH", 0, 0, 2**16 - 1, 2**16 - 1, 2**32 - 1, 2**32 - 1, len(comment))
        + comment
    )


@cache
def header_changes(text: bytes) -> list[bytes]:
    """Headers that somebody might sign: every value replaced by every odd one."""
    header = json.loads(text)
    odd = [
        None,
        True,
        -1,
        -100,
        0,
        1.5,
        2**31,
        2**53 + 1,
        2**63 - 1,
        2**64,
        1e308,
        "x",
        [],
        {},
        [1e300] * 3,
        ["x"],
    ]
    found = []

    def visit(value: Any, where: tuple[Any, ...]) -> None:
        for other in odd:
            if other != value or type(other) is not type(value):
                changed = json.loads(text)
                place = changed
                for key in where[:-1]:
                    place = place[key]
                place[where[-1]] = other
                found.append(json.dumps(changed).encode())
        children = (
            value.items()
            if isinstance(value, dict)
            else (enumerate(value) if isinstance(value, list) else ())
        )
        for key, inner in children:
            visit(inner, (*where, key))

    for key, value in header.items():
        visit(value, (key,))
        found.append(json.dumps({k: v for k, v in header.items() if k != key}).encode())
    return found


# ------------------------------------------------------------------ files


def with_flipped_bit(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    changed[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def truncated(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(len(data))]


def overwritten(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes replaced by others, or by a part of the file from elsewhere."""
    size = int(rng.integers(1, 65))
    to, source = rng.integers(len(data) - size, size=2)
    other = rng.bytes(size) if rng.integers(2) else data[source : source + size]
    return data[:to] + other + data[to + size :] if other != data[to : to + size] else data[:-1]


def signed_header(data: bytes, rng: np.random.Generator) -> bytes:
    """One value of the header replaced by an odd one; the checksums are right."""
    parts = members(data)
    changes = header_changes(parts["header.json"])
    return archive({**parts, "header.json": changes[rng.integers(len(changes))]})


ODD_NUMBERS = (np.nan, np.inf, -np.inf, -1.0, -100.0, 1e300, -1e300, 2.0**63, 5e-324, 0.5)


def signed_number(data: bytes, rng: np.random.Generator) -> bytes:
    """One number of an array replaced by an odd one; the checksums are right."""
    parts = members(data)
    name, numbers = some_array(parts, rng)
    numbers[rng.integers(numbers.size)] = ODD_NUMBERS[rng.integers(len(ODD_NUMBERS))]
    return with_numbers(parts, name, numbers)


def signed_bits(data: bytes, rng: np.random.Generator) -> bytes:
    """A bit of an array's numbers flipped; the checksums are right."""
    parts = members(data)
    name, numbers = some_array(parts, rng)
    bits = numbers.view(np.uint64)
    bits[rng.integers(bits.size)] ^= np.uint64(1) << np.uint64(rng.integers(64))
    return with_numbers(parts, name, numbers)


def signed_sizes(data: bytes, rng: np.random.Generator) -> bytes:
    """An array longer, shorter, missing, or at another's place; the checksums are right."""
    parts = members(data)
    names = [name for name in parts if name != "header.json"]
    first, second = rng.choice(names, 2, replace=False)
    kind = rng.integers(4)
    if kind == 0:
        parts[first] += bytes(8 * int(rng.integers(1, 4)))
    elif kind == 1:
        parts[first] = parts[first][: -int(rng.integers(1, 64))]
    elif kind == 2:
        del parts[first]
    else:
        parts[first], parts[second] = parts[second], parts[first]
    return archive(parts)


TAMPERS: dict[str, Tamper] = {
    "a bit flipped": with_flipped_bit,
    "cut off": truncated,
    "bytes overwritten": overwritten,
    "signed: header": signed_header,
    "signed: a number": signed_number,
    "signed: a bit of a number": signed_bits,
    "signed: sizes and places": signed_sizes,
}


def some_array(parts: dict[str, bytes], rng: np.random.Generator) -> tuple[str, Any]:
    full = [n for n, part in parts.items() if n != "header.json" and not part.endswith(b"\n")]
    name = str(rng.choice(full))
    return name, np.load(io.BytesIO(parts[name])).reshape(-1)


def with_numbers(parts: dict[str, bytes], name: str, numbers: Any) -> bytes:
    content = numbers.tobytes()
    return archive({**parts, name: parts[name][: -len(content)] + content})


def loads_or_refuses(data: bytes, path: Path, kind: type = memoa.OnlineEnsemble) -> str:
    """ "refused" by one clear ValueError, or "loaded", and then it goes on."""
    path.write_bytes(data)
    try:
        model = kind.load(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: "), error
        assert "\n" not in str(error)
        return "refused"
    except MemoryError:  # settings that ask for more than there is: a thousand million inputs
        return "no memory"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numbers of any size may overflow
        go_on(model)
    return "loaded"


def go_on(model: Any) -> None:
    if isinstance(model, memoa.Panel):
        rows = model.n_clients, model.n_features_in_
        if model.delay > 0:
            if model._engine.n_waiting <= model.delay or model._engine.n_told > 0:
                model.predict_one(np.zeros(rows))
            return
        model.learn_one(np.zeros(rows), np.zeros((rows[0], model.n_outputs_)))
        return
    x = np.zeros(model.n_features_in_)
    if model._engines.delay == 0:
        model.learn_one(x, np.zeros(model._engines.n_outputs))
    elif model._engines.core.n_waiting <= model._engines.delay:
        model.predict_one(x)
    else:
        model.predict(x[None])


# ------------------------------------------------------------------ states of pickles


def tampered(state: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """One number, size or entry of a state changed."""
    state = copy.deepcopy(state)
    memory = state["memory"][rng.integers(len(state["memory"]))]
    name = str(rng.choice(sorted(memory)))
    value = memory[name]
    odd = [None, "x", -100, 2**63 - 1, 2**64, np.nan, np.full(3, 7.25), np.zeros((2, 2), int)]
    kind = rng.integers(4)
    if kind == 0 and isinstance(value, np.ndarray) and value.size:
        flat = value.reshape(-1).view(np.uint64)
        flat[rng.integers(flat.size)] ^= np.uint64(1) << np.uint64(rng.integers(64))
    elif kind == 1 and isinstance(value, np.ndarray) and value.size:
        memory[name] = value[:-1]
    elif kind == 2:
        del memory[name]
    else:
        memory[name] = odd[rng.integers(len(odd))]
    return state


def refuses_state(model: Any, rng: np.random.Generator) -> bool:
    """Whether a changed state is one clear ValueError."""
    if isinstance(model, memoa.Panel):
        state = model.__getstate__()
        changed = tampered({"memory": (state["_memory"],)}, rng)["memory"][0]
        made, state = memoa.Panel.__new__(memoa.Panel), {**state, "_memory": changed}
    else:
        engines = type(model._engines)
        made = engines.__new__(engines)
        state = tampered(model.__getstate__()["_engines"].state, rng)
    try:
        made.__setstate__(state)
    except ValueError as error:
        return "is not the state of" in str(error)
    return False


SAVED: dict[str, Callable[[], Any]] = {
    "ensemble": small_ensemble,
    "late ensemble": small_late,
    "sleeping ensemble": small_asleep,
    "panel": small_panel,
}


def main(count: int, folder: Path | None) -> None:
    rng = np.random.default_rng(0)
    n_each = count // (len(SAVED) * (len(TAMPERS) + 1)) + 1
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "a.npz"
        for saved, make in SAVED.items():
            model = make()
            model.save(path)
            whole = path.read_bytes()
            for name, tamper in TAMPERS.items():
                found: Counter[str] = Counter()
                for n in range(n_each):
                    data = tamper(whole, rng)
                    found[loads_or_refuses(data, path, type(model))] += 1
                    if folder is not None:
                        (folder / f"{saved}-{name}-{n}").write_bytes(data)
                assert name.startswith("signed") or set(found) == {"refused"}
                told = ", ".join(f"{n} {what}" for what, n in sorted(found.items()))
                print(f"{saved}: {name}: {told}", flush=True)
            for _ in range(n_each):
                assert refuses_state(model, rng)
            print(f"{saved}: a pickled state: {n_each} refused", flush=True)


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 100_000,
        Path(sys.argv[2]) if len(sys.argv) > 2 else None,
    )
