"""The command ``memoa run``: one series, memoa and greedy agents, a table and three files."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from memoa import OnlineEnsemble, build_info
from memoa._files import prepare, whole, write_text
from memoa.cli.series import Data, File, Force, Lags, Start, Target, load_series
from memoa.cli.terminal import lowest_in_bold, progress_bar, wide_console
from memoa.datasets import Series
from memoa.forecasters.two_policies import (
    COLUMNS,
    Encoder,
    Policy,
    PolicyRuns,
    go_on,
    run_and_compare,
)
from memoa.mpi import communicator_of_job

FILES = ("predictions.csv", "plot.png", "settings.json")


def run_command(
    context: typer.Context,
    data: Data,
    target: Target = None,
    file: File = None,
    start: Start = None,
    lags: Lags = None,
    agents: Annotated[int, typer.Option(min=1, help="Number of agents.")] = 64,
    features: Annotated[int, typer.Option(min=1, help="Features per agent.")] = 16,
    encoder: Annotated[
        Encoder,
        typer.Option(help="What makes the features; wave: with raw inputs and sparse rows."),
    ] = "wave",
    policy: Annotated[
        Policy, typer.Option(help="Whose forecasts are written and drawn; both are run.")
    ] = "memoa",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the encoders.")] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads.", show_default="all that may be used")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where files go.", show_default="memoa-out/NAME"),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep what the agents learnt in this file.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Go on with what --save kept.")
    ] = None,
    force: Force = False,
) -> None:
    """Forecast a series online, and compare with greedy agents and with repeating the last value.

    Writes predictions.csv, plot.png and settings.json. Where mpiexec has started several processes,
    they share the agents, and the first of them tells and writes.
    """
    communicator = communicator_of_job()
    tells = communicator is None or communicator.rank == 0
    model = None if resume is None else _resumed(context, resume, threads, communicator)
    series, source = load_series(data, target=target, file=file, start=start, lags=lags)
    folder = out if out is not None else Path("memoa-out", series.name)
    if tells:
        prepare(folder, FILES, force=force)
        if save is not None:
            prepare(save.parent, [save.name], force=force)
    agents = agents if model is None else model.n_agents
    n_steps, n_inputs = series.X.shape
    if tells:
        typer.echo(
            f"{series.name}: {_count(n_steps, 'step')}, {_count(n_inputs, 'input')}, "
            f"{_count(series.Y.shape[1], 'output')}, {_count(agents, 'agent')}"
        )
    with progress_bar("forecasting") as progress:
        if model is not None:
            found = go_on(series, model, progress)
        else:
            found = run_and_compare(
                series, agents=agents, features=features, encoder=encoder, policy=policy,
                seed=seed, threads=threads, communicator=communicator, progress=progress,
            )  # fmt: skip
    if save is not None:
        found.model.save(save)
    if not tells:
        return
    kept = {} if resume is None else {"resumed": resume}
    write_files(folder, series, found, source | kept)
    wide_console(80).print(_rmse_table(found.rmse))
    typer.echo(_verdict(found.rmse))
    typer.echo(f"predictions.csv, plot.png and settings.json are in {folder}")
    if save is not None:
        typer.echo(f"what the agents learnt is in {save}; --resume {save} goes on with it")


def _resumed(
    context: typer.Context, path: Path, threads: int | None, communicator: Any
) -> OnlineEnsemble:
    """The ensemble of the file, with which the options for a new one make no sense."""
    for name in ("agents", "features", "encoder", "policy", "seed"):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise ValueError(f"--{name} has no meaning with --resume: {path} says it")
    return OnlineEnsemble.load(path, n_threads=threads, communicator=communicator)


def write_files(folder: Path, series: Series, found: PolicyRuns, source: Mapping[str, Any]) -> None:
    """Write predictions.csv, plot.png and settings.json into an existing folder."""
    import pandas as pd

    from memoa.plots.run import best_and_worst, plot_run

    run = found.runs[found.policy]
    best, worst = best_and_worst(run)
    parts = {"": run.targets, "_server": run.predictions, "_mean_field": run.mean_field,
             "_best_agent": best, "_worst_agent": worst}  # fmt: skip
    # Not from a dict: a column of the user's may well be called like one of ours.
    frame = pd.DataFrame(
        np.stack(list(parts.values()), axis=2).reshape(len(series.Y), -1),
        columns=[name + part for name in series.targets for part in parts],
        index=series.index,
    )
    with whole(folder / "predictions.csv") as temporary:
        frame.to_csv(temporary, index_label="step" if series.index is None else "date")
    plot_run(
        series, found.runs.get("memoa"), found.runs.get("greedy"),
        path=folder / "plot.png", policy=found.policy,
    )  # fmt: skip
    settings = {
        "memoa": build_info()["version"],
        "series": {
            "name": series.name,
            **source,
            "n_steps": len(series.Y),
            "inputs": series.columns,
            "targets": series.targets,
        },
        "ensemble": {
            name: value
            for name, value in found.model.get_params(deep=False).items()
            if name != "communicator"
        },
        "rmse": found.rmse,
        "best_agent": run.best_agent,
        "worst_agent": run.worst_agent,
    }
    text = json.dumps(settings, indent=2, default=_plain, ensure_ascii=False)
    write_text(folder / "settings.json", text + "\n")


def _plain(value: Any) -> Any:
    """Encoder and mixture settings as JSON objects, paths as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__name__, **dataclasses.asdict(value)}
    return str(value)


def _rmse_table(rmse: Mapping[str, Mapping[str, float]]) -> Table:
    """The RMSEs with four digits of the smallest."""
    smallest = min((v for row in rmse.values() for v in row.values() if v > 0.0), default=1.0)
    digits = min(max(3 - math.floor(math.log10(smallest)), 0), 9)
    rows = {name: [row[key] for key in COLUMNS] for name, row in rmse.items()}
    return lowest_in_bold("RMSE", list(COLUMNS.values()), rows, lambda x: f"{x:.{digits}f}")


def _verdict(rmse: Mapping[str, Mapping[str, float]]) -> str:
    """What the colours of the table say, for those who do not see them."""
    best = {key: min(rmse, key=lambda name: rmse[name][key]) for key in COLUMNS}
    text = "lowest: " + ", ".join(f"{COLUMNS[key]} {name}" for key, name in best.items())
    ours, greedy = (rmse.get(name) for name in ("memoa", "greedy"))
    if ours is None or greedy is None:
        return text
    if ours["server"] > greedy["server"] and ours["worst_agent"] < greedy["worst_agent"]:
        text += " (the policy is for the weak agents, the mixture for the mean)"
    return text


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
