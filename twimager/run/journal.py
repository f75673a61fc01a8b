"""What a run has written, kept in DEST so that one that was stopped can go on."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from functools import cache, partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from twimager.errors import ExitCode, TwimagerError, UsageError
from twimager.fingerprint.stamp import made_by, stamp
from twimager.options import Options, plain_settings
from twimager.output.atomic import (
    remove_temporary,
    sync_file,
    sync_folder,
    sync_folder_and_parents,
    unwritable,
    write_files,
)
from twimager.output.layout import JOURNALS, document_paths, not_empty, written_folders
from twimager.output.lock import lock
from twimager.report.schema import Check, compiled
from twimager.report.summary import KEPT, Outcome, Summary
from twimager.runtime.folders import LinkInDest, open_file, opened, read_file

JOURNAL, STORE = "journal.jsonl", "found.sqlite"
HINT = ", or --resume to go on with the run that wrote there"
RUN_ID = re.compile(r"[0-9a-f]{32}")
# Share of the time that flushing to the disk may take. One takes 5 to 25 ms on an SSD, so that there are one to two
# seconds between two of them; what is written meanwhile has to be done again after a power cut.
SYNC_SHARE = 0.01
# What a journal's lines must be like, by what may be in them; the first one says how the run was begun.
TEXT, FLAG = {"type": "string"}, {"type": "boolean"}
MARK = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 2, "maxItems": 2}
HEAD = {
    "made_by": TEXT, "settings": {"type": "object"}, "inputs": {"type": "object", "additionalProperties": TEXT},
    "run": TEXT, "overwrite": FLAG,
}  # fmt: skip
LINE = {
    **HEAD, "lr": TEXT, "hr": TEXT, "deleted": FLAG, "accepted": FLAG,
    "files": {"type": "object", "additionalProperties": MARK},
    "exit_code": KEPT["exit_code"], "summary": {"type": "object", "properties": KEPT, "required": list(KEPT)},
}  # fmt: skip
# What is raised on a journal that says what none does.
DAMAGE = (KeyError, TypeError, ValueError, AttributeError, RecursionError)


class Decision(Enum):
    """What a review may have made of a pair; the value is what the journal calls it."""

    DELETED = "deleted"
    ACCEPTED = "accepted"


class Mark(NamedTuple):
    """What tells a file's contents: how many bytes, and their CRC-32."""

    bytes: int
    checksum: int


Marks = Mapping[Path, Mark]


def mark(data: bytes) -> Mark:
    """Return the mark of a file that holds this."""
    return Mark(len(data), zlib.crc32(data))


def are_intact(marks: Marks) -> bool:
    """Tell whether files are still what their marks say."""
    try:
        return all(mark(read_file(path)) == known for path, known in marks.items())
    except OSError:
        return False


