"""Several processes compute the bits of one: threads in their place, and MPI where it is there."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import memoa
import mpi_program
from memoa import mpi
from mpi_program import N, X, Y, ensemble, everything
from ranks import Ranks

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
MPIEXEC = shutil.which(
    "mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
)
needs_mpi = pytest.mark.skipif(
    importlib.util.find_spec("mpi4py") is None or MPIEXEC is None,
    reason='needs mpi4py and mpiexec: pip install "memoa[mpi]"',
)


@pytest.fixture(scope="module")
def of_one() -> dict[str, Any]:
    return everything(None)


# ------------------------------------------------------------------ threads in their place


@pytest.mark.parametrize("size", [1, 3])
def test_any_number_of_ranks_computes_the_bits_of_one(size: int, of_one: dict[str, Any]) -> None:
    found = Ranks(size).run(everything)
    assert found[0] == of_one
    assert found[-1]["simulation"] == of_one["simulation"]


def test_agents_here_are_rows_of_all() -> None:
    whole = ensemble(None)
    run = whole.run(X, Y, initial=0.0)
    assert run.agents == range(N)

    def body(communicator: Any) -> None:
        model = ensemble(communicator)
        assert len(model.weights) == len(model.agents)  # before anything was seen
        part = model.run(X, Y, initial=0.0)
        here = slice(model.agents.start, model.agents.stop)
        assert part.agents == model.agents
        assert np.array_equal(part.agent_rmse, run.agent_rmse[here])
        assert np.array_equal(model.weights, whole.weights[here])
        assert np.array_equal(model.agent_predictions, whole.agent_predictions[here])
        assert part.summary().splitlines()[0] == run.summary().splitlines()[0]
        assert (part.worst_agent, part.best_agent) == (run.worst_agent, run.best_agent)
        assert part.mean_agent_rmse == pytest.approx(run.mean_agent_rmse, rel=1e-14)
        assert repr(part) == repr(run)
        assert model.under_performer == whole.under_performer

    Ranks(2).run(body)


def test_features_of_the_callers_own_are_those_of_the_agents_here() -> None:
    features = np.random.default_rng(0).normal(size=(12, N, 3))
    whole = memoa.OnlineEnsemble(N, memoa.Precomputed(3))
    expected = whole.run(features, Y[:12]).predictions

    def body(communicator: Any) -> None:
        model = memoa.OnlineEnsemble(N, memoa.Precomputed(3), communicator=communicator)
        here = slice(model.agents.start, model.agents.stop)
        found = model.run(features[:, here], Y[:12]).predictions
        assert np.array_equal(found, expected)

    Ranks(2).run(body)


def test_a_seed_that_is_drawn_is_that_of_the_first_rank() -> None:
    def body(communicator: Any) -> str:
        model = ensemble(communicator, random_state=None)
        model.run(X, Y)
        return mpi_program.digest(model.mean_field)

    assert len(set(Ranks(2).run(body))) == 1


@pytest.mark.parametrize("before, after", [(1, 3), (3, 2), (2, 0), (0, 2)])
def test_any_number_of_ranks_goes_on_with_what_others_saved(
    before: int, after: int, tmp_path: Path
) -> None:
    """0 stands for a process on its own."""

    def on(size: int, body: Any, folder: Path) -> Any:
        if size == 0:
            return body(None, str(folder))
        return Ranks(size).run(lambda rank: body(rank, str(folder)))[0]

    (tmp_path / "one").mkdir(), (tmp_path / "parts").mkdir()
    on(0, mpi_program.save, tmp_path / "one")
    expected = on(0, mpi_program.load, tmp_path / "one")
    on(before, mpi_program.save, tmp_path / "parts")
    on(before, mpi_program.save, tmp_path / "parts")  # over the other
    assert len(list((tmp_path / "parts").iterdir())) == 2 * (before + 1 if before else 1)
    assert on(after, mpi_program.load, tmp_path / "parts") == expected


def test_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    Ranks(2).run(lambda rank: mpi_program.save(rank, str(tmp_path)))
    for name, kind in (("a.npz", memoa.OnlineEnsemble), ("p.npz", memoa.Panel)):
        manifest = json.loads((tmp_path / name).read_text())
        with pytest.raises(ValueError, match="this is a part of what was saved"):
            kind.load(tmp_path / manifest["parts"][0]["file"])
        for change, message in (
            ({"format": "other"}, "its format is unknown"),
            ({"parts": []}, "it names no parts"),
            ({"parts": manifest["parts"][1:]}, "does not follow"),
            ({"parts": [{**manifest["parts"][0], "file": "../a"}]}, "is no name of a file"),
            ({"parts": 3}, "no manifest"),
        ):
            (tmp_path / "b.npz").write_text(json.dumps(manifest | change))
            with pytest.raises(ValueError, match=message):
                kind.load(tmp_path / "b.npz")
        (tmp_path / "b.npz").write_text("{not JSON")
        with pytest.raises(ValueError, match="no manifest"):
            kind.load(tmp_path / "b.npz")


def test_a_part_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    def body(communicator: Any) -> None:
        model = ensemble(communicator)
        model.run(X, Y)
        model.save(tmp_path / "a.npz")
        before = sorted(path.name for path in tmp_path.iterdir())
        if communicator.rank == 1:
            model._engines.core = _Unwritable(model._engines.core)  # type: ignore[union-attr]
        with pytest.raises(OSError):
            model.save(tmp_path / "a.npz")
        communicator._all(None)
        assert sorted(path.name for path in tmp_path.iterdir()) == before

    Ranks(2).run(body)
    memoa.OnlineEnsemble.load(tmp_path / "a.npz")


class _Unwritable:
    def __init__(self, core: Any) -> None:
        self.core = core

    def __getattr__(self, name: str) -> Any:
        return getattr(self.core, name)

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.core.save(*args, **kwargs)
        raise OSError("no space left")


def test_ranks_that_part_are_told_in_what() -> None:
    for said in Ranks(2).run(mpi_program.part):
        first, second = said["said"]
        assert first.startswith("ValueError: y, or initial, is not the same in all 2 processes")
        assert second.startswith("RuntimeError: this is broken since an exchange")

    def settings(communicator: Any) -> None:
        ensemble(communicator, consensus=1.0 + communicator.rank).predict_one(X[0])

    with pytest.raises(ValueError, match="consensus is not the same in all 2 processes"):
        Ranks(2).run(settings)

    def panel(communicator: Any) -> None:
        model = memoa.Panel(
            N, aggregate="mean", pooling=1.0 + communicator.rank, communicator=communicator
        )
        model.predict_one(np.zeros((len(model.clients), 1)))

    with pytest.raises(ValueError, match="pooling is not the same in all 2 processes"):
        Ranks(2).run(panel)


def test_what_cannot_be_shared_is_refused() -> None:
    class Three:
        rank, size = 0, 3
        add = max = gather = None

    with pytest.raises(ValueError, match="n_agents is 1024; expected at least 1025 for 3"):
        memoa.OnlineEnsemble(1024, communicator=Three()).predict_one([0.0])
    with pytest.raises(ValueError, match="aggregate is trimmed, which needs the readouts"):
        memoa.Panel(N, communicator=Three())
    for wrong in (3, "world"):
        for make in (memoa.OnlineEnsemble, memoa.Panel):
            with pytest.raises(TypeError, match="communicator is .*expected None or"):
                make(2000, communicator=wrong)
    panel = memoa.Panel(N, aggregate="clip", communicator=Three())
    with pytest.raises(ValueError, match="clients cannot be added"):
        panel.add_clients(1)


def test_all_agents_are_awake_where_ranks_share_them() -> None:
    def body(rank: Any) -> None:
        model = memoa.OnlineEnsemble(1024, memoa.Linear(), communicator=rank).observe([0.0])
        awake = np.ones((3, 512), bool)
        calls: list[Any] = [
            lambda: model.predict_one([1.0], awake[0]),
            lambda: model.run(np.ones((3, 1)), np.ones((3, 1)), awake=awake),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="awake was given, but processes share"):
                call()
        assert model.step_one([1.0], [1.0]) == 0.0  # nothing was exchanged in vain

    Ranks(2).run(body)


def test_a_copy_speaks_to_the_same_ranks() -> None:
    def body(communicator: Any) -> None:
        model = ensemble(communicator)
        model.run(X[:20], Y[:20])
        twin = copy.deepcopy(model)
        assert twin.communicator is communicator
        runs = [one.run(X[20:], Y[20:]) for one in (model, twin)]
        assert np.array_equal(runs[0].predictions, runs[1].predictions)

    Ranks(2).run(body)


# ------------------------------------------------------------------ MPI


def mpiexec(size: int, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    assert MPIEXEC is not None
    environment = {
        **os.environ,
        "MPIR_CVAR_POLLS_BEFORE_YIELD": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]),
    }
    found = subprocess.run(
        [MPIEXEC, "-n", str(size), sys.executable, *arguments],
        text=True,
        capture_output=True,
        timeout=300,
        env=environment,
    )
    if check:
        assert found.returncode == 0, found.stdout + found.stderr
    return found


def told(found: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(found.stdout.splitlines()[-1])


@needs_mpi
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_processes_compute_the_bits_of_one(size: int, of_one: dict[str, Any]) -> None:
    assert told(mpiexec(size, str(HERE / "mpi_program.py"), "everything")) == of_one


@needs_mpi
def test_processes_go_on_with_what_others_saved(tmp_path: Path) -> None:
    mpiexec(3, str(HERE / "mpi_program.py"), "save", str(tmp_path))
    found = told(mpiexec(2, str(HERE / "mpi_program.py"), "load", str(tmp_path)))
    assert found == mpi_program.load(None, str(tmp_path))


@needs_mpi
@pytest.mark.parametrize("how", ["raise", "exit", "kill"])
def test_a_process_that_dies_ends_the_others(how: str) -> None:
    began = time.monotonic()
    found = mpiexec(2, str(HERE / "mpi_program.py"), "die", how, check=False)
    assert found.returncode != 0
    assert time.monotonic() - began < 10 + START
    if how == "raise":
        assert "this process had enough" in found.stderr


START = 20  # seconds to start Python on a busy machine


@needs_mpi
def test_processes_that_part_are_told_in_what() -> None:
    found = told(mpiexec(2, str(HERE / "mpi_program.py"), "part"))["said"]
    assert found[0].startswith("ValueError: y, or initial, is not the same in all 2 processes")


@needs_mpi
def test_the_command_line_on_two_processes(tmp_path: Path) -> None:
    options = ["-m", "memoa", "run", "logistic", "--agents", "1025", "--threads", "1"]
    alone = subprocess.run(
        [sys.executable, *options, "--out", str(tmp_path / "one")],
        text=True,
        capture_output=True,
        check=True,
    )
    found = mpiexec(2, *options, "--out", str(tmp_path / "two"))
    assert found.stdout.replace("/two", "/one") == alone.stdout
    files = [(tmp_path / name / "predictions.csv").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]
    again = mpiexec(2, *options, "--out", str(tmp_path / "two"), check=False)
    assert again.returncode != 0
    assert "exists already" in again.stderr


@needs_mpi
@pytest.mark.parametrize("page", ["many-machines.md", "how-to/mpi.md"])
def test_the_program_of_a_page_runs_on_two_processes(page: str, tmp_path: Path) -> None:
    """One process prints, and what it prints are the numbers of one process alone."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (code,) = (block for block in blocks if "memoa.mpi.communicator()" in block)
    program = tmp_path / "program.py"
    program.write_text(code, encoding="utf-8")
    together = mpiexec(2, str(program)).stdout
    assert "server" in together
    assert together == mpiexec(1, str(program)).stdout


@needs_mpi
@pytest.mark.parametrize("page", ["many-machines.md", "how-to/mpi.md"])
def test_the_command_of_a_page_runs(page: str, tmp_path: Path) -> None:
    """As it stands, with fewer agents."""
    text = (DOCS / page).read_text(encoding="utf-8")
    commands = re.findall(r"^mpiexec -n (\d+) python (.*?)$", text, re.MULTILINE)
    assert commands
    for size, arguments in commands:
        words = arguments.split()
        words[words.index("--agents") + 1] = "1025"
        shown = mpiexec(int(size), *words, "--out", str(tmp_path / "out"), "--threads", "1").stdout
        assert "1025 agents" in shown


@needs_mpi
def test_a_communicator_is_no_data() -> None:
    assert told(mpiexec(1, str(HERE / "mpi_program.py"), "about"))["about"] == [
        "Communicator(rank=0, size=1)",
        "a communicator cannot be pickled; save an ensemble by its save method",
        True,
        True,
    ]


def test_without_mpi4py_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ImportError, match=r'pip install "memoa\[mpi\]"'):
        mpi.communicator()
