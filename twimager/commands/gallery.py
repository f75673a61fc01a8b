"""`twimager.py gallery REPORT`: write a report's page anew."""

from __future__ import annotations

import argparse
from pathlib import Path

from twimager.console import say
from twimager.errors import ExitCode

SUMMARY = "Write report.html, the page to look at a report's pairs, anew beside the report."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what follows `gallery`."""
    parser.add_argument("report", type=Path, metavar="REPORT", help="the report.json that --report has kept")


def run(values: argparse.Namespace) -> ExitCode:
    """Write the page; say where it is."""
    from twimager.gallery import rebuild

    say(str(rebuild(values.report)))
    return ExitCode.DONE
