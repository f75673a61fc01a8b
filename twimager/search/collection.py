"""Images among which pictures are looked for, by what is remembered of them."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from twimager.errors import Rejection, UnreadableImage
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.fingerprint.working_image import picture
from twimager.image.files import read_bytes
from twimager.propose import by_hash
from twimager.propose.by_features import FeatureIndex
from twimager.propose.proposal import Proposal

# Bits in which the 64-bit hashes of two pictures may differ, as in the main job.
DISTANCE = 12


class Collection:
    """Images among which pictures are looked for; those that are remembered alike are looked up as one."""

    def __init__(self, images: Iterable[Fingerprint], threads: int, queries: int | None = None) -> None:
        """Take the images; `queries` is how many there will be, where that is known."""
        self._alike: dict[tuple[object, ...], list[Fingerprint]] = defaultdict(list)
        for image in images:
            self._alike[_memory(image)].append(image)
        self._first = [alike[0] for alike in self._alike.values()]
        # Each query is looked up twice, for its mirror image too.
        self._votes = FeatureIndex(self._first, threads, queries and 2 * queries)

    def propose(self, query: Fingerprint, most: int) -> list[Proposal]:
        """Return what is worth a closer look: by features, then by hash, the likest of each first."""
        named = {p.key: p for p in self._voted(query, most, False)}
        # Where features do not tell, these are aligned by their frames.
        named |= {p.key: p for p in by_hash.propose([query], self._first, DISTANCE)[0][0]}
        return self._of_others(named.values(), query)

    def propose_mirrored(self, query: Fingerprint, most: int) -> list[Proposal]:
        """Return whose mirror image is worth a closer look, by features."""
        return self._of_others(self._voted(query, most, True), query)

    def _of_others(self, proposals: Iterable[Proposal], query: Fingerprint) -> list[Proposal]:
        return [p._replace(hr=others[0]) for p in proposals if (others := self.others(p.hr, query))]

    def _voted(self, query: Fingerprint, most: int, mirror: bool) -> list[Proposal]:
        return next(self._votes.propose([query], mirror=mirror, wide=True, most=most))

    def others(self, image: Fingerprint, query: Fingerprint) -> list[Fingerprint]:
        """Return all that are remembered as this image is, but for the query's own file."""
        return [one for one in self._alike[_memory(image)] if not _is_same_file(one.path, query.path)]


def _memory(image: Fingerprint) -> tuple[object, ...]:
    """Return what is the same for images of the same pixels, and for hardly any others."""
    return image.size, image.hashes, image.bars, image.known_features.points.tobytes()


def _is_same_file(a: Path, b: Path) -> bool:
    try:
        return os.path.samefile(a, b)
    except OSError:
        return False


def same_pixels(images: Sequence[Fingerprint], unread: dict[Path, Rejection]) -> list[list[Fingerprint]]:
    """Return images in groups of the same pixels; those that can't be read go to `unread`."""
    if len(images) < 2:
        return [list(images)]
    by_bytes: dict[bytes, list[Fingerprint]] = defaultdict(list)
    by_pixels: dict[bytes, list[Fingerprint]] = defaultdict(list)
    for image in images:
        try:
            by_bytes[hashlib.sha256(read_bytes(image.path)).digest()].append(image)
        except UnreadableImage as error:
            unread[image.path] = Rejection(error.reason, str(error))
    for copies in by_bytes.values():
        try:
            with picture(copies[0]) as pixels:
                digest = hashlib.sha256(pixels.dtype.str.encode())
                for row in pixels:
                    digest.update(np.ascontiguousarray(row).data)
        except UnreadableImage as error:
            unread[copies[0].path] = Rejection(error.reason, str(error))
            continue
        by_pixels[digest.digest()] += copies
    return [sorted(copies, key=lambda image: image.path.parts) for copies in by_pixels.values()]
