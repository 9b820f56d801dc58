"""The command ``memoa run``: forecasts one series with memoa and with greedy agents."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from memoa import OnlineEnsemble, build_info
from memoa._files import prepare, whole, write_text
from memoa.cli.reading import READING, takes
from memoa.cli.series import (
    Data,
    Delay,
    File,
    Force,
    Lags,
    Start,
    Target,
    Warmup,
    load_series,
    tell,
)
from memoa.cli.terminal import lowest_in_bold, progress_bar, wide_console
from memoa.datasets import Series
from memoa.datasets.dates import in_zone, next_date
from memoa.forecasters.two_policies import (
    COLUMNS,
    Encoder,
    Policy,
    PolicyRuns,
    go_on,
    run_and_compare,
)
from memoa.mpi import communicator_of_job
from memoa.run import Run

FILES = ("predictions.csv", "plot.png", "settings.json")


@takes(READING)
def run_command(
    context: typer.Context,
    data: Data,
    target: Target = None,
    file: File = None,
    start: Start = None,
    lags: Lags = None,
    reading: Any = None,
    agents: Annotated[int, typer.Option(min=1, help="Number of agents.")] = 64,
    features: Annotated[int, typer.Option(min=1, help="Features per agent.")] = 16,
    encoder: Annotated[
        Encoder,
        typer.Option(help="Kind of features; wave: with raw inputs and sparse rows."),
    ] = "wave",
    policy: Annotated[
        Policy, typer.Option(help="Policy whose forecasts are written and plotted; both are run.")
    ] = "memoa",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the encoders.")] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of threads.", show_default="all available")
    ] = None,
    intervals: Annotated[
        str, typer.Option(metavar="LEVEL[,LEVEL]", help="Shares of outcomes inside the intervals.")
    ] = "0.8,0.95",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the files.", show_default="memoa-out/NAME"),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Save the state of the ensemble to this file."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Continue with a state written by --save.")
    ] = None,
    delay: Delay = 0,
    warmup: Warmup = 0,
    force: Force = False,
) -> None:
    """Forecast a series online, and compare with greedy agents and with repeating the last value.

    Writes predictions.csv, plot.png and settings.json. If mpiexec has started several processes,
    they share the agents, and the first one prints and writes.
    """
    communicator = communicator_of_job()
    tells = communicator is None or communicator.rank == 0
    model = None if resume is None else _resumed(context, resume, threads, communicator)
    series, source = load_series(
        data, target=target, file=file, start=start, lags=lags, reading=reading
    )
    delay = delay if model is None else model.delay
    series = series.late(delay)
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
        tell(series, source)
    with progress_bar("forecasting") as progress:
        if model is not None:
            found = go_on(series, model, progress, warmup)
        else:
            found = run_and_compare(
                series,
                agents=agents,
                features=features,
                encoder=encoder,
                policy=policy,
                seed=seed,
                threads=threads,
                communicator=communicator,
                progress=progress,
                warmup=warmup,
                intervals=_levels(intervals),
                delay=delay,
            )
    if save is not None:
        found.model.save(save)
    if not tells:
        return
    kept = {} if resume is None else {"resumed": resume}
    write_files(folder, series, found, source | kept | {"warmup": warmup})
    console = wide_console(100)
    console.print(_table(found))
    if len(series.targets) > 1:
        console.print(_target_table(found.per_target))
    typer.echo(_verdict(found.rmse))
    n_scored, n_steps = found.runs[found.policy].n_scored, len(series.Y)
    if n_scored < n_steps:
        typer.echo(f"scored: {n_scored} of {n_steps} steps")
    run = found.runs[found.policy]
    for level, share in zip(run.levels, run.coverage.mean(axis=1)):
        typer.echo(f"the interval of {level:.1%} holds {share:.1%} of the outcomes")
    if run.next is not None:
        typer.echo(f"next: {_next(series, run.next)}")
    typer.echo(f"predictions.csv, plot.png and settings.json are in {folder}")
    if save is not None:
        typer.echo(f"the state is in {save}; continue with --resume {save}")


def _levels(text: str) -> tuple[float, ...]:
    """Return the levels between commas, sorted; none if the text is empty."""
    try:
        return tuple(sorted(float(level) for level in text.split(",") if level.strip()))
    except ValueError:
        raise ValueError(f"--intervals is {text!r}; expected numbers between 0 and 1") from None


def _resumed(
    context: typer.Context, path: Path, threads: int | None, communicator: Any
) -> OnlineEnsemble:
    """Load the ensemble, and refuse the options of a new one."""
    for name in ("agents", "features", "encoder", "policy", "seed", "intervals", "delay"):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise ValueError(f"--{name} has no meaning with --resume: {path} contains it")
    return OnlineEnsemble.load(path, n_threads=threads, communicator=communicator)


def write_files(folder: Path, series: Series, found: PolicyRuns, source: Mapping[str, Any]) -> None:
    """Write predictions.csv, plot.png and settings.json into an existing folder."""
    import pandas as pd

    from memoa.plots.run import best_and_worst, plot_run

    run = found.runs[found.policy]
    best, worst = best_and_worst(run)
    parts = {
        "": run.targets,
        "_server": run.predictions,
        "_mean_field": run.mean_field,
        "_best_agent": best,
        "_worst_agent": worst,
    }
    bounds = run.prediction_intervals
    for k, level in enumerate(run.levels):
        for side, name in enumerate(("low", "high")):
            assert bounds is not None
            parts[f"_{name}_{100 * level:g}"] = bounds[:, k, side]
    # Not from a dict, because a column of the user may have the same name as one of ours.
    frame = pd.DataFrame(
        np.stack(list(parts.values()), axis=2).reshape(len(series.Y), -1),
        columns=[name + part for name in series.targets for part in parts],
        index=None if series.index is None else in_zone(series.index, series.zone),
    )
    if run.next is not None:
        frame.loc[len(frame) if series.index is None else _next_label(series)] = _next_row(run)
    with whole(folder / "predictions.csv") as temporary:
        frame.to_csv(temporary, index_label="step" if series.index is None else "date")
    plot_run(
        series,
        found.runs.get("memoa"),
        found.runs.get("greedy"),
        path=folder / "plot.png",
        policy=found.policy,
    )
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
        "absolute": found.absolute,
        "per_target": found.per_target,
        "coverage": dict(zip(map(str, run.levels), run.coverage.tolist())),
        "next": None if run.next is None else dict(zip(series.targets, run.next.tolist())),
        "best_agent": run.best_agent,
        "worst_agent": run.worst_agent,
    }
    text = json.dumps(settings, indent=2, default=_plain, ensure_ascii=False)
    write_text(folder / "settings.json", text + "\n")


def _plain(value: Any) -> Any:
    """Return encoder and mixture settings as JSON objects, paths as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__name__, **dataclasses.asdict(value)}
    return str(value)


