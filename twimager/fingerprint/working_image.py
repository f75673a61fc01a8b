"""Working images: the small copies that pairs are refined and verified on, and that fingerprints are made from."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.errors import UnreadableImage
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.geometry import Matrix, Size, resize_matrix
from twimager.image.decode import decoded, decoded_for_analysis, decoded_with_alpha
from twimager.image.depth import FullRange
from twimager.image.displacement import Displacement
from twimager.image.icc import to_srgb
from twimager.image.inpaint import inpainted, shrunk_known
from twimager.image.pixels import Gray, Pixels, frame_size, limited, to_8_bit, to_gray
from twimager.image.warp import resample

# Shorter side of the working image.
WORKING_SIDE = 320
# Shorter side of the copy on which colours are compared, of which even a part still tells what colour is where.
COLOR_SIDE = 160
# Bytes of working images that are kept, at most: some 450 of them.
RECENT_BYTES = 64 * 1024 * 1024
# Rows that are converted at a time where each pixel takes more bytes meanwhile than in the end.
BAND = 256
# Bytes a pixel that inpainting takes.
MASKED_BYTES = 12


class LRUCache:
    """Copies of images, by their paths, `limit` bytes of them at most; shared by the threads of this process.

    Those that have gone unused for longest are dropped first.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._bytes = 0
        self._copies: OrderedDict[Path, Pixels] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path) -> Pixels | None:
        """Return an image's copy, (h, w) or (h, w, 3), if it is kept."""
        with self._lock:
            if path in self._copies:
                self._copies.move_to_end(path)
            return self._copies.get(path)

    def keep(self, path: Path, pixels: Pixels) -> None:
        """Keep an image's copy, (h, w) or (h, w, 3)."""
        with self._lock:
            self._forget(path)
            self._copies[path] = pixels
            self._bytes += pixels.nbytes
            while self._bytes > self.limit:
                self._forget(next(iter(self._copies)))

    def these(self, paths: Iterable[Path]) -> dict[Path, Pixels]:
        """Return those copies of these images that are kept; that does not count as use."""
        with self._lock:
            return {path: self._copies[path] for path in paths if path in self._copies}

    def drop(self, path: Path) -> None:
        """Drop an image's copy, if it is kept."""
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


recent = LRUCache(RECENT_BYTES)
_recent_colors = LRUCache(RECENT_BYTES)


class WorkingImage(NamedTuple):
    """A copy of an image.

    Attributes
    ----------
    gray : (h, w) uint8 or float32; (h, w, 3) uint8 BGR for comparing colours
    size : (width, height) of the image itself, no smaller than the copy
    valid : (h, w), False where the image's mask leaves pixels out, which are inpainted, or where nothing is to be
        registered by it; None where it leaves out none
    """

    gray: Gray
    size: Size
    valid: NDArray[np.bool_] | None = None

    def limited(self, side: int) -> WorkingImage:
        """Return a copy with a shorter side of `side` or less."""
        gray = limited(self.gray, side)
        valid = None if self.valid is None else shrunk_known(self.valid, frame_size(gray))
        return WorkingImage(gray, self.size, valid)

    @property
    def negative(self) -> WorkingImage:
        """The copy's negative."""
        return self._replace(gray=255 - self.gray)

    @property
    def from_full(self) -> Matrix:
        """The matrix, (3, 3), from the image's pixels to the copy's."""
        return resize_matrix(self.size, frame_size(self.gray))


def valid_in_both(
    hr: WorkingImage, lr: WorkingImage, to_lr: Matrix, displacement: Displacement | None = None
) -> NDArray[np.bool_] | None:
    """Return which pixels of an LR's working image, (h, w), the masks of neither leave out; None for all.

    Parameters
    ----------
    to_lr : takes pixels of the HR's working image to those of the LR's
    displacement : on the grid of the LR's working image
    """
    if hr.valid is None:
        return lr.valid
    picture = np.where(hr.valid, np.uint8(255), np.uint8(0))
    size = frame_size(lr.gray)
    shown = resample(picture, to_lr, size, interpolation=cv2.INTER_LINEAR, displacement=displacement) == 255
    return np.asarray(shown if lr.valid is None else shown & lr.valid)


def valid_pixels(image: Fingerprint, size: Size) -> NDArray[np.bool_] | None:
    """Return which pixels of a copy of an image's picture, (width, height), its mask does not touch; None for all.

    Returns
    -------
    (h, w) or None
    """
    return image.mask.on(image.frame[2:], image.picture, size) if image.mask else None


def _masked(pixels: Pixels, image: Fingerprint) -> WorkingImage:
    """Return pixels of an image's picture, (h, w) or (h, w, 3), as a working image, inpainted by its mask."""
    valid = valid_pixels(image, frame_size(pixels))
    return WorkingImage(pixels if valid is None else inpainted(pixels, valid), image.size, valid)


