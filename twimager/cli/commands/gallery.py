"""`twimager.py gallery REPORT`: write a report's page anew."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from twimager.errors import ExitCode
from twimager.runtime.console import say

if TYPE_CHECKING:
    from twimager.cli.signals import Interruption

SUMMARY = "Write report.html, the page to look at a report's pairs, anew beside the report."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what follows `gallery`."""
    parser.add_argument("report", type=Path, metavar="REPORT", help="the report.json that --report has kept")


def run(values: argparse.Namespace, interruption: Interruption) -> ExitCode:
    """Write the page; print its path."""
    from twimager.report.page import rebuild

    interruption.begin()
    say(str(rebuild(values.report)))
    return ExitCode.DONE
