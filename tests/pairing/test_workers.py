"""Processes that evaluate: the same evaluations as in threads, whatever becomes of them, and none outlives the run."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tests.support.command import Run
from tests.support.paths import EXAMPLES
from tests.support.pictures import CAST
from twimager.fingerprint import working_image
from twimager.pairing import workers
from twimager.runtime import child, process

NAMES = "still_03", "still_07", "still_09"
# What a process does that evaluates nothing.
CRASHES = {"at once": "", "with the first question": "import pickle, sys; pickle.load(sys.stdin.buffer)"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three pairs of the examples."""
    for side, names in (("LR", NAMES), ("HR", map(CAST.get, NAMES))):
        (tmp_path / side).mkdir()
        for name in names:
            shutil.copy(next((EXAMPLES / side).glob(f"{name}.*")), tmp_path / side)
    return tmp_path


def flags(folder: Path, dest: str, jobs: int) -> tuple[object, ...]:
    return "--lr", folder / "LR", "--hr", folder / "HR", "--dest", folder / dest, "--report", "--jobs", jobs


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[Popen[bytes]]:
    """Have even few LRs evaluated in processes; return those that were started."""
    start, started = child.start, list[Popen[bytes]]()

    def listed(command: Sequence[str], *more: Any) -> Popen[bytes]:
        one = start(command, *more)
        if tuple(command[:-1]) == process.COMMAND:
            started.append(one)
        return one

    monkeypatch.setattr(workers, "WORTH_PROCESSES", 1)
    monkeypatch.setattr(child, "start", listed)
    return started


def decided(dest: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the images that a run wrote, and what its report says of them."""
    report = json.loads((dest / "report.json").read_text(encoding="utf-8").replace(f"{dest.name}/", ""))
    written = {path.relative_to(dest).as_posix(): path.read_bytes() for path in dest.glob("?R/*")}
    return written, {key: report[key] for key in ("pairs", "rejected_pairs", "rejected_images")}


def test_processes_and_threads_decide_alike(run: Run, folder: Path, processes: list[Popen[bytes]]) -> None:
    assert run(*flags(folder, "threads", 1)).code == 0
    assert not processes
    assert run(*flags(folder, "processes", 2)).code == 0
    assert len(processes) == 2
    assert decided(folder / "processes") == decided(folder / "threads")
    assert all(one.poll() is not None for one in processes)


def test_paths_are_as_seen_from_where_the_run_began(
    run: Run, folder: Path, processes: list[Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(working_image.recent, "limit", 0)  # every copy has to be read again
    assert run(*flags(Path(), "out", 2)).code == 0
    assert len(processes) == 2
    assert len(decided(folder / "out")[0]) == 2 * len(NAMES)


@pytest.mark.parametrize("when", CRASHES)
def test_a_process_that_crashes_costs_nothing(
    run: Run, folder: Path, processes: list[Popen[bytes]], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr(process, "COMMAND", (sys.executable, "-c", CRASHES[when]))
    outcome = run(*flags(folder, "out", 2))
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("pairs written: 3\n")
    assert processes


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_process_outlives_a_run_that_is_killed(folder: Path) -> None:
    program = (
        "import sys; from twimager.cli.main import main; from twimager.pairing import workers; "
        "workers.WORTH_PROCESSES = 1; sys.exit(main())"
    )
    with Popen(
        [sys.executable, "-c", program, *map(str, flags(folder, "out", 2))], env={**os.environ, "MARK": str(folder)}
    ) as run:
        wait_for(2, folder)
        run.kill()
    wait_for(0, folder)


def wait_for(number: int, mark: Path) -> None:
    """Wait until so many processes of this mark evaluate."""
    for _ in range(400):
        found = 0
        for one in Path("/proc").glob("[0-9]*"):
            try:
                marked = f"MARK={mark}".encode() in (one / "environ").read_bytes()
                found += marked and b"twimager.runtime.process" in (one / "cmdline").read_bytes()
            except OSError:
                continue
        if found == number:
            return
        time.sleep(0.05)
    raise AssertionError(found)
