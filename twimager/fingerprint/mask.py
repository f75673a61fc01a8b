"""Masks: which pixels of an image are no picture, but a logo or a caption in all of its side, or transparent."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twimager.errors import UnreadableImage, UnreadableVideo, UsageError
from twimager.geometry import Rect, Size
from twimager.image import headers
from twimager.image.decode import read_image
from twimager.image.files import read_bytes
from twimager.image.inpaint import shrunk_known
from twimager.image.pixels import to_8_bit, to_gray
from twimager.options import ReadSettings

# What is darker is left out.
PICTURE = 128
# The ratio of the sides of a mask and of an image may differ by this share; others are masks of something else.
SAME_RATIO = 0.01
# Small grids on which masks are kept, in each process, and what is small, in pixels.
KEPT, SMALL = 32, 1 << 19


@dataclass(frozen=True, repr=False)
class Mask:
    """Which pixels of an image are picture, packed so that it can be sent to other processes.

    Attributes
    ----------
    size : (width, height)
    packed : a bit a pixel, compressed
    """

    size: Size
    packed: bytes

    @classmethod
    def of(cls, picture: NDArray[np.bool_]) -> Mask:
        """Pack (h, w): True is picture."""
        return cls((picture.shape[1], picture.shape[0]), zlib.compress(np.packbits(picture).tobytes(), 1))

    def __repr__(self) -> str:
        return f"Mask({self.digest})"

    @cached_property
    def digest(self) -> str:
        """Changes with the pixels: part of the keys by which what is found out is kept."""
        return hashlib.sha256(repr(self.size).encode() + self.packed).hexdigest()

    @property
    def is_empty(self) -> bool:
        """Whether no pixel is picture."""
        return not any(zlib.decompress(self.packed))

    @cached_property
    def is_sound(self) -> bool:
        """Whether `packed` holds a bit for each pixel."""
        needed = (math.prod(self.size) + 7) // 8
        try:
            return len(zlib.decompressobj().decompress(self.packed, needed + 1)) == needed
        except zlib.error:
            return False

    def fits(self, size: Size) -> bool:
        """Tell whether an image, (width, height), has the proportions of the mask."""
        return abs(size[0] * self.size[1] / (size[1] * self.size[0]) - 1) <= SAME_RATIO

    def on(self, frame: Size, area: Rect, size: Size) -> NDArray[np.bool_]:
        """Return which pixels are made of nothing but picture, (h, w), in a copy, `size`, of an area of a frame."""
        return (_kept if math.prod(size) <= SMALL else _on)(self, frame, area, size)


def _on(mask: Mask, frame: Size, area: Rect, size: Size) -> NDArray[np.bool_]:
    width, height = mask.size
    bits = np.frombuffer(zlib.decompress(mask.packed), np.uint8)
    whole = np.unpackbits(bits, count=width * height).reshape(height, width) > 0
    valid = shrunk_known(area.cut(whole if frame == mask.size else shrunk_known(whole, frame)), size)
    valid.flags.writeable = False
    return valid


_kept = lru_cache(KEPT)(_on)


def both(mask: Mask | None, opaque: Mask | None) -> Mask | None:
    """Return which pixels both the mask of an image's side, and its own, have for picture; None for all."""
    if mask is None or opaque is None:
        return mask or opaque
    whole = Rect(0, 0, *opaque.size)
    return Mask.of(np.logical_and(*(one.on(opaque.size, whole, opaque.size) for one in (mask, opaque))))


class Masks(NamedTuple):
    """The masks of both sides."""

    lr: Mask | None = None
    hr: Mask | None = None


NO_MASKS = Masks()


def size_by_header(image: Path) -> Size | None:
    """Return an image's size as it is stored; None if its header does not tell, UnreadableImage if there is none."""
    return headers.parse(read_bytes(image)).size


def read_masks(
    settings: ReadSettings,
    lr_paths: Sequence[Path],
    hr_paths: Sequence[Path],
    size_of: Callable[[Path], Size | None] = size_by_header,
) -> Masks:
    """Read the masks that are given; UsageError for what is no image, or fits none of its side's, by `size_of`."""
    return Masks(
        _read_mask("--lr_mask", settings.lr_mask, lr_paths, size_of),
        _read_mask("--hr_mask", settings.hr_mask, hr_paths, size_of),
    )


def _read_mask(
    flag: str, path: Path | None, images: Sequence[Path], size_of: Callable[[Path], Size | None]
) -> Mask | None:
    if path is None:
        return None
    try:
        picture = to_8_bit(to_gray(read_image(path))) >= PICTURE
    except UnreadableImage as error:
        raise UsageError(f"{flag}: {path}: {error}") from error
    if not picture.any():
        raise UsageError(f"{flag}: {path} leaves out everything; 255 is picture, 0 is left out")
    mask = Mask.of(picture)
    if not any(_may_fit(mask, image, size_of) for image in images):
        width, height = mask.size
        raise UsageError(f"{flag}: {path} has {width} x {height} pixels; no image has these proportions")
    return mask


def _may_fit(mask: Mask, image: Path, size_of: Callable[[Path], Size | None]) -> bool:
    """Tell whether an image may have the proportions of a mask; it may be stored turned."""
    try:
        size = size_of(image)
    except (UnreadableImage, UnreadableVideo):
        return False
    return size is None or mask.fits(size) or mask.fits(size[::-1])