def _table(found: PolicyRuns) -> Table:
    """Return a table of RMSE, and of the server's MAE and MASE."""
    of_rmse = _four_digits(found.rmse)
    of_mae = _four_digits({name: {"mae": row["mae"]} for name, row in found.absolute.items()})
    rows = {
        name: [*(row[key] for key in COLUMNS), *found.absolute[name].values()]
        for name, row in found.rmse.items()
    }
    columns = [*COLUMNS.values(), "MAE", "MASE"]
    writers = [of_rmse] * len(COLUMNS) + [of_mae, lambda x: f"{x:.4f}"]
    return lowest_in_bold("RMSE", columns, rows, writers)


def _target_table(per_target: Mapping[str, Mapping[str, float]]) -> Table:
    """Return a table of the server's RMSE of every target."""
    targets = list(next(iter(per_target.values())))
    rows = {name: list(row.values()) for name, row in per_target.items()}
    writers = [
        _four_digits({name: {target: row[target]} for name, row in per_target.items()})
        for target in targets
    ]
    return lowest_in_bold("server RMSE of", targets, rows, writers)


def _four_digits(rows: Mapping[str, Mapping[str, float]]) -> Callable[[float], str]:
    """Return a format with four digits of the smallest number."""
    smallest = min((v for row in rows.values() for v in row.values() if v > 0.0), default=1.0)
    digits = min(max(3 - math.floor(math.log10(smallest)), 0), 9)
    return lambda x: f"{x:.{digits}f}"


def _next_row(run: Run) -> list[float]:
    """Return the row of predictions.csv for the step after the last one."""
    assert run.next is not None
    row: list[float] = []
    for output, forecast in enumerate(run.next):
        row += [np.nan, forecast, np.nan, np.nan, np.nan]
        if run.next_intervals is not None:
            row += run.next_intervals[:, :, output].ravel().tolist()
    return row


def _next_label(series: Series) -> Any:
    """Return the date after the last one, in its time zone."""
    assert series.index is not None
    following = next_date(series.index, series.zone)
    return in_zone(np.array([following]), series.zone)[0]


def _next(series: Series, forecast: NDArray[np.float64]) -> str:
    """Return the forecast of the step after the last one, in words."""
    values = ", ".join(f"{name} {value:.6g}" for name, value in zip(series.targets, forecast))
    return values if series.index is None else f"{_next_label(series)}, {values}"


def _verdict(rmse: Mapping[str, Mapping[str, float]]) -> str:
    """Say in words what the colours of the table show."""
    best = {key: min(rmse, key=lambda name: rmse[name][key]) for key in COLUMNS}
    text = "lowest: " + ", ".join(f"{COLUMNS[key]} {name}" for key, name in best.items())
    ours, greedy = (rmse.get(name) for name in ("memoa", "greedy"))
    if ours is None or greedy is None:
        return text
    if ours["server"] > greedy["server"] and ours["worst_agent"] < greedy["worst_agent"]:
        text += " (the policy helps the weak agents, the mixture the server)"
    return text


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
