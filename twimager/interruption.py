"""Ctrl-C and its like: the first asks the run to end, the second, or a run that does not, ends the process."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from twimager.errors import ExitCode, Interrupted

# Ctrl-C, the system that shuts down, a terminal that was closed, Ctrl-Break on Windows.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
# Seconds that a run has for putting its things in order; users wait for three.
GRACE = 2.5
# Seconds to wait at the very end for two files that are given their names.
PLACING = 0.3


class Interruption:
    """Listens to signals while its block lasts, and, once one has come, until the process is no more.

    The main thread hears KeyboardInterrupt, once. It may be deep in a library then, and workers in theirs: another
    thread, which the system tells of signals too, sees to it that the process ends in time.
    """

    def __init__(self, last: bool) -> None:
        """With `last`, the process has nothing to do after the block: it is not disturbed in ending, or ends there."""
        self._last = last
        self._message = str(Interrupted())
        self._begun = False
        self._placing = threading.Lock()
        self._farewell: Callable[[], None] = lambda: None
        self._came = False
        self._ending = threading.Lock()
        self._before: dict[int, Any] = {}

    def begin(self, message: Interrupted, placing: threading.Lock, farewell: Callable[[], None]) -> None:
        """Take it that from now on there are things to put in order.

        Ending at once, say `message`, have `placing` first, and call `farewell`.
        """
        self._message, self._placing, self._farewell = str(message), placing, farewell
        self._begun = True

    def __enter__(self) -> Interruption:
        if threading.current_thread() is not threading.main_thread():
            return self
        self._stderr = os.dup(2)
        self._ear, self._mouth = socket.socketpair()
        self._mouth.setblocking(False)
        self._woken = signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                self._before[number] = signal.signal(number, self._hear)
        threading.Thread(target=self._watch, name="interruption", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._came and self._last:
            self._end()
        if not hasattr(self, "_mouth"):  # another thread than the main one
            return
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._last else handler)
        signal.set_wakeup_fd(self._woken)
        self._mouth.close()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        """Have the main thread stop what it does: what it does on hearing so is not to be stopped."""
        if not self._came:
            self._came = True
            if not self._begun:  # imports do not take kindly to being interrupted
                self._end()
            raise KeyboardInterrupt

    def _watch(self) -> None:
        heard, seconds = 0, None
        while heard < 2:
            ready, _, _ = select.select([self._ear], [], [], seconds)
            numbers = self._ear.recv(1) if ready else b""
            if ready and not numbers:  # nobody can call any more
                self._ear.close()
                os.close(self._stderr)
                return
            if not ready:
                break
            if numbers and numbers[0] in self._before:
                heard, seconds = heard + 1, GRACE
        self._end()

    def _end(self) -> None:
        """End the process, and wait for no thread."""
        self._ending.acquire()
        self._placing.acquire(timeout=PLACING)
        self._farewell()
        with suppress(OSError):
            sys.stdout.flush()
        with suppress(OSError):
            os.write(self._stderr, f"twimager: {self._message}\n".encode(sys.stderr.encoding or "utf-8", "replace"))
        os._exit(ExitCode.INTERRUPTED)
