"""`twimager.py check DIR` and `check LR HR`: whether pairs, whoever made them, are fit to train on."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from twimager.cli import pair
from twimager.cli.common import add_jobs, add_max_pixels, add_memory, require_dest, require_effort, run_group
from twimager.cli.flags import add_for
from twimager.errors import ExitCode, require
from twimager.options import Loader

if TYPE_CHECKING:
    from twimager.check.job import Checked
    from twimager.cli.signals import Interruption
    from twimager.report.summary import Outcome
    from twimager.runtime.console import Console

SUMMARY = """\
Say whether a folder of pairs is fit to train on: LR/ and HR/, or lq/ and gt/,
in DIR, or two folders, whatever made them. Pairs are files of the same name.
Nothing is changed; --fix writes what can be mended into another folder.

exit codes: 0 fit for all loaders of --for, 5 not fit; with --fix those of the
main job.
"""
USAGE = "(DIR | LR HR) [options]"
EXAMPLE = "check pairs --for basicsr"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what follows `check`."""
    check = parser.add_argument_group("check")
    check.add_argument(
        "paths", type=Path, nargs="+", metavar="DIR, LR HR", help="a folder that holds LR and HR, or these two"
    )
    add_for(check, "check for these alone: basicsr, realesrgan, trainner, neosr, kair, hf (default: all)")
    check.add_argument("--recursive", action="store_true", help="look into the folders inside LR and HR too")
    write = parser.add_argument_group("write")
    write.add_argument(
        "--fix", action="store_true",
        help="write the pairs anew into DEST, aligned, converted and named for the loaders of --for, but for those "
        "that can't be mended",
    )  # fmt: skip
    write.add_argument(
        "--tile", type=int, nargs="+", metavar="SIZE",
        help="with --fix, write tiles, SIZE HR pixels along a side, STEP apart if a second number is given",
    )  # fmt: skip
    write.add_argument("--dest", type=Path, metavar="DIR", help="where --fix and --report write; made if missing")
    write.add_argument(
        "--report", action="store_true",
        help="keep the main job's report of these pairs in DEST, with its page; with --fix of those that it writes",
    )  # fmt: skip
    run = run_group(parser)
    add_max_pixels(run)
    add_jobs(run)
    add_memory(run)
    run.add_argument("--json", action="store_true", help="print all there is as JSON")
    run.add_argument("--quiet", action="store_true", help="no progress")


def run(values: argparse.Namespace, interruption: Interruption) -> ExitCode:
    """Check; print what is wrong; with --fix write what can be mended."""
    require_effort(values)
    writes = values.fix or values.report
    require(bool(values.dest) == writes, "--fix and --report write into --dest: give both, or neither")
    require(values.fix or not values.tile, "--tile is for what --fix writes: add --fix and --dest")
    from twimager.check.folders import pairs_by_name, sides
    from twimager.check.formatting import to_json, to_text
    from twimager.check.job import check
    from twimager.run.resume import is_vacant
    from twimager.runtime.console import Console, own_stderr, say

    loaders = pair.named_loaders(values) or tuple(Loader)
    lr, hr = sides(values.paths)
    if writes:
        require_dest(values.dest, [lr, hr], overwrite=is_vacant(values.dest))
    interruption.begin()
    with own_stderr() as stream:
        console = Console(values.quiet, stream=stream)
        checked = check(pairs_by_name(lr, hr, values.recursive, console.warn), loaders, values.jobs, console)
        done = _main_job(checked, values, console) if writes else None
        fixed = done if values.fix else None
    if values.json:
        written = {"fixed": json.loads(fixed.summary.to_json())} if fixed else {}
        say(json.dumps(to_json(checked) | written, indent=1))
    else:
        say(to_text(checked) + (f"\n{fixed.summary.to_text()}" if fixed else ""))
    return fixed.exit_code if fixed else checked.exit_code


def _main_job(checked: Checked, values: argparse.Namespace, console: Console) -> Outcome:
    """Have the main job, given the pairs by their names, write those that can be mended, or a report of all."""
    from twimager.run import job

    files = checked.files
    arguments = ["--lr", files.lr, "--hr", files.hr, "--dest", values.dest]
    arguments += ["--search", "names", "--method", "warp", "--for", *(loader.value for loader in checked.loaders)]
    arguments += ["--scale", checked.scale] if checked.scale else []
    arguments += ["--jobs", values.jobs, "--max_pixels", values.max_pixels]
    arguments += ["--recursive"] * values.recursive + ["--report"] * values.report
    arguments += ["--tile", *values.tile] if values.tile else []
    arguments += ["--dry"] * (not values.fix)
    without = checked.beyond_mending if values.fix else ()
    return job.run(pair.to_options(pair.parse(list(map(str, arguments)))), console, without=without)
