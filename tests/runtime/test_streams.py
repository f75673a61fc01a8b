"""Standard streams that are closed, full, or that nobody reads: what is printed is lost, and nothing else."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import Run
from tests.support.folders import Folders, contents
from tests.support.paths import EXAMPLES, ROOT
from twimager.errors import TwimagerError
from twimager.runtime.console import Console, say

shell = pytest.mark.skipif(os.name != "posix", reason="closes streams as POSIX shells do")
HR, STILL = EXAMPLES / "HR", EXAMPLES / "LR/still_07.jpg"
LOST = "twimager: cannot write to stdout: "


def redirected(how: str, *arguments: object) -> tuple[int, list[str]]:
    """Return the exit code of a command whose streams are redirected so, and the lines on stderr."""
    command = shlex.join(map(str, [sys.executable, ROOT / "twimager.py", *arguments]))
    ended = subprocess.run(["sh", "-c", f"{command} {how}"], capture_output=True, text=True, check=False)
    return ended.returncode, ended.stderr.splitlines()


@pytest.fixture
def damaged(folders: Folders) -> Folders:
    """Folders with a file that is to be complained about."""
    (folders.lr / "cut.png").write_bytes((folders.lr / "l0.png").read_bytes()[:500])
    return folders


@shell
@pytest.mark.parametrize("how", [">&-", pytest.param("<&- >&-", marks=pytest.mark.slow), ">/dev/full"])
def test_a_summary_that_cannot_be_printed_is_fatal_and_the_pairs_are_there(folders: Folders, how: str) -> None:
    if "full" in how and not Path("/dev/full").exists():
        pytest.skip("there is no such device")
    code, lines = redirected(how, *folders.flags)
    assert code == 1
    assert len(lines) == 1, lines
    assert lines[0].startswith(LOST)
    assert len(contents(folders.dest)) == 4


@shell
def test_a_reader_that_has_gone_is_said_once(folders: Folders) -> None:
    command = [sys.executable, str(ROOT / "twimager.py"), *map(str, folders.flags)]
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, f"{LOST}Broken pipe\n")
    assert len(contents(folders.dest)) == 4


@shell
@pytest.mark.parametrize("how", ["2>&-", pytest.param("<&- 2>&-", marks=pytest.mark.slow), "2>/dev/full"])
def test_warnings_that_nobody_reads_change_nothing(damaged: Folders, how: str) -> None:
    if "full" in how and not Path("/dev/full").exists():
        pytest.skip("there is no such device")
    code, _ = redirected(f"{how} >{damaged.lr.parent}/said", *damaged.flags, "--json")
    assert code == 3
    assert json.loads((damaged.lr.parent / "said").read_text())["unreadable"] == 1
    assert len(contents(damaged.dest)) == 4


@shell
@pytest.mark.parametrize("how", [pytest.param("<&-", marks=pytest.mark.slow), "<&- >&- 2>&-"])
def test_no_file_of_the_run_becomes_a_standard_stream(run: Run, damaged: Folders, how: str) -> None:
    """What libraries print would else be in it."""
    plain, dest = damaged.dest.with_name("plain"), damaged.dest
    run(*damaged.flags[:4], "--dest", plain)
    redirected(how, *damaged.flags, "--save", dest.with_suffix(".sqlite"))
    assert contents(plain) == contents(dest) != {}
    outcome = run(*damaged.flags, "--overwrite", "--quiet", "--save", dest.with_suffix(".sqlite"))
    assert (outcome.code, outcome.err.count("\n")) == (3, 1)


@shell
@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        ["serve", "--help"],
        ["search", STILL, "--in", HR],
        pytest.param(["compare", STILL, HR / "P1040518.jpg"], marks=pytest.mark.slow),
        ["cluster", HR, "--dry"],
        ["serve", HR, "--no_open"],
    ],
)
def test_every_command_reports_what_it_could_not_print(arguments: list[object]) -> None:
    code, lines = redirected(">&-", *arguments)
    assert code == 1
    assert [line for line in lines if "Ctrl-C" not in line] == [f"{LOST}Bad file descriptor"]


@shell
def test_bad_usage_is_bad_usage_though_nobody_reads() -> None:
    assert redirected(">&- 2>&-", "--nothing") == (2, [])


def test_without_streams_at_all(folders: Folders, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a program without a console on Windows."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert run(*folders.flags).code == 1
    assert run(*folders.flags, "--overwrite", "--quiet").code == 0
    sys.stdout.close()
    sys.stderr.close()
    assert len(contents(folders.dest)) == 4


def test_who_stops_reading_costs_what_is_said_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", buffering=1) as stream:
        for _ in range(3):
            Console(stream=stream).warn("hello")
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(TwimagerError, match="cannot write to stdout"):
            say("hello")
