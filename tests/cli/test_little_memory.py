"""Too little memory: one line and exit code 1, whoever it is that gets none."""

from __future__ import annotations

import errno
import os
import shlex
import subprocess
import sys

import cv2
import pytest

from tests.support.command import Run, refused
from tests.support.folders import Folders
from tests.support.paths import EXAMPLES, ROOT
from twimager.output import layout

HR, STILL = EXAMPLES / "HR", EXAMPLES / "LR/still_07.jpg"
COMMANDS = {
    "job": ["--lr", EXAMPLES / "LR", "--hr", HR, "--dry"],
    "search": ["search", STILL, "--in", HR],
    "serve": ["serve", HR, "--no_open"],
    "compare": ["compare", STILL, HR / "P1040518.jpg"],
    "cluster": ["cluster", HR, "--dry", "--verify"],
    "overlay": ["overlay", HR, "--dest", "layer"],
    "gallery": ["gallery", "report.json"],
    "review": ["review", "report.json", "--browser"],
}

OUT = "twimager: out of memory; --jobs 1 needs the least"


def limited(megabytes: int, *arguments: object) -> tuple[int, list[str]]:
    """Return the exit code of a command that may have so many megabytes of addresses, and the lines on stderr."""
    command = shlex.join(map(str, [sys.executable, ROOT / "twimager.py", *arguments]))
    ended = subprocess.run(
        ["sh", "-c", f"ulimit -v {megabytes * 1024} && exec {command}"], capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    return ended.returncode, ended.stderr.splitlines()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="there is no such limit, or none that holds")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_limit_below_what_the_libraries_take(command: str) -> None:
    for megabytes in (100, 400, 800) if command == "job" else (400,):
        code, lines = limited(megabytes, *COMMANDS[command])
        assert (code, len(lines)) == (1, 1), lines
        assert lines[0].startswith(f"twimager: out of memory: ulimit -v allows {megabytes} MB, and ")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="there is no such limit, or none that holds")
@pytest.mark.parametrize("command", ["job", "search", "compare", "cluster"])
def test_a_limit_just_above_it(command: str) -> None:
    """How much is enough depends on the processor and the libraries; it works or ends with one line."""
    for megabytes in (1050, 1100):
        code, lines = limited(megabytes, *COMMANDS[command], "--jobs", 1)
        assert (code in (0, 4) and not lines) or (code == 1 and lines == [OUT])


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("std::bad_alloc"),
        cv2.error("OpenCV(4.14.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes"),
        cv2.error("std::bad_alloc"),
        RuntimeError("can't start new thread"),
        ImportError("libfaiss.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    ],
)
def test_whoever_gets_none(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(layout, "check_folders", fail)
    refused(run(*folders.flags), 1, "out of memory")


def test_no_other_error_is_taken_for_one(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(layout, "check_folders", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        run(*folders.flags)
