"""Descriptors of frames, which correlate if they show the same: thumbnails without local brightness and contrast."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twimager.fingerprint.phash import THUMBNAIL_SIDE as SIDE
from twimager.video.signatures import Thumbnails

Descriptors = NDArray[np.float32]
# Sigma, in pixels of a thumbnail, of what brightness and contrast are local to.
LOCAL = 4.0
# Contrast below so many levels is noise or compression, and not enlarged.
NOISE = 3.0
# Frames whose detail is, in the mean, less than this share of the noise are flat: their descriptors are short.
MIN_LENGTH = 0.25
# Rows or columns of thumbnails are bars if no frame has a level above this in all but a tenth of them.
BAR = 40
# Descriptors are made of so many frames at once.
CHUNK = 2048


class Framing(NamedTuple):
    """Where an LR frame lies in an HR frame: shares of sides, hr = scale * lr + shift.

    Attributes
    ----------
    x, y : (scale, shift) along each axis
    """

    x: tuple[float, float]
    y: tuple[float, float]


class Area(NamedTuple):
    """The part of the frames of a video that is not bars, in shares of their sides."""

    left: float
    top: float
    right: float
    bottom: float


def picture_of_all(thumbnails: Thumbnails) -> Area:
    """Return the part of thumbnails outside which all of them are black."""
    starts = range(0, len(thumbnails), CHUNK)
    brightest = np.max([thumbnails[start : start + CHUNK].max(axis=0) for start in starts], axis=0)
    (top, bottom), (left, right) = (_span(np.quantile(brightest, 0.9, axis=axis)) for axis in (1, 0))
    return Area(left, top, right, bottom)


def _span(levels: NDArray[np.float64]) -> tuple[float, float]:
    seen = np.flatnonzero(levels > BAR)
    return (seen[0] / SIDE, (seen[-1] + 1) / SIDE) if len(seen) else (0.0, 1.0)


def framing_of(lr: Area, hr: Area, keep: tuple[float, float] = (1.0, 1.0)) -> Framing:
    """Return the framing that lays one picture over the other, of whose sides the LR shows the middle `keep`."""

    def along(lr_from: float, lr_to: float, hr_from: float, hr_to: float, share: float) -> tuple[float, float]:
        scale = share * (hr_to - hr_from) / (lr_to - lr_from)
        return scale, (hr_from + hr_to) / 2 - scale * (lr_from + lr_to) / 2

    return Framing(
        along(lr.left, lr.right, hr.left, hr.right, keep[0]), along(lr.top, lr.bottom, hr.top, hr.bottom, keep[1])
    )


class Describer:
    """Makes descriptors of both videos on the LR's grid, of what both show."""

    def __init__(self, lr: Area, hr: Area, framing: Framing, side: int = SIDE) -> None:
        """Describe thumbnails of `side` x `side` pixels."""
        self.lr_area, self.hr_area, self.framing, self.side = lr, hr, framing, side
        centres = (np.arange(side) + 0.5) / side
        spans = (lr.left, lr.right, hr.left, hr.right), (lr.top, lr.bottom, hr.top, hr.bottom)
        inside = []
        for (scale, shift), (lr_from, lr_to, hr_from, hr_to) in zip(framing, spans, strict=True):
            there = scale * centres + shift
            inside.append((centres > lr_from) & (centres < lr_to) & (there > hr_from) & (there < hr_to))
        self._mask = np.outer(inside[1], inside[0]).astype(np.float32)
        self._columns, self._rows = (_sampling(*axis, side) for axis in framing)

    def at(self, framing: Framing) -> Describer:
        """Return what describes in another framing."""
        return Describer(self.lr_area, self.hr_area, framing, self.side)

    def moved(self, framing: Framing) -> Describer:
        """Return what describes another part of the HR, of the same pixels of the LR."""
        other = self.at(framing)
        other._mask = self._mask
        return other

    def lr(self, thumbnails: NDArray[np.uint8]) -> Descriptors:
        """Return the descriptors of LR thumbnails, (n, side, side), as (n, side²); 0 where nothing is to be seen."""
        return self._described(thumbnails, None)

    def hr(self, thumbnails: NDArray[np.uint8]) -> Descriptors:
        """Return the descriptors of HR thumbnails, (n, side, side), as (n, side²); 0 where nothing is to be seen."""
        return self._described(thumbnails, (self._rows, self._columns))

    def _described(
        self, thumbnails: NDArray[np.uint8], sampling: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    ) -> Descriptors:
        made = np.empty((len(thumbnails), self.side**2), np.float32)
        for start in range(0, len(thumbnails), CHUNK):
            part = np.asarray(thumbnails[start : start + CHUNK], np.float32)
            if sampling:
                part = np.asarray(sampling[0] @ part @ sampling[1].T, np.float32)
            made[start : start + CHUNK] = self._normalized(part).reshape(len(part), -1)
        return made

    def _normalized(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return frames, (n, side, side), less their local mean, over their local contrast, of unit length."""
        blur = _gaussian(self.side)
        mask = self._mask
        weight = np.asarray(np.maximum(blur @ mask @ blur.T, 1e-3), np.float32)
        local = blur @ (pixels * mask) @ blur.T / weight
        detail = np.asarray((pixels - local) * mask, np.float32)
        contrast = np.asarray(blur @ detail**2 @ blur.T / weight, np.float32)
        detail = np.asarray(detail / np.sqrt(contrast + NOISE**2), np.float32)
        length = np.sqrt((detail**2).sum(axis=(1, 2), keepdims=True))
        return np.asarray(detail / np.maximum(length, MIN_LENGTH * np.sqrt(mask.sum() + 1)), np.float32)


@lru_cache(maxsize=2)
def _gaussian(side: int) -> NDArray[np.float32]:
    """Return the matrix, (side, side), that blurs along one axis."""
    steps = np.subtract.outer(np.arange(side), np.arange(side)) * (SIDE / side)
    return np.asarray(np.exp(-(steps**2) / (2 * LOCAL**2)), np.float32)


def coarse(described: Descriptors) -> Descriptors:
    """Return descriptors, (n, 1024), of a quarter as many pixels, (n, 256)."""
    half = SIDE // 2
    small = described.reshape(-1, half, 2, half, 2).sum(axis=(2, 4)).reshape(-1, half * half)
    length = np.linalg.norm(small, axis=1, keepdims=True)
    return np.asarray(small / np.maximum(length, 1), np.float32)


def _sampling(scale: float, shift: float, side: int) -> NDArray[np.float32]:
    """Return the matrix, (side, side), from HR pixels to the LR's along one axis, linear between centres."""
    there = np.clip((scale * (np.arange(side) + 0.5) / side + shift) * side - 0.5, 0, side - 1)
    return np.asarray(np.maximum(1 - np.abs(there[:, None] - np.arange(side)), 0), np.float32)
