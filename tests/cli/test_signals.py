"""Signals: every command ends in time, with one line, and leaves no temporary file and no process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from http.client import HTTPException
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support import hostile
from tests.support.client import Client, Tab
from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.marks import linux
from tests.support.paths import EXAMPLES, ROOT
from tests.support.processes import MARK, Job, wait_for_handlers, wait_for_none
from tests.support.web import web

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")]

HR, STILL = EXAMPLES / "HR", EXAMPLES / "LR/still_07.jpg"
# What stands in for a command's work: it starts a decoder, says so, and goes on until it is interrupted.
WORK = """\
import sys, time
from importlib import import_module
from pathlib import Path
import {module}
from twimager.cli.main import main
from twimager.image.decoders import decoders
def work(*_, **__):
    decoders.decode(Path({file!r}).read_bytes())
    try:
        print(flush=True)
        time.sleep(60)
    finally:
        time.sleep({deaf})
import_module({module!r}).{name} = work
sys.exit(main())
"""
# Seconds, of a busy machine too, in which nothing has ended that waits for the work, which takes a minute.
SOON = 30
COMMANDS = {
    "cluster": ("twimager.cluster.job", "cluster_hashes", [HR, "--dry"]),
    "search": ("twimager.search.job", "search", [STILL, "--in", HR]),
    "compare": ("twimager.compare.comparison", "describe", [STILL, HR / "P1040518.jpg"]),
    "gallery": ("twimager.report.page", "rebuild", ["report.json"]),
    "review": ("twimager.web.server", "LocalServer.server_bind", ["report.json", "--browser"]),
}
# Those of them that start soonest.
QUICK = ("gallery", "review")
# Where files are flushed to the disk, so that there are temporary ones; those given stand in for results.
WRITING = {
    "search": [STILL, "--in", HR, "--report", "found.html"],
    "compare": [STILL, HR / "P1040518.jpg", "--draw", "drawn.png"],
    "cluster": [HR, "--dest", "groups"],
    "gallery": ["report.json"],
}
ONE, TWO = (signal.SIGTERM,), (signal.SIGINT, signal.SIGINT)


class Place:
    """A folder of a run with a report, where commands are started; `temporary` is where their temporary files go."""

    def __init__(self, folders: Folders) -> None:
        self.folder, self.temporary = folders.dest, folders.dest.with_name("tmp")
        self.temporary.mkdir()
        self.job = SimpleNamespace(mark=os.urandom(8).hex())
        self.job.processes = lambda: Job.processes(self.job)
        self.animation = folders.dest.with_name("moving.gif")
        self.animation.write_bytes(hostile.saved("GIF", 2))

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        environment = {**os.environ, MARK: self.job.mark, "TMPDIR": str(self.temporary), "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)], text=True, cwd=self.folder, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def working(self, module: str, name: str, *arguments: object, deaf: float = 0) -> subprocess.Popen[str]:
        """Start a command and return once it is at work."""
        script = WORK.format(module=module, name=name, file=str(self.animation), deaf=deaf)
        process = self.start("-c", script, *arguments)
        assert process.stdout
        process.stdout.readline()
        return process

    def assert_clean(self) -> None:
        assert list(self.temporary.iterdir()) == []
        assert list(self.folder.rglob("*.tmp")) == []
        if sys.platform == "linux":
            wait_for_none(self.job)  # type: ignore[arg-type]


@pytest.fixture
def place(run: Run, folders: Folders) -> Place:
    assert run(*folders.flags, "--report").code == 0
    return Place(folders)


def ended(process: subprocess.Popen[str], *numbers: int) -> tuple[int, str, str, float]:
    """Send signals; return what came of it, and how long it took."""
    started = time.monotonic()
    with process:
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.1)
        out, err = process.communicate(timeout=50)
    return process.returncode, out, err, time.monotonic() - started


def every_two(first: Iterable[Any], second: Iterable[Any], *quick: tuple[Any, Any]) -> list[Any]:
    """Return every two of both as parameters, all but the `quick` ones marked as slow."""
    return [pytest.param(*both, marks=() if both in quick else pytest.mark.slow) for both in product(first, second)]


@pytest.mark.parametrize(
    ("command", "name"),
    every_two(
        COMMANDS,
        ("SIGINT", "SIGTERM", "SIGHUP"),
        *((command, "SIGINT") for command in COMMANDS),
        ("gallery", "SIGTERM"),
        ("gallery", "SIGHUP"),
    ),
)
def test_every_command_ends_at_the_first_signal(place: Place, command: str, name: str) -> None:
    if signal.getsignal(getattr(signal, name)) is signal.SIG_IGN:
        pytest.skip("ignored here, and so by what is started")
    module, stub, arguments = COMMANDS[command]
    code, out, err, seconds = ended(place.working(module, stub, command, *arguments), getattr(signal, name))
    assert (code, out, err) == (130, "", "twimager: interrupted\n")
    assert seconds < SOON
    place.assert_clean()


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in COMMANDS]
)
def test_the_second_signal_ends_every_command_at_once(place: Place, command: str) -> None:
    module, stub, arguments = COMMANDS[command]
    process = place.working(module, stub, command, *arguments, deaf=60)
    code, out, err, seconds = ended(process, signal.SIGINT, signal.SIGTERM)
    assert (code, out, err) == (130, "", "twimager: interrupted\n")
    assert seconds < SOON
    place.assert_clean()


@pytest.mark.parametrize(
    ("command", "numbers"),
    every_two(WRITING, (ONE, TWO), ("gallery", ONE), ("gallery", TWO), ("cluster", TWO)),
)
def test_what_is_half_written_is_gone(place: Place, command: str, numbers: tuple[int, ...]) -> None:
    before = sorted(place.folder.rglob("*"))
    process = place.working("os", "fsync", command, *WRITING[command], deaf=60 * (len(numbers) - 1))
    assert list(place.folder.rglob("*.tmp"))
    assert ended(process, *numbers)[::2] == (130, "twimager: interrupted\n")
    place.assert_clean()
    if command != "cluster":
        assert sorted(place.folder.rglob("*")) == before


@pytest.mark.parametrize("deaf", [0, pytest.param(60, marks=pytest.mark.slow)])
def test_what_was_fetched_is_gone(place: Place, deaf: float) -> None:
    with web() as (address, _):
        process = place.working("twimager.search.job", "search", "search", f"{address}/image", "--in", HR, deaf=deaf)
        assert len(list(place.temporary.iterdir())) == 1
        assert ended(process, signal.SIGTERM, *[signal.SIGTERM] * bool(deaf))[0] == 130
    place.assert_clean()


def page_of(process: subprocess.Popen[str]) -> SimpleNamespace:
    """Return what a browser gets from a server that has just started."""
    assert process.stdout
    return SimpleNamespace(address=process.stdout.readline().strip())


@pytest.mark.parametrize("name", [pytest.param("SIGINT", marks=pytest.mark.slow), "SIGTERM"])
def test_serve_ends_while_it_searches_and_leaves_no_upload(place: Place, name: str) -> None:
    script = WORK.format(module="twimager.search.job", name="search", file=str(place.animation), deaf=60)
    process = place.start("-c", script, "serve", HR, "--no_open", "--quiet")
    client = Client(page_of(process))  # type: ignore[arg-type]

    def upload() -> None:
        with suppress(OSError, HTTPException):
            client.request("POST", "picture", STILL.read_bytes())

    threading.Thread(target=upload, daemon=True).start()
    assert process.stdout
    process.stdout.readline()
    assert len(list(place.temporary.iterdir())) == 1
    code, out, err, seconds = ended(process, getattr(signal, name))
    assert (code, out, err) == (0, "", "")
    assert seconds < SOON
    place.assert_clean()


@pytest.mark.parametrize("name", [pytest.param("SIGINT", marks=pytest.mark.slow), "SIGTERM"])
def test_a_review_in_the_browser_ends_as_with_done(place: Place, name: str) -> None:
    process = place.start(ROOT / "twimager.py", "review", "report.json", "--browser", "--no_open")
    assert Tab(page_of(process)).decide("delete", pair=0)[0] == 200  # type: ignore[arg-type]
    code, out, err, _ = ended(process, getattr(signal, name))
    assert (code, out, err) == (0, "pairs accepted: 0, deleted: 1, undecided: 1\n", "")
    assert len(json.loads((place.folder / "report.json").read_text())["pairs"]) == 1
    place.assert_clean()


@linux
def test_a_result_that_nobody_takes_is_no_reason_to_stay(place: Place) -> None:
    """stdout is a pipe that is full."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom twimager.cli.main import main\nfrom twimager.report import page\n"
    )
    script += "page.rebuild = lambda *_: Path('made').touch() or 'x' * 10**6\nsys.exit(main())"
    process = place.start("-c", script, "gallery", "report.json")
    while process.poll() is None and not (place.folder / "made").exists():
        time.sleep(0.05)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(SOON) == 130
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("review", "gallery")])
def test_a_signal_at_any_moment(place: Place, command: str) -> None:
    """Nothing stands in for the work here, which may be done before."""
    _, _, arguments = COMMANDS[command]
    stopped = 0
    for step in range(6):
        process = place.start(ROOT / "twimager.py", command, *arguments)
        wait_for_handlers(process)
        time.sleep(0.1 * step)
        code, _, err, seconds = ended(process, signal.SIGTERM)
        stopped += code == 130
        assert (code, err) == (130, "twimager: interrupted\n") or code in (0, 4), err
        assert seconds < SOON
        place.assert_clean()
    assert stopped > 2
