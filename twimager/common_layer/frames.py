"""Which of many frames tell most about what they share: those of one size that show different things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twimager.errors import UnreadableImage
from twimager.fingerprint.phash import thumbnail
from twimager.geometry import Size
from twimager.image.decode import decoded_for_analysis
from twimager.image.pixels import frame_size, to_8_bit
from twimager.runtime.console import Console, Progress

# Of more frames, so many are read: the layer is found to the pixel in far fewer.
MAX_FRAMES = 200
# A frame shows something else than another if over this share of their thumbnails they differ by more than this share
# of their contrast, and by some levels. Where a camera stands still, 30 frames with people and cars that pass count as
# 3 to 8; of 60 frames of seven shots 22 count, of 40 photographs all.
DIFFERENT_SHARE = 0.5
DIFFERENT_CONTRAST, DIFFERENT_LEVELS = 0.2, 3.0
# Names of files that a line lists.
NAMED = 3


class Survey(NamedTuple):
    """What frames were read and which of them are of use.

    Attributes
    ----------
    useful : those of the most frequent size that show something else than those before them
    size : (width, height) that they have
    read : how many could be read
    unreadable : how many could not
    """

    useful: list[Path]
    size: Size
    read: int
    unreadable: int


def survey(paths: Sequence[Path], console: Console, progress: Progress) -> Survey:
    """Read frames, evenly sampled if they are many; name those that can't be read or are of another size."""
    sampled = [paths[i] for i in np.linspace(0, len(paths) - 1, min(len(paths), MAX_FRAMES)).round().astype(int)]
    sizes: dict[Path, Size] = {}
    thumbnails: dict[Path, NDArray[np.uint8]] = {}
    with progress.stage("reading"):
        for path in progress.counted(sampled):
            try:
                with decoded_for_analysis(path, srgb=False) as found:
                    sizes[path], thumbnails[path] = frame_size(found.pixels), thumbnail(to_8_bit(found.pixels))
            except UnreadableImage as error:
                console.warn(f"{path}: {error}")
    size = Counter(sizes.values()).most_common(1)[0][0] if sizes else (0, 0)
    if others := [path for path in sizes if sizes[path] != size]:
        names = ", ".join(str(path) for path in others[:NAMED]) + ", ..." * (len(others) > NAMED)
        are = "is" if len(others) == 1 else "are"
        console.warn(f"{len(others)} of other sizes than {size[0]} x {size[1]} {are} left out: {names}")
    same_size = [path for path in sizes if sizes[path] == size]
    useful = [same_size[i] for i in different([thumbnails[path] for path in same_size])]
    return Survey(useful, size, len(sizes), len(sampled) - len(sizes))


def different(thumbnails: Sequence[NDArray[np.uint8]]) -> list[int]:
    """Return the numbers of the thumbnails, (n,) uint8, that show something else than all before them."""
    levels = max(DIFFERENT_LEVELS, DIFFERENT_CONTRAST * float(np.median([one.std() for one in thumbnails] or [0])))
    kept: list[int] = []
    for number, one in enumerate(thumbnails):
        apart = (abs(thumbnails[i].astype(np.int16) - one) > levels for i in kept)
        if all(differs.mean() >= DIFFERENT_SHARE for differs in apart):
            kept.append(number)
    return kept
