"""A run in a process of its own, and the processes that are left of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

from tests.support import hostile
from tests.support.paths import EXAMPLES, ROOT

# Marks the processes that a test starts, and those that they start.
MARK = "TWIMAGER_TEST"


class Job:
    """The examples and two files for another process to decode, run as a user does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mark = folder, uuid.uuid4().hex
        for side in ("LR", "HR"):
            shutil.copytree(EXAMPLES / side, folder / side)
            (folder / side / "moving.gif").write_bytes(hostile.saved("GIF", 2))

    def start(self, dest: Path, *flags: object) -> subprocess.Popen[str]:
        command = [sys.executable, ROOT / "twimager.py", "--lr", self.folder / "LR", "--hr", self.folder / "HR"]
        return subprocess.Popen(
            [*map(str, command), "--dest", str(dest), "--jobs", "2", *map(str, flags)], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, MARK: self.mark},
        )  # fmt: skip

    def finish(self, dest: Path, *flags: object) -> tuple[int, str, str]:
        with self.start(dest, *flags) as process:
            out, err = process.communicate()
        return process.returncode, out, err

    def processes(self) -> list[str]:
        """The processes that are left of those that were started."""
        left = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if f"{MARK}={self.mark}".encode() in (process / "environ").read_bytes():
                    left.append((process / "cmdline").read_bytes().decode())
            except OSError:
                continue
        return left


def wait_for_none(job: Job) -> None:
    """What is left of a run ends within a moment."""
    for _ in range(100):
        if not job.processes():
            return
        time.sleep(0.05)
    raise AssertionError(job.processes())


def wait_for_handlers(process: subprocess.Popen[str]) -> None:
    """Return once a process handles signals itself, which end it before; where /proc does not tell, after a moment."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        time.sleep(0.3)
    while status.exists() and process.poll() is None:
        caught = int(status.read_text().split("SigCgt:")[1].split()[0], 16)
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.01)
