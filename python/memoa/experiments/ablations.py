"""What each setting does: one figure for each, everything else as constructed by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from memoa import OnlineEnsemble
from memoa.experiments import variants
from memoa.experiments.benchmarks import load
from memoa.experiments.pieces import Piece, Result
from memoa.experiments.section import (
    Context,
    Section,
    image,
    number,
    quartiles,
    table,
    write_csv,
)
from memoa.forecasters.comparison import evaluate
from memoa.forecasters.standard import GREEDY, MEMOA, REPEAT, standard_forecasters

NAME = "ablations"
SERIES = ("logistic", "drift-1d", "boc", "ett")
MEASURES = ("server_rmse", "mean_agent_rmse", "worst_agent_rmse")


@dataclass(frozen=True)
class Knob:
    """A setting and the values it is given.

    Attributes
    ----------
    title, axis : str
    values : tuple of float
    changes_greedy : bool
        Whether the greedy population has this setting too.
    """

    title: str
    axis: str
    values: tuple[float, ...]
    changes_greedy: bool

    def seeds(self, value: float, seeds: tuple[int, ...]) -> tuple[int, ...]:
        """Fewer for crowds so large that agents are hardly a matter of luck, and take long."""
        few = 1 if value > 10_000 else 3 if value > 1_000 else len(seeds)
        return seeds[:few] if self.title == "population size" else seeds


KNOBS = {
    "consensus": Knob(
        "consensus weight", "consensus l", (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0), False
    ),
    "effort": Knob("price of effort", "effort g", (1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0), False),
    "horizon": Knob("horizon", "stages T", (1, 2, 4, 8, 16, 32), False),
    "n_agents": Knob(
        "population size", "agents N", (1, 2, 5, 10, 30, 100, 300, 1_000, 10_000, 100_000), True
    ),
    "n_features": Knob("features per agent", "features p", (2, 4, 8, 12, 16, 24, 40), True),
    "window": Knob("window of the mixture", "steps", (0, 2, 4, 8, 16, 32, 64, 128), True),
    "mixture_ridge": Knob("ridge of the mixture", "ridge", (0.01, 0.03, 0.1, 0.3, 1, 3, 10), True),
}
MEAN_FIELD = {
    "communication": Knob(
        "mean field communicated every k steps", "k", (1, 2, 4, 8, 16, 32, 64), False
    ),
    "noise": Knob(
        "noise in the mean field", "noise / RMSE of repeating",
        (0.0, 0.03, 0.1, 0.3, 1.0, 3.0), False,
    ),
}  # fmt: skip
NOTES = {
    "n_agents": (
        "The worst of more agents is worse by chance alone. The largest crowds have fewer seeds, "
        "and are not run over the long series.",
    ),
    "communication": (
        "Every k-th step the agents hear the mean field, the means of energies, of local forecasts "
        "and of predictions, relative to the last value. In between they go by what they heard "
        "last, or (green) take all others for copies of themselves. Where local forecasts are "
        "mostly noise, an old mean may do as well as a new one, for it only draws agents together.",
    ),
    "noise": (
        "Every agent hears the mean of local forecasts and that of predictions with an error of "
        "its own, of this standard deviation relative to the error of repeating the last value.",
    ),
}
# A crowd of 10^5 over 2000 steps takes minutes; over the 200 of the synthetic series, seconds.
MAX_AGENT_STEPS = 25_000_000


def pieces(context: Context) -> list[Piece]:
    """One per series, setting, value, policy and seed; the mean field's values go together."""
    out = []
    for series in context.series(SERIES):
        steps = len(load(series, context.data).Y)
        for name, knob in KNOBS.items():
            for value in knob.values:
                if name == "n_agents" and value * steps > MAX_AGENT_STEPS:
                    continue
                for policy in (MEMOA, GREEDY) if knob.changes_greedy else (MEMOA,):
                    out += [
                        context.piece("ablations:run", series, knob=name, value=value,
                                      policy=policy, seed=seed)
                        for seed in knob.seeds(value, context.seeds)
                    ]  # fmt: skip
        out += [
            context.piece("ablations:run", series, knob="", value=0, policy=policy, seed=seed)
            for policy in (MEMOA, GREEDY)
            for seed in context.seeds
        ]
        out += [
            context.piece("ablations:mean_field", series, seed=seed, every=MEAN_FIELD[
                "communication"].values, noise=MEAN_FIELD["noise"].values)
            for seed in context.seeds
        ]  # fmt: skip
    return out


def run(
    series: str,
    knob: str,
    value: float,
    policy: str,
    seed: int,
    data: Path | None = None,
    **identity: Any,
) -> Result:
    """The three errors with one setting changed, or with none."""
    settings: dict[str, Any] = {"policy": policy, "random_state": seed, "n_threads": 1}
    default = OnlineEnsemble()
    if knob == "n_features":
        settings["encoder"] = replace(default.encoder, n_features=int(value))  # type: ignore[type-var]
    elif knob == "window":
        settings["mixture"] = replace(default.mixture, window=int(value))
    elif knob == "mixture_ridge":
        settings["mixture"] = replace(default.mixture, ridge=value)
    elif knob:
        settings[knob] = type(getattr(default, knob))(value)
    score, _ = evaluate(policy, OnlineEnsemble(**settings), load(series, data))
    return {measure: getattr(score, measure) for measure in MEASURES}


