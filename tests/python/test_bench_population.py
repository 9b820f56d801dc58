"""The population benchmark compares like with like: its peers compute memoa's numbers."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers import assert_close

BENCH = Path(__file__).resolve().parents[2] / "bench"
if not BENCH.is_dir():
    pytest.skip("bench/ is not part of this tree", allow_module_level=True)
sys.path.insert(0, str(BENCH))

import peers  # noqa: E402
import population_goals  # noqa: E402
import population_report  # noqa: E402
import step_bytes  # noqa: E402
from peers import Case  # noqa: E402
from population_record import Record  # noqa: E402

DTYPES = ("float64", "float32")
CASES = [Case(n, p, d, dtype) for dtype in DTYPES for n, p, d in ((70, 3, 2), (5, 4, 1))]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("name", ["numpy", "numpy-lapack"])
def test_numpy_computes_memoas_numbers(name: str, case: Case) -> None:
    make = peers.load(name)
    if name == "numpy":
        make = type("SmallTiles", (make,), {"TILE": 60})  # several, and a last one that is not full
    assert peers.disagreement(make, case, 2, n_steps=12) < peers.TOLERANCE[case.dtype]


CHILD = """
import sys; sys.path.insert(0, sys.argv[1])
import peers
from peers import Case
for case in {cases!r}:
    for name in {names!r}:
        off = peers.disagreement(peers.load(name), case, 2, n_steps=12)
        print(off, peers.TOLERANCE[case.dtype])
