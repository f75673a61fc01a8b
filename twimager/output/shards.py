"""The folder in DEST that remote workers share files in: the features of images, and the index of features."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

from twimager.fingerprint.features import RECORD, Features, StoredFeatures, pack
from twimager.output.atomic import unwritable
from twimager.output.layout import JOURNALS, SHARDS
from twimager.runtime.folders import LinkInDest, open_file, opened


class Shards(NamedTuple):
    """The folder of a run, as each of its processes has it.

    Attributes
    ----------
    folder : Path
    dest : as `runtime.folders.opened` has it
    run : begins the names of its files, of which an earlier run may have left some in other processes' memory
    """

    folder: Path
    dest: Path | None
    run: str

    def store(self, features: Features) -> StoredFeatures:
        """Add features to the file of this process."""
        path = _features_file(self)
        try:
            with open_file(path, "ab", self.dest) as file:
                first = file.tell() // RECORD.itemsize
                file.write(pack(features))
        except OSError as error:
            raise unwritable(path, error) from error
        return StoredFeatures(path, first, features.count, features.checksum)

    def write(self, name: str, write: Callable[[IO[bytes]], object]) -> int:
        """Write a file, which appears whole or not at all, and replaces one of this name; return its bytes."""
        temporary = f"{uuid.uuid4().hex}.tmp"
        try:
            with opened(self.folder, self.dest) as folder:
                with folder.open(temporary, "xb") as file:
                    write(file)
                    size = file.tell()
                here = folder.descriptor
                os.replace(folder.at(temporary), folder.at(name), src_dir_fd=here, dst_dir_fd=here)
        except OSError as error:
            raise unwritable(self.folder / name, error) from error
        return size

    def remove(self, names: Iterable[str]) -> None:
        """Delete files, as far as they are there."""
        with suppress(OSError), opened(self.folder, self.dest) as folder:
            for name in names:
                with suppress(FileNotFoundError):
                    folder.unlink(name)


@cache
def _features_file(shards: Shards) -> Path:
    """Return the file of this process: one object, so that it is one as well where results of a shard arrive."""
    return shards.folder / f"{shards.run}-{uuid.uuid4().hex}.features"


@contextmanager
def shared(dest: Path, follow_links: bool) -> Iterator[Shards]:
    """Make the folder in DEST; when the block ends, delete it and all that is in it."""
    unlinked_dest, folder = None if follow_links else dest, dest / JOURNALS / SHARDS
    try:
        with opened(folder, unlinked_dest, make=True):
            pass
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        yield Shards(folder, unlinked_dest, uuid.uuid4().hex)
    finally:
        remove_shards(dest, unlinked_dest)


def remove_shards(dest: Path, unlinked_dest: Path | None) -> None:
    """Delete the folder, if there is one: workers that are still busy fail then."""
    journals = dest / JOURNALS
    with suppress(OSError, LinkInDest):
        with opened(journals / SHARDS, unlinked_dest) as folder:
            for name in folder.names():
                folder.unlink(name)
        with opened(journals, unlinked_dest) as folder:
            folder.rmdir(SHARDS)
