"""The rules that might serve the weakest agent: against the core, the twins and by hand."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import memoa
from experiments import encoders, study
from experiments import weakest_rules as rules
from experiments.encoders import KINDS, worst_step
from experiments.report import run_experiments
from experiments.weakest import Weakest
from experiments.weakest_rules import CHOICE, ENCODERS, MEAN, RULES, Greedy
from helpers import assert_close
from reference_rows import Exponential

SERIES = study.sine_with_drift(60, seed=2)


@pytest.mark.parametrize("population", ENCODERS)
@pytest.mark.parametrize(("follow", "rule"), [("mean", MEAN), ("server", CHOICE)])
def test_two_rules_are_the_core_without_a_price(population: str, follow: Any, rule: str) -> None:
    known = rules.greedy(SERIES, population, 3)
    played = rules.fixed(known, getattr(known, follow), memoa.OnlineEnsemble().consensus)
    run = memoa.OnlineEnsemble(
        effort=1e-12, follow=follow, random_state=3, **ENCODERS[population]
    ).run(SERIES.X, SERIES.Y, initial=SERIES.initial)
    assert_close(rules.errors(known, played), run.agent_rmse, rtol=1e-8)
    found = rules.judge(SERIES, population, 3)
    assert found[rule]["worst"] == pytest.approx(run.worst_agent_rmse, rel=1e-8)
    assert found["server"] == pytest.approx(run.server_rmse, rel=1e-12)
    assert np.bincount(known.types).min() >= 5


@pytest.mark.parametrize("forgetting", [0.8, 0.99])
def test_the_weighted_mean_is_that_of_the_twin(forgetting: float) -> None:
    rng = np.random.default_rng(0)
    change = rng.normal(size=(50, 2))
    forecasts = change[:, None] + rng.normal(size=(50, 5, 2)) * np.arange(1, 6)[:, None]
    found = rules.weighted_mean(forecasts, change, forgetting)
    for o in range(2):
        twin = Exponential(5, forgetting)
        for t, c in enumerate(forecasts[:, :, o]):
            assert found[t, o] == pytest.approx(twin.weights() @ c, rel=1e-9)
            if t > 0:
                twin.compare(c - change[t, o])


def test_a_type_learns_how_far_to_go_to_the_mean_field() -> None:
    """Of three types one is right by itself, one should go half way, one beyond the mean field."""
    rng = np.random.default_rng(1)
    types, steps = np.array([0, 1, 2, 0, 1, 2]), 4000
    change = rng.normal(size=(steps, 1))
    field = change + rng.normal(size=(steps, 1))
    own = np.array([0.0, 0.5, 2.0])[types][:, None]
    # change = c + own (field - c) + noise
    forecasts = (change[:, None] - own * field[:, None]) / (1.0 - own)
    forecasts = forecasts + 0.01 * rng.normal(size=forecasts.shape)
    known = Greedy(forecasts, field, field, change, types)
    played = rules.learnt(known, field, types)[-500:]
    went = (played - known.forecasts[-500:]) / (field[-500:, None] - known.forecasts[-500:])
    # Some 500 steps are remembered, beside the 20 with which the types began.
    expected = [(500 * beta + 20 * 10 / 11) / 520 for beta in (0.0, 0.5)]
    assert np.median(went, axis=(0, 2)) == pytest.approx([*expected, 1.0] * 2, abs=0.01)
    first = rules.learnt(known, field, types)[0]
    assert_close(first, rules.fixed(known, field, 10.0)[0])


def test_the_section_is_made_of_ratios_to_the_default(tmp_path: Path) -> None:
    name = "cycle 200"
    run_experiments(tmp_path, seeds=1, experiments=[Weakest((name,), ("logistic",))])
    with (tmp_path / "experiments/weakest.csv").open() as file:
        lines = list(csv.DictReader(file))
    found = rules.judge(study.SERIES[name](0), "default", 0)
    page = (tmp_path / "experiments.md").read_text(encoding="utf-8")
    for rule in RULES:
        (line,) = (
            one
            for one in lines
            if (one["series"], one["population"], one["rule"]) == (name, "default", rule.name)
        )
        assert float(line["worst"]) == pytest.approx(found[rule.name]["worst"], rel=1e-12)
        mean, worst = (found[rule.name][key] / found[MEAN][key] for key in ("mean", "worst"))
        assert f"| {rule.name} | {mean:.3f} | {worst:.3f} | {worst:.3f} | " in page
    assert f"| {MEAN} | 1.000 | 1.000 | 1.000 | 0 of 1 | 1.000 " in page


def test_the_worst_step_of_a_mix_is_that_of_its_window() -> None:
    found = worst_step("drift-1d", 4)
    loaded = memoa.datasets.concept_drift(output=1)
    run = memoa.OnlineEnsemble(
        encoder=list(KINDS.values()),
        policy="greedy",
        mixture=memoa.Mixture(48, rivals=False, fallback=False),
        random_state=4,
    ).run(loaded.X, loaded.Y, initial=loaded.initial, record=range(64))
    errors = (run.predictions - loaded.Y)[:, 0]
    at = found["step"]
    assert at == np.argmax(np.abs(errors))
    assert_close(found["error"], errors[at - 1 : at + 1], rtol=1e-9)
    assert_close(np.sum(found["weights"], axis=1), np.ones(2), rtol=1e-9)
    by_kind = (run.recorded - loaded.Y[:, None])[at, :, 0].reshape(16, 4).mean(axis=0)
    assert_close(found["agents"][1], by_kind, rtol=1e-9)


def test_the_rest_of_a_series_leaves_its_two_worst_steps_out() -> None:
    found = encoders.run("logistic", "waves", "memoa", 1)
    loaded = memoa.datasets.logistic_map()
    run = memoa.OnlineEnsemble(random_state=1).run(loaded.X, loaded.Y, initial=loaded.initial)
    squares = sorted(((run.predictions - loaded.Y) ** 2)[:, 0])[:-2]
    assert found["rest"] == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-12)
