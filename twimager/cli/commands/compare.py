"""`twimager.py compare A B` and `compare DIR`: how alike two images are, and how the one lies on the other."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from twimager.cli.common import add_jobs, add_max_pixels, add_memory, require_effort, run_group
from twimager.errors import ExitCode, Reason, Rejection, UnreadableImage, UsageError
from twimager.similarity import preprocessing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twimager.cli.signals import Interruption
    from twimager.compare.comparison import Comparison, ImageDescriptors
    from twimager.runtime.console import Console, Progress
    from twimager.similarity.embedding import Network

SUMMARY = """\
How alike two pictures are, and why: scores, matching features, how the one
lies on the other, and which crop of it it is. Of a folder, every two.
"""
USAGE = "(A B | DIR) [options]"
EXAMPLE = "compare still.jpg photo.png --draw matches.jpg"
DETECTORS = ("sift", "rootsift", "akaze", "orb")
DRAWN = (".png", ".jpg", ".jpeg")
DRAWN_QUALITY = 85


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what follows `compare`."""
    compare = parser.add_argument_group("compare")
    compare.add_argument("paths", type=Path, nargs="+", metavar="A B, DIR", help="two images, or a folder of them")
    compare.add_argument("--recursive", action="store_true", help="look into the folders inside DIR too")
    preprocessing.add_arguments(parser)
    write = parser.add_argument_group("write")
    write.add_argument(
        "--draw",
        type=Path,
        metavar="OUT",
        help="draw the matches that agree: into a .png or .jpg file, of a folder into a folder",
    )
    write.add_argument(
        "--detector", choices=DETECTORS, default="rootsift", help="whose matches are drawn (default rootsift)"
    )
    write.add_argument("--overwrite", action="store_true", help="replace what --draw has drawn before")
    run = run_group(parser)
    add_max_pixels(run)
    add_jobs(run)
    add_memory(run)
    run.add_argument("--json", action="store_true", help="print all there is as JSON; of a folder, a list")
    run.add_argument("--quiet", action="store_true", help="no progress")


def run(values: argparse.Namespace, interruption: Interruption) -> ExitCode:
    """Compare; print the results."""
    settings = preprocessing.preprocessing(values)
    _check(values)
    _check_drawing(values)
    from twimager.runtime.console import Console, own_stderr
    from twimager.similarity.embedding import Network

    interruption.begin()
    with own_stderr() as stream:
        console = Console(values.quiet, stream=stream)
        network = Network(values.model, settings) if values.model else None
        with console.progress(len(values.paths)) as progress:
            if len(values.paths) == 1:
                return _compare_folder(values, network, console, progress)
            return _compare_two(values, network, console, progress)


def _check(values: argparse.Namespace) -> None:
    """Raise UsageError if the arguments do not fit."""
    paths: list[Path] = values.paths
    if len(paths) > 2:
        raise UsageError("compare takes two images or one folder")
    for path in paths:
        if not path.exists():
            raise UsageError(f"there is no {path}")
        if path.is_dir() and len(paths) == 2:
            raise UsageError(f"{path} is a folder; compare takes two images or one folder")
        if not path.is_dir() and len(paths) == 1:
            raise UsageError(f"{path} is a file; compare takes two images or one folder")
    require_effort(values)


def _check_drawing(values: argparse.Namespace) -> None:
    """Raise UsageError if the drawings can't go where they should."""
    from twimager.similarity.detectors import Detector

    draw: Path | None = values.draw
    if not Detector(values.detector).is_available:
        raise UsageError(f"--detector: this OpenCV does not have {values.detector}")
    if draw is None:
        return
    inputs = [path.resolve() for path in values.paths]
    if any(draw.resolve().is_relative_to(path) for path in inputs):
        raise UsageError(f"--draw: {draw} is, or lies in, what is compared; keep it apart")
    if len(inputs) == 2 and draw.suffix.lower() not in DRAWN:
        raise UsageError(f"--draw: {draw} must end with .png or .jpg")
    if draw.exists() and draw.is_dir() != (len(inputs) == 1):
        raise UsageError(f"--draw: {draw} is a {'folder' if draw.is_dir() else 'file'}; name another")
    held = draw.exists() and (len(inputs) == 2 or any(draw.iterdir()))
    if held and not values.overwrite:
        raise UsageError(f"--draw: {draw} is there already; name another, or add --overwrite (nothing is deleted)")


