"""Small views of images, kept so that the next run need not read the images, whatever it wants to know of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.fingerprint.extract import extract_features, fingerprint_without_features
from twimager.fingerprint.fingerprint import Bars, Fingerprint, Recipe
from twimager.fingerprint.records import is_sound_frame
from twimager.fingerprint.stamp import stamp
from twimager.fingerprint.working_image import (
    WORKING_SIDE,
    DecodedImage,
    decode_image,
    has_working_image,
    keep_working_image,
)
from twimager.image.decode import LIBRARY_ERRORS, complaint, decode_gray
from twimager.image.encode import encode
from twimager.image.headers import PNG_SIGNATURE, parse
from twimager.options import Format
from twimager.pairing.read import File, Run

# A picture's size and its bars; then its view as PNG.
HEAD = np.dtype([("size", "<i4", 2), ("bars", "<i4", 4)])


class Seen(NamedTuple):
    """What came of a file: its fingerprint, and its view, packed, if that is to be kept."""

    result: Fingerprint | Rejection
    packed: bytes | None = None


def pack(seen: DecodedImage) -> bytes:
    """Return a view as bytes."""
    return np.array((seen.size, seen.bars), HEAD).tobytes() + encode(seen.gray, Format.PNG)


def unpack(packed: bytes) -> DecodedImage | None:
    """Return what `pack` was given; None if this is nothing that it makes."""
    if len(packed) < HEAD.itemsize or not packed.startswith(PNG_SIGNATURE, HEAD.itemsize):
        return None
    head, encoded = np.frombuffer(packed, HEAD, 1)[0], packed[HEAD.itemsize :]
    width, height = head["size"].tolist()
    bars = Bars(*head["bars"].tolist())
    try:
        found = parse(encoded)
        columns, rows = found.size or (0, 0)
        small = columns <= width and rows <= height and min(columns, rows) <= WORKING_SIDE
        if not small or not is_sound_frame((width, height), bars):
            return None
        return DecodedImage(decode_gray(encoded, found, directly=True), (width, height), bars)
    except (UnreadableImage, *LIBRARY_ERRORS):
        return None


def remembered_by_views(run: Run, paths: Sequence[Path], recipe: Recipe) -> Iterator[Fingerprint | Rejection]:
    """Fingerprint files by their views, those that the store has and else new ones, which it is given."""
    files = deque[File]()

    def looked_up() -> Iterator[tuple[File, bytes | None]]:
        for path in paths:
            run.seen[path] = seen = stamp(path)
            file = File(path, seen, run.store.get(path, seen, recipe))
            files.append(file)
            yield file, None if file.known else run.store.decoded_image(path, seen, recipe)

    look = partial(_look, recipe=recipe, keep=run.store.keeps)
    for result, packed in run.progress.counted(run.in_order(look, looked_up())):
        file = files.popleft()
        if packed:
            run.store.keep_decoded_image(file.path, file.seen, recipe, packed)
        if file.known is None and isinstance(result, Fingerprint):
            run.store.keep(result, file.seen, recipe)
        yield result


def _look(task: tuple[File, bytes | None], recipe: Recipe, keep: bool) -> Seen:
    file, packed = task
    if file.known:
        return Seen(file.known)
    try:
        kept = unpack(packed) if packed else None
        seen = kept or decode_image(file.path, recipe)
        image = extract_features(fingerprint_without_features(file.path, seen, recipe), seen.gray, recipe)
    except UnreadableImage as error:
        return Seen(Rejection(error.reason, str(error)))
    except LIBRARY_ERRORS as error:
        return Seen(Rejection(Reason.UNREADABLE, complaint(error)))
    return Seen(image, pack(seen) if keep and not kept else None)


def call_back(path: Path, packed: bytes | None, recipe: Recipe) -> None:
    """Have working images of an image be its view; raises UnreadableImage if it must be read for that and can't be."""
    if not has_working_image(path):
        keep_working_image(path, (unpack(packed) if packed else None) or decode_image(path, recipe))
