"""`twimager.py verify DEST`: whether the files in DEST are those that were written."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from twimager.cli.common import run_group
from twimager.errors import ExitCode

if TYPE_CHECKING:
    from twimager.cli.signals import Interruption

SUMMARY = """\
Compare the files in DEST, the folder of a run, with its journal (sizes and
checksums) and, if there is one, with its report: says which are missing,
differ, or are in neither. Nothing is written. DEST may have been moved or
copied, along with its hidden folder .twimager.

exit codes: 0 all match, 2 DEST has no journal, 3 something differs.
"""
USAGE = "DEST [options]"
EXAMPLE = "verify pairs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what follows `verify`."""
    verify = parser.add_argument_group("verify")
    verify.add_argument("dest", type=Path, metavar="DEST", help="the folder that --dest named")
    run = run_group(parser)
    run.add_argument("--json", action="store_true", help="print all that was found as JSON, also with --quiet")
    run.add_argument("--quiet", action="store_true", help="no progress, no summary: differences only")


def run(values: argparse.Namespace, interruption: Interruption) -> ExitCode:
    """Verify DEST; print what differs."""
    from twimager.run.integrity import verify
    from twimager.runtime.console import Console, say

    interruption.begin()
    found = verify(values.dest, Console(values.quiet))
    if text := found.to_json() if values.json else found.to_text(values.quiet):
        say(text)
    return found.exit_code
