"""What the user sees while a run goes on: messages and progress, on stderr."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import NoReturn, TextIO, TypeVar

from tqdm import tqdm

from twimager.runtime import decoder_warnings
from twimager.runtime.colour import Colour, coloured
from twimager.runtime.streams import C_STDERR, drop, put

T = TypeVar("T")

BAR = "{desc} {percentage:3.0f}%|{bar}| {elapsed}{postfix}"
# Where there is no terminal, seconds until the first line of progress, and between two of them.
FIRST_LINE, LINE = 10.0, 30.0
# The remaining time goes by the present stage alone once so many of its images are done: before, by all that is done.
ENOUGH = 20
# How often --verbose is given for them to be shown.
DECISIONS, DETAILS = 1, 2


class Console:
    """Messages and progress, a bar on a terminal and else lines; no progress with `quiet`. All of it is logged, too."""

    def __init__(
        self, quiet: bool = False, verbose: int = 0, stream: TextIO | None = None, log: logging.Logger | None = None
    ) -> None:
        """With `verbose` of 1 decisions are shown, of 2 details too."""
        self._stream = stream or sys.stderr
        self._quiet, self._verbose, self._log = quiet, verbose, log

    def warn(self, message: str) -> None:
        """Write a line on what went wrong with one file or pair, as far as the stream takes it."""
        self.enter(message, logging.WARNING)
        self._show(message, Colour.YELLOW)

    def note(self, message: str) -> None:
        """Write a line on what is no problem but good to know, unless `quiet`."""
        self.enter(message, logging.INFO)
        if not self._quiet:
            self._show(message)

    def decision(self, message: str) -> None:
        """Write a line, if `verbose`, on a pair that is taken, an LR that is in none, or where options come from."""
        self.enter(message, logging.INFO)
        if self._verbose >= DECISIONS:
            self._show(message)

    @property
    def shows_details(self) -> bool:
        """Whether details are shown or logged."""
        return self._log is not None or self._verbose >= DETAILS

    def detail(self, message: str) -> None:
        """Write a line on a step or its time, if `verbose` enough."""
        self.enter(message, logging.DEBUG)
        if self._verbose >= DETAILS:
            self._show(message)

    def enter(self, message: str, level: int = logging.INFO) -> None:
        """Log a line, if there is a log."""
        if self._log:
            self._log.log(level, "%s", message)

    def _show(self, message: str, colour: Colour | None = None) -> None:
        try:
            tqdm.write(coloured(printable(message), colour, self._stream), file=self._stream)
        except OSError:
            drop(self._stream)

    def progress(self, work: float, seconds: dict[str, float] | None = None) -> Progress:
        """Open the progress of a whole job that takes so much work; add to `seconds` how long each stage takes."""
        shown: list[_Bar | _Lines] = [_Lines(self._log.info)] if self._log else []
        if not self._quiet:
            shown.append(self._bar(work) if self._stream.isatty() else _Lines(self._show))
        return Progress(work, {} if seconds is None else seconds, shown)

    def _bar(self, work: float) -> _Bar:
        return _Bar(tqdm(total=work, file=self._stream, leave=False, dynamic_ncols=True, smoothing=0, bar_format=BAR))


class Progress:
    """The progress of a whole job, which closes with its block; without a bar none of tqdm's threads are started."""

    def __init__(self, work: float, seconds: dict[str, float], shown: Sequence[_Bar | _Lines] = ()) -> None:
        self._work, self._seconds, self._shown = work, seconds, shown
        self._started, self._done, self._foreseen, self._stage = time.perf_counter(), 0.0, 0.0, ""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Name the stage that lasts as long as the block, and time it."""
        started = time.perf_counter()
        self._stage = name
        for shown in self._shown:
            shown.begin(name)
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0) + time.perf_counter() - started

    def counted(self, items: Iterable[T], work: float = 1) -> Iterator[T]:
        """Yield items, one an image, and advance the progress by `work` for each."""
        if not self._shown:
            yield from items
            return
        started = warm = time.perf_counter()
        for number, item in enumerate(items, start=1):
            self._done += work
            now = time.perf_counter()
            rate = number / max(now - started, 1e-6)
            if number == ENOUGH:
                warm = now
            if number > 3 * ENOUGH:  # the first ones wait for processes to start
                speed = work * (number - ENOUGH) / max(now - warm, 1e-6)
            else:
                speed = work * rate if number >= ENOUGH else self._done / max(now - self._started, 1e-6)
            whole = self._work + self._foreseen
            left = max(whole - self._done, 0) / speed
            for shown in self._shown:
                shown.show(self._stage, self._done, whole, f"{rate:.1f} images/s, {_clock(left)} left")
            yield item

    def reach(self, done: float, unit: str) -> None:
        """Show that so much of all work is done; `unit` is what it is counted in."""
        self._done = done
        speed = done / max(time.perf_counter() - self._started, 1e-6)
        left = _clock(max(self._work - done, 0) / speed) if speed else "?"
        for shown in self._shown:
            shown.show(self._stage, done, self._work, f"{done:.0f} of {self._work:.0f} {unit}, {left} left")

    def expect(self, work: float) -> None:
        """Add more work than was known, or less; what was foreseen of it is not any more."""
        self._work += work
        self._foreseen = max(0, self._foreseen - work)

    def foresee(self, work: float) -> None:
        """Take it that so much will be added, by what is known so far; in place of what was foreseen before."""
        self._foreseen = work

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        for shown in self._shown:
            shown.close()


class _Bar:
    """A bar on a terminal."""

    def __init__(self, bar: tqdm[NoReturn]) -> None:
        self._bar = bar

    def begin(self, stage: str) -> None:
        self._bar.set_description_str(stage)

    def show(self, stage: str, done: float, work: float, speed: str) -> None:
        self._bar.total = work
        self._bar.set_postfix_str(speed, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class _Lines:
    """Lines, for logs and pipes."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write, self._next = write, time.monotonic() + FIRST_LINE

    def begin(self, stage: str) -> None:
        """Do nothing: a line names its stage."""

    def show(self, stage: str, done: float, work: float, speed: str) -> None:
        if (now := time.monotonic()) >= self._next:
            self._write(f"{stage}: {100 * min(done / max(work, 1), 1):.0f} % of all, {speed}")
            self._next = now + LINE

    def close(self) -> None:
        """Nothing is open."""


def _clock(seconds: float) -> str:
    """Return a duration as h:mm:ss, or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


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


def counted(count: int, one: str, more: str = "") -> str:
    """Return a number and what is counted; `more` is what one is called in the plural, if not by an `s`."""
    return f"{count} {one if count == 1 else more or one + 's'}"


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
