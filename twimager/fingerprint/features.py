"""RootSIFT features of an image: in memory, or as records in a file that remote workers share."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twimager.errors import TwimagerError

# A feature in a file, little-endian: position, size, direction, descriptor.
RECORD = np.dtype([("point", "<f4", 2), ("radius", "<f4"), ("angle", "<f4"), ("descriptor", "u1", 128)])
# Images whose features a process keeps that has loaded them: those of an LR and of its HRs, some of which are its
# neighbours', too.
KEPT = 32


@dataclass(frozen=True, eq=False)
class Features:
    """RootSIFT features of an image, the strongest first.

    Attributes
    ----------
    points : (n, 2) positions in pixels of the full-size image
    radii : (n,) sizes in the same pixels
    angles : (n,) orientations in radians, clockwise from the right
    descriptors : (n, 128) uint8
    """

    points: NDArray[np.float32]
    radii: NDArray[np.float32]
    angles: NDArray[np.float32]
    descriptors: NDArray[np.uint8]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.descriptors)

    @property
    def checksum(self) -> int:
        """The CRC-32 of the positions, which tells them from those by another recipe."""
        return zlib.crc32(self.points.tobytes())

    def loaded(self) -> Features:
        """Return these features."""
        return self

    def descriptor(self, number: int) -> NDArray[np.uint8]:
        """Return one descriptor, (128,)."""
        found: NDArray[np.uint8] = self.descriptors[number]
        return found


NO_FEATURES = Features(
    np.empty((0, 2), np.float32), np.empty(0, np.float32), np.empty(0, np.float32), np.empty((0, 128), np.uint8)
)


@dataclass(frozen=True, slots=True)
class StoredFeatures:
    """Where the features of an image are.

    Attributes
    ----------
    file : holds records
    first : the number of the first record
    count, checksum : those of the features
    """

    file: Path
    first: int
    count: int
    checksum: int

    def loaded(self) -> Features:
        """Return the features; raises TwimagerError if they can't be read."""
        return _loaded(self)

    def descriptor(self, number: int) -> NDArray[np.uint8]:
        """Return one descriptor, (128,), without loading the others."""
        found: NDArray[np.uint8] = np.frombuffer(_records(self.file, self.first + number, 1), RECORD)["descriptor"][0]
        return found


def pack(features: Features) -> bytes:
    """Return features as records."""
    records = np.empty(features.count, RECORD)
    records["point"], records["radius"], records["angle"] = features.points, features.radii, features.angles
    records["descriptor"] = features.descriptors
    return records.tobytes()


def unpack(data: bytes, offset: int = 0) -> Features:
    """Return the features whose records begin at a byte of `data`."""
    records = np.frombuffer(data, RECORD, offset=offset)
    return Features(*(np.ascontiguousarray(records[name]) for name in ("point", "radius", "angle", "descriptor")))


@lru_cache(KEPT)
def _loaded(stored: StoredFeatures) -> Features:
    features = unpack(_records(stored.file, stored.first, stored.count))
    if features.checksum != stored.checksum:
        raise TwimagerError(f"{stored.file} is damaged")
    return features


def _records(file: Path, first: int, count: int) -> bytes:
    """Return records of a file, which is opened anew, so that what another machine has added is seen."""
    try:
        with file.open("rb", buffering=0) as opened:
            opened.seek(first * RECORD.itemsize)
            data = opened.read(count * RECORD.itemsize)
    except OSError as error:
        raise TwimagerError(f"cannot read {file}: {error.strerror}") from error
    if len(data) < count * RECORD.itemsize:
        raise TwimagerError(f"{file} is cut short")
    return data
