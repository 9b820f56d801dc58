"""Fifteen real series, one step ahead: memoa with and without a season, beside AutoETS.

    pip install --no-deps vega_datasets statsmodels sktime pmdarima river
    python bench/real_series.py [lags]

The series come from files within those packages, none of which is imported but river; what is not
installed is left out. Errors are root-mean-square over the last min(T / 2, 200) steps. *default* is
`memoa.OnlineEnsemble()` on two lags, *season* the same with the inputs of `memoa run --season M`.
AutoETS of statsforecast 2.1.1 sees the series alone and is refitted every step (every 25 steps on
long ones; seasonal for seasons of up to 24 steps): its errors were measured once and are kept here.

With `lags` it prints errors with other numbers of lags instead, relative to two, without and with
the inputs of the season, and their geometric means.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import memoa

Row = tuple[str, Any, int | None, float]  # name, values, season, error of AutoETS


def folder(package: str) -> Path | None:
    found = find_spec(package)
    return None if found is None or found.origin is None else Path(found.origin).parent


def csv_file(package: str, part: str) -> Any:
    """The first table whose path in a package has that part; None where it is not installed."""
    at = folder(package)
    if at is None:
        return None
    ends = (".csv", ".csv.gz", ".tar.gz")
    found = sorted(p for p in at.rglob("*") if part in str(p) and p.name.endswith(ends))
    return pd.read_csv(found[0]) if found else None


def from_river(name: str) -> Any:
    if folder("river") is None:
        return None
    from river import datasets

    return [y for _, y in getattr(datasets, name)()]


def column(frame: Any, name: str | int) -> Any:
    if frame is None:
        return None
    values = frame[name] if isinstance(name, str) else frame.iloc[:, name]
    return pd.to_numeric(values, errors="coerce").interpolate()


def series() -> Iterator[Row]:
    elnino = csv_file("statsmodels", "datasets/elnino/")
    yield "airline passengers", from_river("AirlinePassengers"), 12, 21.1
    yield "us-employment", column(csv_file("vega_datasets", "us-employment"), "nonfarm"), 12, 88.5
    yield "sunspots, yearly", column(csv_file("statsmodels", "datasets/sunspots/"), 1), 11, 21.9
    yield "nile", column(csv_file("statsmodels", "datasets/nile/"), "volume"), None, 123.0
    yield "co2, weekly", column(csv_file("statsmodels", "datasets/co2/"), "co2"), 52, 0.480
    yield "elec_equip", column(csv_file("statsmodels", "datasets/elec_equip/"), 1), 12, 3.12
    yield (
        "elnino, monthly",
        None if elnino is None else elnino.iloc[:, 1:].to_numpy().ravel(),
        12,
        0.498,
    )
    yield "seatbelts", column(csv_file("sktime", "seatbelts"), "KSI"), 12, 128.0
    yield "macrodata, inflation", column(csv_file("statsmodels", "macrodata/"), "infl"), 4, 2.42
    yield "trump approval", from_river("TrumpApproval"), 7, 0.183
    yield "water-flow", from_river("WaterFlow"), 24, 0.270
    weather, temps = (csv_file("vega_datasets", f"seattle-{name}") for name in ("weather", "temps"))
    yield "seattle-weather, temp_max", column(weather, "temp_max"), 365, 2.85
    yield "seattle-temps", column(temps, "temp"), 24, 0.127
    yield "stocks: MSFT, daily", column(csv_file("pmdarima", "msft"), "Close"), 5, 0.662
    yield "lynx", column(csv_file("sktime", "Lynx"), -1), 10, 1438.0


def error(values: Any, season: int | None, lags: int = 2) -> float:
    """Root-mean-square error over the last steps, from a file as a user would have it."""
    with tempfile.TemporaryDirectory() as there:
        path = Path(there, "series.csv")
        pd.DataFrame({"y": np.asarray(values, dtype=float)}).to_csv(path, index=False)
        found = memoa.datasets.load_csv(path, target="y", season=season, lags=lags)
    run = memoa.OnlineEnsemble().run(found.X, found.Y, initial=found.initial)
    last = min(len(values) // 2, 200)
    return float(np.sqrt(np.mean(np.square(run.predictions - run.targets)[-last:])))


def compare_lags() -> None:
    columns = (1, 3, 4, 6, "m + 1")
    print(f"{'errors relative to 2 lags':38}" + "".join(f"{lags:>9}" for lags in columns))
    found: dict[str, list[np.ndarray]] = {"no season": [], "season": []}
    for name, values, season, _ in series():
        if values is None or season is None or season > 52:
            continue
        y = np.asarray(values, dtype=float)
        for kind, steps in (("no season", None), ("season", season)):
            errors = [error(y, steps, season + 1 if n == "m + 1" else int(n)) for n in columns]
            found[kind].append(np.array(errors) / error(y, steps))
            cells = "".join(f"{ratio:9.3f}" for ratio in found[kind][-1])
            print(f"{f'{name}, {kind}':38}{cells}", flush=True)
    for kind, ratios in found.items():
        cells = "".join(f"{ratio:9.3f}" for ratio in np.exp(np.log(ratios).mean(axis=0)))
        print(f"{f'geometric mean, {kind}':38}{cells}")


def main() -> None:
    if sys.argv[1:] == ["lags"]:
        return compare_lags()
    print(f"{'series (T, season)':38}{'repeat':>9}{'default':>9}{'season':>9}{'AutoETS':>9}")
    wins = count = 0
    for name, values, season, autoets in series():
        if values is None:
            print(f"{name:38} left out: its package is not installed")
            continue
        y = np.asarray(values, dtype=float)
        last = np.diff(y)[-min(len(y) // 2, 200) :]
        repeat = float(np.sqrt(np.mean(last**2)))
        row = repeat, error(y, None), error(y, season), autoets
        digits = [float(f"{value:.3g}") for value in row]
        wins, count = wins + (digits[2] <= digits[3]), count + 1
        cells = "".join(f"{value:9.3g}" for value in row)
        print(f"{f'{name} ({len(y)}, {season})':38}{cells}", flush=True)
    print(f"season at or below AutoETS, to three digits: {wins} of {count}")


if __name__ == "__main__":
    main()
