"""Sizes and checksums of files, which show whether those are as they were written."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from twimager.runtime.folders import read_file
from twimager.runtime.typed_json import Count


class Mark(NamedTuple):
    """How many bytes a file has, and their CRC-32."""

    bytes: Count
    checksum: Count


Marks = Mapping[Path, Mark]


def mark(data: bytes) -> Mark:
    """Return the mark of a file with these contents."""
    return Mark(len(data), zlib.crc32(data))


def are_intact(marks: Marks) -> bool:
    """Return whether files still have their marks."""
    try:
        return all(mark(read_file(path)) == known for path, known in marks.items())
    except OSError:
        return False