def _compare_two(values: argparse.Namespace, network: Network | None, console: Console, progress: Progress) -> ExitCode:
    from twimager.compare.formatting import to_json, to_text
    from twimager.runtime.console import say

    read = partial(_described, network=network)
    images = _readable(values.paths, map(read, progress.counted(values.paths)), console)
    if len(images) < 2:
        return ExitCode.INCOMPLETE
    compared = _compared((images[0], images[1]))
    if isinstance(compared, Rejection):
        console.warn(str(compared))
        return ExitCode.INCOMPLETE
    if values.draw:
        _draw(compared, values.draw, values)
    say(json.dumps(to_json(compared), indent=1) if values.json else to_text(compared))
    return ExitCode.DONE


def _compare_folder(
    values: argparse.Namespace, network: Network | None, console: Console, progress: Progress
) -> ExitCode:
    """Compare every two images of a folder."""
    from itertools import combinations

    from twimager.compare.formatting import to_json, to_table
    from twimager.image.files import list_files
    from twimager.output.names import flat_names
    from twimager.runtime.console import counted, say
    from twimager.runtime.pool import worker_pool
    from twimager.similarity.detectors import Detector

    folder: Path = values.paths[0]
    paths = list_files(folder, values.recursive, console.warn)
    if len(paths) < 2:
        raise UsageError(f"{folder} holds {counted(len(paths), 'file')}; there are no two to compare")
    names = flat_names(paths, folder)
    progress.expect(len(paths) * (len(paths) + 1) / 2)
    compared: list[Comparison] = []
    failed = 0
    with worker_pool(values.jobs) as workers:
        with progress.stage("reading"):
            read = workers.map_shards(partial(_described, network=network), paths)
            images = _readable(paths, progress.counted(read), console)
        with progress.stage("comparing"):
            every_two = workers.map_shards(_compared, combinations(images, 2))
            for one in progress.counted(every_two):
                if isinstance(one, Rejection):
                    console.warn(str(one))
                    failed += 1
                    continue
                compared.append(one)
                if values.draw:
                    name = f"{names[one.first.path]}__{names[one.second.path]}.png"
                    _draw(one, values.draw / name, values)
    if values.json:
        say(json.dumps([to_json(one) for one in compared], indent=1))
    elif compared:
        say(to_table(compared, Detector(values.detector)))
    return ExitCode.INCOMPLETE if failed or len(images) < len(paths) else ExitCode.DONE


def _described(path: Path, network: Network | None) -> ImageDescriptors | Rejection:
    """Return the descriptors of an image, or why it can't be read."""
    from twimager.compare.comparison import describe
    from twimager.image.decode import LIBRARY_ERRORS, complaint

    try:
        return describe(path, network)
    except UnreadableImage as error:
        return Rejection(error.reason, str(error))
    except LIBRARY_ERRORS as error:
        return Rejection(Reason.FAILED, complaint(error))


def _compared(images: tuple[ImageDescriptors, ImageDescriptors]) -> Comparison | Rejection:
    """Compare two images, one of which may be gone since it was extract_features."""
    from twimager.compare.comparison import compare
    from twimager.image.decode import LIBRARY_ERRORS, complaint

    first, second = images
    try:
        return compare(first, second)
    except UnreadableImage as error:
        return Rejection(error.reason, f"{first.path} or {second.path}: {error}")
    except LIBRARY_ERRORS as error:
        return Rejection(Reason.FAILED, f"{first.path} - {second.path}: {complaint(error)}")


def _readable(
    paths: Sequence[Path], read: Iterable[ImageDescriptors | Rejection], console: Console
) -> list[ImageDescriptors]:
    """Return the images that could be read; name the others on the console."""
    images = []
    for path, result in zip(paths, read, strict=True):
        if isinstance(result, Rejection):
            console.warn(f"{path}: {result}")
        else:
            images.append(result)
    return images


def _draw(compared: Comparison, path: Path, values: argparse.Namespace) -> None:
    """Write a drawing of the matches that agree with one transform."""
    import uuid

    from twimager.compare.drawing import draw_matches
    from twimager.image.decode import decoded
    from twimager.image.encode import encode
    from twimager.options import Format
    from twimager.output.atomic import write_files
    from twimager.similarity.detectors import Detector

    detector = Detector(values.detector)
    sides = compared.first, compared.second
    matches = compared.feature_matches[detector]
    assert matches
    with decoded(sides[0].path, srgb=True) as first, decoded(sides[1].path, srgb=True) as second:
        drawn = draw_matches(
            first, second, matches, (sides[0].features[detector].size, sides[1].features[detector].size)
        )
    data = encode(drawn, Format.PNG if path.suffix.lower() == ".png" else Format.JPG, DRAWN_QUALITY)
    write_files({path: data}, uuid.uuid4().hex, replace=values.overwrite)
