"""What the user sees while a run goes on: messages and progress bars, on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import NoReturn, TextIO, TypeVar

from tqdm import tqdm

from twimager.runtime import decoder_warnings
from twimager.runtime.streams import C_STDERR, drop, put

T = TypeVar("T")

# Elapsed and remaining time are the whole job's; the postfix says how fast the stage is.
BAR = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


class Console:
    """Messages and bars; bars on a terminal only, and not with `quiet`."""

    def __init__(self, quiet: bool = False, verbose: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._quiet, self._verbose = quiet, verbose
        self._bars = not quiet and self._stream.isatty()

    def warn(self, message: str) -> None:
        """Write a line on what went wrong with one file or pair, as far as the stream takes it."""
        try:
            tqdm.write(printable(message), file=self._stream)
        except OSError:
            drop(self._stream)

    def note(self, message: str) -> None:
        """Write a line on what is no problem but good to know, unless `quiet`."""
        if not self._quiet:
            self.warn(message)

    def detail(self, message: str) -> None:
        """Write a line that is for `verbose` only."""
        if self._verbose:
            self.warn(message)

    def progress(self, work: float, seconds: dict[str, float] | None = None) -> Progress:
        """Open the bar of a whole job that takes so much work; add to `seconds` how long each stage takes."""
        seconds = {} if seconds is None else seconds
        if not self._bars:
            return Progress(seconds)
        bar = tqdm(total=work, file=self._stream, leave=False, dynamic_ncols=True, smoothing=0, bar_format=BAR)
        return Progress(seconds, bar)


class Progress:
    """The progress of a whole job, which closes with its block; without a bar none of tqdm's threads are started."""

    def __init__(self, seconds: dict[str, float], bar: tqdm[NoReturn] | None = None) -> None:
        self._bar, self._seconds = bar, seconds

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Name the stage that lasts as long as the block, and time it."""
        started = time.perf_counter()
        if self._bar is not None:
            self._bar.set_description_str(name)
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0) + time.perf_counter() - started

    def counted(self, items: Iterable[T], work: float = 1) -> Iterator[T]:
        """Yield items, one an image, and advance the bar by `work` for each."""
        if self._bar is None:
            yield from items
            return
        started = time.perf_counter()
        for number, item in enumerate(items, start=1):
            rate = number / max(time.perf_counter() - started, 1e-6)
            self._bar.set_postfix_str(f"{rate:.1f} images/s", refresh=False)
            self._bar.update(work)
            yield item

    def expect(self, work: float) -> None:
        """Lengthen the bar by more work than was known."""
        if self._bar is not None:
            self._bar.total = (self._bar.total or 0) + work

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def say(text: str) -> None:
    """Write a result to stdout; on a Windows pipe, whose encoding has few characters, others are replaced.

    TwimagerError is raised if it can't be written.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    put(text + "\n")


def printable(text: str) -> str:
    """Return text on one line that any terminal takes: no control characters, no half-decoded file names."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in whole)


@contextmanager
def own_stderr() -> Iterator[TextIO]:
    """Yield a stream to where sys.stderr leads that only Python code writes to.

    Meanwhile file descriptor 2, to which libpng, libjpeg and their like print warnings about damaged files, leads to a
    file in which the decoding finds them.
    """
    sys.stderr.flush()
    with (
        os.fdopen(os.dup(C_STDERR), "w", encoding=sys.stderr.encoding, errors="replace", buffering=1) as stream,
        decoder_warnings.recorded(),
    ):
        try:
            yield stream if _is_c_stderr(sys.stderr) else sys.stderr
        finally:
            _empty(stream)


def _empty(stream: TextIO) -> None:
    """Flush a stream, or have it lead nowhere, so that closing it does not fail."""
    try:
        stream.flush()
    except OSError:
        drop(stream)


def _is_c_stderr(stream: TextIO) -> bool:
    try:
        return stream.fileno() == C_STDERR
    except (OSError, ValueError):
        return False
