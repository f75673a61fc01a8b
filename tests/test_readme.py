"""The README, and what else repeats the code, is true of it."""

import re
from argparse import SUPPRESS

from tests.support.paths import ROOT
from twimager.cli.pair import parser
from twimager.errors import ExitCode

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_option_table_names_every_option_and_no_other() -> None:
    table = README.split("## Options")[1].split("## How it works")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `-")]
    named = set(re.findall(r"(?<![\w-])--?[a-z][a-z_]*", " ".join(rows)))
    assert named == {name for action in parser()._actions for name in action.option_strings}


def test_the_option_table_gives_the_defaults() -> None:
    given = {
        action.option_strings[0]: action.default
        for action in parser()._actions
        if action.default not in (None, False, "", SUPPRESS) and action.dest != "jobs"
    }
    assert len(given) >= 7
    for option, default in given.items():
        row = next(line for line in README.splitlines() if line.startswith(f"| `{option} "))
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        assert f"| {shown} |" in row


def test_every_exit_code_is_documented() -> None:
    assert all(f"| {int(code)} |" in README for code in ExitCode)


def test_there_are_two_commands_and_they_use_what_is_there() -> None:
    commands = re.findall(r"```sh\n(.*?)\n```", README, flags=re.S)
    assert len(commands) == 2
    assert "-r requirements.txt" in commands[0]
    assert "twimager.py --lr examples/LR --hr examples/HR --dest" in commands[0]
    assert "-m pytest" in commands[1]


def test_every_example_is_credited() -> None:
    credits = (ROOT / "examples/CREDITS.md").read_text(encoding="utf-8")
    photographs = [f"HR/{p.name}" for p in (ROOT / "examples/HR").iterdir()]
    assert all(f"| {name} |" in credits for name in photographs)
