"""Entry of the command line: ``memoa`` and ``python -m memoa``."""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDED = ("typer", "rich", "pandas", "matplotlib")


def main() -> None:
    """Run the command line; without its packages, say in one line how to get them (exit code 2)."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        needs = ", ".join(missing)
        print(f'memoa: the command line needs {needs}: pip install "memoa[cli]"', file=sys.stderr)
        sys.exit(2)
    from memoa.cli.app import app

    try:
        app(prog_name="memoa")
    except SystemExit as end:
        mpi = sys.modules.get("memoa.mpi")
        if mpi is not None and end.code not in (None, 0):
            mpi.end_job()  # the other processes would wait for this one
        raise


if __name__ == "__main__":
    main()
