"""The tables of docs/panel.md: errors of a panel and its rivals, liars, sleepers, late joiners.

    python bench/panel_study.py [FOLDER]

FOLDER holds texas_home_sales.csv, texas_home_prices.csv and tourism_monthly.csv.gz in panels/, and
bank_of_canada_exchange_rates.csv and ETTh1.csv; without it the generated panels are all. Numbers
are RMSEs over the client's own repeat-last RMSE, mean client / worst client. AutoETS and Theta need
`pip install statsforecast`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import memoa
from memoa import datasets
from memoa.datasets import PanelSeries, load_long
from memoa.forecasters.panel_comparison import PANEL, compare_panel
from memoa.forecasters.panel_rivals import alone

LIES = ("constants", "noise", "flipped")
FIRST = 20  # steps of a late joiner


def wide_file(path: Path, names: list[str] | None, season: int | None) -> PanelSeries:
    """The columns of a file as clients."""
    import pandas as pd

    wide = pd.read_csv(path)
    columns = names or [name for name in wide.columns if name != "date"]
    long = wide.assign(ds=np.arange(len(wide))).melt("ds", columns, "unique_id", "y")
    return load_long(long, season=season)


def panels(folder: Path | None) -> Iterator[tuple[str, PanelSeries]]:
    """All panels of the study that are here."""
    for name, make in datasets.PANELS.items():
        yield name, make()
    if folder is None:
        return
    for file in ("texas_home_sales.csv", "texas_home_prices.csv", "tourism_monthly.csv.gz"):
        name = file.split(".")[0].replace("_", " ")
        for smooth in (False, True):
            series = load_long(folder / "panels" / file, season=12, holt_winters=smooth, log=True)
            yield name + ", Holt-Winters" * smooth, series
    yield "12 currencies", wide_file(folder / "bank_of_canada_exchange_rates.csv", None, None)
    yield "ETTh1, 7 columns", wide_file(folder / "ETTh1.csv", None, 24)


def run(series: PanelSeries, awake: np.ndarray | None = None) -> memoa.PanelRun:
    flags = series.awake if awake is None else awake & series.awake
    panel = memoa.Panel(len(series.ids))
    return panel.run(series.X, series.Y, initial=series.initial, awake=flags)


def errors(name: str, series: PanelSeries) -> str:
    found = compare_panel(series)
    cells = [f"{found.mean(rival):.3f}/{found.worst(rival):.3f}" for rival in found.runs]
    return " | ".join(["", name, *cells[:-1], f"{found.better_than_alone(PANEL):.0%}", ""])


def lied(series: PanelSeries, lie: str, liars: np.ndarray) -> PanelSeries:
    """A tenth of the clients with targets that teach them nonsense, inputs as they were."""
    rng = np.random.default_rng(0)
    values = np.concatenate([series.initial[None], series.Y])
    steps = np.arange(len(values))[:, None, None]
    false = {
        "constants": 5.0 * steps + np.zeros_like(values),
        "noise": 10.0 * rng.normal(size=values.shape),
        "flipped": -values,
    }[lie]
    values = np.where(liars[:, None] & ~np.isnan(values), false, values)
    return PanelSeries(series.X, values[1:], values[0], series.ids, series.times, series.columns)


def robust(name: str, series: PanelSeries) -> str:
    """Change of the honest clients' mean error."""
    liars = np.arange(len(series.ids)) % 10 == 3
    rng = np.random.default_rng(0)
    clean = run(series).relative_rmse()
    before = np.nanmean(clean[~liars])
    cells = [
        f"{np.nanmean(run(lied(series, lie, liars)).relative_rmse()[~liars]) / before - 1:+.2%}"
        for lie in LIES
    ]
    half = run(series, rng.random(series.Y.shape[:2]) < 0.5).relative_rmse()
    cells.append(f"{np.nanmean(half) / np.nanmean(clean) - 1:+.2%}")
    return " | ".join(["", name, *cells, late(series), ""])


def late(series: PanelSeries) -> str:
    """30 % begin in the second half: their first steps in the panel over those alone."""
    n_steps, n_clients = series.Y.shape[:2]
    if n_steps < 4 * FIRST:
        return "-"
    rng = np.random.default_rng(1)
    first = rng.integers(n_steps // 2, n_steps - FIRST - 2, size=n_clients)
    first[rng.random(n_clients) >= 0.3] = -1
    Y, initial = series.Y.copy(), series.initial.copy()
    Y[np.arange(n_steps)[:, None] < first] = np.nan
    initial[first >= 0] = np.nan
    other = PanelSeries(series.X, Y, initial, series.ids, series.times, series.columns)
    runs = run(other), memoa.PanelRun(alone(other, None), Y, initial)
    scored = np.cumsum(~np.isnan(runs[0].predictions - Y), axis=0)
    inside = (scored > 1) & (scored <= FIRST + 1) & (first >= 0)[:, None]
    unit = np.sqrt(np.nanmean(np.diff(series.Y, axis=0) ** 2, axis=0))
    mine, theirs = (np.where(inside, (one.predictions - Y) / unit, np.nan) for one in runs)
    return f"{np.sqrt(np.nanmean(mine**2) / np.nanmean(theirs**2)):.3f}"


def twelve_cities(folder: Path) -> Iterator[str]:
    """The last 60 months of the first twelve cities without gaps."""
    file = folder / "panels" / "texas_home_sales.csv"
    for smooth in (False, True):
        series = load_long(file, season=12, holt_winters=smooth, log=True)
        gaps = np.isnan(series.Y).any(axis=(0, 2)) | np.isnan(series.initial[:, 0])
        whole = np.flatnonzero(~gaps)
        ratio = run(series).relative_rmse(last=60)[whole[:12]]
        yield f"panel{', Holt-Winters inputs' * smooth}: {ratio.mean():.3f}"
    try:
        from statsforecast.models import AutoETS, AutoTheta
    except ImportError:
        yield "AutoETS, Theta: left out, statsforecast is not installed"
        return
    values = np.concatenate([series.initial[None], series.Y])[:, whole[:12], 0]
    for model in (AutoETS, AutoTheta):
        yield f"{model.__name__}, refitted every month: {refitted(values, model):.3f}"


def refitted(values: np.ndarray, model: Callable[..., object]) -> float:
    ratios = []
    for y in values.T:
        forecasts = [
            model(season_length=12).forecast(y=y[:t], h=1)["mean"][0]  # type: ignore[attr-defined]
            for t in range(len(y) - 60, len(y))
        ]
        error, change = y[-60:] - forecasts, np.diff(y)[-60:]
        ratios.append(np.sqrt(np.mean(error**2) / np.mean(change**2)))
    return float(np.mean(ratios))


def main() -> None:
    """Print the tables in markdown."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    all_panels = list(panels(folder))
    names = ("panel", "greedy", "private ridge", "mix of ridges", "pooled", "smoothing", "gain")
    print(" | ".join(["", "panel of", *names, ""]).strip())
    print("|---" * (len(names) + 1) + "|")
    for name, series in all_panels:
        print(errors(name, series).strip(), flush=True)
    titles = ("panel of", *LIES, "half awake", "late / alone")
    print("\n" + " | ".join(["", *titles, ""]).strip())
    print("|---" * len(titles) + "|")
    for name, series in all_panels:
        print(robust(name, series).strip(), flush=True)
    if folder is not None:
        print("\n" + "\n".join(f"- {line}" for line in twelve_cities(folder)))


if __name__ == "__main__":
    main()