class Journal:
    """The journal of a run, for one thread: a line for how it was begun, one a pair written, one for its end.

    What holds after a power cut, on a file system that keeps what it was told to flush: the first line and the way to
    the journal are on the disk before any image is. The contents of an image are on the disk before it has its name.
    The names of the images and then their lines are flushed when a pair is entered, as often as SYNC_SHARE allows, and
    before the line for the end is written. So --resume always goes on, and writes again only what was entered since the
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
        """`follow_links` tells whether links in `dest` are."""
        self.run, self.replace, self._follow_links = run, replace, follow_links
        self.store = dest / JOURNALS / STORE if dest else None
        self.ended: Outcome | None = None
        self._dest = dest
        self._absolute = partial(os.path.join, os.getcwd())
        self._file: IO[bytes] | None = None
        self._pairs: dict[tuple[str, str], Marks] = {}
        self._entered: dict[Path, int] = {}
        self._next_sync = 0.0
        self._decided: dict[Decision, set[tuple[str, str]]] = {decision: set() for decision in Decision}

    def marks(self, lr: Path, hr: Path) -> Marks:
        """Return what the files of a pair were when they were written, nothing if they were not."""
        return self._pairs.get((self._absolute(lr), self._absolute(hr)), {})

    def enter(self, lr: Path, hr: Path, files: Marks) -> None:
        """Note that a pair is written."""
        if not self._dest:
            return
        if self.marks(lr, hr) != files:
            named = {path.relative_to(self._dest).as_posix(): known for path, known in files.items()}
            self._write({"lr": self._absolute(lr), "hr": self._absolute(hr), "files": named})
        self._entered.update((path, known.bytes) for path, known in files.items())
        if time.monotonic() >= self._next_sync:
            self._sync()

    def require_files(self) -> None:
        """Raise TwimagerError unless all files of the pairs that were entered are there, of the size they had."""
        if self._file is None:
            return
        self._restore()
        if lost := [path for path, size in self._entered.items() if _size(path) != size]:
            raise TwimagerError(
                f"{lost[0]} is gone or has another size, as {len(lost)} of the {len(self._entered)} files written; "
                "--resume writes again what is gone"
            )

    def is_decided(self, decision: Decision, lr: Path, hr: Path) -> bool:
        """Tell whether a review has decided so on a pair."""
        return (self._absolute(lr), self._absolute(hr)) in self._decided[decision]

    def decide(self, decision: Decision, lr: str, hr: str, holds: bool) -> None:
        """Note that a review has decided so on a pair, named by its absolute paths, or has not after all."""
        self._write({"lr": lr, "hr": hr, decision.value: holds})

    def end(self, outcome: Outcome) -> None:
        """Note that the run is done; what was kept for going on is of no more use."""
        self._sync()
        self._write({"exit_code": outcome.exit_code, "summary": outcome.summary._asdict()})
        self._sync()
        if self.store:
            for suffix in ("", "-journal"):
                with suppress(OSError, LinkInDest), opened(self.store.parent, self._unlinked) as folder:
                    folder.unlink(STORE + suffix)

    def discard_unfinished(self) -> None:
        """Delete this run's temporary files."""
        if self._dest:
            remove_temporary(self._dest, self.run, self._follow_links)

    def _write(self, line: dict[str, Any]) -> None:
        if self._file is None:
            return
        data = json.dumps(line).encode() + b"\n"
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

    def begin(self, head: dict[str, Any]) -> None:
        """Start a new journal, which takes the place of an old one whole or not at all."""
        line = {**head, "run": self.run, "overwrite": self.replace}
        write_files({self._path: json.dumps(line).encode() + b"\n"}, self.run, True, self._unlinked)
        self._open()

    def _open(self) -> None:
        """Write on at the end of the journal that is there, which is on the disk from then on."""
        self._file = self._opened("r+b")
        self._file.seek(0, os.SEEK_END)
        sync_file(self._file.fileno())
        sync_folder_and_parents(self._path.parent)

    def _restore(self) -> None:
        """Put the journal back if it was deleted from a DEST that is there, so that --resume can go on."""
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

    def go_on(self, lines: Sequence[dict[str, Any]], length: int) -> None:
        """Take over what a journal says, and write on after so many bytes of it: the last line may be torn."""
        assert self._dest
        for line in lines:
            if "files" in line:
                files = {self._dest / name: Mark(*known) for name, known in line["files"].items()}
                self._pairs[line["lr"], line["hr"]] = files
            elif "summary" in line:
                self.ended = Outcome(ExitCode(line["exit_code"]), Summary(**line["summary"]))
            for decision, pairs in self._decided.items():
                if decision.value in line:
                    (pairs.add if line[decision.value] else pairs.discard)((line["lr"], line["hr"]))
        with self._opened("r+b") as file:
            if file.seek(0, os.SEEK_END) > length:
                file.truncate(length)
        self._open()

    def close(self) -> None:
        """Write no more."""
        if self._file:
            self._file.close()


@contextmanager
def keep_journal(options: Options, inputs: Mapping[str, Sequence[Path]]) -> Iterator[Journal]:
    """Lock DEST and open its journal, a new one or with --resume that of the run that was stopped.

    `inputs` are the images by flag. A run that writes no images has no journal.

    Raises
    ------
    UsageError
        If another run is at work there, or what lies there does not go with these options.
    TwimagerError
        If DEST can't be written to.
    """
    dest = options.run.dest
    if dest is None or options.run.dry:
        yield Journal(None, uuid.uuid4().hex)
        return
    with lock(dest, "--dest: ", options.run.follow_dest_links):
        journal = _opened(dest, options, _head(options, inputs))
        try:
            yield journal
        except TwimagerError:
            journal.require_files()  # that DEST was deleted says more than that a file can't be written
            raise
        finally:
            journal.close()


def reopened(dest: Path) -> Journal:
    """Open the journal of a run that is no more, in a DEST that is locked, for what becomes of its pairs.

    Where there is none, or none that a run could go on with, nothing is noted.
    """
    try:
        lines, length = _read(dest / JOURNALS / JOURNAL, dest)
        _check(lines)
        journal = Journal(dest, lines[0]["run"] if lines else "")
        if lines:
            journal.go_on(lines[1:], length)
    except OSError as error:
        raise unwritable(dest / JOURNALS / JOURNAL, error) from error
    except DAMAGE:
        return Journal(None, "")
    return journal


def _opened(dest: Path, options: Options, head: dict[str, Any]) -> Journal:
    """Begin a journal, or go on with the one that is there; raises as `keep_journal` does."""
    path, follow_links = dest / JOURNALS / JOURNAL, options.run.follow_dest_links
    try:
        try:
            lines, length = _read(path, options.run.unlinked_dest)
        except RecursionError:
            if options.run.resume or not options.run.overwrite:
                raise
            lines, length = [], 0
        if lines and (options.run.resume or options.run.overwrite):
            remove_temporary(dest, lines[0]["run"], follow_links)
        if lines and options.run.resume:
            _check(lines)
            _check_same(lines[0], head, dest)
            journal = Journal(dest, lines[0]["run"], options.run.overwrite or lines[0]["overwrite"], follow_links)
            journal.go_on(lines[1:], length)
        else:
            empty = not lines and all(entry.name == JOURNALS for entry in dest.iterdir())
            if not (options.run.overwrite or empty or (not lines and options.run.resume and _has_no_head(options))):
                raise not_empty(dest, HINT if lines else "")
            journal = Journal(dest, uuid.uuid4().hex, options.run.overwrite, follow_links)
            journal.begin(head)
    except OSError as error:
        raise unwritable(path, error) from error
    except DAMAGE as error:
        raise UsageError(f"--resume: the journal in {dest} is damaged; --overwrite starts anew") from error
    if not all(path.exists() for path in document_paths(options).values()):
        journal.ended = None
    return journal


