"""One run or review at a time in a DEST."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from twimager.errors import UsageError
from twimager.output.atomic import unwritable
from twimager.output.layout import JOURNALS
from twimager.runtime.folders import opened

LOCK = "lock"
# A byte to lock that nothing else is done with.
WINDOWS_LOCK = 1 << 20


@contextmanager
def lock(dest: Path, flag: str = "", follow_links: bool = False) -> Iterator[None]:
    """Lock DEST, which is made if missing, while the block lasts; the system releases a dead process's lock.

    Raises
    ------
    UsageError
        If another process has locked it; `flag` begins the message.
    TwimagerError
        If DEST can't be written to, or a link leads out of it, which is followed with `follow_links` only.
    """
    try:
        with opened(dest / JOURNALS, None if follow_links else dest, make=True) as folder:
            file = folder.open(LOCK, "a+b", links=follow_links)
    except OSError as error:
        raise unwritable(dest, error) from error
    with file:
        if not _acquire(file):
            file.seek(0)
            owner = file.read(20).decode("ascii", "replace")
            raise UsageError(f"{flag}another run or review (process {owner}) is at work in {dest}")
        with suppress(OSError):
            file.truncate(0)
            file.write(str(os.getpid()).encode())
            file.flush()
        yield


def _acquire(file: IO[bytes]) -> bool:
    """Lock a file; False if another process has. Where the file system has no locks, it counts as locked."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(WINDOWS_LOCK)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
    return True
