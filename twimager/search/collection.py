"""The images of a folder by their fingerprints: which of them may show a query."""

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

# Bits in which the 64-bit hashes of a query and a candidate may differ, as in the main job.
DISTANCE = 12


class Collection:
    """An index of images; those of equal fingerprints are indexed once."""

    def __init__(self, images: Iterable[Fingerprint], threads: int, queries: int | None = None) -> None:
        """Index the images; `queries` is how many there will be, where that is known."""
        self._equal: dict[tuple[object, ...], list[Fingerprint]] = defaultdict(list)
        for image in images:
            self._equal[_key(image)].append(image)
        self._first = [equal[0] for equal in self._equal.values()]
        # Each query is looked up twice, for its mirror image too.
        self._votes = FeatureIndex(self._first, threads, queries and 2 * queries)

    def propose(self, query: Fingerprint, most: int) -> list[Proposal]:
        """Return candidates: by features, then by hash, the most similar of each first."""
        named = {p.key: p for p in self._voted(query, most, False)}
        # Where features do not tell, these are aligned by their frames.
        named |= {p.key: p for p in by_hash.propose([query], self._first, DISTANCE)[0][0]}
        return self._of_others(named.values(), query)

    def propose_mirrored(self, query: Fingerprint, most: int) -> list[Proposal]:
        """Return candidates whose mirror image may show the query, by features."""
        return self._of_others(self._voted(query, most, True), query)

    def _of_others(self, proposals: Iterable[Proposal], query: Fingerprint) -> list[Proposal]:
        return [p._replace(hr=others[0]) for p in proposals if (others := self.same_fingerprint(p.hr, query))]

    def _voted(self, query: Fingerprint, most: int, mirror: bool) -> list[Proposal]:
        return next(self._votes.propose([query], mirror=mirror, wide=True, limit=most))

    def same_fingerprint(self, image: Fingerprint, query: Fingerprint) -> list[Fingerprint]:
        """Return all images with the fingerprint of this one, but for the query's own file."""
        return [one for one in self._equal[_key(image)] if not _is_same_file(one.path, query.path)]


def _key(image: Fingerprint) -> tuple[object, ...]:
    """Return the part of a fingerprint that is equal for images of the same pixels, and for hardly any others."""
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
