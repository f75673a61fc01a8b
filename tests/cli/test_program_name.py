"""Usages, and the command that the summary suggests, name the program as it was started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.folders import Folders
from tests.support.paths import ROOT

# What pip writes for an entry of [project.scripts].
CONSOLE_SCRIPT = """\
import sys
from twimager.cli.main import main
sys.exit(main())
"""


@pytest.fixture(params=["twimager", "python twimager.py", "python -m twimager"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def launcher(name: str, tmp_path: Path) -> list[str]:
    """Return the command that starts Twimager under that name."""
    if name != "twimager":
        return [sys.executable, *name.split()[1:]]
    script = tmp_path / "twimager"
    script.write_text(CONSOLE_SCRIPT)
    return [sys.executable, str(script)]


def printed(launcher: list[str], *arguments: object) -> str:
    ended = subprocess.run(
        [*launcher, *map(str, arguments)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    return ended.stdout


def test_help_names_the_program_and_fits_80_columns(name: str, launcher: list[str]) -> None:
    text = printed(launcher, "-h")
    assert text.startswith(f"usage: {name} --lr DIR")
    assert f"\n  {name} compare a.png b.jpg " in text
    assert max(map(len, text.splitlines())) <= 80


def test_help_of_a_subcommand_names_the_program(name: str, launcher: list[str]) -> None:
    text = printed(launcher, "gallery", "-h")
    assert text.startswith(f"usage: {name} gallery REPORT\n")


def test_the_summary_names_the_program_in_its_next_step(name: str, launcher: list[str], folders: Folders) -> None:
    last = printed(launcher, *folders.flags, "--report").splitlines()[-1]
    assert last == f"to sort out: {name} review {folders.dest / 'report.json'}"
