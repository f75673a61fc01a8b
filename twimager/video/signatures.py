"""Signatures of all frames of a video, made in one pass: what finding a frame in another video needs, and no pixels."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twimager.fingerprint.letterbox import picture_area
from twimager.fingerprint.phash import HASHED_FROM, THUMBNAIL_SIDE
from twimager.image.pixels import Pixels, shrink
from twimager.video.container import TimedFrame, frames, luma, sample_bits
from twimager.video.fields import COMBED, kept_field

HASH_SIDE = 8
# Frames are halved while both sides are at least twice this: a tenth of the time of averaging areas at once.
SMALL_SIDE = 2 * THUMBNAIL_SIDE
# Of an odd side that is shorter, the last pixel is not left out: it is more than a fiftieth of a thumbnail's.
LONG_SIDE = 512
# Combing and sharpness are measured on so many whole columns, or rows.
COLUMNS, ROWS = 64, 72
# A block of so many lines and columns is combed if lines are off from the mean of their two neighbours, those of the
# other field, by so much more than from that of the next ones, those of their own, and by so many levels: by noise they
# are by as much, and where nothing moves by less. Of the frames of two films of fields that `comb_share` finds combed,
# 0.8 and 0.5 have 0.05 of such blocks, of a progressive film none.
BLOCK = (12, 4)
COMBED_RATIO, COMBED_LEVELS = 1.3, 2.0
# Frames whose small copies are worked on at once, which takes a quarter of the time of one by one; black bars are those
# that all of them have.
BATCH = 128
# Raised whenever signatures are made in another way: kept ones are made anew.
VERSION = 3

# What is kept of a frame besides its thumbnail: 42 bytes, and 1,024 of that.
RECORD = np.dtype([
    ("seconds", np.float64), ("pts", np.int64), ("hashes", np.uint64), ("sharpness", np.float32),
    ("combing", np.float32), ("brightness", np.float32), ("difference", np.float32), ("interlaced", np.bool_),
    ("damaged", np.bool_),
])  # fmt: skip
# How the file of the thumbnails ends, which is beside that of the records.
THUMBNAILS = ".thumbnails"

Gray8 = NDArray[np.uint8]


class Thumbnails(Protocol):
    """Thumbnails of all frames of a video, (n, 32, 32) uint8, of which some are asked for at a time."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, chosen: Any, /) -> Gray8:
        """Return those of some frames, by a slice or their numbers."""


@dataclass(frozen=True)
class ThumbnailFile:
    """Thumbnails in a file, in memory only while some are looked at: those of an hour have 90 MB."""

    path: Path
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, chosen: Any, /) -> Gray8:
        return np.array(np.memmap(self.path, np.uint8, "r", shape=(self.count, THUMBNAIL_SIDE, THUMBNAIL_SIDE))[chosen])


class _Frame(NamedTuple):
    """What is measured on a frame at full size, and its copy of 64 x 64 pixels."""

    seconds: float
    pts: int
    sharpness: float
    combing: float
    interlaced: bool
    damaged: bool
    small: Gray8