"""


@pytest.mark.parametrize(
    ("library", "names"), [("numba", ["numba"]), ("jax", ["jax", "jax-scan"]), ("torch", ["torch"])]
)
def test_libraries_compute_memoas_numbers(library: str, names: list[str]) -> None:
    """In a process of their own: they bring threads that a later test's fork would not survive."""
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is of the extra `bench`, which .ci/nightly installs")
    code = CHILD.format(cases=CASES, names=names)
    done = subprocess.run(
        [sys.executable, "-c", code, str(BENCH)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = np.array([line.split() for line in done.stdout.splitlines()], float)
    assert len(found) == len(CASES) * len(names)
    assert (found[:, 0] < found[:, 1]).all(), found


def test_a_wrong_peer_is_found() -> None:
    class Wrong(peers.load("numpy")):
        def learn(self, change: np.ndarray) -> None:
            super().learn(1.0001 * change)

    assert peers.disagreement(Wrong, Case(20, 3, 1), 1, n_steps=12) > 1e-5


def test_generated_kernel_agrees() -> None:
    """Its text is run as plain Python, which needs no compiler."""
    pytest.importorskip("numba", reason="numba is of the extra `bench`, which .ci/nightly installs")
    import peers_numba_unrolled as unrolled

    case = Case(3, 3, 2)
    lanes, rows = 4, 6 + 6 + 12 + 3 + 3 + 2 + 1 + 2 + 1
    namespace = {"np": np, "U": int}
    exec(unrolled.source(3, 2, 4, lanes), namespace)
    V, v = peers.encoder_weights(case)
    state = np.zeros((rows, lanes))
    state[12:24, :3], state[24:27, :3] = V.reshape(3, 12).T, v.T
    numbers, stream = np.array([0.98, 0.1, np.sqrt(2 / 3)]), peers.make_stream(8, 4, 2)
    H, q, z, change = np.zeros((3, 3, 3)), np.zeros((3, 3, 2)), np.zeros((3, 3)), np.zeros(2)
    for x in stream.standardised:
        namespace["blocks"](state.reshape(-1), 0, 1, x, change, numbers)
        H, q = 0.98 * H + z[:, :, None] * z[:, None], 0.98 * q + z[:, :, None] * change
        z = np.sqrt(2 / 3) * np.maximum(V @ x + v, 0.0)
        solved = np.linalg.solve(H + 0.1 * np.eye(3), z[:, :, None])
        assert_close(state[30:32, :3].T, (q.transpose(0, 2, 1) @ solved)[:, :, 0])
        change = change + np.array([0.3, -0.2])


def test_inputs_are_standardised() -> None:
    """What the peers are given; that it is what memoa computes, their agreement shows."""
    stream = peers.make_stream(20, 3, 1)
    plain = peers.standardise(7.0 + 3.0 * stream.X)  # unchanged by an increasing affine map
    assert_close(plain, stream.standardised)
    np.testing.assert_array_equal(stream.standardised[0], 0.0)
    assert np.abs(stream.standardised).max() <= 4.0


def test_bytes_by_arithmetic() -> None:
    """p = 2, d = 1, dx = 4, by hand: H has 3 numbers, q 2, the encoder 10."""
    assert step_bytes.step_bytes(Case(1, 2, 1)) == 8 * (6 + 4 + 10 + 3 + 3 + 2) + 16
    assert step_bytes.step_bytes(Case(1, 2, 1, "float32")) == 4 * (6 + 4 + 10 + 3 + 3 + 2) + 16
    assert step_bytes.agent_bytes(Case(1, 2, 1)) == 8 * (3 + 2 + 10 + 1 + 1) + 8
    assert step_bytes.agent_bytes(Case(1, 8, 4)) == 8 * (36 + 32 + 40 + 4 + 1) + 8


def test_goals_take_the_worst_case() -> None:
    """Of the medians that a goal speaks of, the one farthest on the wrong side."""
    case = {"n_agents": 10**6, "n_features": 8, "n_outputs": 1, "dtype": "float64", "threads": 2}
    rows = [
        {"case": case | {"n_features": p}, "fraction": {"q1": 0.0, "median": value, "q3": 1.0}}
        for p, value in ((8, 0.9), (16, 0.6))
    ]
    rows.append({"case": case | {"threads": 1}, "fraction": {"median": 0.1}})
    goal = population_goals.GOALS[0]
    assert goal.verdict({}) == (">= 0.7", "-", "not measured")
    assert goal.verdict({"step": rows[:1]}) == (">= 0.7", "0.9", "met")
    bound, measured, met = goal.verdict({"step": rows})
    assert (bound, met) == (">= 0.7", "NOT MET")
    assert "0.6" in measured and "p = 16" in measured


ORIGIN = {"processor": "a", "memoa version": "1", "quick": False}


def row(n_agents: int, ns: float) -> dict:
    return {"case": {"n_agents": n_agents}, "ns": ns}


def test_a_row_replaces_only_that_of_its_case_and_origin(tmp_path: Path) -> None:
    path = tmp_path / "population.json"
    record = Record(path)
    for ns, n_agents in ((1.0, 10), (2.0, 20), (3.0, 10)):
        record.add("step", row(n_agents, ns), ORIGIN)
    for other in (
        ORIGIN | {"processor": "b"},
        ORIGIN | {"memoa version": "2"},
        ORIGIN | {"quick": True},
    ):
        record.add("step", row(10, 9.0), other)
    record.save()
    again = Record(path)
    assert [one["ns"] for one in again.rows_of(ORIGIN)["step"]] == [3.0, 2.0]
    assert [one["ns"] for one in again.rows_of(ORIGIN | {"quick": True})["step"]] == [9.0]
    assert again.rows_of(ORIGIN | {"processor": "c"}) == {"step": []}
    assert again.fullest() == ORIGIN


def test_an_empty_record_has_no_tables(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"population\.json holds no measurement; run bench_pop"):
        Record(tmp_path / "population.json").fullest()


def test_reports_of_every_section() -> None:
    """The kept results fill every table, and every goal has a verdict."""
    path = BENCH / "results" / "population.json"
    if not path.exists():
        pytest.skip("bench/results/population.json is not there; bench_population.py makes it")
    record = Record(path)
    origin = record.fullest()
    results = record.rows_of(origin)
    made = population_report.sheets(results)
    assert len(made[0].rows) == len(population_goals.GOALS)
    assert {row[-1] for row in made[0].rows} <= {"met", "NOT MET", "not measured"}
    text = population_report.markdown(results, origin)
    pages = [
        (BENCH.parent / "docs" / name).read_text("utf-8")
        for name in ("performance.md", "performance-tables.md")
    ]
    assert all(text.splitlines()[0] in page for page in pages)
    for sheet in made:
        assert sum(f"\n## {sheet.title}\n" in page for page in pages) == 1, sheet.title
        assert sheet.rows, sheet.title
        assert all(len(row) == len(sheet.columns) for row in sheet.rows)
        assert f"## {sheet.title}" in text
