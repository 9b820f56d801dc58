"""The experiments' machinery: results that are kept, verdicts that are computed, the report."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import memoa
from experiments import ablations, benchmarks, forecasting, pieces, refitted, variants
from experiments.ablations import Ablations
from experiments.command import make_app
from experiments.defaults import Defaults
from experiments.encoders import KINDS, POPULATIONS, Encoders
from experiments.forecasting import Forecasting
from experiments.heterogeneity import Heterogeneity
from experiments.knobs import COMMUNICATION, KNOBS, NOISE, with_setting
from experiments.mixed import FAMILIES
from experiments.pieces import Method, Piece, Store, compute
from experiments.refitted import REFITTED, Refitted
from experiments.report import EXPERIMENTS, run_experiments
from experiments.section import Context, Section, quartiles, spread
from experiments.study import COLUMNS
from experiments.theory import Theory
from memoa.forecasters.standard import BOA, EWA, GREEDY, MEMOA, REPEAT, RIVER

ROOT = Path(__file__).resolve().parents[2]
SYNTHETIC = ("periodic", "logistic", "drift", "drift-1d")

# Few series, values, rows and agents.
_QUICK = {
    "sizes": (2, 100, 1_000),
    "simulate_up_to": 100,
    "centralized_seconds": 0.0,
    "monte_carlo_runs": 20,
}
_KNOBS = tuple(
    replace(knob, values=knob.values[:2])
    for knob in KNOBS
    if knob.name not in ("effort", "horizon", "mixture_ridge")
)
SMALL = (
    Forecasting(("periodic", "logistic", "boc"), river=None, statsforecast=None),
    Defaults(),
    Ablations(
        ("logistic", "ett"),
        _KNOBS,
        replace(COMMUNICATION, values=COMMUNICATION.values[:2]),
        replace(NOISE, values=NOISE.values[:2]),
    ),
    Theory((2, 10), _QUICK),
    Heterogeneity(
        ("logistic",),
        (replace(FAMILIES[0], factors=(1, 2)), replace(FAMILIES[2], factors=(1,))),
        n_agents=300,
    ),
    Encoders(("logistic",)),
)


def repetitions(count: int) -> list[Piece]:
    """Pieces that are quick, and different."""
    return [
        Piece(
            forecasting.SCORE,
            {"series": "periodic", "forecaster": "seasonal repetition", "seed": seed},
        )
        for seed in range(count)
    ]


class Counted:
    """A method that notes the seeds it computes; number 13 is bad luck."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.method = Method("counted", 1, self.score)

    def score(self, seed: int) -> dict:
        if seed == 13:
            raise KeyboardInterrupt
        self.calls.append(seed)
        return {"value": 0.1 * seed, "nothing": float("nan")}

    def numbered(self, *seeds: int) -> list[Piece]:
        return [Piece(self.method, {"seed": seed}) for seed in seeds]


