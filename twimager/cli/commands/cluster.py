"""`twimager.py cluster DIR...`: clusters of near-duplicates."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from twimager.cli.common import (
    add_jobs,
    add_max_pixels,
    add_memory,
    add_save,
    require_dest,
    require_effort,
    require_folder,
    run_group,
    saved_in,
)  # fmt: skip
from twimager.errors import ExitCode, require

if TYPE_CHECKING:
    from twimager.cli.signals import Interruption
    from twimager.cluster.clusters import Clustering, ClusterOptions
    from twimager.runtime.console import Console

SUMMARY = """\
Put the images of folders into clusters of near-duplicates. DEST/
cluster_with_N/cluster_K holds links to the N images of a cluster;
DEST/clusters.html shows them side by side, the best one marked. No image is
changed or deleted.
"""
USAGE = "DIR... --dest DIR [options]"
EXAMPLE = "cluster photos --dest groups --verify"
LINKAGES = ("average", "weighted", "single", "complete")
HASH_SIDES = range(8, 17)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what follows `cluster`."""
    find = parser.add_argument_group("find")
    find.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="the folders that hold the images")
    find.add_argument("--recursive", action="store_true", help="look into the folders inside DIR too")
    find.add_argument(
        "--similarity", type=float, default=0.2, metavar="S",
        help="share of the hash's bits, 0 to 1, in which the images of a cluster may differ: 0 for equal hashes only, "
        "1 for all in one; 0.1 to 0.3 is the useful range (default 0.2: 12 of 64 bits)",
    )  # fmt: skip
    find.add_argument("--hash_size", type=int, default=8, metavar="N", help="hashes of N x N bits, 8 to 16 (default 8)")
    find.add_argument(
        "--resize", type=float, default=1.0, metavar="F",
        help="look at copies of F times the size, above 0 to 1; --save keeps the copies too",
    )  # fmt: skip
    find.add_argument(
        "--linkage", choices=LINKAGES, default="average",
        help="the distance of clusters: the mean over all pairs (average, the default), weighted, single, complete",
    )  # fmt: skip
    find.add_argument(
        "--verify", action="store_true", help="keep together, and bring together, what can be aligned, also mirrored"
    )
    write = parser.add_argument_group("write")
    write.add_argument("--dest", type=Path, metavar="DIR", help="where to write; made if missing; not with --dry")
    modes = write.add_mutually_exclusive_group()
    modes.add_argument("--copy", action="store_true", help="copy the images instead of linking to them")
    modes.add_argument("--hardlink", action="store_true", help="make hard links, not symbolic ones")
    write.add_argument("--dry", action="store_true", help="write nothing, only tell")
    write.add_argument(
        "--overwrite", action="store_true",
        help="write into a DEST that is not empty: replaces files of the same names, deletes none",
    )  # fmt: skip
    run = run_group(parser)
    add_save(run, "what is found out", "DEST")
    add_max_pixels(run)
    add_jobs(run)
    add_memory(run)
    run.add_argument("--json", action="store_true", help="print all that was found as JSON, also with --quiet")
    run.add_argument("--quiet", action="store_true", help="no progress, no summary: problems only")


def run(values: argparse.Namespace, interruption: Interruption) -> ExitCode:
    """Find the clusters, put them into folders, print them."""
    _check(values)
    from twimager.cluster.formatting import to_json, to_text
    from twimager.cluster.job import find_clusters
    from twimager.runtime.console import Console, own_stderr, say

    interruption.begin()
    with own_stderr() as stream:
        console = Console(values.quiet, stream=stream)
        clustering = find_clusters(_files(values, console.warn), _options(values), console)
        if not values.dry:
            _write(values, clustering, console)
    if values.json or not values.quiet:
        say(to_json(clustering) if values.json else to_text(clustering))
    return clustering.exit_code


def _check(values: argparse.Namespace) -> None:
    """Raise UsageError unless the options and folders fit."""
    require(values.dest or values.dry, "--dest is missing: where to write (or --dry to write nothing)")
    require(0 <= values.similarity <= 1, "--similarity must be 0 to 1 (share of the hash's bits)")
    require(values.hash_size in HASH_SIDES, "--hash_size must be 8 to 16 (bits along a side)")
    require(0 < values.resize <= 1, "--resize must be above 0 and at most 1")
    require_effort(values)
    for folder in values.folders:
        require_folder(folder, saved_in(values, values.dest))
    if not values.dry:
        _check_dest(values)


def _check_dest(values: argparse.Namespace) -> None:
    dest = values.dest
    require_dest(dest, values.folders, values.overwrite)
    from twimager.cluster.page import PAGE
    from twimager.output.layout import check_links

    sizes = sorted(dest.glob("cluster_with_*"))
    check_links([dest / PAGE, *sizes, *(path for size in sizes for path in sorted(size.glob("cluster_*")))], "--dest: ")


def _files(values: argparse.Namespace, warn: Callable[[str], None]) -> list[Path]:
    """Return all files, each once, however many links or folders lead to it."""
    from twimager.image.files import require_files

    found = require_files(values.folders, values.recursive, warn)
    return sorted({os.path.realpath(path): path for path in reversed(found)}.values())


def _options(values: argparse.Namespace) -> ClusterOptions:
    from twimager.cluster.clustering import Linkage
    from twimager.cluster.clusters import ClusterOptions

    return ClusterOptions(
        tuple(values.folders), None if values.dry else values.dest, values.similarity, values.hash_size,
        Linkage(values.linkage), values.resize, values.verify, saved_in(values, values.dest), values.jobs,
        values.max_pixels,
    )  # fmt: skip


def _write(values: argparse.Namespace, clustering: Clustering, console: Console) -> None:
    import uuid

    from twimager.cluster.links import Linker, LinkMode, link_all
    from twimager.cluster.page import PAGE, page
    from twimager.output.atomic import write_files

    mode = LinkMode.COPY if values.copy else LinkMode.HARD if values.hardlink else LinkMode.SYMBOLIC
    link_all(clustering.clusters, values.dest, Linker(values.dest, mode, console, values.overwrite))
    write_files({values.dest / PAGE: page(clustering, values.dest)}, uuid.uuid4().hex, values.overwrite, values.dest)
