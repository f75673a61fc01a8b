"""What earlier runs computed from images: fingerprints, decoded images and evaluations, by the files' stamps."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count, takewhile
from pathlib import Path

from twimager.fingerprint.database import Database
from twimager.fingerprint.fingerprint import Fingerprint, Recipe
from twimager.fingerprint.records import pack, unpack
from twimager.fingerprint.stamp import Stamp

EVALUATION = "evaluation"
# Bytes of an entry that holds a part of a file.
PART = 1 << 22


class Store:
    """The fingerprints and evaluations of earlier runs, for one thread; `path` and `warn` are those of a `Database`."""

    def __init__(self, path: Path | None, warn: Callable[[str], None]) -> None:
        self._database = Database(path, warn)
        # Once, not for each path: a call of the system may have to wait for other threads.
        self._absolute = partial(os.path.join, os.getcwd())
        self._stamps: dict[Path, Stamp] = {}

    @property
    def keeps(self) -> bool:
        """Whether anything is kept."""
        return self._database.keeps

    def get(self, path: Path, stamp: Stamp | None, recipe: Recipe) -> Fingerprint | None:
        """Return the fingerprint of a file with this stamp, if it is known."""
        if stamp and self.keeps:
            self._stamps[path] = stamp
        data = self._select(_fingerprint(recipe), path, stamp)
        return unpack(path, data, recipe) if data else None

    def keep(self, image: Fingerprint, stamp: Stamp | None, recipe: Recipe) -> None:
        """Keep the fingerprint of a file that had this stamp before it was read."""
        if stamp and self.keeps:
            self._insert(_fingerprint(recipe), image.path, stamp, pack(image, recipe))

    def decoded_image(self, path: Path, stamp: Stamp | None, recipe: Recipe) -> bytes | None:
        """Return the decoded image that was kept of a file with this stamp, packed."""
        return self._select(_decoded_image(recipe), path, stamp)

    def keep_decoded_image(self, path: Path, stamp: Stamp | None, recipe: Recipe, packed: bytes) -> None:
        """Keep the decoded image of a file that had this stamp before it was read."""
        self._insert(_decoded_image(recipe), path, stamp, packed)

    def restore_file(self, kind: str, path: Path, stamp: Stamp | None, place: Path) -> bool:
        """Write what was kept of a kind for a file with this stamp to `place`; return whether there was anything."""
        if not self.keeps:
            return False
        with place.open("wb") as file:
            for part in takewhile(bool, (self._select(f"{kind} {number}", path, stamp) for number in count())):
                file.write(part or b"")
            return file.tell() > 0

    def keep_file(self, kind: str, path: Path, stamp: Stamp | None, place: Path) -> None:
        """Keep what is in `place`, in parts, as of a kind for a file that had this stamp."""
        if not self.keeps:
            return
        with place.open("rb") as file:
            for number, part in enumerate(iter(partial(file.read, PART), b"")):
                self._insert(f"{kind} {number}", path, stamp, part)
                self._database.write()  # not all of them at once, which would have to be in memory

    def evaluation(self, images: Sequence[Path], key: str) -> str | None:
        """Return the evaluation of images that have not changed, by its `pairing.evaluation.cache_key`."""
        digest = self._evaluation_digest(images, key)
        data = self._database.select(EVALUATION, digest) if digest else None
        return data.decode("utf-8", "replace") if data is not None else None

    def keep_evaluation(self, images: Sequence[Path], key: str, evaluation: str) -> None:
        """Keep an evaluation of these images."""
        if digest := self._evaluation_digest(images, key):
            self._database.insert(EVALUATION, digest, evaluation.encode())

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def _select(self, kind: str, path: Path, stamp: Stamp | None) -> bytes | None:
        return self._database.select(kind, self._key(path), repr(stamp)) if stamp else None

    def _insert(self, kind: str, path: Path, stamp: Stamp | None, value: bytes) -> None:
        if stamp:
            self._database.insert(kind, self._key(path), value, repr(stamp))

    def _key(self, path: Path) -> bytes:
        return os.fsencode(self._absolute(path))

    def _evaluation_digest(self, images: Sequence[Path], key: str) -> bytes | None:
        """Return a digest of images and a key; None where the stamp of an image is not known, or nothing is kept."""
        if not self.keeps or not all(path in self._stamps for path in images):
            return None
        files = [(self._key(path), *self._stamps[path]) for path in images]
        return hashlib.sha256(repr((files, key)).encode()).digest()


def _fingerprint(recipe: Recipe) -> str:
    return f"fingerprint {tuple(recipe)}"


def _decoded_image(recipe: Recipe) -> str:
    return f"decoded image {recipe.srgb} {recipe.resize}"
