"""What is remembered of one image: its size, perceptual hashes, a thumbnail and RootSIFT features."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.errors import UnreadableImage
from twimager.fingerprint.letterbox import picture_area
from twimager.fingerprint.phash import ENOUGH_PIXELS, THUMBNAIL_SIDE, picture_hashes, thumbnail
from twimager.fingerprint.recent import Recent
from twimager.fingerprint.rootsift import MIRRORED_BINS, SIGMA, root_sift
from twimager.geometry import Matrix, Rect, Size, resize_matrix, transform_points
from twimager.image.decode import decoded, decoded_for_analysis, missing_rows
from twimager.image.files import Gray, Pixels, frame_size, shrink, to_8_bit, to_gray
from twimager.image.icc import to_srgb

# Shorter side of the copy on which pairs are refined and verified.
WORKING_SIDE = 320
# Copies are no longer than so many times that: of a strip, which no pair shows more of, they would have any size.
MAX_ASPECT = 16
HASH_SIDE = 8
# Compression moves flat pixels by no more levels; nothing can be aligned by what is flat.
FLAT_LEVELS = 4
# Shorter side of the copy on which colours are compared, of which even a part still tells what colour is where.
COLOR_SIDE = 160
# What is kept of working images, at most: some 450 of them.
RECENT_BYTES = 64 * 1024 * 1024
# Rows that are converted at a time where each pixel takes more than in the end.
BAND = 256


recent = Recent(RECENT_BYTES)
_recent_colors = Recent(RECENT_BYTES)


class Recipe(NamedTuple):
    """How an image is fingerprinted.

    Attributes
    ----------
    side : shorter side, at most, of the copy that is searched for features
    features : how many are kept
    contrast : SIFT's threshold
    sigma : SIFT's sigma; a smaller one finds on a smaller copy what a greater one finds on a larger
    srgb : whether an image with another colour profile is converted to sRGB
    hash_side : the pHashes have hash_side x hash_side bits
    resize : no copy is larger than so many times the picture
    truncated : whether the complete rows of an image that is cut short are used
    """

    side: int
    features: int
    contrast: float
    sigma: float = SIGMA
    srgb: bool = False
    hash_side: int = HASH_SIDE
    resize: float = 1.0
    truncated: bool = False

    @property
    def bare(self) -> Recipe:
        """The same without features, which take most of the time."""
        return self._replace(side=0, features=0, contrast=0, sigma=0)


# Few features tell most pairs, in half the time; 120 lose one in a hundred. An LR shows a part of its HR, rarely more,
# and needs fewer pixels for the same details. Of 2,300 pairs in 13 sets as many are found but for one, and as
# precisely, as with a sigma of 1.6 and 1.25 times the pixels along a side, in two thirds of the time.
LIGHT_LR = Recipe(side=128, features=200, contrast=0.02, sigma=1.2)
LIGHT_HR = LIGHT_LR._replace(side=160)
# For what they leave over: small parts of a frame, smooth pictures.
RICH = Recipe(side=320, features=1000, contrast=0.01)


class Bars(NamedTuple):
    """How many lines of black there are around a picture."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


NO_BARS = Bars()
NO_POINTS, NO_DESCRIPTORS = np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8)
NO_THUMBNAIL = np.zeros(THUMBNAIL_SIDE**2, np.uint8)


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """One image, remembered.

    Attributes
    ----------
    path : Path
    size : (width, height) in pixels, upright, of the picture: black bars around it are no part of it
    hashes : pHashes of the whole frame and, where that is wide or tall, of its centre square, 64 bits unless the recipe
        says otherwise
    points : (n, 2) feature positions in pixels of the full-size image; the strongest feature first, here and below
    radii : (n,) feature sizes in the same pixels
    angles : (n,) feature orientations in radians, clockwise from the right
    descriptors : (n, 128) uint8 RootSIFT
    bars : what lies around the picture in the file
    srgb : whether it is converted to sRGB, whenever it is read, if it has another colour profile
    thumbnail : (MINIATURE_SIDE**2,) uint8, the picture's gray, shrunk to a square
    is_bare : whether features were not looked for
    is_flat : whether its pixels are of one level, but for FLAT_LEVELS
    missing : how many rows the file lacks, which are no part of its frame
    depth : bytes that a value of the file's pixels has, at most
    """

    path: Path
    size: Size
    hashes: tuple[int, ...]
    points: NDArray[np.float32]
    radii: NDArray[np.float32]
    angles: NDArray[np.float32]
    descriptors: NDArray[np.uint8]
    bars: Bars = NO_BARS
    srgb: bool = False
    thumbnail: NDArray[np.uint8] = field(default_factory=NO_THUMBNAIL.copy)
    is_bare: bool = False
    is_flat: bool = False
    missing: int = 0
    depth: int = 2

    @property
    def picture(self) -> Rect:
        """The picture in the file's frame."""
        return Rect(self.bars.left, self.bars.top, *self.size)

    @property
    def frame(self) -> Rect:
        """The file's frame, as seen from the picture's first pixel."""
        left, top, right, bottom = self.bars
        return Rect(-left, -top, self.size[0] + left + right, self.size[1] + top + bottom)

    @property
    def bare(self) -> Fingerprint:
        """The same without features, which take most of the memory."""
        return replace(
            self, points=NO_POINTS, radii=NO_POINTS[:, 0], angles=NO_POINTS[:, 1], descriptors=NO_DESCRIPTORS,
            is_bare=True,
        )  # fmt: skip


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


