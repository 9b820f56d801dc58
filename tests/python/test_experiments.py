"""The experiments' machinery: results that are kept, verdicts that are computed, the report."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import memoa
from memoa.cli.app import app
from memoa.experiments import (
    Context,
    ablations,
    benchmarks,
    defaults,
    forecasting,
    heterogeneity,
    pieces,
    report,
    run_experiments,
    theory,
)
from memoa.experiments.pieces import Piece, Store, compute
from memoa.experiments.section import Section, quartiles, spread
from memoa.forecasters.standard import BOA, EWA, GREEDY, MEMOA, REPEAT, RIVER
from memoa.study import COLUMNS, DefaultsStudy
from memoa.verify import measure as verification_measure

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SYNTHETIC = ("periodic", "logistic", "drift", "drift-1d")


def numbered(count: int) -> list[Piece]:
    """Pieces that are quick, and different."""
    return [
        Piece("forecasting:score", {"series": "periodic", "forecaster": "seasonal repetition",
                                    "seed": seed}) for seed in range(count)
    ]  # fmt: skip


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Seeds of the pieces that are computed; number 13 is bad luck."""
    seen: list[int] = []

    def score(series: str, forecaster: str, seed: int) -> dict:
        if seed == 13:
            raise KeyboardInterrupt
        seen.append(seed)
        return {"value": 0.1 * seed, "nothing": float("nan")}

    monkeypatch.setattr(forecasting, "score", score)
    return seen


