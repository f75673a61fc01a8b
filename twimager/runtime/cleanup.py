"""Temporary files: none is left behind, even if the process is ended in the midst of its work."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_left: set[Path] = set()


def register(files: Iterable[Path]) -> None:
    """Note files that are to be removed when the process is ended, unless they are removed before."""
    _left.update(files)


def remove(files: Iterable[Path]) -> None:
    """Remove files, as far as they are there."""
    for path in tuple(files):
        with suppress(OSError):
            path.unlink(missing_ok=True)
        _left.discard(path)


def remove_all() -> None:
    """Remove what is left."""
    remove(_left)
