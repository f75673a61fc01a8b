"""What is remembered of one image: its size, perceptual hashes and RootSIFT features."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twimager.geometry import Points, Size, resize_matrix, transform_points
from twimager.images import Gray, Pixels, frame_size, read_image, shrink, to_8_bit

# Shorter side of the copy that is hashed and searched for features.
WORKING_SIDE = 320
# How many features are kept, and SIFT's contrast threshold: 500 at 0.04 leave an error on exact 4x shrinks that is
# half as large again (0.031 to 0.021 LR pixels) and lose one pair in a hundred.
MAX_FEATURES = 1500
MIN_CONTRAST = 0.02
# RootSIFT values lie in 0..1 and rarely above 0.5: 512 uses the range of a byte as SIFT itself does.
DESCRIPTOR_SCALE = 512
# From this ratio of the sides on, the centre square shows another picture than the whole frame.
WIDE = 1.2
HASH_SIDE = 8
# What is kept of working copies, at most: some 900 of them.
RECENT_BYTES = 128 * 1024 * 1024


class _Recent:
    """The working copies used last, bounded by their bytes; shared by the threads of this process."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._copies: OrderedDict[Path, Gray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path) -> Gray | None:
        with self._lock:
            if path in self._copies:
                self._copies.move_to_end(path)
            return self._copies.get(path)

    def keep(self, path: Path, gray: Gray) -> None:
        with self._lock:
            self._forget(path)
            self._copies[path] = gray
            self._bytes += gray.nbytes
            while self._bytes > self._limit:
                self._forget(next(iter(self._copies)))

    def _forget(self, path: Path) -> None:
        if (gray := self._copies.pop(path, None)) is not None:
            self._bytes -= gray.nbytes


_recent = _Recent(RECENT_BYTES)


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """One image, remembered.

    Attributes
    ----------
    path : Path
    size : (width, height) in pixels, upright
    hashes : 64-bit pHashes, of the whole frame and, where that is wide or tall, of its centre square
    points : (n, 2) feature positions in pixels of the full-size image
    radii : (n,) feature sizes in the same pixels
    descriptors : (n, 128) uint8 RootSIFT
    """

    path: Path
    size: Size
    hashes: tuple[int, ...]
    points: Points
    radii: NDArray[np.float64]
    descriptors: NDArray[np.uint8]


def fingerprint(path: Path) -> Fingerprint:
    """Read an image file once and return what is remembered of it; raises UnreadableImage."""
    pixels = read_image(path)
    gray = _shrunk(pixels)
    _recent.keep(path, gray)
    size, small = frame_size(pixels), frame_size(gray)
    keypoints, descriptors = _features(gray)
    to_full = resize_matrix(small, size)
    positions = np.array([k.pt for k in keypoints], np.float64).reshape(-1, 2)
    radii = np.array([k.size for k in keypoints], np.float64) * np.sqrt(to_full[0, 0] * to_full[1, 1])
    return Fingerprint(path, size, _hashes(gray), transform_points(to_full, positions), radii, descriptors)


def working_copy(path: Path) -> Gray:
    """Return the 8-bit gray copy of an image that is hashed, matched and verified: shorter side WORKING_SIDE or less.

    The most recent copies are remembered, so that most files need not be read again; raises UnreadableImage.
    """
    gray = _recent.get(path)
    if gray is None:
        gray = _shrunk(read_image(path))
        _recent.keep(path, gray)
    return gray


def _shrunk(pixels: Pixels) -> Gray:
    width, height = frame_size(pixels)
    ratio = WORKING_SIDE / min(width, height)
    if ratio < 1:
        pixels = shrink(pixels, (max(1, round(width * ratio)), max(1, round(height * ratio))))
    return np.asarray(cv2.cvtColor(to_8_bit(pixels), cv2.COLOR_BGR2GRAY))


def perceptual_hash(gray: Gray, side: int) -> int:
    """Return the pHash of side x side bits as one integer."""
    bits = imagehash.phash(Image.fromarray(gray), hash_size=side).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _hashes(gray: Gray) -> tuple[int, ...]:
    height, width = gray.shape
    hashes = [perceptual_hash(gray, HASH_SIDE)]
    if max(width, height) >= WIDE * min(width, height):
        side = min(width, height)
        x, y = (width - side) // 2, (height - side) // 2
        hashes.append(perceptual_hash(gray[y : y + side, x : x + side], HASH_SIDE))
    return tuple(hashes)


def _features(gray: Gray) -> tuple[list[cv2.KeyPoint], NDArray[np.uint8]]:
    """Detect SIFT features (Lowe, IJCV 2004) and describe them as RootSIFT (Arandjelovic and Zisserman, CVPR 2012)."""
    # Without the precise upscale every position is off by a quarter of a pixel.
    sift = cv2.SIFT_create(MAX_FEATURES, contrastThreshold=MIN_CONTRAST, enable_precise_upscale=True)
    keypoints, described = sift.detectAndCompute(gray, None)
    if described is None:
        return [], np.empty((0, 128), np.uint8)
    root = np.sqrt(described / np.maximum(described.sum(axis=1, keepdims=True), 1))
    return list(keypoints), np.minimum(np.rint(root * DESCRIPTOR_SCALE), 255).astype(np.uint8)
