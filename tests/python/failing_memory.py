"""Every allocation of a call fails in turn, through Python: what fails leaves no trace.

``python tests/python/failing_memory.py [CASE...]`` counts the failures of each case (Linux with
glibc, and a C compiler). An allocation is one of the core, of C++'s library or of NumPy: memory
that Python itself lacks is its own affair.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import memoa
from helpers import everything, series

X, Y, INITIAL = series(60, 3, 2)
WATCHED = (b"_core.", b"libstdc++", b"_multiarray_umath")
Model = Any
Case = tuple[Callable[[Path], Model], Callable[[Model, Path], object]]


def ensemble(**settings: Any) -> memoa.OnlineEnsemble:
    settings.setdefault("encoder", memoa.EchoState(4))
    return memoa.OnlineEnsemble(**{"n_agents": 21, "n_threads": 1, **settings})


def seen(**settings: Any) -> memoa.OnlineEnsemble:
    return ensemble(**settings).observe(INITIAL)


def learnt(**settings: Any) -> memoa.OnlineEnsemble:
    model = seen(**settings)
    model.run(X[:10], Y[:10])
    model.predict_one(X[10])
    return model


def saved(path: Path) -> memoa.OnlineEnsemble:
    model = learnt()
    model.save(path)
    return model


def a_step(model: Model, path: Path) -> None:
    model.learn_one(X[20], Y[20])


def a_run(model: Model, path: Path) -> None:
    model.run(X[20:60], Y[20:60], record=[3])


CASES: dict[str, Case] = {
    "predict_one, new": (lambda path: ensemble(), lambda model, path: model.predict_one(X[0])),
    "predict_one, first": (lambda path: seen(), lambda model, path: model.predict_one(X[0])),
    "predict_one": (lambda path: learnt(), lambda model, path: model.predict_one(X[20])),
    "learn_one, new": (lambda path: ensemble(), a_step),
    "learn_one, first": (lambda path: seen(), a_step),
    "learn_one": (lambda path: learnt(), a_step),
    "step_one": (lambda path: learnt(), lambda model, path: model.step_one(X[20], Y[20])),
    "observe": (lambda path: learnt(), lambda model, path: model.observe(INITIAL)),
    "run, new": (lambda path: ensemble(), a_run),
    "run": (lambda path: learnt(), a_run),
    "run, many agents": (lambda path: learnt(n_agents=200, encoder=memoa.Linear()), a_run),
    "run, float32": (lambda path: learnt(dtype="float32", encoder=memoa.RandomFeatures(4)), a_run),
    "fit": (lambda path: learnt(), lambda model, path: model.fit(X, Y)),
    "predict": (lambda path: learnt(), lambda model, path: model.predict(X)),
    "weights": (lambda path: learnt(), lambda model, path: model.weights),
    "save": (saved, lambda model, path: model.save(path)),
    "load": (saved, lambda model, path: memoa.OnlineEnsemble.load(path)),
    "restore": (lambda path: learnt(), lambda model, path: pickle.loads(pickle.dumps(model))),
}


def late(path: Path | None = None) -> memoa.OnlineEnsemble:
    """Two forecasts wait, whose y a run has told."""
    model = seen(delay=2, intervals=(0.5, 0.8))
    model.run(X[:10], Y[:10])
    return model


def full(path: Path | None = None) -> memoa.OnlineEnsemble:
    """As many wait as may, the y of the oldest is told."""
    model = late()
    model.predict_one(X[10])
    return model


def waiting(path: Path | None = None) -> memoa.OnlineEnsemble:
    """Two forecasts wait for their y."""
    model = seen(delay=2, intervals=(0.8,))
    model.predict_one(X[0])
    model.predict_one(X[1])
    return model


def saved_waiting(path: Path) -> memoa.OnlineEnsemble:
    model = waiting()
    model.save(path)
    return model


def sure(path: Path | None = None) -> memoa.OnlineEnsemble:
    return learnt(intervals=(0.5, 0.8))


def wide(path: Path | None = None) -> memoa.OnlineEnsemble:
    """A mixture of many equations."""
    model = seen(n_agents=600, encoder=memoa.Linear(), mixture=memoa.Mixture(window=280))
    model.run(*series(280, 3, 2)[:2])
    model.predict_one(X[10])
    return model


CASES |= {
    "predict_one, wide": (wide, lambda model, path: model.predict_one(X[20])),
    "learn_one, wide": (wide, a_step),
    "run, wide": (wide, a_run),
    "predict_one, intervals": (sure, lambda model, path: model.predict_one(X[20])),
    "learn_one, intervals": (sure, lambda model, path: model.learn_one(X[10], Y[10])),
    "step_one, intervals": (sure, lambda model, path: model.step_one(X[20], Y[20])),
    "run, intervals": (sure, a_run),
    "run, and the next": (lambda path: learnt(), lambda model, path: model.run(X[20:], Y[20:-1])),
    "run, warm-up": (lambda path: learnt(), lambda model, path: model.run(X, Y, warmup=5)),
    "predict_one, late": (late, lambda model, path: model.predict_one(X[20])),
    "predict_one, told": (full, lambda model, path: model.predict_one(X[20])),
    "learn_one, told": (full, lambda model, path: model.learn_one(X[10], Y[10])),
    "learn_one, late": (waiting, lambda model, path: model.learn_one(X[0], Y[0])),
    "run, late": (late, a_run),
    "observe, late": (waiting, lambda model, path: model.observe(INITIAL)),
    "save, late": (saved_waiting, lambda model, path: model.save(path)),
    "load, late": (saved_waiting, lambda model, path: memoa.OnlineEnsemble.load(path)),
    "restore, late": (waiting, lambda model, path: pickle.loads(pickle.dumps(model))),
}

AWAKE = np.random.default_rng(1).uniform(size=(60, 21)) < 0.7


def some_away(path: Path | None = None, **settings: Any) -> memoa.OnlineEnsemble:
    """The forecast that waits is that of some agents."""
    model = seen(**settings)
    model.run(X[:10], Y[:10], awake=AWAKE[:10])
    model.predict_one(X[10], AWAKE[10])
    return model


def saved_away(path: Path) -> memoa.OnlineEnsemble:
    model = some_away()
    model.save(path)
    return model


def a_run_of_some(model: Model, path: Path) -> None:
    model.run(X[20:], Y[20:-1], awake=AWAKE[20:])


CASES |= {
    "predict_one, the first with some away": (
        lambda path: learnt(),
        lambda model, path: model.predict_one(X[20], AWAKE[20]),
    ),
    "predict_one, some away": (
        some_away,
        lambda model, path: model.predict_one(X[20], AWAKE[20]),
    ),
    "learn_one, some away": (some_away, lambda model, path: model.learn_one(X[10], Y[10])),
    "step_one, some away": (
        some_away,
        lambda model, path: model.step_one(X[20], Y[20], AWAKE[20]),
    ),
    "run, the first with some away": (lambda path: learnt(), a_run_of_some),
    "run, some away": (some_away, a_run_of_some),
    "run, some away, no crowd": (lambda path: some_away(path, aggregate="mean"), a_run_of_some),
    "save, some away": (saved_away, lambda model, path: model.save(path)),
    "load, some away": (saved_away, lambda model, path: memoa.OnlineEnsemble.load(path)),
    "restore, some away": (some_away, lambda model, path: pickle.loads(pickle.dumps(model))),
}

CLIENTS = X.reshape(20, 3, 3), Y[:, :1].reshape(20, 3)  # inputs and values of a panel


def panel(path: Path | None = None) -> memoa.Panel:
    return memoa.Panel(3, n_threads=1)


def learnt_panel(path: Path | None = None) -> memoa.Panel:
    model = panel()
    model.run(CLIENTS[0][:10], CLIENTS[1][:10])
    model.predict_one(CLIENTS[0][10])
    return model


def saved_panel(path: Path) -> memoa.Panel:
    model = learnt_panel()
    model.save(path)
    return model


def a_panel_step(model: Model, path: Path) -> None:
    model.learn_one(CLIENTS[0][11], CLIENTS[1][11], awake=np.array([True, False, True]))


def a_panel_run(model: Model, path: Path) -> None:
    model.run(CLIENTS[0][10:], CLIENTS[1][10:], initial=CLIENTS[1][9])


CASES |= {
    "Panel.predict_one, new": (panel, lambda model, path: model.predict_one(CLIENTS[0][0])),
    "Panel.predict_one": (learnt_panel, lambda model, path: model.predict_one(CLIENTS[0][11])),
    "Panel.learn_one, new": (panel, a_panel_step),
    "Panel.learn_one": (learnt_panel, a_panel_step),
    "Panel.run, new": (panel, a_panel_run),
    "Panel.run": (learnt_panel, a_panel_run),
    "Panel.add_clients": (learnt_panel, lambda model, path: model.add_clients(2)),
    "Panel.save": (saved_panel, lambda model, path: model.save(path)),
    "Panel.load": (saved_panel, lambda model, path: memoa.Panel.load(path)),
    "Panel restore": (learnt_panel, lambda model, path: pickle.loads(pickle.dumps(model))),
}


def late_panel(path: Path | None = None) -> memoa.Panel:
    """As many forecasts wait as may, and a run has told the y of two of them."""
    model = memoa.Panel(3, n_threads=1, delay=2)
    model.run(CLIENTS[0][:10], CLIENTS[1][:10], awake=np.tile([True, True, False], (10, 1)))
    model.predict_one(CLIENTS[0][10])
    return model


def waiting_panel(path: Path | None = None) -> memoa.Panel:
    """Two forecasts wait for their y, and a step that was learnt to be taken in."""
    model = memoa.Panel(3, n_threads=1, delay=2).observe(CLIENTS[1][0])
    for step in range(3):
        model.predict_one(CLIENTS[0][step])
    return model.learn_one(CLIENTS[0][0], CLIENTS[1][0])


def saved_late_panel(path: Path) -> memoa.Panel:
    model = late_panel()
    model.save(path)
    return model


def a_late_panel_step(model: Model, path: Path) -> None:
    model.learn_one(CLIENTS[0][1], CLIENTS[1][1], awake=np.array([True, False, True]))


CASES |= {
    "Panel.predict_one, late": (
        waiting_panel,
        lambda model, path: model.predict_one(CLIENTS[0][3]),
    ),
    "Panel.predict_one, told": (late_panel, lambda model, path: model.predict_one(CLIENTS[0][11])),
    "Panel.learn_one, late": (waiting_panel, a_late_panel_step),
    "Panel.learn_one, told": (
        late_panel,
        lambda model, path: model.learn_one(CLIENTS[0][10], CLIENTS[1][10]),
    ),
    "Panel.observe, late": (waiting_panel, lambda model, path: model.observe(CLIENTS[1][1])),
    "Panel.run, late": (
        lambda path: memoa.Panel(3, n_threads=1, delay=2),
        lambda model, path: model.run(*CLIENTS, initial=CLIENTS[1][:3, :, None]),
    ),
    "Panel.add_clients, late": (late_panel, lambda model, path: model.add_clients(2)),
    "Panel.save, late": (saved_late_panel, lambda model, path: model.save(path)),
    "Panel.load, late": (saved_late_panel, lambda model, path: memoa.Panel.load(path)),
    "Panel restore, late": (late_panel, lambda model, path: pickle.loads(pickle.dumps(model))),
}


def waiting_of(known: dict[str, Any]) -> Any:
    """The input that waits for its y, of a panel or of an ensemble."""
    return known["_pending"] if "_pending" in known else (known["_engines"] or {}).get("waiting")


def predict_again(model: Model, before: dict[str, Any]) -> None:
    if isinstance(model, memoa.Panel):
        model.predict_one(CLIENTS[0][10])
    else:
        awake = before["_engines"]["awake"]
        model.predict_one(X[10], None if awake is None else np.frombuffer(awake[1], dtype=bool))


def fail_every_allocation(case: Case, path: Path, *, once: bool) -> int:
    """How many allocations of the call failed, one alone (`once`) or with all that followed."""
    make, call = case
    library = ctypes.CDLL(None)
    for name in WATCHED:
        library.watch(name)
    model = make(path)
    before = everything(model)
    file = path.read_bytes() if path.exists() else None
    for failures in range(100_000):
        raised = False
        library.refuse_after(ctypes.c_long(failures), int(once))
        try:
            call(model, path)
        except MemoryError:
            raised = True
        refused = library.give()
        if not refused:
            break
        if not raised:  # done without that memory
            model = make(path)
        now = everything(model)
        if waiting_of(before) is not None and waiting_of(now) is None:
            predict_again(model, before)
            now = everything(model)
        changed = [name for name in before | now if now.get(name) != before.get(name)]
        assert not changed, f"{changed} changed by failure {failures}"
        assert file is None or path.read_bytes() == file
    twin = make(path)
    call(twin, path)
    assert everything(model) == everything(twin)
    return failures


def build(folder: Path) -> Path:
    """The library that refuses memory."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if (
        compiler is None
        or sys.platform != "linux"
        or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version")
    ):
        raise RuntimeError("expected Linux with glibc and a C compiler")
    library = folder / "failing_memory.so"
    source = Path(__file__).with_suffix(".c")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def run_under(library: Path, *cases: str) -> subprocess.CompletedProcess[str]:
    """This script in a process whose memory the library hands out."""
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run(
        [sys.executable, __file__, "--preloaded", *cases],
        env={**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )


def main(names: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        if "--preloaded" not in names:
            done = run_under(build(Path(folder)), *names)
            print(done.stdout + done.stderr, end="")
            return done.returncode
        total = 0
        for name in names[1:] or CASES:
            path = Path(folder) / "saved.npz"
            counts = [fail_every_allocation(CASES[name], path, once=once) for once in (True, False)]
            path.unlink(missing_ok=True)
            print(f"{name}: {counts[0]} alone, {counts[1]} with all that followed", flush=True)
            total += sum(counts)
        print(f"{total} allocations failed, and nothing was changed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
