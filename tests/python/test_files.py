"""Files are written whole or not at all: full disks, kills, links, folders that refuse."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kills import KINDS, kill_while_writing
from memoa._files import prepare, whole, write_text
from tampered import small_ensemble, small_panel

posix = pytest.mark.skipif(os.name != "posix", reason="limits and kills as POSIX has them")


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_and_one_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    assert path.read_text(encoding="utf-8") == "old"
    write_text(path, "néw")
    assert path.read_text(encoding="utf-8") == "néw"
    assert entries(tmp_path) == ["a.txt"]


def test_an_error_inside_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), whole(path) as temporary:
            temporary.write_text("half")
            raise error
    assert path.read_text() == "old"
    assert entries(tmp_path) == ["a.txt"]


def test_links_and_permissions_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "a.txt", tmp_path / "link.txt"
    write_text(path, "old")
    path.chmod(0o640)
    link.symlink_to(path)
    write_text(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_an_error_of_the_system_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "a.txt"
    with pytest.raises(FileNotFoundError, match=re.escape(str(path))):
        write_text(path, "x")


@posix
def test_what_is_no_regular_file_is_written_to_directly() -> None:
    write_text("/dev/null", "x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_prepare_says_what_is_in_the_way(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "deeper"
    prepare(folder, ["a.csv", "b.csv"], force=False)
    assert entries(folder) == []
    write_text(folder / "b.csv", "x")
    with pytest.raises(FileExistsError, match=r"b\.csv exists already; --force"):
        prepare(folder, ["a.csv", "b.csv"], force=False)
    prepare(folder, ["a.csv", "b.csv"], force=True)
    with pytest.raises(OSError, match=re.escape(str(folder / "b.csv"))):
        prepare(folder / "b.csv", ["a.csv"], force=True)


LIMITED = """
import resource, signal, sys
import numpy as np, memoa
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
game = memoa.Game(np.ones((300, 1, 2)), np.ones((300, 2)), np.arange(300.0)[:, None])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    game.save(sys.argv[1])
except OSError as error:
    print(error.filename, error.strerror, sep="|")
"""


@posix
def test_a_disk_that_is_full_leaves_the_old_file(tmp_path: Path) -> None:
    """A limit on the size of a file stands for the disk: the same calls fail, in the middle."""
    path = tmp_path / "game.json"
    path.write_text("old")
    said = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert said.stdout.strip() == f"{path}|File too large"
    assert path.read_text() == "old"
    assert entries(tmp_path) == ["game.json"]


@posix
@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_at_any_moment_leaves_a_whole_file(kind: str, tmp_path: Path) -> None:
    kill_while_writing(kind, tmp_path, 2)


SAVES = """
import resource, signal, sys
import numpy as np, memoa
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
X, Y = np.arange(60.0).reshape(20, 3), np.arange(20.0)
if sys.argv[2] == "panel":
    model = memoa.Panel(3)
    model.run(X[:18].reshape(6, 3, 3), Y[:18].reshape(6, 3))
else:
    model = memoa.OnlineEnsemble(50)
    model.run(X, Y)
for limit in (100, 3000):  # within the header, and within the arrays
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        model.save(sys.argv[1])
    except OSError as error:
        print(error.filename, error.strerror, sep="|")
"""


@posix
@pytest.mark.parametrize("kind", ["ensemble", "panel"])
def test_a_disk_that_is_full_leaves_the_old_state(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    path.write_text("old")
    said = subprocess.run(
        [sys.executable, "-c", SAVES, str(path), kind],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert said.stdout.splitlines() == [f"{path}|File too large"] * 2
    assert path.read_text() == "old"
    assert entries(tmp_path) == ["state.npz"]


@posix
@pytest.mark.parametrize("make", [small_ensemble, small_panel])
def test_a_folder_that_refuses_is_an_error_with_the_file(make: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", Path("/proc/self"), tmp_path / "missing"):  # root too
        with pytest.raises(OSError, match="state.npz"):
            make().save(folder / "state.npz")
