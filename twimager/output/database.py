"""Databases of images: LMDB, by the names of the files, as BasicSR's loader reads them."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twimager.errors import TwimagerError, UsageError
from twimager.output.atomic import temporary_name, unwritable
from twimager.output.layout import DATA, META_INFO
from twimager.runtime import cleanup
from twimager.runtime.folders import opened, read_file

# Bytes that are put into a database in one transaction, whose pages LMDB holds in memory.
BATCH = 32 << 20
# What LMDB has before each value on pages of its own.
PAGE_HEADER = 16
# Pages beside those of the values: leaves of at least four keys, branches, and what transactions copy.
KEYS_PER_LEAF = 4
MORE_PAGES = 256


def require_lmdb() -> None:
    """Raise UsageError unless databases can be made."""
    if find_spec("lmdb") is None:
        raise UsageError("--lmdb: pip install lmdb")


def write_database(folder: Path, files: Sequence[Path], run: str, dest: Path | None, staging: Path) -> None:
    """Make the database of these files, whose keys are their stems, in a folder whose name ends with .lmdb.

    It is made in `staging`, as a temporary file of the run, and takes its place once it is whole and on the disk. The
    list of one that was there, without which loaders find nothing in it, is removed before. Below `dest`, if that is
    given, no link is followed.

    Raises
    ------
    TwimagerError
        If a file can't be read, or the database not be written.
    """
    import lmdb

    with opened(folder, dest, make=True) as here, opened(staging, dest) as there:
        apart = here.device == there.device
        made = (staging if apart else folder) / temporary_name(run)
        cleanup.register([made])
        try:
            with suppress(FileNotFoundError):
                here.unlink(META_INFO)
            _fill(made, files, dest)
            source: Any = there if apart else here
            names = source.at(made.name), here.at(DATA)
            os.replace(*names, src_dir_fd=source.descriptor, dst_dir_fd=here.descriptor)
        except OSError as error:
            raise unwritable(folder, error) from error
        except lmdb.Error as error:
            mend = "make room" if isinstance(error, lmdb.DiskError | lmdb.MapFullError) else "mend that"
            raise TwimagerError(f"cannot write {folder}: {error}; {mend} and add --resume") from error
        finally:
            cleanup.remove([made])


def _fill(made: Path, files: Sequence[Path], dest: Path | None) -> None:
    """Write a database to a new file, in the order of the keys, and flush it to the disk."""
    import lmdb

    size = map_size([path.stat().st_size for path in files])
    with lmdb.open(str(made), map_size=size, subdir=False, lock=False, sync=False) as database:
        for batch in _batches(sorted(files, key=_key)):
            with database.begin(write=True) as transaction:
                for path in batch:
                    transaction.put(_key(path), read_file(path, dest), append=True)
        database.sync(True)


def map_size(sizes: Sequence[int]) -> int:
    """Return how many bytes a database of values of these sizes takes at most.

    On Windows, the file has that size from the beginning.
    """
    pages = sum((PAGE_HEADER + size) // mmap.PAGESIZE + 1 for size in sizes)
    return (pages + len(sizes) // KEYS_PER_LEAF + MORE_PAGES) * mmap.PAGESIZE


def _key(path: Path) -> bytes:
    return path.stem.encode("ascii")


def _batches(files: Sequence[Path]) -> list[list[Path]]:
    """Return the files in lists of some BATCH bytes."""
    batches: list[list[Path]] = [[]]
    held = 0
    for path in files:
        if held > BATCH:
            batches.append([])
            held = 0
        batches[-1].append(path)
        held += path.stat().st_size
    return batches
