"""The tab key: what a shell is told may follow; and the parser of all there is."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.support.command import Run, refused
from tests.support.paths import ROOT
from twimager.cli.commands import COMMANDS
from twimager.cli.commands.completion import SHELLS
from twimager.cli.parsers import whole_parser

needs_argcomplete = pytest.mark.skipif(find_spec("argcomplete") is None, reason="argcomplete is not installed")


@needs_argcomplete
@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_is_told_what_to_complete(run: Run, shell: str) -> None:
    outcome = run("completion", shell)
    assert (outcome.code, outcome.err) == (0, "")
    assert "twimager" in outcome.out


@needs_argcomplete
@pytest.mark.skipif(sys.platform == "win32", reason="answers by a descriptor that is inherited")
def test_what_may_follow() -> None:
    answers = {
        "twimager ver": ["verify "],
        "twimager --lr low --method ": ["transform", "warp", "flow", "auto"],
        "twimager check pairs --f": ["--for", "--fix"],
    }
    for line, words in answers.items():
        told = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "|", "COMP_LINE": line, "COMP_POINT": str(len(line))}
        command = "exec 8>&1 9>&2; exec " + f"{sys.executable} {ROOT / 'twimager.py'}"
        ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=os.environ | told, check=True)
        assert sorted(ended.stdout.split("|")) == sorted(words)


def test_without_its_package_completion_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("argcomplete", "argcomplete.shell_integration"):
        monkeypatch.setitem(sys.modules, name, None)
    refused(run("completion", "bash"), 2, "pip install argcomplete")


def test_all_commands_are_described_by_what_python_has_alone() -> None:
    """The man page is made while a wheel is built, where none of the libraries are."""
    text = " ".join(whole_parser().format_help().split())
    assert all(f" {name} " in text for name in COMMANDS)
    script = "from twimager.cli.parsers import whole_parser; whole_parser().format_help()"
    subprocess.run([sys.executable, "-S", "-c", script], cwd=ROOT, check=True)
