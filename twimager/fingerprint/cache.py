"""What was found out in earlier runs, on disk: one SQLite file that several runs may use at once."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from twimager import __version__
from twimager.fingerprint.fingerprint import Bars, Fingerprint, Recipe
from twimager.fingerprint.phash import THUMBNAIL_SIDE
from twimager.geometry import Size
from twimager.runtime.folders import open_file

# "Twim": tells our files from other SQLite databases.
APPLICATION = 0x5477696D
# Seconds to wait for another run that is writing.
PATIENCE = 60.0
# Entries that are written in one go.
BATCH = 200
# Seconds that an entry waits for others at most: what a run that is killed has to do again.
DELAY = 2.0
TABLES = (
    "CREATE TABLE about (made_by TEXT NOT NULL)",
    """CREATE TABLE fingerprints (
        path BLOB NOT NULL, recipe TEXT NOT NULL,
        bytes INTEGER NOT NULL, modified INTEGER NOT NULL, image BLOB NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (path, recipe))""",
    "CREATE TABLE verdicts (key BLOB PRIMARY KEY, verdict TEXT NOT NULL, checksum INTEGER NOT NULL)",
)
# What is raised on a file that is damaged: messages may hold what is no text.
ERRORS = (sqlite3.Error, UnicodeError)
# How messages begin that say of a file only that it is out of reach. Other operational errors are of damaged ones.
OUT_OF_REACH = (
    "unable to open", "attempt to write a readonly", "database is locked", "database table is locked",
    "database or disk is full", "disk I/O error", "access permission denied", "locking protocol", "interrupted",
)  # fmt: skip
# How SQLite's journal ends where it names another file: the super-journal of a transaction in several files.
NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")
# Of what is wrong with a file, so much is said.
MAX_SAID = 200
# An image has a hash of its frame, and maybe one of its centre.
MAX_HASHES = 2
# Beyond, no format has a picture.
MAX_SIDE = 1 << 24
# What is written, by table.
ENTER = {
    "fingerprints": "INSERT OR REPLACE INTO fingerprints VALUES (?, ?, ?, ?, ?, ?)",
    "verdicts": "INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?)",
}
LOOK_UP = "SELECT image, checksum FROM fingerprints WHERE (path, recipe, bytes, modified) = (?, ?, ?, ?)"
# An image's size, its bars, its thumbnail, whether it is flat, its missing rows, its depth and how many hashes follow;
# then a feature: position, size, direction, descriptor.
HEAD = np.dtype([
    ("size", "<i4", 2), ("bars", "<i4", 4), ("miniature", "u1", THUMBNAIL_SIDE**2), ("flat", "u1"), ("missing", "<i4"),
    ("depth", "u1"), ("hashes", "<i4"),
])  # fmt: skip
FEATURE = np.dtype([("point", "<f4", 2), ("radius", "<f4"), ("angle", "<f4"), ("descriptor", "u1", 128)])


def made_by() -> str:
    """Name what decides what is remembered of an image: this very source, settings and all, and OpenCV."""
    source = hashlib.sha256()
    for module in sorted(Path(__file__).parent.parent.rglob("*.py")):
        source.update(module.read_bytes())
    return f"twimager {__version__} ({source.hexdigest()[:12]}), OpenCV {cv2.__version__}"


class Stamp(NamedTuple):
    """What shows that a file has changed: its size in bytes and its time in nanoseconds."""

    bytes: int
    modified: int


def stamp(path: Path) -> Stamp | None:
    """Return a file's stamp, or None if it can't be had; of a device the time changes with its use."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Stamp(status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


