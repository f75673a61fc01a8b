"""Small copies of images that were looked at lately, as most are wanted again soon."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from twimager.image.files import Pixels


class Recent:
    """The copies used last, so many bytes of them; shared by the threads of this process."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._bytes = 0
        self._copies: OrderedDict[Path, Pixels] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path) -> Pixels | None:
        """Return an image's copy, if it is kept."""
        with self._lock:
            if path in self._copies:
                self._copies.move_to_end(path)
            return self._copies.get(path)

    def keep(self, path: Path, pixels: Pixels) -> None:
        """Keep an image's copy, instead of those that were not used for longest."""
        with self._lock:
            self._forget(path)
            self._copies[path] = pixels
            self._bytes += pixels.nbytes
            while self._bytes > self.limit:
                self._forget(next(iter(self._copies)))

    def these(self, paths: Iterable[Path]) -> dict[Path, Pixels]:
        """Return the copies of these images that are kept, without their being used by that."""
        with self._lock:
            return {path: self._copies[path] for path in paths if path in self._copies}

    def drop(self, path: Path) -> None:
        """Keep nothing of an image any longer."""
        with self._lock:
            self._forget(path)

    def clear(self) -> None:
        """Keep nothing any longer."""
        with self._lock:
            self._copies.clear()
            self._bytes = 0

    def _forget(self, path: Path) -> None:
        if (pixels := self._copies.pop(path, None)) is not None:
            self._bytes -= pixels.nbytes
