"""`twimager.py review REPORT`: look at pairs in a window, and delete those that are no good."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from twimager.console import say
from twimager.errors import ExitCode

SUMMARY = """\
Look at the pairs of a report in a window: HR | LR | blend.

keys: arrows, page up and down (ten), home and end move; del or d deletes the
pair's output files, u brings back what was deleted last, until the window is
closed; space blinks the HR over the LR; s puts the worst residual first, or
back; esc, q or closing the window ends.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what follows `review`."""
    parser.add_argument("report", type=Path, metavar="REPORT", help="the report.json that --report has kept")
    parser.add_argument(
        "--scale", type=_scale, metavar="F", help="show F pixels per HR pixel, along a side (default: as fits)"
    )
    parser.add_argument(
        "--interpolation",
        choices=("cubic", "lanczos", "area"),
        default="cubic",
        help="how the LR is enlarged to be shown (default cubic)",
    )


def run(values: argparse.Namespace) -> ExitCode:
    """Review the report; say what was deleted and what is left."""
    from twimager.console import Console, own_stderr
    from twimager.panels import Display
    from twimager.review import Review
    from twimager.review_window import browse
    from twimager.viewer import require_display

    with own_stderr() as stream, Review(values.report) as review:
        require_display("review")
        browse(review, Display(values.scale, values.interpolation), Console(stream=stream).warn)
        deleted, left = len(review.deletions), len(review.pairs)
    say(f"pairs deleted: {deleted}, left: {left}")
    return ExitCode.DONE


def _scale(text: str) -> float:
    """Return a scale for the screen; ValueError if that is none."""
    scale = float(text)
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(text)
    return scale