class TestPieces:
    def test_what_is_known_is_not_computed_again(self, tmp_path: Path) -> None:
        path, told, work = tmp_path / "results.jsonl", [], Counted()
        first = compute(work.numbered(*range(3)), Store(path))
        again = compute(
            work.numbered(*range(5)), Store(path), progress=lambda *at: told.append(at), what="it"
        )
        assert work.calls == [0, 1, 2, 3, 4]
        assert told == [(3, 5, "it"), (4, 5, "it"), (5, 5, "it")]
        assert [result["value"] for result in again] == [0.1 * seed for seed in range(5)]
        assert [result["value"] for result in first] == [0.0, 0.1, 0.2]
        assert all(np.isnan(result["nothing"]) for result in again)

    def test_an_interruption_keeps_what_was_done(self, tmp_path: Path) -> None:
        path, work = tmp_path / "results.jsonl", Counted()
        with pytest.raises(KeyboardInterrupt):
            compute(work.numbered(0, 1, 2, 13, 3, 4), Store(path))
        assert work.calls == [0, 1, 2]
        compute(work.numbered(*range(5)), Store(path))
        assert work.calls == [0, 1, 2, 3, 4]

    def test_a_line_that_was_cut_off_is_computed_again(self, tmp_path: Path) -> None:
        path, work = tmp_path / "results.jsonl", Counted()
        compute(work.numbered(*range(3)), Store(path))
        path.write_text(path.read_text()[:-40])
        compute(work.numbered(*range(4)), Store(path))
        assert work.calls == [0, 1, 2, 2, 3]
        assert len(compute(work.numbered(*range(4)), Store(path))) == 4
        assert work.calls == [0, 1, 2, 2, 3]

    @pytest.mark.parametrize(
        "change",
        [
            lambda piece: replace(piece, method=replace(piece.method, version=2)),
            lambda piece: replace(piece, method=replace(piece.method, name="another")),
            lambda piece: replace(piece, settings={"seed": 1}),
            lambda piece: replace(piece, identity={"river": "0.26.1"}),
        ],
        ids=["version", "name", "settings", "identity"],
    )
    def test_another_method_or_setting_is_another_result(
        self, change: Callable[[Piece], Piece], tmp_path: Path
    ) -> None:
        path, work = tmp_path / "results.jsonl", Counted()
        (piece,) = work.numbered(0)
        for one in (piece, change(piece), piece):
            compute([one], Store(path))
        assert len(work.calls) == 2

    def test_another_text_of_the_same_method_is_the_same_result(self, tmp_path: Path) -> None:
        path, work = tmp_path / "results.jsonl", Counted()
        (piece,) = work.numbered(0)
        compute([piece], Store(path))

        def renamed(seed: int) -> dict:
            """Says it in other words."""
            raise AssertionError("computed again")

        moved = replace(piece, method=replace(work.method, compute=renamed), data=tmp_path)
        assert compute([moved], Store(path))[0]["value"] == 0.0

    def test_versions_are_kept_beside_results(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, work, now = tmp_path / "results.jsonl", Counted(), pieces.versions()
        assert now == {"memoa": memoa.__version__, "numpy": np.__version__}
        compute(work.numbered(0, 1), Store(path))
        monkeypatch.setattr(pieces, "versions", lambda: {**now, "numpy": "another"})
        compute(work.numbered(0, 1, 2), Store(path))
        assert work.calls == [0, 1, 2]
        store = Store(path)
        assert store.versions(work.numbered(0, 1)) == [now]
        assert store.versions(work.numbered(0, 1, 2)) == [now, {**now, "numpy": "another"}]

    def test_other_processes_find_the_same(self, tmp_path: Path) -> None:
        here = compute(repetitions(4), Store(tmp_path / "here"))
        apart = compute(repetitions(4), Store(tmp_path / "apart"), jobs=2)
        for one, other in zip(here, apart, strict=True):
            assert one["server_rmse"] == other["server_rmse"]

    def test_an_error_in_another_process_comes_through_and_keeps_the_rest(
        self, tmp_path: Path
    ) -> None:
        store = Store(tmp_path / "results")
        wrong = Piece(forecasting.SCORE, {"series": "no", "forecaster": REPEAT, "seed": 0})
        with pytest.raises(KeyError, match="no"):
            compute([*repetitions(2), wrong], store, jobs=2)
        kept = Store(tmp_path / "results")
        assert all(kept.get(piece) is not None for piece in repetitions(2))


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
        assert [verdict.met for verdict in found] == [True] * 10
        assert all(verdict.found == "8 of 8" for verdict in found)

    @pytest.mark.parametrize(
        ("ratios", "missed", "words"),
        [
            ({"drift-1d/memoa": 1.02}, 0, "not drift-1d (1.0202 times)"),
            ({REPEAT: 0.98, GREEDY: 1.1}, 1, "0 of 8"),
            ({"ett/greedy": 1.0, GREEDY: 1.1}, 2, "not ett (1 times)"),
            ({"ett/greedy": 0.9, GREEDY: 1.1}, 3, "not ett (1.1111 times)"),
            ({"ett/" + EWA: 0.9, "boc/" + BOA: 0.9, "drift/" + BOA: 0.5}, 4, "5 of 8"),
            ({"ett/" + EWA: 0.9, "boc/" + REPEAT: 0.9995}, 5, "6 of 8; not boc (1.0005 times)"),
            ({"ett/" + EWA: 0.9, "boc/" + REPEAT: 0.9995}, 6, "7 of 8; not ett (1.1111 times)"),
            ({"boc/" + REPEAT: 0.997, GREEDY: 1.1}, 7, "not boc (1.003 times)"),
            ({"boc/" + GREEDY: 1.05, GREEDY: 1.1}, 9, "not boc (0.95238 times)"),
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
        assert [verdict.met for verdict in found] == [None] * 10
        lost = {f"{name}/{EWA}": 0.9 for name in ("periodic", "logistic", "drift")}
        found = forecasting.verdicts(made_up(lost | {"drift/memoa": 1.5}, SYNTHETIC))
        assert found[0].met is False
        assert found[4].met is False


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class TestReport:
    def test_forecasting_writes_what_compare_finds(self, tmp_path: Path) -> None:
        (section,) = run_experiments(
            tmp_path, only=["forecasting"], seeds=2, data=tmp_path, experiments=SMALL
        )
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
        assert settings["versions"] == [pieces.versions()]
        assert settings["ensemble"]["n_agents"] == memoa.OnlineEnsemble().n_agents
        assert len(settings["left out"]) == 1 + len(RIVER) + len(REFITTED)
        assert [one["met"] for one in settings["verdicts"]] == [one.met for one in section.verdicts]

    def test_stored_results_of_refits_are_shown_and_read_only(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = tmp_path / "kept.jsonl"
        monkeypatch.setattr(refitted, "STORED", kept)
        monkeypatch.setattr("experiments.report.STORED", kept)
        monkeypatch.setattr(refitted, "installed", lambda: None)
        assert refitted.stored() is None
        assert Forecasting().statsforecast is None
        found = dict.fromkeys(forecasting.MEASURES, 0.125) | {"failures": 0}
        for name in REFITTED:
            settings = {"series": "logistic", "forecaster": name}
            piece = Piece(forecasting.REFIT, settings, {"statsforecast": "9.8.7"})
            Store(kept).put(piece, found)
        text, shown = kept.read_text(), Forecasting(("logistic",), river=None)
        assert shown.statsforecast == refitted.stored() == "9.8.7"
        (section,) = run_experiments(tmp_path, seeds=1, experiments=[shown])
        page = (tmp_path / "experiments.md").read_text(encoding="utf-8")
        assert all(f"| {name} | 0.125 |" in page for name in REFITTED)
        assert "statsforecast version 9.8.7" in page
        assert not any("statsforecast" in line for line in section.left_out)
        assert kept.read_text() == text
        # A series without stored results has a dash, and its verdicts do not mind.
        (section,) = run_experiments(
            tmp_path, seeds=1, experiments=[Forecasting(("logistic", "periodic"), river=None)]
        )
        page = (tmp_path / "experiments.md").read_text(encoding="utf-8")
        assert all(f"| {name} | 0.125 | – |" in page for name in REFITTED)
        assert not any("nan" in verdict.found for verdict in section.verdicts)
        tables = (tmp_path / "experiments-tables.md").read_text(encoding="utf-8")
        assert "| statsforecast: AutoETS | 0 | – |" in tables
        rows = lines(tmp_path / "experiments/forecasting.csv")
        assert sum(row["forecaster"] in REFITTED for row in rows) == 2

    def test_every_section_has_its_files_and_keeps_its_place(self, tmp_path: Path) -> None:
        made = {
            "heterogeneity": {"heterogeneity.csv", "heterogeneity.png"},
            "encoders": {"encoders.csv"},
            "theory": {"theory.csv", "theory.png", "theory-worst.csv", "theory-worst.png"},
            "ablations": {"ablations.csv", *(f"{knob.name}.png" for knob in SMALL[2].all_knobs)},
        }
        for name, files in made.items():
            run_experiments(tmp_path, only=[name], seeds=1, experiments=SMALL)
            folder = tmp_path / "experiments"
            assert files | {f"{name}.json"} <= {path.name for path in folder.iterdir()}
            assert all((folder / file).stat().st_size > 300 for file in files)
        page = (tmp_path / "experiments.md").read_text(encoding="utf-8")
        names = [one.name for one in EXPERIMENTS if one.name in made]
        order = [page.index(f"<!-- section: {name} -->") for name in names]
        assert order == sorted(order)
        for image in pieces_of(page):
            assert (tmp_path / image).is_file()
        assert "slope -1 within 0.05 | -1.0" in page
        ett = "ett: left out, no folder with ETTh1.csv was given (--data DIR, or MEMOA_DATA)"
        assert ett in page.split("section: ablations")[1].split("section:")[0]
        # Written once more, nothing changes: neither sections nor results.
        results = (tmp_path / "experiments/results.jsonl").read_text()
        run_experiments(tmp_path, only=["theory"], seeds=1, experiments=SMALL)
        assert (tmp_path / "experiments.md").read_text(encoding="utf-8") == page
        assert (tmp_path / "experiments/results.jsonl").read_text() == results

    def test_a_mix_of_encoders_is_an_ensemble_of_them(self, tmp_path: Path) -> None:
        run_experiments(tmp_path, only=["encoders"], seeds=1, experiments=SMALL)
        with (tmp_path / "experiments/encoders.csv").open() as file:
            lines = list(csv.DictReader(file))
        assert len(lines) == len(POPULATIONS) * 2
        (found,) = (
            line for line in lines if (line["population"], line["policy"]) == ("mix", "greedy")
        )
        data = benchmarks.load("logistic", None)
        model = memoa.OnlineEnsemble(encoder=list(KINDS.values()), policy="greedy")
        run = model.run(data.X, data.Y, initial=data.initial)
        assert float(found["worst"]) == run.worst_agent_rmse
        assert float(found["server"]) == run.server_rmse
        assert found["kind"] == list(KINDS)[run.worst_agent % 4]
        page = (tmp_path / "experiments.md").read_text(encoding="utf-8")
        assert f"| greedy | {found['kind']} (1 of 1) |" in page

    def test_ablations_are_runs_of_the_ensemble(self, tmp_path: Path) -> None:
        run_experiments(tmp_path, only=["ablations"], seeds=1, experiments=SMALL)
        series, default = memoa.datasets.logistic_map(), memoa.OnlineEnsemble()
        plain = variants.PLAIN.get_params(deep=False)
        changed = {
            "consensus": {"consensus": 0.1},
            "n_agents": {"n_agents": 2},
            "n_features": {"encoder": replace(default.encoder, n_features=8)},
            "window": {"mixture": replace(default.mixture, window=2)},
            "communication": {**plain, "aggregate": "mean"},  # as the NumPy variants average
            "noise": {**plain, "aggregate": "mean"},
            "": {"policy": "greedy"},
        }
        found = lines(tmp_path / "experiments/ablations.csv")
        for setting, arguments in changed.items():
            value = {"communication": 1.0, "noise": 0.0, "": 0.0}.get(setting)
            if value is None:  # the second of the two, as above
                value = float(next(knob.values[1] for knob in _KNOBS if knob.name == setting))
            policy = arguments.get("policy", MEMOA)
            wanted = (setting, value, policy)
            (line,) = (
                one
                for one in found
                if (one["setting"], float(one["value"]), one["policy"]) == wanted
            )
            run = memoa.OnlineEnsemble(**arguments).run(series.X, series.Y, initial=series.initial)
            for measure in ablations.MEASURES:
                assert float(line[measure]) == pytest.approx(getattr(run, measure), rel=1e-10)


def test_the_study_of_the_defaults_is_quoted(tmp_path: Path) -> None:
    asked = []

    def study(seeds: list[int]) -> dict:
        asked.append(list(seeds))
        rows = [
            {"setting": name} | dict.fromkeys(COLUMNS, value)
            for name, value in (("default", 1.0), ("other", 1.25))
        ]
        return {"rows": rows, "how": "Chosen\nby care.\n\nTwice."}

    made_up = Defaults(method=Method("made up", 1, study))
    run_experiments(tmp_path, seeds=20, experiments=[made_up])
    page, tables = (
        (tmp_path / name).read_text(encoding="utf-8")
        for name in ("experiments.md", "experiments-tables.md")
    )
    assert asked == [[0, 1, 2]]
    assert "Chosen by care.\n\nTwice." in page
    assert "(experiments-tables.md#one-default-for-all)" in page
    for words in ("3 seeds.", "- *server*: ", "| other | 1.250 | 1.250 |"):
        assert words in tables and words not in page
    assert "\n## One default for all\n" in tables
    assert lines(tmp_path / "experiments/defaults.csv")[1]["server"] == "1.25"


class Echo:
    """In place of a model of statsforecast: a hundred times the season, plus the length."""

    fails = False

    def __init__(self, season_length: int) -> None:
        self.season_length = season_length

    def forecast(self, y: np.ndarray, h: int) -> dict:
        if self.fails:
            raise Exception("no model able to be fitted")
        assert h == 1
        return {"mean": np.array([100.0 * self.season_length + len(y)])}


def test_a_refitted_model_sees_the_last_values_and_the_season_so_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, cycle = Refitted(Echo), np.resize([1.0, 2.0, 4.0], 30)
    model.observe([cycle[0], 0.5])
    shown = []
    for t, y in enumerate(cycle[1:], start=1):
        shown.append(model.predict_one([0.0]))
        model.learn_one([0.0], [y, float(t % 2)])
    first, second = np.array(shown).T
    assert first[:9].tolist() == cycle[:9].tolist()  # too few values: the last one
    assert first[9:].tolist() == [300.0 + n for n in range(10, 30)]
    assert second[9:].tolist() == [200.0 + n for n in range(10, 30)]
    assert model.failures == 0
    monkeypatch.setattr(refitted, "MOST", 20)
    assert model.predict_one([0.0]).tolist() == [320.0, 220.0]
    monkeypatch.setattr(Echo, "fails", True)
    assert model.predict_one([0.0]).tolist() == [cycle[-1], 1.0]
    assert model.failures == 2


def pieces_of(page: str) -> list[str]:
    """The pictures that a page embeds."""
    return [
        part.split(")")[0] for part in page.split("](")[1:] if part.split(")")[0].endswith("png")
    ]


def call(*args: str) -> Result:
    return CliRunner().invoke(make_app(SMALL), list(args), prog_name="experiments")


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


def test_the_folder_is_a_program(tmp_path: Path) -> None:
    def program(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "bench" / "experiments"), *args]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    good = program("--help")
    assert (good.returncode, good.stderr) == (0, "")
    for word in ("--only", "--out", "--seeds", "--data", *(one.name for one in EXPERIMENTS)):
        assert word in good.stdout
    bad = program("--only", "theorie")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("experiments: only is 'theorie'; expected one of ")
    assert bad.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_without_a_folder_the_real_series_are_left_out(tmp_path: Path) -> None:
    for data, words in ((None, "was given"), (tmp_path, "is not there")):
        context = Context(tmp_path, data, (0,))
        assert context.series(benchmarks.PUBLISHED) == list(SYNTHETIC)
        absent = context.absent(benchmarks.PUBLISHED)
        assert len(absent) == 4
        assert all(words in line for line in absent)


def test_the_folder_of_data_may_come_from_the_environment(tmp_path: Path) -> None:
    arguments = ["--only", "heterogeneity", "--seeds", "1", "--jobs", "1"]
    found = {}
    for data in ("", str(tmp_path)):
        suite = (Heterogeneity(("logistic", "boc"), SMALL[4].families, n_agents=30),)
        result = CliRunner().invoke(
            make_app(suite), [*arguments, "--out", str(tmp_path)], env={"MEMOA_DATA": data}
        )
        assert result.exit_code == 0, result.output
        found[data] = result.stdout
    assert "boc: left out, no folder with" in found[""]
    assert f"boc: left out, {tmp_path / 'bank_of_canada_exchange_rates.csv'}" in found[
        str(tmp_path)
    ].replace("\n", "")


def test_a_file_that_changes_is_another_series(tmp_path: Path, real: Callable[[str], Path]) -> None:
    file = real("bank_of_canada_exchange_rates.csv")
    copy = tmp_path / file.name
    copy.write_bytes(file.read_bytes())

    def key(folder: Path) -> str:
        benchmarks._digest.cache_clear()
        return Context(tmp_path, folder, (0,)).piece(forecasting.SCORE, "boc", seed=0).key

    same = key(tmp_path)
    assert same == key(file.parent)
    copy.write_bytes(file.read_bytes() + b"\n")
    assert key(tmp_path) != same


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.name)
def test_a_knob_changes_one_setting(knob: ablations.Knob) -> None:
    plain = memoa.OnlineEnsemble().get_params(deep=False)
    assert knob.default == pytest.approx(
        float(plain["mixture"].ridge) if knob.name == "mixture_ridge" else knob.default
    )
    for value in knob.values:
        changed = memoa.OnlineEnsemble(**with_setting(knob.setting, value))
        params = changed.get_params(deep=False)
        different = {name for name in plain if params[name] != plain[name]}
        assert different == (set() if value == knob.default else {knob.setting.split(".")[0]})


def test_a_page_keeps_what_stands_before_its_sections(tmp_path: Path) -> None:
    page = tmp_path / "experiments.md"
    made_up = Defaults(method=Method("made up", 1, lambda seeds: {"rows": [], "how": "Anew."}))
    page.write_text("# Title\n\nBy hand.\n\n<!-- section: defaults -->\nOld.\n")
    run_experiments(tmp_path, seeds=1, experiments=[made_up])
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Title\n\nBy hand.\n\n<!-- section: defaults -->\n## One default")
    assert "Anew." in text and "Old." not in text


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
