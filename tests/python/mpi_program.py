"""What the processes of test_mpi.py run: ``mpiexec -n 3 python mpi_program.py what arguments``."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import pickle
import sys
import time
from typing import Any

import numpy as np

import memoa
import memoa.mpi
from helpers import series

N, T, STEPS = 4 * 512 + 37, 40, 4
X, Y, INITIAL = series(T, 3, 1)
MIX = [memoa.RandomFeatures(6), memoa.EchoState(3)]


def digest(*arrays: Any) -> str:
    """A hash of the arrays' bytes."""
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()


def ensemble(communicator: Any, **settings: Any) -> memoa.OnlineEnsemble:
    settings = {
        "encoder": memoa.RandomFeatures(4),
        "mixture": memoa.Mixture(window=8),
        "forgetting": (0.9, 0.97, 0.99),
        "n_threads": 1,
    } | settings
    return memoa.OnlineEnsemble(N, communicator=communicator, **settings)


def follow(model: memoa.OnlineEnsemble, first: int = 0, last: int = T) -> dict[str, Any]:
    """Hashes of all that can be seen of a run that goes on step by step; in rank 0 alone."""
    shown = []
    if first == 0:
        model.observe(INITIAL)
    run = model.run(X[first : last - STEPS], Y[first : last - STEPS], record=[N - 1, 3])
    for x, y in zip(X[last - STEPS : last], Y[last - STEPS : last]):
        shown.append(model.predict_one(x))
        model.learn_one(x, y)
    local = [model.gather_agent_predictions(), model.gather_agent_rmse(), model.gather_weights()]
    seen = {
        "forecasts": digest(run.predictions, np.array(shown)),
        "mean_field": digest(run.mean_field, model.mean_field),
        "recorded": digest(run.recorded),
        "under_performer": [model.under_performer[0], model.under_performer[1].hex()],
        "worst": [run.worst_agent, run.worst_agent_rmse.hex(), run.best_agent],
        "next": digest(model.predict(X[:2])),
    }
    if local[0] is None:
        return {}
    return seen | {
        "costs": digest(run.worst_cost, local[1]),
        "weights": digest(local[2]),
        "predictions": digest(local[0]),
    }


def clients(communicator: Any, delay: int = 0) -> memoa.Panel:
    return memoa.Panel(N, aggregate="clip", delay=delay, n_threads=1, communicator=communicator)


def follow_panel(panel: memoa.Panel, save: str | None = None) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(8, N, 2)), rng.normal(size=(8, N))
    y[rng.random(y.shape) < 0.1] = np.nan
    here = slice(panel.clients.start, panel.clients.stop)
    panel.run(x[:6, here], y[:6, here], initial=y[6, here][:, None])
    if panel.delay > 0:
        panel.predict_one(x[6, here])
    panel.learn_one(x[6, here], y[6, here], awake=np.arange(N)[here] % 3 > 0)
    forecasts = panel.predict_one(x[7, here])
    if save is not None:
        panel.save(save)
    worst = panel.under_performer
    local = [panel.gather_readouts(), panel.gather_client_rmse(), panel._gather(forecasts)]
    if local[0] is None:
        return {}
    return {
        "readouts": digest(local[0]),
        "rmse": digest(local[1]),
        "shown": digest(local[2]),
        "mean_readout": digest(panel.mean_readout),
        "worst": [worst[0], worst[1].hex()],
    }


def roll_out(communicator: Any) -> dict[str, Any]:
    game = memoa.Game([[1.0, 0.5]], [0.2, 0.2], [1.0], coupling=0.5, horizon=4)
    policy = memoa.solve_mean_field(game)
    found = memoa.simulate(game, policy, N, mean=[0.0], cov=[[1.0]], communicator=communicator)
    return {
        "path": digest(found.mean_path),
        "mean": found.mean_cost.hex(),
        "worst": [found.worst_agent, found.worst_cost.hex()],
    }


def everything(communicator: Any) -> dict[str, Any]:
    """All hashes that must be those of one process."""
    return {
        "memoa": follow(ensemble(communicator)),
        "float32": follow(ensemble(communicator, dtype="float32", aggregate="trimmed")),
        "greedy": follow(ensemble(communicator, policy="greedy", aggregate="mean")),
        "mix": follow(ensemble(communicator, encoder=MIX)),
        "panel": follow_panel(clients(communicator)),
        "late panel": follow_panel(clients(communicator, delay=2)),
        "simulation": roll_out(communicator),
    }


def load(communicator: Any, folder: str) -> dict[str, Any]:
    """Go on with what others have saved."""
    model = memoa.OnlineEnsemble.load(f"{folder}/a.npz", communicator=communicator, n_threads=1)
    panel = memoa.Panel.load(f"{folder}/p.npz", communicator=communicator)
    here = slice(panel.clients.start, panel.clients.stop)
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, N, 2)), rng.normal(size=(2, N))
    found = panel._gather(panel.run(x[:, here], y[:, here]).predictions[1])
    return {"ensemble": follow(model, 20), "panel": None if found is None else digest(found)}


def save(communicator: Any, folder: str) -> dict[str, Any]:
    model = ensemble(communicator)
    model.observe(INITIAL).run(X[:19], Y[:19])
    model.learn_one(X[19], Y[19])
    model.predict_one(X[20])
    model.save(f"{folder}/a.npz")
    follow_panel(clients(communicator), save=f"{folder}/p.npz")
    return {}


def die(communicator: Any, how: str) -> dict[str, Any]:
    """One of the processes goes while the others wait for it."""
    model = ensemble(communicator)
    for t in range(T):
        if t == 5 and communicator.rank == communicator.size - 1:
            if how == "raise":
                raise RuntimeError("this process had enough")
            if how == "exit":
                os._exit(7)
            os.kill(os.getpid(), 9)
        model.predict_one(X[t])
        model.learn_one(X[t], Y[t])
    time.sleep(60)
    return {}


def part(communicator: Any) -> dict[str, Any]:
    """The last process learns another y."""
    model = ensemble(communicator)
    model.observe(INITIAL)
    model.predict_one(X[0])
    model.learn_one(X[0], Y[0] + (communicator.rank == communicator.size - 1))
    said = []
    for _ in range(2):
        try:
            model.predict_one(X[1])
        except (ValueError, RuntimeError) as error:
            said.append(f"{type(error).__name__}: {error}")
    return {"said": said}


def about(communicator: Any) -> dict[str, Any]:
    """What a communicator is, and is not."""
    try:
        pickle.dumps(communicator)
    except TypeError as error:
        said = str(error)
    same = copy.deepcopy(communicator) is communicator
    alone = memoa.mpi.communicator_of_job() is None
    return {"about": [repr(communicator), said, same, alone]}


if __name__ == "__main__":
    communicator = memoa.mpi.communicator()
    found = globals()[sys.argv[1]](communicator, *sys.argv[2:])
    if communicator.rank == 0:
        print("\n" + json.dumps(found))