class TestPieces:
    def test_what_is_known_is_not_computed_again(self, tmp_path: Path, calls: list[int]) -> None:
        path, told = tmp_path / "results.jsonl", []
        first = compute(numbered(3), Store(path))
        again = compute(numbered(5), Store(path), progress=lambda *at: told.append(at), what="it")
        assert calls == [0, 1, 2, 3, 4]
        assert told == [(3, 5, "it"), (4, 5, "it"), (5, 5, "it")]
        assert [result["value"] for result in again] == [0.1 * seed for seed in range(5)]
        assert [result["value"] for result in first] == [0.0, 0.1, 0.2]
        assert all(np.isnan(result["nothing"]) for result in again)

    def test_an_interruption_keeps_what_was_done(self, tmp_path: Path, calls: list[int]) -> None:
        path = tmp_path / "results.jsonl"
        work = [*numbered(3), replace(numbered(1)[0], settings={
            "series": "", "forecaster": "", "seed": 13}), *numbered(5)[3:]]  # fmt: skip
        with pytest.raises(KeyboardInterrupt):
            compute(work, Store(path))
        assert calls == [0, 1, 2]
        compute(numbered(5), Store(path))
        assert calls == [0, 1, 2, 3, 4]

    def test_a_line_that_was_cut_off_is_computed_again(
        self, tmp_path: Path, calls: list[int]
    ) -> None:
        path = tmp_path / "results.jsonl"
        compute(numbered(3), Store(path))
        path.write_text(path.read_text()[:-40])
        compute(numbered(4), Store(path))
        assert calls == [0, 1, 2, 2, 3]
        assert len(compute(numbered(4), Store(path))) == 4
        assert calls == [0, 1, 2, 2, 3]

    @pytest.mark.parametrize("what", ["memoa", "numpy", "code"])
    def test_other_versions_or_code_invalidate(
        self, what: str, tmp_path: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, now = tmp_path / "results.jsonl", pieces.fingerprint()
        compute(numbered(1), Store(path))
        monkeypatch.setattr(pieces, "fingerprint", lambda: {**now, what: "another"})
        compute(numbered(1), Store(path))
        monkeypatch.setattr(pieces, "fingerprint", lambda: now)
        compute(numbered(1), Store(path))
        assert calls == [0, 0]

    def test_other_processes_find_the_same(self, tmp_path: Path) -> None:
        here = compute(numbered(4), Store(tmp_path / "here"))
        apart = compute(numbered(4), Store(tmp_path / "apart"), jobs=2)
        for one, other in zip(here, apart, strict=True):
            assert one["server_rmse"] == other["server_rmse"]

    def test_an_error_in_another_process_comes_through_and_keeps_the_rest(
        self, tmp_path: Path
    ) -> None:
        store = Store(tmp_path / "results")
        wrong = Piece("forecasting:score", {"series": "no", "forecaster": REPEAT, "seed": 0})
        with pytest.raises(KeyError, match="no"):
            compute([*numbered(2), wrong], store, jobs=2)
        kept = Store(tmp_path / "results")
        assert all(kept.get(piece) is not None for piece in numbered(2))


def made_up(ratios: dict[str, float], names: tuple[str, ...] = tuple(benchmarks.PUBLISHED)) -> dict:
    """Scores in which memoa has the published error and others have it times a ratio."""
    scores = {}
    for name in names:
        published = float(benchmarks.PUBLISHED[name])
        for row in (MEMOA, GREEDY, REPEAT, EWA, BOA):
            value = [published * ratios.get(f"{name}/{row}", ratios.get(row, 1.0))] * 3
            scores[name, row] = dict.fromkeys(forecasting.MEASURES, value)
    return scores


class TestVerdicts:
    def test_all_met(self) -> None:
        found = forecasting.verdicts(made_up({GREEDY: 1.1}))
        assert [verdict.met for verdict in found] == [True] * 5
        assert all(verdict.found == "8 of 8" for verdict in found)

    @pytest.mark.parametrize(
        ("ratios", "missed", "words"),
        [
            ({"drift-1d/memoa": 1.02}, 0, "not drift-1d (1.0202 times)"),
            ({REPEAT: 0.98, GREEDY: 1.1}, 1, "0 of 8"),
            ({"ett/greedy": 1.0, GREEDY: 1.1}, 2, "not ett (1 times)"),
            ({"ett/greedy": 0.9, GREEDY: 1.1}, 3, "not ett (1.1111 times)"),
            ({"ett/" + EWA: 0.9, "boc/" + BOA: 0.9, "drift/" + BOA: 0.5}, 4, "5 of 8"),
        ],
    )
    def test_missed(self, ratios: dict[str, float], missed: int, words: str) -> None:
        verdict = forecasting.verdicts(made_up(ratios))[missed]
        assert verdict.met is False
        assert words in verdict.found

    def test_published_figures_are_met_to_their_digits(self) -> None:
        close = 0.0067 + 0.4e-4
        scores = made_up({"boc/memoa": close / 0.0067, GREEDY: 2.0})
        assert forecasting.verdicts(scores)[0].met
        scores = made_up({"boc/memoa": (0.0067 + 0.6e-4) / 0.0067, GREEDY: 2.0})
        assert not forecasting.verdicts(scores)[0].met

    def test_two_of_eight_may_lose_to_the_rivals(self) -> None:
        ratios = {"ett/" + EWA: 0.9, "boc/" + BOA: 0.9}
        verdict = forecasting.verdicts(made_up(ratios))[4]
        assert verdict.met
        assert verdict.found.startswith("6 of 8; not boc")

    def test_absent_series_leave_it_open_unless_it_is_decided(self) -> None:
        found = forecasting.verdicts(made_up({GREEDY: 1.1}, SYNTHETIC))
        assert [verdict.met for verdict in found] == [None] * 5
        lost = {f"{name}/{EWA}": 0.9 for name in ("periodic", "logistic", "drift")}
        found = forecasting.verdicts(made_up(lost | {"drift/memoa": 1.5}, SYNTHETIC))
        assert found[0].met is False
        assert found[4].met is False


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few series, values, rows and agents."""
    monkeypatch.setattr(forecasting, "PUBLISHED", {k: benchmarks.PUBLISHED[k] for k in (
        "periodic", "logistic", "boc")})  # fmt: skip
    monkeypatch.setattr(ablations, "SERIES", ("logistic", "ett"))
    for name in ("effort", "horizon", "mixture_ridge"):
        monkeypatch.delitem(ablations.KNOBS, name)
    for knobs in (ablations.KNOBS, ablations.MEAN_FIELD):
        for name, knob in list(knobs.items()):
            monkeypatch.setitem(knobs, name, replace(knob, values=knob.values[:2]))
    monkeypatch.setattr(theory, "SIZES", (2, 10))
    monkeypatch.setattr(heterogeneity, "SERIES", ("logistic",))
    monkeypatch.setattr(heterogeneity, "N_AGENTS", 300)
    monkeypatch.setattr(heterogeneity, "FAMILIES", {"scale": (1, 2), "kind and both": (1,)})
    monkeypatch.setattr(verification_measure, "MONTE_CARLO_RUNS", 20)
    quick = {"sizes": (2, 100, 1_000), "simulate_up_to": 100, "centralized_seconds": 0.0}
    monkeypatch.setattr(theory, "verify", partial(theory.verify, **quick))


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("small")
class TestReport:
    def test_forecasting_writes_what_compare_finds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(forecasting, "_river_version", lambda: None)
        (section,) = run_experiments(tmp_path, only=["forecasting"], seeds=2, data=tmp_path)
        found = memoa.compare(memoa.datasets.logistic_map(), seeds=(0, 1))
        rows = [
            r for r in lines(tmp_path / "experiments/forecasting.csv") if r["series"] == "logistic"
        ]
        assert {row["forecaster"] for row in rows} == set(found.scores) - set(RIVER)
        for row in rows:
            score = found.scores[row["forecaster"]][int(row["run"])]
            for measure in forecasting.MEASURES[:4]:
                expected = getattr(score, measure)
                assert row[measure] == ("" if np.isnan(expected) else repr(expected))
        page = (tmp_path / "experiments.md").read_text(encoding="utf-8")
        for verdict in section.verdicts:
            assert f"| {verdict.target} | {verdict.found} | {verdict.word} |" in page
        assert (
            f"boc: left out, {tmp_path / 'bank_of_canada_exchange_rates.csv'} is not there" in page
        )
        assert f"{next(iter(RIVER))}: left out, river is not installed" in page
        assert "| *published* | 0.9171 | 0.1883 |" in page
        settings = json.loads((tmp_path / "experiments/forecasting.json").read_text())
        assert settings["seeds"] == [0, 1]
        assert settings["versions"] == pieces.fingerprint()
        assert settings["ensemble"]["n_agents"] == memoa.OnlineEnsemble().n_agents
        assert len(settings["left out"]) == 1 + len(RIVER)
        assert [one["met"] for one in settings["verdicts"]] == [one.met for one in section.verdicts]

    def test_every_section_has_its_files_and_keeps_its_place(self, tmp_path: Path) -> None:
        made = {
            "heterogeneity": {"heterogeneity.csv", "heterogeneity.png"},
            "theory": {"theory.csv", "theory.png", "theory-worst.csv", "theory-worst.png"},
            "ablations": {"ablations.csv", *(
                f"{name}.png" for name in ablations.KNOBS | ablations.MEAN_FIELD)},
        }  # fmt: skip
        for name, files in made.items():
            run_experiments(tmp_path, only=[name], seeds=1, data=tmp_path)
            folder = tmp_path / "experiments"
            assert files | {f"{name}.json"} <= {path.name for path in folder.iterdir()}
            assert all((folder / file).stat().st_size > 300 for file in files)
        page = (tmp_path / "experiments.md").read_text(encoding="utf-8")
        order = [
            page.index(f"<!-- section: {name} -->") for name in report.EXPERIMENTS if name in made
        ]
        assert order == sorted(order)
        for image in pieces_of(page):
            assert (tmp_path / image).is_file()
        assert "slope -1 within 0.05 | -1.0" in page
        ett = "ett: left out, "
        assert ett in page.split("section: ablations")[1].split("section:")[0]
        # Written once more, nothing changes: neither sections nor results.
        results = (tmp_path / "experiments/results.jsonl").read_text()
        run_experiments(tmp_path, only=["theory"], seeds=1, data=tmp_path)
        assert (tmp_path / "experiments.md").read_text(encoding="utf-8") == page
        assert (tmp_path / "experiments/results.jsonl").read_text() == results

    def test_ablations_are_runs_of_the_ensemble(self, tmp_path: Path) -> None:
        run_experiments(tmp_path, only=["ablations"], seeds=1, data=tmp_path)
        series, default = memoa.datasets.logistic_map(), memoa.OnlineEnsemble()
        changed = {
            "consensus": {"consensus": 0.1},
            "n_agents": {"n_agents": 2},
            "n_features": {"encoder": memoa.RandomFeatures(4)},
            "window": {"mixture": replace(default.mixture, window=2)},
            "communication": {},
            "noise": {},
            "": {"policy": "greedy"},
        }
        found = lines(tmp_path / "experiments/ablations.csv")
        for setting, arguments in changed.items():
            value = {"communication": 1.0, "noise": 0.0, "": 0.0}.get(setting)
            if value is None:  # the second of the two, as above
                value = float(ablations.KNOBS[setting].values[1])
            policy = arguments.get("policy", MEMOA)
            wanted = (setting, value, policy)
            (line,) = (
                one for one in found
                if (one["setting"], float(one["value"]), one["policy"]) == wanted
            )  # fmt: skip
            run = memoa.OnlineEnsemble(**arguments).run(series.X, series.Y, initial=series.initial)
            for measure in ablations.MEASURES:
                assert float(line[measure]) == pytest.approx(getattr(run, measure), rel=1e-10)


def test_the_study_of_the_defaults_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def study_defaults(seeds: list[int]) -> DefaultsStudy:
        asked.append(list(seeds))
        rows = tuple({"setting": name} | dict.fromkeys(COLUMNS, value)
                     for name, value in (("default", 1.0), ("other", 1.25)))  # fmt: skip
        return DefaultsStudy(rows, tuple(seeds), "Chosen\nby care.")

    monkeypatch.setattr(defaults, "study_defaults", study_defaults)
    run_experiments(tmp_path, only=["defaults"], seeds=20)
    page = (tmp_path / "experiments.md").read_text(encoding="utf-8")
    assert asked == [[0, 1, 2]]
    for words in ("Chosen by care.", "3 seeds.", "- *server*: ", "| other | 1.250 | 1.250 |"):
        assert words in page
    assert lines(tmp_path / "experiments/defaults.csv")[1]["server"] == "1.25"


def pieces_of(page: str) -> list[str]:
    """The pictures that a page embeds."""
    return [
        part.split(")")[0] for part in page.split("](")[1:] if part.split(")")[0].endswith("png")
    ]


def call(*args: str) -> Result:
    return CliRunner().invoke(app, ["experiments", *args], prog_name="memoa")


@pytest.mark.usefixtures("small")
def test_the_command_prints_verdicts_and_what_is_left_out(tmp_path: Path) -> None:
    result = call("--only", "theory", "--seeds", "1", "--jobs", "1", "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert result.stderr == "theory: 0 of 5 pieces known\n"
    assert "slope -2 within 0.05" in result.stdout
    assert "met" in result.stdout
    again = call("--only", "theory", "--seeds", "1", "--out", str(tmp_path))
    assert again.stderr == "theory: 5 of 5 pieces known\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "theorie"], "only is 'theorie'; expected one of forecasting, "),
        (["--seeds", "0"], "--seeds"),
        (["--jobs", "0"], "--jobs"),
    ],
)
def test_errors_are_one_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    result = call(*arguments, "--out", str(tmp_path))
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert words in result.stderr


def test_data_come_from_the_environment_or_beside_the_project(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MEMOA_DATA", raising=False)
    assert benchmarks.default_data() == Path("../shared/data")
    monkeypatch.setenv("MEMOA_DATA", str(tmp_path))
    assert benchmarks.default_data() == tmp_path
    context = Context(tmp_path, tmp_path, (0,))
    assert context.series(benchmarks.PUBLISHED) == list(SYNTHETIC)
    assert len(context.absent(benchmarks.PUBLISHED)) == 4


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real series are not at {DATA}")
def test_a_file_that_changes_is_another_series(tmp_path: Path) -> None:
    name = "bank_of_canada_exchange_rates.csv"
    (tmp_path / name).write_bytes((DATA / name).read_bytes())
    same, context = Context(tmp_path, DATA, (0,)), Context(tmp_path, tmp_path, (0,))
    piece = context.piece("forecasting:score", "boc", seed=0)
    assert piece.key == same.piece("forecasting:score", "boc", seed=0).key
    (tmp_path / name).write_bytes((DATA / name).read_bytes() + b"\n")
    benchmarks._digest.cache_clear()
    assert context.piece("forecasting:score", "boc", seed=0).key != piece.key


def test_medians_and_quartiles() -> None:
    assert quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == (3.0, 2.0, 4.0)
    assert np.isnan(quartiles([])).all()
    assert np.isnan(quartiles([1.0, np.nan])).all()
    assert spread([1.0, 2.0, 3.0]) == "2 [1.5, 2.5]"
    assert spread([2.0]) == "2"
    assert spread([np.nan, np.nan]) == "–"


def test_a_section_shows_verdicts_first_and_what_is_left_out_last() -> None:
    section = Section("x", "Title", ["Text."], left_out=["one: left out, because"])
    assert section.markdown() == "## Title\n\nText.\n\n- one: left out, because\n"
