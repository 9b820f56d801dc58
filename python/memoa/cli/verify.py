"""The command ``memoa verify``: numerical checks of the theorems, on a given or random game."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich import box
from rich.table import Table
from rich.text import Text

from memoa import Game, build_info
from memoa._files import prepare, whole, write_text
from memoa.cli.series import Force
from memoa.cli.terminal import progress_bar, wide_console
from memoa.verify import Check, Verification, random_game, verify, verify_panel

FILES = ("verify.csv", "centralized.csv", "checks.json", "game.json", "verify.png")
Columns = Mapping[str, NDArray[np.float64]]

RATE_COLUMNS = {
    "gain_gap": "gain gap",
    "gain_gap_times_n": "N x gap",
    "exploitability": "exploitability",
    "exploitability_times_n2": "N^2 x expl.",
    "limit_exploitability": "of limit policy",
    "nash_exploitability": "of Nash",
    "myopic_exploitability": "of myopic",
}
POLICY_NAMES = {"mean_field": "mean field", "nash": "Nash", "social": "social", "myopic": "myopic"}
ANARCHY_NOTE = (
    "Nash / social is the price of anarchy of the game (1.2). If its coupling stands for a "
    "consensus weight by (1.3), the price of anarchy of the consensus cost differs: theory (7.7)."
)


def verify_command(
    game: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="A game, as written by Game.save.")
    ] = None,
    random: Annotated[
        int | None, typer.Option(metavar="SEED", min=0, help="A random game.", show_default="0")
    ] = None,
    panel: Annotated[
        bool, typer.Option("--panel", help="Check the panel's theorems, on random clients.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of threads.", show_default="all available")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the files.")] = Path(
        "memoa-out/verify"
    ),
    force: Force = False,
) -> None:
    """Check the theorems on a game: gap and exploitability against N, costs and solve times.

    Writes verify.csv, centralized.csv, checks.json, game.json and verify.png. The exit code is 1 if
    a check failed. With --panel the checks are only printed.
    """
    if panel:
        if game is not None or threads is not None:
            raise ValueError("--panel cannot be combined with --game or --threads")
        return _verify_panel(random or 0)
    if game is not None and random is not None:
        raise ValueError("--game and --random cannot be combined")
    played = random_game(random or 0) if game is None else Game.load(game)
    prepare(out, FILES, force=force)
    source = f"random game {random or 0}" if game is None else str(game)
    typer.echo(f"{source}: {describe(played)}; agents start from N(0, I)")
    with progress_bar("verifying") as progress:
        found = verify(played, random_state=random or 0, n_threads=threads, progress=progress)
    write_files(out, found, source)
    _print_report(found)
    typer.echo(f"verify.csv, centralized.csv, checks.json, game.json and verify.png are in {out}")
    if not found.passed:
        raise typer.Exit(1)


def _verify_panel(seed: int) -> None:
    typer.echo(f"random clients {seed}")
    checks = verify_panel(seed)
    wide_console(100).print(_checks_table(checks))
    if not all(check.passed for check in checks):
        raise typer.Exit(1)


def describe(game: Game) -> str:
    """The sizes of a game in words."""
    counts = ((game.n_outputs, "output"), (game.n_features, "feature"))
    words = (f"{number} {word}" + "s" * (number != 1) for number, word in counts)
    return ", ".join((f"horizon {game.horizon}", *words))


def write_files(folder: Path, found: Verification, source: str) -> None:
    """Write verify.csv, centralized.csv, checks.json, game.json and verify.png into a folder."""
    from memoa.plots.verification import plot_verification

    found.game.save(folder / "game.json")
    _write_csv(folder / "verify.csv", found.table)
    _write_csv(folder / "centralized.csv", found.centralized)
    plot_verification(found, path=folder / "verify.png")
    report = {
        "memoa": build_info()["version"],
        "game": source,
        "mean": found.mean.tolist(),
        "cov": found.cov.tolist(),
        "seed": found.seed,
        "slopes": {name: _or_null(slope) for name, slope in found.slopes.items()},
        "checks": [
            check._asdict() | {"measured": _or_null(check.measured)} for check in found.checks
        ],
        "passed": found.passed,
    }
    text = json.dumps(report, indent=2, ensure_ascii=False)
    write_text(folder / "checks.json", text + "\n")


def _or_null(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _write_csv(path: Path, columns: Columns) -> None:
    """Write numbers as `repr` does; empty if there is none."""
    with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            cells = zip(columns, map(float, row), strict=True)
            writer.writerow(
                int(x) if name == "n_agents" else "" if math.isnan(x) else x for name, x in cells
            )


def _print_report(found: Verification) -> None:
    """Print three tables and the checks, at a fixed width for any output."""
    console = wide_console(100)
    table = found.table
    costs = {f"cost_{key}": name for key, name in POLICY_NAMES.items()}
    costs["price_of_anarchy"] = "Nash/social"
    worst = {f"worst_{key}": name for key, name in POLICY_NAMES.items()}
    solves = {"seconds_mean_field": "mean field", "seconds_nash": "Nash"}
    stacked = {"seconds": "seconds", "difference": "difference"}
    for title, names, columns in (
        ("gap of the gains, and exploitability", RATE_COLUMNS, table),
        ("expected cost of an agent", costs, table),
        ("cost of the worst agent, one simulation", worst, table),
        ("seconds to solve", solves, table),
        ("centralized Nash", stacked, found.centralized),
    ):
        console.print(_table(title, names, columns))
        if columns is table and names is costs:
            console.print(ANARCHY_NOTE + "\n", style="dim")
    console.print(_checks_table(found.checks))


def _checks_table(checks: Sequence[Check]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for check in checks:
        mark = Text("pass", style="green") if check.passed else Text("FAIL", style="bold red")
        table.add_row(mark, check.name, _number(check.measured), check.expected)
    return table


def _table(title: str, names: Mapping[str, str], columns: Columns) -> Table:
    """One row per N; rows without any number are left out."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("N", justify="right", no_wrap=True)
    for name in names.values():
        table.add_column(name, justify="right", no_wrap=True)
    for row, n_agents in enumerate(columns["n_agents"]):
        values = [float(columns[key][row]) for key in names]
        if not all(map(math.isnan, values)):
            table.add_row(_agents(n_agents), *map(_number, values))
    return table


def _agents(n_agents: float) -> str:
    exponent = round(math.log10(n_agents))
    is_power = n_agents >= 1e4 and n_agents == 10.0**exponent
    return f"10^{exponent}" if is_power else f"{n_agents:.0f}"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4g}"
