"""Processes that evaluate: the same evaluations as in threads, whatever becomes of them, and none outlives the run."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tests.support.command import Run
from tests.support.paths import EXAMPLES
from twimager.fingerprint import working_image
from twimager.pairing import workers
from twimager.runtime import child

FLAGS = "--lr", EXAMPLES / "LR", "--hr", EXAMPLES / "HR", "--report"
# What a process does that evaluates nothing.
CRASHES = {"at once": "", "with the first question": "import pickle, sys; pickle.load(sys.stdin.buffer)"}


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[Popen[bytes]]:
    """Have even few LRs evaluated in processes; return those that were started."""
    start, started = child.start, list[Popen[bytes]]()

    def listed(command: Sequence[str], *more: Any) -> Popen[bytes]:
        process = start(command, *more)
        if tuple(command[:-1]) == workers.COMMAND:
            started.append(process)
        return process

    monkeypatch.setattr(workers, "WORTH_PROCESSES", 1)
    monkeypatch.setattr(child, "start", listed)
    return started


def decided(dest: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the images that a run wrote, and what its report says of them."""
    report = json.loads((dest / "report.json").read_text(encoding="utf-8").replace(f"{dest.name}/", ""))
    written = {path.relative_to(dest).as_posix(): path.read_bytes() for path in dest.glob("?R/*")}
    return written, {key: report[key] for key in ("pairs", "rejected_pairs", "rejected_images")}


def test_processes_and_threads_decide_alike(run: Run, tmp_path: Path, processes: list[Popen[bytes]]) -> None:
    assert run(*FLAGS, "--dest", tmp_path / "threads", "--jobs", 1).code == 0
    assert not processes
    assert run(*FLAGS, "--dest", tmp_path / "processes", "--jobs", 2).code == 0
    assert len(processes) == 2
    assert decided(tmp_path / "processes") == decided(tmp_path / "threads")
    assert all(process.poll() is not None for process in processes)


def test_paths_are_as_seen_from_where_the_run_began(
    run: Run, tmp_path: Path, processes: list[Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.setattr(working_image.recent, "limit", 0)  # every copy has to be read again
    assert run("--lr", "LR", "--hr", "HR", "--dest", tmp_path / "out", "--jobs", 2, "--report").code == 0
    assert len(processes) == 2
    assert len(decided(tmp_path / "out")[0]) == 16


@pytest.mark.parametrize("when", CRASHES)
def test_a_process_that_crashes_costs_nothing(
    run: Run, tmp_path: Path, processes: list[Popen[bytes]], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr(workers, "COMMAND", (sys.executable, "-c", CRASHES[when]))
    outcome = run(*FLAGS, "--dest", tmp_path / "out", "--jobs", 2)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("pairs written: 8\n")
    assert processes


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_process_outlives_a_run_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys; from twimager.cli.main import main; from twimager.pairing import workers; "
        "workers.WORTH_PROCESSES = 1; sys.exit(main())"
    )
    flags = [*map(str, FLAGS), "--dest", str(tmp_path / "out"), "--jobs", "2"]
    with Popen([sys.executable, "-c", program, *flags], env={**os.environ, "MARK": str(tmp_path)}) as process:
        wait_for(2, tmp_path)
        process.kill()
    wait_for(0, tmp_path)


def wait_for(number: int, mark: Path) -> None:
    """Wait until so many processes of this mark evaluate."""
    for _ in range(400):
        found = 0
        for process in Path("/proc").glob("[0-9]*"):
            try:
                marked = f"MARK={mark}".encode() in (process / "environ").read_bytes()
                found += marked and b"twimager.pairing.workers" in (process / "cmdline").read_bytes()
            except OSError:
                continue
        if found == number:
            return
        time.sleep(0.05)
    raise AssertionError(found)