@dataclass(frozen=True)
class Signatures:
    """What is known of all n frames of a video, in the order in which they are shown.

    Attributes
    ----------
    size : (width, height) of the first frame, in storage pixels
    records : (n,) of RECORD; its fields are the properties
    thumbnails : the luma of the whole frames, bars included
    """

    size: tuple[int, int]
    records: NDArray[Any]
    thumbnails: Thumbnails

    def __len__(self) -> int:
        return len(self.records)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(n,), when a frame is shown, always rising (see `TimedFrame`)."""
        return self.records["seconds"]

    @property
    def period(self) -> float:
        """Seconds from one frame to the next, in the mean, gaps left out."""
        steps = np.diff(self.seconds)
        return float(steps[steps < 1.5 * np.median(steps)].mean()) if len(steps) else 1.0

    @property
    def pts(self) -> NDArray[np.int64]:
        """(n,), the presentation timestamps of the file, by which frames are decoded."""
        return self.records["pts"]

    @property
    def is_joined(self) -> bool:
        """Whether timestamps begin anew, as where recordings were joined: one pts may be that of several frames."""
        return bool((np.diff(self.pts) <= 0).any())

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """(n,), the pHash of 64 bits of the picture without black bars."""
        return self.records["hashes"]

    @property
    def sharpness(self) -> NDArray[np.float32]:
        """(n,), the mean squared step between horizontal neighbours, in levels squared, at full size."""
        return self.records["sharpness"]

    @property
    def combing(self) -> NDArray[np.float32]:
        """(n,), the share, 0..1, of the frame whose neighbouring lines are of different moments."""
        return self.records["combing"]

    @property
    def brightness(self) -> NDArray[np.float32]:
        """(n,), the mean luma, 0..255; a black frame has 16 in limited range."""
        return self.records["brightness"]

    @property
    def difference(self) -> NDArray[np.float32]:
        """(n,), the mean absolute difference of the luma, at 64 x 64, to the previous frame; 0 for the first."""
        return self.records["difference"]

    @property
    def interlaced(self) -> NDArray[np.bool_]:
        """(n,), whether a frame is flagged as interlaced."""
        return self.records["interlaced"]

    @property
    def damaged(self) -> NDArray[np.bool_]:
        """(n,), whether the decoder found a frame to be damaged."""
        return self.records["damaged"]

    @classmethod
    def load(cls, place: Path) -> Signatures | None:
        """Return what `make_signatures` has written; None if that was made in another way."""
        with np.load(place, allow_pickle=False) as kept:
            if kept["version"] != VERSION:
                return None
            width, height = map(int, kept["size"])
            records = np.asarray(kept["records"], RECORD)
            thumbnails = ThumbnailFile(place.with_suffix(THUMBNAILS), len(records))
            thumbnails[:1]  # raises what is raised if it is not there, or not whole
            return cls((width, height), records, thumbnails)


def make_signatures(
    path: Path, place: Path, warn: Callable[[str], None], progress: Callable[[float], None]
) -> Signatures:
    """Return the signatures of all frames of a video, which is decoded once; they are kept in files.

    Parameters
    ----------
    path : of the video
    place : of the file of records, .npz; that of the thumbnails is beside it, and there first
    warn : takes a line on what is damaged
    progress : takes the seconds of film that are done, now and then

    Raises
    ------
    UnreadableVideo
        If it can't be opened, or none of its frames can be decoded.
    OSError
        If a file can't be written.
    """
    # Grows in place, unlike arrays, and becomes one without a copy.
    kept = bytearray()
    size, batch, before, field = (0, 0), list[_Frame](), None, None
    thumbnails, partial = place.with_suffix(THUMBNAILS), place.with_suffix(".part")
    with thumbnails.open("wb") as file:
        for timed in frames(path, warn):
            size = size if any(size) else (timed.frame.width, timed.frame.height)
            measured = _measured(timed, field)
            if field is None and measured.combing > COMBED and timed.frame.interlaced_frame:
                field = kept_field(timed.frame)
                measured = _measured(timed, field)
            batch.append(measured)
            if len(batch) == BATCH:
                progress(timed.seconds)
                kept += _records(batch, before).tobytes()
                file.write(_thumbnails(batch))
                batch, before = [], batch[-1].small
        if batch:
            kept += _records(batch, before).tobytes()
            file.write(_thumbnails(batch))
    records = np.frombuffer(kept, RECORD)
    with partial.open("wb") as file:
        np.savez(file, version=VERSION, size=size, records=records)
    os.replace(partial, place)
    return Signatures(size, records, ThumbnailFile(thumbnails, len(records)))


def _measured(timed: TimedFrame, field: int | None) -> _Frame:
    """Return what has to be measured while a frame's pixels are there.

    Parameters
    ----------
    field : the first line of the field whose moment a frame is of, where it has two: once one is combed
    """
    full = luma(timed.frame)
    to_levels = 1.0 if full.dtype == np.uint8 else 2.0 ** (8 - sample_bits(timed.frame))
    shown = full if field is None else _of_field(full, field)
    small = np.rot90(_small(shown), int(getattr(timed.frame, "rotation", 0)) // 90)
    return _Frame(
        timed.seconds,
        timed.pts,
        _sharpness(full) * to_levels**2,
        _combing(full, to_levels),
        timed.frame.interlaced_frame,
        timed.frame.is_corrupt,
        small if small.dtype == np.uint8 else cv2.convertScaleAbs(small, alpha=to_levels),
    )


def _of_field(full: Pixels, field: int) -> Pixels:
    """Return a frame, (h, w), with means of a field's lines between these."""
    bobbed, kept = full.copy(), full[field::2]
    between = bobbed[field + 1 :: 2]
    between[:] = cv2.addWeighted(kept, 0.5, np.concatenate([kept[1:], kept[-1:]]), 0.5, 0)[: len(between)]
    return bobbed


