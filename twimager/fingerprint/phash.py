"""What a picture is like as a whole: perceptual hashes (pHash) of 64 bits or more, and a thumbnail."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twimager.image.pixels import Gray, shrink

# From this ratio of the sides on, the centre square shows another picture than the whole frame.
WIDE = 1.2
# The pHash is made of so many times more pixels along a side than it has bits: 32. Pillow is slow to shrink a picture
# to that; from a copy of twice as many, 0.3 of the 64 bits are others than from the whole picture, four at most.
HASHED_FROM = 4
ENOUGH_PIXELS = 2 * HASHED_FROM
# Thumbnails of this side tell frames of one scene apart: of the right one and up to 45 others the right one was among
# the first four in one clip, and among the first eight for 0.93 in one of 176 x 144 pixels; with half the side 0.80.
THUMBNAIL_SIDE = 32


def perceptual_hash(gray: Gray, side: int) -> int:
    """Return the pHash as one integer, its first bit the highest.

    To the bit that of imagehash, whose cosine transform is SciPy's: to import that takes a fifth of a second.

    Parameters
    ----------
    gray : (h, w) uint8
    side : the hash has side x side bits
    """
    return int.from_bytes(np.packbits(hash_waves(gray, side) > 0).tobytes(), "big")


def hash_waves(gray: Gray, side: int) -> NDArray[np.float64]:
    """Return what the bits of a pHash are the signs of, (side, side): the longest waves' amplitudes less their median.

    Those of white noise have the standard deviation of a pixel of the copy that they are of, of (HASHED_FROM * side)**2
    pixels.

    Parameters
    ----------
    gray : (h, w) uint8
    side : the hash has side x side bits
    """
    small = Image.fromarray(gray).resize((HASHED_FROM * side,) * 2, Image.Resampling.LANCZOS)
    waves = cv2.dct(np.asarray(small, np.float64))
    # OpenCV's transform is orthonormal, which shrinks what does not vary along an axis.
    waves[0] *= np.sqrt(2)
    waves[:, 0] *= np.sqrt(2)
    low = waves[:side, :side]
    return np.asarray(low - np.median(low), np.float64)


def picture_hashes(gray: Gray, hash_side: int) -> tuple[int, ...]:
    """Return the pHashes of the whole frame and, where that is wide or tall, of its centre square.

    Parameters
    ----------
    gray : (h, w) uint8
    hash_side : a hash has hash_side x hash_side bits
    """
    height, width = gray.shape
    hashes = [perceptual_hash(gray, hash_side)]
    if max(width, height) >= WIDE * min(width, height):
        side = min(width, height)
        x, y = (width - side) // 2, (height - side) // 2
        hashes.append(perceptual_hash(gray[y : y + side, x : x + side], hash_side))
    return tuple(hashes)


def thumbnail(gray: Gray) -> NDArray[np.uint8]:
    """Return the whole of a frame, (h, w) uint8, as THUMBNAIL_SIDE x THUMBNAIL_SIDE pixels in one row."""
    return shrink(gray, (THUMBNAIL_SIDE, THUMBNAIL_SIDE)).ravel()
