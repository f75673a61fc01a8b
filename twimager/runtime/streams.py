"""The three standard streams: there from the start, whatever the caller has closed, and never a reason to crash."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

from twimager.errors import TwimagerError

C_STDIN, C_STDOUT, C_STDERR = range(3)


def open_closed() -> None:
    """Open those of the three that are closed: else files that are opened later would be what libraries print to.

    They lead nowhere; but writing to stdout fails, as what is to be printed there is a result.
    """
    for number in (C_STDIN, C_STDOUT, C_STDERR):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            os.set_inheritable(number, True)
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")


def put(text: str) -> None:
    """Write a result to stdout; TwimagerError if that can't be done."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        drop(sys.stdout)
        raise TwimagerError(f"cannot write to stdout: {error.strerror}") from error


def complain(text: str) -> None:
    """Write to stderr, as far as that can be done."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        drop(sys.stderr)


def drop(stream: TextIO) -> None:
    """Redirect a stream that takes no more to nowhere: what it holds would be written, and fail, again at its end."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
