"""The journal of a run: what it has written, kept in DEST so that one that was stopped can be resumed."""

from __future__ import annotations

import errno
import os
import time
from array import array
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

from twimager.errors import TwimagerError
from twimager.output.atomic import (
    remove_temporary,
    sync_file,
    sync_folder,
    sync_folder_and_parents,
    unwritable,
    write_files,
)
from twimager.output.layout import JOURNALS, written_folders
from twimager.report.summary import Outcome
from twimager.run.journal_lines import JOURNAL, Accepted, Begun, Deleted, Line, Lines, Written
from twimager.run.marks import Mark, Marks
from twimager.runtime.console import counted
from twimager.runtime.folders import LinkInDest, open_file, opened
from twimager.runtime.typed_json import dumps

STORE = "found.sqlite"
# Share of the time that flushing to the disk may take. One takes 5 to 25 ms on an SSD, so that there are one to two
# seconds between two of them; what is written meanwhile has to be done again after a power cut.
SYNC_SHARE = 0.01


class Journal:
    """The journal of a run, for one thread: a line for how it was begun, one a pair written, one for its end.

    What holds after a power cut, on a file system that keeps what was flushed: the first line and the way to
    the journal are on the disk before any image is. The contents of an image are on the disk before it has its name.
    The names of the images and then their lines are flushed when a pair is entered, as often as SYNC_SHARE allows, and
    before the line for the end is written. So --resume always works, and writes again only what was entered since the
    last flush. A line that is on the disk without its images is harmless, as images are compared with their marks; an
    image without its line too, as the same contents may be written again. Of a torn end nothing is used.

    Attributes
    ----------
    run : what the run is called, also by its temporary files
    store : where what was found out is kept until the run has ended, None for nowhere
    replace : whether files that are there already may be replaced
    ended : the outcome, if there is nothing left to do
    """

    def __init__(self, dest: Path | None, run: str, replace: bool = False, follow_links: bool = False) -> None:
        """`follow_links` is whether links in `dest` are followed."""
        self.run, self.replace, self._follow_links = run, replace, follow_links
        self.store = dest / JOURNALS / STORE if dest else None
        self.ended: Outcome | None = None
        self._dest = dest
        self._absolute = partial(os.path.join, os.getcwd())
        self._file: IO[bytes] | None = None
        # By their names as seen from DEST, which take a fifth of the memory that paths do.
        self._pairs: dict[tuple[str, str], dict[str, Mark]] = {}
        self._entered: list[str] = []
        self._bytes = array("Q")
        self._next_sync = 0.0
        self._deleted = set[tuple[str, str]]()
        self._accepted = set[tuple[str, str]]()

    def marks(self, lr: Path, hr: Path) -> Marks:
        """Return the marks that the files of a pair had when they were written, none if they were not."""
        known = self._pairs.get(self._key(lr, hr), {})
        return {self._dest / name: mark for name, mark in known.items()} if self._dest else {}

    @property
    def left(self) -> set[tuple[str, str]]:
        """The pairs, by their sources' absolute paths, that are written and were not deleted in a review."""
        return self._pairs.keys() - self._deleted

    def is_deleted(self, lr: Path, hr: Path) -> bool:
        """Return whether a review has deleted a pair."""
        return self._key(lr, hr) in self._deleted

    def is_accepted(self, lr: Path, hr: Path) -> bool:
        """Return whether a review has accepted a pair."""
        return self._key(lr, hr) in self._accepted

    def _key(self, lr: Path, hr: Path) -> tuple[str, str]:
        return self._absolute(lr), self._absolute(hr)

    def enter(self, lr: Path, hr: Path, files: Marks) -> None:
        """Note that a pair is written."""
        if not self._dest:
            return
        named = {path.relative_to(self._dest).as_posix(): known for path, known in files.items()}
        if self._pairs.get(self._key(lr, hr), {}) != named:
            self.write(Written(*self._key(lr, hr), named))
        self._entered += named
        self._bytes.extend(known.bytes for known in named.values())
        if time.monotonic() >= self._next_sync:
            self._sync()

    def require_files(self) -> None:
        """Raise TwimagerError unless all files of the pairs that were entered are there, of the size they had."""
        if self._file is None:
            return
        self._restore()
        assert self._dest
        entered = zip(self._entered, self._bytes, strict=True)
        if lost := [name for name, size in entered if _size(self._dest / name) != size]:
            written = counted(len(self._entered), "file")
            raise TwimagerError(
                f"{self._dest / lost[0]} is gone or has another size, as {len(lost)} of the {written} written; "
                "--resume writes again what is gone"
            )

    def end(self, outcome: Outcome) -> None:
        """Note that the run is done; what was kept for --resume is deleted."""
        self._sync()
        self.write(outcome)
        self._sync()
        if self.store:
            for suffix in ("", "-journal"):
                with suppress(OSError, LinkInDest), opened(self.store.parent, self._unlinked) as folder:
                    folder.unlink(STORE + suffix)

    def discard_unfinished(self) -> None:
        """Delete this run's temporary files."""
        if self._dest:
            remove_temporary(self._dest, self.run, self._follow_links)

    def write(self, line: Line) -> None:
        """Add a line."""
        if self._file is None:
            return
        data = _encoded(line)
        try:
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise unwritable(Path(self._file.name), error) from error

    def _sync(self) -> None:
        """Flush to the disk what was entered: the names of the images, whose contents are there, and the journal."""
        if self._file is None or self._dest is None:
            return
        if not os.path.lexists(self._path):  # DEST was deleted: it is better to stop now than after hours
            self.require_files()
        begun = time.monotonic()
        try:
            for folder in written_folders(self._dest):
                sync_folder(folder)
            sync_file(self._file.fileno())
        except OSError as error:
            raise unwritable(self._path, error) from error
        ended = time.monotonic()
        self._next_sync = ended + (ended - begun) / SYNC_SHARE

    def begin(self, line: Begun) -> None:
        """Start a new journal, which takes the place of an old one whole or not at all."""
        write_files({self._path: _encoded(line)}, self.run, True, self._unlinked)
        self._open()

    def _open(self) -> None:
        """Write on at the end of the journal that is there, which is on the disk from then on."""
        self._file = self._opened("r+b")
        self._file.seek(0, os.SEEK_END)
        sync_file(self._file.fileno())
        sync_folder_and_parents(self._path.parent)

    def _restore(self) -> None:
        """Put the journal back if it was deleted from a DEST that is there, so that the run can be resumed."""
        if not self._file or not self._dest or not self._dest.is_dir() or os.path.lexists(self._path):
            return
        deleted = self._file
        with suppress(OSError, TwimagerError):
            deleted.seek(0)
            write_files({self._path: deleted.read()}, self.run, False, self._unlinked)
            self._open()
            deleted.close()

    @property
    def _path(self) -> Path:
        assert self._dest
        return self._dest / JOURNALS / JOURNAL

    def _opened(self, mode: str) -> IO[bytes]:
        return open_file(self._path, mode, self._unlinked, buffering=0)

    @property
    def _unlinked(self) -> Path | None:
        return None if self._follow_links else self._dest

    def resume(self, lines: Lines) -> None:
        """Take over what a journal holds, and write on after that: its last line may be torn."""
        assert self._dest
        for line in lines.others:
            match line:
                case Written(lr, hr, files):
                    self._pairs[lr, hr] = files
                case Deleted(lr, hr, holds):
                    (self._deleted.add if holds else self._deleted.discard)((lr, hr))
                case Accepted(lr, hr, holds):
                    (self._accepted.add if holds else self._accepted.discard)((lr, hr))
                case Outcome():
                    self.ended = line
        with self._opened("r+b") as file:
            if file.seek(0, os.SEEK_END) > lines.length:
                file.truncate(lines.length)
        self._open()

    def close(self) -> None:
        """Write no more."""
        if self._file:
            self._file.close()


def _encoded(line: Begun | Line) -> bytes:
    return dumps(line).encode() + b"\n"


def _size(path: Path) -> int | None:
    """Return how many bytes a file has, None if it is not there or can't be looked at."""
    try:
        return path.lstat().st_size
    except OSError:
        return None