def fingerprint(path: Path, recipe: Recipe) -> Fingerprint:
    """Read an image file once and return what is remembered of it; raises UnreadableImage."""
    seen = view(path, recipe)
    return described(bare_fingerprint(path, seen, recipe), seen.gray, recipe)


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


def bare_fingerprint(path: Path, seen: View, recipe: Recipe) -> Fingerprint:
    """Return what is remembered of an image that looks like this, but for its features."""
    recall(path, seen)
    small = limited(seen.gray, ENOUGH_PIXELS * recipe.hash_side)
    return Fingerprint(
        path, seen.size, picture_hashes(small, recipe.hash_side), NO_POINTS, NO_POINTS[:, 0], NO_POINTS[:, 1],
        NO_DESCRIPTORS, seen.bars, recipe.srgb, thumbnail(small), is_bare=True,
        is_flat=int(seen.gray.max()) - int(seen.gray.min()) <= FLAT_LEVELS, missing=seen.missing, depth=seen.depth,
    )  # fmt: skip


def described(image: Fingerprint, gray: Gray, recipe: Recipe) -> Fingerprint:
    """Return an image with the features that are found on its working image."""
    small = limited(gray, recipe.side)
    keypoints, descriptors = root_sift(small, recipe.features, recipe.contrast, recipe.sigma)
    to_full = resize_matrix(frame_size(small), image.size)
    positions = np.array([k.pt for k in keypoints], np.float64).reshape(-1, 2)
    radii = np.array([k.size for k in keypoints]) * np.sqrt(to_full[0, 0] * to_full[1, 1])
    angles = np.radians([k.angle for k in keypoints])
    return replace(
        image, points=transform_points(to_full, positions).astype(np.float32), radii=radii.astype(np.float32),
        angles=angles.astype(np.float32), descriptors=descriptors, is_bare=False,
    )  # fmt: skip


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


def mirrored(image: Fingerprint) -> Fingerprint:
    """Return what would be remembered of the image flipped left to right; its hashes are not known."""
    points = np.stack([image.size[0] - 1 - image.points[:, 0], image.points[:, 1]], axis=1)
    angles = np.float32(np.pi) - image.angles
    return replace(image, hashes=(), points=points, angles=angles, descriptors=image.descriptors[:, MIRRORED_BINS])


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
def precise_picture(image: Fingerprint) -> Iterator[WorkingImage]:
    """Yield the whole of an image as float32 gray; see `picture`."""
    with picture(image, more=4) as pixels:
        unit = np.float32(255 / np.iinfo(pixels.dtype).max)
        gray = np.empty(pixels.shape[:2], np.float32)
        for top in range(0, len(gray), BAND):
            gray[top : top + BAND] = cv2.cvtColor(unit * pixels[top : top + BAND], cv2.COLOR_BGR2GRAY)
        yield WorkingImage(gray, image.size)


def limited(pixels: Pixels, side: int) -> Pixels:
    """Return `pixels`, shrunk so that their shorter side is at most `side`, and the other MAX_ASPECT times that."""
    width, height = frame_size(pixels)
    ratio = min(side / min(width, height), MAX_ASPECT * side / max(width, height))
    return shrink(pixels, (max(1, round(width * ratio)), max(1, round(height * ratio)))) if ratio < 1 else pixels


def _working(pixels: Pixels | Gray, profile: bytes | None) -> Gray:
    """Return the working image of a picture: gray (h, w), or colours (h, w, 3) that are to be converted to sRGB."""
    small = limited(pixels, WORKING_SIDE)
    return to_8_bit(to_gray(to_srgb(small, profile)) if profile else small)
