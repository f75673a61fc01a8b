"""The warnings that decoders print about damaged files: on file descriptor 2, as OpenCV returns none of them.

A decoder that misses picture data, or meets damaged ones, fills in gray or black and goes on.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

C_STDERR = 2
# What libjpeg, libtiff (by way of OpenCV's log) and their like print about picture data that are missing or damaged;
# unknown tags, profiles and the like are none of it. The group is the message without OpenCV's time and place.
DAMAGE = re.compile(
    rb"(?:ERROR:\S* global \S+ \S+ |(?=Corrupt JPEG data|Premature end|Inconsistent progression|\w+Decode\w*:))([^\n]*)"
)


class _State:
    """Whether file descriptor 2 leads to a file of `new_file`."""

    recorded = False


def new_file() -> IO[bytes]:
    """Return a new file for what is printed; in memory where there is such, which no disk is too full for."""
    if in_memory := getattr(os, "memfd_create", None):
        with suppress(OSError):
            return os.fdopen(in_memory("warnings"), "w+b")
    return tempfile.TemporaryFile()


@contextmanager
def recorded() -> Iterator[None]:
    """Have what is printed on file descriptor 2 go to such a file."""
    before, kept = _State.recorded, os.dup(C_STDERR)
    try:
        with new_file() as file:
            os.dup2(file.fileno(), C_STDERR)
            _State.recorded = True
            yield
    finally:
        _State.recorded = before
        os.dup2(kept, C_STDERR)
        os.close(kept)


def recorded_by_parent() -> None:
    """Note, in a child process, that its file descriptor 2 has led to such a file from its start."""
    _State.recorded = True


def length() -> int | None:
    """Return how many bytes have been printed by any thread; None where they are not recorded."""
    return os.fstat(C_STDERR).st_size if _State.recorded else None


def taken() -> bytes:
    """Return what has been printed and empty the file; for processes that decode one file at a time."""
    os.lseek(C_STDERR, 0, os.SEEK_SET)
    text = os.read(C_STDERR, os.fstat(C_STDERR).st_size)
    os.ftruncate(C_STDERR, 0)
    os.lseek(C_STDERR, 0, os.SEEK_SET)
    return text
