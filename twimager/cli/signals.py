"""Ctrl-C and its like: the first asks the run to end, the second, or a run that does not, ends the process."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import Any

from twimager.errors import ExitCode, Interrupted, TwimagerError

# Ctrl-C, the system that shuts down, a terminal that was closed, Ctrl-Break on Windows.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
# Seconds that a run has for putting its things in order; users wait for three.
GRACE = 2.5
# Seconds to wait at the very end for two files that are given their names, and for what ends the process already.
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
        self._came = False
        self._ending = threading.Lock()
        self._before: dict[int, Any] = {}

    def begin(self, message: Interrupted | None = None) -> None:
        """Take it that all is imported, and that from now on there are things to put in order.

        `message` is what is said where the process is ended at once.
        """
        from twimager.output import atomic  # noqa: F401
        from twimager.runtime import child, cleanup  # noqa: F401

        self._message = str(message or Interrupted())
        self._begun = True

    def leave(self, code: ExitCode) -> None:
        """End the process at once with `code`, if a signal has come; what workers still do is of no use to anybody."""
        if self._came and self._last:
            self._end("", code)

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

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Let the process go on, or end it without waiting for workers where the block was interrupted."""
        if self._came and self._last and isinstance(error, TwimagerError):
            self._end(str(error), error.exit_code)
        if self._came and self._last and error:  # KeyboardInterrupt, or what a library has made of it
            self._end(self._message, ExitCode.INTERRUPTED)
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
            if self._last and not self._begun:  # imports do not take kindly to being interrupted
                self._end(self._message, ExitCode.INTERRUPTED)
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
        self._end(self._message, ExitCode.INTERRUPTED)

    def _end(self, message: str, code: ExitCode) -> None:
        """End the process, and wait for no thread."""
        if self._ending.acquire(timeout=PLACING):  # else who came first waits for a terminal that takes no more
            if self._begun:
                _put_in_order()
            if message:
                with suppress(OSError):
                    os.write(self._stderr, f"twimager: {message}\n".encode(sys.stderr.encoding or "utf-8", "replace"))
        os._exit(code)


def _put_in_order() -> None:
    """Leave no half of a pair, no child process and no temporary file behind."""
    from twimager.output import atomic
    from twimager.runtime import child, cleanup

    atomic.placing.acquire(timeout=PLACING)
    child.kill_all()
    cleanup.remove_all()
