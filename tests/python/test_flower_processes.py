"""Federations in Flower's own processes: its simulation engine, and a deployment on loopback."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

import grid
import memoa
from flower_processes import APP, Processes, free_port, processes
from helpers import assert_close, assert_same_bits
from memoa.federated import Client, Server

if sys.version_info < (3, 11):
    pytest.skip("Flower needs Python 3.11", allow_module_level=True)
if importlib.util.find_spec("flwr") is None:
    pytest.skip("needs the extra memoa[flower]", allow_module_level=True)
pytestmark = pytest.mark.slow


def logistic(n_clients: int, batch: int) -> np.ndarray:
    """What the example's clients and server find, in this process."""
    series = memoa.datasets.logistic_map()
    clients = {k: Client(8, random_state=k) for k in range(n_clients)}
    server = Server([8] * n_clients).observe(series.initial)
    return grid.run(server, clients, series.X, series.Y, batch)


def run_example(flower: Processes, out: Path, config: str) -> np.ndarray:
    shown = flower.run(
        "flwr", "run", str(APP), "test", "--stream", "--run-config", f'{config} out="{out}"'
    )
    assert out.exists(), shown + flower.logs()
    with np.load(out) as found:
        result: np.ndarray = found["result"]
        return result


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs flwr[simulation]")
def test_ten_simulated_clients_give_the_numbers_of_one_process(tmp_path: Path) -> None:
    with processes(tmp_path) as flower:
        flower.superlink("--simulation")
        flower.run(
            "flwr",
            "federation",
            "simulation-config",
            "@none/default",
            "test",
            "--num-supernodes",
            "10",
        )
        found = run_example(flower, tmp_path / "logistic.npz", "batch=50")
        assert_same_bits(found, logistic(10, 50))
        readout = run_example(flower, tmp_path / "panel.npz", 'series="panel" batch=60')
    series = memoa.datasets.similar_households(n_clients=40, n=240)
    awake = np.zeros((240, 40), bool)
    awake[59::60] = True
    panel = memoa.Panel(40, consensus=0.0)
    panel.run(series.X, series.Y, initial=series.initial, awake=awake)
    panel.predict_one(series.X[-1])  # forms the readout of the last exchange
    assert_close(readout, panel.mean_readout, 1e-12)


def commands() -> list[list[str]]:
    """What the pages of the site tell a reader to type, each command once."""
    found = []
    for page in ("docs/many-machines.md", "docs/how-to/flower.md"):
        text = (APP.parents[1] / page).read_text(encoding="utf-8")
        lines = re.findall(r"^flwr .*$", text, re.MULTILINE)
        assert len(lines) >= 2, page
        found += [words for words in map(shlex.split, lines) if words not in found]
    return found


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs flwr[simulation]")
def test_the_commands_of_the_pages_run(tmp_path: Path) -> None:
    """As they stand, but for the name of the SuperLink and the folder that they are run in."""
    with processes(tmp_path) as flower:
        flower.superlink("--simulation")
        for words in commands():
            there = {"local": "test", "examples/flower": str(APP)}
            shown = flower.run(*(there.get(word, word) for word in words))
            if "run" in words:  # what the ServerApp prints at the end
                is_panel = any("panel" in word for word in words)
                result = "the crowd's readout after" if is_panel else "server RMSE"
                assert result in shown, shown + flower.logs()


def test_two_deployed_clients_give_the_numbers_of_one_process(tmp_path: Path) -> None:
    with processes(tmp_path) as flower:
        port = flower.superlink()
        for k in range(2):
            flower.start(
                "flower-supernode",
                "--insecure",
                "--superlink",
                f"127.0.0.1:{port}",
                "--host",
                "127.0.0.1",
                "--port",
                str(free_port()),
                "--node-config",
                f"partition-id={k} num-partitions=2",
            )
        found = run_example(flower, tmp_path / "out.npz", "clients=2 batch=100")
    assert_same_bits(found, logistic(2, 100))
