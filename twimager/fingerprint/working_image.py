"""Small copies of images that pairs are refined and verified on, and from which fingerprints are made."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from twimager.errors import UnreadableImage
from twimager.fingerprint.fingerprint import Bars, Fingerprint, Recipe
from twimager.fingerprint.letterbox import picture_area
from twimager.geometry import Matrix, Size, resize_matrix
from twimager.image.decode import decoded, decoded_for_analysis, missing_rows
from twimager.image.icc import to_srgb
from twimager.image.pixels import Gray, Pixels, frame_size, limited, to_8_bit, to_gray

# Shorter side of the copy on which pairs are refined and verified.
WORKING_SIDE = 320
# Shorter side of the copy on which colours are compared, of which even a part still tells what colour is where.
COLOR_SIDE = 160
# What is kept of working images, at most: some 450 of them.
RECENT_BYTES = 64 * 1024 * 1024
# Rows that are converted at a time where each pixel takes more than in the end.
BAND = 256


class Recent:
    """The copies used last, so many bytes of them; shared by the threads of this process."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._bytes = 0
        self._copies: OrderedDict[Path, Pixels] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path) -> Pixels | None:
        """Return an image's copy, if it is kept."""
        with self._lock:
            if path in self._copies:
                self._copies.move_to_end(path)
            return self._copies.get(path)

    def keep(self, path: Path, pixels: Pixels) -> None:
        """Keep an image's copy, instead of those that were not used for longest."""
        with self._lock:
            self._forget(path)
            self._copies[path] = pixels
            self._bytes += pixels.nbytes
            while self._bytes > self.limit:
                self._forget(next(iter(self._copies)))

    def these(self, paths: Iterable[Path]) -> dict[Path, Pixels]:
        """Return the copies of these images that are kept, without their being used by that."""
        with self._lock:
            return {path: self._copies[path] for path in paths if path in self._copies}

    def drop(self, path: Path) -> None:
        """Keep nothing of an image any longer."""
        with self._lock:
            self._forget(path)

    def clear(self) -> None:
        """Keep nothing any longer."""
        with self._lock:
            self._copies.clear()
            self._bytes = 0

    def _forget(self, path: Path) -> None:
        if (pixels := self._copies.pop(path, None)) is not None:
            self._bytes -= pixels.nbytes


recent = Recent(RECENT_BYTES)
_recent_colors = Recent(RECENT_BYTES)


class WorkingImage(NamedTuple):
    """A gray copy of an image, (h, w), maybe smaller, and the (width, height) of the image itself.

    One on which colours are compared is (h, w, 3).
    """

    gray: Gray
    size: Size

    @property
    def from_full(self) -> Matrix:
        """The matrix from the image's pixels to the copy's."""
        return resize_matrix(self.size, frame_size(self.gray))


class View(NamedTuple):
    """What is seen of an image file.

    Attributes
    ----------
    gray : (h, w) uint8, the picture without bars, shorter side WORKING_SIDE or less
    size : (width, height) of the picture itself
    bars : what lies around it
    missing : how many rows the file lacks
    depth : bytes that a value of the file's pixels has, at most
    """

    gray: Gray
    size: Size
    bars: Bars
    missing: int = 0
    depth: int = 2


def view(path: Path, recipe: Recipe) -> View:
    """Read an image file and look at its picture; raises UnreadableImage."""
    try:
        return _seen(path, recipe)
    except UnreadableImage:
        if not recipe.truncated:
            raise
    return _seen(path, recipe, missing_rows(path))


def _seen(path: Path, recipe: Recipe, missing: int = 0) -> View:
    with decoded_for_analysis(path, recipe.srgb, missing) as (frame, profile, depth):
        picture = picture_area(to_gray(frame) if profile else frame)
        gray = _working(picture.cut(frame), profile)
        right, bottom = frame.shape[1] - picture.x - picture.width, frame.shape[0] - picture.y - picture.height
    size, bars = (picture.width, picture.height), Bars(picture.x, picture.y, right, bottom)
    return View(limited(gray, max(1, round(min(size) * recipe.resize))), size, bars, missing, depth)


def working_image(image: Fingerprint, keep: bool = True) -> WorkingImage:
    """Return the copy of an image that is refined and verified: shorter side WORKING_SIDE or less.

    The most recent copies are remembered, so that most files need not be read again; one that had to be read will be,
    too, if it is to be kept. Raises UnreadableImage.
    """
    gray = recent.get(image.path)
    if gray is None:
        with decoded_for_analysis(image.path, image.srgb, image.missing) as (frame, profile, _):
            gray = _working(_picture(image, frame), profile)
        if keep:
            recent.keep(image.path, gray)
    return WorkingImage(gray, image.size)


def recall(path: Path, seen: View) -> None:
    """Have `working_image` go by this view of an image, as long as there is room for it."""
    recent.keep(path, seen.gray)
    _recent_colors.drop(path)


def recalls(path: Path) -> bool:
    """Tell whether `working_image` would go by a view that is remembered."""
    return recent.get(path) is not None


def forget_copies() -> None:
    """Keep no copies of images any longer, which take up to 128 MB."""
    recent.clear()
    _recent_colors.clear()


def color_image(image: Fingerprint) -> WorkingImage:
    """Return a small copy of an image, (h, w, 3) uint8 BGR, on which colours are compared; raises UnreadableImage."""
    colors: Pixels | None = _recent_colors.get(image.path)
    if colors is None:
        colors = small_colors(image, COLOR_SIDE)
        _recent_colors.keep(image.path, colors)
    return WorkingImage(colors, image.size)


def small_colors(image: Fingerprint, side: int) -> Pixels:
    """Return an image in colour, (h, w, 3) uint8 BGR, with a shorter side of `side` at most; raises UnreadableImage."""
    with picture(image) as pixels:
        return to_8_bit(limited(pixels, side))


@contextmanager
def picture(image: Fingerprint, more: float = 0) -> Iterator[Pixels]:
    """Yield an image's pixels, (h, w, 3), without the bars; see `decoded`."""
    with decoded(image.path, image.srgb, more, image.missing) as frame:
        yield _picture(image, frame)


def _picture(image: Fingerprint, frame: Pixels) -> Pixels:
    """Return what a frame shows without the bars; UnreadableImage if it is another one than was seen before."""
    if frame_size(frame) != image.frame[2:]:
        raise UnreadableImage("changed while the job went on")
    return image.picture.cut(frame)


@contextmanager
def precise_picture(image: Fingerprint) -> Iterator[WorkingImage]:
    """Yield the whole of an image as float32 gray; see `picture`."""
    with picture(image, more=4) as pixels:
        unit = np.float32(255 / np.iinfo(pixels.dtype).max)
        gray = np.empty(pixels.shape[:2], np.float32)
        for top in range(0, len(gray), BAND):
            gray[top : top + BAND] = cv2.cvtColor(unit * pixels[top : top + BAND], cv2.COLOR_BGR2GRAY)
        yield WorkingImage(gray, image.size)


def _working(pixels: Pixels | Gray, profile: bytes | None) -> Gray:
    """Return the working image of a picture: gray (h, w), or colours (h, w, 3) that are to be converted to sRGB."""
    small = limited(pixels, WORKING_SIDE)
    return to_8_bit(to_gray(to_srgb(small, profile)) if profile else small)
