"""Run the command line, in process or in one of its own, and assert what it prints."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

from tests.support.paths import ROOT


class Outcome(NamedTuple):
    """What a run left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


def refused(outcome, code: int, *words: str) -> None:
    """Assert one line on stderr, nothing on stdout, and the exit code."""
    assert outcome.code == code
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    for word in words:
        assert word in outcome.err


def launched(*arguments: object, **settings: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "twimager.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, **settings)


MEASURED = """
import resource, subprocess, sys
code = subprocess.run([sys.executable, *sys.argv[1:]]).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""
