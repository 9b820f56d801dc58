"""What each setting does: one figure for each, everything else as constructed by default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from experiments import variants
from experiments.benchmarks import load
from experiments.figures import plot_knob
from experiments.knobs import COMMUNICATION, KNOBS, NOISE, Knob, with_setting
from experiments.pieces import Method, Piece, Result
from experiments.section import (
    Context,
    Experiment,
    Section,
    image,
    number,
    quartiles,
    table,
    write_csv,
)
from memoa import OnlineEnsemble
from memoa.forecasters.comparison import evaluate
from memoa.forecasters.standard import GREEDY, MEMOA, REPEAT, standard_forecasters
from memoa.forecasters.two_policies import Policy

MEASURES = ("server_rmse", "mean_agent_rmse", "worst_agent_rmse")
SILENCE = "silence"
NOTES = {
    "n_agents": (
        "With more agents, the worst one is worse by chance alone. The largest crowds have fewer "
        "seeds, and are not run on the long series.",
    ),
    "communication": (
        "This figure and the next use agents with dense relu features of x only, a consensus of 1 "
        "and one mixture.",
        "Every k-th step the agents receive the mean field: the means of energies, of local "
        "forecasts and of predictions, relative to the last value. In between they use the last "
        "message, or (green) assume that all others are copies of themselves. If local forecasts "
        "are mostly noise, an old mean may work as well as a new one, because it only pulls agents "
        "together.",
    ),
    "noise": (
        "Every agent receives the mean of local forecasts and that of predictions with its own "
        "random error. The axis is the standard deviation of this error, relative to the error of "
        "repeating the last value.",
    ),
}


def run(
    series: str, setting: str, value: float, policy: Policy, seed: int, data: Path | None = None
) -> Result:
    """The three errors with one setting changed, or with none ("")."""
    changed = with_setting(setting, value) if setting else {}
    ensemble = OnlineEnsemble(policy=policy, random_state=seed, n_threads=1, **changed)
    score, _, _ = evaluate(policy, ensemble, load(series, data))
    return {measure: getattr(score, measure) for measure in MEASURES}


def mean_field(
    series: str,
    seed: int,
    every: Sequence[int],
    noise: Sequence[float],
    data: Path | None = None,
) -> Result:
    """The three errors with a stale and with a noisy mean field, see `variants`.

    ``communication``: between two messages agents go by the last one, ``silence``: they take all
    others for copies of theirs. ``noise``: every agent hears the means of predictions and of local
    forecasts with an error of its own.
    """
    loaded, default = load(series, data), variants.PLAIN
    types = np.zeros(default.n_agents, dtype=np.intp)
    features = variants.encode(loaded.X, [default.encoder], types, seed, np.ones(1))  # type: ignore[list-item]
    known, game = variants.learn(features, loaded), variants.Play()
    increments, told = variants.act(known, types, game)
    alone = variants.alone(known, game)
    out: Result = {COMMUNICATION.name: [], SILENCE: [], NOISE.name: []}
    for k in every:
        stale, _ = variants.act(known, types, game, told.stale(k))
        out[COMMUNICATION.name].append(variants.errors(known, stale))
        heard = (np.arange(len(stale)) % k == 0)[:, None, None]
        out[SILENCE].append(variants.errors(known, np.where(heard, increments, alone)))
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
        out[NOISE.name].append(variants.errors(known, variants.act(known, types, game, noisy)[0]))
    return out


RUN = Method("ablations.run", 4, run)
MEAN_FIELD = Method("ablations.mean_field", 2, mean_field)


@dataclass(frozen=True)
class Ablations(Experiment):
    """A piece per series, setting, value, policy and seed; the mean field's values go together.

    Attributes
    ----------
    series : tuple of str
        Of the eight.
    knobs : tuple of Knob
        Settings of the ensemble.
    communication, noise : Knob
        Of the mean field that the agents hear.
    most_agent_steps : int
        Larger runs are left out. A crowd of 10^5 over 2000 steps takes minutes; over the 200 of the
        synthetic series, seconds.
    """

    name: ClassVar[str] = "ablations"
    series: tuple[str, ...] = ("logistic", "drift-1d", "boc", "ett")
    knobs: tuple[Knob, ...] = KNOBS
    communication: Knob = COMMUNICATION
    noise: Knob = NOISE
    most_agent_steps: int = 25_000_000

    @property
    def all_knobs(self) -> tuple[Knob, ...]:
        """In the section's order."""
        return (*self.knobs, self.communication, self.noise)

    def pieces(self, context: Context) -> list[Piece]:
        """Of the series that can be had."""
        out = []
        for series in context.series(self.series):
            steps = len(load(series, context.data).Y)
            for knob in self.knobs:
                for value in knob.values:
                    if knob.counts_agents and value * steps > self.most_agent_steps:
                        continue
                    for policy in (MEMOA, GREEDY) if knob.changes_greedy else (MEMOA,):
                        out += [
                            context.piece(
                                RUN,
                                series,
                                setting=knob.setting,
                                value=value,
                                policy=policy,
                                seed=seed,
                            )
                            for seed in knob.seeds(value, context.seeds)
                        ]
            out += [
                context.piece(RUN, series, setting="", value=0, policy=policy, seed=seed)
                for policy in (MEMOA, GREEDY)
                for seed in context.seeds
            ]
            out += [
                context.piece(
                    MEAN_FIELD,
                    series,
                    seed=seed,
                    every=self.communication.values,
                    noise=self.noise.values,
                )
                for seed in context.seeds
            ]
        return out

    def section(self, context: Context, results: Sequence[Result]) -> Section:
        """A figure and a table for every setting."""
        names = context.series(self.series)
        lines = self._lines(zip(self.pieces(context), results, strict=True))
        write_csv(context.folder / "ablations.csv", lines)
        curves = _curves(lines)
        unit = {name: _repeat(name, context.data) for name in names}
        out = Section(
            self.name,
            "Ablations",
            left_out=context.absent(self.series),
            settings={knob.name: list(knob.values) for knob in self.all_knobs},
        )
        out.blocks.append(
            "One setting is changed at a time, the others keep their defaults. Lines are medians "
            "over the seeds, bands go from quartile to quartile. Errors are relative to repeating "
            "the last value (1 is as good as that). Dotted: the default."
        )
        for knob in self.all_knobs:
            picture = f"{knob.name}.png"
            silence = SILENCE if knob is self.communication else None
            plot_knob(knob, curves, unit, path=context.folder / picture, silence=silence)
            out.blocks += [
                f"### {knob.title.capitalize()}",
                *NOTES.get(knob.name, ()),
                image(context, picture, knob.title.capitalize()),
                _best(knob, curves, names),
            ]
        return out

    def _lines(self, found: Iterable[tuple[Piece, Result]]) -> list[dict[str, Any]]:
        """One line per series, setting, value, policy and seed."""
        names = {"": ""} | {knob.setting: knob.name for knob in self.knobs}
        values = {
            self.communication.name: self.communication.values,
            SILENCE: self.communication.values,
            self.noise.name: self.noise.values,
        }
        out = []
        for piece, result in found:
            at = piece.settings
            if piece.method is RUN:
                out.append(
                    {
                        "series": at["series"],
                        "setting": names[at["setting"]],
                        "value": at["value"],
                        "policy": at["policy"],
                        "seed": at["seed"],
                        **result,
                    }
                )
                continue
            for setting, errors in result.items():
                out += [
                    {
                        "series": at["series"],
                        "setting": setting,
                        "value": value,
                        "policy": MEMOA,
                        "seed": at["seed"],
                        **error,
                    }
                    for value, error in zip(values[setting], errors, strict=True)
                ]
        return out


