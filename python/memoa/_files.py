"""Writes files completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; at the end that file replaces `path`.

    It does so when its content is on the disk. So `path` is the old file or the new one, even if
    the process, the disk or the power fails. If the body raises, nothing changes. An OSError names
    `path`. Symbolic links and permissions stay. A special file, such as /dev/stdout, is written
    directly.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        yield target
        return
    temporary = target.with_name(f"{target.name}.tmp-{os.urandom(8).hex()}")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode)
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write the text as UTF-8, completely or not at all."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def prepare(folder: Path, names: Iterable[str], *, force: bool) -> None:
    """Make the folder and check that these files can be written there, before the work starts.

    Raises
    ------
    FileExistsError
        If one of them exists and `force` is False.
    OSError
        If the folder cannot be made or written to.
    """
    for name in names:
        if not force and (folder / name).exists():
            raise FileExistsError(f"{folder / name} exists already; --force overwrites it")
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".memoa-{os.urandom(8).hex()}"
    try:
        probe.touch(exist_ok=False)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(folder)) from error
    probe.unlink()


def _sync_folder(folder: Path) -> None:
    """Flush the new name too. Not every system can; the file is complete in any case."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
