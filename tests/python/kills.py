"""Processes killed while they write: each file is the old one or the new one.

``python tests/python/kills.py [COUNT]`` kills COUNT processes for each kind of file (POSIX).
"""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import memoa

GAME = """
import numpy as np, memoa
steps = np.arange(800.0)[:, None]
games = [memoa.Game(np.full((800, 1, 2), level), np.ones((800, 2)), steps) for level in (1.0, 2.0)]
def write(n): games[n % 2].save(path)
"""
ENSEMBLE = """
import numpy as np, memoa
model = memoa.OnlineEnsemble(300)
model.run(np.arange(60.0).reshape(20, 3), np.arange(20.0))
def write(n): model.save(path)
"""
PANEL = """
import numpy as np, memoa
panel = memoa.Panel(300)
panel.run(np.ones((4, 300, 2)), np.arange(1200.0).reshape(4, 300))
def write(n): panel.save(path)
"""
RUN = """
from pathlib import Path
from typer.testing import CliRunner
from memoa.cli.app import app
def write(n):
    args = ["run", "periodic", "--agents", "3", "--force", "--out", str(Path(path).parent)]
    assert CliRunner().invoke(app, args).exit_code == 0
"""
LOOP = """
import sys
path = sys.argv[1]
{}
write(0)
print("ready", flush=True)
n = 0
while True:
    n += 1
    write(n)
"""


def check_run(path: Path) -> None:
    """The three files of `memoa run`."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert len(rows) > 100
    assert len({len(row) for row in rows}) == 1
    assert (path.parent / "plot.png").read_bytes().endswith(b"IEND\xaeB`\x82")
    json.loads((path.parent / "settings.json").read_text(encoding="utf-8"))


KINDS: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "Game.save": (GAME, "game.json", memoa.Game.load),
    "OnlineEnsemble.save": (ENSEMBLE, "ensemble.npz", memoa.OnlineEnsemble.load),
    "Panel.save": (PANEL, "panel.npz", memoa.Panel.load),
    "memoa run": (RUN, "predictions.csv", check_run),
}


def kill_while_writing(kind: str, folder: Path, count: int) -> None:
    """Kill so many processes at random moments; after each the file is whole."""
    code, name, check = KINDS[kind]
    path = folder / name
    paths = os.pathsep.join(part for part in sys.path if part)
    moments = random.Random(0)
    for _ in range(count):
        process = subprocess.Popen(
            [sys.executable, "-c", LOOP.format(code), str(path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
        )
        assert process.stdout is not None
        with process.stdout:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(moments.uniform(0.0, 0.3))
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=60)
        check(path)


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    for one in KINDS:
        with tempfile.TemporaryDirectory() as work:
            kill_while_writing(one, Path(work), wanted)
        print(f"{one}: {wanted} kills survived", flush=True)
