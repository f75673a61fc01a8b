"""What shows that a file, or what was computed from it, is no longer what it was."""

from __future__ import annotations

import hashlib
import stat
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2

from twimager.version import __version__


class Stamp(NamedTuple):
    """What shows that a file has changed: its size in bytes and its time in nanoseconds."""

    bytes: int
    modified: int


def stamp(path: Path) -> Stamp | None:
    """Return a file's stamp, or None if it can't be had; of a device the time changes with its use."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Stamp(status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


@cache
def this_source() -> str:
    """Name this very source, settings and all."""
    source = hashlib.sha256()
    for module in sorted(Path(__file__).parent.parent.rglob("*.py")):
        source.update(module.read_bytes())
    return f"{__version__} ({source.hexdigest()[:12]})"


def made_by() -> str:
    """Name what decides what is computed from an image."""
    return f"twimager {this_source()}, OpenCV {cv2.__version__}"
