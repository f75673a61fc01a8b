"""What the user sees while a run goes on: messages and progress bars, on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import NoReturn, TextIO, TypeVar

from tqdm import tqdm

T = TypeVar("T")

C_STDERR = 2


class Console:
    """Messages and bars. Bars only where somebody sees them: on a terminal, and not when told to be quiet."""

    def __init__(self, quiet: bool = False, verbose: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._verbose = verbose
        self._bars = not quiet and self._stream.isatty()

    def warn(self, message: str) -> None:
        """Say what went wrong with one file or pair."""
        tqdm.write(printable(message), file=self._stream)

    def detail(self, message: str) -> None:
        """Say what only a curious user wants to know."""
        if self._verbose:
            self.warn(message)

    def bar(self, what: str, total: int, line: int = 0) -> Bar:
        """Open a progress bar; `line` keeps bars that run at the same time apart."""
        return Bar(tqdm(total=total, desc=what, unit="img", file=self._stream, disable=not self._bars,
                        leave=False, position=line, dynamic_ncols=True))  # fmt: skip


class Bar:
    """A progress bar that closes with its block."""

    def __init__(self, bar: tqdm[NoReturn]) -> None:
        self._bar = bar

    def step(self) -> None:
        """One more is done."""
        self._bar.update()

    def counted(self, items: Iterable[T]) -> Iterator[T]:
        """Yield `items`, each a step."""
        for item in items:
            self.step()
            yield item

    def expect(self, more: int) -> None:
        """More is to come than was known."""
        self._bar.total = (self._bar.total or 0) + more

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._bar.close()


def printable(text: str) -> str:
    """Return text on one line that any terminal takes: no control characters, no half-decoded file names."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in whole)


@contextmanager
def own_stderr() -> Iterator[TextIO]:
    """Yield a stream to where sys.stderr leads that is ours alone.

    Meanwhile file descriptor 2, to which libpng, libjpeg and their like complain about damaged files that we name
    ourselves, leads nowhere.
    """
    sys.stderr.flush()
    kept = os.dup(C_STDERR)
    encoding = sys.stderr.encoding
    try:
        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            os.fdopen(os.dup(kept), "w", encoding=encoding, errors="replace", buffering=1) as stream,
        ):
            os.dup2(nowhere.fileno(), C_STDERR)
            yield stream if _is_c_stderr(sys.stderr) else sys.stderr
    finally:
        os.dup2(kept, C_STDERR)
        os.close(kept)


def _is_c_stderr(stream: TextIO) -> bool:
    try:
        return stream.fileno() == C_STDERR
    except (OSError, ValueError):
        return False