Curves = Mapping[tuple[str, str, str, str], Mapping[float, Sequence[float]]]


def _curves(lines: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str, str], Any]:
    """By series, setting, policy and measure: the seeds' errors at every value."""
    out: dict[tuple[str, str, str, str], dict[float, list[float]]] = {}
    for line in lines:
        for measure in MEASURES:
            key = (line["series"], line["setting"], line["policy"], measure)
            out.setdefault(key, {}).setdefault(line["value"], []).append(line[measure])
    return out


def _best(knob: Knob, curves: Curves, names: Sequence[str]) -> str:
    """What the default has, and where the smallest errors are."""
    shown = MEASURES[:1] if knob.is_servers else MEASURES[::2]
    at = f"at {knob.axis.split(',')[0]}"
    header = ["series"]
    for measure in shown:
        words = "server" if measure == "server_rmse" else "worst agent"
        header += [f"{words}, default", "lowest", at]
    rows = []
    for series in names:
        row = [series]
        for measure in shown:
            own = curves[series, knob.name, MEMOA, measure]
            # The last two have a population of their own, and their default is among the values.
            default = quartiles(own.get(knob.default, curves[series, "", MEMOA, measure][0.0]))[0]
            medians = {knob.default: default} | {
                value: quartiles(found)[0]
                for value, found in curves[series, knob.name, MEMOA, measure].items()
            }
            # Of those that print the same the first one, which is the default.
            best = min(medians, key=lambda value: float(number(medians[value])))
            row += [number(default), number(medians[best]), f"{best:g}"]
        rows.append(row)
    return table(header, rows)


def _repeat(name: str, data: Path | None) -> float:
    forecaster = standard_forecasters()[REPEAT]()
    return evaluate(REPEAT, forecaster, load(name, data))[0].server_rmse
