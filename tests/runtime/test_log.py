"""The log of a run: all that the console is told, with times and levels."""

import re
import sys
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest

from tests.support.command import Run, refused
from tests.support.folders import Folders
from twimager.errors import TwimagerError
from twimager.runtime.console import Console
from twimager.runtime.log import logged_to
from twimager.runtime.program import program, quoted
from twimager.version import __version__

ENTRY = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} (DEBUG|INFO|WARNING|ERROR) +(.*)")


def entries(file: Path) -> list[tuple[str, str]]:
    found = [ENTRY.fullmatch(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [(one[1], one[2]) for one in found if one]


def test_all_levels_are_logged_whatever_is_shown(tmp_path: Path) -> None:
    shown, file = StringIO(), tmp_path / "log.txt"
    for quiet in (True, False):
        with suppress(TwimagerError), logged_to(file, shown) as log:
            console = Console(quiet, stream=shown, log=log)
            for tell in (console.warn, console.note, console.decision, console.detail):
                tell(tell.__name__)
            raise TwimagerError("the\nend")
    levels = {"warn": "WARNING", "note": "INFO", "decision": "INFO", "detail": "DEBUG", "the\ufffdend": "ERROR"}
    assert entries(file) == [(level, text) for text, level in levels.items()] * 2
    assert shown.getvalue() == "warn\nwarn\nnote\n"


@pytest.mark.skipif(sys.platform != "linux", reason="a device that is always full")
def test_a_full_disk_ends_the_log_and_not_the_run() -> None:
    shown = StringIO()
    with logged_to(Path("/dev/full"), shown) as log:
        for _ in range(3):
            Console(True, stream=shown, log=log).note("words")
    assert shown.getvalue() == "--log: /dev/full can't be written any more\n"


def test_a_run_is_logged_from_its_command_to_its_summary(run: Run, folders: Folders, tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    typed = *folders.flags, "--dry", "--quiet", "--preset", "film", "--log", file
    assert run(*typed) == (0, "", "")
    found = entries(file)
    assert found[0] == ("DEBUG", f"twimager {__version__}: {' '.join([program(), *map(quoted, map(str, typed))])}")
    assert found[1] == ("INFO", "--preset film: --no_mirror --no_negative")
    assert any(text.startswith("l0.png = h0.png: ") for _, text in found)
    assert ("INFO", "pairs found: 2") in found


def test_a_log_that_cannot_be_written(run: Run, folders: Folders, tmp_path: Path) -> None:
    refused(run(*folders.flags, "--log", tmp_path), 2, "--log: cannot write", "directory")
    refused(run(*folders.flags, "--log", folders.lr / "log.txt"), 2, "lies in the folder of --lr")
