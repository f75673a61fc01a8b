"""The pairs of a run, accepted or rejected, in a temporary file: a million of them would take gigabytes of memory."""

from __future__ import annotations

import io
import pickle
import sqlite3
import weakref
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from twimager.errors import Reason, TwimagerError
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.pairs import RejectedPair
from twimager.propose.proposal import Proposal
from twimager.report.records import Record, how_far

TABLES = (
    "CREATE TABLE accepted (number INTEGER PRIMARY KEY, pair BLOB)",
    # What tells proposals of an LR and an HR apart; whether the pair could not be compared, or matched for certain;
    # whether it is evaluated anew.
    """CREATE TABLE rejected (
        number INTEGER PRIMARY KEY, lr INTEGER, hr INTEGER, mirrored INTEGER, negative INTEGER, stretch REAL,
        similarity REAL, inliers INTEGER, similar INTEGER, failed INTEGER, certain INTEGER,
        reopened INTEGER DEFAULT 0, pair BLOB)""",
    "CREATE INDEX of_lr ON rejected (lr, hr)",
    "CREATE INDEX of_hr ON rejected (hr)",
    "CREATE INDEX anew ON rejected (lr) WHERE reopened",
)
COLUMNS = "lr, hr, mirrored, negative, stretch, similarity, inliers, similar, failed, certain, pair"
SAME = "(lr, hr, mirrored, negative, stretch) = (?, ?, ?, ?, ?)"
CLOSEST_FIRST = "similarity DESC, inliers DESC, number"

T = TypeVar("T")


class Stored(Sequence[T], Generic[T]):
    """Pairs of a table, read whenever they are looked at."""

    def __init__(self, numbers: Sequence[int], read: Callable[[int], T]) -> None:
        """`read` returns the pair of a number."""
        self._numbers, self._read = numbers, read

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Stored[T]: ...
    def __getitem__(self, index: int | slice) -> T | Stored[T]:
        if isinstance(index, slice):
            return Stored(self._numbers[index], self._read)
        return self._read(self._numbers[index])


