"""A child process that calls functions of this package, one at a time; run as a module, such a process."""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar

import cv2

from twimager.runtime import child, decoder_warnings
from twimager.runtime.memory import keep_freed_memory

COMMAND = child.module("twimager.runtime.process")

R = TypeVar("R")


class ProcessEnded(Exception):
    """The process has ended before it answered."""


class ProcessHung(ProcessEnded):
    """The process was killed, as nothing came of it for too long."""


class Process:
    """A process that calls functions; it ends along with its parent, even in the midst of one."""

    def __init__(self, folder: str, environment: Mapping[str, str]) -> None:
        """Relative paths are as seen from `folder`; `environment` comes on top of this process's."""
        self._child = child.start((*COMMAND, folder), environment)
        self._has_hung = False

    def call(self, function: Callable[..., R], *arguments: Any, patience: float | None = None) -> R:
        """Return what a function returns there, or raise what it raises; ProcessEnded if the process has ended.

        With `patience` it is killed when so many seconds go by in which the heart of the process does not beat.
        """
        assert self._child.stdin
        try:
            pickle.dump((function, arguments), self._child.stdin, pickle.HIGHEST_PROTOCOL)
            self._child.stdin.flush()
            result, error = self._answer(patience)
        except (OSError, EOFError, pickle.UnpicklingError) as ended:
            raise (ProcessHung if self._has_hung else ProcessEnded) from ended
        if error:
            raise error
        found: R = result
        return found

    def _answer(self, patience: float | None) -> tuple[Any, Exception | None]:
        """Return what the process answers, passing over beats."""
        assert self._child.stdout
        answer: tuple[Any, Exception | None] | None = None
        while answer is None:
            timer = threading.Timer(patience, self._end_hung) if patience else None
            if timer:
                timer.daemon = True
                timer.start()
            try:
                answer = pickle.load(self._child.stdout)
            finally:
                if timer:
                    timer.cancel()
        return answer

    def _end_hung(self) -> None:
        self._has_hung = True
        self._child.kill()

    def kill(self) -> None:
        """End the process."""
        self._child.kill()
        with suppress(OSError, ValueError):
            self._child.communicate()


def _serve(folder: str) -> None:
    """Call what comes in on stdin until it ends."""
    cv2.setNumThreads(1)
    keep_freed_memory()
    decoder_warnings.recorded_by_parent()
    with suppress(OSError):  # of what is named by absolute paths alone it need not be there
        os.chdir(folder)
    answers = child.answers()
    child.heartbeat.goes_to(answers)
    calls: queue.Queue[tuple[Callable[..., Any], Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, calls), daemon=True).start()
    while True:
        pickle.dump(_answer(*calls.get()), answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()


def _listen(stdin: BinaryIO, calls: queue.Queue[tuple[Callable[..., Any], Any]]) -> None:
    """Take calls; end the process along with its parent."""
    with suppress(Exception):  # what the parent was writing when it was killed is no pickle
        while True:
            calls.put(pickle.load(stdin))
    os._exit(0)


def _answer(function: Callable[..., Any], arguments: Any) -> tuple[Any, Exception | None]:
    try:
        return function(*arguments), None
    except Exception as error:
        return None, error


if __name__ == "__main__":
    _serve(sys.argv[1])
