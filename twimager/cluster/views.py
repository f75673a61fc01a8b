"""Small views of images, kept so that the next run need not read the images, whatever it wants to know of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from twimager.decoded import LIBRARY_ERRORS, complaint
from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.fingerprints import Bars, Fingerprint, Recipe, View, bare_fingerprint, described, recall, recalls, view
from twimager.images import encode
from twimager.options import Format
from twimager.reading import File, Run
from twimager.store import stamp

# A picture's size and its bars; then its view as PNG.
HEAD = np.dtype([("size", "<i4", 2), ("bars", "<i4", 4)])


class Seen(NamedTuple):
    """What came of a file: its fingerprint, and its view, packed, if that is to be kept."""

    result: Fingerprint | Rejection
    packed: bytes | None = None


def pack(seen: View) -> bytes:
    """Return a view as bytes."""
    return np.array((seen.size, seen.bars), HEAD).tobytes() + encode(seen.gray, Format.PNG)


def unpack(packed: bytes) -> View:
    """Return what `pack` was given."""
    head = np.frombuffer(packed, HEAD, 1)[0]
    gray = cv2.imdecode(np.frombuffer(packed, np.uint8, offset=HEAD.itemsize), cv2.IMREAD_GRAYSCALE)
    width, height = head["size"].tolist()
    return View(np.asarray(gray), (width, height), Bars(*head["bars"].tolist()))


def remembered_by_views(run: Run, paths: Sequence[Path], recipe: Recipe) -> Iterator[Fingerprint | Rejection]:
    """Fingerprint files by their views, those that the store has and else new ones, which it is given."""
    files = deque[File]()

    def looked_up() -> Iterator[tuple[File, bytes | None]]:
        for path in paths:
            run.seen[path] = seen = stamp(path)
            file = File(path, seen, run.store.get(path, seen, recipe))
            files.append(file)
            yield file, None if file.known else run.store.view(path, seen, recipe)

    look = partial(_look, recipe=recipe, keep=run.store.keeps)
    for result, packed in run.progress.counted(run.in_order(look, looked_up())):
        file = files.popleft()
        if packed:
            run.store.keep_view(file.path, file.seen, recipe, packed)
        if file.known is None and isinstance(result, Fingerprint):
            run.store.keep(result, file.seen, recipe)
        yield result


def _look(task: tuple[File, bytes | None], recipe: Recipe, keep: bool) -> Seen:
    file, packed = task
    if file.known:
        return Seen(file.known)
    try:
        seen = unpack(packed) if packed else view(file.path, recipe)
        image = described(bare_fingerprint(file.path, seen, recipe), seen.gray, recipe)
    except UnreadableImage as error:
        return Seen(Rejection(error.reason, str(error)))
    except LIBRARY_ERRORS as error:
        return Seen(Rejection(Reason.UNREADABLE, complaint(error)))
    return Seen(image, pack(seen) if keep and not packed else None)


def call_back(path: Path, packed: bytes | None, recipe: Recipe) -> None:
    """Have working copies of an image be its view; raises UnreadableImage if it must be read for that and can't be."""
    if not recalls(path):
        recall(path, unpack(packed) if packed else view(path, recipe))
