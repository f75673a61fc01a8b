"""The whole of `overlay`: frames in, the layer that they share out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twimager.common_layer.drawing import draw_layer
from twimager.common_layer.estimation import Layer, estimate_layer
from twimager.common_layer.frames import Survey, survey
from twimager.common_layer.statistics import frame_statistics
from twimager.errors import ExitCode, UnreadableImage
from twimager.image.decode import decoded
from twimager.image.encode import encode
from twimager.image.pixels import Pixels, frame_size
from twimager.options import Format
from twimager.runtime.console import Console, Progress, counted
from twimager.runtime.memory import budget

# So many frames that show different things are needed. Of 12 photographs logos, watermarks and a panel of alpha 0.5 are
# found; frames of one film have more in common.
MIN_FRAMES = 16
# Frames of the preview.
SHOWN = 3
# Bytes a pixel that the sums, a frame and the estimates take.
PIXEL_BYTES = 110

LAYER, MASK, PREVIEW = "layer.png", "mask.png", "preview.png"


class Found(NamedTuple):
    """What came of the frames.

    Attributes
    ----------
    files : what is to be written, by name; none if no layer was found
    text : the result in a line, or why there is no layer
    exit_code : the process's
    """

    files: dict[str, bytes]
    text: str
    exit_code: ExitCode


def find_layer(paths: Sequence[Path], console: Console) -> Found:
    """Return the layer that frames share as files, or why there is none.

    Raises
    ------
    TwimagerError
        If a frame changed meanwhile, or all take more memory than there is.
    """
    with console.progress(len(paths)) as progress:
        frames = survey(paths, console, progress)
        if len(frames.useful) < MIN_FRAMES:
            differ = "is of one size and shows" if len(frames.useful) == 1 else "are of one size and show"
            return _nothing(
                f"only {len(frames.useful)} of {counted(frames.read, 'frame')} {differ} something else than those "
                f"before, as where a camera stands still; {MIN_FRAMES} are needed"
            )
        progress.expect(len(frames.useful))
        with budget.admit(PIXEL_BYTES * math.prod(frames.size)), progress.stage("comparing"):
            statistics = frame_statistics(_frames(frames, progress), len(frames.useful))
            layer = estimate_layer(statistics)
            if layer is None:
                return _nothing(f"the {len(frames.useful)} different frames of {frames.read} have nothing in common")
            files = {
                LAYER: encode(layer.rgba, Format.PNG),
                MASK: encode(layer.mask, Format.PNG),
                PREVIEW: encode(_preview(frames, layer), Format.PNG),
            }
    code = ExitCode.INCOMPLETE if frames.unreadable else ExitCode.DONE
    return Found(files, _text(frames, layer, len(paths)), code)


def _nothing(why: str) -> Found:
    return Found({}, f"no layer: {why}", ExitCode.NO_PAIR)


def _frames(frames: Survey, progress: Progress) -> Iterator[Pixels]:
    for path in progress.counted(frames.useful):
        yield _frame(path, frames)


def _frame(path: Path, frames: Survey) -> Pixels:
    try:
        with decoded(path, srgb=True) as pixels:
            if frame_size(pixels) == frames.size:
                return pixels
    except UnreadableImage as error:
        raise UnreadableImage(f"{path}: {error}") from error
    raise UnreadableImage(f"{path}: changed while the job went on")


def _preview(frames: Survey, layer: Layer) -> Pixels:
    shown = np.linspace(0, len(frames.useful) - 1, SHOWN).astype(int)
    return draw_layer([_frame(frames.useful[i], frames) for i in shown], layer.mask)


def _text(frames: Survey, layer: Layer, files: int) -> str:
    """Return what was found, and in how many frames, in a line."""
    alpha, used = layer.alpha[layer.alpha > 0], len(frames.useful)
    width, height = frames.size
    sampled = "" if frames.read + frames.unreadable == files else f", evenly sampled from {files}"
    return (
        f"layer: {len(alpha) / layer.alpha.size:.1%} of {width} x {height} pixels, {(alpha == 1).mean():.0%} of it "
        f"opaque, median alpha {np.median(alpha):.2f}; by {used} different frames of {frames.read}{sampled}"
    )