def _records(batch: list[_Frame], before: Gray8 | None) -> NDArray[Any]:
    """Return what is kept of frames that follow one another, (n,) of RECORD.

    Parameters
    ----------
    before : the small copy of the frame before them
    """
    small = np.stack([one.small for one in batch])
    records = np.zeros(len(batch), RECORD)
    for field in ("seconds", "pts", "sharpness", "combing", "interlaced", "damaged"):
        records[field] = [getattr(one, field) for one in batch]
    records["hashes"] = _hashes(small)
    records["brightness"] = small.mean(axis=(1, 2))
    previous = np.concatenate([small[:1] if before is None else before[None], small[:-1]])
    records["difference"] = cv2.absdiff(small, previous).mean(axis=(1, 2))
    return records


def _thumbnails(batch: list[_Frame]) -> bytes:
    """Return the thumbnails of frames, as a file holds them."""
    quarters = np.stack([one.small for one in batch]).reshape(-1, THUMBNAIL_SIDE, 2, THUMBNAIL_SIDE, 2)
    return np.asarray((quarters.sum(axis=(2, 4), dtype=np.uint16) + 2) // 4, np.uint8).tobytes()


def _hashes(small: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the pHashes of small copies, (n, 64, 64), without the bars that all of them have.

    The waves are those of `perceptual_hash`, but for roundings: shrinking and the transform are one matrix a side.
    """
    area = picture_area(small.max(axis=0))
    picture = small[:, area.y : area.y + area.height, area.x : area.x + area.width].astype(np.float32)
    waves = _to_waves(area.height) @ picture @ _to_waves(area.width).T
    bits = waves > np.median(waves, axis=(1, 2), keepdims=True)
    return np.packbits(bits.reshape(len(small), -1), axis=1).view(">u8")[:, 0].astype(np.uint64)


@lru_cache(maxsize=16)
def _to_waves(length: int) -> NDArray[np.float32]:
    """Return the matrix, (8, length), from pixels to the amplitudes of a pHash along one axis."""
    side = HASHED_FROM * HASH_SIDE
    unit = Image.fromarray(np.eye(length, dtype=np.float32))
    shrinking = np.asarray(unit.resize((length, side), Image.Resampling.LANCZOS))
    waves = cv2.dct(np.eye(side, dtype=np.float32), flags=cv2.DCT_ROWS).T[:HASH_SIDE].copy()
    # OpenCV's transform is orthonormal, which shrinks what does not vary.
    waves[0] *= np.sqrt(2)
    return np.asarray(waves @ shrinking, np.float32)


def _small(full: Pixels) -> Pixels:
    """Return the whole of a frame, (h, w), as SMALL_SIDE x SMALL_SIDE pixels, of the same type."""
    while min(full.shape) >= 2 * SMALL_SIDE:
        height, width = full.shape
        if any(side % 2 and side < LONG_SIDE for side in full.shape):
            break
        full = shrink(full[: height & ~1, : width & ~1], (width // 2, height // 2))
    return shrink(full, (SMALL_SIDE, SMALL_SIDE))


def _sharpness(full: Pixels) -> float:
    rows = full[:: max(1, len(full) // ROWS)]
    if rows.shape[1] < 2:
        return 0.0
    return float(cv2.norm(rows[:, 1:], rows[:, :-1], cv2.NORM_L2SQR) / (rows.shape[0] * (rows.shape[1] - 1)))


def _combing(full: Pixels, to_levels: float) -> float:
    """Return the share of blocks in which lines are off from those of the other field by more than from their own."""
    height, width = full.shape
    columns = np.ascontiguousarray(full[:, :: max(1, width // COLUMNS)])
    if height < 2 * BLOCK[0]:
        return 0.0
    size = (max(1, columns.shape[1] // BLOCK[1]), height // BLOCK[0])
    lines = columns[2:-2]
    means = (cv2.addWeighted(columns[2 - k : -2 - k], 0.5, columns[2 + k :][: len(lines)], 0.5, 0) for k in (1, 2))
    other, own = (shrink(cv2.absdiff(mean, lines), size).astype(np.float32) * to_levels for mean in means)
    return float((other > COMBED_RATIO * own + COMBED_LEVELS).mean())
