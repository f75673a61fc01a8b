"""`twimager.py search QUERY... --in DIR`: find a picture in a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from twimager.cli.common import (
    add_jobs,
    add_max_pixels,
    add_memory,
    add_save,
    require_effort,
    require_folder,
    run_group,
    saved_in,
)
from twimager.errors import ExitCode, UsageError, require
from twimager.similarity import preprocessing

if TYPE_CHECKING:
    from twimager.cli.signals import Interruption
    from twimager.runtime.console import Console
    from twimager.search.job import QueryResult, Searcher, SearchOptions
    from twimager.similarity.embedding import Network

SUMMARY = """\
Find a picture in a folder: as a copy, in another size or framing, as a part of
another one, mirrored, faded, recompressed. What can be aligned to it comes
first, then what only looks like it.
"""
USAGE = "QUERY... --in DIR [options]"
EXAMPLE = "search still.jpg --in photos --report found.html"
DETECTORS = ("sift", "orb", "akaze")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what follows `search`."""
    find = parser.add_argument_group("find")
    find.add_argument("queries", nargs="+", metavar="QUERY", help="an image file, or its address (http or https)")
    find.add_argument("--in", dest="folder", type=Path, metavar="DIR", required=True, help="the folder to look in")
    add_ranking(find)
    preprocessing.add_arguments(parser)
    write = parser.add_argument_group("write")
    write.add_argument("--report", type=Path, metavar="FILE", help="write what was found as a page with thumbnails")
    write.add_argument("--overwrite", action="store_true", help="let --report replace FILE if it is there already")
    run = run_group(parser)
    add_reading(run)
    run.add_argument("--json", action="store_true", help="print what was found as JSON, also with --quiet")
    run.add_argument("--quiet", action="store_true", help="no progress and no table: problems only")


def add_ranking(find: argparse._ArgumentGroup) -> None:
    """Add the options of `search` and `serve` on what is found."""
    add = find.add_argument
    add("--top", type=int, default=5, metavar="N", help="name the N best at most (default 5)")
    add("--min_score", type=float, default=0.0, metavar="F", help="name none of a lower score (0 to 1, default 0)")
    add(
        "--weights", type=float, nargs="+", metavar="W",
        help="what SSIM, features and colours, and with --model the network, count in the score (default: 1 each)",
    )  # fmt: skip
    add("--detector", choices=DETECTORS, default="sift", help="whose features are compared (default sift)")
    add("--no_mirror", action="store_true", help="do not look for mirror images")
    add("--recursive", action="store_true", help="look into the folders inside DIR too")


def add_reading(run: argparse._ArgumentGroup) -> None:
    """Add the options of `search` and `serve` on how the folder is read."""
    add_save(run, "what is found out of each image of DIR, for the main job too,", "DIR")
    add_max_pixels(run)
    add_jobs(run)
    add_memory(run)


def run(values: argparse.Namespace, interruption: Interruption) -> ExitCode:
    """Search for every query; print the hits."""
    check(values)
    _check_queries(values)
    # Imported here, as --help must not wait for OpenCV and SciPy.
    from twimager.runtime.console import Console, own_stderr, say
    from twimager.search.formatting import to_json, to_table
    from twimager.search.job import exit_code, open_searcher

    interruption.begin()
    with own_stderr() as stream:
        console = Console(values.quiet, stream=stream)
        with open_searcher(to_options(values, bool(values.report)), console, len(values.queries)) as searcher:
            results = [_search(searcher, query, console) for query in values.queries]
            code = exit_code(results, searcher.unread)
            if values.report:
                _write_page(results, searcher.images, values)
    if values.json:
        say(to_json(results, values.folder, searcher.images, searcher.unread, code))
    elif not values.quiet:
        say(to_table(results))
    return code


def check(values: argparse.Namespace) -> None:
    """Raise UsageError unless the folder and the options fit."""
    weights, numbers = values.weights or [1.0], 4 if values.model else 3
    require_folder(values.folder, saved_in(values, values.folder))
    require(values.top >= 1, "--top must be 1 or more pictures")
    require(0 <= values.min_score <= 1, "--min_score must be 0 to 1")
    require(not values.weights or len(weights) == numbers, f"--weights takes {numbers} numbers here")
    require(all(0 <= weight < float("inf") for weight in weights), "--weights must be 0 or more")
    require(any(weights), "--weights: one of them at least must be above 0")
    require_effort(values)


def _check_queries(values: argparse.Namespace) -> None:
    for query in values.queries:
        if "://" not in query and (not Path(query).exists() or Path(query).is_dir()):
            raise UsageError(f"there is no file {query}")
    report = values.report
    if report and report.is_dir():
        raise UsageError(f"--report: {report} is a folder; name a file")
    if report and report.exists() and not values.overwrite:
        raise UsageError(f"--report: {report} is there already; name another file, or add --overwrite")


def to_options(values: argparse.Namespace, thumbnails: bool) -> SearchOptions:
    """Return the options of a search; UsageError if this OpenCV lacks the detector."""
    from twimager.search.job import SearchOptions
    from twimager.search.ranking import Criteria
    from twimager.similarity.detectors import Detector

    detector = Detector(values.detector)
    if not detector.is_available:
        raise UsageError(f"--detector: the OpenCV that is installed has no {values.detector}")
    weights = tuple(values.weights or [1.0] * (4 if values.model else 3))
    criteria = Criteria(
        values.top, values.min_score, weights, detector, not values.no_mirror, _network(values), thumbnails
    )
    return SearchOptions(values.folder, criteria, values.recursive, saved_in(values, values.folder), values.jobs)


def _network(values: argparse.Namespace) -> Network | None:
    """Return the network that --model names, if it does; UsageError if it can't be used."""
    settings = preprocessing.preprocessing(values)
    if not values.model:
        return None
    from twimager.similarity.embedding import Network

    return Network(values.model, settings)


def _search(searcher: Searcher, query: str, console: Console) -> QueryResult:
    result = searcher.search(query)
    if result.error:
        console.warn(f"{query}: {result.error}")
    return result


def _write_page(results: list[QueryResult], images: int, values: argparse.Namespace) -> None:
    import uuid

    from twimager.output.atomic import write_files
    from twimager.search.page import results_page

    page = results_page(results, values.folder, images, values.report.parent)
    write_files({values.report: page.html}, uuid.uuid4().hex, values.overwrite)
