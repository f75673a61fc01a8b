"""The fingerprint of an image: its size, perceptual hashes, a thumbnail and RootSIFT features."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twimager.fingerprint.features import NO_FEATURES, Features, StoredFeatures
from twimager.fingerprint.mask import Mask
from twimager.fingerprint.phash import THUMBNAIL_SIDE
from twimager.fingerprint.rootsift import MIRRORED_BINS, NEGATIVE_BINS, SIGMA
from twimager.geometry import Matrix, Rect, Size, scaling, transform_points
from twimager.image.depth import FULL

HASH_SIDE = 8


class Recipe(NamedTuple):
    """How an image is fingerprinted.

    Attributes
    ----------
    side : shorter side, at most, of the copy in which features are detected
    features : how many are kept
    contrast : SIFT's threshold
    sigma : SIFT's sigma; a smaller one finds on a smaller copy what a greater one finds on a larger
    srgb : whether an image with another colour profile is converted to sRGB
    hash_side : the pHashes have hash_side x hash_side bits
    resize : no copy is larger than so many times the picture
    truncated : whether the complete rows of an image that is cut short are used
    mask : which pixels are picture, of images that it fits
    combing : whether it is measured how much of the picture is combed
    stretch : features are found in a copy that is so many times as wide, by its height, as the picture
    detail : whether it is measured how many of the pixels hold detail
    """

    side: int
    features: int
    contrast: float
    sigma: float = SIGMA
    srgb: bool = False
    hash_side: int = HASH_SIDE
    resize: float = 1.0
    truncated: bool = False
    mask: Mask | None = None
    combing: bool = False
    stretch: float = 1.0
    detail: bool = False

    @property
    def without_features(self) -> Recipe:
        """The same without features, which take most of the time."""
        return self._replace(side=0, features=0, contrast=0, sigma=0, stretch=1.0)


# Few features tell most pairs, in half the time; 120 lose one in a hundred. An LR shows a part of its HR, rarely more,
# and needs fewer pixels for the same details. Of 2,300 pairs in 13 sets as many are found but for one, and as
# precisely, as with a sigma of 1.6 and 1.25 times the pixels along a side, in two thirds of the time.
LIGHT_LR = Recipe(side=128, features=200, contrast=0.02, sigma=1.2, combing=True)
LIGHT_HR = LIGHT_LR._replace(side=160, combing=False, detail=True)
# For what is in no pair by those: small parts of a frame, smooth pictures.
RICH = Recipe(side=320, features=1000, contrast=0.01)


class Bars(NamedTuple):
    """How many lines of black there are around a picture."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


NO_BARS = Bars()
NO_THUMBNAIL = np.zeros(THUMBNAIL_SIDE**2, np.uint8)


@dataclass(frozen=True, eq=False, slots=True)
class Fingerprint:
    """What is known of one image without its pixels.

    Attributes
    ----------
    path : Path
    size : (width, height) in pixels, upright, of the picture: black bars around it are no part of it
    hashes : pHashes of the whole frame and, where that is wide or tall, of its centre square, 64 bits unless the recipe
        says otherwise
    features : None where they were not extracted; on a cluster they are in a file
    bars : what lies around the picture in the file
    srgb : whether it is converted to sRGB, whenever it is read, if it has another colour profile
    thumbnail : (THUMBNAIL_SIDE**2,) uint8, the picture's gray, shrunk to a square
    is_flat : whether its pixels are of one level, but for FLAT_LEVELS
    missing : how many rows the file lacks, which are no part of its frame
    depth : bytes that a value of the file's pixels has, at most
    mask : which pixels of the file's frame are picture, None for all
    opaque : of these, what its transparency leaves; None where it is opaque everywhere
    combing : the share, 0..1, of the picture in which alternate lines differ as in an interlaced frame, where measured
    bits : how many of a value are in use
    detail : the share, along a side, of the picture's pixels that hold detail; 1 where not measured
    """

    path: Path
    size: Size
    hashes: tuple[int, ...]
    features: Features | StoredFeatures | None = None
    bars: Bars = NO_BARS
    srgb: bool = False
    thumbnail: NDArray[np.uint8] = field(default_factory=NO_THUMBNAIL.copy)
    is_flat: bool = False
    missing: int = 0
    depth: int = 2
    mask: Mask | None = None
    combing: float = 0.0
    detail: float = 1.0
    bits: int = 16
    opaque: Mask | None = None

    @property
    def is_dim(self) -> bool:
        """Whether its values have 16 bits, not all of which are in use."""
        return self.depth > 1 and self.bits < FULL

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
    def known_features(self) -> Features:
        """The features, loaded if they are in a file; none where they were not extracted."""
        return self.features.loaded() if self.features else NO_FEATURES

    @property
    def feature_count(self) -> int:
        """How many features there are."""
        return self.features.count if self.features else 0

    @property
    def without_features(self) -> Fingerprint:
        """The same without features, which take most of the memory."""
        return replace(self, features=None) if self.features else self


def mirrored(image: Fingerprint) -> Fingerprint:
    """Return the fingerprint of the image flipped left to right, without its hashes, which are not known."""
    features = image.known_features
    points = np.stack([image.size[0] - 1 - features.points[:, 0], features.points[:, 1]], axis=1)
    angles, descriptors = np.float32(np.pi) - features.angles, features.descriptors[:, MIRRORED_BINS]
    return replace(image, hashes=(), features=Features(points, features.radii, angles, descriptors))


def negative(image: Fingerprint) -> Fingerprint:
    """Return the fingerprint of the image's negative, without its hashes, which are not known."""
    features = image.known_features
    angles, descriptors = features.angles + np.float32(np.pi), features.descriptors[:, NEGATIVE_BINS]
    return replace(image, hashes=(), features=Features(features.points, features.radii, angles, descriptors))


def stretched(image: Fingerprint, stretch: float) -> Fingerprint:
    """Return an image whose features were found in a copy so many times as wide, by its height, as seen in that copy.

    The copy's area is the image's.
    """
    features, to_copy = image.known_features, stretching(stretch)
    points = transform_points(to_copy, features.points.astype(np.float64)).astype(np.float32)
    return replace(image, features=replace(features, points=points))


def stretching(stretch: float) -> Matrix:
    """Return the matrix, (3, 3), to a copy of the same area that is so many times as wide by its height."""
    return scaling(stretch**0.5, stretch**-0.5)
