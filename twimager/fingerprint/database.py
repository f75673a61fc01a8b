"""A key-value store on disk: one SQLite file that several runs may use at once."""

from __future__ import annotations

import os
import sqlite3
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

from twimager.fingerprint.stamp import made_by
from twimager.runtime.folders import open_file

# "Twim": tells these files from other SQLite databases.
APPLICATION = 0x5477696D
# Seconds to wait for another run that is writing.
BUSY_TIMEOUT = 60.0
# Entries that are written in one go.
BATCH = 200
# Seconds that an entry waits for others at most: what a run that is killed has to do again.
DELAY = 2.0
TABLES = (
    "CREATE TABLE about (made_by TEXT NOT NULL)",
    """CREATE TABLE entries (
        kind TEXT NOT NULL, key BLOB NOT NULL, version TEXT NOT NULL, value BLOB NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (kind, key))""",
)
SELECT = "SELECT value, checksum FROM entries WHERE (kind, key, version) = (?, ?, ?)"
INSERT = "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)"
# What is raised on a file that is damaged: messages may hold what is no text.
ERRORS = (sqlite3.Error, UnicodeError)
# How messages begin about a file that is only out of reach. Other operational errors are of damaged ones.
OUT_OF_REACH = (
    "unable to open", "attempt to write a readonly", "database is locked", "database table is locked",
    "database or disk is full", "disk I/O error", "access permission denied", "locking protocol", "interrupted",
)  # fmt: skip
# How SQLite's journal ends where it names another file: the super-journal of a transaction in several files.
NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")
# Characters of an error message that are printed, at most.
MAX_MESSAGE = 200


class Database:
    """Entries of several kinds, for one thread.

    A file that is damaged, older or something else is set aside; where nothing can be kept, the run goes on without.
    `path` is the file, None keeps nothing; `warn` is called with a line on what went wrong.
    """

    def __init__(self, path: Path | None, warn: Callable[[str], None]) -> None:
        self._path, self._warn = path, warn
        self._pending: list[tuple[str, bytes, str, bytes, int]] = []
        self._written = time.monotonic()
        self._connection = self._opened() if path else None

    @property
    def keeps(self) -> bool:
        """Whether anything is kept."""
        return self._connection is not None

    def select(self, kind: str, key: bytes, version: str = "") -> bytes | None:
        """Return the value of an entry; None without one of this version, or with one that is not as it was written."""
        if not self._connection:
            return None
        try:
            value, checksum = self._connection.execute(SELECT, (kind, key, version)).fetchone() or (None, None)
        except ERRORS as error:
            self._reopen(error)
            return None
        return value if isinstance(value, bytes) and zlib.crc32(value) == checksum else None

    def insert(self, kind: str, key: bytes, value: bytes, version: str = "") -> None:
        """Enter a value, instead of one of another version."""
        if not self._connection:
            return
        self._pending.append((kind, key, version, value, zlib.crc32(value)))
        if len(self._pending) >= BATCH or time.monotonic() - self._written > DELAY:
            self.write()

    def close(self) -> None:
        """Write what is pending; nothing is kept any more."""
        self.write()
        if self._connection:
            self._connection.close()
        self._connection = None

    def write(self) -> None:
        """Write what is pending."""
        rows, self._pending, self._written = self._pending, [], time.monotonic()
        if not self._connection or not rows:
            return
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(INSERT, rows)
        except ERRORS as error:
            self._reopen(error)

    def _reopen(self, error: Exception) -> None:
        """Go on without a file that can't be used any more."""
        assert self._connection
        self._connection.close()
        self._connection = self._replaced(error)

    def _opened(self) -> sqlite3.Connection | None:
        assert self._path
        try:
            return _connect(self._path)
        except ERRORS as error:
            return self._replaced(error)

    def _replaced(self, error: Exception) -> sqlite3.Connection | None:
        """Set a file aside that is no store, or one no more, and begin anew; give up if it is only out of reach."""
        assert self._path
        try:
            if isinstance(error, sqlite3.OperationalError) and str(error).startswith(OUT_OF_REACH):
                raise error
            aside = _set_aside(self._path)
            self._warn(f"{self._path}: {_message(error)}; set aside as {aside.name}")
            return _connect(self._path)
        except (*ERRORS, OSError) as why:
            self._warn(f"{self._path}: {_message(why)}; fingerprints are not kept")
            return None


def _message(error: Exception) -> str:
    """Return an error in words; one of these is of SQLite and text that is none."""
    return "file is damaged" if isinstance(error, UnicodeError) else str(error)[:MAX_MESSAGE]


def _connect(path: Path) -> sqlite3.Connection:
    """Open a store, a new one if there is none; one of ERRORS is raised if that can't be done."""
    maker_now = made_by()
    _drop_foreign_journal(path)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    try:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if not connection.execute("SELECT * FROM sqlite_master").fetchall():
                for table in TABLES:
                    connection.execute(table)
                connection.execute("INSERT INTO about VALUES (?)", (maker_now,))
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
        # No triggers, views or rules of others.
        made = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
        marked = connection.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
        if not marked or sorted(made, key=str) != sorted(TABLES):
            raise sqlite3.DatabaseError("not a store of fingerprints")
        maker = connection.execute("SELECT made_by FROM about").fetchone()
        if maker != (maker_now,):
            raise sqlite3.DatabaseError(f"made by {maker[0] if maker else 'nobody'}, this is {maker_now}")
    except ERRORS:
        connection.close()
        raise
    return connection


def _set_aside(path: Path) -> Path:
    """Rename a file to a name that is free, and return that."""
    for number in count(1):
        aside = path.with_name(f"{path.name}.{number}")
        if not os.path.lexists(aside):
            path.rename(aside)
            return aside
    raise AssertionError


def _drop_foreign_journal(path: Path) -> None:
    """Delete SQLite's journal of a store that was being written if it names another file.

    SQLite deletes the file that is named so. No store is ever written along with another file.
    """
    journal, foreign = path.with_name(f"{path.name}-journal"), False
    with suppress(OSError), open_file(journal, "rb", None) as file:
        file.seek(-len(NAMES_ANOTHER), os.SEEK_END)
        foreign = file.read() == NAMES_ANOTHER
    if foreign:
        journal.unlink()
