"""memoa.compare: what plugs in, what is measured, and what is refused."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import memoa
from helpers import assert_same_bits
from memoa.forecasters import RepeatLast, Seasonal
from memoa.forecasters.comparison import MEASURES, evaluate
from memoa.forecasters.protocol import load_factory, make, takes_seed
from memoa.forecasters.standard import RIVER, standard_forecasters

SERIES = memoa.datasets.concept_drift(40)


class Constant:
    """Any object with the two methods will do; it needs not know anything else."""

    def __init__(self, value: Any = 1.0) -> None:
        self.value = value
        self.learnt: list[tuple[np.ndarray, np.ndarray]] = []

    def predict_one(self, x: np.ndarray) -> Any:
        return self.value

    def learn_one(self, x: np.ndarray, y: np.ndarray) -> None:
        self.learnt.append((x, y))


def test_a_plain_object_is_scored_without_seeing_ahead() -> None:
    seen = Constant([1.0, 2.0])
    found = memoa.compare(SERIES, {"one": lambda: seen})
    (score,) = found.scores["one"]
    errors = np.array([1.0, 2.0]) - SERIES.Y
    assert score.server_rmse == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-14)
    assert np.isnan([score.mean_agent_rmse, score.worst_agent_rmse, score.regret]).all()
    assert score.seconds > 0.0
    assert_same_bits(np.array([x for x, _ in seen.learnt]), SERIES.X)
    assert_same_bits(np.array([y for _, y in seen.learnt]), SERIES.Y)


def test_an_ensemble_has_the_scores_of_its_run_also_step_by_step() -> None:
    def ensemble(seed: int) -> memoa.OnlineEnsemble:
        return memoa.OnlineEnsemble(6, memoa.RandomFeatures(5), random_state=seed)

    class Steps:
        """The same without the fast path."""

        def __init__(self, seed: int) -> None:
            self.inner = ensemble(seed)
            self.observe, self.predict_one = self.inner.observe, self.inner.predict_one
            self.learn_one = self.inner.learn_one

        @property
        def agent_rmse(self) -> np.ndarray:
            return self.inner.agent_rmse

    found = memoa.compare(SERIES, {"run": ensemble, "steps": Steps}, seeds=(3, 5))
    assert_same_bits(found.predictions["run"], found.predictions["steps"])
    for seed, fast, slow in zip((3, 5), found.scores["run"], found.scores["steps"], strict=True):
        run = ensemble(seed).run(SERIES.X, SERIES.Y, initial=SERIES.initial)
        expected = (run.server_rmse, run.mean_agent_rmse, run.worst_agent_rmse, run.regret)
        for score in (fast, slow):
            values = [getattr(score, measure) for measure in MEASURES[:4]]
            np.testing.assert_allclose(values, expected, rtol=1e-13)


def test_only_what_takes_a_seed_runs_once_per_seed() -> None:
    calls: list[tuple[int, int, str]] = []
    rows = {"seeded": lambda seed: Constant(float(seed)), "plain": Constant}
    series = memoa.datasets.periodic(8)
    found = memoa.compare(series, rows, seeds=(4, 7, 9), progress=lambda *at: calls.append(at))
    assert {name: len(scores) for name, scores in found.scores.items()} == {"seeded": 3, "plain": 1}
    assert [name for _, _, name in calls] == ["seeded"] * 3 + ["plain", "done"]
    assert calls[-1][:2] == (4, 4)
    errors = [np.sqrt(np.mean((value - series.Y) ** 2)) for value in (4.0, 7.0, 9.0)]
    assert found.quantile("seeded", "server_rmse") == pytest.approx(np.median(errors))
    assert found.quantile("seeded", "server_rmse", 1.0) == pytest.approx(max(errors))


def test_csv_and_summary_hold_what_was_found(tmp_path: Path) -> None:
    rows = {"memoa": lambda seed: memoa.OnlineEnsemble(5, random_state=seed), "repeat": RepeatLast}
    found = memoa.compare(SERIES, rows, seeds=(0, 1))
    found.to_csv(tmp_path / "found.csv")
    with (tmp_path / "found.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [(line["forecaster"], line["run"]) for line in lines] == [
        ("memoa", "0"),
        ("memoa", "1"),
        ("repeat", "0"),
    ]
    for line in lines:
        score = found.scores[line["forecaster"]][int(line["run"])]
        for measure in MEASURES:
            expected = getattr(score, measure)
            assert line[measure] == ("" if np.isnan(expected) else repr(expected))
    summary = found.summary().splitlines()
    assert len(summary) == 3
    assert f"{found.quantile('memoa', 'server_rmse'):.4g}" in summary[1]
    assert summary[2].split()[2:5] == ["-", "-", "-"]
    assert repr(found) == "Comparison('drift': 2 forecasters)"


def test_a_missing_package_leaves_a_row_out_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "river", None)
    monkeypatch.delitem(sys.modules, "memoa.forecasters.river", raising=False)
    rows = {k: v for k, v in standard_forecasters().items() if k in RIVER or k.startswith("repeat")}
    found = memoa.compare(SERIES, rows)
    assert list(found.scores) == ["repeat the last value"]
    assert list(found.skipped) == list(RIVER)
    for name in RIVER:
        line = f'{name}: left out, river is not installed: pip install "memoa[experiments]"'
        assert line in found.summary()


def test_the_standard_forecasters_run_and_share_their_agents() -> None:
    rows = standard_forecasters(n_agents=5)
    series = memoa.datasets.logistic_map(30)
    own = {name: rows[name] for name in rows if name not in RIVER}
    found = memoa.compare(series, own)
    assert len(found.scores) == len(own)
    greedy = found.scores["greedy"][0]
    for name, (score,) in found.scores.items():
        assert np.isfinite(score.server_rmse)
        if "greedy" in name or ("last value" in name and "repeat" not in name):
            assert score.worst_agent_rmse == pytest.approx(greedy.worst_agent_rmse, rel=1e-12)
    # agents follow their server, and their mean where its weights are equal
    memoa_rows = [name for name in own if name.startswith("memoa")]
    assert len({found.scores[name][0].worst_agent_rmse for name in memoa_rows}) == 2
    for name, factory in own.items():
        assert takes_seed(factory) == (not np.isnan(found.scores[name][0].regret))


def test_if_all_are_left_out_it_is_an_error() -> None:
    def missing() -> None:
        raise ImportError("not installed")

    with pytest.raises(ImportError, match="one: not installed; two: not installed"):
        memoa.compare(SERIES, {"one": missing, "two": missing})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            [1.0, 2.0, 3.0],
            r"bad: predict_one returned shape \(3,\) at step 0; expected .* = \(2,\)",
        ),
        ([1.0, np.nan], r"bad: predict_one returned \[ 1. nan\] at step 0"),
        (1.0, r"bad: predict_one returned shape \(\) at step 1; expected .* = \(2,\)"),
    ],
)
def test_bad_forecasts_are_refused(value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        evaluate("bad", Constant(value), SERIES)


@pytest.mark.parametrize(
    ("rows", "seeds", "error", "words"),
    [
        ({}, (0,), ValueError, "forecasters is empty"),
        ({"one": Constant}, (), ValueError, "seeds is empty"),
        ({"one": Constant}, (-1,), ValueError, "seeds is -1"),
        (
            {"one": Constant()},
            (0,),
            TypeError,
            r"forecasters\['one'\] is of type Constant; .*class",
        ),
        ({"one": dict}, (0,), TypeError, "'one' is of type dict, which has no predict_one"),
    ],
)
def test_bad_arguments(rows: Any, seeds: Any, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        memoa.compare(SERIES, rows, seeds=seeds)


def test_factories_by_name() -> None:
    name, factory = load_factory("memoa.forecasters.baselines:Seasonal")
    assert name == "Seasonal"
    assert isinstance(make(name, factory, 0), Seasonal)
    for bad, words in (
        ("memoa.forecasters.baselines", "expected package.module:factory"),
        ("no.such.module:thing", "No module named"),
        ("memoa.forecasters.baselines:Nothing", "has no attribute 'Nothing'"),
        ("memoa.forecasters.baselines:CLIP", "is of type float"),
    ):
        with pytest.raises(ValueError, match=words):
            load_factory(bad)


def test_only_an_argument_called_seed_is_a_seed() -> None:
    assert takes_seed(lambda seed: seed)
    assert takes_seed(lambda *, seed=3: seed)
    assert not takes_seed(lambda n_agents=64: n_agents)
    assert not takes_seed(dict)