def mean_field(
    series: str,
    seed: int,
    every: Sequence[int],
    noise: Sequence[float],
    data: Path | None = None,
    **identity: Any,
) -> Result:
    """The three errors with a stale and with a noisy mean field, see `memoa.experiments.variants`.

    ``communication``: between two messages agents go by the last one, ``silence``: they take all
    others for copies of theirs. ``noise``: every agent hears the means of predictions and of local
    forecasts with an error of its own.
    """
    loaded, default = load(series, data), OnlineEnsemble()
    types = np.zeros(default.n_agents, dtype=np.intp)
    features = variants.encode(loaded.X, [default.encoder], types, seed, np.ones(1))  # type: ignore[list-item]
    known, game = variants.learn(features, loaded), variants.Play()
    increments, told = variants.act(known, types, game)
    alone = variants.alone(known, game)
    out: Result = {"communication": [], "silence": [], "noise": []}
    for k in every:
        stale, _ = variants.act(known, types, game, told.stale(k))
        out["communication"].append(variants.errors(known, stale))
        heard = (np.arange(len(stale)) % k == 0)[:, None, None]
        out["silence"].append(variants.errors(known, np.where(heard, increments, alone)))
    unit = float(np.sqrt(np.mean(np.square(known.targets - known.base))))
    rng = np.random.default_rng([seed, 5])
    shape = (*known.energies.shape, 1, known.targets.shape[1])
    draws = rng.standard_normal((2, *shape))
    for level in noise:
        heard_cbar, heard_moved = (
            mean[:, None] + level * unit * draw
            for mean, draw in zip((told.cbar, told.moved), draws, strict=True)
        )
        noisy = variants.Summary(told.nu, heard_cbar, heard_moved)
        out["noise"].append(variants.errors(known, variants.act(known, types, game, noisy)[0]))
    return out


def section(context: Context, results: Sequence[Result]) -> Section:
    """A figure and a table for every setting."""
    from memoa.experiments.figures import plot_knob

    names = context.series(SERIES)
    lines = _lines(zip(pieces(context), results, strict=True))
    write_csv(context.folder / "ablations.csv", lines)
    curves = _curves(lines)
    unit = {name: _repeat(name, context.data) for name in names}
    out = Section(
        NAME, "Ablations", left_out=context.absent(SERIES),
        settings={name: list(knob.values) for name, knob in (KNOBS | MEAN_FIELD).items()},
    )  # fmt: skip
    out.blocks.append(
        "One setting at a time, the others as constructed by default; medians over the seeds, "
        "bands from quartile to quartile, errors relative to repeating the last value (1 is as "
        "good as that). Dotted: the default."
    )
    for name, knob in (KNOBS | MEAN_FIELD).items():
        plot_knob(name, knob, curves, unit, path=context.folder / f"{name}.png")
        out.blocks += [f"### {knob.title.capitalize()}", *NOTES.get(name, ()),
                       image(context, f"{name}.png", knob.title.capitalize()),
                       _best(name, knob, curves, names)]  # fmt: skip
    return out


def default_value(name: str) -> float:
    """The constructor's own value of a setting."""
    default = OnlineEnsemble()
    values: dict[str, float] = {
        "consensus": default.consensus,
        "effort": default.effort,
        "horizon": default.horizon,
        "n_agents": default.n_agents,
        "n_features": default.encoder.n_features,
        "window": default.mixture.window,
        "mixture_ridge": default.mixture.ridge,
        "communication": 1,
        "noise": 0.0,
    }
    return values[name]


Curves = Mapping[tuple[str, str, str, str], Mapping[float, Sequence[float]]]


def _lines(found: Any) -> list[dict[str, Any]]:
    """One line per series, setting, value, policy and seed."""
    out = []
    for piece, result in found:
        at = piece.settings
        if piece.function == "ablations:run":
            out.append({"series": at["series"], "setting": at["knob"], "value": at["value"],
                        "policy": at["policy"], "seed": at["seed"], **result})  # fmt: skip
            continue
        for setting, errors in result.items():
            values = at["noise"] if setting == "noise" else at["every"]
            out += [
                {"series": at["series"], "setting": setting, "value": value, "policy": MEMOA,
                 "seed": at["seed"], **error}
                for value, error in zip(values, errors, strict=True)
            ]  # fmt: skip
    return out


def _curves(lines: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str, str], Any]:
    """By series, setting, policy and measure: the seeds' errors at every value."""
    out: dict[tuple[str, str, str, str], dict[float, list[float]]] = {}
    for line in lines:
        for measure in MEASURES:
            key = (line["series"], line["setting"], line["policy"], measure)
            out.setdefault(key, {}).setdefault(line["value"], []).append(line[measure])
    return out


def _best(name: str, knob: Knob, curves: Curves, names: Sequence[str]) -> str:
    """What the default has, and where the smallest errors are."""
    # The mixture is the server's alone.
    shown = MEASURES[:1] if name in ("window", "mixture_ridge") else MEASURES[::2]
    at = f"at {knob.axis.split(',')[0]}"
    header = ["series"]
    for measure in shown:
        words = "server" if measure == "server_rmse" else "worst agent"
        header += [f"{words}, default", "lowest", at]
    rows = []
    for series in names:
        row = [series]
        for measure in shown:
            default = quartiles(curves[series, "", MEMOA, measure][0.0])[0]
            medians = {default_value(name): default} | {
                value: quartiles(found)[0]
                for value, found in curves[series, name, MEMOA, measure].items()
            }
            # Of those that print the same the first one, which is the default.
            best = min(medians, key=lambda value: float(number(medians[value])))
            row += [number(default), number(medians[best]), f"{best:g}"]
        rows.append(row)
    return table(header, rows)


def _repeat(name: str, data: Path) -> float:
    forecaster = standard_forecasters()[REPEAT]()
    return evaluate(REPEAT, forecaster, load(name, data))[0].server_rmse
