"""`twimager.py serve DIR`: find pictures in a folder from a page in the browser."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from twimager.cli.commands.search import add_ranking, add_reading, check, to_options
from twimager.cli.common import run_group
from twimager.errors import ExitCode
from twimager.similarity import preprocessing

if TYPE_CHECKING:
    from twimager.cli.signals import Interruption

SUMMARY = """\
Read a folder, and serve a page on this machine where a picture is dropped, or
an address pasted, and what the folder has of it appears. Ctrl-C ends it.
"""
USAGE = "DIR [options]"
EXAMPLE = "serve photos"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what follows `serve`."""
    find = parser.add_argument_group("find")
    find.add_argument("folder", type=Path, metavar="DIR", help="the folder to look in")
    add_ranking(find)
    preprocessing.add_arguments(parser)
    page = parser.add_argument_group("the page")
    page.add_argument("--port", type=int, default=0, metavar="N", help="the page's port (default: a free one)")
    page.add_argument("--no_open", action="store_true", help="print the page's address, and open no browser")
    run = run_group(parser)
    add_reading(run)
    run.add_argument("--quiet", action="store_true", help="no progress: problems only")


def run(values: argparse.Namespace, interruption: Interruption) -> ExitCode:
    """Read the folder, serve it until Ctrl-C."""
    check(values)
    # Imported here, as --help must not wait for OpenCV and SciPy.
    from twimager.runtime.console import Console, counted, own_stderr
    from twimager.search.download import MOST_BYTES
    from twimager.search.job import open_searcher
    from twimager.search.site import SearchSite
    from twimager.web.server import LocalServer

    interruption.begin()
    with own_stderr() as stream:
        console = Console(values.quiet, stream=stream)
        with open_searcher(to_options(values, True), console) as searcher:
            console.note(f"{counted(searcher.images, 'image')}; Ctrl-C ends this")
            server = LocalServer(SearchSite(searcher, values.folder, console.note), values.port, MOST_BYTES)
            with server:
                server.run(not values.no_open)
                interruption.leave(ExitCode.DONE)
    return ExitCode.DONE
