"""The trash of a review: deleted files are in a hidden folder of DEST until the review is closed.

The trash may come from somebody else, as DEST may: its notes are checked, no link is followed, and only files that
they name are moved or deleted.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from stat import S_ISREG
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from twimager.errors import TwimagerError
from twimager.output.atomic import UnwritableName, write_files
from twimager.output.layout import IMAGE_FOLDERS, JOURNALS, LR, TRAIN, VAL, is_image_path
from twimager.report.schema import PairRecord
from twimager.runtime.folders import Folder, LinkInDest, opened, read_file
from twimager.runtime.typed_json import Text, dumps

TRASH, NOTE = "trash", "deleted.json"
# The name of a deletion's folder.
NUMBER = re.compile(r"[0-9]{6}")
MAX_NUMBER = 999_999
MAX_PLACE = 2**31
# A temporary note, left by a review that was killed; nothing was moved then.
TEMPORARY_NOTE = re.compile(r"\.twimager-\w+-\w+\.tmp", re.ASCII)


class Deletion(Struct, frozen=True, forbid_unknown_fields=True):
    """One pair that was deleted, as the note in its folder in the trash has it.

    Attributes
    ----------
    number : the later it was deleted, the higher
    place : index of its record in the report
    pair : that record
    files : the files that were moved here, relative to DEST
    """

    number: Annotated[int, Meta(ge=1, le=MAX_NUMBER)]
    place: Annotated[int, Meta(ge=0, le=MAX_PLACE)]
    pair: PairRecord
    files: list[Text]


class Trash:
    """The trash of a DEST, which is locked. Each deletion has a folder; its files lie in there as they did in DEST."""

    def __init__(self, home: Path) -> None:
        self._home, self._folder = home, home / JOURNALS / TRASH
        self._last = 0

    def deletions(self, warn: Callable[[str], None]) -> list[Deletion]:
        """Return the deletions, the first one first; `warn` is called with what is not as a review leaves it."""
        found = []
        for number in self._numbers():
            try:
                if not self._has_no_note(number):
                    found.append(self._read(number))
            except (OSError, LinkInDest, ValueError, RecursionError):
                warn(f"{self._folder_of(number)} is not as a review leaves it; what is in it is left alone")
        self._last = max((deletion.number for deletion in found), default=0)
        return found

    def current_path(self, path: Path, deletions: Sequence[Deletion]) -> Path:
        """Return where a file of DEST is now, which may have been moved here."""
        name = path.relative_to(self._home).as_posix()
        return next((self._folder_of(one.number) / name for one in deletions if name in one.files), path)

    def put(self, place: int, pair: PairRecord, files: Sequence[Path]) -> Deletion:
        """Note a deletion and move its files here, all of them or none; OSError or TwimagerError if that fails."""
        names = [path.relative_to(self._home).as_posix() for path in files]
        deletion = Deletion(self._next(), place, pair, names)
        note = dumps(deletion).encode()
        try:
            write_files({self._folder_of(deletion.number) / NOTE: note}, uuid.uuid4().hex, dest=self._home)
            for name in names:
                with self._folders(deletion, name) as (own, kept):
                    own.move(Path(name).name, kept)
        except BaseException:
            self.restore(deletion)
            raise
        return deletion

    def restore(self, deletion: Deletion) -> None:
        """Move a deletion's files back to where they were, and remove its folder.

        Raises
        ------
        UnwritableName
            If another file lies there by now.
        OSError
            If a file can't be moved.
        """
        kept = [name for name in deletion.files if self._mode(deletion, name) is not None]
        for name in kept:
            with self._folders(deletion, name) as (own, _):
                if own.mode(Path(name).name) is not None:
                    raise UnwritableName(f"{self._home / name} is there already, and not of this review")
        for name in kept:
            with self._folders(deletion, name) as (own, trash):
                trash.move(Path(name).name, own)
        self.remove([deletion])

    def remove(self, deletions: Sequence[Deletion]) -> None:
        """Remove the files of deletions for good; what can't be removed stays, as does what is not of a deletion."""
        for deletion in deletions:
            folder = self._folder_of(deletion.number)
            for name in [*deletion.files, NOTE]:
                path = folder / name
                with suppress(OSError, LinkInDest), opened(path.parent, self._home) as here:
                    here.unlink(path.name)
            clips = _clip_folders(deletion.files)
            self._remove_empty(*(self._home / name for name in clips))
            self._remove_empty(*(folder / name for name in (*clips, *IMAGE_FOLDERS, TRAIN, VAL)), folder)
        self._remove_empty(self._folder)

    def _remove_empty(self, *paths: Path) -> None:
        for path in paths:
            with suppress(OSError, LinkInDest), opened(path.parent, self._home) as here:
                here.rmdir(path.name)

    def _numbers(self) -> list[int]:
        with suppress(OSError), opened(self._folder, self._home) as folder:
            return [int(name) for name in folder.names() if NUMBER.fullmatch(name)]
        return []

    def _next(self) -> int:
        """Return the number of the next deletion, which is the name of no folder, be it of a review or not."""
        taken = set(self._numbers())
        number = next(number for number in count(self._last + 1) if number not in taken)
        if number > MAX_NUMBER:
            raise TwimagerError(f"{self._folder} holds too many deletions; end the review to empty it")
        self._last = number
        return number

    def _folder_of(self, number: int) -> Path:
        return self._folder / f"{number:06}"

    @contextmanager
    def _folders(self, deletion: Deletion, name: str) -> Iterator[tuple[Folder, Folder]]:
        """Open the folders of a file: in DEST, and in the trash."""
        kept = self._folder_of(deletion.number) / name
        with (
            opened((self._home / name).parent, self._home, make=True) as own,
            opened(kept.parent, self._home, make=True) as trash,
        ):
            yield own, trash

    def _mode(self, deletion: Deletion, name: str) -> int | None:
        """Return the mode of a file that was moved here; None if it was not."""
        path = self._folder_of(deletion.number) / name
        try:
            with opened(path.parent, self._home) as folder:
                return folder.mode(path.name)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _has_no_note(self, number: int) -> bool:
        """Tell whether a review was killed before it had noted a deletion; nothing was moved then, and nothing is kept.

        ValueError is raised if there is anything else.
        """
        with opened(self._folder_of(number), self._home) as folder:
            names = folder.names()
            if NOTE in names:
                return False
            if not all(map(TEMPORARY_NOTE.fullmatch, names)):
                raise ValueError(names)
            for name in names:
                folder.unlink(name)
        self._remove_empty(self._folder_of(number), self._folder)
        return True

    def _read(self, number: int) -> Deletion:
        """Return a deletion; an error is raised if it is none, or could lead anywhere but to its own files."""
        deletion = msgspec.convert(json.loads(read_file(self._folder_of(number) / NOTE, self._home)), Deletion)
        if deletion.number != number:
            raise ValueError(number)
        modes = [self._mode(deletion, name) for name in deletion.files if _is_plain(name)]
        if len(modes) != len(set(deletion.files)) or not all(mode is None or S_ISREG(mode) for mode in modes):
            raise ValueError(number)
        return deletion


def _clip_folders(files: Iterable[str]) -> list[str]:
    """Return the folders that files lie in within those of the images, those in one another first."""
    folders = {parent.as_posix() for name in files for parent in Path(name).parents} - {*IMAGE_FOLDERS, TRAIN, VAL, "."}
    return sorted(folders, key=len, reverse=True)


def _is_plain(name: str) -> bool:
    """Tell whether a name is that of a file which lies in DEST or in one of its folders."""
    return is_image_path(name) or is_image_path(f"{LR}/{name}")
