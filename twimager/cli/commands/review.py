"""`twimager.py review REPORT`: accept or delete the pairs of a report, in a window or in the browser."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from twimager.cli.common import run_group
from twimager.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from twimager.cli.signals import Interruption

SUMMARY = """\
Look at the pairs of a report in a window, LR | HR | blend, or with --browser
on the report's page.

keys, in both: arrows, page up and down (ten), home and end move; a accepts the
pair, x or del deletes its output files, t accepts all up to this one, u undoes,
until the review ends; b blinks, space does it by hand; d shows the difference;
o puts the worst residual first, or back; h hatches what differs.

esc, q or closing the window ends; on the page Done, or Ctrl-C here.
"""
USAGE = "REPORT [options]"
EXAMPLE = "review pairs/report.json --browser"
INTERPOLATION = "cubic"
HINT = "; --browser needs neither (over ssh: --browser --no_open --port 8000, and ssh -L 8000:127.0.0.1:8000)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what follows `review`."""
    review = parser.add_argument_group("review")
    review.add_argument("report", type=Path, metavar="REPORT", help="the report.json that --report has kept")
    window = parser.add_argument_group("in a window")
    window.add_argument(
        "--scale", type=_scale, metavar="F", help="show F pixels per HR pixel, along a side (default: as fits)"
    )
    window.add_argument(
        "--interpolation",
        choices=("cubic", "lanczos", "area"),
        help=f"how the LR is enlarged to be shown (default {INTERPOLATION})",
    )
    browser = parser.add_argument_group("in the browser")
    browser.add_argument("--browser", action="store_true", help="review there, on a page for this machine only")
    browser.add_argument("--port", type=int, metavar="N", help="with --browser: the page's port (default: a free one)")
    browser.add_argument(
        "--no_open", action="store_true", help="with --browser: print the page's address, and open no browser"
    )
    run_group(parser)


def run(values: argparse.Namespace, interruption: Interruption) -> ExitCode:
    """Review the report; print how many pairs were accepted and deleted."""
    _check(values)
    from twimager.runtime.console import say

    say((_in_browser if values.browser else _in_window)(values, interruption))
    return ExitCode.DONE


def _check(values: argparse.Namespace) -> None:
    for flags, browser in ((("scale", "interpolation"), False), (("port", "no_open"), True)):
        for flag in flags:
            if getattr(values, flag) not in (None, False) and values.browser is not browser:
                raise UsageError(f"--{flag} is for a review {'with' if browser else 'without'} --browser")


def _in_browser(values: argparse.Namespace, interruption: Interruption) -> str:
    from twimager.review.review import Review
    from twimager.review.site import ReviewSite
    from twimager.runtime.console import Console, own_stderr
    from twimager.web.server import LocalServer

    interruption.begin()
    with own_stderr() as stream, Review(values.report, Console(stream=stream).warn) as review:
        site = ReviewSite(review)
        with LocalServer(site, values.port or 0, site.most_bytes) as server:
            server.run(not values.no_open, Console(stream=stream).warn)
        return site.end()


def _in_window(values: argparse.Namespace, interruption: Interruption) -> str:
    from twimager.review.review import Review
    from twimager.review.window import browse
    from twimager.runtime.console import Console, own_stderr
    from twimager.windows.panels import Display
    from twimager.windows.viewer import require_display

    interruption.begin()
    with own_stderr() as stream, Review(values.report, Console(stream=stream).warn) as review:
        require_display("review", HINT)
        browse(review, Display(values.scale, values.interpolation or INTERPOLATION), Console(stream=stream).warn)
        return review.tally


def _scale(text: str) -> float:
    """Return a scale for the screen; ValueError if that is none."""
    scale = float(text)
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(text)
    return scale
