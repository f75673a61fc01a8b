"""The lines of a journal as types, and how they are read and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from twimager.errors import UsageError
from twimager.output.layout import JOURNALS
from twimager.report.summary import Outcome
from twimager.run.marks import Mark
from twimager.runtime.folders import LinkInDest, read_file
from twimager.runtime.typed_json import Setting, Text

JOURNAL = "journal.jsonl"
# What is raised on a journal that no run has written.
DAMAGE = (ValueError, RecursionError)

RunId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]


class Begun(Struct, frozen=True):
    """The first line: how the run was begun; the first three must be the same where it is resumed.

    Attributes
    ----------
    made_by : the version of the program, and of what it depends on
    settings : those on which the outputs depend
    inputs : a digest of the files of a folder, by its flag
    run : the id of the run, which is also in the names of its temporary files
    overwrite : whether files that were there already may be replaced
    """

    made_by: Text
    settings: dict[str, Setting]
    inputs: dict[str, Text]
    run: RunId
    overwrite: bool


class Written(Struct, frozen=True):
    """A pair, by its sources' absolute paths, that was written; the files are named as seen from DEST."""

    lr: Text
    hr: Text
    files: dict[str, Mark]


class Deleted(Struct, frozen=True):
    """A pair, by its sources' absolute paths, that was deleted in a review, or is not after all."""

    lr: Text
    hr: Text
    deleted: bool


class Accepted(Struct, frozen=True):
    """A pair, by its sources' absolute paths, that was accepted in a review, or is not after all."""

    lr: Text
    hr: Text
    accepted: bool


Line = Written | Deleted | Accepted | Outcome
# What a line is, by a key that no other one has. One that has none of them is of a newer version.
KINDS: dict[str, type[Line]] = {"files": Written, "deleted": Deleted, "accepted": Accepted, "summary": Outcome}


class Lines(NamedTuple):
    """What a journal holds: its first line, the others, and how many bytes they are; a torn end is left out."""

    begun: Begun
    others: list[Line]
    length: int


class _Head(Struct):
    run: RunId


def read_run(path: Path, dest: Path | None) -> str | None:
    """Return the id of the run that began a journal, whatever the rest of it holds; None if it is no journal.

    Below `dest`, if that is given, no link is followed.
    """
    try:
        head, end, _ = read_file(path, dest).partition(b"\n")
        return msgspec.convert(json.loads(head), _Head).run if end else None
    except (FileNotFoundError, *DAMAGE):
        return None


def read_lines(path: Path, dest: Path | None) -> Lines | None:
    """Return what a journal holds, None if it is no journal; below `dest`, if that is given, no link is followed.

    Raises
    ------
    OSError, LinkInDest
        If the file can't be read.
    ValueError, RecursionError
        If one of its lines is damaged.
    """
    if read_run(path, dest) is None:
        return None
    entries, length = _entries(read_file(path, dest))
    kinds = [next((kind for key, kind in KINDS.items() if key in entry), None) for entry in entries]
    others = [msgspec.convert(entry, kind) for entry, kind in zip(entries[1:], kinds[1:], strict=True) if kind]
    return Lines(msgspec.convert(entries[0], Begun), others, length)


def _entries(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """Return the objects on whole lines, up to the first that is torn, and how many bytes they are."""
    entries: list[dict[str, Any]] = []
    length = 0
    for line in data.split(b"\n")[:-1]:
        try:
            entry = json.loads(line)
        except ValueError:
            break
        if not isinstance(entry, dict):
            break
        entries.append(entry)
        length += len(line) + 1
    return entries, length


def read_journal(dest: Path) -> Lines:
    """Return what the journal in DEST holds; no link below DEST is followed.

    Raises
    ------
    UsageError
        If there is no journal, or it can't be read or is damaged.
    """
    try:
        lines = read_lines(dest / JOURNALS / JOURNAL, dest)
    except (OSError, LinkInDest) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"the journal in {dest} can't be read: {reason}") from error
    except DAMAGE as error:
        raise damaged_journal(dest) from error
    if lines is None:
        raise UsageError(f"{dest} has no journal: name the folder that --dest of a run named, with its {JOURNALS}")
    return lines


def require_layout(lines: Lines, dest: Path) -> None:
    """Raise UsageError if a run of an older version wrote images straight into DEST, where one side was written."""
    one_side = lines.begun.settings.get("output") in ("lr", "hr")
    if one_side and any("/" not in name for line in lines.others if isinstance(line, Written) for name in line.files):
        raise UsageError(f"{dest} is of an older version, which wrote straight into it: name another --dest")


def damaged_journal(dest: Path) -> UsageError:
    """Return the error for a journal that no run has written."""
    return UsageError(f"the journal in {dest} is damaged")
