"""Run the code of the tutorials while the site is built, and show what it prints and draws.

The ``python`` and ``bash`` blocks of a page follow each other in one namespace and one folder. A
block that fails ends the build.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging

import memoa

FOLDER = "tutorials/"
WITH_LIBRARY = {"tutorials/cpp"}  # an editable installation has none
_log = logging.getLogger(__name__)
SOURCES = Path(__file__).resolve().parents[2]


def run_python(code: str, namespace: dict[str, Any]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "<block>", "exec"), namespace)
    return printed.getvalue()


def run_bash(code: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    found = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        env={**os.environ, "PATH": path, "COLUMNS": "90", "NO_COLOR": "1", "SOURCES": str(SOURCES)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if found.returncode != 0:
        raise RuntimeError(f"exit status {found.returncode}\n{found.stdout}")
    return found.stdout


def pictures(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}


def run_page(app: Sphinx, doctree: nodes.document) -> None:
    page = app.env.docname
    if not page.startswith(FOLDER):
        return
    if page in WITH_LIBRARY and not Path(memoa.get_cmake_dir()).is_dir():
        _log.info(f"{page} is not run: this installation of memoa has no C++ library")
        return
    blocks = [b for b in doctree.findall(nodes.literal_block) if is_run(b)]
    namespace: dict[str, Any] = {"__name__": "__main__"}
    shown = Path(app.srcdir) / "tutorials" / "shown" / page.removeprefix(FOLDER)
    back = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        os.chdir(folder)
        try:
            for number, block in enumerate(blocks, start=1):
                before = pictures(folder)
                try:
                    if block["language"] == "bash":
                        printed = run_bash(block.astext())
                    else:
                        printed = run_python(block.astext(), namespace)
                except Exception as error:
                    message = f"{page}, block {number}: {type(error).__name__}: {error}"
                    raise ExtensionError(message) from error
                drawn = [p for p, time in pictures(folder).items() if before.get(p) != time]
                show(app, block, printed, drawn, shown, number)
        finally:
            os.chdir(back)


def is_run(block: nodes.literal_block) -> bool:
    return block.get("language") in ("python", "bash") and "source" not in block


def show(
    app: Sphinx,
    block: nodes.literal_block,
    printed: str,
    drawn: list[Path],
    shown: Path,
    number: int,
) -> None:
    """Put what a block printed and drew behind it."""
    after: list[nodes.Node] = []
    if printed.strip():
        text = printed.rstrip() + "\n"
        after.append(nodes.literal_block(text, text, language="none", classes=["printed"]))
    for picture in drawn:
        shown.mkdir(parents=True, exist_ok=True)
        kept = shown / f"{number}-{picture.name}"
        kept.write_bytes(picture.read_bytes())
        uri = kept.relative_to(app.srcdir).as_posix()
        image = nodes.image(uri=uri, alt=f"Drawn by the code above: {picture.stem}")
        image["candidates"] = {"*": uri}
        app.env.images.add_file(app.env.docname, uri)
        after.append(image)
    at = block.parent.index(block) + 1
    block.parent[at:at] = after


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", run_page)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
