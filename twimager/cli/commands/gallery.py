"""`twimager.py gallery REPORT`: write a report's page anew."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from twimager.cli.common import run_group
from twimager.errors import ExitCode

if TYPE_CHECKING:
    from twimager.cli.signals import Interruption

SUMMARY = "Write report.html, the page to look at a report's pairs, anew beside the report."
USAGE = "REPORT"
EXAMPLE = "gallery pairs/report.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what follows `gallery`."""
    write = parser.add_argument_group("write")
    write.add_argument("report", type=Path, metavar="REPORT", help="the report.json that --report has kept")
    run_group(parser)


def run(values: argparse.Namespace, interruption: Interruption) -> ExitCode:
    """Write the page; print its path."""
    from twimager.options import processors
    from twimager.report.page import rebuild
    from twimager.report.thumbnails import make_thumbnails
    from twimager.runtime.console import Console, own_stderr, say

    interruption.begin()
    with own_stderr() as stream:
        page = rebuild(values.report, make_thumbnails(processors(), Console(stream=stream)))
    say(str(page))
    return ExitCode.DONE