class Store:
    """The fingerprints and evaluations of earlier runs, for one thread.

    A file that is damaged, older or something else is set aside; where nothing can be kept, the run goes on without.
    `path` is the file, None keeps nothing; `warn` hears of trouble.
    """

    def __init__(self, path: Path | None, warn: Callable[[str], None]) -> None:
        self._path, self._warn = path, warn
        # Asked for once: while other threads are at work, each question to the system may have to wait for them.
        self._absolute = partial(os.path.join, os.getcwd())
        self._waiting: list[tuple[str, tuple[object, ...]]] = []
        self._seen: dict[Path, Stamp] = {}
        self._written = time.monotonic()
        self._database = self._opened() if path else None

    @property
    def keeps(self) -> bool:
        """Whether anything is kept."""
        return self._database is not None

    def get(self, path: Path, seen: Stamp | None, recipe: Recipe) -> Fingerprint | None:
        """Return what is remembered of a file with this stamp."""
        if not self._database or not seen:
            return None
        self._seen[path] = seen
        packed = self._asked(LOOK_UP, (*self._key(path, recipe), *seen))
        return _unpacked(path, packed, recipe) if isinstance(packed, bytes) else None

    def keep(self, image: Fingerprint, seen: Stamp | None, recipe: Recipe) -> None:
        """Remember a file that had this stamp before it was read."""
        if self._database and seen:
            packed = _packed(image, recipe)
            self._enter("fingerprints", (*self._key(image.path, recipe), *seen, packed, zlib.crc32(packed)))

    def view(self, path: Path, seen: Stamp | None, recipe: Recipe) -> bytes | None:
        """Return the view that was kept of a file with this stamp, packed."""
        if not seen:
            return None
        packed = self._asked(LOOK_UP, (*self._view_key(path, recipe), *seen))
        return packed if isinstance(packed, bytes) else None

    def keep_view(self, path: Path, seen: Stamp | None, recipe: Recipe, packed: bytes) -> None:
        """Remember a view of a file that had this stamp before it was read."""
        if self._database and seen:
            self._enter("fingerprints", (*self._view_key(path, recipe), *seen, packed, zlib.crc32(packed)))

    def evaluation(self, images: Sequence[Path], circumstances: str) -> str | None:
        """Return what was said of these images under the same circumstances, if none of them has changed."""
        key = self._evaluation_key(images, circumstances)
        text = self._asked("SELECT verdict, checksum FROM verdicts WHERE key = ?", (key,)) if key else None
        return text if isinstance(text, str) else None

    def keep_evaluation(self, images: Sequence[Path], circumstances: str, evaluation: str) -> None:
        """Remember what was said of these images."""
        if key := self._evaluation_key(images, circumstances):
            self._enter("verdicts", (key, evaluation, zlib.crc32(evaluation.encode())))

    def _evaluation_key(self, images: Sequence[Path], circumstances: str) -> bytes | None:
        if not self._database or not all(path in self._seen for path in images):
            return None
        files = [(os.fsencode(self._absolute(path)), *self._seen[path]) for path in images]
        return hashlib.sha256(repr((files, circumstances)).encode()).digest()

    def _key(self, path: Path, recipe: Recipe) -> tuple[bytes, str]:
        return os.fsencode(self._absolute(path)), repr(tuple(recipe))

    def _view_key(self, path: Path, recipe: Recipe) -> tuple[bytes, str]:
        """Return what views are kept under: they lie among the fingerprints, of which they are the beginning."""
        return os.fsencode(self._absolute(path)), f"view {recipe.srgb} {recipe.resize}"

    def _asked(self, query: str, values: tuple[object, ...]) -> bytes | str | None:
        """Return what a query finds, None if that is nothing, or not what its checksum is of."""
        if not self._database:
            return None
        try:
            found, checksum = self._database.execute(query, values).fetchone() or (None, None)
        except ERRORS as error:
            self._lose(error)
            return None
        data = found.encode() if isinstance(found, str) else found
        return found if isinstance(data, bytes) and zlib.crc32(data) == checksum else None

    def _enter(self, table: str, row: tuple[object, ...]) -> None:
        self._waiting.append((ENTER[table], row))
        if len(self._waiting) >= BATCH or time.monotonic() - self._written > DELAY:
            self._write()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self._write()
        if self._database:
            self._database.close()
        self._database = None

    def _write(self) -> None:
        rows, self._waiting, self._written = self._waiting, [], time.monotonic()
        if not self._database or not rows:
            return
        try:
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                for command, row in rows:
                    self._database.execute(command, row)
        except ERRORS as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        """Go on without what can't be used."""
        assert self._database
        self._database.close()
        self._database = self._replaced(error)

    def _opened(self) -> sqlite3.Connection | None:
        assert self._path
        try:
            return _open(self._path)
        except ERRORS as error:
            return self._replaced(error)

    def _replaced(self, error: Exception) -> sqlite3.Connection | None:
        """Set a file aside that is no store, or one no more, and begin anew; give up if it is only out of reach."""
        assert self._path
        try:
            if isinstance(error, sqlite3.OperationalError) and str(error).startswith(OUT_OF_REACH):
                raise error
            aside = _set_aside(self._path)
            self._warn(f"{self._path}: {_said(error)}; set aside as {aside.name}")
            return _open(self._path)
        except (*ERRORS, OSError) as why:
            self._warn(f"{self._path}: {_said(why)}; fingerprints are not kept")
            return None


def _said(error: Exception) -> str:
    """Return an error in words; one of these is of SQLite and text that is none."""
    return "file is damaged" if isinstance(error, UnicodeError) else str(error)[:MAX_SAID]