class DecidedPairs:
    """What a run has accepted and rejected, for one thread; images are kept in memory, each once."""

    def __init__(self) -> None:
        self._images: list[Fingerprint] = []
        self._numbers: dict[Path, int] = {}
        self._packing = io.BytesIO()
        self._pickler = _Pickler(self._packing, self._number)
        # A file without a name, among the system's temporary ones, that SQLite deletes however the process ends. Which
        # thread closes it is left to garbage collection.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._database.close)
        for statement in ("PRAGMA journal_mode = OFF", *TABLES):
            self._execute(statement)

    def accept(self, record: Record) -> None:
        """Enter an accepted pair."""
        self._execute("INSERT INTO accepted (pair) VALUES (?)", (self._packed(record),))

    @property
    def accepted(self) -> Sequence[Record]:
        """The accepted pairs, in order."""
        return self._stored("accepted", "SELECT number FROM accepted ORDER BY number")

    def reject(self, pair: RejectedPair) -> None:
        """Enter a rejected pair; of one that was reopened, the evaluation that came closer."""
        for image in pair.proposal.images:
            self._number(image)
        key = self._key(pair.proposal)
        earlier = self._read_all(f"SELECT pair FROM rejected WHERE reopened AND {SAME} ORDER BY number DESC", *key)
        if earlier:
            pair = max(pair, earlier[0], key=how_far)
            self._execute(f"DELETE FROM rejected WHERE reopened AND {SAME}", key)
        similar, failed = pair.rejection.reason is not Reason.FEW_MATCHES, pair.rejection.reason is Reason.FAILED
        certain = bool(pair.match and pair.match.is_certain)
        values = *key, *how_far(pair), similar, failed, certain, self._packed(pair)
        self._execute(f"INSERT INTO rejected ({COLUMNS}) VALUES ({', '.join('?' * len(values))})", values)

    def reopen(self, proposal: Proposal) -> None:
        """Strike the rejections of a proposal that is evaluated anew."""
        self._execute(f"UPDATE rejected SET reopened = 1 WHERE {SAME}", self._key(proposal))

    def forget_reopened(self) -> None:
        """Delete what was reopened and not rejected again."""
        self._execute("DELETE FROM rejected WHERE reopened")

    def is_certainly_rejected(self, proposal: Proposal) -> bool:
        """Return whether a proposal was rejected in spite of many inliers."""
        return self._any(f"certain AND {SAME}", *self._key(proposal))

    def is_rejected(self, path: Path, *, similar: bool = False) -> bool:
        """Return whether an image is in a rejected pair; in one that had enough matching features, if `similar`."""
        number = self._numbers.get(path)
        return number is not None and self._any("(lr = ? OR hr = ?) AND similar >= ?", number, number, similar)

    def closest(self, lr: Path) -> RejectedPair | None:
        """Return the rejected pair of an LR that came closest."""
        where = f"lr = ? AND NOT reopened ORDER BY {CLOSEST_FIRST} LIMIT 1"
        found: list[RejectedPair] = self._read_all(f"SELECT pair FROM rejected WHERE {where}", self._numbers.get(lr))
        return found[0] if found else None

    @property
    def rejected(self) -> Sequence[RejectedPair]:
        """Of every LR and HR that were rejected the evaluation that came closest, and failures, in order."""
        same = "OVER (PARTITION BY lr, hr, failed"
        numbered = f"""SELECT number, MIN(number) {same}) AS first,
            ROW_NUMBER() {same} ORDER BY {CLOSEST_FIRST}) AS place FROM rejected WHERE NOT reopened"""
        return self._stored("rejected", f"SELECT number FROM ({numbered}) WHERE place = 1 ORDER BY first")

    def _stored(self, table: str, numbers: str) -> Stored[Any]:
        query = f"SELECT pair FROM {table} WHERE number = ?"
        found = array("q", chain.from_iterable(self._rows(numbers)))
        return Stored(found, lambda number: self._read_all(query, number)[0])

    def _any(self, condition: str, *values: object) -> bool:
        query = f"SELECT EXISTS (SELECT 1 FROM rejected WHERE NOT reopened AND {condition})"
        return any(chain.from_iterable(self._rows(query, values)))

    def _read_all(self, query: str, *values: object) -> list[Any]:
        return [_Unpickler(packed, self._images).load() for (packed,) in self._rows(query, values)]

    def _key(self, proposal: Proposal) -> tuple[int | None, int | None, bool, bool, float]:
        lr, hr = (self._numbers.get(image.path) for image in proposal.images)
        return lr, hr, proposal.mirrored, proposal.negative, proposal.stretch

    def _number(self, image: Fingerprint) -> int:
        number = self._numbers.setdefault(image.path, len(self._images))
        if number == len(self._images):
            self._images.append(image.without_features)
        return number

    def _packed(self, pair: Record | RejectedPair) -> bytes:
        self._packing.seek(0)
        self._packing.truncate()
        self._pickler.clear_memo()
        self._pickler.dump(pair)
        return self._packing.getvalue()

    def _execute(self, statement: str, values: Sequence[object] = ()) -> None:
        deque(self._rows(statement, values), maxlen=0)

    def _rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise TwimagerError(f"cannot keep what is decided in the system's temporary folder: {error}") from error


class _Pickler(pickle.Pickler):
    """Writes images as their numbers."""

    def __init__(self, file: io.BytesIO, number: Callable[[Fingerprint], int]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._number = number

    def persistent_id(self, value: object) -> int | None:
        return self._number(value) if isinstance(value, Fingerprint) else None


class _Unpickler(pickle.Unpickler):
    """Reads what `_Pickler` has written, of this process."""

    def __init__(self, packed: bytes, images: Sequence[Fingerprint]) -> None:
        super().__init__(io.BytesIO(packed))
        self._images = images

    def persistent_load(self, number: int) -> Fingerprint:
        return self._images[number]
