"""Several leads of hourly series: memoa beside repetition, and beside feeding on its own forecasts.

    python bench/leads.py [ETTh1.csv] [--rows 5000]

Oil temperature of ETTh1.csv (ETDataset; left out where no path is given) and hourly
temperatures of Seattle (``pip install --no-deps vega_datasets``); what is not there is left out.
Root-mean-square errors over all rows but the first two weeks: `memoa.MultiHorizon`, its mean and
worst agent, the last value, the same hour of the last day that is known, and one ensemble of lead 1
whose forecasts become its inputs, which are the last 24 values (recursive, made every 24 rows;
*server, there* is the error of the leads at the same rows). Shares are those of the outcomes within
intervals of 80 %.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

import memoa
from memoa.horizon import recursive_forecasts
from memoa.plots.horizon import plot_fan

LEADS, DAY, WARMUP = (1, 24, 168), 24, 336
FORMS = ((2, DAY), (DAY, None))  # lags and season of the leads, and of what feeds on itself


def series(ett: Path | None) -> Iterator[tuple[str, pd.Series]]:
    if ett is not None:
        yield "ETT, oil temperature", pd.read_csv(ett)["OT"]
    vega = find_spec("vega_datasets")
    if vega is not None and vega.origin is not None:
        found = sorted(Path(vega.origin).parent.rglob("seattle-temps.csv"))
        if found:
            yield "Seattle, temperature", pd.read_csv(found[0])["temp"]


def made(values: pd.Series, lags: int, season: int | None) -> memoa.datasets.Series:
    """The series of a file, as a user would have it."""
    with tempfile.TemporaryDirectory() as there:
        path = Path(there, "series.csv")
        values.to_frame("y").to_csv(path, index=False)
        return memoa.datasets.load_csv(path, target="y", lags=lags, season=season)


def table(values: pd.Series, rows: int) -> tuple[pd.DataFrame, memoa.MultiHorizonRun, float]:
    """Errors by lead, the run itself, and the seconds that it took."""
    s, fed_back = (made(values[: rows + DAY], lags, season) for lags, season in FORMS)
    ensemble = memoa.OnlineEnsemble(intervals=(0.8,))
    began = time.perf_counter()
    assert s.next_x is not None
    X = np.vstack([s.X, s.next_x])
    found = memoa.MultiHorizon(ensemble, LEADS).run(X, s.Y, initial=s.initial, warmup=WARMUP)
    took = time.perf_counter() - began
    past = [[column] for column in range(DAY)]
    recursive = recursive_forecasts(
        ensemble, fed_back.X, fed_back.Y, LEADS, past=past, initial=fed_back.initial, every=DAY
    )
    skipped = len(s.Y) - len(fed_back.Y)  # rows without 24 lags
    none = np.full((len(LEADS), skipped, 1), np.nan)
    recursive = np.concatenate([none, recursive], axis=1)
    frame = found.to_frame(season=DAY, recursive=recursive)
    # the same rows for the two that are compared
    there = ~np.isnan(recursive)
    theirs = np.where(there, found.predictions, np.nan)
    frame["server, there"] = found.to_frame(there=theirs)["there"]
    return frame, found, took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ett", nargs="?", type=Path)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--plot", type=Path, help="folder for the fans")
    given = parser.parse_args()
    pd.set_option("display.width", 160, "display.max_columns", 20)
    for name, values in series(given.ett):
        frame, found, took = table(values, given.rows)
        print(f"{name}: {len(found.Y)} rows, {took:.1f} s for {len(LEADS)} leads")
        print(frame.to_string(float_format=lambda x: f"{x:.3f}"), flush=True)
        if given.plot is not None:
            plot_fan(found, path=given.plot / f"{name.split(',')[0].lower()}-leads.png")


if __name__ == "__main__":
    main()
