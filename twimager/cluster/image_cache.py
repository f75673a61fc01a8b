"""Shrunk decoded images in the cache: with them the next run need not decode the files, whatever its options."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.fingerprint.decoded_image import DecodedImage, decode_image
from twimager.fingerprint.extract import extract_features, fingerprint_without_features
from twimager.fingerprint.fingerprint import Bars, Fingerprint, Recipe
from twimager.fingerprint.records import is_sound_frame
from twimager.fingerprint.stamp import stamp
from twimager.fingerprint.working_image import (
    WORKING_SIDE,
    has_working_image,
    keep_working_image,
)
from twimager.image.decode import LIBRARY_ERRORS, complaint, decode_gray
from twimager.image.encode import encode
from twimager.image.headers import PNG_SIGNATURE, parse
from twimager.options import Format
from twimager.pairing.read import File, Reader

# A picture's size and its bars; then its decoded image as PNG.
HEADER = np.dtype([("size", "<i4", 2), ("bars", "<i4", 4)])


class _Result(NamedTuple):
    """The fingerprint of a file, or why there is none, and its decoded image, packed, if that is to be kept."""

    fingerprint: Fingerprint | Rejection
    packed: bytes | None = None


def pack(decoded: DecodedImage) -> bytes:
    """Return a decoded image as bytes."""
    return np.array((decoded.size, decoded.bars), HEADER).tobytes() + encode(decoded.gray, Format.PNG)


def unpack(packed: bytes) -> DecodedImage | None:
    """Return the decoded image of which `pack` has made these bytes; None if it has not made them."""
    if len(packed) < HEADER.itemsize or not packed.startswith(PNG_SIGNATURE, HEADER.itemsize):
        return None
    header, encoded = np.frombuffer(packed, HEADER, 1)[0], packed[HEADER.itemsize :]
    width, height = header["size"].tolist()
    bars = Bars(*header["bars"].tolist())
    try:
        found = parse(encoded)
        columns, rows = found.size or (0, 0)
        small = columns <= width and rows <= height and min(columns, rows) <= WORKING_SIDE
        if not small or not is_sound_frame((width, height), bars):
            return None
        return DecodedImage(decode_gray(encoded, found, directly=True), (width, height), bars)
    except (UnreadableImage, *LIBRARY_ERRORS):
        return None


def cached_fingerprints(reader: Reader, paths: Sequence[Path], recipe: Recipe) -> Iterator[Fingerprint | Rejection]:
    """Yield the fingerprint of each file, or why there is none; decoded images are taken from the store, or stored."""
    files = deque[File]()

    def tasks() -> Iterator[tuple[File, bytes | None]]:
        for path in paths:
            reader.seen[path] = seen = stamp(path)
            file = File(path, seen, reader.store.get(path, seen, recipe))
            files.append(file)
            yield file, None if file.known else reader.store.decoded_image(path, seen, recipe)

    task = partial(_fingerprinted, recipe=recipe, keep=reader.store.keeps)
    for result, packed in reader.progress.counted(reader.workers.map_shards(task, tasks())):
        file = files.popleft()
        if packed:
            reader.store.keep_decoded_image(file.path, file.seen, recipe, packed)
        if file.known is None and isinstance(result, Fingerprint):
            reader.store.keep(result, file.seen, recipe)
        yield result


def _fingerprinted(task: tuple[File, bytes | None], recipe: Recipe, keep: bool) -> _Result:
    file, packed = task
    if file.known:
        return _Result(file.known)
    try:
        kept = unpack(packed) if packed else None
        decoded = kept or decode_image(file.path, recipe)
        image = extract_features(fingerprint_without_features(file.path, decoded, recipe), decoded.gray, recipe)
    except UnreadableImage as error:
        return _Result(Rejection(error.reason, str(error)))
    except LIBRARY_ERRORS as error:
        return _Result(Rejection(Reason.UNREADABLE, complaint(error)))
    # What is transparent has no place in a PNG of gray; few images have any.
    return _Result(image, pack(decoded) if keep and not kept and decoded.opaque is None else None)


def restore_decoded(path: Path, packed: bytes | None, recipe: Recipe) -> None:
    """Let the working image of a file be made of its decoded image in the cache.

    Raises UnreadableImage if it is not there, and the file can't be read.
    """
    if not has_working_image(path):
        decoded = (unpack(packed) if packed else None) or decode_image(path, recipe)
        keep_working_image(path, decoded.gray)
