"""``python bench/experiments``, from a checkout in which memoa is installed."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a folder: what is imported is the package that the folder is
    sys.path[0] = str(Path(__file__).resolve().parents[1])

try:
    from experiments.command import make_app
except ModuleNotFoundError as error:
    needs = 'pip install -e ".[experiments]"'
    print(f"experiments: {error.name} is not installed: {needs}", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    make_app()(prog_name="experiments")