def _open(path: Path) -> sqlite3.Connection:
    """Open a store, a new one if there is none; one of ERRORS is raised if that can't be done."""
    maker_now = made_by()
    _drop_foreign_journal(path)
    database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    database.text_factory = partial(str, encoding="utf-8", errors="replace")
    try:
        with database:
            database.execute("BEGIN IMMEDIATE")
            if not database.execute("SELECT * FROM sqlite_master").fetchall():
                for table in TABLES:
                    database.execute(table)
                database.execute("INSERT INTO about VALUES (?)", (maker_now,))
                database.execute(f"PRAGMA application_id = {APPLICATION}")
        # No triggers, views or rules of others.
        made = [sql for (sql,) in database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
        marked = database.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
        if not marked or sorted(made, key=str) != sorted(TABLES):
            raise sqlite3.DatabaseError("not a store of fingerprints")
        maker = database.execute("SELECT made_by FROM about").fetchone()
        if maker != (maker_now,):
            raise sqlite3.DatabaseError(f"made by {maker[0] if maker else 'nobody'}, this is {maker_now}")
    except ERRORS:
        database.close()
        raise
    return database


def _set_aside(path: Path) -> Path:
    """Rename a file to a name that nobody has."""
    for number in count(1):
        aside = path.with_name(f"{path.name}.{number}")
        if not os.path.lexists(aside):
            path.rename(aside)
            return aside
    raise AssertionError


def _drop_foreign_journal(path: Path) -> None:
    """Delete SQLite's journal of a store that was being written if it names another file.

    SQLite deletes the file that is named so. No store of ours is written along with another file.
    """
    journal, foreign = path.with_name(f"{path.name}-journal"), False
    with suppress(OSError), open_file(journal, "rb", None) as file:
        file.seek(-len(NAMES_ANOTHER), os.SEEK_END)
        foreign = file.read() == NAMES_ANOTHER
    if foreign:
        journal.unlink()


def _hash_bytes(recipe: Recipe) -> int:
    return (recipe.hash_side**2 + 7) // 8


def _packed(image: Fingerprint, recipe: Recipe) -> bytes:
    about = image.is_flat, image.missing, image.depth
    head = np.array((image.size, image.bars, image.thumbnail, *about, len(image.hashes)), HEAD)
    features = np.empty(len(image.points), FEATURE)
    features["point"], features["radius"], features["angle"] = image.points, image.radii, image.angles
    features["descriptor"] = image.descriptors
    hashes = b"".join(value.to_bytes(_hash_bytes(recipe), "little") for value in image.hashes)
    return head.tobytes() + hashes + features.tobytes()


def _unpacked(path: Path, packed: bytes, recipe: Recipe) -> Fingerprint | None:
    """Return what `_packed` was given; None if this is nothing that it makes."""
    if len(packed) < HEAD.itemsize:
        return None
    head = np.frombuffer(packed, HEAD, 1)[0]
    length, number = _hash_bytes(recipe), int(head["hashes"])
    features_at = HEAD.itemsize + number * length
    if not 0 < number <= MAX_HASHES or len(packed) < features_at or (len(packed) - features_at) % FEATURE.itemsize:
        return None
    hashes = tuple(
        int.from_bytes(packed[at : at + length], "little") for at in range(HEAD.itemsize, features_at, length)
    )
    features = np.frombuffer(packed, FEATURE, offset=features_at)
    points, radii, angles, descriptors = (
        np.ascontiguousarray(features[name]) for name in ("point", "radius", "angle", "descriptor")
    )
    width, height = head["size"].tolist()
    image = Fingerprint(
        path, (width, height), hashes, points, radii, angles, descriptors,
        Bars(*head["bars"].tolist()), recipe.srgb, head["miniature"], not recipe.features, bool(head["flat"]),
        int(head["missing"]), int(head["depth"]),
    )  # fmt: skip
    return image if _is_sound(image, recipe) else None


def _is_sound(image: Fingerprint, recipe: Recipe) -> bool:
    """Tell whether an image may have such a fingerprint."""
    points, largest = image.points, max(image.size)
    return (
        is_sound_frame(image.size, image.bars)
        and all(value.bit_length() <= recipe.hash_side**2 for value in image.hashes)
        and len(points) <= recipe.features
        and bool(np.all((points >= -1) & (points <= image.size)))
        and bool(np.all((image.radii > 0) & (image.radii <= 2 * largest)))
        and bool(np.all(abs(image.angles) <= 2 * np.pi + 1e-3))
    )


def is_sound_frame(size: Size, bars: Bars) -> bool:
    """Tell whether a picture may have such a size and such bars around it."""
    return min(size) > 0 and min(bars) >= 0 and max(*size, *bars) <= MAX_SIDE
