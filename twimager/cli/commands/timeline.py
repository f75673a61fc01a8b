"""`twimager.py timeline A B`: which part of one video is which of another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from twimager.cli.common import run_group
from twimager.errors import ExitCode, require

if TYPE_CHECKING:
    from twimager.cli.signals import Interruption

SUMMARY = """\
Which part of one video is which of another: another cut, another frame rate,
sped up, cropped, with a logo. Of folders, which video belongs to which.
"""
USAGE = "LR HR [options]"
EXAMPLE = "timeline dvd.mkv bluray.mkv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what follows `timeline`."""
    videos = parser.add_argument_group("videos")
    videos.add_argument("lr", type=Path, metavar="LR", help="a video, or a folder of them")
    videos.add_argument("hr", type=Path, metavar="HR", help="another release of it, or a folder of them")
    videos.add_argument("--recursive", action="store_true", help="look into the folders inside LR and HR too")
    write = parser.add_argument_group("write")
    write.add_argument("--csv", type=Path, metavar="FILE", help="write a row a segment to FILE, times in seconds")
    write.add_argument("--overwrite", action="store_true", help="replace FILE if it is there")
    write.add_argument("--json", action="store_true", help="print all that was found as JSON, also with --quiet")
    group = run_group(parser)
    group.add_argument("--quiet", action="store_true", help="no progress, no summary: problems only")


def run(values: argparse.Namespace, interruption: Interruption) -> ExitCode:
    """Find the time maps; print them."""
    require(
        not values.csv or values.overwrite or not values.csv.exists(),
        f"--csv: {values.csv} is there already; name another, or add --overwrite",
    )
    from tempfile import TemporaryDirectory

    from twimager.runtime.console import Console, own_stderr, say
    from twimager.video.container import require_av

    require_av()
    from twimager.fingerprint.cache import Store
    from twimager.video.formatting import to_csv, to_json, to_text
    from twimager.video.matching import find_videos, match_videos, require_two_sides

    interruption.begin()
    with own_stderr() as stream:
        console = Console(values.quiet, stream=stream)
        lrs, hrs = (find_videos(path, values.recursive, console) for path in (values.lr, values.hr))
        require_two_sides(lrs, hrs)
        with TemporaryDirectory() as folder:
            matched = match_videos(lrs, hrs, console, Path(folder), Store(None, console.warn))
    if values.csv:
        _write(values.csv, to_csv(matched), values.overwrite)
    if values.json or not values.quiet:
        say(to_json(matched) if values.json else to_text(matched))
    return matched.exit_code


def _write(path: Path, data: bytes, overwrite: bool) -> None:
    import uuid

    from twimager.output.atomic import write_files

    write_files({path: data}, uuid.uuid4().hex, overwrite)