def read_journal(dest: Path) -> list[dict[str, Any]]:
    """Return the lines of the journal in DEST, at least the first one; no link below DEST is followed.

    Raises
    ------
    UsageError
        If there is no journal, or it can't be read or is damaged.
    """
    try:
        lines, _ = _read(dest / JOURNALS / JOURNAL, dest)
        _check(lines)
    except (OSError, LinkInDest) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"the journal in {dest} can't be read: {reason}") from error
    except DAMAGE as error:
        raise damaged_journal(dest) from error
    if not lines:
        raise UsageError(f"{dest} has no journal: name the folder that --dest of a run named, with its {JOURNALS}")
    return lines


def damaged_journal(dest: Path) -> UsageError:
    """Return the error for a journal that says what none does."""
    return UsageError(f"the journal in {dest} is damaged")


def _has_no_head(options: Options) -> bool:
    """Tell whether the journal is there and its first line is not, and nothing that a new run would replace is.

    A disk that does not keep what it was told to flush may leave that. Images are no hindrance: those of the same
    contents are as good as written, no others are replaced.
    """
    assert options.run.dest
    try:
        head, end, _ = read_file(options.run.dest / JOURNALS / JOURNAL, options.run.unlinked_dest).partition(b"\n")
    except FileNotFoundError:
        return False
    return (not end or b"\0" in head) and not any(map(os.path.lexists, document_paths(options).values()))


def _size(path: Path) -> int | None:
    """Return how many bytes a file has, None if it is not there or can't be looked at."""
    try:
        return path.lstat().st_size
    except OSError:
        return None


def _read(path: Path, dest: Path | None) -> tuple[list[dict[str, Any]], int]:
    """Return a journal's whole lines and how long they are; none if it is no journal.

    Below `dest`, if that is given, no link is followed. RecursionError is raised for a line that is nested without end.
    """
    lines: list[dict[str, Any]] = []
    length = 0
    with suppress(FileNotFoundError, ValueError):
        for line in read_file(path, dest).splitlines(keepends=True):
            entry = json.loads(line)
            if not line.endswith(b"\n") or not isinstance(entry, dict):
                break
            lines.append(entry)
            length += len(line)
    run = lines[0].get("run") if lines else None
    return (lines, length) if isinstance(run, str) and RUN_ID.fullmatch(run) else ([], 0)


def _check(lines: Sequence[dict[str, Any]]) -> None:
    """Raise ValueError if a journal's lines are not what they should be."""
    if not all(map(_is_line(), lines)) or any(key not in lines[0] for key in HEAD if lines):
        raise ValueError("not a journal's lines")


@cache
def _is_line() -> Check:
    return compiled({"type": "object", "properties": LINE})


def _head(options: Options, inputs: Mapping[str, Sequence[Path]]) -> dict[str, Any]:
    """Return what must be the same when a run goes on."""
    of_run = plain_settings(options.run)
    return {
        "made_by": made_by(),
        "settings": {name: value for name, value in plain_settings(options).items() if name not in of_run},
        "inputs": {flag: _digest(paths) for flag, paths in inputs.items()},
    }


def _digest(paths: Sequence[Path]) -> str:
    """Return a number that changes with the names, sizes and times of files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(repr((os.fsencode(path.absolute()), stamp(path))).encode())
    return digest.hexdigest()


def _check_same(before: dict[str, Any], now: dict[str, Any], dest: Path) -> None:
    """Raise UsageError if a run was begun in another way."""
    for name, value in now["settings"].items():
        was = before["settings"].get(name)
        if was != value:
            raise UsageError(f"--resume: the run in {dest} was begun with {_said(name, was)}, not {_said(name, value)}")
    if before["made_by"] != now["made_by"]:
        raise UsageError(f"--resume: the run in {dest} was begun by {before['made_by']}, this is {now['made_by']}")
    for flag, digest in now["inputs"].items():
        if before["inputs"].get(flag) != digest:
            raise UsageError(f"--resume: the files in {flag} have changed since; --overwrite starts anew")


def _said(name: str, value: Any) -> str:
    """Return a setting as it is given on the command line."""
    if name == "mirror":
        name, value = "no_mirror", not value
    match value:
        case bool():
            return f"--{name}" if value else f"no --{name}"
        case None | "":
            return f"no --{name}"
        case list():
            return f"--{name} {' '.join(map(str, value))}"
    return f"--{name} {value}"
