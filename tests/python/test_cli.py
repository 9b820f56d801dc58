"""The command line, from the outside: what it prints, what it writes, how it fails."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import memoa
from memoa import datasets
from memoa.__main__ import main
from memoa.cli.app import app

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
ROWS = ("memoa", "greedy", "repeat the last value")
SMALL = ("--agents", "6", "--features", "5")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def call(*args: str, **env: str) -> Result:
    return CliRunner().invoke(app, list(args), env=env, prog_name="memoa")


def table(result: Result) -> dict[str, list[float]]:
    """The printed RMSEs, by row."""
    assert result.exit_code == 0, result.output
    rows = (re.match(r" ?(.*?)((?: +[0-9.]+){5}) *$", line) for line in result.stdout.splitlines())
    return {row[1].strip(): [float(x) for x in row[2].split()][:3] for row in rows if row}


def settings(folder: str) -> dict:
    return json.loads(Path(folder, "settings.json").read_text(encoding="utf-8"))


def rmse(frame: pd.DataFrame, forecasts: str, targets: tuple[str, ...] = ("y",)) -> float:
    frame = frame[frame[targets[0]].notna()]  # not the step that nobody has seen yet
    errors = [frame[name + forecasts] - frame[name] for name in targets]
    return float(np.sqrt(np.mean(np.square(errors))))


def small_table(n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "day": pd.date_range("2024-01-01", periods=n).astype(str),
            "load": rng.normal(size=n),
            "price": 50.0 + rng.normal(size=n).cumsum(),
            "heat": rng.normal(size=n).cumsum(),
        }
    )


def assert_one_line(result: Result, *words: str, code: int = 2) -> None:
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("memoa: ")
    for word in words:
        assert word in lines[0]


def test_run_prints_one_table_and_writes_three_files() -> None:
    result = call("run", "logistic", *SMALL)
    assert tuple(table(result)) == ROWS
    assert result.stdout.startswith("logistic: 200 steps, 1 input, 1 output, 6 agents\n")
    assert result.stdout.rstrip().endswith(str(Path("memoa-out/logistic")))
    assert result.stderr == ""  # no progress bar where nobody watches
    folder = Path("memoa-out/logistic")
    assert {p.name for p in folder.iterdir()} == {"predictions.csv", "plot.png", "settings.json"}
    assert (folder / "plot.png").read_bytes().startswith(PNG)


def test_lowest_errors_are_named() -> None:
    result = call("run", "drift", *SMALL)
    rows = table(result)
    names = [min(rows, key=lambda name: rows[name][column]) for column in range(3)]
    expected = f"lowest: server {names[0]}, mean agent {names[1]}, worst agent {names[2]}"
    assert expected in result.stdout


def test_numbers_are_those_of_the_library() -> None:
    printed = table(call("run", "logistic", *SMALL, "--seed", "3", "--out", "here"))
    series = datasets.logistic_map()
    saved, frame = settings("here"), pd.read_csv("here/predictions.csv")
    for policy in ("memoa", "greedy"):
        ensemble = memoa.OnlineEnsemble(
            6, memoa.RandomFeatures(5, "wave", n_raw=4, n_columns=2), policy=policy, random_state=3
        )
        run = ensemble.run(series.X, series.Y, initial=series.initial)
        expected = [run.server_rmse, run.mean_agent_rmse, run.worst_agent_rmse]
        assert list(saved["rmse"][policy].values()) == pytest.approx(expected, rel=1e-12)
        if policy == "memoa":
            following = ensemble.predict_one(series.Y[-1])
            forecasts = np.append(run.predictions[:, 0], following)
            np.testing.assert_allclose(frame["y_server"], forecasts, rtol=1e-12)
            np.testing.assert_allclose(frame["y_mean_field"][:-1], run.mean_field[:, 0], rtol=1e-12)
            assert (saved["best_agent"], saved["worst_agent"]) == (run.best_agent, run.worst_agent)
    for name in ROWS:
        assert printed[name] == pytest.approx(list(saved["rmse"][name].values()), rel=1e-3)


def test_files_agree_with_the_table() -> None:
    call("run", "logistic", *SMALL, "--out", "here")
    frame, saved = pd.read_csv("here/predictions.csv"), settings("here")
    parts = ["y", "y_server", "y_mean_field", "y_best_agent", "y_worst_agent"]
    bounds = [f"y_{side}_{level}" for level in (80, 95) for side in ("low", "high")]
    assert list(frame) == ["step", *parts, *bounds]
    assert (frame["y_low_95"] <= frame["y_server"])[2:].all()
    assert frame["step"].tolist() == list(range(201))
    assert frame["y"].isna().tolist() == [False] * 200 + [True]
    assert saved["rmse"]["memoa"]["server"] == pytest.approx(rmse(frame, "_server"))
    assert saved["rmse"]["memoa"]["worst_agent"] == pytest.approx(rmse(frame, "_worst_agent"))
    assert rmse(frame, "_best_agent") < rmse(frame, "_worst_agent")
    frame["y_repeat"] = np.append(datasets.logistic_map().initial, frame["y"][:-1])
    assert saved["next"]["y"] == frame["y_server"].iloc[-1]
    repeat = saved["rmse"]["repeat the last value"]
    assert set(repeat.values()) == {repeat["server"]}
    assert repeat["server"] == pytest.approx(rmse(frame, "_repeat"))
    assert repeat["server"] == pytest.approx(0.4301, abs=5e-5)  # published for this series


def test_settings_suffice_to_repeat_the_run() -> None:
    call("run", "drift", *SMALL, "--encoder", "cos", "--seed", "7", "--threads", "1", "--out", "a")
    saved = settings("a")
    assert saved["memoa"] == memoa.build_info()["version"]
    assert saved["series"]["name"] == saved["series"]["data"] == "drift"
    assert saved["series"]["targets"] == ["y1", "y2"]
    ensemble = saved["ensemble"]
    assert (ensemble["n_agents"], ensemble["policy"]) == (6, "memoa")
    assert (ensemble["random_state"], ensemble["n_threads"]) == (7, 1)
    assert ensemble["encoder"]["type"] == "RandomFeatures"
    assert (ensemble["encoder"]["n_features"], ensemble["encoder"]["activation"]) == (5, "cos")
    assert ensemble["mixture"]["window"] == memoa.Mixture().window


def test_policy_chooses_the_forecasts_and_leaves_the_table() -> None:
    first = table(call("run", "periodic", *SMALL, "--out", "memoa"))
    second = table(call("run", "periodic", *SMALL, "--policy", "greedy", "--out", "greedy"))
    assert first == second
    for policy in ("memoa", "greedy"):
        frame = pd.read_csv(f"{policy}/predictions.csv")
        saved = settings(policy)
        assert saved["ensemble"]["policy"] == policy
        assert saved["rmse"][policy]["server"] == pytest.approx(rmse(frame, "_server"))


def test_two_outputs_have_their_own_columns() -> None:
    call("run", "drift", *SMALL)
    frame = pd.read_csv("memoa-out/drift/predictions.csv")
    assert len(frame.columns) == 1 + 2 * 9
    saved = settings("memoa-out/drift")["rmse"]["memoa"]
    assert saved["server"] == pytest.approx(rmse(frame, "_server", ("y1", "y2")))
    assert saved["worst_agent"] == pytest.approx(rmse(frame, "_worst_agent", ("y1", "y2")))


def test_large_runs_record_in_a_second_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    call("run", "logistic", *SMALL, "--out", "once")
    monkeypatch.setattr("memoa.forecasters.two_policies.MAX_RECORDED", 0)
    call("run", "logistic", *SMALL, "--out", "twice")
    once, twice = (Path(folder, "predictions.csv").read_bytes() for folder in ("once", "twice"))
    assert once == twice


@pytest.mark.parametrize("encoder", ["relu", "tanh", "cos", "echo"])
def test_every_encoder_runs(encoder: str) -> None:
    assert len(table(call("run", "drift-1d", *SMALL, "--encoder", encoder))) == 3


def test_csv_and_parquet_give_the_same_forecasts_with_dates() -> None:
    frame = small_table()
    frame.to_csv("prices.csv", index=False)
    frame.assign(day=pd.to_datetime(frame["day"])).to_parquet("prices.parquet")
    for kind in ("csv", "parquet"):
        result = call("run", f"prices.{kind}", "--target", "price,heat", *SMALL, "--out", kind)
        assert result.stdout.startswith("prices: 38 steps, 13 inputs, 2 outputs, 6 agents\n")
    csv, parquet = (pd.read_csv(f"{kind}/predictions.csv") for kind in ("csv", "parquet"))
    pd.testing.assert_frame_equal(csv, parquet)
    assert csv["date"].tolist() == [*frame["day"][2:], "2024-02-10"]
    np.testing.assert_allclose(csv["price"][:-1], frame["price"][2:], rtol=1e-14)
    source = settings("csv")["series"]
    assert (source["data"], source["lags"]) == ("prices.csv", 2)
    assert source["target"] == source["targets"] == ["price", "heat"]
    one = call("run", "prices.csv", "--target", "price", "--lags", "4", *SMALL)
    assert one.stdout.startswith("prices: 36 steps, 10 inputs, 1 output, 6 agents\n")
    assert "inputs: 4 lags and a season of 7 steps (by the dates); change with --season\n" in (
        one.stdout
    )
    none = call("run", "prices.csv", "--target", "price", "--season", "none", *SMALL, "--out", "n")
    assert none.stdout.startswith("prices: 38 steps, 4 inputs, 1 output, 6 agents\n")
    assert "inputs: 2 lags and no season; change with --lags\n" in none.stdout


@pytest.mark.parametrize(
    ("frequency", "season"),
    [("h", 24), ("D", 7), ("MS", 12), ("QS", 4), ("YS", None), (None, None)],
)
def test_the_dates_choose_the_season_and_options_override(
    frequency: str | None, season: int | None
) -> None:
    frame = pd.DataFrame({"y": np.random.default_rng(0).normal(size=80).cumsum()})
    if frequency is not None:
        frame.insert(0, "day", pd.date_range("2020-01-01", periods=80, freq=frequency))
    frame.to_csv("a.csv", index=False)
    shown = "no season" if season is None else f"a season of {season} steps"
    why = "by the dates" if frequency else "there are no dates"
    chosen = call("run", "a.csv", "--target", "y", *SMALL)
    assert f"inputs: 2 lags and {shown} ({why}); change with --lags and --season\n" in (
        chosen.stdout
    )
    source = settings("memoa-out/a")["series"]
    assert (source["lags"], source["season"]) == (2, season)
    assert source["chosen"] == ["lags", "season"]
    given = call("run", "a.csv", "--target", "y", "--lags", "1", "--season", "5", *SMALL, "--force")
    assert "inputs: 1 lag and a season of 5 steps\n" in given.stdout
    source = settings("memoa-out/a")["series"]
    assert (source["lags"], source["season"], source["chosen"]) == (1, 5, [])


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real series are not at {DATA}")
@pytest.mark.parametrize(
    ("name", "file", "repeat"),
    [("ett", "ETTh1.csv", 0.02637), ("boc", "bank_of_canada_exchange_rates.csv", 0.0067)],
)
def test_real_series(name: str, file: str, repeat: float) -> None:
    printed = table(call("run", name, "--file", str(DATA / file), *SMALL))
    assert printed["repeat the last value"][0] == pytest.approx(repeat, abs=6e-6)
    frame = pd.read_csv(f"memoa-out/{name}/predictions.csv")
    assert len(frame) == 2001
    assert frame.columns[0] == "date"


def test_nothing_wraps_in_a_narrow_pipe() -> None:
    folder = "/".join(["a-folder-with-a-long-name"] * 5)
    result = call("run", "periodic", *SMALL, "--out", folder, COLUMNS="30")
    assert len(table(result)) == 3
    assert result.stdout.splitlines()[-1].endswith(str(Path(folder)))


BROKEN = {
    "gap": "a,b\n1,2\n2,\n3,4\n5,6\n",
    "text": "a,b\n1,2\n2,hello\n3,4\n5,6\n",
    "short": "a,b\n1,2\n",
    "empty": "",
    "good": "a,b\n" + "1,2\n2,1\n" * 20,
}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("run", ["DATA"]),
        ("fly", ["fly"]),
        ("run logitsic", ["logitsic", "did you mean logistic", "periodic", "drift-1d", "ett"]),
        ("run nowhere.csv --target a", ["nowhere.csv", "no such file"]),
        ("run no/where --target a", ["no/where", "no such file"]),
        ("run good.csv", ["good.csv", "--target", "'a', 'b'"]),
        ("run empty.csv", ["empty.csv"]),
        ("run empty.csv --target a", ["empty.csv"]),
        ("run good.csv --target c", ["good.csv", "'c'", "'a', 'b'"]),
        ("run text.csv --target b", ["text.csv", "'b'", "line 3", "hello"]),
        ("run short.csv --target a", ["short.csv", "1 rows"]),
        ("run . --target a", ["."]),
        ("run ett", ["ett", "--file"]),
        ("run ett --file nowhere.csv", ["nowhere.csv", "no such file"]),
        ("run boc --file good.csv --start 3", ["good.csv"]),
        ("run drift --target y1", ["--target", "drift"]),
        ("run drift --lags 3", ["--lags", "drift"]),
        ("run good.csv --target a --start 0", ["--start", "good.csv"]),
        ("run drift --agents 0", ["--agents"]),
        ("run drift --agents many", ["--agents"]),
        ("run drift --features 0", ["--features"]),
        ("run drift --threads 0", ["--threads"]),
        ("run drift --seed -1", ["--seed"]),
        ("run good.csv --target a --lags 0", ["--lags"]),
        ("run drift --policy best", ["--policy", "best"]),
        ("run drift --encoder best", ["--encoder", "best"]),
        ("run drift --agnets 3", ["--agnets"]),
        ("run drift --out good.csv", ["good.csv"]),
    ],
)
def test_errors_are_one_line(command: str, words: list[str]) -> None:
    for name, text in BROKEN.items():
        Path(f"{name}.csv").write_text(text)
    result = call(*command.split())
    assert_one_line(result, *words)
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("error", "word", "code"),
    [
        (KeyboardInterrupt(), "interrupted", 130),
        (np.linalg.LinAlgError("stage 3 is singular\nin two lines"), "stage 3 is singular", 2),
        (TypeError("X holds objects"), "X holds objects", 2),
        (MemoryError(), "memory", 2),
    ],
)
def test_failures_within_a_run_are_one_line(
    error: BaseException, word: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(memoa.OnlineEnsemble, "run", fail)
    assert_one_line(call("run", "drift", *SMALL), word, code=code)


def test_a_bug_of_our_own_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(memoa.OnlineEnsemble, "run", fail)
    result = call("run", "drift", *SMALL)
    assert isinstance(result.exception, ZeroDivisionError)
    assert result.exit_code == 1


def test_info_and_version() -> None:
    info = memoa.build_info()
    assert call("--version").stdout == f"memoa {info['version']}\n"
    lines = call("info").stdout.splitlines()
    assert [line.split(maxsplit=1)[0] for line in lines] == list(info)
    for line, value in zip(lines, info.values(), strict=True):
        assert value in line
    if info["openmp"] == "no":
        assert info["threads"] == "1"
    else:
        assert int(info["openmp"][:4]) >= 2011  # of the standard


def test_without_a_command_it_helps() -> None:
    result = call()
    assert result.exit_code == 0
    assert "Usage: memoa [OPTIONS]" in result.stdout


@pytest.mark.parametrize("package", ["typer", "rich", "pandas", "matplotlib"])
def test_missing_packages_name_the_extra(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    expected = f'memoa: the command line needs {package}: pip install "memoa[cli]"\n'
    assert capsys.readouterr().err == expected


def test_python_m_memoa() -> None:
    def python_m(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "memoa", *args]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    good = python_m("run", "periodic", *SMALL)
    assert (good.returncode, good.stderr) == (0, "")
    assert "repeat the last value" in good.stdout
    bad = python_m("run", "periodc")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.count("\n") == 1
    assert "did you mean periodic" in bad.stderr
