"""Arrays in temporary files that are mapped into memory, from which the system drops them where it needs it."""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from twimager.errors import TwimagerError

# Rows that are mapped at a time: of any length, they begin where a mapping may.
ROWS = mmap.ALLOCATIONGRANULARITY

Scalar = TypeVar("Scalar", bound=np.generic)


class MappedRows:
    """Rows of bytes, which are added one by one, for one thread.

    They are written as files are: at a full disk, that raises TwimagerError, and writing to mapped memory would kill
    the process.
    """

    def __init__(self, length: int) -> None:
        self._length, self._rows = length, iter(np.empty((0, length), np.uint8))
        with _os_errors_named():
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (it is open as long as rows are added)
        weakref.finalize(self, self._file.close)

    def add(self, row: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a row, (length,), as it is in the file."""
        with _os_errors_named():
            mapped_row = next(self._rows, None)
            if mapped_row is None:
                self._rows = iter(self._more())
                mapped_row = next(self._rows)
            if self._file.write(row.tobytes()) != self._length:  # of a disk that is full now, a part is written
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return mapped_row

    def _more(self) -> NDArray[np.uint8]:
        start = self._file.tell()
        self._file.truncate(start + ROWS * self._length)
        rows = _mapped(self._file, np.dtype(np.uint8), start, (ROWS, self._length))
        self._file.seek(start)
        return rows


def mapped(parts: Iterable[NDArray[Scalar]], empty: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return arrays, (n, m) each, as one below the other in a file; `empty`, (0, m), where there are none."""
    with _os_errors_named(), tempfile.TemporaryFile() as file:
        for part in parts:
            file.write(part.tobytes())
        file.flush()
        rows = file.tell() // empty.dtype.itemsize // empty.shape[1]
        return _mapped(file, empty.dtype, 0, (rows, empty.shape[1])) if rows else empty


def _mapped(file: Any, dtype: np.dtype[Scalar], start: int, shape: tuple[int, int]) -> NDArray[Scalar]:
    return np.asarray(np.memmap(file, dtype, "r", start, shape))


@contextmanager
def _os_errors_named() -> Iterator[None]:
    """Raise TwimagerError for any OSError."""
    try:
        yield
    except OSError as error:
        folder = tempfile.gettempdir()
        raise TwimagerError(f"cannot write to the temporary folder {folder}: {error.strerror}") from error
