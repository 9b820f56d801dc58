"""Processes of Flower for the tests: each run's are found, and ended, by a mark of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

MARK = "MEMOA_TEST_RUN"
BIN = Path(sys.executable).parent
APP = Path(__file__).resolve().parents[2] / "examples" / "flower"
PATIENCE = 300.0  # seconds for a process to be ready


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Processes:
    """Flower's programs with a home, and a mark in their environment, of this test alone."""

    def __init__(self, home: Path) -> None:
        self.home, self.mark = home, uuid.uuid4().hex
        self.started: list[subprocess.Popen[bytes]] = []
        self.env = (
            os.environ
            | {
                MARK: self.mark,
                "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
                "FLWR_HOME": str(home / "flwr"),
                "FLWR_TELEMETRY_ENABLED": "0",
                "FLWR_DISABLE_UPDATE_CHECK": "1",
                "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_worker_niceness": "0",  # as ours: a busy machine starves them
                "RAY_TMPDIR": f"/tmp/ray-{self.mark[:8]}",  # sockets: 107 characters
                "PYTHONWARNINGS": "ignore",
            }
        )
        (home / "flwr").mkdir(parents=True)

    def start(self, *command: str) -> None:
        with (self.home / f"{command[0]}-{uuid.uuid4().hex[:6]}.log").open("wb") as log:
            process = subprocess.Popen(
                [str(BIN / command[0]), *command[1:]],
                env=self.env,
                stdout=log,
                stderr=log,
                cwd=self.home,
                start_new_session=True,
            )
        self.started.append(process)

    def run(self, *command: str, timeout: float = 900.0) -> str:
        done = subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=self.home,
        )
        assert done.returncode == 0, done.stdout + done.stderr + self.logs()
        return done.stdout + done.stderr

    def logs(self) -> str:
        return "\n".join(f"== {p.name}\n{p.read_text()}" for p in self.home.glob("*.log"))

    def superlink(self, *options: str) -> int:
        """A SuperLink that `flwr` knows as `test`; the port that it listens at."""
        port = free_port()
        (self.home / "flwr" / "config.toml").write_text(
            f'[superlink]\ndefault = "test"\n[superlink.test]\naddress = "127.0.0.1:{port}"\n'
            "insecure = true\n"
        )
        self.start(
            "flower-superlink",
            "--insecure",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--disable-runtime-dependency-installation",
            *options,
        )
        self.wait_for(port)
        return port

    def wait_for(self, port: int) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                return
            time.sleep(0.2)
        raise TimeoutError(f"nobody listens at port {port}\n{self.logs()}")

    def alive(self) -> list[int]:
        """Processes that carry the mark: what was started, and what that started."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found

    def end(self) -> None:
        """End them all, by their numbers."""
        for sent in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.alive():
                with contextlib.suppress(OSError):
                    os.kill(pid, sent)
            until = time.monotonic() + 15.0
            while self.alive() and time.monotonic() < until:
                time.sleep(0.2)
        for process in self.started:
            process.wait(15.0)
        shutil.rmtree(self.env["RAY_TMPDIR"], ignore_errors=True)


@contextlib.contextmanager
def processes(home: Path) -> Iterator[Processes]:
    """Of a test; none of them survives it."""
    made = Processes(home)
    try:
        yield made
    finally:
        made.end()
        assert made.alive() == []
