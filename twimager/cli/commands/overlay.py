"""`twimager.py overlay FRAMES... --dest DEST`: the layer that frames share, and its mask."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from twimager.cli.common import add_max_pixels, add_memory, require_dest, run_group
from twimager.errors import ExitCode, require

if TYPE_CHECKING:
    from collections.abc import Callable

    from twimager.cli.signals import Interruption

SUMMARY = """\
Find the layer that many frames of one size share: a station's logo, a burnt-in
caption, a game's display, a watermark. DEST/layer.png is the layer with its
alpha, DEST/mask.png a mask for --lr_mask and --hr_mask (255 is picture, 0 the
layer), DEST/preview.png three frames, and what the mask leaves out of them.

exit codes: 0 found, 3 found but some frames could not be read, 4 none found.
"""
USAGE = "FRAMES... --dest DIR [options]"
EXAMPLE = "overlay frames --dest layer"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what follows `overlay`."""
    find = parser.add_argument_group("find")
    find.add_argument(
        "paths", type=Path, nargs="+", metavar="FRAMES", help="images, or folders of them, of the same size"
    )
    find.add_argument("--recursive", action="store_true", help="look into the folders inside folders too")
    write = parser.add_argument_group("write")
    write.add_argument("--dest", type=Path, metavar="DIR", required=True, help="where to write; made if missing")
    write.add_argument(
        "--overwrite", action="store_true",
        help="write into a DEST that is not empty: replaces files of the same names, deletes none",
    )  # fmt: skip
    run = run_group(parser)
    add_max_pixels(run)
    add_memory(run)
    run.add_argument("--quiet", action="store_true", help="no progress, no summary: problems only")


def run(values: argparse.Namespace, interruption: Interruption) -> ExitCode:
    """Find the layer, write it, say what it is like."""
    require(values.max_pixels >= 1, "--max_pixels must be 1 or more")
    for path in values.paths:
        require(path.exists(), f"there is no {path}")
    require_dest(values.dest, [path if path.is_dir() else path.parent for path in values.paths], values.overwrite)
    import uuid

    from twimager.common_layer.job import LAYER, MASK, MIN_FRAMES, PREVIEW, find_layer
    from twimager.output.atomic import write_files
    from twimager.output.layout import check_links
    from twimager.runtime.console import Console, counted, own_stderr, say

    check_links([values.dest / name for name in (LAYER, MASK, PREVIEW)], "--dest: ")
    interruption.begin()
    with own_stderr() as stream:
        console = Console(values.quiet, stream=stream)
        paths = _files(values, console.warn)
        require(
            len(paths) >= MIN_FRAMES,
            f"{counted(len(paths), 'frame is', 'frames are')} too few; {MIN_FRAMES} are needed",
        )
        found = find_layer(paths, console)
        if not found.files:
            console.warn(found.text)
        files = {values.dest / name: data for name, data in found.files.items()}
        write_files(files, uuid.uuid4().hex, values.overwrite, values.dest)
    if found.files and not values.quiet:
        say(found.text)
    return found.exit_code


def _files(values: argparse.Namespace, warn: Callable[[str], None]) -> list[Path]:
    """Return all frames, each once."""
    from twimager.image.files import require_files

    found = (require_files([path], values.recursive, warn) if path.is_dir() else [path] for path in values.paths)
    return list(dict.fromkeys(path for paths in found for path in paths))
