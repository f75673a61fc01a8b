"""A Dask cluster on this machine: a scheduler and workers, each a process of its own, as users start them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.support.paths import ROOT

# Seconds in which all are there; where many tests run at once it takes some.
PATIENCE = 120


class DaskCluster:
    """A scheduler, and the workers that are started; all end with the block."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.file = folder / "scheduler.json"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", self.file)
        _wait(self.file.exists)

    def add_worker(self, python_path: str = str(ROOT)) -> subprocess.Popen[bytes]:
        """Start a worker of one thread, whose modules come from `python_path`, and wait until it is registered."""
        place = self._folder / f"worker{len(self.workers)}"
        flags = "--scheduler-file", self.file, "--nthreads", "1", "--no-nanny", "--local-directory", place
        worker = self._start("worker", *flags, PYTHONPATH=python_path)
        self.workers.append(worker)
        log = self._folder / f"worker{len(self.workers)}.log"
        _wait(lambda: "Registered to" in log.read_text(encoding="utf-8"))
        return worker

    def _start(self, kind: str, *flags: object, **environment: str) -> subprocess.Popen[bytes]:
        log = self._folder / (f"worker{len(self.workers) + 1}.log" if kind == "worker" else "scheduler.log")
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", *map(str, flags)]
        with log.open("wb") as file:
            return subprocess.Popen(
                command, stdout=file, stderr=file, cwd=self._folder, env={**os.environ, **environment}
            )

    def __enter__(self) -> DaskCluster:
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


def _wait(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
