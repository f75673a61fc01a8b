"""What a review has deleted: in a hidden folder of DEST, until the review is closed."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from twimager.destination import JOURNALS, UnwritableName, write_files
from twimager.errors import UsageError

TRASH, NOTE = "trash", "deleted.json"


class Deletion(NamedTuple):
    """One pair that was deleted, as its folder in the trash notes it.

    Attributes
    ----------
    number : the later it was deleted, the higher
    place : of its record in the report
    pair : that record
    files : what was moved here, as seen from DEST
    """

    number: int
    place: int
    pair: dict[str, Any]
    files: list[str]


class Trash:
    """The trash of a DEST, which is locked. Each deletion has a folder; its files lie in there as they lay in DEST."""

    def __init__(self, home: Path) -> None:
        self._home, self._folder = home, home / JOURNALS / TRASH

    def deletions(self) -> list[Deletion]:
        """Return what is in the trash, the first deletion first; UsageError if that can't be told."""
        if not self._folder.is_dir():
            return []
        found = []
        for folder in sorted(path for path in self._folder.iterdir() if path.name.isdecimal()):
            if (folder / NOTE).exists():
                found.append(self._read(folder))
            else:  # nothing is moved here before that is noted
                shutil.rmtree(folder, ignore_errors=True)
        return found

    def found(self, path: Path, deletions: Sequence[Deletion]) -> Path:
        """Return where a file of DEST is that may have been moved here."""
        name = path.relative_to(self._home).as_posix()
        return next((self._folder_of(one) / name for one in deletions if name in one.files), path)

    def put(self, place: int, pair: dict[str, Any], files: Sequence[Path]) -> Deletion:
        """Note a deletion and move its files here, all of them or none; OSError or TwimagerError if that fails."""
        names = [path.relative_to(self._home).as_posix() for path in files]
        deletion = Deletion(self._next(), place, pair, names)
        note = json.dumps(deletion._asdict()).encode()
        try:
            write_files({self._folder_of(deletion) / NOTE: note}, uuid.uuid4().hex)
            for name in names:
                kept = self._folder_of(deletion) / name
                kept.parent.mkdir(exist_ok=True)
                os.rename(self._home / name, kept)
        except BaseException:
            self.restore(deletion)
            raise
        return deletion

    def restore(self, deletion: Deletion) -> None:
        """Move a deletion's files back to where they were, and forget it.

        Raises
        ------
        UnwritableName
            If another file lies there by now.
        OSError
            If a file can't be moved.
        """
        kept = [name for name in deletion.files if (self._folder_of(deletion) / name).exists()]
        for name in kept:
            if os.path.lexists(self._home / name):
                raise UnwritableName(f"{self._home / name} is there already, and not of this review")
        for name in kept:
            (self._home / name).parent.mkdir(exist_ok=True)
            os.rename(self._folder_of(deletion) / name, self._home / name)
        self.remove([deletion])

    def remove(self, deletions: Sequence[Deletion]) -> None:
        """Delete for good what was deleted; what can't be stays there."""
        for deletion in deletions:
            shutil.rmtree(self._folder_of(deletion), ignore_errors=True)
        with suppress(OSError):  # there is more in it
            self._folder.rmdir()

    def _next(self) -> int:
        taken = [int(path.name) for path in self._folder.glob("*") if path.name.isdecimal()]
        return max(taken, default=0) + 1

    def _folder_of(self, deletion: Deletion) -> Path:
        return self._folder / f"{deletion.number:06}"

    def _read(self, folder: Path) -> Deletion:
        try:
            return Deletion(**json.loads((folder / NOTE).read_bytes()))
        except (OSError, TypeError, ValueError) as error:
            raise UsageError(f"{folder} is damaged; what is in it was deleted in a review") from error
