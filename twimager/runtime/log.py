"""The log of a run: what happened when, a line each, in a file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from twimager.errors import TwimagerError, UsageError
from twimager.runtime.console import printable
from twimager.runtime.streams import drop

LINE = "%(asctime)s %(levelname)-7s %(message)s"
TIME = "%Y-%m-%dT%H:%M:%S%z"


class _Line(logging.Formatter):
    """One line an entry, whatever the names of files hold, but for tracebacks."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        return printable(super().formatMessage(record))


class _File(logging.FileHandler):
    """Appends to a file; where that takes no more, says so once and goes on without."""

    def __init__(self, file: Path, stderr: TextIO) -> None:
        super().__init__(file, encoding="utf-8", errors="replace")
        self._stderr = stderr

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        self.setLevel(logging.CRITICAL + 1)
        if self.stream:
            drop(self.stream)
        with suppress(OSError):
            self._stderr.write(f"--log: {self.baseFilename} can't be written any more\n")


@contextmanager
def logged_to(file: Path | None, stderr: TextIO) -> Iterator[logging.Logger | None]:
    """Yield the logger of a run, which appends to a file, if there is one; log the error that ends its block.

    What is wrong with the file itself goes to `stderr`.

    Raises
    ------
    UsageError
        If the file can't be written.
    """
    if file is None:
        yield None
        return
    try:
        handler = _File(file, stderr)
    except OSError as error:
        raise UsageError(f"--log: cannot write {file}: {error.strerror}") from error
    handler.setFormatter(_Line(LINE, TIME))
    log = logging.Logger("twimager", logging.DEBUG)
    log.addHandler(handler)
    try:
        yield log
    except TwimagerError as error:
        log.error("%s", error)
        raise
    except KeyboardInterrupt:
        log.error("interrupted")
        raise
    except Exception:
        log.exception("failed")
        raise
    finally:
        handler.close()