def working_image(image: Fingerprint, keep: bool = True) -> WorkingImage:
    """Return the working image: gray, (h, w) uint8, shorter side WORKING_SIDE or less.

    The last ones used are kept, so that most files need not be read again.

    Parameters
    ----------
    keep : whether to keep one for which the file had to be read

    Raises
    ------
    UnreadableImage
        If the file has to be read, and can't be any more.
    """
    gray = recent.get(image.path)
    if gray is None:
        with decoded_for_analysis(image.path, image.srgb, image.missing) as found:
            gray = _masked(working_gray(_picture(image, found.pixels), found.profile), image).gray
        if keep:
            recent.keep(image.path, gray)
    return WorkingImage(gray, image.size, valid_pixels(image, frame_size(gray)))


def keep_working_image(path: Path, gray: Gray) -> None:
    """Keep the gray of an image as what `working_image` returns, as long as there is room for it."""
    recent.keep(path, gray)
    _recent_colors.drop(path)


def has_working_image(path: Path) -> bool:
    """Tell whether `working_image` has a copy of this file that it need not be read for."""
    return recent.get(path) is not None


def drop_working_images() -> None:
    """Keep no copies of images any longer, which take up to 128 MB."""
    recent.clear()
    _recent_colors.clear()


def color_image(image: Fingerprint) -> WorkingImage:
    """Return a copy of an image for comparing colours: (h, w, 3) uint8 BGR, shorter side COLOR_SIDE or less.

    Raises UnreadableImage.
    """
    colors: Pixels | None = _recent_colors.get(image.path)
    if colors is None:
        colors = small_colors(image, COLOR_SIDE)
        _recent_colors.keep(image.path, colors)
    return _masked(colors, image)


def small_colors(image: Fingerprint, side: int) -> Pixels:
    """Return an image in colour, (h, w, 3) uint8 BGR, shorter side `side` or less; raises UnreadableImage."""
    with picture(image) as pixels:
        return to_8_bit(limited(pixels, side))


@contextmanager
def picture(image: Fingerprint, more: float = 0) -> Iterator[Pixels]:
    """Yield an image's pixels, (h, w, 3) BGR, uint8 or uint16 of full range, without the bars.

    Parameters
    ----------
    more : bytes a pixel that the block takes beside them

    Raises
    ------
    UnreadableImage
        If the file can't be read any more, or holds a picture of another size by now.
    """
    with decoded(image.path, image.srgb, more, image.missing) as pixels:
        yield _picture(image, pixels)


@contextmanager
def picture_with_alpha(image: Fingerprint) -> Iterator[FullRange]:
    """Yield what `picture` does, how many bits of a value are in use in the file, and its alpha."""
    with decoded_with_alpha(image.path, image.srgb, missing=image.missing) as found:
        pixels, alpha = _picture(image, found.pixels), found.alpha
        if (alpha is None) != (image.opaque is None):
            raise UnreadableImage("changed while the job went on")
        yield found._replace(pixels=pixels, alpha=None if alpha is None else image.picture.cut(alpha))


def _picture(image: Fingerprint, frame: Pixels) -> Pixels:
    """Return a frame without the bars; UnreadableImage if its size is not that of the fingerprint."""
    if frame_size(frame) != image.frame[2:]:
        raise UnreadableImage("changed while the job went on")
    return image.picture.cut(frame)


@contextmanager
def precise_picture(image: Fingerprint) -> Iterator[WorkingImage]:
    """Yield an image at its full size, gray, (h, w) float32 of 0 to 255; raises as `picture` does.

    Its colours are kept for `color_image`.
    """
    with picture(image, more=4 + (MASKED_BYTES if image.mask else 0)) as pixels:
        _recent_colors.keep(image.path, to_8_bit(limited(pixels, COLOR_SIDE)))
        yield _masked(_precise_gray(pixels), image)


def precise_frame(image: Fingerprint) -> NDArray[np.float32]:
    """Return the gray of a file, bars and all, (h, w) of 0 to 255; raises UnreadableImage."""
    with decoded(image.path, image.srgb, 4, image.missing) as frame:
        return _precise_gray(frame)


def _precise_gray(pixels: Pixels) -> NDArray[np.float32]:
    unit = np.float32(255 / np.iinfo(pixels.dtype).max)
    gray = np.empty(pixels.shape[:2], np.float32)
    for top in range(0, len(gray), BAND):
        gray[top : top + BAND] = cv2.cvtColor(unit * pixels[top : top + BAND], cv2.COLOR_BGR2GRAY)
    return gray


def working_gray(pixels: Pixels | Gray, profile: bytes | None) -> Gray:
    """Return the working image of a picture that is gray, (h, w), or colours, (h, w, 3), to be converted to sRGB."""
    small = limited(pixels, WORKING_SIDE)
    return to_8_bit(to_gray(to_srgb(small, profile)) if profile else small)
